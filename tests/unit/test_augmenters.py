"""Augmenters: against SciPy image by image, their draws, their shared contract, their refusals."""

import math
from functools import partial

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from support import agree, check, dtypes, examples, lay, looks, only_single, seeds, unchanged

from mlpcw import augmenters, compiled
from mlpcw.augmenters import (
    fields,
    random_distortion,
    random_noise,
    random_rotation,
    random_shift,
    sampling,
    splines,
)

pytestmark = pytest.mark.usefixtures("each_way")

REFERENCES = {
    random_distortion: reference.random_distortion,
    random_noise: reference.random_noise,
    random_rotation: reference.random_rotation,
    random_shift: reference.random_shift,
}
RANDOM = list(REFERENCES)
STRENGTHS = dict(zip(RANDOM, ("alpha", "std", "max_angle", "max_shift"), strict=True))
RANDOM_SOURCES = [np.random.RandomState, np.random.default_rng]

OPTIONS = {
    random_distortion: {"alpha": 8.0, "sigma": 1.5},
    random_noise: {"std": 0.5, "per_pixel": True},
    random_rotation: {"max_angle": 180.0},
    random_shift: {"max_shift": 9.5, "order": 1},
}


def random_images(num_images, height, width, seed=0):
    return np.random.default_rng(seed).normal(size=(num_images, height, width))


# ---- what is computed ------------------------------------------------------------------------


def angles(rng, number, *_):
    return np.where(
        rng.random(number) < 0.3, 90 * rng.integers(-4, 5), 200 * rng.normal(size=number)
    )


def offsets(rng, number, *_):
    return 6 * rng.normal(size=(number, 2))


def displacements(rng, number, height, width):
    return rng.choice([0.1, 1, 10]) * rng.normal(size=(number, 2, height, width))


# Each with what it is of one image, and what draws its argument.
TRANSFORMS = {
    "rotate": (augmenters.rotate, reference.rotate, angles),
    "distort": (
        augmenters.distort,
        lambda image, field: reference.distort(image, *field),
        displacements,
    ),
    **{
        f"shift, order {order}": (
            partial(augmenters.shift, order=order),
            lambda image, offset, order=order: reference.shift(image, *offset, order),
            offsets,
        )
        for order in range(6)
    },
}


@pytest.mark.parametrize("name", TRANSFORMS)
@examples(25)
@given(seed=seeds, looks=looks(2, dtypes | st.sampled_from([">f8", "f2", "i1"])))
def test_equals_scipy_image_by_image(name, seed, looks):
    """For all dtypes and layouts."""
    transform, slow, draw = TRANSFORMS[name]
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(rng.integers(1, 8), *rng.integers(1, 13, size=2)))
    argument = draw(rng, *images.shape)
    argument[::3] = np.round(argument[::3])  # onto pixels, those of the border among them
    argument[1::3] = np.floor(argument[1::3]) + 0.5
    arrays = [lay(array, look) for array, look in zip((images, argument), looks, strict=True)]
    check(
        lambda *arrays: [transform(*arrays)],
        lambda *arrays: [[slow(*each) for each in zip(*arrays, strict=True)]],
        arrays,
        precision(arrays[0]),
    )


def precision(array):
    return np.dtype("f4" if array.dtype == np.dtype("f4") else "f8")


@examples(25)
@given(seed=seeds, looks=looks(1, dtypes | st.just(">f8")), sigma=st.floats(0.01, 30))
def test_displacement_fields_equal_scipy(seed, looks, sigma):
    rng = np.random.default_rng(seed)
    noise = lay(rng.normal(size=(3, 2, *rng.integers(1, 13, size=2))), *looks)
    check(
        lambda noise: [augmenters.displacement_fields(noise, 34.0, sigma)],
        lambda noise: [
            [[reference.displacement_field(n, 34.0, sigma) for n in pair] for pair in noise]
        ],
        [noise],
        precision(noise),
    )


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


def test_shift_by_hand():
    image = np.arange(12.0).reshape(3, 4) + 1
    offsets = np.array([[1, 0], [0, -2], [-1, 3], [3, 0], [0, 0]])
    moved = augmenters.shift(np.stack([image] * 5), offsets)
    np.testing.assert_array_equal(moved[0], [[0, 0, 0, 0], [1, 2, 3, 4], [5, 6, 7, 8]])
    np.testing.assert_array_equal(moved[1], [[3, 4, 0, 0], [7, 8, 0, 0], [11, 12, 0, 0]])
    np.testing.assert_array_equal(moved[2], [[0, 0, 0, 5], [0, 0, 0, 9], [0, 0, 0, 0]])
    np.testing.assert_array_equal(moved[3], np.zeros((3, 4)))
    np.testing.assert_array_equal(moved[4], image)
    half = image[None], np.array([[0.5, -1.25]])
    np.testing.assert_array_equal(augmenters.shift(*half), augmenters.shift(*half, order=3))
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
    drawn = augmenters.displacement_fields(noise, 34.0, sigma)
    assert math.sqrt((drawn**2).mean()) == pytest.approx(displacement, rel=0.05)


# ---- the draws -------------------------------------------------------------------------------


@pytest.mark.parametrize("make_rng", RANDOM_SOURCES)
@pytest.mark.parametrize("augmenter", RANDOM)
@examples(25)
@given(
    seed=seeds,
    looks=looks(1),
    flat=st.booleans(),
    fraction=st.sampled_from([0.25, 0.5, 1.0]),
    options=st.booleans(),
)
def test_same_draws_as_image_by_image(
    augmenter, make_rng, monkeypatch, seed, looks, flat, fraction, options
):
    """So that runs of 2016 replay: the same images, changed alike, and `rng` in the same state."""
    drawn = np.random.default_rng(seed)
    sides = 2 * drawn.integers(2, 7, size=2)  # even: `Generator` draws for four pixels at once
    images = drawn.normal(size=(drawn.integers(1, 9), *(sides[:1].repeat(2) if flat else sides)))
    inputs = lay(images.reshape(len(images), -1) if flat else images, *looks)
    options = {"fraction": fraction} | (OPTIONS[augmenter] if options else {})
    reference_rng = make_rng(seed)
    expected = REFERENCES[augmenter](inputs.reshape(images.shape), reference_rng, **options)
    state = reference_rng.random()
    for size in range(1, len(images) + 1):
        monkeypatch.setattr(augmenters, "BLOCK", size)
        rng = make_rng(seed)
        with unchanged(inputs):
            outputs = augmenter(inputs, rng, **options)
        agree([outputs], [expected.reshape(inputs.shape)], inputs.dtype)
        assert rng.random() == state


@pytest.mark.parametrize("per_pixel", [False, True])
def test_noise_is_one_number_an_image_or_one_a_pixel(per_pixel):
    images, rng = np.zeros((4000, 4, 4)), np.random.default_rng(9)
    options = {"per_pixel": True} if per_pixel else {}
    noise = random_noise(images, rng, fraction=1.0, **options)
    assert len(np.unique(noise)) == (noise.size if per_pixel else len(noise))
    assert (noise == noise[:, :1, :1]).all() != per_pixel
    assert noise.var() == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("make_rng", RANDOM_SOURCES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_of_a_distortion_is_uniform(make_rng, dtype):
    # the blur of so small a sigma changes nothing, and alpha 1 leaves the noise
    noise = fields.random_fields(make_rng(13), (50, 2, 20, 25), 1.0, 0.01, np.dtype(dtype))
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
@pytest.mark.parametrize(
    ("fraction", "expected"), [(0, 0), (0.25, 2), (0.29, 2), (0.5, 5), (1, 10)]
)
def test_fraction_of_the_batch(augmenter, fraction, expected):
    inputs = random_images(10, 12, 12)
    outputs = augmenter(inputs, np.random.default_rng(14), fraction=fraction)
    assert (outputs != inputs).any(axis=(1, 2)).sum() == expected


@pytest.mark.parametrize("augmenter", RANDOM)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_strength_zero_changes_nothing(augmenter, dtype):
    inputs, off = random_images(10, 9, 8).astype(dtype), {STRENGTHS[augmenter]: 0}
    outputs = augmenter(inputs, np.random.default_rng(15), fraction=1.0, **off)
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


# ---- the two ways and the edges --------------------------------------------------------------


@pytest.mark.parametrize("name", ["rotate", "distort"])
@examples(25)
@given(seed=seeds, looks=looks(2, layouts=["C"]))
def test_reads_the_same_each_way_to_the_last_bit(name, seed, looks):
    transform, _, draw = TRANSFORMS[name]
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(rng.integers(5), *rng.integers(1, 13, size=2)))
    argument = lay(draw(rng, *images.shape), looks[1])
    images = lay(images, looks[0])
    result = transform(images, argument)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "enabled", lambda: False)
        np.testing.assert_array_equal(result, transform(images, argument))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("far", [1e30, -1e30, 1e10, -(2.0**31), 2.0**63, np.inf, -np.inf, np.nan])
def test_what_is_read_from_far_away_is_zero(far, dtype):
    images = random_images(2, 5, 6).astype(dtype) + 10
    field = np.zeros((2, 2, 5, 6), dtype)
    field[0, 0, 2, 3] = field[1, 1, 4, 5] = far
    expected = images.copy()
    expected[0, 2, 3] = expected[1, 4, 5] = 0
    np.testing.assert_array_equal(augmenters.distort(images, field), expected)
    for order in (1, 3):
        moved = augmenters.shift(images, np.array([[far, 0], [0.5, far]]), order)
        np.testing.assert_array_equal(moved, np.zeros_like(images))
    if np.isnan(far):
        rotated = augmenters.rotate(images, np.array([far, far]))
        np.testing.assert_array_equal(rotated, np.zeros_like(images))


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


@pytest.mark.parametrize("make_rng", RANDOM_SOURCES)
def test_float32_images_are_changed_in_float32(monkeypatch, make_rng):
    """But for coordinates where these have to be exact."""
    images = random_images(4, 6, 6).astype("f4")
    noise = fields.random_fields(make_rng(18), (4, 2, 6, 6), 1.0, 1.0, images.dtype)
    assert noise.dtype == ("f4" if make_rng is np.random.default_rng else "f8")
    called = only_single(monkeypatch, sampling, "sample_bilinear")
    augmenters.distort(images, noise.astype("f4"))
    assert called == ({"sample_bilinear"} if compiled.enabled() else set())
    assert splines._margin_matrix(6, np.float32).dtype == "f4"


# ---- refusals --------------------------------------------------------------------------------

IMAGES = np.zeros((4, 784))
ABOVE = "sigma must be a number of pixels above 0"
AT_LEAST = "must be a number{} of at least 0"


@pytest.mark.parametrize(
    ("augmenter", "name", "value", "message"),
    [
        *((random_distortion, "sigma", value, ABOVE) for value in (0, -1.5, math.inf, math.nan)),
        *(
            (augmenter, name, value, f"{name} {AT_LEAST.format(unit)}")
            for augmenter, name, value, unit in (
                (random_distortion, "alpha", -1, " of pixels"),
                (random_distortion, "alpha", math.inf, " of pixels"),
                (random_noise, "std", -0.1, ""),
                (random_noise, "std", math.nan, ""),
                (random_rotation, "max_angle", -30, " of degrees"),
                (random_shift, "max_shift", math.nan, " of pixels"),
            )
        ),
        *((random_shift, "order", n, "order must be a whole number in [0, 5]") for n in (6, -1)),
        *(
            (augmenter, "fraction", value, "fraction must be a number in [0, 1]")
            for augmenter in RANDOM
            for value in (1.5, -0.1, math.nan)
        ),
        # of the wrong type
        *(
            (augmenter, name, value, f"{name} must be a {kind}number")
            for augmenter, name, value, kind in (
                (random_distortion, "sigma", "4", ""),
                (random_distortion, "alpha", None, ""),
                (random_noise, "std", True, ""),
                (random_rotation, "max_angle", [30], ""),
                (random_shift, "max_shift", 4j, ""),
                (random_shift, "order", 3.0, "whole "),
                *((augmenter, "fraction", "all", "") for augmenter in RANDOM),
            )
        ),
    ],
)
def test_wrong_arguments(augmenter, name, value, message):
    with pytest.raises((TypeError, ValueError)) as refusal:
        augmenter(IMAGES, np.random.default_rng(17), **{name: value})
    assert str(refusal.value) == f"{message}, got {value!r}"


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
def test_inputs_and_rng_of_the_wrong_type(augmenter):
    for inputs, rng, message in (
        (IMAGES.astype("u1"), None, "inputs must be floating-point numbers, got dtype uint8"),
        (IMAGES, 7, "rng must be a RandomState, a Generator or None, got 7"),
    ):
        with pytest.raises(TypeError, match=f"^{message}$"):
            augmenter(inputs, rng)
