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


@pytest.mark.parametrize("shape", [3, (3,), (2, 3), (2, 3, 4, 5)])
def test_constant(shape):
    init = ConstantInit(0.25)
    init(shape)[...] = 1  # a new array each time
    values = init(shape)
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, np.full(shape, 0.25), strict=True)


def test_uniform_and_normal_draw_what_one_call_draws():
    draw = np.random.RandomState(SEED)
    uniform = draw.uniform(-0.5, 2.0, size=(4, 5))
    normal = draw.normal(1.0, 3.0, size=(4, 5))
    rng = np.random.RandomState(SEED)
    np.testing.assert_array_equal(UniformInit(-0.5, 2.0, rng)((4, 5)), uniform)
    np.testing.assert_array_equal(NormalInit(1.0, 3.0, rng)((4, 5)), normal)


def test_glorot_draws_with_the_half_width_and_the_deviation_of_its_paper():
    """`gain * sqrt(2 / (in + out))`, and `sqrt(3)` times that for the half width of 2016."""
    std = 0.5 * (2.0 / (784 + 100)) ** 0.5
    draw, rng = np.random.RandomState(SEED), np.random.RandomState(SEED)
    uniform = draw.uniform(-std * 3.0**0.5, std * 3.0**0.5, size=(100, 784))
    np.testing.assert_array_equal(GlorotUniformInit(0.5, rng)((100, 784)), uniform)
    normal = draw.normal(0.0, std, size=(100, 784))
    np.testing.assert_array_equal(GlorotNormalInit(0.5, rng)((100, 784)), normal)


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
        (lambda: ConstantInit("0"), "value must be a number, got '0'"),
        (lambda: UniformInit(None, 1), "low must be a number, got None"),
        (lambda: NormalInit(0, "1"), "std must be a number, got '1'"),
        (lambda: GlorotUniformInit(rng=1), "rng must be a RandomState, a Generator or None, got 1"),
    ],
)
def test_a_wrong_argument_is_refused(make, message):
    with pytest.raises((ValueError, TypeError)) as refusal:
        make()
    assert str(refusal.value) == message
