"""Shifts by parts of a pixel: images read with splines."""

import math
from functools import lru_cache, partial

import numpy as np

from mlpcw import compiled
from mlpcw.augmenters.images import changed
from mlpcw.compiled import kernel


def shift(images: np.ndarray, offsets: np.ndarray, order: int = 3) -> np.ndarray:
    """Moves each image down and right by its own offsets, reading it with splines.

    Equals `scipy.ndimage.shift(image, (down, right), order=order)` for each image. A shift is
    separable and linear in the pixels, so it is one small matrix from the left, for the rows, and
    one from the right, for the columns.

    Args:
        images: Shape (num_images, height, width).
        offsets: Pixels down, then right, shape (num_images, 2); negative goes up or left.
        order: Order of the splines, 0 to 5.

    Returns:
        Moved images, shape (num_images, height, width); float32 if `images` are, else float64.
    """
    return changed(images, partial(shift_in_place, order=order), "offsets", offsets, 2)


def shift_in_place(images: np.ndarray, chosen: np.ndarray, offsets: np.ndarray, order: int) -> None:
    """Moves the chosen images."""
    height, width = images.shape[1:]
    offsets = offsets.astype(np.float64, order="C")
    if order == 3 and images.size and compiled.enabled():
        to_rows = _margin_matrix(height, images.dtype.type)
        to_columns = _margin_matrix(width, images.dtype.type)
        # (num_chosen, height + 4, width + 4)
        coefficients = to_rows @ (images[chosen] @ to_columns.T)
        shift_cubic(images, chosen, offsets, coefficients)
        return
    down = _shift_matrices(height, offsets[:, 0], order)
    right = _shift_matrices(width, offsets[:, 1], order)
    images[chosen] = down @ images[chosen] @ right.transpose(0, 2, 1)


@lru_cache(maxsize=16)
def _margin_matrix(size: int, dtype: type) -> np.ndarray:
    """Returns the matrix from `size` pixels to coefficients of cubic splines, two more each side.

    Shape (size + 4, size).
    """
    pixels = _mirror(np.arange(-2, size + 2), size)
    matrix = _coefficient_matrix(size, 3)[pixels].astype(dtype)
    matrix.flags.writeable = False  # shared by all callers
    return matrix


def _shift_matrices(size: int, offsets: np.ndarray, order: int) -> np.ndarray:
    """Returns, for each offset, the matrix that moves a signal of `size` pixels by it.

    Args:
        size: Number of pixels of the signal.
        offsets: Pixels, shape (num_offsets,).
        order: Order of the splines.

    Returns:
        Shape (num_offsets, size, size): row i holds the weights of the pixels in output i.
    """
    positions = np.arange(size) - offsets[:, None]  # (num_offsets, size): where output i is read
    outside = ~((positions >= 0) & (positions <= size - 1))  # NaN too
    positions[outside] = 0.0
    matrices = _spline_matrices(positions, order) @ _coefficient_matrix(size, order)
    # An interpolating spline passes through its pixels: a whole shift copies them, here exactly.
    whole = positions == np.rint(positions)
    matrices[whole] = np.eye(size)[positions[whole].astype(int)]
    matrices[outside] = 0.0
    return matrices


@lru_cache(maxsize=16)
def _coefficient_matrix(size: int, order: int) -> np.ndarray:
    """Returns the matrix from `size` pixels to the coefficients of the spline through them.

    It undoes the matrix that reads a spline at its own pixels. SciPy calls this the prefilter.
    """
    matrix = np.linalg.inv(_spline_matrices(np.arange(size)[None], order)[0])
    matrix.flags.writeable = False  # shared by all callers
    return matrix


def _spline_matrices(positions: np.ndarray, order: int) -> np.ndarray:
    """Returns the matrices that read splines at given positions from their coefficients.

    Args:
        positions: Pixels, shape (num_matrices, size).
        order: Order of the splines.

    Returns:
        Shape (num_matrices, size, size). Coefficients beyond the border are those mirrored at the
        centre of the border pixel, as SciPy has it.
    """
    num_matrices, size = positions.shape
    matrix, row = np.ogrid[:num_matrices, :size]
    # a spline of order n is a sum of n + 1 bumps: those at `first` and at the n pixels after it
    first = np.floor(positions - (order + 1) / 2).astype(int) + 1
    matrices = np.zeros((num_matrices, size, size))
    for pixel in (first + step for step in range(order + 1)):
        # (matrix, row) is an index once, so that += adds every weight
        matrices[matrix, row, _mirror(pixel, size)] += _bump(positions - pixel, order)
    return matrices


def _bump(x: np.ndarray, order: int) -> np.ndarray:
    """Returns the B-spline centred on 0 at `x` pixels, by de Boor's recursion."""
    if order == 0:
        return ((x >= -0.5) & (x < 0.5)).astype(float)
    half_width = (order + 1) / 2
    rising = (half_width + x) * _bump(x + 0.5, order - 1)
    falling = (half_width - x) * _bump(x - 0.5, order - 1)
    return (rising + falling) / order


def _mirror(pixel: np.ndarray, size: int) -> np.ndarray:
    """Returns pixels beyond the border reflected at the centre of the border pixel."""
    period = max(2 * (size - 1), 1)
    pixel = pixel % period
    return np.minimum(pixel, period - pixel)


@kernel()
def shift_cubic(
    images: np.ndarray, chosen: np.ndarray, offsets: np.ndarray, coefficients: np.ndarray
) -> None:
    """Moves the chosen images (num_images, height, width) by offsets, with cubic splines.

    A shift is the same for all pixels, so an image needs four weights an axis: 3.2 microseconds an
    image of 28 x 28 pixels, float32; products with matrices of weights take 22
    (`benchmarks/augmentation.py`).

    Args:
        images, chosen, offsets: As for `shift_in_place`.
        coefficients: Of the splines through the chosen images, two more on every side: shape
            (num_chosen, height + 4, width + 4).
    """
    height, width = images.shape[1:]
    stride = width + 4  # from a coefficient to the one below it
    weights = np.empty((2, 4), coefficients.dtype)
    first = np.empty(2, np.int64)  # coefficient that output 0 begins with
    low, high = np.empty(2, np.int64), np.empty(2, np.int64)  # outputs that are inside the image
    # `between` is read from the columns of the coefficients, `values` from its rows. Both loops run
    # across the ends of rows, where the results mean nothing: a single row is too short to be
    # vectorised. `padded` has a row more above and below.
    padded = np.zeros((height + 2) * stride, coefficients.dtype)
    between = padded[stride:]
    values = np.empty(height * stride, coefficients.dtype)
    for k in range(len(chosen)):
        image = images[chosen[k]]
        down, right = offsets[k]
        if not (abs(down) < height and abs(right) < width):
            image[:] = 0  # all of it is outside, as it is if an offset is NaN
            continue
        for axis in range(2):
            offset, extent = offsets[k, axis], image.shape[axis]
            low[axis], high[axis] = 0, extent
            while low[axis] - offset < 0:
                low[axis] += 1
            while high[axis] - 1 - offset > extent - 1:
                high[axis] -= 1
            first[axis] = math.floor(-offset) + 1
            t = -offset - math.floor(-offset)
            weights[axis, 0] = (1 - t) ** 3 / 6
            weights[axis, 1] = (4 - 6 * t**2 + 3 * t**3) / 6
            weights[axis, 2] = (1 + 3 * t + 3 * t**2 - 3 * t**3) / 6
            weights[axis, 3] = t**3 / 6
        if down == math.floor(down) and right == math.floor(right):
            # A spline passes through its pixels: they are copied exactly.
            before = image.copy()
            image[:] = 0
            for y in range(low[0], high[0]):
                for x in range(low[1], high[1]):
                    image[y, x] = before[y - int(down), x - int(right)]
            continue
        count = (high[0] - low[0]) * stride
        # Slices, all read at p: for an index p + 1 Numba would check whether it is negative.
        column = coefficients[k].reshape(-1)[(low[0] + first[0]) * stride :]
        one, two = column, column[stride:]
        three, four = column[2 * stride :], column[3 * stride :]
        a, b, c, d = weights[0]
        for p in range(count):
            between[p] = a * one[p] + b * two[p] + c * three[p] + d * four[p]
        a, b, c, d = weights[1]
        row = padded[stride + first[1] :]
        one, two, three, four = row, row[1:], row[2:], row[3:]
        for p in range(count):
            values[p] = a * one[p] + b * two[p] + c * three[p] + d * four[p]
        image[:] = 0
        for y in range(low[0], high[0]):
            for x in range(low[1], high[1]):
                image[y, x] = values[(y - low[0]) * stride + x]
