"""Chapter 2: its texts follow the runs; its grids show transformed images."""

import made_up
import numpy as np
import pytest

from mlpcw import mnist
from mlpcw.study.chapters import part2
from mlpcw.study.chapters.condition import gaps

FULL, QUICK = made_up.results("full"), made_up.results("quick")
GRIDS = ("original", "distortion", "noise", "shift", "rotation")


def test_augmentations_are_counted_by_the_runs():
    worse = made_up.changed(FULL, part2.INITIAL.key, "error_valid", 0.0001)
    assert "none end with a lower validation error" in part2.texts(worse)["part2_answer"]


@pytest.mark.parametrize("results", [FULL, QUICK], ids=["full", "quick"])
def test_the_gap_of_an_augmented_run_is_to_the_error_on_clean_images(results):
    columns = ("error_valid", "error_train_clean")
    valid, clean = (results.final(part2.ROTATION.key, column) for column in columns)
    assert gaps(results, [part2.ROTATION]) == {part2.ROTATION: pytest.approx(valid - clean)}


def test_sizes_are_named_by_what_was_run():
    assert part2.SIZES[2].label_in(FULL) == "10\u00a0000 images"
    assert part2.SIZES[2].label_in(QUICK) == "200 images"


def test_displacements_are_measured():
    noise = np.random.RandomState(1).uniform(-1, 1, size=(50, 28, 28))
    pixels = part2.rms_displacement
    assert pixels(34, 1e-3) == pytest.approx(34 * noise.std(), rel=0.02)
    assert pixels(68, 4) == pytest.approx(2 * pixels(34, 4))
    assert pixels(34, 10) < pixels(34, 1)


# ---- Grids ----------------------------------------------------------------------------------


def tiles(kind, images=None):
    """The images of a grid, `(50, 28, 28)`, with its figure."""
    figure = part2.image_grid(images or mnist.digits(), kind)
    pixels = figure.axes[0].images[0].get_array().filled(np.nan)
    assert pixels.shape == (5 * 30 - 2, 10 * 30 - 2)  # two pixels between images
    corners = [(top, left) for top in range(0, 150, 30) for left in range(0, 300, 30)]
    return np.array([pixels[top : top + 28, left : left + 28] for top, left in corners]), figure


@pytest.mark.parametrize(
    "load", [mnist.digits, pytest.param(mnist.load, marks=pytest.mark.needs_mnist)]
)
def test_original_shows_the_first_validation_images_a_column_a_class(load):
    images = load()
    inputs, classes = images.split("valid")
    shown, _ = tiles("original", images)
    for digit in range(10):
        first = inputs[classes == digit][:5].reshape(-1, 28, 28)
        np.testing.assert_array_equal(shown[digit::10], first)
    assert part2.images_shown(images).startswith("Images of")


@pytest.mark.parametrize("kind", GRIDS[1:])
def test_every_image_is_transformed_on_one_scale_of_greys_the_same_each_time(kind):
    before, original = tiles("original")
    after, figure = tiles(kind)
    assert (before != after).any(axis=(1, 2)).all()
    assert figure.axes[0].images[0].get_clim() == original.axes[0].images[0].get_clim()
    assert figure.axes[1].get_ylabel() == "pixel value"
    np.testing.assert_array_equal(after, tiles(kind)[0])


def test_shifts_go_down_and_right_by_one_to_four_pixels_and_differ():
    pixels = {
        next(n for n in range(1, 5) if np.array_equal(after[n:, n:], before[:-n, :-n]))
        for before, after in zip(tiles("original")[0], tiles("shift")[0], strict=True)
    }
    assert pixels == {1, 2, 3, 4}


def test_noise_adds_one_number_to_an_image():
    added = tiles("noise")[0] - tiles("original")[0]
    assert np.ptp(added, axis=(1, 2)).max() < 1e-6
    assert len(set(added.mean(axis=(1, 2)).round(4))) > 40


def test_an_unknown_grid_is_refused():
    with pytest.raises(ValueError, match=r"kind must be one of .*'blur'"):
        part2.image_grid(mnist.digits(), "blur")
