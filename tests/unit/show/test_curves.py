"""Curves against epoch: that they show the stored numbers, all of them, and nothing else."""

import made_up
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text

from mlpcw.study.chapters import part1, part2, part3
from mlpcw.study.original.published import published_log
from mlpcw.study.show.words import three_digits

CURVES = {
    "penalty_errors": part1.penalty_errors,
    "size_errors": part2.size_errors,
    "augmentation_errors": part2.augmentation_errors,
    "sigma_errors": part2.sigma_errors,
    "convolution_accuracy": part3.convolution_accuracy,
    "kernel_size_accuracy": part3.kernel_size_accuracy,
}
RUNS = {
    "full": made_up.results("full"),
    "quick": made_up.results("quick"),
    "the first epochs": made_up.results("full", num_epochs=10),
    "only epoch 0": made_up.results("full", num_epochs=1),
    "one epoch of one seed": made_up.results("quick", num_seeds=1, num_epochs=1),
}


def line_of(axes, gid):
    """The one line with this name, or `None`."""
    lines = [line for line in axes.lines if line.get_gid() == gid]
    assert len(lines) < 2
    return lines[0] if lines else None


@pytest.mark.parametrize("results", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("curves", CURVES.values(), ids=CURVES)
class TestCurves:
    @pytest.fixture
    def figure(self, curves, results):
        return curves(results)

    @pytest.fixture
    def shown(self, curves, figure):
        """Axes, the column that they show, and a condition: all three of them combined."""
        columns = [f"{curves.metric}_train", f"{curves.metric}_valid"]
        panels = zip(figure.axes, columns, strict=True)
        return [(*panel, condition) for panel in panels for condition in curves.conditions]

    def test_lines_are_the_mean_over_the_seeds_and_bands_their_range(self, results, shown):
        for axes, column, condition in shown:
            line = line_of(axes, condition.key)
            epochs, values = results.epochs(condition.key), results.curves(condition.key, column)
            np.testing.assert_array_equal(line.get_xdata(), epochs)
            np.testing.assert_array_equal(line.get_ydata(), values.mean(axis=0))
            assert to_hex(line.get_color()).upper() == condition.colour
            bands = [band for band in axes.collections if same_colour(band, line)]
            assert len(bands) == (len(values) > 1)
            for band in bands:
                corners = band.get_paths()[0].vertices
                for epoch, of_seeds in zip(epochs, values.T, strict=True):
                    heights = corners[corners[:, 0] == epoch, 1]
                    assert (heights.min(), heights.max()) == (of_seeds.min(), of_seeds.max())

    def test_logs_are_as_published_dashed_and_in_the_legend(self, results, figure, shown):
        dashed = 0
        for axes, column, condition in shown:
            line, ours = line_of(axes, f"{condition.key} 2016"), line_of(axes, condition.key)
            assert (line is not None) == bool(condition.log and results.beside_2016)
            if line:
                log = published_log(condition.log)
                num_points = sum(epoch <= ours.get_xdata()[-1] for epoch in log["epoch"])
                np.testing.assert_array_equal(line.get_xdata(), log["epoch"][:num_points])
                np.testing.assert_array_equal(line.get_ydata(), log[column][:num_points])
                assert line.is_dashed()
                assert line.get_zorder() > ours.get_zorder()
                assert line.get_linewidth() < ours.get_linewidth()
                dashed += 1
        named = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
        assert ("2016 log (dashed)" in named) == bool(dashed)

    def test_ends_are_labelled_and_in_view(self, results, figure, shown):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        assert figure.axes[-1].get_xlabel() == "epoch"
        for axes, column, condition in shown:
            final = results.curves(condition.key, column)[:, -1].mean()
            text = f"{condition.label_in(results)}  {three_digits(final)}"
            assert [each.get_text() for each in axes.texts].count(text) == 1
            assert axes.get_ylim()[0] < final < axes.get_ylim()[1]
        for axes in figure.axes:
            assert axes.get_title("left")
            assert axes.get_ylabel()
            assert len(axes.get_yticks()) > 1 or results.epochs(shown[0][2].key)[-1] < 20
            # the box of the text alone, without the line that leads to it
            boxes = [Text.get_window_extent(text, canvas.get_renderer()) for text in axes.texts]
            assert len(boxes) == len(shown) // len(figure.axes)
            for number, box in enumerate(boxes):
                assert not any(box.overlaps(other) for other in boxes[:number])
                assert box.x1 <= figure.bbox.x1

    def test_training_errors_on_clean_images_have_their_own_marker(self, results, figure, shown):
        for axes, column, condition in shown:
            marker = line_of(axes, f"{condition.key} clean")
            augmented = column == "error_train" and condition.arm.augmentation is not None
            assert (marker is not None) == augmented
            if augmented:
                clean = results.final(condition.key, "error_train_clean")
                assert marker.get_ydata() == clean
                assert axes.get_ylim()[0] < clean < axes.get_ylim()[1]
                assert axes.get_title("left").endswith("on augmented batches")


def same_colour(band, line):
    return to_hex(band.get_facecolor()[0]) == to_hex(line.get_color())
