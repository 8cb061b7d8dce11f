"""PyTorch as an oracle: its own forward functions, and its autograd for all gradients.

Everything is in float64 and agrees to about ten digits. Where PyTorch is not installed these tests
are skipped.
"""

import numpy as np
import pytest
from hypothesis import given
from support import examples
from test_conv import METHODS, problems
from test_errors import ERRORS
from test_layers import INTERVALS, LAYERS, example
from test_models import PENALTIES as MODEL_PENALTIES
from test_models import TARGETS, convolutional_network, images, mlp
from test_penalties import PENALTIES, away_from_zero
from witnesses import INDEPENDENT, conv_method, witness

from mlpcw import conv
from mlpcw.data_providers import DataProvider
from mlpcw.errors import CrossEntropySoftmaxError
from mlpcw.layers import (
    AffineLayer,
    ConvolutionalLayer,
    DropoutLayer,
    MaxPooling2DLayer,
    ReluLayer,
    ReshapeLayer,
    SigmoidLayer,
    TanhLayer,
)
from mlpcw.learning_rules import (
    AdaGradLearningRule,
    AdamLearningRule,
    GradientDescentLearningRule,
    MomentumLearningRule,
    NesterovMomentumLearningRule,
    RMSPropLearningRule,
)
from mlpcw.models import MultipleLayerModel
from mlpcw.optimisers import Optimiser
from mlpcw.penalties import L1L2Penalty, L1Penalty, L2Penalty

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
F = torch.nn.functional


def tensor(array, grad=True):
    """A copy as a float64 tensor, with respect to which gradients may be taken."""
    return torch.tensor(np.ascontiguousarray(array), dtype=torch.float64, requires_grad=grad)


def agrees(found, expected):
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-10, atol=1e-12)


# ---- layers ------------------------------------------------------------------------------------


def convolution(x, kernels, biases=None):
    """PyTorch does not flip kernels."""
    return F.conv2d(x, kernels.flip(2, 3), biases)


def radial_basis_functions(x):
    """Outputs of dimension 0 first; the points of the grid in the order of NumPy's meshgrid."""
    axes = [torch.linspace(*interval, 3, dtype=torch.float64) for interval in INTERVALS]
    grid = [points.flatten() for points in torch.meshgrid(*axes, indexing="xy")]
    scales = [(high - low) / 3 for low, high in INTERVALS]
    columns = zip(x.T, grid, scales, strict=True)
    return torch.cat([(-(((v[:, None] - c) / s) ** 2)).exp() for v, c, s in columns], dim=1)


FUNCTIONS = {
    "affine": F.linear,
    "convolutional": convolution,
    "reshape": lambda x: x.view(-1, 2, 3, 2),
    "flatten": lambda x: x.flatten(1),
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "softmax": lambda x: torch.softmax(x, -1),
    "radial basis functions": radial_basis_functions,
    "max pooling": lambda x: F.max_pool1d(x, 3),
    "max pooling 2-d": lambda x: F.max_pool2d(x, 2),
}


@pytest.mark.trust_row(library="PyTorch", what="every layer: outputs and, by autograd, gradients")
@witness(INDEPENDENT, lambda name: LAYERS[name][0])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_by_pytorch(name, each_way, counts):
    layer, inputs, grads = example(name)
    outputs = layer.fprop(inputs)
    if name.startswith("dropout"):
        mask = tensor(layer._mask, grad=False)

        def function(x):
            return x * mask

    else:
        function = FUNCTIONS[name]
    x, *params = map(tensor, [inputs, *getattr(layer, "params", [])])
    expected = function(x, *params)
    agrees(outputs, expected)
    expected.backward(tensor(grads, grad=False))
    agrees(layer.bprop(inputs, outputs, grads), x.grad)
    if params:
        for found, param in zip(layer.grads_wrt_params(inputs, grads), params, strict=True):
            agrees(found, param.grad)
    counts["gradients"] += 1 + len(params)


@pytest.mark.trust_row(library="PyTorch", what="every method of convolution, by autograd")
@witness(INDEPENDENT, conv_method)
@pytest.mark.parametrize("method", METHODS)
@examples(20)
@given(problem=problems())
def test_methods_of_convolution_by_pytorch(method, problem, counts):
    inputs, ours, grads = problem
    x, w = tensor(inputs), tensor(ours)
    expected = convolution(x, w)
    agrees(conv.convolve(inputs, ours, method), expected)
    expected.backward(tensor(grads, grad=False))
    agrees(conv.grad_inputs(ours, grads, method), x.grad)
    agrees(conv.grad_kernels(inputs, grads, method), w.grad)
    counts["gradients"] += 2


# ---- penalties and errors ----------------------------------------------------------------------


def penalty_of(penalty, w):
    """The report's formulas."""
    match penalty:
        case None:
            return 0.0
        case L1Penalty(coefficient=l1):
            return l1 * w.abs().sum()
        case L2Penalty(coefficient=l2):
            return l2 / 2 * (w**2).sum()
        case L1L2Penalty(l1_coefficient=l1, l2_coefficient=l2):
            return (l1 * w.abs().sum() + l2 / 2 * (w**2).sum()) / 2


@pytest.mark.trust_row(library="PyTorch", what="penalties and, by autograd, their gradients")
@witness(INDEPENDENT, lambda name: PENALTIES[name][0])
@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_by_pytorch(name, counts):
    penalty, weights = PENALTIES[name][0], away_from_zero((4, 5))
    w = tensor(weights)
    expected = penalty_of(penalty, w)
    agrees(penalty(weights), expected)
    expected.backward()
    agrees(penalty.grad(weights), w.grad)
    counts["gradients"] += 1


LOSSES = {
    "squares": lambda y, t: F.mse_loss(y, t, reduction="sum") / 2 / len(y),
    "binary": lambda y, t: F.binary_cross_entropy(y, t, reduction="sum") / len(y),
    "binary sigmoid": lambda y, t: (
        F.binary_cross_entropy_with_logits(y, t, reduction="sum") / len(y)
    ),
    "cross-entropy": lambda y, t: F.nll_loss(y.log(), t.argmax(1)),
    "cross-entropy softmax": F.cross_entropy,
}


@pytest.mark.trust_row(library="PyTorch", what="errors and, by autograd, their gradients")
@witness(INDEPENDENT, lambda name: ERRORS[name][0])
@pytest.mark.parametrize("name", ERRORS)
def test_errors_by_pytorch(name, counts):
    error, outputs, targets, _ = ERRORS[name]
    y = tensor(outputs)
    expected = LOSSES[name](y, tensor(targets, grad=False))
    agrees(error(outputs, targets), expected)
    expected.backward()
    agrees(error.grad(outputs, targets), y.grad)
    counts["gradients"] += 1


# ---- whole models ------------------------------------------------------------------------------


def outputs_of(model, x, params):
    """The model's outputs, layer by layer, from parameters that stand in for its own."""
    params = iter(params)
    for layer in model.layers:
        match layer:
            case AffineLayer():
                x = F.linear(x, next(params), next(params))
            case ConvolutionalLayer():
                x = convolution(x, next(params), next(params))
            case ReshapeLayer():
                x = x.reshape(len(x), *layer.output_shape)
            case MaxPooling2DLayer():
                x = F.max_pool2d(x, layer.pool_size)
            case DropoutLayer():
                x = x * tensor(layer._mask, grad=False)
            case ReluLayer():
                x = torch.relu(x)
            case SigmoidLayer():
                x = torch.sigmoid(x)
            case TanhLayer():
                x = torch.tanh(x)
    return x


def loss_of(model, penalty, inputs, targets, params):
    """Error and penalties, which act on weights and kernels."""
    outputs = outputs_of(model, tensor(inputs, grad=False), params)
    error = F.cross_entropy(outputs, tensor(targets, grad=False))
    return error, error + sum(penalty_of(penalty, weights) for weights in params[::2])


@pytest.mark.trust_row(library="PyTorch", what="whole networks with penalties, by autograd")
@witness(INDEPENDENT, MultipleLayerModel)
@pytest.mark.parametrize("penalty", MODEL_PENALTIES, ids=repr)
@pytest.mark.parametrize(
    "make",
    [
        mlp,
        lambda penalty: mlp(penalty, nonlinearity=SigmoidLayer),
        lambda penalty: mlp(penalty, nonlinearity=TanhLayer),
        convolutional_network,
    ],
    ids=["relu", "sigmoid", "tanh", "convolutional"],
)
def test_models_by_pytorch(make, penalty, each_way, counts):
    model, error = make(penalty), CrossEntropySoftmaxError()
    inputs = images(size=36 if make is convolutional_network else 6)
    activations = model.fprop(inputs)
    params = [tensor(param) for param in model.params]
    expected_error, expected = loss_of(model, penalty, inputs, TARGETS, params)
    agrees(error(activations[-1], TARGETS), expected_error)
    agrees(error(activations[-1], TARGETS) + model.params_penalty(), expected)
    expected.backward()
    grads = model.grads_wrt_params(activations, error.grad(activations[-1], TARGETS))
    for grad, param in zip(grads, params, strict=True):
        agrees(grad, param.grad)
        counts["gradients"] += 1


# ---- training ----------------------------------------------------------------------------------

NUM_STEPS = 8
TINY = 1e-300
"""An epsilon that does nothing: PyTorch has it outside some square roots, and ours inside."""

RULES = {
    "descent": (GradientDescentLearningRule(0.1), lambda p: torch.optim.SGD(p, lr=0.1)),
    "momentum": (
        MomentumLearningRule(0.1, 0.9),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    ),
    "Nesterov": (
        NesterovMomentumLearningRule(0.1, 0.9),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    ),
    "Adam": (
        AdamLearningRule(0.1, 0.8, 0.95, TINY),
        lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.8, 0.95), eps=TINY),
    ),
    "AdaGrad": (
        AdaGradLearningRule(0.1, TINY),
        lambda p: torch.optim.Adagrad(p, lr=0.1, eps=TINY),
    ),
    "RMSProp": (
        RMSPropLearningRule(0.1, 0.8, TINY),
        lambda p: torch.optim.RMSprop(p, lr=0.1, alpha=0.8, eps=TINY),
    ),
}


@pytest.mark.trust_row(library="PyTorch", what="training by every learning rule, with penalties")
@pytest.mark.parametrize("penalty", MODEL_PENALTIES, ids=repr)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("convolutional", [False, True])
def test_training_by_pytorch(each_way, convolutional, rule, penalty, counts):
    """Eight steps over two batches, by the optimiser, with penalties."""
    model = convolutional_network(penalty) if convolutional else mlp(penalty)
    # Dropout draws a mask a step; without it both see the same network.
    model.layers = [layer for layer in model.layers if not isinstance(layer, DropoutLayer)]
    inputs = images(batch_size=10, size=36 if convolutional else 6)
    targets = np.concatenate([TARGETS, TARGETS[::-1]])
    our_rule, make_theirs = RULES[rule]

    params = [tensor(param) for param in model.params]
    theirs = make_theirs(params)
    for step in range(NUM_STEPS):
        batch = slice(0, 5) if step % 2 == 0 else slice(5, 10)
        theirs.zero_grad()
        _, loss = loss_of(model, penalty, inputs[batch], targets[batch], params)
        loss.backward()
        theirs.step()

    provider = DataProvider(inputs, targets, batch_size=5, shuffle_order=False)
    ours = Optimiser(model, CrossEntropySoftmaxError(), our_rule, provider)
    for _ in range(NUM_STEPS // 2):
        ours.do_training_epoch()
    for found, expected in zip(model.params, params, strict=True):
        np.testing.assert_allclose(found, expected.detach(), rtol=1e-9, atol=1e-11)
    counts["steps"] += NUM_STEPS
