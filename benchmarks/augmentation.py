"""How fast the augmenters are: against SciPy, albumentations, OpenCV and PyTorch.

A batch has 500 images, all of them are changed, and the random draws are timed too. SciPy,
albumentations and OpenCV take one image after another, as the report does; PyTorch takes the batch,
with the Gaussian blur as a product of matrices, since its own convolution is slower.

Before peers are timed it is checked that they compute the same from the same noise, angles or
offsets, at the pixels that are read inside the image: nearer than a pixel to its border OpenCV and
PyTorch interpolate between the border and 0. OpenCV reads at multiples of a 32nd of a pixel, hence
its tolerance. albumentations blurs its noise with OpenCV, without 0 outside and both fields as one
image, and cannot be told the noise: only its reading at given displacements is compared.
"""

import contextlib
import functools

import numpy as np
from scipy import ndimage
from timing import Peer, check_agreement, compare, without_kernels

from mlpcw import augmenters
from mlpcw.study.pages.measurements import Work

SIDE, NUM_IMAGES = 28, 500
ALPHA, SIGMA, MAX_ANGLE, MAX_SHIFT = 34.0, 4.0, 30.0, 4.0
SHAPE = f"{NUM_IMAGES} images {SIDE} × {SIDE}"
INSIDE_TOLERANCE, OPENCV_TOLERANCE = 1e-5, 0.05
SCIPY_TOLERANCES = {"float32": 1e-6, "float64": 1e-10}
Y, X = np.mgrid[:SIDE, :SIDE]
ARRAYS = {"distortion": 4, "rotation": 2, "spline shift": 2}
"""Images read and written, and of a distortion its two fields, in sizes of an image."""

NOISE = (
    "drawing the noise, blurring it and reading the image take about equal parts, and the peer does"
    " all of its work in compiled code too; other layouts of the noise gained less than they cost"
)
READING = (
    "nearly all of it is reading the image, whose look-ups the compiler does not do in vectors, as"
    " it cannot know that arrays do not overlap; coordinates in float32 would be faster and miss"
    " the agreement of 1e-6, and pairs of pixels side by side were no faster"
)


def noise(num_images, rng, dtype=np.float64):
    values = rng.random((num_images, 2, SIDE, SIDE), dtype) * 2
    values -= 1
    return values


def check_distortion(name, tolerance, images, fields, result):
    """Compares a distortion by `fields` with that of mlpcw, where it reads inside the image."""
    x, y = fields[:, 0] + X, fields[:, 1] + Y
    inside = (x >= 0) & (x <= SIDE - 1) & (y >= 0) & (y <= SIDE - 1)
    expected = augmenters.distort(images, fields)
    check_agreement(name, np.asarray(result)[inside], expected[inside], tolerance)


# ---- Peers: each function takes images and a generator, checks, and yields ---------------------


def scipy_distortion(images, rng):
    def distort(images, noise):
        distorted = []
        for image, fields in zip(images, noise, strict=True):
            dx, dy = (ndimage.gaussian_filter(f, SIGMA, mode="constant") * ALPHA for f in fields)
            distorted.append(ndimage.map_coordinates(image, (Y + dy, X + dx), order=1))
        return np.array(distorted)

    drawn = noise(len(images), rng).astype(images.dtype)
    fields = augmenters.displacement_fields(drawn, ALPHA, SIGMA)
    check_distortion("SciPy", INSIDE_TOLERANCE, images, fields, distort(images, drawn))
    # An image at a time, as the report's loop draws them.
    yield Peer("SciPy", "2016", lambda: distort(images, (noise(1, rng)[0] for _ in images)), 20)


def scipy_rotation(images, rng):
    def rotate(angles):
        pairs = zip(images, angles, strict=True)
        return np.array([ndimage.rotate(i, angle, order=1, reshape=False) for i, angle in pairs])

    draw = functools.partial(rng.uniform, -MAX_ANGLE, MAX_ANGLE, len(images))
    angles, tolerance = draw(), SCIPY_TOLERANCES[images.dtype.name]
    check_agreement("SciPy", augmenters.rotate(images, angles), rotate(angles), tolerance)
    yield Peer("SciPy", "2016", lambda: rotate(draw()), 20, READING)


def scipy_shift(images, rng):
    def shift(offsets):
        return np.array([ndimage.shift(i, o) for i, o in zip(images, offsets, strict=True)])

    draw = functools.partial(rng.uniform, -MAX_SHIFT, MAX_SHIFT, (len(images), 2))
    offsets, tolerance = draw(), SCIPY_TOLERANCES[images.dtype.name]
    check_agreement("SciPy", augmenters.shift(images, offsets), shift(offsets), tolerance)
    yield Peer("SciPy", "2016", lambda: shift(draw()), 20)


def opencv(images, rng):
    if images.dtype != np.float32:
        return
    import cv2

    cv2.setNumThreads(1)
    y, x = Y.astype(np.float32), X.astype(np.float32)
    width = 2 * int(4 * SIGMA + 0.5) + 1  # of the Gaussian, as in SciPy

    def distort(noise):
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

    drawn = noise(len(images), rng, np.float32)
    fields = augmenters.displacement_fields(drawn, ALPHA, SIGMA)
    check_distortion("OpenCV", OPENCV_TOLERANCE, images, fields, distort(drawn))
    draw = functools.partial(noise, 1, rng, np.float32)
    yield Peer("OpenCV", "libraries", lambda: distort(draw()[0] for _ in images), 6)


def albumentations(images, rng):
    if images.dtype != np.float32:
        return
    from albumentations import ElasticTransform

    fields = augmenters.displacement_fields(noise(len(images), rng), ALPHA, SIGMA)
    maps = (fields + np.stack([X, Y])).astype(np.float32)
    for name, options in (
        ("albumentations", {}),  # its defaults: Gaussian noise
        ("albumentations, uniform", {"noise_distribution": "uniform"}),
    ):
        transform = ElasticTransform(alpha=ALPHA, sigma=SIGMA, p=1.0, **options)
        pairs = zip(images, maps, strict=True)
        result = [transform.apply(image, map_x=to[0], map_y=to[1]) for image, to in pairs]
        check_distortion(name, OPENCV_TOLERANCE, images, fields, result)

        def run(transform=transform):
            return np.array([transform(image=image)["image"] for image in images])

        yield Peer(name, "libraries", run, 20, NOISE)


def pytorch(images, rng):
    import torch

    torch.set_num_threads(1)
    batch = torch.from_numpy(images)
    blur = ndimage.gaussian_filter1d(np.eye(SIDE), SIGMA, axis=0, mode="constant")
    matrix = torch.tensor(blur, dtype=batch.dtype)
    y, x = torch.meshgrid(*[torch.arange(SIDE, dtype=batch.dtype)] * 2, indexing="ij")

    def distort(noise):
        dx, dy = (matrix @ noise @ matrix.T * ALPHA).unbind(1)
        # -1 and 1 are the centres of the border pixels
        grid = torch.stack([x + dx, y + dy], dim=-1) * (2 / (SIDE - 1)) - 1
        return torch.nn.functional.grid_sample(batch[:, None], grid, align_corners=True)[:, 0]

    drawn = noise(len(images), rng).astype(images.dtype)
    fields = augmenters.displacement_fields(drawn, ALPHA, SIGMA)
    result = distort(torch.from_numpy(drawn)).numpy()
    check_distortion("PyTorch", INSIDE_TOLERANCE, images, fields, result)
    shape = len(images), 2, SIDE, SIDE
    draw = functools.partial(torch.rand, *shape, dtype=batch.dtype)
    yield Peer("PyTorch", "pytorch", lambda: distort(draw() * 2 - 1), 2.5)


def plain_noise(images, rng):
    """The distortion with noise that NumPy draws; other noise, so there is nothing to compare."""
    if images.dtype == np.float32:

        def run():
            drawn = noise(len(images), rng, np.float32)
            return augmenters.distort(images, augmenters.displacement_fields(drawn, ALPHA, SIGMA))

        yield Peer("noise of float32", "plain", run)


# ---- Rows -------------------------------------------------------------------------------------

RUNS = {
    "distortion": lambda x, rng: augmenters.random_distortion(x, rng, ALPHA, SIGMA, fraction=1.0),
    "rotation": lambda x, rng: augmenters.random_rotation(x, rng, MAX_ANGLE, fraction=1.0),
    "spline shift": lambda x, rng: augmenters.random_shift(x, rng, MAX_SHIFT, fraction=1.0),
}
PEERS = {
    "distortion": (scipy_distortion, albumentations, opencv, pytorch, plain_noise),
    "rotation": (scipy_rotation,),
    "spline shift": (scipy_shift,),
}


def rows(images, rates):
    """Rows of all augmenters; `rates` as in `training.rows`."""
    for subject, run in RUNS.items():
        for dtype in ("float32", "float64"):
            rng = np.random.default_rng(1)
            batch = rng.random((NUM_IMAGES, SIDE, SIDE)).astype(dtype)
            call = functools.partial(run, batch, rng)
            seeded = functools.partial(lambda run, x: run(x, np.random.default_rng(2)), run, batch)
            result = without_kernels(seeded).run()
            check_agreement(f"{subject}, no kernels", result, seeded(), INSIDE_TOLERANCE)
            peers = [without_kernels(call)]
            for make in PEERS[subject]:
                with contextlib.suppress(ModuleNotFoundError):  # performance.py says so
                    peers += make(batch, rng)
            if dtype == "float64":
                peers = [peer._replace(at_least=None) for peer in peers]
            work = Work(subject=subject, shape=SHAPE, dtype=dtype, per="image")
            least = ARRAYS[subject] * batch[0].nbytes / rates["copy"]
            yield from compare(work, call, peers, "a copy", least, NUM_IMAGES)
