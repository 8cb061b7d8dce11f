"""Augmenters: against SciPy image by image, their draws, their shared contract, their refusals."""

import math
import subprocess
import sys

import numpy as np
import pytest
import reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpcw import augmenters, kernels
from mlpcw.augmenters import random_distortion, random_noise, random_rotation, random_shift

RANDOM = [random_distortion, random_noise, random_rotation, random_shift]
STRENGTHS = [
    (random_distortion, "alpha"),
    (random_noise, "std"),
    (random_rotation, "max_angle"),
    (random_shift, "max_shift"),
]
REFERENCES = {
    random_distortion: reference.random_distortion,
    random_noise: reference.random_noise,
    random_rotation: reference.random_rotation,
    random_shift: reference.random_shift,
}
RANDOM_SOURCES = [np.random.RandomState, np.random.default_rng]

sizes = st.integers(1, 12)
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module", autouse=True, params=["compiled", "NumPy"])
def way(request):
    """Every test is run with the compiled kernels and without."""
    if request.param == "compiled" and not kernels.compiled():
        pytest.skip("Numba is not here, or switched off")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "compiled", lambda: request.param == "compiled")
        yield


def random_images(num_images, height, width, seed=0):
    return np.random.default_rng(seed).normal(size=(num_images, height, width))


# ---- what is computed ------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(height=sizes, width=sizes, angle=st.floats(-400, 400), seed=seeds)
def test_rotate_equals_scipy(height, width, angle, seed):
    images = random_images(3, height, width, seed)
    angles = np.array([angle, round(angle), 90 * round(angle / 90)])
    expected = [reference.rotate(*pair) for pair in zip(images, angles, strict=True)]
    np.testing.assert_allclose(augmenters.rotate(images, angles), expected, atol=1e-10)


@pytest.mark.parametrize("order", range(6))
@settings(deadline=None, max_examples=25)
@given(height=sizes, width=sizes, down=st.floats(-13, 13), right=st.floats(-13, 13), seed=seeds)
def test_shift_equals_scipy(order, height, width, down, right, seed):
    images = random_images(3, height, width, seed)
    offsets = np.array([[down, right], np.round([down, right]), np.floor([down, right]) + 0.5])
    expected = [
        reference.shift(image, *offset, order)
        for image, offset in zip(images, offsets, strict=True)
    ]
    np.testing.assert_allclose(augmenters.shift(images, offsets, order), expected, atol=1e-10)


@settings(deadline=None, max_examples=40)
@given(height=sizes, width=sizes, sigma=st.floats(0.01, 30), seed=seeds)
def test_displacement_fields_equal_scipy(height, width, sigma, seed):
    noise = random_images(6, height, width, seed).reshape(3, 2, height, width)
    fields = augmenters.displacement_fields(noise, 34.0, sigma)
    expected = [[reference.displacement_field(n, 34.0, sigma) for n in pair] for pair in noise]
    np.testing.assert_allclose(fields, expected, atol=1e-10)


@settings(deadline=None, max_examples=40)
@given(height=sizes, width=sizes, strength=st.sampled_from([0.1, 1.0, 10.0]), seed=seeds)
def test_distort_equals_scipy(height, width, strength, seed):
    images = random_images(3, height, width, seed)
    fields = strength * random_images(6, height, width, seed + 1).reshape(3, 2, height, width)
    fields[0] = np.round(fields[0])  # exactly onto pixels, those of the border among them
    expected = [
        reference.distort(image, *field) for image, field in zip(images, fields, strict=True)
    ]
    np.testing.assert_allclose(augmenters.distort(images, fields), expected, atol=1e-10)


def test_rotation_by_hand():
    image = np.zeros((3, 5))
    image[1, 4] = 1.0  # right of the centre
    rotated = augmenters.rotate(np.stack([image] * 3), np.array([0.0, 180.0, 360.0]))
    np.testing.assert_array_equal(rotated[0], image)
    np.testing.assert_array_equal(rotated[1], image[::-1, ::-1])
    np.testing.assert_array_equal(rotated[2], image)
    square = np.diag([1.0, 2.0, 3.0])
    # counter-clockwise, as NumPy turns a matrix
    rotated = augmenters.rotate(square[None], np.array([90.0]))[0]
    np.testing.assert_array_equal(rotated, np.rot90(square))


def test_shift_reads_with_cubic_splines_by_default():
    images, offsets = random_images(2, 7, 6), np.array([[0.5, -1.25], [2.5, 0.75]])
    np.testing.assert_array_equal(
        augmenters.shift(images, offsets), augmenters.shift(images, offsets, 3)
    )


def test_shift_by_hand():
    image = np.arange(12.0).reshape(3, 4) + 1
    offsets = np.array([[1, 0], [0, -2], [-1, 3], [3, 0], [0, 0]])
    moved = augmenters.shift(np.stack([image] * 5), offsets)
    np.testing.assert_array_equal(moved[0], [[0, 0, 0, 0], [1, 2, 3, 4], [5, 6, 7, 8]])
    np.testing.assert_array_equal(moved[1], [[3, 4, 0, 0], [7, 8, 0, 0], [11, 12, 0, 0]])
    np.testing.assert_array_equal(moved[2], [[0, 0, 0, 5], [0, 0, 0, 9], [0, 0, 0, 0]])
    np.testing.assert_array_equal(moved[3], np.zeros((3, 4)))
    np.testing.assert_array_equal(moved[4], image)
    # with splines of order 1, half-way between pixels is their mean
    half = augmenters.shift(image[None], np.array([[0, 0.5]]), order=1)[0]
    np.testing.assert_array_equal(half[0], [0, 1.5, 2.5, 3.5])


def test_distortion_by_hand():
    image = np.array([[1.0, 2.0], [3.0, 4.0]])
    dx, dy = np.array([[0.5, 0.0], [0.0, 0.5]]), np.array([[0.5, 1.0], [-1.0, 0.0]])
    # between all four; one down; one up; half a pixel beyond the border, which is 0
    distorted = augmenters.distort(image[None], np.array([[dx, dy]]))[0]
    np.testing.assert_array_equal(distorted, [[2.5, 4.0], [1.0, 0.0]])


@pytest.mark.parametrize(("sigma", "displacement"), [(1, 5.45), (4, 1.27), (10, 0.44)])
def test_larger_sigma_displaces_less(sigma, displacement):
    noise = np.random.default_rng(5).random((200, 2, 28, 28)) * 2 - 1
    fields = augmenters.displacement_fields(noise, 34.0, sigma)
    assert math.sqrt((fields**2).mean()) == pytest.approx(displacement, rel=0.05)


# ---- the draws -------------------------------------------------------------------------------


@pytest.mark.parametrize("make_rng", RANDOM_SOURCES)
@pytest.mark.parametrize("augmenter", RANDOM)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-6)])
def test_same_draws_as_image_by_image(augmenter, make_rng, dtype, tolerance):
    """So that runs of 2016 replay: the same images, changed alike, and `rng` left alike."""
    images = np.random.default_rng(6).random((20, 28, 28)).astype(dtype)
    rng, reference_rng = make_rng(7), make_rng(7)
    expected = REFERENCES[augmenter](images, reference_rng)
    outputs = augmenter(images, rng)
    if (augmenter, make_rng, dtype) == (random_distortion, np.random.default_rng, np.float32):
        tolerance = 1e-5  # its displacements are float32 too
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=tolerance)
    changed = (outputs != images).any(axis=(1, 2))
    assert changed.sum() == 5
    assert rng.random() == reference_rng.random()


@pytest.mark.parametrize(
    ("augmenter", "options"),
    [
        (random_distortion, {"alpha": 8.0, "sigma": 1.5, "fraction": 1.0}),
        (random_noise, {"std": 0.5, "fraction": 0.5, "per_pixel": True}),
        (random_rotation, {"max_angle": 180.0, "fraction": 0.8}),
        (random_shift, {"max_shift": 9.5, "fraction": 1.0, "order": 1}),
    ],
)
def test_same_draws_with_other_options(augmenter, options):
    images = random_images(10, 9, 14)
    expected = REFERENCES[augmenter](images, np.random.RandomState(8), **options)
    outputs = augmenter(images, np.random.RandomState(8), **options)
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-10)


def test_noise_is_one_number_an_image_or_one_a_pixel():
    images = np.zeros((4000, 4, 4))
    noise = random_noise(images, np.random.default_rng(9), fraction=1.0)
    assert (noise == noise[:, :1, :1]).all()
    assert noise.var() == pytest.approx(0.1, rel=0.1)
    noise = random_noise(images, np.random.default_rng(9), fraction=1.0, per_pixel=True)
    assert len(np.unique(noise)) == noise.size
    assert noise.var() == pytest.approx(0.1, rel=0.1)


def test_shifts_go_in_every_direction():
    images = np.zeros((200, 15, 15))
    images[:, 7, 7] = 1.0
    moved = random_shift(images, np.random.default_rng(10), fraction=1.0, order=1)
    y, x = np.mgrid[-7:8, -7:8]
    down, right = (moved * y).sum(axis=(1, 2)), (moved * x).sum(axis=(1, 2))
    for distance in (down, right):
        assert -4 <= distance.min() < -3.8
        assert 3.8 < distance.max() <= 4
        assert abs(distance.mean()) < 0.5
    assert abs(np.corrcoef(down, right)[0, 1]) < 0.2


@pytest.mark.parametrize("augmenter", [random_distortion, random_shift])
@pytest.mark.parametrize("make_rng", RANDOM_SOURCES)
def test_many_images_are_changed_as_few_are(augmenter, make_rng):
    """Though they are changed a few dozen at a time."""
    images = np.random.default_rng(11).random((150, 6, 8)).astype(np.float32)
    expected = REFERENCES[augmenter](images, make_rng(12), fraction=1.0)
    outputs = augmenter(images, make_rng(12), fraction=1.0)
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("make_rng", RANDOM_SOURCES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_of_a_distortion_is_uniform(make_rng, dtype):
    # the blur of so small a sigma changes nothing, and alpha 1 leaves the noise
    noise = augmenters._random_fields(make_rng(13), (50, 2, 20, 25), 1.0, 0.01, np.dtype(dtype))
    assert noise.shape == (50, 2, 20, 25)
    assert -1 <= noise.min() < -0.999
    assert 0.999 < noise.max() < 1
    assert abs(noise.mean()) < 0.01
    assert noise.var() == pytest.approx(1 / 3, rel=0.02)
    flat = noise.ravel()
    for step in range(1, 5):
        assert abs(np.corrcoef(flat[step:], flat[:-step])[0, 1]) < 0.02


# ---- the contract of all four ----------------------------------------------------------------


@pytest.mark.parametrize("augmenter", RANDOM)
@pytest.mark.parametrize("shape", [(8, 784), (8, 28, 28), (8, 5, 7), (3, 1), (1, 16), (4, 1, 6)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_new_array_of_the_same_shape_and_dtype(augmenter, shape, dtype):
    inputs = np.random.default_rng(11).random(shape).astype(dtype)
    before = inputs.copy()
    inputs.flags.writeable = False
    outputs = augmenter(inputs, np.random.default_rng(12), fraction=1.0)
    assert outputs.shape == shape
    assert outputs.dtype == dtype
    assert outputs.flags.writeable
    assert not np.shares_memory(outputs, inputs)
    np.testing.assert_array_equal(inputs, before)


@pytest.mark.parametrize("augmenter", RANDOM)
def test_flat_images_are_the_same_images(augmenter):
    images = random_images(12, 6, 6)
    flat = augmenter(images.reshape(12, 36), np.random.RandomState(13))
    np.testing.assert_array_equal(
        flat.reshape(12, 6, 6), augmenter(images, np.random.RandomState(13))
    )
    fortran = augmenter(np.asfortranarray(images.reshape(12, 36)), np.random.RandomState(13))
    np.testing.assert_array_equal(fortran, flat)


@pytest.mark.parametrize("augmenter", RANDOM)
@pytest.mark.parametrize(
    ("fraction", "expected"), [(0, 0), (0.25, 2), (0.29, 2), (0.5, 5), (1, 10)]
)
def test_fraction_of_the_batch(augmenter, fraction, expected):
    inputs = random_images(10, 12, 12)
    outputs = augmenter(inputs, np.random.default_rng(14), fraction=fraction)
    assert (outputs != inputs).any(axis=(1, 2)).sum() == expected


@pytest.mark.parametrize(("augmenter", "strength"), STRENGTHS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_strength_zero_changes_nothing(augmenter, strength, dtype):
    inputs = random_images(10, 9, 8).astype(dtype)
    outputs = augmenter(inputs, np.random.default_rng(15), fraction=1.0, **{strength: 0})
    np.testing.assert_array_equal(outputs, inputs)


@pytest.mark.parametrize("augmenter", RANDOM)
@pytest.mark.parametrize("shape", [(0, 784), (3, 0), (3, 0, 4), (3, 4, 0)])
def test_no_images_or_no_pixels(augmenter, shape):
    assert augmenter(np.zeros(shape), np.random.default_rng(16), fraction=1.0).shape == shape


@pytest.mark.parametrize("augmenter", RANDOM)
def test_fresh_entropy_without_rng(augmenter):
    inputs = random_images(4, 10, 10)
    outputs = [augmenter(inputs, None, fraction=1.0) for _ in range(2)]
    assert (outputs[0] != outputs[1]).any()


@settings(deadline=None, max_examples=20)
@given(seed=seeds, num_images=st.integers(1, 6))
@pytest.mark.parametrize(
    "transform",
    [
        lambda images, rng: augmenters.rotate(images, rng.uniform(-90, 90, len(images))),
        lambda images, rng: augmenters.shift(images, rng.uniform(-4, 4, (len(images), 2))),
        lambda images, rng: augmenters.distort(images, rng.normal(size=(len(images), 2, 7, 6))),
    ],
)
def test_linear_in_the_images(transform, seed, num_images):
    first, second = random_images(2 * num_images, 7, 6, seed).reshape(2, num_images, 7, 6)
    transformed = [
        transform(images, np.random.default_rng(seed))
        for images in (first, second, 2 * first - 3 * second)
    ]
    expected = 2 * transformed[0] - 3 * transformed[1]
    np.testing.assert_allclose(transformed[2], expected, atol=1e-10)


@settings(deadline=None, max_examples=20)
@given(seed=seeds)
def test_order_of_the_images_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    images, order = random_images(6, 8, 8, seed), rng.permutation(6)
    angles, offsets = rng.uniform(-90, 90, 6), rng.uniform(-4, 4, (6, 2))
    fields = rng.normal(size=(6, 2, 8, 8))
    for transform, argument in [
        (augmenters.rotate, angles),
        (augmenters.shift, offsets),
        (augmenters.distort, fields),
    ]:
        expected = transform(images, argument)[order]
        np.testing.assert_array_equal(transform(images[order], argument[order]), expected)


# ---- the two ways and the edges --------------------------------------------------------------

dtypes = st.sampled_from([np.float32, np.float64])


def both_ways(transform, *args):
    """What a transform returns with compiled kernels, and what without."""
    results = []
    for compiled in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "compiled", lambda compiled=compiled: compiled)
            results.append(transform(*args))
    assert results[0].dtype == results[1].dtype == args[0].dtype
    return results


@pytest.fixture
def needs_numba():
    if not kernels.importlib.util.find_spec("numba"):
        pytest.skip("Numba is not here")


@pytest.mark.usefixtures("needs_numba")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    num_images=st.integers(0, 4), height=sizes, width=sizes, dtype=dtypes, fields=dtypes, seed=seeds
)
def test_both_ways_read_the_same_to_the_last_bit(num_images, height, width, dtype, fields, seed):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(num_images, height, width)).astype(dtype)
    displacements = 3 * rng.normal(size=(num_images, 2, height, width)).astype(fields)
    np.testing.assert_array_equal(*both_ways(augmenters.distort, images, displacements))
    angles = rng.uniform(-400, 400, num_images)
    np.testing.assert_array_equal(*both_ways(augmenters.rotate, images, angles))


@pytest.mark.usefixtures("needs_numba")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(num_images=st.integers(0, 4), height=sizes, width=sizes, dtype=dtypes, seed=seeds)
def test_both_ways_shift_alike(num_images, height, width, dtype, seed):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(num_images, height, width)).astype(dtype)
    offsets = rng.uniform(-1.1, 1.1, (num_images, 2)) * (height, width)
    offsets[::2, rng.integers(2)] = np.round(offsets[::2, rng.integers(2)])
    tolerance = 1e-10 if dtype == np.float64 else 1e-5
    compiled, plain = both_ways(augmenters.shift, images, offsets)
    np.testing.assert_allclose(compiled, plain, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_kernels_in_plain_python(monkeypatch, dtype):
    images = random_images(3, 4, 5).astype(dtype)
    fields = 2 * random_images(6, 4, 5, 1).reshape(3, 2, 4, 5)
    fields[0, 0, 0, :3] = [np.nan, np.inf, -1e30]
    angles, offsets = np.array([20.0, 90.0, -33.0]), np.array([[0.3, -1.4], [1, -2], [4, 0.5]])
    expected = [
        augmenters.distort(images, fields),
        augmenters.rotate(images, angles),
        augmenters.shift(images, offsets),
    ]
    monkeypatch.setattr(kernels, "compiled", lambda: True)
    for name in ("sample_bilinear", "shift_cubic"):
        monkeypatch.setattr(kernels, name, getattr(kernels, name).__wrapped__)
    results = [
        augmenters.distort(images, fields),
        augmenters.rotate(images, angles),
        augmenters.shift(images, offsets),
    ]
    np.testing.assert_array_equal(results[:2], expected[:2])
    np.testing.assert_allclose(results[2], expected[2], atol=1e-12 if dtype == np.float64 else 1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("far", [1e30, -1e30, 1e10, -(2.0**31), 2.0**63, np.inf, -np.inf, np.nan])
def test_what_is_read_from_far_away_is_zero(far, dtype):
    images = random_images(2, 5, 6).astype(dtype) + 10
    fields = np.zeros((2, 2, 5, 6), dtype)
    fields[0, 0, 2, 3] = fields[1, 1, 4, 5] = far
    expected = images.copy()
    expected[0, 2, 3] = expected[1, 4, 5] = 0
    np.testing.assert_array_equal(augmenters.distort(images, fields), expected)
    for order in (1, 3):
        moved = augmenters.shift(images, np.array([[far, 0], [0.5, far]]), order)
        np.testing.assert_array_equal(moved, np.zeros_like(images))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("augmenter", RANDOM)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # inf - inf
def test_a_pixel_that_is_no_number_stays_in_its_image(augmenter, value):
    images = random_images(3, 7, 6)
    expected = augmenter(images, np.random.RandomState(14), fraction=1.0)
    images[1, 3, 3] = value
    outputs = augmenter(images, np.random.RandomState(14), fraction=1.0)
    np.testing.assert_array_equal(outputs[[0, 2]], expected[[0, 2]])
    assert not np.isfinite(outputs[1]).all()


def test_angle_that_is_no_number():
    rotated = augmenters.rotate(np.ones((1, 4, 4)), np.array([np.nan]))
    np.testing.assert_array_equal(rotated, np.zeros((1, 4, 4)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("transform", "argument"),
    [
        (augmenters.rotate, np.array([10.0, -20.0, 30.0])),
        (augmenters.shift, np.array([[1.5, 0.5], [1, -1], [0, 0.2]])),
        (augmenters.distort, random_images(6, 6, 4, 15).reshape(3, 2, 6, 4)),
    ],
)
def test_any_layout_is_read_and_none_is_changed(transform, argument, dtype):
    images = random_images(3, 6, 4).astype(dtype)
    before, argument = images.copy(), argument.copy()
    images.flags.writeable = argument.flags.writeable = False
    expected = transform(images, argument)
    assert expected.dtype == dtype
    np.testing.assert_array_equal(images, before)
    for strange in (np.asfortranarray(images), np.repeat(images, 2, axis=2)[:, :, ::2]):
        result = transform(strange, np.asfortranarray(argument))
        np.testing.assert_array_equal(result, expected)
    swapped = images.astype(images.dtype.newbyteorder())
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(transform(swapped, argument), expected, atol=tolerance)


def test_fields_follow_the_dtype_of_the_noise():
    noise = random_images(4, 6, 5)
    fields = augmenters.displacement_fields(noise, 8.0, 2.0)
    single = augmenters.displacement_fields(noise.astype(np.float32), 8.0, 2.0)
    assert (fields.dtype, single.dtype) == (np.float64, np.float32)
    np.testing.assert_allclose(single, fields, atol=1e-5)


def test_import_does_not_wait_for_scipy():
    code = "import sys, mlpcw.augmenters; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---- refusals --------------------------------------------------------------------------------

IMAGES = np.zeros((4, 784))


@pytest.mark.parametrize(
    ("augmenter", "name", "value", "message"),
    [
        (random_distortion, "sigma", 0, "sigma must be a number of pixels above 0, got 0"),
        (random_distortion, "sigma", -1.5, "sigma must be a number of pixels above 0, got -1.5"),
        (random_distortion, "sigma", math.inf, "sigma must be a number of pixels above 0, got inf"),
        (random_distortion, "sigma", math.nan, "sigma must be a number of pixels above 0, got nan"),
        (
            random_distortion,
            "alpha",
            -1,
            "alpha must be a number of pixels of at least 0, got -1",
        ),
        (
            random_distortion,
            "alpha",
            math.inf,
            "alpha must be a number of pixels of at least 0, got inf",
        ),
        (random_noise, "std", -0.1, "std must be a number of at least 0, got -0.1"),
        (random_noise, "std", math.nan, "std must be a number of at least 0, got nan"),
        (
            random_rotation,
            "max_angle",
            -30,
            "max_angle must be a number of degrees of at least 0, got -30",
        ),
        (
            random_shift,
            "max_shift",
            math.nan,
            "max_shift must be a number of pixels of at least 0, got nan",
        ),
        (random_shift, "order", 6, "order must be a whole number in [0, 5], got 6"),
        (random_shift, "order", -1, "order must be a whole number in [0, 5], got -1"),
        *(
            (augmenter, "fraction", value, f"fraction must be a number in [0, 1], got {value}")
            for augmenter in RANDOM
            for value in (1.5, -0.1, math.nan)
        ),
    ],
)
def test_arguments_out_of_range(augmenter, name, value, message):
    with pytest.raises(ValueError) as refusal:
        augmenter(IMAGES, np.random.default_rng(17), **{name: value})
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("augmenter", "name", "value", "message"),
    [
        (random_distortion, "sigma", "4", "sigma must be a number, got '4'"),
        (random_distortion, "alpha", None, "alpha must be a number, got None"),
        (random_noise, "std", True, "std must be a number, got True"),
        (random_rotation, "max_angle", [30], "max_angle must be a number, got [30]"),
        (random_shift, "max_shift", 4j, "max_shift must be a number, got 4j"),
        (random_shift, "order", 3.0, "order must be a whole number, got 3.0"),
        *(
            (augmenter, "fraction", "all", "fraction must be a number, got 'all'")
            for augmenter in RANDOM
        ),
    ],
)
def test_arguments_of_the_wrong_type(augmenter, name, value, message):
    with pytest.raises(TypeError) as refusal:
        augmenter(IMAGES, np.random.default_rng(17), **{name: value})
    assert str(refusal.value) == message


@pytest.mark.parametrize("augmenter", RANDOM)
@pytest.mark.parametrize("shape", [(784,), (4, 783), (4, 1, 28, 28), ()])
def test_inputs_that_are_not_images(augmenter, shape):
    with pytest.raises(ValueError) as refusal:
        augmenter(np.zeros(shape), np.random.default_rng(17))
    assert str(refusal.value) == (
        "inputs must have shape (batch_size, side * side) or (batch_size, height, width), "
        f"got {shape}"
    )


@pytest.mark.parametrize(
    ("transform", "argument", "message"),
    [
        (
            *(augmenters.distort, np.zeros((4, 2, 28, 27))),
            r"displacements must have shape \(4, 2, 28, 28\) for images of shape \(4, 28, 28\),"
            r" got \(4, 2, 28, 27\)",
        ),
        (
            *(augmenters.rotate, np.zeros(1)),
            r"angles must have shape \(4,\) for images of shape \(4, 28, 28\), got \(1,\)",
        ),
        (
            *(augmenters.shift, np.zeros((3, 2))),
            r"offsets must have shape \(4, 2\) for images of shape \(4, 28, 28\), got \(3, 2\)",
        ),
    ],
)
def test_arguments_that_do_not_fit_the_images(transform, argument, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        transform(IMAGES.reshape(4, 28, 28), argument)
    with pytest.raises(
        ValueError,
        match=r"^images must have shape \(num_images, height, width\), got \(4, 784\)$",
    ):
        transform(IMAGES, argument)


@pytest.mark.parametrize("augmenter", RANDOM)
def test_inputs_that_are_not_floating_point(augmenter):
    with pytest.raises(
        TypeError, match=r"^inputs must be floating-point numbers, got dtype uint8$"
    ):
        augmenter(IMAGES.astype(np.uint8), np.random.default_rng(17))


@pytest.mark.parametrize("augmenter", RANDOM)
def test_rng_that_is_none(augmenter):
    with pytest.raises(TypeError, match=r"^rng must be a RandomState, a Generator or None, got 7$"):
        augmenter(IMAGES, 7)
