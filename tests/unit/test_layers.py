"""The layers: their gradients by three witnesses, their contract, what they refuse."""

import copy
import math

import numpy as np
import pytest
import reference
from gradcheck import check_layer
from hypothesis import given
from hypothesis import strategies as st
from support import LAYOUTS, check, dtypes, examples, lay, looks, seeds
from witnesses import BY_HAND, INDEPENDENT, PROJECTION, witness

from mlpcw import compiled
from mlpcw.initialisers import ConstantInit, NormalInit
from mlpcw.layers import (
    AffineLayer,
    ConvolutionalLayer,
    DropoutLayer,
    Layer,
    LayerWithParameters,
    MaxPooling2DLayer,
    MaxPoolingLayer,
    RadialBasisFunctionLayer,
    ReluLayer,
    ReshapeLayer,
    SigmoidLayer,
    SoftmaxLayer,
    StochasticLayer,
    TanhLayer,
    pooling,
)
from mlpcw.penalties import L1L2Penalty, L1Penalty, L2Penalty


class RepeatingDropoutLayer(DropoutLayer):
    """Dropout that draws the same mask every time, so that it is a function."""

    def fprop(self, inputs, stochastic=True):
        self.rng = np.random.RandomState(11)
        return super().fprop(inputs, stochastic)


def affine(weights_penalty=None, biases_penalty=None):
    init = NormalInit(0.0, 1.0, np.random.RandomState(12))
    return AffineLayer(4, 3, init, init, weights_penalty, biases_penalty)


def convolutional(kernels_penalty=None, biases_penalty=None):
    init = NormalInit(0.0, 1.0, np.random.RandomState(13))
    return ConvolutionalLayer(2, 3, 6, 5, 3, 2, init, init, kernels_penalty, biases_penalty)


INTERVALS = [(0.0, 1.0), (-1.0, 2.0)]

# Each with the shape of its inputs and the slow implementation beside it.
LAYERS = {
    "affine": (affine(), (5, 4), lambda x, g: reference.affine(x, g, *affine().params)),
    "convolutional": (
        convolutional(),
        (3, 2, 6, 5),
        lambda x, g: reference.convolutional(x, g, *convolutional().params),
    ),
    "reshape": (ReshapeLayer((2, 3, 2)), (5, 12), reference.reshape),
    "flatten": (ReshapeLayer(), (5, 2, 3, 2), reference.reshape),
    "sigmoid": (SigmoidLayer(), (5, 4), reference.sigmoid),
    "relu": (ReluLayer(), (5, 4), reference.relu),
    "tanh": (TanhLayer(), (5, 4), reference.tanh),
    "softmax": (SoftmaxLayer(), (5, 4), reference.softmax),
    "radial basis functions": (
        RadialBasisFunctionLayer(3, INTERVALS),
        (5, 2),
        lambda x, g: reference.radial_basis_functions(x, g, 3, INTERVALS),
    ),
    "dropout, one mask": (
        RepeatingDropoutLayer(incl_prob=0.6),
        (5, 4),
        lambda x, g: reference.dropout(x, g, 0.6, np.random.RandomState(11), True),
    ),
    "dropout, a mask each": (
        RepeatingDropoutLayer(incl_prob=0.6, share_across_batch=False),
        (5, 4),
        lambda x, g: reference.dropout(x, g, 0.6, np.random.RandomState(11), False),
    ),
    "max pooling": (MaxPoolingLayer(3), (5, 6), lambda x, g: reference.max_pooling(x, g, 3)),
    "max pooling 2-d": (
        MaxPooling2DLayer(2),
        (3, 2, 4, 6),
        lambda x, g: reference.max_pooling_2d(x, g, 2),
    ),
}
EVERY_LAYER = pytest.mark.parametrize("name", LAYERS)


def spread_out(shape, seed):
    """Numbers in [-1, 1], none closer than 1e-3 to another or to 0: away from every kink."""
    size = math.prod(shape)
    values = np.linspace(-1, 1, 2 * size)
    assert 2 / (2 * size - 1) > 2e-3
    return np.random.RandomState(seed).permutation(values)[:size].reshape(shape)


def example(name):
    """A layer, inputs for it, and a gradient with respect to its outputs."""
    layer, shape, _ = LAYERS[name]
    inputs = spread_out(shape, seed=14)
    grads = np.random.RandomState(15).normal(size=layer.fprop(inputs).shape)
    return layer, inputs, grads


# ---- first witness: projections ---------------------------------------------------------------


@witness(PROJECTION, lambda name: LAYERS[name][0])
@EVERY_LAYER
def test_gradients_are_slopes(name, each_way):
    layer, inputs, _ = example(name)
    check_layer(layer, inputs)


PENALTIES = [L1Penalty(0.3), L2Penalty(0.7), L1L2Penalty(0.3, 0.7)]


@witness(PROJECTION, lambda make: make())
@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
@pytest.mark.parametrize("make", [affine, convolutional])
@pytest.mark.parametrize("which", ["weights", "biases", "both"])
def test_gradients_are_slopes_with_penalties(make, penalty, which):
    layer = make(penalty if which != "biases" else None, penalty if which != "weights" else None)
    check_layer(layer, spread_out((5, 4) if make is affine else (2, 2, 6, 5), seed=16))


# ---- second witness: another implementation -----------------------------------------------------


@witness(INDEPENDENT, lambda name: LAYERS[name][0])
@EVERY_LAYER
@examples(25)
@given(
    seed=seeds,
    dtype=dtypes,
    arguments=looks(2, dtypes | st.sampled_from(["u1", "i8"])),
    kept=looks(3, layouts=list(LAYOUTS)),
)
def test_agrees_with_the_slow_implementation(name, each_way, seed, dtype, arguments, kept):
    """In the dtype of the parameters, or else of the inputs, whatever that of the gradients."""
    rng, (layer, _, slow) = np.random.default_rng(seed), copy.deepcopy(LAYERS[name])
    inputs, grads = example(name)[1:]
    order = rng.integers(len(inputs), size=rng.integers(1, 8))  # a batch of another size
    inputs, grads = inputs[order] + 0.1 * rng.normal(), grads[order]
    kept = [(layout, dtype, axes) for layout, _, axes in kept]
    if isinstance(layer, LayerWithParameters):
        layer.params = [lay(*each) for each in zip(layer.params, kept, strict=False)]
        inputs = lay(3 * inputs, arguments[0])
    else:
        inputs = lay(inputs, (arguments[0][0], dtype, arguments[0][2]))
    grads = lay(3 * grads, arguments[1])

    def propagate(inputs, grads):
        outputs = layer.fprop(inputs)
        yield outputs
        yield layer.bprop(inputs, lay(outputs, kept[2]), grads)
        if isinstance(layer, LayerWithParameters):
            yield from layer.grads_wrt_params(inputs, grads)

    check(propagate, slow, [inputs, grads], dtype)


# ---- third witness: by hand -------------------------------------------------------------------


def exactly(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


@witness(BY_HAND, AffineLayer)
def test_affine_by_hand():
    layer = AffineLayer(3, 2)
    layer.params = [np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 1.0]]), np.array([0.5, -1.0])]
    inputs = np.array([[1.0, 0.0, -1.0], [2.0, 1.0, 0.0]])
    outputs = layer.fprop(inputs)
    exactly(outputs, [[-1.5, -2.0], [4.5, -2.0]])
    grads = np.array([[1.0, 2.0], [0.0, -1.0]])
    exactly(layer.bprop(inputs, outputs, grads), [[1.0, 0.0, 5.0], [0.0, 1.0, -1.0]])
    weights_grads, biases_grads = layer.grads_wrt_params(inputs, grads)
    exactly(weights_grads, [[1.0, 0.0, -1.0], [0.0, -1.0, -2.0]])
    exactly(biases_grads, [1.0, 1.0])


@witness(BY_HAND, ConvolutionalLayer)
def test_convolution_by_hand():
    """Two images, and numbers that tell a flipped kernel from one that is not."""
    layer = ConvolutionalLayer(1, 1, 3, 3, 2, 2)
    layer.params = [np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), np.array([10.0])]
    inputs = np.array(
        [
            [[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]],
            [[[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]],
        ]
    )
    outputs = layer.fprop(inputs)
    # 4 * 1 + 3 * 2 + 2 * 4 + 1 * 5 + 10 = 33, and so on
    exactly(outputs, [[[[33.0, 43.0], [63.0, 73.0]]], [[[20.0, 20.0], [20.0, 20.0]]]])
    grads = np.array([[[[1.0, 0.0], [0.0, 2.0]]], [[[1.0, 1.0], [1.0, 1.0]]]])
    exactly(
        layer.bprop(inputs, outputs, grads),
        [
            [[[4.0, 3.0, 0.0], [2.0, 9.0, 6.0], [0.0, 4.0, 2.0]]],
            [[[4.0, 7.0, 3.0], [6.0, 10.0, 4.0], [2.0, 3.0, 1.0]]],
        ],
    )
    kernels_grads, biases_grads = layer.grads_wrt_params(inputs, grads)
    # the first image gives 23, 20, 14, 11, the second 4 each
    exactly(kernels_grads, [[[[27.0, 24.0], [18.0, 15.0]]]])
    exactly(biases_grads, [7.0])


class FixedDraws(np.random.RandomState):
    """A generator that draws 0.2, 0.5, 0.9 for each row."""

    def uniform(self, low=0.0, high=1.0, size=None):
        return np.broadcast_to([0.2, 0.5, 0.9], size).copy()


LN2, LN3, LN5, E = *map(math.log, (2, 3, 5)), math.exp(-1)
POINTS = RadialBasisFunctionLayer(2, [(0.0, 2.0)])  # at 0 and 2, scale 1
COLUMN, POOL, SOFTMAX = ReshapeLayer((2, 1)), MaxPooling2DLayer(2), SoftmaxLayer()
SOFTMAX_3D, POOLED = [[[0.75, -0.75]], [[1, -1]]], [[[[0, 5, 7, 0], [0, 0, 0, 0]]]]
DROPOUT = DropoutLayer(FixedDraws(), incl_prob=0.5)
# Layer, inputs, outputs, gradients with respect to outputs, and to inputs. Of equal maxima the
# first, in reading order, takes the gradient.
WORKED = [
    (COLUMN, [[1, 2], [3, 4]], [[[1], [2]], [[3], [4]]], [[[5], [6]]] * 2, [[5, 6]] * 2),
    (ReshapeLayer(), [[[1, 2], [3, 4]]], [[1, 2, 3, 4]], [[5, 6, 7, 8]], [[[5, 6], [7, 8]]]),
    (SigmoidLayer(), [[0, LN3]], [[0.5, 0.75]], [[4, 16]], [[1, 3]]),
    (ReluLayer(), [[-2, 0, 3]], [[0, 0, 3]], [[5, 6, 7]], [[0, 0, 7]]),
    (TanhLayer(), [[0, LN2]], [[0, 0.6]], [[1, 10]], [[1, 6.4]]),
    (SOFTMAX, [[0, LN2, LN5]], [[0.125, 0.25, 0.625]], [[8, 0, 0]], [[0.875, -0.25, -0.625]]),
    (SOFTMAX, [[[0, LN3]], [[0, 0]]], [[[0.25, 0.75]], [[0.5] * 2]], [[[4, 0]]] * 2, SOFTMAX_3D),
    (POINTS, [[1], [0]], [[E, E], [1, E**4]], [[1, 0], [0, 1]], [[-2 * E], [4 * E**4]]),
    (POINTS, [1, 0], [[E, E], [1, E**4]], [[1, 0], [0, 1]], [-2 * E, 4 * E**4]),
    (DROPOUT, [[1, 2, 3], [4, 5, 6]], [[1, 0, 0], [4, 0, 0]], [[7, 8, 9]] * 2, [[7, 0, 0]] * 2),
    (MaxPoolingLayer(2), [[1, 3, 2, -2, -1, -3]], [[3, 2, -1]], [[4, 5, 6]], [[0, 4, 5, 0, 6, 0]]),
    (MaxPoolingLayer(3), [[2, 2, 1, 0, 3, 3]], [[2, 3]], [[5, 7]], [[5, 0, 0, 0, 7, 0]]),
    (POOL, [[[[1, 5], [3, 4]]]], [[[[5]]]], [[[[7]]]], [[[[0, 7], [0, 0]]]]),
    (POOL, [[[[-7, -8], [-5, -6]]]], [[[[-5]]]], [[[[8]]]], [[[[0, 0], [8, 0]]]]),
    (POOL, [[[[0, 2, 4, 4], [2, 2, 4, 4]]]], [[[[2, 4]]]], [[[[5, 7]]]], POOLED),
]


@witness(BY_HAND, lambda layer: layer)
@pytest.mark.parametrize("layer, inputs, outputs, grads, grads_in", WORKED)
def test_by_hand(layer, inputs, outputs, grads, grads_in):
    inputs, grads = np.array(inputs, float), np.array(grads, float)
    found = layer.fprop(inputs)
    exactly(found, outputs)
    exactly(layer.bprop(inputs, found, grads), grads_in)


@witness(BY_HAND, AffineLayer)
def test_penalties_by_hand():
    """A penalty on the weights changes their gradient, and leaves that of the biases alone."""
    inputs, grads = np.array([[1.0, 1.0]]), np.array([[2.0]])
    for options, expected, value in (
        ({"weights_penalty": L2Penalty(0.5)}, [[[4.0, -1.0]], [2.0]], 13),  # 0.5 / 2 * (16 + 36)
        ({"biases_penalty": L1Penalty(0.5)}, [[[2.0, 2.0]], [2.5]], 4),
    ):
        layer = AffineLayer(2, 1, **options)
        layer.params = [np.array([[4.0, -6.0]]), np.array([8.0])]
        for grad, by_hand in zip(layer.grads_wrt_params(inputs, grads), expected, strict=True):
            exactly(grad, by_hand)
        assert layer.params_penalty() == value


# ---- the contract of all layers ---------------------------------------------------------------


@EVERY_LAYER
def test_keeps_nothing_of_a_batch(name):
    """A layer that has seen another batch since, or none at all, propagates back the same."""
    layer, inputs, grads = example(name)
    outputs = layer.fprop(inputs)
    untouched = copy.deepcopy(layer)
    if "dropout" not in name:  # the mask is the one thing that may be kept
        layer.fprop(inputs[::-1] + 0.25)
        untouched = copy.deepcopy(LAYERS[name][0])
    np.testing.assert_array_equal(
        layer.bprop(inputs, outputs, grads), untouched.bprop(inputs, outputs, grads)
    )


@EVERY_LAYER
def test_holds_no_array_but_parameters_masks_and_centres(name):
    layer, inputs, grads = example(name)
    layer.bprop(inputs, layer.fprop(inputs), grads)
    held = {key for key, value in vars(layer).items() if isinstance(value, np.ndarray)}
    assert held <= {"_mask", "centres", "scales"}
    assert repr(layer).startswith(type(layer).__name__)


@pytest.mark.parametrize(
    "call",
    [
        lambda: Layer().fprop(np.ones((1, 1))),
        lambda: Layer().bprop(None, None, None),
        lambda: StochasticLayer().fprop(np.ones((1, 1))),
        lambda: LayerWithParameters().grads_wrt_params(None, None),
        lambda: LayerWithParameters().params_penalty(),
        lambda: LayerWithParameters().params,
        lambda: setattr(LayerWithParameters(), "params", []),
    ],
)
def test_the_contract_alone_does_nothing(call):
    with pytest.raises(NotImplementedError, match=r"Layer.*\(\) has no (.prop|grads_wrt_|params)"):
        call()


# ---- parameters -------------------------------------------------------------------------------

WITH_PARAMETERS = pytest.mark.parametrize(
    "make, weights_name", [(affine, "weights"), (convolutional, "kernels")]
)


@WITH_PARAMETERS
def test_params_are_weights_and_biases_themselves_and_may_be_set(make, weights_name):
    layer = make()
    weights, biases = layer.params
    assert weights is getattr(layer, weights_name)
    assert biases is layer.biases
    new = [2 * param for param in layer.params]
    layer.params = new
    assert getattr(layer, weights_name) is new[0]
    assert layer.biases is new[1]
    setattr(layer, weights_name, weights)
    assert layer.params[0] is weights
    assert layer.params[1] is new[1]
    layer.biases = biases
    assert layer.params[0] is weights
    assert layer.params[1] is biases


@WITH_PARAMETERS
def test_whole_numbers_as_parameters_do_not_truncate_inputs(make, weights_name):
    layer = make()
    layer.params = [np.ones(param.shape, dtype=int) for param in layer.params]
    shape = (2, 4) if make is affine else (2, 2, 6, 5)
    summed = 4 if make is affine else 12
    np.testing.assert_allclose(layer.fprop(np.full(shape, 0.5)), 1 + 0.5 * summed)
    assert [param.dtype for param in layer.params] == [np.float64, np.float64]


@pytest.mark.parametrize(
    "make, name, value, shapes",
    [
        (affine, "params", [np.ones((4, 3)), np.ones(3)], "[(3, 4), (3,)], got [(4, 3), (3,)]"),
        (affine, "params", [np.ones((3, 4))], "[(3, 4), (3,)], got [(3, 4)]"),
        (
            *(convolutional, "biases", np.ones((1, 3))),
            "[(3, 2, 3, 2), (3,)], got [(3, 2, 3, 2), (1, 3)]",
        ),
    ],
)
def test_params_of_a_wrong_shape_are_refused(make, name, value, shapes):
    layer = make()
    with pytest.raises(ValueError) as refusal:
        setattr(layer, name, value)
    assert str(refusal.value) == f"params of {layer} must have shapes {shapes}"


def test_gradients_are_new_arrays():
    for make, inputs in ((affine, np.ones((2, 4))), (convolutional, np.ones((2, 2, 6, 5)))):
        layer = make(L2Penalty(0.1), L2Penalty(0.1))
        before = [param.copy() for param in layer.params]
        grads = layer.grads_wrt_params(inputs, layer.fprop(inputs))
        for grad in grads:
            grad += 1
        for param, copied in zip(layer.params, before, strict=True):
            np.testing.assert_array_equal(param, copied)


@WITH_PARAMETERS
def test_penalties_add_up_and_may_be_set(make, weights_name):
    """Replaced and taken away, in the value and in the gradients."""
    layer, first, second = make(L1Penalty(3.0)), L1Penalty(0.5), L2Penalty(2.0)
    setattr(layer, f"{weights_name}_penalty", first)
    layer.biases_penalty = second
    assert getattr(layer, f"{weights_name}_penalty") is first
    assert layer.biases_penalty is second
    weights, biases = layer.params
    expected = 0.5 * np.abs(weights).sum() + (biases**2).sum()
    assert layer.params_penalty() == pytest.approx(expected, rel=1e-14)
    inputs = np.ones((1, *((4,) if weights_name == "weights" else (2, 6, 5))))
    grads = np.zeros_like(layer.fprop(inputs))
    weights_grads, biases_grads = layer.grads_wrt_params(inputs, grads)
    np.testing.assert_array_equal(weights_grads, first.grad(weights))
    np.testing.assert_array_equal(biases_grads, second.grad(biases))
    setattr(layer, f"{weights_name}_penalty", None)
    layer.biases_penalty = None
    assert layer.params_penalty() == 0
    assert not any(grad.any() for grad in layer.grads_wrt_params(inputs, grads))


class OwnPenalty:
    """A penalty of somebody's own, of no class of the library."""

    def __call__(self, parameter):
        return 7.0

    def grad(self, parameter):
        return 7 * np.ones_like(parameter)


def test_a_penalty_and_an_initialiser_of_ones_own_are_taken():
    layer = AffineLayer(4, 3, np.ones, lambda shape: np.full(shape, 2), OwnPenalty())
    assert layer.params_penalty() == 7
    assert layer.weights.sum() == 12 and layer.biases.sum() == 6


def test_affine_initialisers_are_called_with_shapes():
    shapes = []

    def init(shape):
        shapes.append(shape)
        return np.zeros(shape)

    AffineLayer(4, 3, init, init)
    ConvolutionalLayer(2, 3, 6, 5, 3, 2, init, init)
    assert shapes == [(3, 4), (3,), (3, 2, 3, 2), (3,)]


def test_weights_start_uniform_and_biases_zero_by_default():
    affine, convolutional = AffineLayer(100, 50), ConvolutionalLayer(5, 20, 8, 8, 5, 5)
    for layer, high in ((affine, 0.1), (convolutional, 0.01)):
        weights, biases = layer.params
        assert weights.min() < -0.9 * high and weights.max() > 0.9 * high
        assert np.abs(weights).max() <= high
        assert not biases.any()
    assert (affine.weights != AffineLayer(100, 50).weights).any()


# ---- dropout ----------------------------------------------------------------------------------


@pytest.mark.parametrize("make_rng", [np.random.RandomState, np.random.default_rng])
def test_dropout_hands_inputs_on_or_drops_them(make_rng):
    """One mask for the batch by default, pixel by pixel, and another for the next batch."""
    layer = DropoutLayer(make_rng(18), 0.3)
    inputs = spread_out((3, 2, 5, 10), seed=19)
    outputs = layer.fprop(inputs)
    assert np.all((outputs == inputs) | (outputs == 0))
    assert np.all((outputs == 0) == (outputs[0] == 0))
    assert 0 < np.count_nonzero(outputs[0]) < 100
    assert (layer.fprop(inputs) != outputs).any()


def test_dropout_may_draw_a_mask_for_each_example():
    layer = DropoutLayer(np.random.RandomState(18), share_across_batch=False)
    outputs = layer.fprop(np.ones((6, 50)))
    assert len(np.unique(outputs, axis=0)) == 6


@pytest.mark.parametrize("incl_prob", [0.2, 0.5, 0.9, 1.0])
def test_dropout_keeps_the_share_asked_for(incl_prob):
    outputs = DropoutLayer(np.random.RandomState(20), incl_prob).fprop(np.ones((1, 100_000)))
    assert outputs.mean() == pytest.approx(incl_prob, abs=0.01 * (incl_prob < 1))


def test_dropout_not_stochastic_gives_the_expected_value_and_draws_nothing():
    """Propagating back goes by the latest pass."""
    rng = np.random.RandomState(22)
    layer = DropoutLayer(rng, 0.3)
    inputs = spread_out((6, 50), seed=23)
    outputs = layer.fprop(inputs, stochastic=False)
    np.testing.assert_array_equal(outputs, 0.3 * inputs)
    assert rng.uniform() == np.random.RandomState(22).uniform()
    outputs = layer.fprop(inputs)
    np.testing.assert_array_equal(layer.bprop(inputs, outputs, 2 * inputs), 2 * outputs)
    outputs = layer.fprop(inputs, stochastic=False)
    np.testing.assert_array_equal(layer.bprop(inputs, outputs, 2 * inputs), 0.3 * (2 * inputs))


# ---- pooling ----------------------------------------------------------------------------------


def windows_of_few_values(dtype, size, seed):
    """Inputs with many equal maxima, NaN and infinities, and gradients for the outputs."""
    rng = np.random.default_rng(seed)
    values = [-2.0, -0.0, 0.0, 1.0, 1.0, np.nan, np.inf, -np.inf]
    inputs = rng.choice(values, size=(3, 2, 3 * size, 4 * size)).astype(dtype)
    return inputs, rng.normal(size=(3, 2, 3, 4)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_max_pooling_2d_is_that_of_each_window(each_way, dtype, size):
    """NaN is the maximum, and the first of several."""
    layer = MaxPooling2DLayer(size)
    inputs, grads = windows_of_few_values(dtype, size, seed=14)
    outputs = layer.fprop(inputs)
    grads_wrt_inputs = layer.bprop(inputs, outputs, grads)
    assert outputs.dtype == grads_wrt_inputs.dtype == dtype
    for index in np.ndindex(grads.shape):
        b, c, i, j = index
        window = (b, c, slice(i * size, (i + 1) * size), slice(j * size, (j + 1) * size))
        np.testing.assert_array_equal(outputs[index], inputs[window].max())
        expected = np.zeros(size * size, dtype)
        expected[inputs[window].argmax()] = grads[index]
        exactly(grads_wrt_inputs[window].ravel(), expected)


def test_gradients_of_windows_of_two_pixels_take_the_compiled_loop(monkeypatch):
    calls = []
    monkeypatch.setattr(compiled, "enabled", lambda: True)
    monkeypatch.setattr(pooling, "unpool", lambda *arrays: calls.append(arrays))
    inputs, outputs = np.ones((1, 1, 4, 6)), np.ones((1, 1, 2, 3))
    MaxPooling2DLayer(2).bprop(inputs, outputs, outputs)
    assert len(calls) == 1


def test_arrays_that_do_not_belong_together_are_refused(each_way):
    """Also where a compiled kernel, which checks no shapes, would read beyond them."""
    layer, outputs = MaxPooling2DLayer(2), np.ones((1, 1, 3, 3))
    with pytest.raises(ValueError, match="do not fit MaxPooling2DLayer"):
        layer.bprop(np.ones((1, 1, 5, 6)), outputs, outputs)
    for side, grads in ((8, outputs), (6, outputs[:, :, :2])):
        with pytest.raises((ValueError, IndexError)):
            layer.bprop(np.ones((1, 1, side, side)), outputs, grads)


# ---- large numbers ----------------------------------------------------------------------------


def test_nothing_overflows():
    """Warnings are errors here: an overflow in `exp` would be seen."""
    inputs = np.array([[-1e4, 0.0, 1e4]])
    exactly(SigmoidLayer().fprop(inputs), [[0.0, 0.5, 1.0]])
    exactly(SoftmaxLayer().fprop(inputs), [[0.0, 0.0, 1.0]])
    exactly(TanhLayer().fprop(inputs), [[-1.0, 0.0, 1.0]])


@pytest.mark.parametrize("name", [name for name in LAYERS if "dropout" not in name])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i8"])
def test_whole_numbers_are_taken_for_what_they_are(name, dtype, each_way):
    layer, inputs, grads = example(name)
    inputs = np.abs(np.round(3 * inputs))
    outputs = layer.fprop(inputs)
    np.testing.assert_allclose(layer.fprop(inputs.astype(dtype)), outputs, rtol=0, atol=1e-6)
    expected = layer.bprop(inputs, outputs, grads)
    found = layer.bprop(inputs.astype(dtype), outputs, grads)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert found.dtype == np.float64


# ---- what is refused --------------------------------------------------------------------------


MULTIPLES = (
    "they must be (batch_size, num_channels, height, width) with sides that are multiples of 2"
)
AFFINE = "AffineLayer(input_dim=4, output_dim=3)"
CONVOLUTIONAL = "ConvolutionalLayer(1 -> 2 channels, 28 x 28 pixels, kernels 5 x 5)"


@pytest.mark.parametrize(
    "layer, shape, message",
    [
        (AffineLayer(4, 3), (5, 6), f"{AFFINE}: they must be (batch_size, 4)"),
        (AffineLayer(4, 3), (5, 2, 2), f"{AFFINE}: they must be (batch_size, 4)"),
        (
            *(ConvolutionalLayer(1, 2, 28, 28, 5, 5), (5, 784)),
            f"{CONVOLUTIONAL}: they must be (batch_size, 1, 28, 28)",
        ),
        (
            *(ReshapeLayer((1, 28, 28)), (5, 100)),
            "ReshapeLayer(output_shape=(1, 28, 28)): one example has 100 values",
        ),
        (
            *(RadialBasisFunctionLayer(3, INTERVALS), (5, 3)),
            "a grid in 2 dimensions: they must be (batch_size, 2)",
        ),
        (
            *(MaxPoolingLayer(3), (5, 4)),
            "MaxPoolingLayer(pool_size=3): their last axis must be a multiple of 3",
        ),
        *(
            (
                MaxPooling2DLayer(2),
                shape,
                f"MaxPooling2DLayer(pool_size=2): {MULTIPLES}",
            )
            for shape in ((5, 1, 4, 5), (5, 1, 5, 4), (5, 16))
        ),
    ],
)
def test_inputs_of_a_wrong_shape_are_refused(layer, shape, message):
    with pytest.raises(ValueError) as refusal:
        layer.fprop(np.ones(shape))
    assert str(refusal.value) == f"inputs of shape {shape} do not fit {message}"


WHOLE = "must be a whole number of at least 1, got"
PENALTY = "must be None or a penalty such as L2Penalty(0.0001), got"
INITIALISER = "must be None or an initialiser such as ConstantInit(0), got"
SIZES = {
    AffineLayer: {"input_dim": 4, "output_dim": 3},
    ConvolutionalLayer: {
        **{"num_input_channels": 1, "num_output_channels": 1},
        **{"input_dim_1": 4, "input_dim_2": 4, "kernel_dim_1": 2, "kernel_dim_2": 2},
    },
}
A, C = AffineLayer, ConvolutionalLayer


@pytest.mark.parametrize(
    "kind, name, value, message",
    [
        (A, "input_dim", 0, f"input_dim {WHOLE} 0"),
        (A, "output_dim", -1, f"output_dim {WHOLE} -1"),
        (A, "input_dim", 4.0, "input_dim must be a whole number, got 4.0"),
        *((C, name, 0, f"{name} {WHOLE} 0") for name in SIZES[C]),
        *(
            (
                *(C, f"kernel_dim_{axis}", 5),
                f"kernels of {size} pixels do not fit images of 4 x 4: a kernel must be no larger"
                " than the image",
            )
            for axis, size in ((1, "5 x 2"), (2, "2 x 5"))
        ),
        (RadialBasisFunctionLayer, "grid_dim", 0, f"grid_dim {WHOLE} 0"),
        (MaxPoolingLayer, "pool_size", 0, f"pool_size {WHOLE} 0"),
        (MaxPooling2DLayer, "pool_size", 2.0, "pool_size must be a whole number, got 2.0"),
        *(
            (
                *(DropoutLayer, "incl_prob", value),
                f"incl_prob must be a number above 0 and at most 1, got {value}",
            )
            for value in (0.0, 1.5, math.nan)
        ),
        (DropoutLayer, "rng", 7, "rng must be a RandomState, a Generator or None, got 7"),
        *(
            (kind, f"{name}_penalty", value, f"{name}_penalty {PENALTY} {what}")
            for kind, name, value, what in (
                (A, "weights", 0.1, "0.1 without __call__ and grad"),
                (A, "biases", 0.1, "0.1 without __call__ and grad"),
                (C, "kernels", 0.1, "0.1 without __call__ and grad"),
                (A, "weights", L2Penalty, "the class L2Penalty itself"),
                (A, "weights", math.fabs, "<built-in function fabs> without grad"),
            )
        ),
        *(
            (kind, name, value, f"{name} {INITIALISER} {what}")
            for kind, name, value, what in (
                (A, "weights_initialiser", 0, "0 without __call__"),
                (A, "biases_initialiser", 0, "0 without __call__"),
                (C, "kernels_init", 0, "0 without __call__"),
                (C, "biases_init", 0, "0 without __call__"),
                (A, "weights_initialiser", NormalInit, "the class NormalInit itself"),
            )
        ),
        (
            *(A, "biases_initialiser", lambda shape: 0.5),
            "biases_initialiser must return shape (3,), got ()",
        ),
    ],
)
def test_wrong_arguments_are_refused(kind, name, value, message):
    with pytest.raises((TypeError, ValueError)) as refusal:
        kind(**SIZES.get(kind, {}) | {name: value})
    assert str(refusal.value) == message


def test_an_empty_interval_and_a_wrong_penalty_that_is_set_are_refused():
    with pytest.raises(ValueError, match=r"^the end of an interval must be a number above 1.0, "):
        RadialBasisFunctionLayer(2, [(1.0, 1.0)])
    with pytest.raises(TypeError, match=r"^weights_penalty must be None or a penalty .* got 0.1"):
        affine().weights_penalty = 0.1


@pytest.mark.parametrize("size", [(1, 1), (4, 3)])
def test_a_kernel_may_be_as_large_as_the_image(size):
    layer = ConvolutionalLayer(1, 2, *size, *size, ConstantInit(2.0))
    outputs = layer.fprop(np.full((3, 1, *size), 0.5))
    assert outputs.tolist() == [[[[math.prod(size)]]] * 2] * 3


def test_the_grid_of_radial_basis_functions_is_from_0_to_1_by_default():
    layer = RadialBasisFunctionLayer(3)
    np.testing.assert_array_equal(layer.centres, [[0.0, 0.5, 1.0]])
    np.testing.assert_array_equal(layer.scales, [[1 / 3]])
