"""The gradient check itself: right gradients pass, and each small fault is found."""

import numpy as np
import pytest
from gradcheck import check_error, check_gradient, check_layer, check_model, check_penalty

from mlpcw.errors import CrossEntropySoftmaxError
from mlpcw.initialisers import ConstantInit, GlorotUniformInit
from mlpcw.layers import AffineLayer, TanhLayer
from mlpcw.models import MultipleLayerModel
from mlpcw.penalties import L2Penalty

POINT = np.random.RandomState(3).normal(size=(4, 5))
OUTPUTS = np.random.RandomState(4).normal(size=(6, 3))
TARGETS = np.eye(3)[[0, 1, 2, 2, 1, 0]]


def function(values):
    return np.sum(np.sin(values) * values)


def gradient(values):
    return np.cos(values) * values + np.sin(values)


def affine(layer_class=AffineLayer, weights_penalty=None):
    weights_init = GlorotUniformInit(rng=np.random.RandomState(5))
    return layer_class(5, 3, weights_init, ConstantInit(0.5), weights_penalty)


def test_passes_a_right_gradient():
    check_gradient(function, gradient(POINT), POINT)


def test_passes_the_gradient_of_a_constant():
    check_gradient(lambda values: 7.0, np.zeros((4, 5)), POINT)


@pytest.mark.parametrize("factor", [1.001, 0.999, -1.0, 0.0])
def test_fails_on_a_gradient_wrong_by_a_factor(factor):
    with pytest.raises(AssertionError, match="relative error"):
        check_gradient(function, factor * gradient(POINT), POINT)


@pytest.mark.parametrize("index", [(0, 0), (1, 3), (3, 4)])
def test_fails_on_a_single_value_wrong_by_a_thousandth(index):
    wrong = gradient(POINT)
    wrong[index] *= 1.001
    with pytest.raises(AssertionError, match="relative error"):
        check_gradient(function, wrong, POINT)


def test_fails_on_two_values_exchanged():
    wrong = gradient(POINT)
    wrong[0, 0], wrong[0, 1] = wrong[0, 1], wrong[0, 0]
    with pytest.raises(AssertionError, match="relative error"):
        check_gradient(function, wrong, POINT)


def test_fails_on_nan():
    with pytest.raises(AssertionError, match="relative error nan"):
        check_gradient(function, np.full((4, 5), np.nan), POINT)


@pytest.mark.parametrize("shape", [(5, 4), (20,), (1, 4, 5)])
def test_fails_on_a_wrong_shape(shape):
    with pytest.raises(AssertionError, match=r"gradient .* point"):
        check_gradient(function, gradient(POINT).reshape(shape), POINT)


def test_fails_on_a_gradient_that_would_broadcast():
    with pytest.raises(AssertionError, match=r"gradient .* point"):
        check_gradient(np.sum, np.ones(()), POINT)


def test_fails_on_single_precision():
    with pytest.raises(AssertionError, match="float64"):
        check_gradient(function, gradient(POINT).astype(np.float32), POINT)


def test_a_right_layer_passes():
    check_layer(affine(weights_penalty=L2Penalty(0.1)), POINT)


class WrongInputs(AffineLayer):
    def bprop(self, inputs, outputs, grads_wrt_outputs):
        return 1.001 * super().bprop(inputs, outputs, grads_wrt_outputs)


class WrongWeights(AffineLayer):
    def grads_wrt_params(self, inputs, grads_wrt_outputs):
        grads = super().grads_wrt_params(inputs, grads_wrt_outputs)
        return [1.001 * grads[0], grads[1]]


class WrongBiases(AffineLayer):
    def grads_wrt_params(self, inputs, grads_wrt_outputs):
        grads = super().grads_wrt_params(inputs, grads_wrt_outputs)
        return [grads[0], 1.001 * grads[1]]


class NoBiases(AffineLayer):
    def grads_wrt_params(self, inputs, grads_wrt_outputs):
        return super().grads_wrt_params(inputs, grads_wrt_outputs)[:1]


@pytest.mark.parametrize("wrong", [WrongInputs, WrongWeights, WrongBiases, NoBiases])
def test_a_wrong_layer_fails(wrong):
    with pytest.raises(AssertionError):
        check_layer(affine(wrong), POINT)


class FreePenalty(L2Penalty):
    """A penalty whose gradient is left out."""

    def grad(self, parameter):
        return np.zeros_like(parameter)


def test_a_layer_fails_without_its_penalty_in_the_gradient():
    with pytest.raises(AssertionError, match="relative error"):
        check_layer(affine(weights_penalty=FreePenalty(0.1)), POINT)


@pytest.mark.parametrize("wrong", [WrongInputs, WrongWeights, WrongBiases])
def test_a_model_with_one_wrong_layer_fails(wrong):
    rng = np.random.RandomState(6)
    model = MultipleLayerModel(
        [
            AffineLayer(5, 5, GlorotUniformInit(rng=rng)),
            TanhLayer(),
            wrong(5, 3, GlorotUniformInit(rng=rng)),
        ]
    )
    with pytest.raises(AssertionError, match="relative error"):
        check_model(model, CrossEntropySoftmaxError(), POINT, TARGETS[:4])


def test_the_parameters_are_the_same_after_a_failure():
    layer = affine(WrongWeights)
    weights = layer.weights
    before = weights.copy()
    with pytest.raises(AssertionError):
        check_layer(layer, POINT)
    assert layer.weights is weights
    np.testing.assert_array_equal(weights, before)


class WrongError(CrossEntropySoftmaxError):
    """An error whose gradient lacks the division by the size of the batch."""

    def grad(self, outputs, targets):
        return super().grad(outputs, targets) * len(outputs)


def test_an_error_fails_without_the_division_by_the_batch_size():
    check_error(CrossEntropySoftmaxError(), OUTPUTS, TARGETS)
    with pytest.raises(AssertionError, match="relative error"):
        check_error(WrongError(), OUTPUTS, TARGETS)


def test_a_wrong_penalty_fails():
    check_penalty(L2Penalty(0.1), POINT)
    with pytest.raises(AssertionError, match="relative error"):
        check_penalty(FreePenalty(0.1), POINT)
