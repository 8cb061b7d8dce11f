"""SciPy as an oracle: convolution in three dimensions, of which ours is a case.

That augmenters equal `scipy.ndimage` is in test_augmenters.py.
"""

import numpy as np
import pytest
from hypothesis import given
from scipy import signal
from support import examples
from test_conv import METHODS, problems
from witnesses import INDEPENDENT, conv_method, witness

from mlpcw import conv


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
