"""How fast the augmenters are: against SciPy, albumentations, OpenCV and PyTorch.

Run as `python benchmarks/augmentation.py`. Every image of a batch is changed, and the random draws
are timed too. SciPy, albumentations and OpenCV take one image after the other, as the report does;
PyTorch takes the batch, with the Gaussian blur as a product with our matrix, since its own
convolution is slower. A library that is not installed is left out, by name.

Before two ways are timed it is checked that they compute the same from the same noise, angles or
offsets, at the pixels that are read inside the image: nearer than a pixel to its border OpenCV and
PyTorch interpolate between the border and 0. OpenCV reads at multiples of a 32nd of a pixel, hence
its tolerance. albumentations blurs its noise with OpenCV, without 0 outside and both fields as one
image, and cannot be told the noise: of it only the reading at given displacements is compared.
Last come our own ways with one trick left out.
"""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage
from timing import best_times, check_agreement

from mlpcw import augmenters, compiled

SIDE = 28
BATCH_SIZES = (500, 25)
ALPHA, SIGMA, MAX_ANGLE, MAX_SHIFT = 34.0, 4.0, 30.0, 4.0
FLOAT32_TOLERANCE, OPENCV_TOLERANCE = 1e-5, 0.05
DISTORTION, ROTATION, SHIFT = "elastic distortion", "rotation", "spline shift"
OURS = {
    DISTORTION: lambda x, rng: augmenters.random_distortion(x, rng, ALPHA, SIGMA, fraction=1.0),
    ROTATION: lambda x, rng: augmenters.random_rotation(x, rng, MAX_ANGLE, fraction=1.0),
    SHIFT: lambda x, rng: augmenters.random_shift(x, rng, MAX_SHIFT, fraction=1.0),
}


class Other(NamedTuple):
    """Another library's way to do what an augmenter does.

    Attributes:
        name: What is compared with.
        work: What is done.
        run: Takes images and a `Generator`; draws and changes every image.
        check: Takes images and a `Generator`; raises `SystemExit` if it computes something else.
        to_reach: Ratio of its time to ours, of float32 batches of 500, that is aimed at, or None.
        dtypes: What it is timed with.
    """

    name: str
    work: str
    run: Callable[[np.ndarray, np.random.Generator], Any]
    check: Callable[[np.ndarray, np.random.Generator], None]
    to_reach: float | None
    dtypes: tuple[str, ...] = ("float32", "float64")


def random_noise(num_images, rng, dtype=np.float64):
    noise = rng.random((num_images, 2, SIDE, SIDE), dtype) * 2
    noise -= 1
    return noise


def check_distortion(name, tolerance, distort, images, rng):
    """Checks `distort(images, noise)` where ours reads inside the image."""
    noise = random_noise(len(images), rng).astype(images.dtype)
    fields = augmenters.displacement_fields(noise, ALPHA, SIGMA)
    check_reading(name, tolerance, images, fields, distort(images, noise))


def check_reading(name, tolerance, images, fields, result):
    x, y = fields[:, 0] + np.arange(SIDE), fields[:, 1] + np.arange(SIDE)[:, None]
    inside = (x >= 0) & (x <= SIDE - 1) & (y >= 0) & (y <= SIDE - 1)
    expected = augmenters.distort(images, fields)
    check_agreement(name, np.asarray(result)[inside], expected[inside], tolerance)


# ---- SciPy -----------------------------------------------------------------------------------


def scipy_ways():
    y, x = np.mgrid[:SIDE, :SIDE]

    def distort(images, noise):
        distorted = []
        for image, fields in zip(images, noise, strict=True):
            dx, dy = (ndimage.gaussian_filter(f, SIGMA, mode="constant") * ALPHA for f in fields)
            distorted.append(ndimage.map_coordinates(image, (y + dy, x + dx), order=1))
        return np.array(distorted)

    def rotate(images, angles):
        pairs = zip(images, angles, strict=True)
        return np.array([ndimage.rotate(i, angle, order=1, reshape=False) for i, angle in pairs])

    def shift(images, offsets):
        return np.array([ndimage.shift(i, o) for i, o in zip(images, offsets, strict=True)])

    def draw_noise(images, rng):  # an image at a time, as the report's loop does
        return (rng.random((2, SIDE, SIDE)) * 2 - 1 for _ in images)

    def draw_angles(images, rng):
        return rng.uniform(-MAX_ANGLE, MAX_ANGLE, len(images))

    def draw_offsets(images, rng):
        return rng.uniform(-MAX_SHIFT, MAX_SHIFT, (len(images), 2))

    def check(name, ours, theirs, draw):
        def compare(images, rng):
            argument = draw(images, rng)
            result, expected = ours(images, argument), theirs(images, argument)
            check_agreement(name, result, expected, 1e-6 if images.itemsize == 4 else 1e-10)

        return compare

    return [
        Other(
            *("SciPy", DISTORTION),
            run=lambda images, rng: distort(images, draw_noise(images, rng)),
            check=lambda *args: check_distortion("SciPy", FLOAT32_TOLERANCE, distort, *args),
            to_reach=20,
        ),
        Other(
            *("SciPy", ROTATION),
            run=lambda images, rng: rotate(images, draw_angles(images, rng)),
            check=check("SciPy", augmenters.rotate, rotate, draw_angles),
            to_reach=20,
        ),
        Other(
            *("SciPy", SHIFT),
            run=lambda images, rng: shift(images, draw_offsets(images, rng)),
            check=check("SciPy", augmenters.shift, shift, draw_offsets),
            to_reach=20,
        ),
    ]


# ---- the others, elastic distortion only -----------------------------------------------------


def opencv_ways():
    cv2 = importlib.import_module("cv2")
    cv2.setNumThreads(1)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    width = 2 * int(4 * SIGMA + 0.5) + 1  # of the Gaussian, as in SciPy

    def distort(images, noise):
        distorted = []
        for image, fields in zip(images, noise, strict=True):
            dx, dy = (
                cv2.GaussianBlur(f, (width, width), SIGMA, borderType=cv2.BORDER_CONSTANT)
                for f in fields
            )
            dx *= ALPHA
            dy *= ALPHA
            distorted.append(cv2.remap(image, x + dx, y + dy, cv2.INTER_LINEAR))
        return np.array(distorted)

    def draw(images, rng):
        return (random_noise(1, rng, np.float32)[0] for _ in images)

    return [
        Other(
            *("OpenCV", DISTORTION),
            run=lambda images, rng: distort(images, draw(images, rng)),
            check=lambda *args: check_distortion("OpenCV", OPENCV_TOLERANCE, distort, *args),
            to_reach=6,
            dtypes=("float32",),
        )
    ]


def albumentations_ways():
    albumentations = importlib.import_module("albumentations")
    y, x = np.mgrid[:SIDE, :SIDE]

    def way(name, **options):
        transform = albumentations.ElasticTransform(alpha=ALPHA, sigma=SIGMA, p=1.0, **options)

        def check(images, rng):
            fields = augmenters.displacement_fields(random_noise(len(images), rng), ALPHA, SIGMA)
            maps = (fields + np.stack([x, y])).astype(np.float32)
            pairs = zip(images, maps, strict=True)
            result = [transform.apply(image, map_x=to[0], map_y=to[1]) for image, to in pairs]
            check_reading(name, OPENCV_TOLERANCE, images, fields, np.array(result))

        def run(images, rng):
            return np.array([transform(image=image)["image"] for image in images])

        return Other(name, DISTORTION, run, check, to_reach=20, dtypes=("float32",))

    return [
        way("albumentations"),  # its defaults: Gaussian noise
        way("albumentations, uniform", noise_distribution="uniform"),  # as ours
    ]


def torch_ways():
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    blur = augmenters.fields._blur_matrix(SIDE, SIGMA, np.float64)

    def distort(images, noise):
        images, matrix = torch.from_numpy(images), torch.tensor(blur, dtype=noise.dtype)
        y, x = torch.meshgrid(*[torch.arange(SIDE, dtype=noise.dtype)] * 2, indexing="ij")
        dx, dy = (matrix @ noise @ matrix * ALPHA).unbind(1)
        # -1 and 1 are the centres of the border pixels
        grid = torch.stack([x + dx, y + dy], dim=-1) * (2 / (SIDE - 1)) - 1
        return torch.nn.functional.grid_sample(images[:, None], grid, align_corners=True)[:, 0]

    def check(images, rng):
        def told(images, noise):
            return distort(images, torch.from_numpy(noise)).numpy()

        check_distortion("PyTorch", FLOAT32_TOLERANCE, told, images, rng)

    def run(images, rng):
        dtype = torch.from_numpy(images).dtype
        return distort(images, torch.rand(len(images), 2, SIDE, SIDE, dtype=dtype) * 2 - 1)

    return [Other("PyTorch", DISTORTION, run, check, to_reach=2.5)]


# ---- ours, with one trick left out -----------------------------------------------------------


def own_ways():
    def plain_fields(rng, shape, alpha, sigma, dtype):
        return augmenters.displacement_fields(random_noise(shape[0], rng, dtype.type), ALPHA, SIGMA)

    def without(name, work, module, attribute, replacement, dtypes=("float32", "float64")):
        def run(images, rng):
            trick = getattr(module, attribute)
            setattr(module, attribute, replacement)
            try:
                return OURS[work](images, rng)
            finally:
                setattr(module, attribute, trick)

        def check(images, rng):
            if replacement is not plain_fields:  # it draws other noise
                result, expected = (f(images, np.random.default_rng(2)) for f in (run, OURS[work]))
                check_agreement(name, result, expected, FLOAT32_TOLERANCE)

        return Other(name, work, run, check, to_reach=None, dtypes=dtypes)

    numpy = (compiled, "enabled", lambda: False)
    return [
        *(without("no kernels", work, *numpy) for work in OURS),
        without("no blocks", DISTORTION, augmenters, "BLOCK", 2**31),
        without(
            *("draws of float32", DISTORTION, augmenters.fields, "random_fields", plain_fields),
            dtypes=("float32",),
        ),
    ]


# ---- all of them -----------------------------------------------------------------------------

WAYS = {
    "scipy": scipy_ways,
    "albumentations": albumentations_ways,
    "cv2": opencv_ways,
    "torch": torch_ways,
    "ours": own_ways,
}


def rows(num_images=500):
    """Times ours and each other way in turn, after checking that they agree.

    Args:
        num_images: Size of a batch.

    Returns:
        A row for each way and dtype: "work", "dtype", "other" (what is compared with), "ours_us"
        and "other_us" (CPU microseconds an image, draws included), "ratio" of the two, and
        "to_reach", the ratio aimed at, or None where none is.
    """
    table = []
    for module, make in WAYS.items():
        try:
            others = make()
        except ModuleNotFoundError:
            print(f"{module} is not installed: left out")
            continue
        for other in others:
            for dtype in other.dtypes:
                rng = np.random.default_rng(1)
                images = rng.random((num_images, SIDE, SIDE)).astype(dtype)
                other.check(images, rng)
                calls = {
                    "ours": lambda work=other.work, x=images, rng=rng: OURS[work](x, rng),
                    "other": lambda run=other.run, x=images, rng=rng: run(x, rng),
                }
                ours, theirs = (
                    seconds / num_images * 1e6 for seconds in best_times(calls).values()
                )
                aimed_at = dtype == "float32" and num_images == 500
                table.append(
                    {
                        "work": f"{other.work}, {num_images} images",
                        "dtype": dtype,
                        "other": other.name,
                        "ours_us": ours,
                        "other_us": theirs,
                        "ratio": theirs / ours,
                        "to_reach": other.to_reach if aimed_at else None,
                    }
                )
    return table


def main():
    print(f"Images {SIDE} x {SIDE}, CPU microseconds per image, draws included")
    print(f"  {'':62}{'ours':>8}{'other':>8}{'ratio':>8}{'to reach':>10}")
    for num_images in BATCH_SIZES:
        for row in rows(num_images):
            name = f"{row['work']}, {row['dtype']}, {row['other']}"
            to_reach = f"{row['to_reach']:8} x" if row["to_reach"] else ""
            print(
                f"  {name:62}{row['ours_us']:8.1f}{row['other_us']:8.1f}{row['ratio']:6.1f} x"
                f"{to_reach}"
            )


if __name__ == "__main__":
    main()
