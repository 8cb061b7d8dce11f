"""Radial basis functions on a grid, for fits in one or two dimensions."""

from collections.abc import Sequence

import numpy as np

from mlpcw import checks
from mlpcw.errors import as_floats
from mlpcw.layers.base import Layer, like


class RadialBasisFunctionLayer(Layer):
    """`exp(-((x - c) / s) ** 2)` for each input x and each point c of a grid.

    Inputs are `(batch_size, num_dims)`, or `(batch_size,)` where the grid has one dimension.

    Args:
        grid_dim: Number of points of the grid along each dimension, at least 1.
        intervals: Ends (low, high) of the grid in each input dimension; `None` is [0, 1] in one
            dimension. The scale s of a dimension is (high - low) / grid_dim.

    Raises:
        ValueError: If `grid_dim` is below 1, or an interval has `high` at most `low`.
    """

    def __init__(
        self, grid_dim: int, intervals: Sequence[tuple[float, float]] | None = None
    ) -> None:
        grid_dim = checks.whole_number("grid_dim", grid_dim, low=1)
        intervals = [(0.0, 1.0)] if intervals is None else intervals
        for low, high in intervals:
            checks.number("the end of an interval", high, low=low, strict=True)
        axes = [np.linspace(low, high, grid_dim) for low, high in intervals]
        # (num_dims, grid_dim ** num_dims): one column a point of the grid
        self.centres = np.array(np.meshgrid(*axes)).reshape(len(intervals), -1)
        self.scales = np.array([[(high - low) / grid_dim] for low, high in intervals])

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        num_dims = len(self.centres)
        if inputs.shape[1:] != (num_dims,) and (inputs.ndim, num_dims) != (1, 1):
            raise ValueError(
                f"inputs of shape {inputs.shape} do not fit a grid in {num_dims}"
                f" dimensions: they must be (batch_size, {num_dims})"
            )
        return np.exp(-(self._scaled(inputs) ** 2)).reshape(len(inputs), -1)

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        scaled = self._scaled(inputs)
        weighted = (outputs * like(outputs, grads_wrt_outputs)).reshape(scaled.shape)
        grads = -2 * (weighted * scaled / self.scales.astype(outputs.dtype)).sum(axis=-1)
        return grads.reshape(inputs.shape)

    def _scaled(self, inputs: np.ndarray) -> np.ndarray:
        """(x - c) / s, `(batch_size, num_dims, num_points)`, in the dtype of the inputs."""
        inputs = as_floats(inputs)
        centres, scales = self.centres.astype(inputs.dtype), self.scales.astype(inputs.dtype)
        return (inputs.reshape(len(inputs), -1, 1) - centres) / scales
