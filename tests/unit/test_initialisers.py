"""The initialisers: which numbers they draw, and how many."""

import math

import numpy as np
import pytest

from mlpcw.initialisers import (
    ConstantInit,
    GlorotNormalInit,
    GlorotUniformInit,
    NormalInit,
    UniformInit,
)

SEED = 51
RANDOM = {
    "uniform": lambda rng: UniformInit(-0.5, 2.0, rng),
    "normal": lambda rng: NormalInit(1.0, 3.0, rng),
    "Glorot uniform": lambda rng: GlorotUniformInit(0.5, rng),
    "Glorot normal": lambda rng: GlorotNormalInit(0.5, rng),
}
EVERY_RANDOM = pytest.mark.parametrize("name", RANDOM)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4, 5)])
def test_constant(shape):
    values = ConstantInit(0.25)(shape)
    assert values.shape == shape
    assert values.dtype == np.float64
    assert np.all(values == 0.25)


def test_constant_makes_a_new_array_each_time():
    init = ConstantInit(0)
    init((3,))[...] = 1
    assert not init((3,)).any()


def test_constant_takes_a_plain_number_as_a_shape():
    assert ConstantInit(1.0)(3).shape == (3,)


def test_uniform_draws_what_one_call_draws():
    expected = np.random.RandomState(SEED).uniform(-0.5, 2.0, size=(4, 5))
    found = UniformInit(-0.5, 2.0, np.random.RandomState(SEED))((4, 5))
    np.testing.assert_array_equal(found, expected)


def test_normal_draws_what_one_call_draws():
    expected = np.random.RandomState(SEED).normal(1.0, 3.0, size=(4, 5))
    found = NormalInit(1.0, 3.0, np.random.RandomState(SEED))((4, 5))
    np.testing.assert_array_equal(found, expected)


def test_glorot_uniform_draws_within_its_half_width():
    """The half width of the runs of 2016, `gain * sqrt(2 / (in + out)) * sqrt(3)`, to the bit."""
    half_width = 0.5 * (2.0 / (784 + 100)) ** 0.5 * 3.0**0.5
    expected = np.random.RandomState(SEED).uniform(-half_width, half_width, size=(100, 784))
    found = GlorotUniformInit(0.5, np.random.RandomState(SEED))((100, 784))
    np.testing.assert_array_equal(found, expected)


def test_glorot_normal_draws_with_its_deviation():
    std = 0.5 * (2.0 / (784 + 100)) ** 0.5
    expected = np.random.RandomState(SEED).normal(0.0, std, size=(100, 784))
    found = GlorotNormalInit(0.5, np.random.RandomState(SEED))((100, 784))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("init_class", [GlorotUniformInit, GlorotNormalInit])
@pytest.mark.parametrize("gain", [0.5, 1.0])
def test_glorot_has_the_variance_of_its_paper(init_class, gain):
    weights = init_class(gain, np.random.RandomState(SEED))((300, 200))
    assert weights.mean() == pytest.approx(0, abs=0.001)
    assert weights.var() == pytest.approx(gain**2 * 2 / 500, rel=0.02)


@EVERY_RANDOM
@pytest.mark.parametrize("rng_class", [np.random.RandomState, np.random.default_rng])
def test_draws_from_the_generator_it_is_given(name, rng_class):
    rng = rng_class(SEED)
    init = RANDOM[name](rng)
    first, second = init((4, 5)), init((4, 5))
    assert (first != second).all()
    np.testing.assert_array_equal(first, RANDOM[name](rng_class(SEED))((4, 5)))
    assert first.dtype == np.float64


@EVERY_RANDOM
def test_without_a_generator_takes_fresh_entropy(name):
    assert (RANDOM[name](None)((4, 5)) != RANDOM[name](None)((4, 5))).all()


def test_a_spread_of_zero_is_legal():
    assert np.all(UniformInit(0.5, 0.5)((3,)) == 0.5)
    assert np.all(NormalInit(0.5, 0)((3,)) == 0.5)
    assert not GlorotUniformInit(0)((3, 4)).any()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ConstantInit(math.nan), "value must be a number that is finite, got nan"),
        (lambda: UniformInit(1, 0), "high must be a number of at least 1.0, got 0"),
        (lambda: UniformInit(-math.inf, 0), "low must be a number that is finite, got -inf"),
        (lambda: NormalInit(0, -1), "std must be a number of at least 0, got -1"),
        (lambda: NormalInit(math.nan, 1), "mean must be a number that is finite, got nan"),
        (lambda: GlorotUniformInit(-1), "gain must be a number of at least 0, got -1"),
        (lambda: GlorotNormalInit(-1), "gain must be a number of at least 0, got -1"),
        (
            lambda: GlorotUniformInit()((1, 1, 5, 5)),
            "shape must be (output_dim, input_dim), got (1, 1, 5, 5)",
        ),
        (lambda: GlorotNormalInit()((5,)), "shape must be (output_dim, input_dim), got (5,)"),
    ],
)
def test_a_value_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError) as refusal:
        make()
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ConstantInit("0"), "value must be a number, got '0'"),
        (lambda: UniformInit(None, 1), "low must be a number, got None"),
        (lambda: NormalInit(0, "1"), "std must be a number, got '1'"),
        (lambda: GlorotUniformInit(np.random.RandomState(1)), "gain must be a number, got"),
        (lambda: UniformInit(0, 1, rng=1), "rng must be a RandomState, a Generator or None, got 1"),
    ],
)
def test_a_value_of_a_wrong_type_is_refused(make, message):
    with pytest.raises(TypeError) as refusal:
        make()
    assert str(refusal.value).startswith(message)
