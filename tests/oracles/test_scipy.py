"""SciPy as an oracle: convolution in three dimensions, of which ours is a case; a few functions.

That augmenters equal `scipy.ndimage` is in test_augmenters.py.
"""

import numpy as np
import pytest
from hypothesis import given
from scipy import ndimage, signal, special
from support import examples
from test_conv import METHODS, problems
from witnesses import INDEPENDENT, conv_method, witness

from mlpcw import conv
from mlpcw.errors import CrossEntropySoftmaxError
from mlpcw.layers import MaxPooling2DLayer, SigmoidLayer, SoftmaxLayer


@pytest.mark.trust_row(library="SciPy", what="every method of convolution and its gradients")
@witness(INDEPENDENT, conv_method)
@pytest.mark.parametrize("method", METHODS)
@examples(20)
@given(problem=problems())
def test_methods_of_convolution_by_scipy(method, problem, counts):
    """The sum over channels is one more axis, not flipped; gradients are convolutions as well."""
    inputs, kernels, grads = problem
    outputs = [[signal.convolve(x, k[::-1], "valid")[0] for k in kernels] for x in inputs]
    np.testing.assert_allclose(conv.convolve(inputs, kernels, method), outputs, atol=1e-10)

    # Back to input channel c goes the sum over output channels.
    rotated = kernels[:, :, ::-1, ::-1]
    back = [
        [
            sum(signal.convolve(g, k, "full") for g, k in zip(image, rotated[:, c], strict=True))
            for c in range(kernels.shape[1])
        ]
        for image in grads
    ]
    np.testing.assert_allclose(conv.grad_inputs(kernels, grads, method), back, atol=1e-10)

    # The batch is the axis that is summed over.
    to_kernels = [
        [
            signal.convolve(inputs[:, c, ::-1, ::-1], grads[::-1, o], "valid")[0]
            for c in range(kernels.shape[1])
        ]
        for o in range(len(kernels))
    ]
    np.testing.assert_allclose(conv.grad_kernels(inputs, grads, method), to_kernels, atol=1e-10)
    counts["problems"] += 1


FUNCTIONS = {
    "sigmoid": (SigmoidLayer().fprop, special.expit),
    "softmax": (SoftmaxLayer().fprop, lambda x: special.softmax(x, axis=-1)),
    "max-pooling": (
        MaxPooling2DLayer(2).fprop,
        lambda x: ndimage.maximum_filter(x, (1, 1, 2, 2))[:, :, 1::2, 1::2],
    ),
    "cross-entropy": (
        lambda x: CrossEntropySoftmaxError()(x.reshape(12, 80), np.eye(12, 80)),
        lambda x: -np.trace(special.log_softmax(x.reshape(12, 80), axis=-1)) / 12,
    ),
}


@pytest.mark.trust_row(library="SciPy", what="sigmoid, softmax, max-pooling, cross-entropy")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_by_scipy(name, counts):
    ours, theirs = FUNCTIONS[name]
    inputs = 10 * np.random.default_rng(105).normal(size=(3, 4, 8, 10))
    np.testing.assert_allclose(ours(inputs), theirs(inputs), rtol=1e-12, atol=1e-15)
    counts["arrays"] += 1
