"""Curves against epoch: that they show the stored numbers, all of them, and nothing else."""

import io

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
COLUMNS = {metric: (f"{metric}_train", f"{metric}_valid") for metric in ("error", "acc")}
FULL, QUICK = made_up.results("full"), made_up.results("quick")


def line_of(axes, gid):
    """The one line with this name, or `None`."""
    lines = [line for line in axes.lines if line.get_gid() == gid]
    assert len(lines) < 2
    return lines[0] if lines else None


@pytest.mark.parametrize("results", [FULL, QUICK], ids=["full", "quick"])
@pytest.mark.parametrize("curves", CURVES.values(), ids=CURVES)
class TestCurves:
    @pytest.fixture
    def figure(self, curves, results):
        return curves(results)

    @pytest.fixture
    def panels(self, curves, figure):
        """Axes and the column that they show."""
        return list(zip(figure.axes, COLUMNS[curves.metric], strict=True))

    def test_lines_are_the_mean_over_the_seeds(self, curves, results, panels):
        for axes, column in panels:
            for condition in curves.conditions:
                line = line_of(axes, condition.key)
                np.testing.assert_array_equal(line.get_xdata(), results.epochs(condition.key))
                mean = results.curves(condition.key, column).mean(axis=0)
                np.testing.assert_array_equal(line.get_ydata(), mean)
                assert to_hex(line.get_color()).upper() == condition.colour

    def test_logs_are_as_published_dashed_and_in_the_legend(self, curves, results, figure, panels):
        dashed = 0
        for axes, column in panels:
            for condition in curves.conditions:
                line, ours = line_of(axes, f"{condition.key} 2016"), line_of(axes, condition.key)
                if not (condition.log and results.beside_2016):
                    assert line is None
                    continue
                log = published_log(condition.log)
                np.testing.assert_array_equal(line.get_xdata(), log["epoch"])
                np.testing.assert_array_equal(line.get_ydata(), log[column])
                assert line.is_dashed()
                assert line.get_zorder() > ours.get_zorder()
                assert line.get_linewidth() < ours.get_linewidth()
                dashed += 1
        named = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
        assert ("2016 log (dashed)" in named) == bool(dashed)

    def test_bands_span_the_seeds(self, curves, results, panels):
        for axes, column in panels:
            if len(results.runs[curves.conditions[0].key]) == 1:
                assert not axes.collections
                continue
            for condition, band in zip(curves.conditions, axes.collections, strict=True):
                values = results.curves(condition.key, column)
                corners = band.get_paths()[0].vertices
                for epoch, low, high in zip(
                    results.epochs(condition.key),
                    values.min(axis=0),
                    values.max(axis=0),
                    strict=True,
                ):
                    heights = corners[corners[:, 0] == epoch, 1]
                    assert (heights.min(), heights.max()) == (low, high)

    def test_labels_have_name_and_last_value_and_do_not_overlap(
        self, curves, results, figure, panels
    ):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        for axes, column in panels:
            assert {text.get_text() for text in axes.texts} == {
                f"{condition.label_in(results)}  "
                + three_digits(results.curves(condition.key, column)[:, -1].mean())
                for condition in curves.conditions
            }
            # the box of the text alone, without the line that leads to it
            boxes = [Text.get_window_extent(text, canvas.get_renderer()) for text in axes.texts]
            for number, box in enumerate(boxes):
                assert not any(box.overlaps(other) for other in boxes[:number])
                assert box.x1 <= figure.bbox.x1

    def test_axes_are_labelled_and_the_ends_are_in_view(self, curves, results, panels):
        assert panels[-1][0].get_xlabel() == "epoch"
        for axes, column in panels:
            assert axes.get_title("left")
            assert axes.get_ylabel()
            assert len(axes.get_yticks()) > 1
            low, high = axes.get_ylim()
            assert all(low < results.final(each.key, column) < high for each in curves.conditions)


@pytest.mark.parametrize("curves", [part2.augmentation_errors, part2.sigma_errors])
def test_training_errors_on_clean_images_have_their_own_marker(curves):
    train, valid = curves(FULL).axes
    for condition in curves.conditions:
        marker = line_of(train, f"{condition.key} clean")
        assert line_of(valid, f"{condition.key} clean") is None
        if condition is part2.INITIAL:
            assert marker is None
        else:
            assert marker.get_ydata() == FULL.final(condition.key, "error_train_clean")
            assert train.get_ylim()[0] < marker.get_ydata() < train.get_ylim()[1]
    assert "augmented" in train.get_title("left")


SHORT = [made_up.results("full", num_epochs=1)]
SHORT += [made_up.results("quick", num_seeds=1, num_epochs=1)]


@pytest.mark.parametrize("results", SHORT, ids=["only epoch 0", "one epoch of one seed"])
@pytest.mark.parametrize("curves", CURVES.values(), ids=CURVES)
def test_shortest_runs_can_be_drawn(curves, results):
    FigureCanvasAgg(curves(results)).draw()


def test_short_runs_have_the_part_of_the_log_that_they_cover():
    figure = part1.penalty_errors(made_up.results("full", num_epochs=10))
    np.testing.assert_array_equal(
        line_of(figure.axes[0], "part1/none 2016").get_xdata(), [0, 5, 10]
    )


def test_saved_twice_the_file_is_the_same():
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        part2.size_errors(FULL).savefig(file, format="svg", metadata={"Date": None})
    assert files[0].getvalue() == files[1].getvalue()
