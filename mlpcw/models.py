"""Models: sequences of layers.

`fprop` returns all activations, inputs first, for the backward pass; a model keeps none.
"""

from collections.abc import Sequence

import numpy as np

from mlpcw import checks
from mlpcw.layers import Layer, LayerWithParameters, StochasticLayer


class MultipleLayerModel:
    """Layers applied one after another.

    Args:
        layers: At least one layer, in the order in which inputs pass through them.

    Raises:
        ValueError: If there are no layers.
        TypeError: If an element is not a layer.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = list(checks.able("layers", layers, ("__iter__",), "a list of layers"))
        if not self.layers:
            raise ValueError("layers must hold at least one layer, got none")
        for layer in self.layers:
            if not isinstance(layer, Layer):
                raise TypeError(f"layers must hold layers only, got {layer!r}")

    @property
    def params(self) -> list[np.ndarray]:
        """Parameters of all layers in order; the arrays, not copies."""
        return [param for layer in self._layers_with_parameters() for param in layer.params]

    @params.setter
    def params(self, values: Sequence[np.ndarray]) -> None:
        values = list(values)
        if len(values) != len(self.params):
            raise ValueError(f"params must be {len(self.params)} arrays, got {len(values)}")
        for layer in self._layers_with_parameters():
            num_params = len(layer.params)
            layer.params, values = values[:num_params], values[num_params:]

    def astype(self, dtype: type) -> "MultipleLayerModel":
        """Converts all parameters to float32 or float64, the dtype in which the model computes.

        This replaces the arrays, so call it before a learning rule takes them.

        Returns:
            The model itself.

        Raises:
            ValueError: If the dtype is neither float32 nor float64.
        """
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise ValueError(f"dtype must be float32 or float64, got {np.dtype(dtype)}")
        self.params = [param.astype(dtype) for param in self.params]
        return self

    def fprop(self, inputs: np.ndarray, stochastic: bool = True) -> list[np.ndarray]:
        """Forward propagation through all layers.

        Args:
            inputs: Inputs of the first layer, `(batch_size, ...)`; converted to the dtype of the
                parameters.
            stochastic: Whether stochastic layers draw, as in training.

        Returns:
            The inputs, then the outputs of all layers; the last are those of the model.

        Raises:
            ValueError: If the shape of the inputs does not fit.
        """
        params = self.params
        activations = [np.asarray(inputs, dtype=params[0].dtype) if params else inputs]
        for layer in self.layers:
            if isinstance(layer, StochasticLayer):
                activations.append(layer.fprop(activations[-1], stochastic=stochastic))
            else:
                activations.append(layer.fprop(activations[-1]))
        return activations

    def grads_wrt_params(
        self, activations: Sequence[np.ndarray], grads_wrt_outputs: np.ndarray
    ) -> list[np.ndarray]:
        """Gradients with respect to all parameters, penalties included.

        Args:
            activations: The result of `fprop`.
            grads_wrt_outputs: Gradient of a scalar with respect to the outputs, of their shape.

        Returns:
            One new array per parameter, in the order and with the shapes of `params`.
        """
        with_parameters = [isinstance(layer, LayerWithParameters) for layer in self.layers]
        lowest = with_parameters.index(True) if any(with_parameters) else len(self.layers)
        grads = []
        # No layer below the lowest with parameters needs a gradient.
        for index in range(len(self.layers) - 1, lowest - 1, -1):
            layer, inputs, outputs = self.layers[index], activations[index], activations[index + 1]
            if with_parameters[index]:
                grads = [*layer.grads_wrt_params(inputs, grads_wrt_outputs), *grads]
            if index > lowest:
                grads_wrt_outputs = layer.bprop(inputs, outputs, grads_wrt_outputs)
        return grads

    def params_penalty(self) -> float:
        """Sum of the penalties of all layers."""
        return sum((layer.params_penalty() for layer in self._layers_with_parameters()), 0.0)

    def _layers_with_parameters(self) -> list[LayerWithParameters]:
        return [layer for layer in self.layers if isinstance(layer, LayerWithParameters)]

    def __repr__(self) -> str:
        layers = "".join(f"\n    {layer}" for layer in self.layers)
        return f"{type(self).__name__}({layers}\n)"


class SingleLayerModel(MultipleLayerModel):
    """A model of one layer.

    Args:
        layer: The layer.
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__([layer])

    @property
    def layer(self) -> Layer:
        """The one layer."""
        return self.layers[0]
