"""The penalties: value and gradient by three witnesses, the report's factors, refusals."""

import math

import numpy as np
import pytest
import reference
from gradcheck import check_penalty
from hypothesis import given
from hypothesis import strategies as st
from support import check, examples, lay, looks, seeds
from witnesses import BY_HAND, INDEPENDENT, PROJECTION, witness

from mlpcw.penalties import L1L2Penalty, L1Penalty, L2Penalty

PENALTIES = {
    "L1": (L1Penalty(0.3), lambda w: reference.l1_penalty(w, 0.3)),
    "L2": (L2Penalty(0.7), lambda w: reference.l2_penalty(w, 0.7)),
    "L1 and L2": (L1L2Penalty(0.3, 0.7), lambda w: reference.l1_l2_penalty(w, 0.3, 0.7)),
    "L1 alone": (L1L2Penalty(0.3, 0.0), lambda w: reference.l1_l2_penalty(w, 0.3, 0.0)),
    "L2 alone": (L1L2Penalty(0.0, 0.7), lambda w: reference.l1_l2_penalty(w, 0.0, 0.7)),
}
EVERY_PENALTY = pytest.mark.parametrize("name", PENALTIES)
SHAPES = pytest.mark.parametrize("shape", [(6,), (4, 5), (2, 3, 4, 5)])

# So large that no half is a subnormal number, and rounded.
COEFFICIENTS = st.just(0) | st.floats(1e-9, 1e3)
WEIGHTS = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=8).map(lambda w: np.round(w, 6))


def away_from_zero(shape):
    rng = np.random.RandomState(31)
    return rng.uniform(0.1, 2.0, size=shape) * rng.choice([-1.0, 1.0], size=shape)


# ---- three witnesses --------------------------------------------------------------------------


@witness(PROJECTION, lambda name: PENALTIES[name][0])
@EVERY_PENALTY
@SHAPES
def test_gradient_is_the_slope(name, shape):
    check_penalty(PENALTIES[name][0], away_from_zero(shape))


@witness(INDEPENDENT, lambda name: PENALTIES[name][0])
@EVERY_PENALTY
@SHAPES
@examples(25)
@given(seed=seeds, looks=looks(1))
def test_agrees_with_the_slow_implementation(name, shape, seed, looks):
    penalty, slow = PENALTIES[name]
    weights = lay(np.random.default_rng(seed).normal(size=shape), *looks)
    (_, grads) = check(lambda w: [penalty(w), penalty.grad(w)], slow, [weights], weights.dtype)
    assert grads.flags.writeable and not np.shares_memory(grads, weights)


WEIGHTS_BY_HAND = np.array([[1.0, -2.0], [0.0, 3.0]])


@witness(BY_HAND, lambda penalty: penalty)
@pytest.mark.parametrize(
    "penalty, value, grads",
    [
        (L1Penalty(0.5), 3.0, [[0.5, -0.5], [0.0, 0.5]]),
        (L2Penalty(0.5), 3.5, [[0.5, -1.0], [0.0, 1.5]]),
        (L1L2Penalty(0.5, 0.5), 3.25, [[0.5, -0.75], [0.0, 1.0]]),
        (L1L2Penalty(0.5, 0.0), 1.5, [[0.25, -0.25], [0.0, 0.25]]),
        (L1L2Penalty(0.0, 0.5), 1.75, [[0.25, -0.5], [0.0, 0.75]]),
    ],
    ids=repr,
)
def test_by_hand(penalty, value, grads):
    assert penalty(WEIGHTS_BY_HAND) == value
    np.testing.assert_array_equal(penalty.grad(WEIGHTS_BY_HAND), grads)


# ---- properties -------------------------------------------------------------------------------


@given(WEIGHTS, COEFFICIENTS, COEFFICIENTS)
def test_the_combination_is_half_of_the_sum(weights, l1, l2):
    both = L1L2Penalty(l1, l2)
    assert both(weights) == 0.5 * (L1Penalty(l1)(weights) + L2Penalty(l2)(weights))
    np.testing.assert_array_equal(
        both.grad(weights), 0.5 * (L1Penalty(l1).grad(weights) + L2Penalty(l2).grad(weights))
    )


@EVERY_PENALTY
@given(weights=WEIGHTS, seed=st.integers(0, 1000))
def test_lies_above_the_planes_of_its_gradient(name, weights, seed):
    """Everywhere, the kink included: this makes it the gradient of a convex function."""
    penalty = PENALTIES[name][0]
    others = np.random.RandomState(seed).normal(size=weights.shape)
    plane = penalty(weights) + np.sum(penalty.grad(weights) * (others - weights))
    assert plane <= penalty(others) + 1e-12 * (1 + penalty(weights))


@EVERY_PENALTY
@given(weights=WEIGHTS)
def test_is_symmetric_and_not_negative(name, weights):
    penalty = PENALTIES[name][0]
    assert penalty(weights) >= 0
    assert penalty(-weights) == penalty(weights)
    np.testing.assert_array_equal(penalty.grad(-weights), -penalty.grad(weights))


@pytest.mark.parametrize("penalty", [L1Penalty(0), L2Penalty(0), L1L2Penalty(0, 0)], ids=repr)
def test_zero_switches_a_penalty_off(penalty):
    weights = away_from_zero((4, 5))
    assert penalty(weights) == 0
    assert not penalty.grad(weights).any()


@pytest.mark.parametrize("kind", [np.float64, np.float32, int])
def test_a_coefficient_of_any_kind_does_not_widen_the_gradient(kind):
    weights = np.ones(3, dtype=np.float32)
    for penalty in (L1Penalty(kind(2)), L2Penalty(kind(2)), L1L2Penalty(kind(2), kind(2))):
        assert penalty.grad(weights).dtype == np.float32


def test_coefficients_can_be_read():
    assert L1Penalty(1e-5).coefficient == 1e-5
    assert L2Penalty(1e-4).coefficient == 1e-4
    both = L1L2Penalty(1e-5, 1e-4)
    assert (both.l1_coefficient, both.l2_coefficient) == (1e-5, 1e-4)
    reprs = [repr(penalty) for penalty in (L1Penalty(1e-5), L2Penalty(1e-4), both)]
    assert reprs == ["L1Penalty(1e-05)", "L2Penalty(0.0001)", "L1L2Penalty(1e-05, 0.0001)"]


# ---- what is refused --------------------------------------------------------------------------

MAKERS = pytest.mark.parametrize(
    "make, name",
    [
        (L1Penalty, "coefficient"),
        (L2Penalty, "coefficient"),
        (lambda value: L1L2Penalty(value, 1.0), "l1_coefficient"),
        (lambda value: L1L2Penalty(1.0, value), "l2_coefficient"),
    ],
)


@MAKERS
@pytest.mark.parametrize("value", [-1e-3, -math.inf, math.inf, math.nan, "0.1", None])
def test_a_coefficient_that_is_no_number_from_0_is_refused(make, name, value):
    with pytest.raises((ValueError, TypeError)) as refusal:
        make(value)
    known = isinstance(value, float)
    assert refusal.type is (ValueError if known else TypeError)
    allowed = "a number of at least 0" if known else "a number"
    assert str(refusal.value) == f"{name} must be {allowed}, got {value!r}"
