"""Random changes of images that keep their class: more data from the same data.

A digit that is rotated a little, moved a little, bent as by a different hand, or seen in different
light is still the same digit. There are four augmenters, those of Part 2 of the report:
`random_distortion`, `random_noise`, `random_shift` and `random_rotation`. One contract holds for
all:

* `inputs` are a batch of images, (batch_size, side * side) or (batch_size, height, width), of
  floating-point numbers. They are never modified.
* `rng` is a `RandomState` or a `Generator`; None means fresh entropy. The images to change are
  drawn first, then how to change them.
* `fraction`, from 0 to 1, is the part of the batch that is changed, rounded down to whole images.
* The result is a new batch of the same shape and dtype. With strength 0 it equals `inputs`.
* An argument of the wrong kind raises `TypeError`, one out of its range `ValueError`.

Each random augmenter is a thin layer over a deterministic one with explicit arguments: `distort`
(with `displacement_fields`), `rotate` and `shift`. Those compute for a whole batch at once what
`scipy.ndimage` computes for one image: a Gaussian blur is a product with a small banded matrix, so
is the prefilter of a spline, and the rest is interpolation, a loop compiled by Numba or else NumPy,
with the same results. `benchmarks/augmentation.py` prints how much faster than SciPy they are.
"""

from collections.abc import Callable

import numpy as np

from mlpcw import checks
from mlpcw.augmenters import fields
from mlpcw.augmenters.fields import displacement_fields
from mlpcw.augmenters.images import as_images
from mlpcw.augmenters.sampling import distort, distort_in_place, rotate, rotate_in_place
from mlpcw.augmenters.splines import shift, shift_in_place

__all__ = [
    "NOISE_STANDARD_DEVIATION",
    "displacement_fields",
    "distort",
    "random_distortion",
    "random_noise",
    "random_rotation",
    "random_shift",
    "rotate",
    "shift",
]

NOISE_STANDARD_DEVIATION = 0.1**0.5
"""Standard deviation of the report's noise, in units of full white. Its variance is 0.1."""

BLOCK = 64
"""Images that are distorted at once.

Their fields stay in the cache: all of a batch of 100 takes 1.5 ms in float64, and 1.8 ms at once.
"""


def random_distortion(
    inputs: np.ndarray,
    rng: checks.Rng | None,
    alpha: float = 34.0,
    sigma: float = 4.0,
    fraction: float = 0.25,
) -> np.ndarray:
    """Bends a random part of a batch of images elastically, as if written by different hands.

    Every pixel is displaced by random noise, smoothed by a Gaussian blur (Simard, Steinkraus and
    Platt 2003; report, Part 2). With `alpha` fixed a larger `sigma` makes the displacements
    smoother and smaller at once: at alpha 34 their root mean square is 5.4 pixels at sigma 1, 1.3
    pixels at sigma 4 and 0.44 pixels at sigma 10 (28 x 28 images).

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
        for start in range(0, len(chosen), BLOCK):
            block = chosen[start : start + BLOCK]
            shape = (len(block), 2, *images.shape[1:])
            displacements = fields.random_fields(rng, shape, alpha, sigma, images.dtype)
            distort_in_place(images, block, displacements)

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
        shift_in_place(images, chosen, rng.uniform(-1, 1, size=(len(chosen), 2)) * max_shift, order)

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
        rotate_in_place(images, chosen, rng.uniform(-1, 1, size=len(chosen)) * max_angle)

    return _augment(inputs, rng, fraction, transform)


def _augment(
    inputs: np.ndarray,
    rng: checks.Rng | None,
    fraction: float,
    transform: Callable[[np.ndarray, np.ndarray, checks.Rng], None],
) -> np.ndarray:
    """Returns a copy of `inputs` in which a random `fraction` of the images is transformed.

    The order of the draws is part of the contract, because runs of 2016 are replayed digit for
    digit: first `choice` of the images, then the draws of `transform`, which is called with images,
    the indices of those that it changes in place, and `rng`.
    """
    rng = checks.as_rng(rng)
    fraction = checks.number("fraction", fraction, low=0, high=1)
    # C order, so that the view of the copy as images is a view
    outputs = np.array(inputs, order="C")
    images = as_images(outputs)  # (batch_size, height, width)
    batch_size = len(images)
    indices = rng.choice(batch_size, int(batch_size * fraction), replace=False)
    if images.dtype in (np.float32, np.float64):
        transform(images, indices, rng)
    else:
        changed = images[indices].astype(np.float64)
        transform(changed, np.arange(len(indices)), rng)
        images[indices] = changed
    return outputs
