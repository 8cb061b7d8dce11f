"""Random displacement fields: noise, smoothed by a Gaussian blur."""

import math
from functools import lru_cache

import numpy as np

from mlpcw import checks
from mlpcw.augmenters.images import precision


def displacement_fields(noise: np.ndarray, alpha: float, sigma: float) -> np.ndarray:
    """Smooths noise into displacement fields: a Gaussian blur, times `alpha`.

    Equals `scipy.ndimage.gaussian_filter(field, sigma, mode="constant") * alpha` for each field.

    Args:
        noise: Uniform noise in [-1, 1), shape (..., height, width).
        alpha: Factor on the blurred noise, in pixels.
        sigma: Standard deviation of the blur in pixels.

    Returns:
        Displacements in pixels, of the shape of `noise`; float32 if it is, else float64.
    """
    height, width = noise.shape[-2:]
    dtype = precision(noise)
    # the blur is separable: down the columns, then along the rows
    down = _blur_matrix(height, sigma, dtype) * alpha
    return down @ noise @ _blur_matrix(width, sigma, dtype)


def random_fields(
    rng: checks.Rng, shape: tuple[int, ...], alpha: float, sigma: float, dtype: np.dtype
) -> np.ndarray:
    """Draws displacement fields for images of a dtype, shape (num_images, 2, height, width).

    A `Generator` takes as long for a float32 number as for a float64 one. For float32 images it
    therefore draws 64 bits for four numbers, each one of 65536 in [-1, 1): a distortion then takes
    5.9, not 9.0 microseconds an image of 28 x 28 pixels (`benchmarks/augmentation.py`).
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
    matrix.flags.writeable = False  # shared by all callers
    return matrix
