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


def test_passes_right_gradients():
    check_gradient(function, gradient(POINT), POINT)
    check_gradient(lambda values: 7.0, np.zeros((4, 5)), POINT)


def scaled(factor, index=...):
    wrong = gradient(POINT)
    wrong[index] *= factor
    return wrong


def exchanged():
    wrong = gradient(POINT)
    wrong[0, 0], wrong[0, 1] = wrong[0, 1], wrong[0, 0]
    return wrong


@pytest.mark.parametrize(
    "wrong",
    [
        *(scaled(factor) for factor in (1.001, 0.999, -1.0, 0.0, np.nan)),
        *(scaled(1.001, index) for index in ((0, 0), (1, 3), (3, 4))),
        exchanged(),
    ],
)
def test_fails_on_a_wrong_gradient(wrong):
    with pytest.raises(AssertionError, match="relative error"):
        check_gradient(function, wrong, POINT)


@pytest.mark.parametrize("shape", [(5, 4), (20,), (1, 4, 5)])
def test_fails_on_a_wrong_shape(shape):
    with pytest.raises(AssertionError, match=r"gradient .* point"):
        check_gradient(function, gradient(POINT).reshape(shape), POINT)
    with pytest.raises(AssertionError, match=r"gradient .* point"):  # which would broadcast
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
    factors = 1.001, 1

    def grads_wrt_params(self, inputs, grads_wrt_outputs):
        grads = super().grads_wrt_params(inputs, grads_wrt_outputs)
        return [factor * grad for factor, grad in zip(self.factors, grads, strict=False)]


class WrongBiases(WrongWeights):
    factors = 1, 1.001


class NoBiases(WrongWeights):
    factors = (1,)


@pytest.mark.parametrize("wrong", [WrongInputs, WrongWeights, WrongBiases, NoBiases])
def test_a_wrong_layer_fails(wrong):
    layer = affine(wrong)
    weights, before = layer.weights, layer.weights.copy()
    with pytest.raises(AssertionError):
        check_layer(layer, POINT)
    assert layer.weights is weights  # the parameters are the same after a failure
    np.testing.assert_array_equal(weights, before)


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
