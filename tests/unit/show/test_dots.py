"""Dot plots: final values, the best first."""

import made_up
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mlpcw.study.chapters import CONDITIONS, front, part1, part2, part3
from mlpcw.study.show.words import three_digits

PICTURES = [part1.picture, part2.picture, part3.picture, front.picture]
FULL = made_up.results("full")
RUNS = {
    "full": FULL,
    "quick": made_up.results("quick"),
    "only epoch 0": made_up.results("full", num_epochs=1),
    "one epoch of one seed": made_up.results("quick", num_seeds=1, num_epochs=1),
}


@pytest.mark.parametrize("results", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("picture", PICTURES, ids=["part1", "part2", "part3", "front"])
class TestPictures:
    def test_dots_are_the_final_validation_values_best_first(self, picture, results):
        for axes in picture(results).axes:
            dots = [line for line in axes.lines if line.get_gid()]
            column = "acc_valid" if "accuracy" in axes.get_xlabel() else "error_valid"
            finals = [results.final(dot.get_gid(), column) for dot in dots]
            assert [dot.get_xdata() for dot in dots] == finals
            assert finals == sorted(finals, reverse=column == "error_valid")
            assert [text.get_text() for text in axes.texts] == [*map(three_digits, finals)]
            names = [tick.get_text() for tick in axes.get_yticklabels()]
            assert names == [CONDITIONS[dot.get_gid()].label_in(results) for dot in dots]
            epochs = results.epochs("part1/none")[-1]
            assert axes.get_xlabel().endswith(f" after {epochs} epochs")
            assert axes.get_title("left")

    def test_texts_stay_within_the_figure_and_apart(self, picture, results):
        figure = picture(results)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        box = figure.get_tightbbox(renderer)  # inches
        assert box.x0 >= 0
        assert box.x1 <= figure.get_figwidth()
        for upper, lower in zip(figure.axes, figure.axes[1:], strict=False):
            label = upper.xaxis.label.get_window_extent(renderer)
            assert not label.overlaps(lower.title.get_window_extent(renderer))


def test_training_dots_of_augmented_conditions_are_those_on_clean_images():
    (axes,) = part2.picture(FULL).axes
    for condition in part2.AUGMENTED:
        lines = [line for line in axes.lines if line.get_color() == condition.colour]
        shown = {float(value) for line in lines for value in np.ravel(line.get_xdata())}
        columns = ("error_train_clean", "error_valid")
        assert shown == {FULL.final(condition.key, column) for column in columns}
