"""The figures: that they show the stored numbers, all of them, and nothing else."""

import io
import subprocess
import sys

import made_up
import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text

from mlpcw import mnist
from mlpcw.study import chapters
from mlpcw.study.original import published as replay
from mlpcw.study.records import arms
from mlpcw.study.runs import train as training
from mlpcw.study.show import figures
from mlpcw.study.show import style as look
from mlpcw.study.show import words as labels

CURVES = {
    figures.penalty_errors: (figures.PENALTIES, ("error_train", "error_valid")),
    figures.size_errors: (figures.SIZES, ("error_train", "error_valid")),
    figures.augmentation_errors: (figures.AUGMENTATIONS, ("error_train", "error_valid")),
    figures.sigma_errors: (figures.SIGMAS, ("error_train", "error_valid")),
    figures.convolution_accuracy: (figures.CONVOLUTIONS, ("acc_train", "acc_valid")),
    figures.kernel_size_accuracy: (figures.KERNEL_SIZES, ("acc_train", "acc_valid")),
}
PICTURES = (
    figures.part1_picture,
    figures.part2_picture,
    figures.part3_picture,
    figures.readme_picture,
)
GRIDS = ("original", "distortion", "noise", "shift", "rotation")
FULL, QUICK = made_up.results("full"), made_up.results("quick")


@pytest.fixture(autouse=True)
def _styled_and_never_trained(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("a figure trains")

    monkeypatch.setattr(training, "train", refuse)
    monkeypatch.setattr(training, "set_up", refuse)
    with matplotlib.rc_context():
        figures.style()
        yield


def by_gid(axes, gid):
    """The data of the one line with this name; `None` if there is none."""
    found = [line for line in axes.lines if line.get_gid() == gid]
    assert len(found) < 2
    return found[0] if found else None


def drawn(figure):
    """The renderer of a figure that has been drawn, so that all its texts are in place."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


@pytest.mark.parametrize("results", [FULL, QUICK], ids=["full", "quick"])
@pytest.mark.parametrize("draw", CURVES, ids=lambda draw: draw.__name__)
class TestCurves:
    def test_lines_are_the_records_mean(self, draw, results):
        keys, columns = CURVES[draw]
        axes = draw(results).axes
        assert len(axes) == len(columns)
        for each, column in zip(axes, columns, strict=True):
            for key in keys:
                line = by_gid(each, key)
                np.testing.assert_array_equal(line.get_xdata(), results.epochs(key))
                mean = results.curves(key, column).mean(axis=0)
                np.testing.assert_array_equal(line.get_ydata(), mean)
                assert to_hex(line.get_color()).upper() == figures.COLOURS[key]

    def test_logs_are_dashed_and_as_published(self, draw, results):
        keys, columns = CURVES[draw]
        for axes, column in zip(draw(results).axes, columns, strict=True):
            for key in keys:
                log = replay.published_log(key)
                line = by_gid(axes, f"{key} 2016")
                if log is None or not results.beside_2016:
                    assert line is None
                    continue
                np.testing.assert_array_equal(line.get_xdata(), log["epoch"])
                np.testing.assert_array_equal(line.get_ydata(), log[column])
                assert line.is_dashed()
                assert line.get_zorder() > by_gid(axes, key).get_zorder()
                assert line.get_linewidth() < by_gid(axes, key).get_linewidth()

    def test_legend_names_the_dashes_where_there_are_any(self, draw, results):
        figure = draw(results)
        named = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
        dashed = [line for axes in figure.axes for line in axes.lines if line.is_dashed()]
        assert ("2016 log (dashed)" in named) == bool(dashed)

    def test_bands_span_the_seeds(self, draw, results):
        keys, columns = CURVES[draw]
        for axes, column in zip(draw(results).axes, columns, strict=True):
            if len(results.runs[keys[0]]) == 1:
                assert not axes.collections
                continue
            for key, band in zip(keys, axes.collections, strict=True):
                curves = results.curves(key, column)
                corners = band.get_paths()[0].vertices
                for epoch, low, high in zip(
                    results.epochs(key), curves.min(axis=0), curves.max(axis=0), strict=True
                ):
                    heights = corners[corners[:, 0] == epoch, 1]
                    assert (heights.min(), heights.max()) == (low, high)

    def test_labels_name_each_arm_with_its_last_value(self, draw, results):
        keys, columns = CURVES[draw]
        for axes, column in zip(draw(results).axes, columns, strict=True):
            texts = {text.get_text() for text in axes.texts}
            assert texts == {
                f"{labels.label(results, key)}  "
                + labels.three_digits(results.curves(key, column)[:, -1].mean())
                for key in keys
            }

    def test_labels_do_not_overlap(self, draw, results):
        figure = draw(results)
        renderer = drawn(figure)
        for axes in figure.axes:
            # the box of the text alone, without the line that leads to it
            boxes = [Text.get_window_extent(text, renderer) for text in axes.texts]
            for number, box in enumerate(boxes):
                assert not any(box.overlaps(other) for other in boxes[:number])
                assert box.x1 <= figure.bbox.x1

    def test_every_axis_is_labelled_and_the_ends_are_in_view(self, draw, results):
        keys, columns = CURVES[draw]
        all_axes = draw(results).axes
        assert all_axes[-1].get_xlabel() == "epoch"
        for axes, column in zip(all_axes, columns, strict=True):
            assert axes.get_title("left")
            assert axes.get_ylabel()
            assert len(axes.get_yticks()) > 1
            low, high = axes.get_ylim()
            assert all(low < results.final(key, column) < high for key in keys)


@pytest.mark.parametrize("draw", [figures.augmentation_errors, figures.sigma_errors])
def test_error_on_clean_images_is_told_from_the_error_as_logged(draw):
    for key in CURVES[draw][0]:
        train, valid = draw(FULL).axes
        marker = by_gid(train, f"{key} clean")
        assert by_gid(valid, f"{key} clean") is None
        if key == "part2/initial_data":
            assert marker is None
        else:
            assert marker.get_ydata() == FULL.final(key, "error_train_clean")
            assert train.get_ylim()[0] < marker.get_ydata() < train.get_ylim()[1]
    assert "augmented" in train.get_title("left")


@pytest.mark.parametrize(
    "results",
    [made_up.results("full", num_epochs=1), made_up.results("quick", num_seeds=1, num_epochs=1)],
    ids=["only epoch 0", "one epoch of one seed"],
)
@pytest.mark.parametrize("draw", [*CURVES, *PICTURES], ids=lambda draw: draw.__name__)
def test_shortest_runs_can_be_drawn(draw, results):
    drawn(draw(results))


def test_short_runs_have_the_part_of_the_log_that_they_cover():
    results = made_up.results("full", num_epochs=10)
    line = by_gid(figures.penalty_errors(results).axes[0], "part1/none 2016")
    np.testing.assert_array_equal(line.get_xdata(), [0, 5, 10])


@pytest.mark.parametrize("results", [FULL, QUICK], ids=["full", "quick"])
class TestWeightDensity:
    @pytest.mark.parametrize("key", figures.PENALTIES)
    def test_density_is_the_counts_of_the_record(self, key, results):
        whole, zoomed = figures.weight_density(results, key).axes
        edges, counts = results.weight_counts(key)
        shown = next(patch for patch in zoomed.patches if patch.get_gid() == key).get_data()
        np.testing.assert_allclose(shown.edges, edges, atol=1e-12)
        np.testing.assert_allclose(shown.values, counts / counts.sum() / 0.0025)
        coarse = next(patch for patch in whole.patches if patch.get_gid() == key).get_data()
        assert np.sum(coarse.values * np.diff(coarse.edges)) == pytest.approx(1)

    def test_scales_and_bins_are_the_same_for_all(self, results):
        drawn = [figures.weight_density(results, key).axes for key in figures.PENALTIES]
        for panels in zip(*drawn, strict=True):
            assert len({axes.get_xlim() for axes in panels}) == 1
            assert len({axes.get_ylim() for axes in panels}) == 1
            edges = [patch.get_data().edges for axes in panels for patch in axes.patches]
            width = edges[0][1] - edges[0][0]
            for each in edges:
                np.testing.assert_allclose(each / width, np.round(each / width), atol=1e-9)

    def test_nothing_high_or_low_is_cut_off(self, results):
        for key in figures.PENALTIES:
            for axes in figures.weight_density(results, key).axes:
                low, high = axes.get_ylim()
                values = axes.patches[0].get_data().values
                assert low < values[values > 0].min()
                assert values.max() < high

    def test_axes_are_labelled_and_the_run_without_a_penalty_is_behind_all(self, results):
        figure = figures.weight_density(results, "part1/l1_1e-5")
        assert figure.axes[0].get_ylabel() == "density"
        for axes in figure.axes:
            assert axes.get_xlabel() == "weight"
            assert [patch.get_gid() for patch in axes.patches] == ["part1/l1_1e-5", "part1/none"]

    def test_says_what_share_is_near_zero(self, results):
        key = "part1/l2_1e-2"
        (text,) = figures.weight_density(results, key).axes[0].texts
        assert f"{100 * figures.share_near_zero(results, key):.1f} % within ±0.01" in (
            text.get_text()
        )


def test_share_near_zero_and_quantile_by_hand():
    record = made_up.record(chapters.find("full", "part1/none"), arms.SEED_2016)
    # bins [-0.0125, -0.01), [-0.01, -0.0075), ..., the last [0.01, 0.0125)
    counts = [4, 1, 0, 0, 2, 1, 0, 0, 0, 2]
    record["weights"] = {"bin_width": 0.0025, "first_bin": -5, "counts": counts}
    results = figures.Results("full", {"part1/none": (record,)})
    assert figures.share_near_zero(results, "part1/none") == 0.4
    assert figures.magnitude_quantile(results, "part1/none", 0.3) == pytest.approx(0.0025)
    assert figures.magnitude_quantile(results, "part1/none", 0.31) == pytest.approx(0.01)
    assert figures.magnitude_quantile(results, "part1/none", 1) == pytest.approx(0.0125)


class TestGrids:
    @pytest.fixture
    def images(self):
        return mnist.digits()

    def test_original_shows_the_first_validation_images_a_column_a_class(self, images):
        inputs, classes = images.split("valid")
        picture = _picture(figures.augmentation_grid(images, "original"))
        for digit in range(10):
            for row, image in enumerate(inputs[classes == digit][:5]):
                tile = picture[30 * row : 30 * row + 28, 30 * digit : 30 * digit + 28]
                np.testing.assert_array_equal(tile, image.reshape(28, 28))

    @pytest.mark.parametrize("kind", GRIDS[1:])
    def test_every_image_is_transformed_on_one_scale_of_greys(self, images, kind):
        original = figures.augmentation_grid(images, "original")
        grid = figures.augmentation_grid(images, kind)
        before, after = _picture(original), _picture(grid)
        assert before.shape == after.shape
        for top in range(0, 150, 30):
            for left in range(0, 300, 30):
                tile = slice(top, top + 28), slice(left, left + 28)
                assert not np.array_equal(before[tile], after[tile])
        assert grid.axes[0].images[0].get_clim() == original.axes[0].images[0].get_clim()
        assert grid.axes[1].get_ylabel() == "pixel value"

    @pytest.mark.parametrize("kind", GRIDS)
    def test_drawn_twice_it_is_the_same(self, images, kind):
        one, other = (_picture(figures.augmentation_grid(images, kind)) for _ in range(2))
        np.testing.assert_array_equal(one, other)

    def test_shifts_go_down_and_right_by_one_to_four_pixels_and_differ(self, images):
        before = _picture(figures.augmentation_grid(images, "original"))
        after = _picture(figures.augmentation_grid(images, "shift"))
        found = set()
        for top in range(0, 150, 30):
            for left in range(0, 300, 30):
                one = before[top : top + 28, left : left + 28]
                other = after[top : top + 28, left : left + 28]
                found.add(
                    next(n for n in range(1, 5) if np.array_equal(other[n:, n:], one[:-n, :-n]))
                )
        assert found == {1, 2, 3, 4}

    def test_noise_adds_one_number_to_an_image(self, images):
        change = _picture(figures.augmentation_grid(images, "noise")) - _picture(
            figures.augmentation_grid(images, "original")
        )
        added = [
            change[top : top + 28, left : left + 28]
            for top in range(0, 150, 30)
            for left in range(0, 300, 30)
        ]
        assert all(np.ptp(each) < 1e-6 for each in added)
        assert len({round(float(each.mean()), 4) for each in added}) > 40

    def test_unknown_kind_is_refused(self, images):
        with pytest.raises(ValueError, match=r"kind must be one of .*'blur'"):
            figures.augmentation_grid(images, "blur")

    @pytest.mark.needs_mnist
    def test_mnist_is_shown_as_well(self):
        images = mnist.load()
        inputs, classes = images.split("valid")
        picture = _picture(figures.augmentation_grid(images, "original"))
        np.testing.assert_array_equal(picture[:28, :28].ravel(), inputs[classes == 0][0])


def _picture(figure):
    """The pixels of a grid, with NaN between the images."""
    return figure.axes[0].images[0].get_array().filled(np.nan)


@pytest.mark.parametrize("results", [FULL, QUICK], ids=["full", "quick"])
@pytest.mark.parametrize("draw", PICTURES, ids=lambda draw: draw.__name__)
class TestPictures:
    def test_dots_are_the_final_validation_figures_best_first(self, draw, results):
        for axes in draw(results).axes:
            dots = [line for line in axes.lines if line.get_gid()]
            column = "acc_valid" if "accuracy" in axes.get_xlabel() else "error_valid"
            finals = [results.final(dot.get_gid(), column) for dot in dots]
            assert [dot.get_xdata() for dot in dots] == finals
            assert finals == sorted(finals, reverse=column == "error_valid")
            assert [text.get_text() for text in axes.texts] == [
                labels.three_digits(final) for final in finals
            ]
            names = [tick.get_text() for tick in axes.get_yticklabels()]
            assert names == [labels.label(results, dot.get_gid()) for dot in dots]

    def test_the_axis_says_what_is_measured_and_when(self, draw, results):
        epochs = results.epochs("part1/none")[-1]
        for axes in draw(results).axes:
            assert axes.get_xlabel().endswith(f" after {epochs} epochs")
            assert axes.get_title("left")

    def test_texts_stay_within_the_figure_and_apart(self, draw, results):
        figure = draw(results)
        renderer = drawn(figure)
        box = figure.get_tightbbox(renderer)  # inches
        assert box.x0 >= 0
        assert box.x1 <= figure.get_figwidth()
        for upper, lower in zip(figure.axes, figure.axes[1:], strict=False):
            label = upper.xaxis.label.get_window_extent(renderer)
            assert not label.overlaps(lower.title.get_window_extent(renderer))


def test_training_dots_of_augmented_arms_are_those_on_clean_images():
    (axes,) = figures.part2_picture(FULL).axes
    for key in figures.AUGMENTATIONS[1:]:
        lines = [line for line in axes.lines if line.get_color() == figures.COLOURS[key]]
        shown = {float(value) for line in lines for value in np.ravel(line.get_xdata())}
        valid = FULL.final(key, "error_valid")
        assert shown == {FULL.final(key, "error_train_clean"), valid}


def test_each_arm_has_one_colour_and_those_of_a_figure_differ():
    wanted = {key for keys, _ in CURVES.values() for key in keys}
    assert wanted == set(figures.COLOURS) == set(FULL.runs)
    for keys in [keys for keys, _ in CURVES.values()] + [("part3/nn", *figures.KERNEL_SIZES)]:
        assert len({figures.COLOURS[key] for key in keys}) == len(keys)


def test_alt_texts_are_there_for_all_eighteen_figures():
    wanted = [f"1.{n}" for n in range(1, 9)] + [f"2.{n}" for n in range(1, 9)] + ["3.1", "3.2"]
    assert list(figures.ALT_TEXTS) == wanted
    assert all(text.endswith(".") and len(text) < 200 for text in figures.ALT_TEXTS.values())


def test_saved_twice_the_file_is_the_same():
    files = []
    for _ in range(2):
        file = io.BytesIO()
        figures.size_errors(FULL).savefig(file, format="svg", metadata={"Date": None})
        files.append(file.getvalue())
    assert files[0] == files[1]


def test_style_outside_a_notebook_leaves_its_machinery_alone():
    code = "import sys; from mlpcw.study.show import figures; figures.style();"
    code += "sys.exit('IPython' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


class TestSpread:
    @given(
        st.lists(st.floats(-5, 5), min_size=1, max_size=8),
        st.floats(0.01, 1),
    )
    def test_keeps_the_order_and_the_distance(self, positions, spacing):
        moved = look.spread(positions, spacing, low=-2)
        order = np.argsort(positions, kind="stable")
        assert (np.diff(np.array(moved)[order]) >= spacing - 1e-9).all()
        assert min(moved) >= -2

    def test_leaves_alone_what_is_apart(self):
        assert look.spread([3.0, 1.0, 2.0], 0.5) == [3.0, 1.0, 2.0]

    def test_moves_two_from_their_middle(self):
        assert look.spread([1.0, 1.0, 9.0], 1.0) == [0.5, 1.5, 9.0]
