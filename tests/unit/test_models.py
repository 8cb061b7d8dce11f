"""The models: forward and backward through all layers, and three witnesses of the gradients."""

import numpy as np
import pytest
import reference
from gradcheck import check_model
from witnesses import BY_HAND, INDEPENDENT, PROJECTION, witness

from mlpcw.errors import CrossEntropySoftmaxError, SumOfSquaredDiffsError
from mlpcw.initialisers import ConstantInit, GlorotUniformInit, UniformInit
from mlpcw.layers import (
    AffineLayer,
    ConvolutionalLayer,
    DropoutLayer,
    LayerWithParameters,
    MaxPooling2DLayer,
    ReluLayer,
    ReshapeLayer,
    SigmoidLayer,
    SoftmaxLayer,
    StochasticLayer,
    TanhLayer,
)
from mlpcw.models import MultipleLayerModel, SingleLayerModel
from mlpcw.penalties import L1L2Penalty, L1Penalty, L2Penalty

PENALTIES = [None, L1Penalty(0.01), L2Penalty(0.1), L1L2Penalty(0.01, 0.1)]
TARGETS = np.eye(3)[[0, 1, 2, 1, 0]]


class RepeatingDropoutLayer(DropoutLayer):
    """Dropout with the same mask every time: a function."""

    def fprop(self, inputs, stochastic=True):
        self.rng = np.random.RandomState(71)
        return super().fprop(inputs, stochastic)


def mlp(penalty=None, seed=73, nonlinearity=ReluLayer):
    """6 -> 5 -> 4 -> 3, the shape of the report's network on a small scale."""
    weights_init = GlorotUniformInit(rng=np.random.RandomState(seed))
    biases_init = ConstantInit(0.1)
    return MultipleLayerModel(
        [
            AffineLayer(6, 5, weights_init, biases_init, penalty),
            nonlinearity(),
            AffineLayer(5, 4, weights_init, biases_init, penalty),
            nonlinearity(),
            AffineLayer(4, 3, weights_init, biases_init, penalty),
        ]
    )


def convolutional_network(penalty=None):
    rng = np.random.RandomState(73)
    kernels_init, weights_init = UniformInit(-1.0, 1.0, rng), GlorotUniformInit(rng=rng)
    return MultipleLayerModel(
        [
            ReshapeLayer((1, 6, 6)),
            ConvolutionalLayer(1, 2, 6, 6, 3, 3, kernels_init, ConstantInit(0.1), penalty),
            TanhLayer(),
            MaxPooling2DLayer(2),
            ReshapeLayer(),
            RepeatingDropoutLayer(incl_prob=0.7),
            AffineLayer(8, 3, weights_init, ConstantInit(0.1), penalty),
        ]
    )


def images(batch_size=5, size=36):
    return np.random.RandomState(74).normal(size=(batch_size, size))


# ---- gradients: three witnesses ---------------------------------------------------------------


@witness(PROJECTION, MultipleLayerModel)
@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
@pytest.mark.parametrize("nonlinearity", [ReluLayer, SigmoidLayer, TanhLayer])
def test_gradients_are_slopes(penalty, nonlinearity):
    model, inputs = mlp(penalty, nonlinearity=nonlinearity), images(size=6)
    activations = model.fprop(inputs)
    near_kinks = [activations[1], activations[3], *model.params]
    assert min(np.abs(values).min() for values in near_kinks) > 1e-3, "too near a kink"
    check_model(model, CrossEntropySoftmaxError(), inputs, TARGETS)


@witness(PROJECTION, MultipleLayerModel)
@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_gradients_are_slopes_in_a_convolutional_network(penalty, each_way):
    check_model(convolutional_network(penalty), CrossEntropySoftmaxError(), images(), TARGETS)


@witness(INDEPENDENT, MultipleLayerModel)
def test_gradients_agree_with_the_slow_implementation():
    """Every step forward and back with the functions that handle one number at a time."""
    model, inputs = mlp(L1L2Penalty(0.01, 0.1)), images(size=6)
    activations, slow = model.fprop(inputs), [inputs]
    for layer in model.layers:
        nothing = np.zeros(
            (5, len(layer.biases) if hasattr(layer, "biases") else slow[-1].shape[1])
        )
        if hasattr(layer, "biases"):
            slow.append(reference.affine(slow[-1], nothing, *layer.params)[0])
        else:
            slow.append(reference.relu(slow[-1], nothing)[0])
    for activation, expected in zip(activations, slow, strict=True):
        np.testing.assert_allclose(activation, expected, rtol=1e-12, atol=1e-14)

    value, grads = reference.cross_entropy_softmax(slow[-1], TARGETS)
    expected_grads, penalties = [], 0.0
    for layer, below in zip(reversed(model.layers), reversed(slow[:-1]), strict=True):
        if hasattr(layer, "biases"):
            _, grads, grads_w, grads_b = reference.affine(below, grads, *layer.params)
            penalty, penalty_grads = reference.l1_l2_penalty(layer.weights, 0.01, 0.1)
            expected_grads = [grads_w + penalty_grads, grads_b, *expected_grads]
            penalties += penalty
        else:
            grads = reference.relu(below, grads)[1]

    error = CrossEntropySoftmaxError()
    assert error(activations[-1], TARGETS) == pytest.approx(value, rel=1e-12)
    assert model.params_penalty() == pytest.approx(penalties, rel=1e-12)
    found = model.grads_wrt_params(activations, error.grad(activations[-1], TARGETS))
    for grad, expected in zip(found, expected_grads, strict=True):
        np.testing.assert_allclose(grad, expected, rtol=1e-10, atol=1e-14)


@witness(BY_HAND, MultipleLayerModel)
def test_gradients_by_hand():
    """Two layers of two units, a penalty on the first weights."""
    model = MultipleLayerModel(
        [AffineLayer(2, 2, weights_penalty=L2Penalty(0.5)), ReluLayer(), AffineLayer(2, 2)]
    )
    model.params = [
        np.array([[1.0, -1.0], [2.0, 0.0]]),
        np.array([0.0, 1.0]),
        np.array([[1.0, 2.0], [0.0, -1.0]]),
        np.array([0.0, 0.0]),
    ]
    activations = model.fprop(np.array([[1.0, 2.0]]))
    by_hand = [[[1, 2]], [[-1, 3]], [[0, 3]], [[6, -3]]]
    for activation, expected in zip(activations, by_hand, strict=True):
        np.testing.assert_array_equal(activation, expected)
    error, targets = SumOfSquaredDiffsError(), np.array([[5.0, -3.0]])
    assert error(activations[-1], targets) == 0.5
    assert model.params_penalty() == 1.5  # 0.5 / 2 * (1 + 1 + 4)
    grads = model.grads_wrt_params(activations, error.grad(activations[-1], targets))
    # Back come (1, 0), then (1, 2), then (0, 2); half of the first weights is their penalty's.
    expected = [[[0.5, -0.5], [3, 4]], [0, 2], [[0, 3], [0, 0]], [1, 0]]
    for grad, numbers in zip(grads, expected, strict=True):
        np.testing.assert_array_equal(grad, numbers)


# ---- forwards and backwards -------------------------------------------------------------------


def test_no_gradient_is_propagated_below_the_lowest_parameters(monkeypatch):
    """The gradient with respect to the images would be a good part of the work."""

    def fail(*_):
        pytest.fail("a gradient that is not needed was computed")

    model, inputs = convolutional_network(), images()
    for layer in model.layers[:2]:
        monkeypatch.setattr(layer, "bprop", fail)
    model.grads_wrt_params(model.fprop(inputs), np.ones((5, 3)))


def test_a_model_without_parameters():
    model = MultipleLayerModel([TanhLayer(), SoftmaxLayer()])
    activations = model.fprop(images(size=6))
    assert model.params == []
    assert model.params_penalty() == 0
    assert model.grads_wrt_params(activations, np.ones((5, 6))) == []


def test_stochastic_layers_draw_only_when_told_to():
    dropout = DropoutLayer(np.random.RandomState(75), 0.5)
    model = MultipleLayerModel([dropout, AffineLayer(6, 3)])
    inputs = images(size=6)
    np.testing.assert_array_equal(model.fprop(inputs, stochastic=False)[1], 0.5 * inputs)
    for activations in (model.fprop(inputs), model.fprop(inputs, stochastic=True)):
        assert (activations[1] == 0).any()
        assert np.all((activations[1] == 0) | (activations[1] == inputs))


def test_a_user_s_own_layer_is_taken():
    class DoubleLayer(StochasticLayer, LayerWithParameters):
        """Scales its inputs; notes how it is called."""

        params = ()

        def fprop(self, inputs, stochastic=True):
            self.stochastic = stochastic
            return 2 * inputs

        def bprop(self, inputs, outputs, grads_wrt_outputs):
            return 2 * grads_wrt_outputs

        def grads_wrt_params(self, inputs, grads_wrt_outputs):
            return ()

        def params_penalty(self):
            return 7.0

    layer = DoubleLayer()
    model = MultipleLayerModel([AffineLayer(6, 3), layer])
    activations = model.fprop(images(size=6), stochastic=False)
    assert layer.stochastic is False
    np.testing.assert_array_equal(activations[2], 2 * activations[1])
    _, biases_grads = model.grads_wrt_params(activations, np.ones((5, 3)))
    np.testing.assert_array_equal(biases_grads, [10, 10, 10])
    assert model.params_penalty() == 7


# ---- parameters -------------------------------------------------------------------------------


def test_params_are_those_of_the_layers_and_may_be_set():
    model, other = mlp(seed=76), mlp(seed=77)
    expected = [param for layer in other.layers[::2] for param in layer.params]
    assert all(a is b for a, b in zip(other.params, expected, strict=True))
    model.params = other.params
    assert all(a is b for a, b in zip(model.params, expected, strict=True))
    inputs = images(size=6)
    np.testing.assert_array_equal(model.fprop(inputs)[-1], other.fprop(inputs)[-1])


@pytest.mark.parametrize("number", [5, 7])
def test_a_wrong_number_of_params_is_refused(number):
    model = mlp()
    with pytest.raises(ValueError) as refusal:
        model.params = (2 * model.params)[:number]
    assert str(refusal.value) == f"params must be 6 arrays, got {number}"


def test_params_of_another_shape_are_refused():
    model = mlp()
    with pytest.raises(ValueError, match=r"must have shapes \[\(5, 6\), \(5,\)\]"):
        model.params = model.params[::-1]


def test_astype_changes_the_precision_and_returns_the_model():
    model = mlp()
    before = model.params
    assert model.astype(np.float32) is model
    assert {param.dtype for param in model.params} == {np.dtype(np.float32)}
    for param, old in zip(model.params, before, strict=True):
        np.testing.assert_array_equal(param, old.astype(np.float32))
    assert model.fprop(images(size=6))[-1].dtype == np.float32
    activations = model.astype("float64").fprop(images(size=6).astype(np.float32))
    assert {activation.dtype for activation in activations} == {np.dtype(np.float64)}


@pytest.mark.parametrize("dtype", [int, np.float16, complex, bool])
def test_another_precision_is_refused(dtype):
    with pytest.raises(ValueError) as refusal:
        mlp().astype(dtype)
    assert str(refusal.value) == f"dtype must be float32 or float64, got {np.dtype(dtype)}"


# ---- single layers, and what is refused -------------------------------------------------------


def test_a_single_layer_model_is_its_layer():
    layer = AffineLayer(6, 3, weights_penalty=L1Penalty(0.5))
    model, inputs = SingleLayerModel(layer), images(size=6)
    assert model.layer is layer
    _, outputs = activations = model.fprop(inputs)
    np.testing.assert_array_equal(outputs, layer.fprop(inputs))
    found = model.grads_wrt_params(activations, np.ones((5, 3)))
    for grad, expected in zip(found, layer.grads_wrt_params(inputs, np.ones((5, 3))), strict=True):
        np.testing.assert_array_equal(grad, expected)
    assert model.params_penalty() == layer.params_penalty()


def test_no_layers_are_refused():
    with pytest.raises(ValueError, match="layers must hold at least one layer, got none"):
        MultipleLayerModel([])


@pytest.mark.parametrize("wrong", [ReluLayer, None, "relu", L1Penalty(1)])
def test_what_is_no_layer_is_refused(wrong):
    with pytest.raises(TypeError) as refusal:
        MultipleLayerModel([AffineLayer(6, 3), wrong])
    assert str(refusal.value) == f"layers must hold layers only, got {wrong!r}"
    with pytest.raises(TypeError, match="layers must be a list of layers, got ReluLayer"):
        MultipleLayerModel(ReluLayer())


def test_shows_its_layers():
    model = MultipleLayerModel([AffineLayer(6, 3), ReluLayer()])
    assert repr(model) == (
        "MultipleLayerModel(\n    AffineLayer(input_dim=6, output_dim=3)\n    ReluLayer()\n)"
    )
