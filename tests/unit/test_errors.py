"""The errors: value and gradient by three witnesses, large outputs, refusals."""

import math

import numpy as np
import pytest
import reference
import scipy.special
from gradcheck import check_error
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss
from support import LAYOUTS, check, examples, lay, looks, seeds
from witnesses import BY_HAND, INDEPENDENT, PROJECTION, witness

from mlpcw.errors import (
    BinaryCrossEntropyError,
    BinaryCrossEntropySigmoidError,
    CrossEntropyError,
    CrossEntropySoftmaxError,
    Error,
    SumOfSquaredDiffsError,
    sigmoid,
    softmax,
)

RNG = np.random.RandomState(41)
REALS = RNG.normal(size=(6, 4))
PROBABILITIES = RNG.uniform(0.1, 0.9, size=(6, 4))
ONE_OF_K = np.eye(4)[[0, 1, 2, 3, 1, 0]]
SHARES = RNG.uniform(size=(6, 4))

# Each with outputs, targets and the slow implementation beside it.
ERRORS = {
    "squares": (SumOfSquaredDiffsError(), REALS, SHARES, reference.sum_of_squared_diffs),
    "binary": (BinaryCrossEntropyError(), PROBABILITIES, SHARES, reference.binary_cross_entropy),
    "binary sigmoid": (
        BinaryCrossEntropySigmoidError(),
        REALS,
        SHARES,
        reference.binary_cross_entropy_sigmoid,
    ),
    "cross-entropy": (CrossEntropyError(), PROBABILITIES, ONE_OF_K, reference.cross_entropy),
    "cross-entropy softmax": (
        CrossEntropySoftmaxError(),
        REALS,
        ONE_OF_K,
        reference.cross_entropy_softmax,
    ),
}
EVERY_ERROR = pytest.mark.parametrize("name", ERRORS)


# ---- three witnesses --------------------------------------------------------------------------


@witness(PROJECTION, lambda name: ERRORS[name][0])
@EVERY_ERROR
def test_gradient_is_the_slope(name):
    error, outputs, targets, _ = ERRORS[name]
    check_error(error, outputs, targets)


@witness(INDEPENDENT, lambda name: ERRORS[name][0])
@EVERY_ERROR
@examples(25)
@given(
    seed=seeds,
    looks=looks(2, layouts=list(LAYOUTS)),
    whole=st.sampled_from(["u1", "i1", "i8", None]),
)
def test_agrees_with_the_slow_implementation(name, seed, looks, whole):
    """In the dtype of the outputs, whatever that of the targets; in float64 for whole numbers."""
    error, outputs, targets, slow = ERRORS[name]
    order = np.random.default_rng(seed).integers(6, size=(1 + seed % 7))
    outputs, targets = outputs[order], targets[order]
    if whole and name in ("squares", "binary sigmoid", "cross-entropy softmax"):
        outputs, looks[0] = 5 * np.abs(outputs), (looks[0][0], whole, looks[0][2])
    outputs, targets = (lay(*pair) for pair in zip((outputs, targets), looks, strict=True))
    check(
        lambda outputs, targets: [error(outputs, targets), error.grad(outputs, targets)],
        slow,
        [outputs, targets],
        outputs.dtype if outputs.dtype.kind == "f" else np.float64,
    )


def agrees(error, outputs, targets, value, grads):
    outputs, targets = np.array(outputs), np.array(targets)
    assert error(outputs, targets) == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(error.grad(outputs, targets), grads, rtol=1e-14, atol=1e-15)


@witness(BY_HAND, SumOfSquaredDiffsError)
def test_sum_of_squared_differences_by_hand():
    agrees(
        SumOfSquaredDiffsError(),
        [[1.0, 2.0], [3.0, 4.0]],
        [[0.0, 2.0], [3.0, 2.0]],
        (1 + 4) / 2 / 2,
        [[0.5, 0.0], [0.0, 1.0]],
    )


@witness(BY_HAND, BinaryCrossEntropyError)
def test_binary_cross_entropy_by_hand():
    agrees(
        BinaryCrossEntropyError(),
        [[0.5, 0.25], [0.5, 0.5]],
        [[1.0, 0.0], [0.0, 0.0]],
        (math.log(8 / 3) + math.log(4)) / 2,
        [[-1.0, 2 / 3], [1.0, 1.0]],
    )


@witness(BY_HAND, BinaryCrossEntropySigmoidError)
def test_binary_cross_entropy_of_sigmoids_by_hand():
    agrees(
        BinaryCrossEntropySigmoidError(),
        [[0.0, math.log(3)], [0.0, 0.0]],
        [[1.0, 0.0], [0.0, 1.0]],
        (math.log(8) + math.log(4)) / 2,
        [[-0.25, 0.375], [0.25, -0.25]],
    )


@witness(BY_HAND, CrossEntropyError)
def test_cross_entropy_by_hand():
    agrees(
        CrossEntropyError(),
        [[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]],
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
        math.log(2.5) / 2,
        [[-1.0, 0.0, 0.0], [0.0, -0.625, 0.0]],
    )


@witness(BY_HAND, CrossEntropySoftmaxError)
def test_cross_entropy_of_softmaxes_by_hand():
    agrees(
        CrossEntropySoftmaxError(),
        [[0.0, math.log(2), math.log(5)], [0.0, 0.0, 0.0]],
        [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]],
        math.log(12) / 2,
        [[1 / 16, -6 / 16, 5 / 16], [-1 / 3, 1 / 6, 1 / 6]],
    )


def test_cross_entropies_agree_with_scikit_learn():
    classes = ONE_OF_K.argmax(axis=1)
    expected = log_loss(classes, softmax(REALS), labels=[0, 1, 2, 3])
    assert CrossEntropySoftmaxError()(REALS, ONE_OF_K) == pytest.approx(expected, rel=1e-12)
    assert CrossEntropyError()(softmax(REALS), ONE_OF_K) == pytest.approx(expected, rel=1e-12)


# ---- what all errors have in common -----------------------------------------------------------


@EVERY_ERROR
def test_shows_its_name(name):
    error = ERRORS[name][0]
    assert repr(error) == type(error).__name__


@EVERY_ERROR
@pytest.mark.parametrize("shape", [(6, 3), (5, 4), (6,), (1, 4)])
def test_targets_of_another_shape_are_refused(name, shape):
    error, outputs, _, _ = ERRORS[name]
    message = f"targets of shape {shape} do not fit outputs of shape (6, 4): they must be equal"
    for call in (error, error.grad):
        with pytest.raises(ValueError) as refusal:
            call(outputs, np.ones(shape))
        assert str(refusal.value) == message


def test_the_contract_alone_does_nothing():
    with pytest.raises(NotImplementedError):
        Error()(REALS, SHARES)
    with pytest.raises(NotImplementedError):
        Error().grad(REALS, SHARES)


# ---- large outputs ----------------------------------------------------------------------------

LARGE = np.array([[1e4, -1e4, 0.0]])


def test_softmax_error_does_not_overflow():
    error, last = CrossEntropySoftmaxError(), np.array([[0.0, 1.0, 0.0]])
    assert error(LARGE, last) == 2e4
    np.testing.assert_array_equal(error.grad(LARGE, last), [[1.0, -1.0, 0.0]])


def test_sigmoid_error_does_not_overflow():
    error, targets = BinaryCrossEntropySigmoidError(), np.array([[0.0, 1.0, 1.0]])
    assert error(LARGE, targets) == pytest.approx(2e4 + math.log(2), rel=1e-14)
    np.testing.assert_array_equal(error.grad(LARGE, targets), [[1.0, -1.0, -0.5]])


def test_sigmoid_and_softmax_agree_with_scipy():
    """Softmax is over the last axis."""
    values = np.linspace(-30, 30, 60).reshape(2, 3, 10)
    np.testing.assert_allclose(sigmoid(values), scipy.special.expit(values), atol=1e-15)
    np.testing.assert_allclose(softmax(values), scipy.special.softmax(values, axis=-1), rtol=1e-12)
