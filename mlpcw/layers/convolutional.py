"""The convolutional layer; `mlpcw.conv` does its arithmetic."""

from collections.abc import Callable

import numpy as np

from mlpcw import checks, conv
from mlpcw.initialisers import ConstantInit, UniformInit
from mlpcw.layers.base import Initialiser
from mlpcw.layers.parameters import _PenalisedLayer, drawn, penalty_attribute


class ConvolutionalLayer(_PenalisedLayer):
    """Two-dimensional convolution, 'valid', stride 1, with the kernels flipped, plus a bias.

    Inputs are `(batch_size, num_input_channels, input_dim_1, input_dim_2)`, outputs
    `(batch_size, num_output_channels, input_dim_1 - kernel_dim_1 + 1,
    input_dim_2 - kernel_dim_2 + 1)`. See `mlpcw.conv` for the formula and the methods.

    Args:
        num_input_channels, num_output_channels: At least 1.
        input_dim_1, input_dim_2: Height and width of the inputs, pixels.
        kernel_dim_1, kernel_dim_2: Height and width of the kernels, pixels, at most those of the
            inputs.
        kernels_init: Called with `(num_output_channels, num_input_channels, kernel_dim_1,
            kernel_dim_2)`; `None` draws uniformly from [-0.01, 0.01) with fresh entropy.
        biases_init: Called with `(num_output_channels,)`; `None` is zeros.
        kernels_penalty, biases_penalty: Penalties, or `None`.

    Raises:
        TypeError, ValueError: As `AffineLayer`, or if a kernel is larger than the image.
    """

    def __init__(
        self,
        num_input_channels: int,
        num_output_channels: int,
        input_dim_1: int,
        input_dim_2: int,
        kernel_dim_1: int,
        kernel_dim_2: int,
        kernels_init: Initialiser | None = None,
        biases_init: Initialiser | None = None,
        kernels_penalty: Callable | None = None,
        biases_penalty: Callable | None = None,
    ) -> None:
        self.num_input_channels = checks.whole_number(
            "num_input_channels", num_input_channels, low=1
        )
        self.num_output_channels = checks.whole_number(
            "num_output_channels", num_output_channels, low=1
        )
        self.input_dim_1 = checks.whole_number("input_dim_1", input_dim_1, low=1)
        self.input_dim_2 = checks.whole_number("input_dim_2", input_dim_2, low=1)
        self.kernel_dim_1 = checks.whole_number("kernel_dim_1", kernel_dim_1, low=1)
        self.kernel_dim_2 = checks.whole_number("kernel_dim_2", kernel_dim_2, low=1)
        if kernel_dim_1 > input_dim_1 or kernel_dim_2 > input_dim_2:
            raise ValueError(
                f"kernels of {kernel_dim_1} x {kernel_dim_2} pixels do not fit images of"
                f" {input_dim_1} x {input_dim_2}: a kernel must be no larger than the image"
            )
        shape = num_output_channels, num_input_channels, kernel_dim_1, kernel_dim_2
        super().__init__(
            drawn("kernels_init", kernels_init, UniformInit(-0.01, 0.01), shape),
            drawn("biases_init", biases_init, ConstantInit(0.0), shape[:1]),
        )
        self.kernels_penalty = kernels_penalty
        self.biases_penalty = biases_penalty

    kernels_penalty = penalty_attribute("kernels", 0)

    @property
    def kernels(self) -> np.ndarray:
        """Kernels, `(num_output_channels, num_input_channels, kernel_dim_1, kernel_dim_2)`."""
        return self._params[0]

    @kernels.setter
    def kernels(self, value: np.ndarray) -> None:
        self.params = [value, self._params[1]]

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        image = (self.num_input_channels, self.input_dim_1, self.input_dim_2)
        if inputs.shape[1:] != image:
            raise ValueError(
                f"inputs of shape {inputs.shape} do not fit {self}: they must be"
                f" (batch_size, {', '.join(map(str, image))})"
            )
        outputs = conv.convolve(np.asarray(inputs, dtype=self.kernels.dtype), self.kernels)
        outputs += self.biases[:, np.newaxis, np.newaxis]
        return outputs

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        grads_wrt_outputs = np.asarray(grads_wrt_outputs, self.kernels.dtype)
        return conv.grad_inputs(self.kernels, grads_wrt_outputs)

    def grads_wrt_params(self, inputs, grads_wrt_outputs):
        inputs, grads_wrt_outputs = (
            np.asarray(array, self.kernels.dtype) for array in (inputs, grads_wrt_outputs)
        )
        return self._add_penalty_grads(
            [
                self._grads_wrt_kernels(inputs, grads_wrt_outputs),
                grads_wrt_outputs.sum(axis=(0, 2, 3)),
            ]
        )

    def _grads_wrt_kernels(self, inputs: np.ndarray, grads_wrt_outputs: np.ndarray) -> np.ndarray:
        return conv.grad_kernels(inputs, grads_wrt_outputs)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.num_input_channels} -> {self.num_output_channels}"
            f" channels, {self.input_dim_1} x {self.input_dim_2} pixels,"
            f" kernels {self.kernel_dim_1} x {self.kernel_dim_2})"
        )
