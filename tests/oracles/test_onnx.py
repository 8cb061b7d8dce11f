"""The test vectors of ONNX: inputs and outputs of operators, made by others.

The package `onnx` brings them in two kinds. The *stored* ones are files, computed by PyTorch when
models were converted from it. Those of the *nodes* come with the operators' definitions; the module
of an operator holds the numbers or computes them with NumPy. All are float32, and each has its own
tolerance.

Every vector of an operator that the library has is either run or left out for a reason that is
counted: most are about what this library does not do, such as padding or groups. Convolution in
ONNX does not flip its kernels, so they are flipped on the way.
"""

import collections
import importlib
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, load, numpy_helper
from onnx.backend.test.case import node as onnx_nodes
from onnx.backend.test.loader import DATA_DIR
from test_conv import METHODS

from mlpcw import conv
from mlpcw.errors import CrossEntropyError, CrossEntropySoftmaxError
from mlpcw.layers import (
    AffineLayer,
    ConvolutionalLayer,
    MaxPooling2DLayer,
    MaxPoolingLayer,
    ReluLayer,
    ReshapeLayer,
    SigmoidLayer,
    SoftmaxLayer,
    TanhLayer,
)
from mlpcw.learning_rules import MomentumLearningRule, NesterovMomentumLearningRule
from mlpcw.penalties import L2Penalty

MODULES = (
    *("adagrad", "adam", "conv", "dropout", "flatten", "gemm", "matmul", "maxpool", "momentum"),
    *("negativeloglikelihoodloss", "relu", "reshape", "sigmoid", "softmax"),
    *("softmax_cross_entropy_loss", "tanh"),
)
"""The modules with the nodes of operators that the library has."""


class LeftOutError(Exception):
    """A vector that asks for what the library does not do; the message says what."""


def fit(holds, reason):
    """Leaves the vector out for that reason unless the condition holds."""
    if not holds:
        raise LeftOutError(reason)


# ---- from an operator to the library's own -----------------------------------------------------
#
# Each takes the operator's attributes and inputs and returns what must equal its outputs.


def run_conv(attributes, inputs, kernels, biases=None):
    """All methods in turn: they must be the same, so the last stands for all."""
    fit(attributes.get("group", 1) == 1, "groups")
    fit(not any(attributes.get("pads", ())), "padding")
    fit(attributes.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID"), "padding")
    fit(set(attributes.get("strides", [1])) == {1}, "a stride above 1")
    fit(set(attributes.get("dilations", [1])) == {1}, "dilation")
    fit(inputs.ndim <= 4, "three dimensions")
    if inputs.ndim == 3:  # (batch_size, channels, length): images one pixel high
        return [run_conv(attributes, inputs[:, :, None], kernels[:, :, None], biases)[0][:, :, 0]]
    biases = np.zeros(len(kernels), kernels.dtype) if biases is None else biases
    flipped = kernels[:, :, ::-1, ::-1]
    num_output_channels, num_input_channels, *kernel_size = kernels.shape
    layer = ConvolutionalLayer(
        num_input_channels, num_output_channels, *inputs.shape[2:], *kernel_size
    )
    layer.params = [flipped, biases]
    outputs = layer.fprop(inputs)
    for method in METHODS:
        by_method = conv.convolve(inputs, flipped, method) + biases[:, None, None]
        np.testing.assert_allclose(by_method, outputs, rtol=1e-3, atol=1e-4)
    return [outputs]


def run_gemm(attributes, inputs, weights, biases=0):
    """`alpha A B + beta C`: an affine layer, where C is the same for all rows."""
    inputs = inputs.T if attributes.get("transA") else inputs
    weights = weights if attributes.get("transB") else weights.T
    biases = np.asarray(biases, weights.dtype) * weights.dtype.type(attributes.get("beta", 1))
    fit(biases.ndim < 2 or len(biases) == 1, "a bias for each example")
    layer = AffineLayer(inputs.shape[1], len(weights))
    layer.params = [
        weights * weights.dtype.type(attributes.get("alpha", 1)),
        np.broadcast_to(biases.ravel(), len(weights)).copy(),
    ]
    return [layer.fprop(inputs)]


def run_matmul(attributes, inputs, weights):
    fit(inputs.ndim == weights.ndim == 2, "a product of other than matrices")
    return run_gemm(attributes, inputs, weights)


def run_max_pool(attributes, inputs):
    size = attributes["kernel_shape"]
    fit(not any(attributes.get("pads", ())), "padding")
    fit(attributes.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID"), "padding")
    fit(attributes.get("strides", [1] * len(size)) == size, "windows that overlap or leave gaps")
    fit(set(attributes.get("dilations", [1])) == {1}, "dilation")
    fit(len(size) <= 2, "three dimensions")
    fit(len(set(size)) == 1, "windows that are not square")
    # What does not fill a window is left out there, and refused here.
    whole = [slice(length - length % size[0]) for length in inputs.shape[2:]]
    layer = MaxPooling2DLayer(size[0]) if len(size) == 2 else MaxPoolingLayer(size[0])
    return [layer.fprop(inputs[:, :, *whole])]


def run_softmax(attributes, inputs):
    axis = attributes.get("axis", -1) % inputs.ndim
    return [np.moveaxis(SoftmaxLayer().fprop(np.moveaxis(inputs, axis, -1)), -1, axis)]


def run_elementwise(layer):
    return lambda attributes, inputs: [layer.fprop(inputs)]


def run_reshape(attributes, inputs, shape=None):
    if shape is None:  # the older form of the operator
        shape = attributes["shape"]
    fit(inputs.size, "no data")
    fit(len(shape) > 0 and shape[0] in (0, len(inputs)), "a change of the batch")
    shape = [inputs.shape[axis] if n == 0 else n for axis, n in enumerate(shape)]
    return [ReshapeLayer(shape[1:]).fprop(inputs)]


def run_flatten(attributes, inputs):
    fit(attributes.get("axis", 1) == 1, "a change of the batch")
    fit(inputs.ndim > 1, "a change of the batch")
    return [ReshapeLayer().fprop(inputs)]


def run_loss(error, to_outputs):
    """A loss of class numbers; `to_outputs` makes of its inputs what the error takes."""

    def run(attributes, inputs, classes, *weights):
        fit(not weights, "weights of the classes")
        fit("ignore_index" not in attributes, "a class that is ignored")
        fit(inputs.ndim == 2, "more than one class an example")
        targets, outputs = np.eye(inputs.shape[1])[classes], to_outputs(inputs)
        singles = [error(outputs[[n]], targets[[n]]) for n in range(len(outputs))]
        found = {
            b"none": np.array(singles),
            b"sum": error(outputs, targets) * len(outputs),
            b"mean": error(outputs, targets),
        }[attributes.get("reduction", b"mean")]
        # The second output, where it is asked for, is the logarithm of the softmax.
        return [found, np.log(SoftmaxLayer().fprop(inputs))]

    return run


def run_momentum(attributes, rate, count, *arrays):
    """`V' = alpha V + beta G; X' = X - R V'`, where our momentum is -R V; beta is 1 at first."""
    number = len(arrays) // 3
    params, grads, velocities = (
        arrays[start : start + number] for start in (0, number, 2 * number)
    )
    kind = MomentumLearningRule
    if attributes["mode"] == b"nesterov":
        kind = NesterovMomentumLearningRule
    rule = kind(float(rate), attributes["alpha"])
    params = [param.copy() for param in params]
    rule.initialise(params)
    rule.moms = [-rate * velocity for velocity in velocities]
    penalty = L2Penalty(attributes["norm_coefficient"])
    factor = attributes["beta"] if count > 0 else 1
    rule.update_params(
        [factor * (grad + penalty.grad(p)) for grad, p in zip(grads, params, strict=True)]
    )
    return [*params, *(mom / -rate for mom in rule.moms)]


def left_out(reason):
    def run(attributes, *inputs):
        raise LeftOutError(reason)

    return run


OPERATORS = {
    "Adagrad": left_out("epsilon stands outside the square root"),
    "Adam": left_out("its first update is numbered 0, without corrections"),
    "Conv": run_conv,
    "Dropout": left_out("what is kept is scaled in training"),
    "Flatten": run_flatten,
    "Gemm": run_gemm,
    "MatMul": run_matmul,
    "MaxPool": run_max_pool,
    "Momentum": run_momentum,
    "NegativeLogLikelihoodLoss": run_loss(CrossEntropyError(), np.exp),
    "Relu": run_elementwise(ReluLayer()),
    "Reshape": run_reshape,
    "Sigmoid": run_elementwise(SigmoidLayer()),
    "Softmax": run_softmax,
    "SoftmaxCrossEntropyLoss": run_loss(CrossEntropySoftmaxError(), lambda inputs: inputs),
    "Tanh": run_elementwise(TanhLayer()),
}


# ---- the vectors -------------------------------------------------------------------------------


def attributes_of(node):
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def node_vectors():
    """Each node's (name, operator, attributes, inputs, outputs, tolerances)."""
    for module in MODULES:
        importlib.import_module(f"{onnx_nodes.__name__}.{module}")
    for case in onnx_nodes._NodeTestCases:
        (node, *others) = case.model.graph.node
        # Not those that are written out in other operators, with the same numbers.
        if not others and node.op_type in OPERATORS and "_expanded" not in case.name:
            ((inputs, outputs),) = case.data_sets
            tolerances = {"rtol": case.rtol, "atol": case.atol}
            yield case.name, node.op_type, attributes_of(node), inputs, outputs, tolerances


def stored_vectors():
    """Each stored model of one operator, as `node_vectors`; its parameters are inputs too."""
    for path in sorted(Path(DATA_DIR).glob("*/*/model.onnx")):
        graph = load(path).graph
        if [node.op_type in OPERATORS for node in graph.node] != [True]:
            continue
        (node,), folder = graph.node, path.parent / "test_data_set_0"
        constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        names = [each.name for each in graph.input if each.name not in constants]
        given = dict(zip(names, read_all(folder, "input"), strict=True)) | constants
        inputs = [given[name] for name in node.input]
        tolerances = {"rtol": 1e-3, "atol": 1e-7}
        name = f"{path.parents[1].name}: {path.parent.name}"
        yield (
            name,
            node.op_type,
            attributes_of(node),
            inputs,
            read_all(folder, "output"),
            tolerances,
        )


def read_all(folder, kind):
    """The arrays of `<kind>_0.pb`, `<kind>_1.pb`, ... of a folder."""
    paths = [folder / f"{kind}_{index}.pb" for index in range(len(list(folder.glob(f"{kind}_*"))))]
    return [numpy_helper.to_array(TensorProto.FromString(path.read_bytes())) for path in paths]


def check(vectors, counts):
    """How many vectors of each operator were run; the rest are left out, and counted so."""
    run = collections.Counter()
    for name, operator, attributes, inputs, outputs, tolerances in vectors:
        try:
            fit(inputs[0].dtype != np.uint8, "whole numbers")
            fit("storage_order" not in attributes, "indices of the maxima")
            found = OPERATORS[operator](attributes, *inputs)
            fit(len(found) >= len(outputs), "indices of the maxima")
        except LeftOutError:
            counts["vectors left out"] += 1
            continue
        for ours, theirs in zip(found, outputs, strict=False):
            assert ours.shape == np.shape(theirs), name
            np.testing.assert_allclose(ours, theirs, err_msg=name, **tolerances)
        run[operator] += 1
        counts["vectors"] += 1
    return run


@pytest.mark.trust_row(
    library="ONNX",
    what="test vectors of its operators, those that ask for what this library does",
)
def test_vectors_of_the_nodes_of_onnx(counts):
    assert set(OPERATORS) - set(check(node_vectors(), counts)) == {"Adagrad", "Adam", "Dropout"}


@pytest.mark.trust_row(
    library="ONNX",
    what="test vectors that were stored with other libraries' outputs",
)
def test_vectors_stored_by_onnx(counts):
    assert check(stored_vectors(), counts)["Conv"] >= 4
