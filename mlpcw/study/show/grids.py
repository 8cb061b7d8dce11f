"""Grids of images, all on one scale of greys."""

import numpy as np
from matplotlib.figure import Figure

from mlpcw import mnist
from mlpcw.study.show.style import WIDTH

_ROWS, _NUM_CLASSES, _GAP = 5, 10, 2


def example_inputs(images: mnist.ImageSet) -> np.ndarray:
    """The first five validation images of each class, a row of one each, `(50, 784)`."""
    inputs, labels = images.split("valid")
    of_class = [np.flatnonzero(labels == digit)[:_ROWS] for digit in range(_NUM_CLASSES)]
    return inputs[np.stack(of_class, axis=1).ravel()]  # (classes, rows) -> (rows * classes,)


def draw(inputs: np.ndarray) -> Figure:
    """Images in rows of ten.

    Args:
        inputs: Images, `(num_images, 784)`, a whole number of rows.
    """
    tiles = inputs.reshape(-1, _NUM_CLASSES, 28, 28)  # (rows, columns, height, width)
    tiles = np.pad(tiles, ((0, 0), (0, 0), (0, _GAP), (0, _GAP)), constant_values=np.nan)
    rows, columns, height, width = tiles.shape
    # (rows, height, columns, width) -> (rows * height, columns * width), less the last gap
    picture = tiles.swapaxes(1, 2).reshape(rows * height, columns * width)[:-_GAP, :-_GAP]
    figure = Figure(figsize=(WIDTH, 3.0))
    axes = figure.add_axes((0.005, 0.02, 0.86, 0.96))
    shades = axes.imshow(picture, cmap="gray_r", vmin=-0.5, vmax=1.5, interpolation="none")
    axes.set_axis_off()
    bar = figure.colorbar(shades, cax=figure.add_axes((0.88, 0.08, 0.02, 0.84)))
    bar.set_ticks([-0.5, 0, 0.5, 1, 1.5])
    bar.set_label("pixel value")
    return figure
