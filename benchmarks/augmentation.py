"""How fast the augmenters are: against SciPy called for one image after the other.

Run as `python benchmarks/augmentation.py`. It first checks that both compute the same.
"""

import numpy as np
from scipy import ndimage
from timing import best_times, check_agreement

from mlpcw import augmenters

SIDE = 28
BATCH_SIZES = (25, 500)
ALPHA, SIGMA, MAX_ANGLE, MAX_SHIFT = 34.0, 4.0, 30.0, 4.0


def scipy_distort(images, noise):
    y, x = np.mgrid[:SIDE, :SIDE]
    distorted = []
    for image, fields in zip(images, noise, strict=True):
        dx, dy = (ndimage.gaussian_filter(field, SIGMA, mode="constant") for field in fields)
        coordinates = (y + dy * ALPHA, x + dx * ALPHA)
        distorted.append(ndimage.map_coordinates(image, coordinates, order=1))
    return np.array(distorted)


def scipy_rotate(images, angles):
    return np.array(
        [
            ndimage.rotate(image, angle, order=1, reshape=False)
            for image, angle in zip(images, angles, strict=True)
        ]
    )


def scipy_shift(images, offsets):
    return np.array(
        [ndimage.shift(image, offset) for image, offset in zip(images, offsets, strict=True)]
    )


def pairs(images, rng):
    """Returns, for each transform, the call of SciPy, ours, and ours with its random draws."""
    num_images = len(images)
    noise = rng.random((num_images, 2, SIDE, SIDE)) * 2 - 1
    angles = rng.uniform(-MAX_ANGLE, MAX_ANGLE, num_images)
    offsets = rng.uniform(-MAX_SHIFT, MAX_SHIFT, (num_images, 2))
    return {
        "elastic distortion": (
            lambda: scipy_distort(images, noise),
            lambda: augmenters.distort(images, augmenters.displacement_fields(noise, ALPHA, SIGMA)),
            lambda: augmenters.random_distortion(images, rng, ALPHA, SIGMA, fraction=1.0),
        ),
        "rotation": (
            lambda: scipy_rotate(images, angles),
            lambda: augmenters.rotate(images, angles),
            lambda: augmenters.random_rotation(images, rng, MAX_ANGLE, fraction=1.0),
        ),
        "spline shift": (
            lambda: scipy_shift(images, offsets),
            lambda: augmenters.shift(images, offsets),
            lambda: augmenters.random_shift(images, rng, MAX_SHIFT, fraction=1.0),
        ),
    }


def main():
    rng = np.random.default_rng(1)
    print(f"Images {SIDE} x {SIDE}, float32, CPU microseconds per image; ratio without the draws")
    print(f"  {'':32}{'SciPy':>8}{'ours':>8}{'ratio':>8}{'with draws':>12}")
    for num_images in BATCH_SIZES:
        images = rng.random((num_images, SIDE, SIDE)).astype(np.float32)
        for name, (scipy, ours, with_draws) in pairs(images, rng).items():
            check_agreement(name, ours(), scipy(), 1e-6)
            times = best_times({"SciPy": scipy, "ours": ours, "with draws": with_draws})
            slow, fast, drawn = (seconds / num_images * 1e6 for seconds in times.values())
            print(
                f"  {f'{name}, {num_images} images':32}{slow:8.1f}{fast:8.1f}"
                f"{slow / fast:6.1f} x{drawn:12.1f}"
            )


if __name__ == "__main__":
    main()
