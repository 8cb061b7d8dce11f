"""The layer between flat and image layers."""

import numpy as np

from mlpcw.layers.base import Layer, like


class ReshapeLayer(Layer):
    """Gives each example of the batch another shape.

    Args:
        output_shape: Shape of one example, the batch axis left out; `None` flattens it.
    """

    def __init__(self, output_shape: tuple[int, ...] | None = None) -> None:
        self.output_shape = (-1,) if output_shape is None else tuple(output_shape)

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        try:
            return inputs.reshape((len(inputs), *self.output_shape))
        except ValueError:
            raise ValueError(
                f"inputs of shape {inputs.shape} do not fit {self}: one example has"
                f" {inputs[0].size} values"
            ) from None

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        return like(inputs, grads_wrt_outputs).reshape(inputs.shape)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(output_shape={self.output_shape})"
