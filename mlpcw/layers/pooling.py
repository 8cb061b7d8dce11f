"""Max-pooling along an axis (maxout) and of square windows of images."""

import functools

import numpy as np

from mlpcw import checks, compiled
from mlpcw.compiled import kernel
from mlpcw.layers.base import Layer, like


class MaxPoolingLayer(Layer):
    """Maximum over non-overlapping pools of `pool_size` values along the last axis (maxout).

    Of equal maxima in a pool, the first receives the gradient.

    Args:
        pool_size: Number of values in a pool, at least 1; it must divide the last axis.

    Raises:
        ValueError: If `pool_size` is below 1, or does not divide the inputs' last axis.
    """

    def __init__(self, pool_size: int = 2) -> None:
        self.pool_size = checks.whole_number("pool_size", pool_size, low=1)

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        return self._pools(inputs).max(axis=-1)

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        grads_wrt_outputs = like(inputs, grads_wrt_outputs)
        return _to_first_maximum(self._pools(inputs), grads_wrt_outputs).reshape(inputs.shape)

    def _pools(self, inputs: np.ndarray) -> np.ndarray:
        """Splits the last axis of the inputs: `(batch_size, ..., num_pools, pool_size)`."""
        if inputs.shape[-1] % self.pool_size:
            raise ValueError(
                f"inputs of shape {inputs.shape} do not fit {self}: their last axis must be a"
                f" multiple of {self.pool_size}"
            )
        return inputs.reshape((*inputs.shape[:-1], -1, self.pool_size))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(pool_size={self.pool_size})"


class MaxPooling2DLayer(Layer):
    """Maximum over non-overlapping windows of `pool_size` x `pool_size` pixels.

    Inputs are `(batch_size, num_channels, height, width)`, outputs `(batch_size, num_channels,
    height / pool_size, width / pool_size)`. Of equal maxima in a window, the first in reading
    order receives the gradient (LeCun and others 1998 subsample by means instead).

    Args:
        pool_size: Side of a window, pixels, at least 1; it must divide height and width.

    Raises:
        ValueError: If `pool_size` is below 1, or does not divide both sides of the inputs.
    """

    def __init__(self, pool_size: int = 2) -> None:
        self.pool_size = checks.whole_number("pool_size", pool_size, low=1)

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        self._check(inputs)
        size = self.pool_size
        # Maxima over the rows of all windows at once, then over their columns: a twentieth of the
        # time of `_windows(inputs).max(axis=-1)` (benchmarks/convolution.py).
        rows = functools.reduce(np.maximum, [inputs[:, :, i::size] for i in range(size)])
        return functools.reduce(np.maximum, [rows[:, :, :, j::size] for j in range(size)])

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        size, grads_wrt_outputs = self.pool_size, like(inputs, grads_wrt_outputs)
        if compiled.enabled() and self._fits_kernel(inputs, outputs, grads_wrt_outputs):
            arrays = map(np.ascontiguousarray, (inputs, outputs, grads_wrt_outputs))
            grads = np.empty(inputs.shape, grads_wrt_outputs.dtype)
            unpool(*arrays, grads)
            return grads
        grads = _to_first_maximum(self._windows(inputs), grads_wrt_outputs)
        # (batch, channels, rows, columns, size, size) -> (batch, channels, height, width)
        grads = grads.reshape((*grads.shape[:4], size, size))
        return grads.transpose(0, 1, 2, 4, 3, 5).reshape(inputs.shape)

    def _fits_kernel(self, *arrays: np.ndarray) -> bool:
        """Whether `unpool`, which checks nothing, can take inputs, outputs and gradients."""
        inputs, outputs, grads_wrt_outputs = arrays
        return (
            self.pool_size == 2
            and {array.dtype for array in arrays} in ({np.dtype("f4")}, {np.dtype("f8")})
            and outputs.shape == grads_wrt_outputs.shape
            and inputs.shape == (*outputs.shape[:2], *(2 * side for side in outputs.shape[2:]))
        )

    def _windows(self, inputs: np.ndarray) -> np.ndarray:
        """The values of each window side by side, `(batch, channels, rows, columns, size ** 2)`."""
        self._check(inputs)
        size = self.pool_size
        batch_size, num_channels, height, width = inputs.shape
        split = inputs.reshape(batch_size, num_channels, height // size, size, width // size, size)
        return split.transpose(0, 1, 2, 4, 3, 5).reshape(
            batch_size, num_channels, height // size, width // size, size * size
        )

    def _check(self, inputs: np.ndarray) -> None:
        size = self.pool_size
        if inputs.ndim != 4 or inputs.shape[2] % size or inputs.shape[3] % size:
            raise ValueError(
                f"inputs of shape {inputs.shape} do not fit {self}: they must be (batch_size,"
                f" num_channels, height, width) with sides that are multiples of {size}"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(pool_size={self.pool_size})"


def _to_first_maximum(pools: np.ndarray, grads: np.ndarray) -> np.ndarray:
    """Places `grads` at the first maximum of `pools` along the last axis; the rest is 0."""
    first = pools.argmax(axis=-1)[..., np.newaxis]
    spread = np.zeros(pools.shape, dtype=grads.dtype)
    np.put_along_axis(spread, first, grads[..., np.newaxis], axis=-1)
    return spread


@kernel()
def unpool(
    inputs: np.ndarray, outputs: np.ndarray, grads_wrt_outputs: np.ndarray, grads: np.ndarray
) -> None:
    """`_to_first_maximum` for windows of 2 x 2 pixels; NaN counts as the maximum.

    Unrolled for this one size, so that the compiler vectorises over windows: a third of the time of
    loops over a window of any size, a twentieth of that of NumPy's `argmax`
    (`benchmarks/convolution.py`).

    Args:
        inputs: `(batch_size, num_channels, 2 * height, 2 * width)`.
        outputs, grads_wrt_outputs: `(batch_size, num_channels, height, width)`.
        grads: Gradients with respect to the inputs, of their shape; filled here.
    """
    batch_size, num_channels, height, width = outputs.shape
    zero = grads.dtype.type(0)
    for image in range(batch_size):
        for c in range(num_channels):
            for i in range(height):
                maximum, grad = outputs[image, c, i], grads_wrt_outputs[image, c, i]
                top, bottom = inputs[image, c, 2 * i], inputs[image, c, 2 * i + 1]
                to_top, to_bottom = grads[image, c, 2 * i], grads[image, c, 2 * i + 1]
                for j in range(width):
                    left = grad[j]  # 0 once a maximum has received the gradient
                    hit = (top[2 * j] == maximum[j]) | (top[2 * j] != top[2 * j])
                    to_top[2 * j] = left if hit else zero
                    left = zero if hit else left
                    hit = (top[2 * j + 1] == maximum[j]) | (top[2 * j + 1] != top[2 * j + 1])
                    to_top[2 * j + 1] = left if hit else zero
                    left = zero if hit else left
                    hit = (bottom[2 * j] == maximum[j]) | (bottom[2 * j] != bottom[2 * j])
                    to_bottom[2 * j] = left if hit else zero
                    to_bottom[2 * j + 1] = zero if hit else left
