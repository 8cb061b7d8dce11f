"""The contracts of layers: of all, of those with parameters, of those that draw random numbers."""

from collections.abc import Callable, Sequence

import numpy as np

from mlpcw import checks

Initialiser = Callable[[tuple[int, ...]], np.ndarray]


class Layer:
    """The contract of every layer."""

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        """Forward propagation.

        Args:
            inputs: Layer inputs, `(batch_size, ...)`.

        Returns:
            Layer outputs, `(batch_size, ...)`.

        Raises:
            ValueError: If the shape of the inputs does not fit the layer.
        """
        raise NotImplementedError(f"{self} has no fprop")

    def bprop(
        self, inputs: np.ndarray, outputs: np.ndarray, grads_wrt_outputs: np.ndarray
    ) -> np.ndarray:
        """Back propagation.

        Args:
            inputs: Layer inputs, as given to `fprop`.
            outputs: Layer outputs, as `fprop` returned them.
            grads_wrt_outputs: Gradient of a scalar with respect to the outputs, their shape.

        Returns:
            Gradient of that scalar with respect to the inputs, their shape.
        """
        raise NotImplementedError(f"{self} has no bprop")

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class LayerWithParameters(Layer):
    """The contract of a layer with parameters."""

    def grads_wrt_params(
        self, inputs: np.ndarray, grads_wrt_outputs: np.ndarray
    ) -> list[np.ndarray]:
        """Gradients with respect to the parameters, the layer's own penalties included.

        Args:
            inputs: Layer inputs, as given to `fprop`.
            grads_wrt_outputs: Gradient of a scalar with respect to the outputs, their shape.

        Returns:
            One new array a parameter, in the order and the shapes of `params`.
        """
        raise NotImplementedError(f"{self} has no grads_wrt_params")

    def params_penalty(self) -> float:
        """Sum of the penalties of the layer's parameters."""
        raise NotImplementedError(f"{self} has no params_penalty")

    @property
    def params(self) -> list[np.ndarray]:
        """The parameter arrays themselves, not copies; may be set to arrays of equal shapes."""
        raise NotImplementedError(f"{self} has no params")

    @params.setter
    def params(self, value: Sequence[np.ndarray]) -> None:
        raise NotImplementedError(f"{self} has no params that may be set")


class StochasticLayer(Layer):
    """The contract of a layer that draws random numbers.

    Args:
        rng: A `RandomState` or a `Generator`; `None` takes fresh entropy.
    """

    def __init__(self, rng: checks.Rng | None = None) -> None:
        self.rng = checks.as_rng(rng)

    def fprop(self, inputs: np.ndarray, stochastic: bool = True) -> np.ndarray:
        """Forward propagation, as `Layer.fprop`.

        Args:
            inputs: Layer inputs, `(batch_size, ...)`.
            stochastic: Whether to draw, as in training; otherwise the outputs are expected values.
        """
        raise NotImplementedError(f"{self} has no fprop")


def like(values: np.ndarray, grads_wrt_outputs: np.ndarray) -> np.ndarray:
    """Casts gradients to the dtype of a layer's inputs or outputs, float64 if those are integers.

    A layer without parameters returns gradients of this dtype.
    """
    dtype = values.dtype if values.dtype.kind == "f" else float
    return np.asarray(grads_wrt_outputs, dtype)
