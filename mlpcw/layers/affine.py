"""The fully connected layer."""

from collections.abc import Callable

import numpy as np

from mlpcw import checks
from mlpcw.initialisers import ConstantInit, UniformInit
from mlpcw.layers.base import Initialiser
from mlpcw.layers.parameters import _PenalisedLayer, drawn, penalty_attribute


class AffineLayer(_PenalisedLayer):
    """`outputs = inputs W^T + b`, with weights W of shape `(output_dim, input_dim)`.

    Args:
        input_dim: Number of inputs, at least 1.
        output_dim: Number of outputs, at least 1.
        weights_initialiser: Called with `(output_dim, input_dim)`; `None` draws uniformly from
            [-0.1, 0.1) with fresh entropy.
        biases_initialiser: Called with `(output_dim,)`; `None` is zeros.
        weights_penalty: Penalty of the weights, or `None`.
        biases_penalty: Penalty of the biases, or `None`.

    Raises:
        TypeError: If a dimension is not a whole number, or an initialiser or a penalty
            lacks its methods.
        ValueError: If a dimension is below 1, or an initialiser returns a wrong shape.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        weights_initialiser: Initialiser | None = None,
        biases_initialiser: Initialiser | None = None,
        weights_penalty: Callable | None = None,
        biases_penalty: Callable | None = None,
    ) -> None:
        self.input_dim = checks.whole_number("input_dim", input_dim, low=1)
        self.output_dim = checks.whole_number("output_dim", output_dim, low=1)
        shape, uniform = (output_dim, input_dim), UniformInit(-0.1, 0.1)
        weights = drawn("weights_initialiser", weights_initialiser, uniform, shape)
        super().__init__(
            # In Fortran order W^T is contiguous, which BLAS multiplies faster: `fprop` in float32,
            # batch 50, 784 to 100, takes 73 us, not 100 us (benchmarks/training.py).
            np.asfortranarray(weights),
            drawn("biases_initialiser", biases_initialiser, ConstantInit(0.0), shape[:1]),
        )
        self.weights_penalty = weights_penalty
        self.biases_penalty = biases_penalty

    weights_penalty = penalty_attribute("weights", 0)

    @property
    def weights(self) -> np.ndarray:
        """Weights, `(output_dim, input_dim)`."""
        return self._params[0]

    @weights.setter
    def weights(self, value: np.ndarray) -> None:
        self.params = [value, self._params[1]]

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        if inputs.ndim != 2 or inputs.shape[1] != self.input_dim:
            raise ValueError(
                f"inputs of shape {inputs.shape} do not fit {self}:"
                f" they must be (batch_size, {self.input_dim})"
            )
        outputs = np.asarray(inputs, dtype=self.weights.dtype) @ self.weights.T
        outputs += self.biases
        return outputs

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        return np.asarray(grads_wrt_outputs, self.weights.dtype) @ self.weights

    def grads_wrt_params(self, inputs, grads_wrt_outputs):
        inputs, grads_wrt_outputs = (
            np.asarray(array, self.weights.dtype) for array in (inputs, grads_wrt_outputs)
        )
        return self._add_penalty_grads(
            [
                # (input_dim, batch_size) @ (batch_size, output_dim), transposed: in Fortran order,
                # as the weights
                (inputs.T @ grads_wrt_outputs).T,
                grads_wrt_outputs.sum(axis=0),
            ]
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(input_dim={self.input_dim}, output_dim={self.output_dim})"
