"""Random changes of images that leave their class as it is: more data from the same data.

A digit that is rotated a little, moved a little, bent as if by another hand, or seen in another
light is still the same digit. There are four augmenters, those of Part 2 of the report:
`random_distortion`, `random_noise`, `random_shift` and `random_rotation`. One contract holds for
all:

* `inputs` are a batch of images, (batch_size, side * side) or (batch_size, height, width), of
  floating-point numbers. They are never modified.
* `rng` is a `RandomState` or a `Generator`; None means fresh entropy. The images to change are
  drawn first, then how to change them.
* `fraction`, from 0 to 1, is the part of the batch that is changed, rounded down to whole images.
* Returned is a new batch of the same shape and dtype. With strength 0 it equals `inputs`.
* An argument of the wrong kind raises `TypeError`, one out of its range `ValueError`.

Each random augmenter is a thin layer over a deterministic one that is told exactly what to do:
`distort` (with `displacement_fields`), `rotate` and `shift`. Those compute what `scipy.ndimage`
computes one image at a time, for a whole batch at once: a Gaussian blur is a product with a small
banded matrix, a spline shift is a product with a small matrix from each side, and what is left,
reading an image between its pixels, is `_sample_bilinear`. How much faster that is,
`benchmarks/augmentation.py` prints.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy import special

from mlpcw import checks

NOISE_STANDARD_DEVIATION = 0.1**0.5
"""Standard deviation of the report's noise, in units of full white. Its variance is 0.1."""


# ---- the four random augmenters --------------------------------------------------------------


def random_distortion(
    inputs: np.ndarray,
    rng: checks.Rng | None,
    alpha: float = 34.0,
    sigma: float = 4.0,
    fraction: float = 0.25,
) -> np.ndarray:
    """Bends a random part of a batch of images elastically, as other hands would write them.

    Every pixel is displaced by a random field that a Gaussian blur has made smooth (Simard,
    Steinkraus and Platt 2003; report, Part 2). With `alpha` fixed a larger `sigma` makes the
    field smoother and weaker at once: at alpha 34 the root mean square of a displacement is
    5.4 pixels at sigma 1, 1.3 pixels at sigma 4 and 0.44 pixels at sigma 10 (28 x 28 images).

    Args:
        inputs, rng, fraction: As for every augmenter, see `mlpcw.augmenters`.
        alpha: Factor on the blurred fields, in pixels, at least 0.
        sigma: Standard deviation of the blur in pixels, greater than 0.

    Returns:
        A new batch of the shape and dtype of `inputs`.
    """
    alpha = checks.number("alpha", alpha, low=0, unit="pixels")
    sigma = checks.number("sigma", sigma, low=0, above=True, unit="pixels")

    def transform(images: np.ndarray, rng: checks.Rng) -> np.ndarray:
        num_images, height, width = images.shape
        noise = rng.random((num_images, 2, height, width)) * 2 - 1
        return distort(images, displacement_fields(noise, alpha, sigma))

    return _augment(inputs, rng, fraction, transform)


def random_noise(
    inputs: np.ndarray,
    rng: checks.Rng | None,
    std: float = NOISE_STANDARD_DEVIATION,
    fraction: float = 0.25,
    per_pixel: bool = False,
) -> np.ndarray:
    """Adds Gaussian noise to a random part of a batch of images.

    By default one number is drawn for each image and added to all its pixels, a change of
    brightness: the report's "different range of grayscales" (Part 2). With `per_pixel` every
    pixel gets a number of its own.

    Args:
        inputs, rng, fraction: As for every augmenter, see `mlpcw.augmenters`.
        std: Standard deviation of the noise in units of full white, at least 0.
        per_pixel: Whether to draw one number for each pixel instead of one for each image.

    Returns:
        A new batch of the shape and dtype of `inputs`. Values are not clipped.
    """
    std = checks.number("std", std, low=0)

    def transform(images: np.ndarray, rng: checks.Rng) -> np.ndarray:
        num_images, height, width = images.shape
        shape = (num_images, height, width) if per_pixel else (num_images, 1, 1)
        return images + rng.normal(0.0, std, size=shape)

    return _augment(inputs, rng, fraction, transform)


def random_shift(
    inputs: np.ndarray,
    rng: checks.Rng | None,
    max_shift: float = 4.0,
    fraction: float = 0.25,
    order: int = 3,
) -> np.ndarray:
    """Moves each of a random part of a batch of images by a random distance along each axis.

    The distance down and the distance right are drawn for each image from
    U(-max_shift, max_shift), so a shift goes in every direction and by parts of a pixel; the
    image is read between its pixels with splines (report, Part 2).

    Args:
        inputs, rng, fraction: As for every augmenter, see `mlpcw.augmenters`.
        max_shift: Largest shift along an axis in pixels, at least 0.
        order: Order of the splines, 0 to 5.

    Returns:
        A new batch of the shape and dtype of `inputs`; what moves in from outside is 0.
    """
    max_shift = checks.number("max_shift", max_shift, low=0, unit="pixels")
    order = checks.whole_number("order", order, low=0, high=5)

    def transform(images: np.ndarray, rng: checks.Rng) -> np.ndarray:
        offsets = rng.uniform(-1, 1, size=(len(images), 2)) * max_shift
        return shift(images, offsets, order)

    return _augment(inputs, rng, fraction, transform)


def random_rotation(
    inputs: np.ndarray,
    rng: checks.Rng | None,
    max_angle: float = 30.0,
    fraction: float = 0.25,
) -> np.ndarray:
    """Rotates each of a random part of a batch of images by a random angle about its centre.

    The angles are drawn from U(-max_angle, max_angle); the image is read between its pixels
    bilinearly.

    Args:
        inputs, rng, fraction: As for every augmenter, see `mlpcw.augmenters`.
        max_angle: Largest angle in degrees, at least 0.

    Returns:
        A new batch of the shape and dtype of `inputs`; what turns in from outside is 0.
    """
    max_angle = checks.number("max_angle", max_angle, low=0, unit="degrees")

    def transform(images: np.ndarray, rng: checks.Rng) -> np.ndarray:
        return rotate(images, rng.uniform(-1, 1, size=len(images)) * max_angle)

    return _augment(inputs, rng, fraction, transform)


# ---- what all four share ---------------------------------------------------------------------


def _augment(
    inputs: np.ndarray,
    rng: checks.Rng | None,
    fraction: float,
    transform: Callable[[np.ndarray, checks.Rng], np.ndarray],
) -> np.ndarray:
    """Returns a copy of `inputs` in which a random `fraction` of the images is transformed.

    The order of the draws is part of the contract, since it lets runs of 2016 be replayed digit
    for digit: first `choice` of the images, then whatever `transform` draws.
    """
    rng = checks.as_rng(rng)
    fraction = checks.number("fraction", fraction, low=0, high=1)
    # C order, so that the view of the copy as images is a view
    outputs = np.array(inputs, order="C")
    images = _as_images(outputs)  # (batch_size, height, width)
    batch_size = len(images)
    indices = rng.choice(batch_size, int(batch_size * fraction), replace=False)
    images[indices] = transform(images[indices], rng)
    return outputs


def _as_images(inputs: np.ndarray) -> np.ndarray:
    """Returns a view of flat or two-dimensional images as (batch_size, height, width)."""
    if not np.issubdtype(inputs.dtype, np.floating):
        raise TypeError(f"inputs must be floating-point numbers, got dtype {inputs.dtype}")
    if inputs.ndim == 3:
        return inputs
    if inputs.ndim == 2:
        side = round(inputs.shape[1] ** 0.5)
        if side * side == inputs.shape[1]:
            return inputs.reshape(len(inputs), side, side)  # (batch_size, side, side)
    raise ValueError(
        "inputs must have shape (batch_size, side * side) or (batch_size, height, width), "
        f"got {inputs.shape}"
    )


# ---- elastic distortion ----------------------------------------------------------------------


def displacement_fields(noise: np.ndarray, alpha: float, sigma: float) -> np.ndarray:
    """Makes smooth displacement fields from noise: a Gaussian blur, times `alpha`.

    Equals `scipy.ndimage.gaussian_filter(field, sigma, mode="constant") * alpha` for each field.

    Args:
        noise: Uniform noise in [-1, 1), shape (..., height, width).
        alpha: Factor on the blurred noise, in pixels.
        sigma: Standard deviation of the blur in pixels.

    Returns:
        Displacements in pixels, float64, of the shape of `noise`.
    """
    height, width = noise.shape[-2:]
    # the blur is separable: down the columns, then along the rows
    return _blur_matrix(height, sigma) @ noise @ _blur_matrix(width, sigma) * alpha


@lru_cache(maxsize=16)
def _blur_matrix(size: int, sigma: float) -> np.ndarray:
    """Returns the symmetric (size, size) matrix that blurs a signal of `size` pixels.

    Outside the signal is 0. As in SciPy the Gaussian is cut off at 4 sigma and its weights sum
    to 1.
    """
    radius = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights = np.append(weights[radius:] / weights.sum(), 0.0)  # by distance; the last: beyond
    pixels = np.arange(size)
    distances = np.abs(pixels[:, None] - pixels)
    matrix = weights[np.minimum(distances, radius + 1)]
    matrix.flags.writeable = False  # it is shared by all who ask for it
    return matrix


def distort(images: np.ndarray, displacements: np.ndarray) -> np.ndarray:
    """Reads each image at displaced pixels: output (y, x) is the image at (y + dy, x + dx).

    Equals `scipy.ndimage.map_coordinates(image, (y + dy, x + dx), order=1)` for each image.

    Args:
        images: Shape (num_images, height, width).
        displacements: Fields dx, then dy, in pixels: shape (num_images, 2, height, width).

    Returns:
        Distorted images, float64, shape (num_images, height, width).
    """
    height, width = images.shape[1:]
    dx, dy = displacements[:, 0], displacements[:, 1]  # (num_images, height, width) each
    return _sample_bilinear(images, np.arange(height)[:, None] + dy, np.arange(width) + dx)


# ---- rotation --------------------------------------------------------------------------------


def rotate(images: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotates each image about its centre by its own angle.

    Equals `scipy.ndimage.rotate(image, angle, order=1, reshape=False)` for each image.

    Args:
        images: Shape (num_images, height, width).
        angles: Degrees, counter-clockwise as the image is shown, shape (num_images,).

    Returns:
        Rotated images, float64, shape (num_images, height, width).
    """
    height, width = images.shape[1:]
    # cosdg and sindg take degrees and are exact at multiples of 90
    cosines, sines = special.cosdg(angles), special.sindg(angles)
    rotations = np.stack([cosines, sines, -sines, cosines], axis=-1)
    rotations = rotations.reshape(-1, 2, 2)  # (num_images, 4) -> (num_images, 2, 2)
    centre = (np.array([height, width]) - 1) / 2
    offsets = centre - rotations @ centre  # (num_images, 2)
    # Pixel (y, x) of the output is read at offset + rotation @ (y, x). The sums are taken in
    # SciPy's order, so that what lies exactly on the border lies there for both.
    rows, columns = np.arange(height)[:, None], np.arange(width)
    y, x = (
        offsets[:, axis, None, None]
        + rows * rotations[:, axis, 0, None, None]
        + columns * rotations[:, axis, 1, None, None]
        for axis in (0, 1)
    )
    return _sample_bilinear(images, y, x)


def _sample_bilinear(images: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Reads images between their pixels, weighting the four neighbours; 0 outside the image.

    As in SciPy's mode "constant" a point is outside as soon as it is beyond the centres of the
    border pixels: nothing is interpolated between the border and 0.

    Args:
        images: Shape (num_images, height, width).
        y, x: Where to read image n, in pixels: shape (num_images, out_height, out_width) each.

    Returns:
        Values, float64, shape (num_images, out_height, out_width).
    """
    num_images, height, width = images.shape
    inside = (y >= 0) & (y <= height - 1) & (x >= 0) & (x <= width - 1)
    y, x = np.where(inside, y, 0.0), np.where(inside, x, 0.0)
    top, left = y.astype(np.intp), x.astype(np.intp)  # rounds down: no coordinate is negative
    # 1 - (1 - y) may differ from y in its last bit: it is what SciPy computes, as is the order of
    # the products and of the sum below, so that the values are equal to the last bit.
    weight_top, weight_left = 1 - (y - top), 1 - (x - left)
    weight_bottom, weight_right = 1 - weight_top, 1 - weight_left

    # one row and one column of zeros more, so that pixels of the far border have neighbours too
    padded = np.zeros((num_images, height + 1, width + 1))
    padded[:, :height, :width] = images
    pixels = padded.ravel()  # (num_images * (height + 1) * (width + 1),)
    below = width + 1  # from a pixel to the one below it
    image = np.arange(num_images)[:, None, None]
    corner = (image * (height + 1) + top) * below + left

    values = pixels.take(corner) * weight_top * weight_left
    values += pixels.take(corner + 1) * weight_top * weight_right
    values += pixels.take(corner + below) * weight_bottom * weight_left
    values += pixels.take(corner + below + 1) * weight_bottom * weight_right
    return values * inside


# ---- shift -----------------------------------------------------------------------------------


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
        Moved images, float64, shape (num_images, height, width).
    """
    height, width = images.shape[1:]
    offsets = np.asarray(offsets, dtype=float)
    down = _shift_matrices(height, offsets[:, 0], order)
    right = _shift_matrices(width, offsets[:, 1], order)
    return down @ images @ right.transpose(0, 2, 1)


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
    outside = (positions < 0) | (positions > size - 1)
    positions[outside] = 0.0
    matrices = _spline_matrices(positions, order) @ _coefficient_matrix(size, order)
    # An interpolating spline passes through its pixels: a whole shift copies them. Said outright,
    # so that it copies them exactly.
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
    matrix.flags.writeable = False  # it is shared by all who ask for it
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
        # each (matrix, row) stands here once, so that += adds every weight
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
