"""Activation functions: of each input by itself, and the softmax."""

import numpy as np

from mlpcw.errors import as_floats, sigmoid, softmax
from mlpcw.layers.base import Layer, like


class SigmoidLayer(Layer):
    """Logistic sigmoid of each input, `1 / (1 + exp(-x))`."""

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        return sigmoid(inputs)

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        return like(outputs, grads_wrt_outputs) * outputs * (1 - outputs)


class ReluLayer(Layer):
    """Rectified linear, `max(x, 0)`; the gradient at the kink x = 0 is 0."""

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        return np.maximum(inputs, 0)

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        return (outputs > 0) * like(outputs, grads_wrt_outputs)


class TanhLayer(Layer):
    """Hyperbolic tangent of each input."""

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        return np.tanh(as_floats(inputs))

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        return (1 - outputs**2) * like(outputs, grads_wrt_outputs)


class SoftmaxLayer(Layer):
    """Softmax over the last axis: outputs are positive and sum to 1."""

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        return softmax(inputs)

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        grads_wrt_outputs = like(outputs, grads_wrt_outputs)
        weighted = (outputs * grads_wrt_outputs).sum(axis=-1, keepdims=True)
        return outputs * (grads_wrt_outputs - weighted)
