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
banded matrix, so is the prefilter of a spline, and what is left is to read images between their
pixels. That is a loop in `mlpcw.kernels` where kernels are compiled, else NumPy's, with the same
results. How much faster than SciPy it is, `benchmarks/augmentation.py` prints.
"""

import math
from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import numpy as np

from mlpcw import checks, compiled, kernels

NOISE_STANDARD_DEVIATION = 0.1**0.5
"""Standard deviation of the report's noise, in units of full white. Its variance is 0.1."""

BLOCK = 64
"""Images that are changed at once, so that their fields or coefficients stay in the cache."""


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

    For float32 inputs a `Generator` draws noise of 65536 levels, in a quarter of the draws: one
    seed distorts float32 and float64 inputs differently. A `RandomState` draws the same for both.

    Args:
        inputs, rng, fraction: As for every augmenter, see `mlpcw.augmenters`.
        alpha: Factor on the blurred fields, in pixels, at least 0.
        sigma: Standard deviation of the blur in pixels, greater than 0.

    Returns:
        A new batch of the shape and dtype of `inputs`.
    """
    alpha = checks.number("alpha", alpha, low=0, unit="pixels")
    sigma = checks.number("sigma", sigma, low=0, strict=True, unit="pixels")

    def transform(images: np.ndarray, chosen: np.ndarray, rng: checks.Rng) -> None:
        for block in _blocks(len(chosen)):
            shape = (len(chosen[block]), 2, *images.shape[1:])
            fields = _random_fields(rng, shape, alpha, sigma, images.dtype)
            _distort(images, chosen[block], fields)

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

    def transform(images: np.ndarray, chosen: np.ndarray, rng: checks.Rng) -> None:
        shape = (len(chosen), *images.shape[1:]) if per_pixel else (len(chosen), 1, 1)
        images[chosen] += rng.normal(0.0, std, size=shape)

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

    def transform(images: np.ndarray, chosen: np.ndarray, rng: checks.Rng) -> None:
        _shift(images, chosen, rng.uniform(-1, 1, size=(len(chosen), 2)) * max_shift, order)

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

    def transform(images: np.ndarray, chosen: np.ndarray, rng: checks.Rng) -> None:
        _rotate(images, chosen, rng.uniform(-1, 1, size=len(chosen)) * max_angle)

    return _augment(inputs, rng, fraction, transform)


# ---- what all four share ---------------------------------------------------------------------


def _augment(
    inputs: np.ndarray,
    rng: checks.Rng | None,
    fraction: float,
    transform: Callable[[np.ndarray, np.ndarray, checks.Rng], None],
) -> np.ndarray:
    """Returns a copy of `inputs` in which a random `fraction` of the images is transformed.

    The order of the draws is part of the contract, since it lets runs of 2016 be replayed digit
    for digit: first `choice` of the images, then whatever `transform` draws. It is called with
    images, the indices of those that it changes in place, and `rng`.
    """
    rng = checks.as_rng(rng)
    fraction = checks.number("fraction", fraction, low=0, high=1)
    # C order, so that the view of the copy as images is a view
    outputs = np.array(inputs, order="C")
    images = _as_images(outputs)  # (batch_size, height, width)
    batch_size = len(images)
    indices = rng.choice(batch_size, int(batch_size * fraction), replace=False)
    if images.dtype in (np.float32, np.float64):
        transform(images, indices, rng)
    else:
        changed = images[indices].astype(np.float64)
        transform(changed, np.arange(len(indices)), rng)
        images[indices] = changed
    return outputs


def _blocks(num_images: int) -> Iterator[slice]:
    """Yields slices of `BLOCK` images.

    Distortion of 500 float64 images takes 12.4 in place of 14.4 microseconds an image, a shift 5.1
    in place of 5.7; of float32 images less is gained (`benchmarks/augmentation.py`).
    """
    for start in range(0, num_images, BLOCK):
        yield slice(start, start + BLOCK)


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


def _precision(array: np.ndarray) -> type:
    """Returns the dtype that an array is computed with: float32 for float32, else float64."""
    return np.float32 if array.dtype == np.float32 else np.float64


def _changed(
    images: np.ndarray, change: Callable[..., None], name: str, argument: np.ndarray, *axes: int
) -> np.ndarray:
    """Returns a copy of all images, in their precision, that `change` has changed in place.

    Raises:
        ValueError: If there is not, for each image, an entry of shape `axes` in the argument.
    """
    if images.ndim != 3:
        raise ValueError(f"images must have shape (num_images, height, width), got {images.shape}")
    expected = (len(images), *axes)
    if np.shape(argument) != expected:
        raise ValueError(
            f"{name} must have shape {expected} for images of shape {images.shape},"
            f" got {np.shape(argument)}"
        )
    outputs = np.array(images, _precision(images), order="C")
    change(outputs, np.arange(len(outputs)), np.asarray(argument))
    return outputs


# ---- elastic distortion ----------------------------------------------------------------------


def displacement_fields(noise: np.ndarray, alpha: float, sigma: float) -> np.ndarray:
    """Makes smooth displacement fields from noise: a Gaussian blur, times `alpha`.

    Equals `scipy.ndimage.gaussian_filter(field, sigma, mode="constant") * alpha` for each field.

    Args:
        noise: Uniform noise in [-1, 1), shape (..., height, width).
        alpha: Factor on the blurred noise, in pixels.
        sigma: Standard deviation of the blur in pixels.

    Returns:
        Displacements in pixels, of the shape of `noise`; float32 if it is, else float64.
    """
    height, width = noise.shape[-2:]
    dtype = _precision(noise)
    # the blur is separable: down the columns, then along the rows
    down = _blur_matrix(height, sigma, dtype) * alpha
    return down @ noise @ _blur_matrix(width, sigma, dtype)


def _random_fields(
    rng: checks.Rng, shape: tuple[int, ...], alpha: float, sigma: float, dtype: np.dtype
) -> np.ndarray:
    """Draws displacement fields for images of a dtype, shape (num_images, 2, height, width).

    A `Generator` takes as long for a float32 number as for a float64 one. So for float32 images it
    draws 64 bits for four numbers, each one of 65536 in [-1, 1): a distortion then takes 5.9 in
    place of 9.0 microseconds an image of 28 x 28 pixels (`benchmarks/augmentation.py`).
    """
    if dtype == np.float64 or isinstance(rng, np.random.RandomState):
        return displacement_fields(rng.random(shape) * 2 - 1, alpha, sigma)
    size = math.prod(shape)
    bits = rng.integers(2**64 - 1, size=-(-size // 4), dtype=np.uint64, endpoint=True)
    noise = bits.view(np.int16)[:size].astype(np.float32)  # whole numbers, (size,)
    return displacement_fields(noise.reshape(shape), alpha / 2**15, sigma)


@lru_cache(maxsize=16)
def _blur_matrix(size: int, sigma: float, dtype: type) -> np.ndarray:
    """Returns the symmetric (size, size) matrix that blurs a signal of `size` pixels.

    Outside the signal is 0. As in SciPy the Gaussian is cut off at 4 sigma and its weights sum
    to 1.
    """
    radius = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights = np.append(weights[radius:] / weights.sum(), 0.0)  # by distance; the last: beyond
    pixels = np.arange(size)
    distances = np.abs(pixels[:, None] - pixels)
    matrix = weights[np.minimum(distances, radius + 1)].astype(dtype)
    matrix.flags.writeable = False  # it is shared by all who ask for it
    return matrix


def distort(images: np.ndarray, displacements: np.ndarray) -> np.ndarray:
    """Reads each image at displaced pixels: output (y, x) is the image at (y + dy, x + dx).

    Equals `scipy.ndimage.map_coordinates(image, (y + dy, x + dx), order=1)` for each image.

    Args:
        images: Shape (num_images, height, width).
        displacements: Fields dx, then dy, in pixels: shape (num_images, 2, height, width).

    Returns:
        Distorted images, shape (num_images, height, width); float32 if `images` are, else float64.
    """
    return _changed(images, _distort, "displacements", displacements, 2, *images.shape[1:])


def _distort(images: np.ndarray, chosen: np.ndarray, displacements: np.ndarray) -> None:
    """Distorts the chosen images in place, in the wider of the two precisions."""
    dtype = np.result_type(images, _precision(displacements))
    # (num_chosen, 2, height, width) -> (num_chosen, 2, height * width)
    displacements = displacements.reshape(*displacements.shape[:2], math.prod(images.shape[1:]))
    _sample_bilinear(
        *(images, chosen),
        offsets=np.zeros((1, 2), dtype),
        matrices=np.eye(2, dtype=dtype)[None],  # (1, 2, 2)
        displacements=displacements.astype(dtype, order="C", copy=False),
    )


# ---- rotation --------------------------------------------------------------------------------


def rotate(images: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotates each image about its centre by its own angle.

    Equals `scipy.ndimage.rotate(image, angle, order=1, reshape=False)` for each image.

    Args:
        images: Shape (num_images, height, width).
        angles: Degrees, counter-clockwise as the image is shown, shape (num_images,).

    Returns:
        Rotated images, shape (num_images, height, width); float32 if `images` are, else float64.
    """
    return _changed(images, _rotate, "angles", angles)


def _rotate(images: np.ndarray, chosen: np.ndarray, angles: np.ndarray) -> None:
    """Rotates the chosen images in place. The coordinates are float64, else 1e-6 would be lost."""
    from scipy import special  # here, since importing it takes a tenth of a second

    height, width = images.shape[1:]
    angles = angles.astype(np.float64)
    # cosdg and sindg take degrees and are exact at multiples of 90
    cosines, sines = special.cosdg(angles), special.sindg(angles)
    rotations = np.stack([cosines, sines, -sines, cosines], axis=-1)
    rotations = rotations.reshape(-1, 2, 2)  # (num_chosen, 4) -> (num_chosen, 2, 2)
    centre = (np.array([height, width]) - 1) / 2
    offsets = centre - rotations @ centre  # (num_chosen, 2)
    _sample_bilinear(images, chosen, offsets, rotations, np.zeros((1, 2, height * width)))


# ---- reading images between their pixels -----------------------------------------------------


def _sample_bilinear(
    images: np.ndarray,
    chosen: np.ndarray,
    offsets: np.ndarray,
    matrices: np.ndarray,
    displacements: np.ndarray,
) -> None:
    """Replaces pixel (y, x) of the chosen images by what is at offset + matrix @ (y, x) + field.

    As in SciPy's mode "constant" a point is outside, and read as 0, as soon as it is beyond the
    centres of the border pixels: nothing is interpolated between the border and 0.

    Args:
        images: Shape (num_images, height, width), float32 or float64; changed in place.
        chosen: Indices of images, each at most once, shape (num_chosen,).
        offsets: Pixels along y, then x, shape (num_chosen or 1, 2). One serves all images.
        matrices: Shape (num_chosen or 1, 2, 2).
        displacements: Pixels along x, then y, shape (num_chosen or 1, 2, height * width). The
            arithmetic is done in their dtype, which is that of `offsets` and `matrices` too.
    """
    if compiled.enabled():
        kernels.sample_bilinear(images, chosen, offsets, matrices, displacements)
        return
    height, width = images.shape[1:]
    dtype = displacements.dtype
    rows, columns = np.divmod(np.arange(height * width), width)
    rows, columns = rows.astype(dtype), columns.astype(dtype)  # (height * width,) each
    # The sums are taken in SciPy's order, so that what lies exactly on the border lies there for
    # both. (num_chosen, height * width) each.
    y, x = (
        offsets[:, axis, None]
        + rows * matrices[:, axis, 0, None]
        + columns * matrices[:, axis, 1, None]
        + displacements[:, 1 - axis]
        for axis in (0, 1)
    )
    inside = (y >= 0) & (y <= height - 1) & (x >= 0) & (x <= width - 1)
    y, x = np.where(inside, y, 0), np.where(inside, x, 0)
    top, left = np.floor(y), np.floor(x)
    down, right = y - top, x - left

    # one row and one column of zeros more, so that pixels of the far border have neighbours too
    padded = np.zeros((len(chosen), height + 1, width + 1), dtype)
    padded[:, :height, :width] = images[chosen]
    pixels = padded.ravel()  # (num_chosen * (height + 1) * (width + 1),)
    below = width + 1  # from a pixel to the one below it
    image = np.arange(len(chosen))[:, None]
    corner = (image * (height + 1) + top.astype(np.intp)) * below + left.astype(np.intp)

    above, under = pixels.take(corner), pixels.take(corner + below)
    above += (pixels.take(corner + 1) - above) * right
    under += (pixels.take(corner + below + 1) - under) * right
    values = np.where(inside, above + (under - above) * down, 0)
    images[chosen] = values.reshape(len(chosen), height, width)


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
        Moved images, shape (num_images, height, width); float32 if `images` are, else float64.
    """
    return _changed(images, partial(_shift, order=order), "offsets", offsets, 2)


def _shift(images: np.ndarray, chosen: np.ndarray, offsets: np.ndarray, order: int) -> None:
    """Moves the chosen images in place."""
    height, width = images.shape[1:]
    offsets = offsets.astype(np.float64, order="C")
    if order == 3 and images.size and compiled.enabled():
        to_rows = _margin_matrix(height, images.dtype.type)
        to_columns = _margin_matrix(width, images.dtype.type)
        for block in _blocks(len(chosen)):
            # (block_size, height + 4, width + 4)
            coefficients = to_rows @ (images[chosen[block]] @ to_columns.T)
            kernels.shift_cubic(images, chosen[block], offsets[block], coefficients)
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
    matrix.flags.writeable = False  # it is shared by all who ask for it
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
