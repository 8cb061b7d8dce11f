"""Weights and biases with their penalties: what affine and convolutional layers share."""

from collections.abc import Callable, Sequence

import numpy as np

from mlpcw import checks
from mlpcw.errors import as_floats
from mlpcw.layers.base import Initialiser, LayerWithParameters


def penalty_attribute(name: str, index: int) -> property:
    """The penalty of a parameter as an attribute of its layer, checked whenever it is set."""

    def read(layer: "_PenalisedLayer") -> Callable | None:
        return layer._penalties[index]

    def write(layer: "_PenalisedLayer", penalty: Callable | None) -> None:
        if penalty is not None:
            allowed = "None or a penalty such as L2Penalty(0.0001)"
            checks.able(f"{name}_penalty", penalty, ("__call__", "grad"), allowed)
        layer._penalties[index] = penalty

    return property(read, write, doc=f"Penalty of the {name}, or `None`.")


class _PenalisedLayer(LayerWithParameters):
    """A layer whose parameters are weights (or kernels) and biases.

    Args:
        weights, biases: The parameters; integers become float64.
    """

    def __init__(self, weights, biases) -> None:
        self._params = [as_floats(weights), as_floats(biases)]
        self._penalties = [None, None]

    biases_penalty = penalty_attribute("biases", 1)

    @property
    def params(self) -> list[np.ndarray]:
        """The weights (or kernels), then the biases; the arrays themselves, not copies."""
        return list(self._params)

    @params.setter
    def params(self, value: Sequence[np.ndarray]) -> None:
        shapes = [param.shape for param in self._params]
        given = [np.shape(param) for param in value]
        if given != shapes:
            raise ValueError(f"params of {self} must have shapes {shapes}, got {given}")
        self._params = [as_floats(param) for param in value]

    @property
    def biases(self) -> np.ndarray:
        """One number an output unit or channel, `(num_outputs,)`."""
        return self._params[1]

    @biases.setter
    def biases(self, value: np.ndarray) -> None:
        self.params = [self._params[0], value]

    def params_penalty(self) -> float:
        return sum(
            penalty(param)
            for param, penalty in zip(self._params, self._penalties, strict=True)
            if penalty is not None
        )

    def _add_penalty_grads(self, grads: list[np.ndarray]) -> list[np.ndarray]:
        for grad, param, penalty in zip(grads, self._params, self._penalties, strict=True):
            if penalty is not None:
                grad += penalty.grad(param)
        return grads


def drawn(
    name: str, initialiser: Initialiser | None, default: Initialiser, shape: tuple[int, ...]
) -> np.ndarray:
    """Calls an initialiser, or the default for `None`, with a shape, and checks what it returns."""
    if initialiser is None:
        return default(shape)
    allowed = "None or an initialiser such as ConstantInit(0)"
    values = checks.able(name, initialiser, ("__call__",), allowed)(shape)
    if np.shape(values) != shape:
        raise ValueError(f"{name} must return shape {shape}, got {np.shape(values)}")
    return values
