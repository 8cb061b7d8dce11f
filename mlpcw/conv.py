"""Two-dimensional convolution and its two gradients, as pure functions.

A convolutional layer slides small kernels over images. This module holds the three operations that
it needs, the outputs (`convolve`) and the gradients with respect to its inputs (`grad_inputs`) and
to its kernels (`grad_kernels`), each by five methods that agree:

* "loop" is the report's own algorithm (Part 3), a triple loop over `scipy.signal.convolve2d`. It is
  slow, and it is the one to read first.
* "im2col" copies the patch of the image under each output pixel into a column of a matrix, so that
  all of the convolution is a product of matrices (Chellapilla, Puri and Simard 2006).
* "toeplitz" copies only the rows under each row of the output, and writes the kernels as one banded
  (Toeplitz) matrix. It multiplies by many zeros, but it copies far less.
* "channels_last" is "im2col" with the channels of a pixel side by side in memory.
* "direct" adds up shifted images, each times one number of a kernel. It copies no patches.

The last two are loops compiled by Numba (`mlpcw.kernels`). All but "loop" and "direct" make an
affine layer of the convolution: the copied pixels are its inputs, the matrix made of the kernels is
its weights, and the three operations are its three products. What comes out for a copied pixel is
added up where the pixel was copied from, and likewise for the kernels.

Convolutions are 'valid', with stride 1, and true convolutions: the kernels are flipped. With output
channels o, input channels c and kernels of kernel_height K1 and kernel_width K2,

    outputs[b, o, i, j] = sum over c, p, q of
        kernels[o, c, K1 - 1 - p, K2 - 1 - q] * inputs[b, c, i + p, j + q]

In the comments below B is batch_size, C and O the numbers of input and output channels, H and W
height and width of the inputs, OH = H - K1 + 1 and OW = W - K2 + 1 those of the outputs. Biases are
the layer's business.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mlpcw import checks
from mlpcw import compiled as numba_loops
from mlpcw import kernels as loops

IM2COL_BLOCK = 2**20
"""Bytes of patches that "im2col" makes at once; they stay in the cache."""

CHANNELS_LAST_BLOCK = 2**19
"""As `IM2COL_BLOCK`, of "channels_last"."""

DIRECT_BLOCK, DIRECT_IMAGES = 2**20, 32
"""Bytes that "direct" copies at once, and the fewest images."""

# ---- the three operations --------------------------------------------------------------------


def convolve(inputs: np.ndarray, kernels: np.ndarray, method: str | None = None) -> np.ndarray:
    """Convolves each image with each kernel and sums over the input channels.

    Args:
        inputs: Shape (batch_size, num_input_channels, height, width).
        kernels: Shape (num_output_channels, num_input_channels, kernel_height, kernel_width).
        method: A name in `METHODS`; None means what `choose_method` says.

    Returns:
        Outputs, shape (batch_size, num_output_channels, height - kernel_height + 1,
        width - kernel_width + 1), in the common dtype of inputs and kernels.

    Raises:
        ValueError: If the shapes do not fit each other, or the method is unknown or not to be had.
    """
    inputs, kernels = _as_floats(inputs=inputs, kernels=kernels)
    if inputs.shape[1] != kernels.shape[1]:
        raise ValueError(
            "inputs and kernels must have the same number of input channels (axis 1 of both), "
            f"got shapes {inputs.shape} and {kernels.shape}"
        )
    _check_fits("kernels", kernels, inputs)
    method = _find_method(method, inputs.shape[3], kernels.shape, inputs.dtype)
    return method.convolve(inputs, kernels)


def grad_inputs(
    kernels: np.ndarray, grads_wrt_outputs: np.ndarray, method: str | None = None
) -> np.ndarray:
    """Propagates gradients with respect to the outputs back to the inputs.

    Args:
        kernels: Shape (num_output_channels, num_input_channels, kernel_height, kernel_width).
        grads_wrt_outputs: Shape (batch_size, num_output_channels, output_height, output_width).
        method: A name in `METHODS`; None means what `choose_method` says.

    Returns:
        Gradients with respect to the inputs, shape (batch_size, num_input_channels,
        output_height + kernel_height - 1, output_width + kernel_width - 1).

    Raises:
        ValueError: If the shapes do not fit each other, or the method is unknown or not to be had.
    """
    kernels, grads = _as_floats(kernels=kernels, grads_wrt_outputs=grads_wrt_outputs)
    if grads.shape[1] != kernels.shape[0]:
        raise ValueError(
            "grads_wrt_outputs and kernels must have the same number of output channels (axis 1 "
            f"and axis 0), got shapes {grads.shape} and {kernels.shape}"
        )
    width = grads.shape[3] + kernels.shape[3] - 1
    return _find_method(method, width, kernels.shape, grads.dtype).grad_inputs(kernels, grads)


def grad_kernels(
    inputs: np.ndarray, grads_wrt_outputs: np.ndarray, method: str | None = None
) -> np.ndarray:
    """Sums over the batch the gradients with respect to the kernels.

    Args:
        inputs: Shape (batch_size, num_input_channels, height, width).
        grads_wrt_outputs: Shape (batch_size, num_output_channels, output_height, output_width).
        method: A name in `METHODS`; None means what `choose_method` says.

    Returns:
        Gradients with respect to the kernels, shape (num_output_channels, num_input_channels,
        height - output_height + 1, width - output_width + 1).

    Raises:
        ValueError: If the shapes do not fit each other, or the method is unknown or not to be had.
    """
    inputs, grads = _as_floats(inputs=inputs, grads_wrt_outputs=grads_wrt_outputs)
    if len(inputs) != len(grads):
        raise ValueError(
            "inputs and grads_wrt_outputs must have the same batch size (axis 0 of both), "
            f"got shapes {inputs.shape} and {grads.shape}"
        )
    _check_fits("grads_wrt_outputs", grads, inputs)
    kernels_shape = _kernels_shape(inputs, grads)
    method = _find_method(method, inputs.shape[3], kernels_shape, inputs.dtype)
    return method.grad_kernels(inputs, grads)


def _as_floats(**arrays: np.ndarray) -> list[np.ndarray]:
    """Returns the named arrays in their common floating-point dtype, once they have four axes.

    So float32 stays float32, and images in float32 meet kernels in float64 in float64.
    """
    for name, array in arrays.items():
        axes = (
            "(num_output_channels, num_input_channels, kernel_height, kernel_width)"
            if name == "kernels"
            else "(batch_size, num_channels, height, width)"
        )
        if np.ndim(array) != 4 or 0 in np.shape(array):
            raise ValueError(f"{name} must have shape {axes}, without 0, got {np.shape(array)}")
    dtype = np.result_type(*arrays.values(), np.float32)
    return [np.asarray(array, dtype) for array in arrays.values()]


def _check_fits(name: str, array: np.ndarray, inputs: np.ndarray) -> None:
    (height, width), (input_height, input_width) = array.shape[2:], inputs.shape[2:]
    if height > input_height or width > input_width:
        raise ValueError(
            f"{name} must be at most as high and as wide as inputs, {input_height} x "
            f"{input_width}, got shapes {array.shape} and {inputs.shape}"
        )


def _output_shape(inputs: np.ndarray, kernels: np.ndarray) -> tuple[int, int, int, int]:
    """Returns (B, O, OH, OW)."""
    batch_size, _, height, width = inputs.shape
    num_output_channels, _, kernel_height, kernel_width = kernels.shape
    return batch_size, num_output_channels, height - kernel_height + 1, width - kernel_width + 1


def _input_shape(kernels: np.ndarray, grads: np.ndarray) -> tuple[int, int, int, int]:
    """Returns (B, C, H, W)."""
    _, num_input_channels, kernel_height, kernel_width = kernels.shape
    batch_size, _, output_height, output_width = grads.shape
    height, width = output_height + kernel_height - 1, output_width + kernel_width - 1
    return batch_size, num_input_channels, height, width


def _kernels_shape(inputs: np.ndarray, grads: np.ndarray) -> tuple[int, int, int, int]:
    """Returns (O, C, K1, K2)."""
    _, num_input_channels, height, width = inputs.shape
    _, num_output_channels, output_height, output_width = grads.shape
    kernel_height, kernel_width = height - output_height + 1, width - output_width + 1
    return num_output_channels, num_input_channels, kernel_height, kernel_width


def _flipped(kernels: np.ndarray) -> np.ndarray:
    return kernels[:, :, ::-1, ::-1]


# ---- "loop": the report's algorithm ----------------------------------------------------------


def _loop_convolve(inputs: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    from scipy.signal import convolve2d  # here, since importing it takes half a second

    outputs = np.zeros(_output_shape(inputs, kernels), inputs.dtype)
    batch_size, num_output_channels = outputs.shape[:2]
    for b in range(batch_size):
        for o in range(num_output_channels):
            for c in range(inputs.shape[1]):
                outputs[b, o] += convolve2d(inputs[b, c], kernels[o, c], mode="valid")
    return outputs


def _loop_grad_inputs(kernels: np.ndarray, grads: np.ndarray) -> np.ndarray:
    from scipy.signal import convolve2d

    grads_wrt_inputs = np.zeros(_input_shape(kernels, grads), grads.dtype)
    batch_size, num_input_channels = grads_wrt_inputs.shape[:2]
    for b in range(batch_size):
        for c in range(num_input_channels):
            for o in range(len(kernels)):
                rotated_kernel = kernels[o, c, ::-1, ::-1]
                grads_wrt_inputs[b, c] += convolve2d(grads[b, o], rotated_kernel, mode="full")
    return grads_wrt_inputs


def _loop_grad_kernels(inputs: np.ndarray, grads: np.ndarray) -> np.ndarray:
    from scipy.signal import convolve2d

    grads_wrt_kernels = np.zeros(_kernels_shape(inputs, grads), inputs.dtype)
    num_output_channels, num_input_channels = grads_wrt_kernels.shape[:2]
    for b in range(len(inputs)):
        for c in range(num_input_channels):
            for o in range(num_output_channels):
                rotated_inputs = inputs[b, c, ::-1, ::-1]
                grads_wrt_kernels[o, c] += convolve2d(rotated_inputs, grads[b, o], mode="valid")
    return grads_wrt_kernels


# ---- "im2col": a matrix of patches -----------------------------------------------------------


def _im2col_convolve(inputs: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    output_shape = _output_shape(inputs, kernels)
    outputs = np.empty((*output_shape[:2], output_shape[2] * output_shape[3]), inputs.dtype)
    weights = _patch_weights(kernels)  # (O, C * K2 * K1)
    patches = _Patches(inputs.shape, output_shape, inputs.dtype)
    for block, matrices in patches.unfold(inputs):
        np.matmul(weights, matrices, out=outputs[block])  # (block, O, OH * OW)
    return outputs.reshape(output_shape)


def _im2col_grad_inputs(kernels: np.ndarray, grads: np.ndarray) -> np.ndarray:
    grads_wrt_inputs = np.zeros(_input_shape(kernels, grads), grads.dtype)
    grads_wrt_columns = grads.reshape(*grads.shape[:2], -1)  # (B, O, OH * OW)
    weights = _patch_weights(kernels)  # (O, C * K2 * K1)
    patches = _Patches(grads_wrt_inputs.shape, grads.shape, grads.dtype)
    with _short_buffers():
        for block, matrices in patches.fold(grads_wrt_inputs):
            np.matmul(weights.T, grads_wrt_columns[block], out=matrices)
    return grads_wrt_inputs


def _im2col_grad_kernels(inputs: np.ndarray, grads: np.ndarray) -> np.ndarray:
    num_output_channels, num_input_channels, kernel_height, kernel_width = _kernels_shape(
        inputs, grads
    )
    grads_wrt_columns = grads.reshape(*grads.shape[:2], -1)  # (B, O, OH * OW)
    patches = _Patches(inputs.shape, grads.shape, inputs.dtype)
    grads_wrt_weights = sum(
        (matrices @ grads_wrt_columns[block].transpose(0, 2, 1)).sum(axis=0)
        for block, matrices in patches.unfold(inputs)
    )
    grads_wrt_kernels = grads_wrt_weights.T.reshape(  # (O, C, K2, K1)
        num_output_channels, num_input_channels, kernel_width, kernel_height
    )
    return np.ascontiguousarray(_flipped(grads_wrt_kernels.transpose(0, 1, 3, 2)))


def _patch_weights(kernels: np.ndarray) -> np.ndarray:
    """Returns the weights that the patch under an output pixel is multiplied with."""
    weights = _flipped(kernels).transpose(0, 1, 3, 2)  # (O, C, K2, K1)
    return weights.reshape(len(kernels), -1)  # (O, C * K2 * K1)


class _Patches:
    """The patch under each output pixel as a column: for each image (C * K2 * K1, OH * OW).

    Patches take K1 * K2 times the memory of the images, so a batch goes through them in blocks that
    stay in the cache, always in the same memory: 1.4 to 2 times as fast as all at once.

    Pixels are copied in two steps, along the rows and then down them, since most of the copying is
    of long runs then.
    """

    def __init__(
        self, input_shape: tuple[int, ...], output_shape: tuple[int, ...], dtype: np.dtype
    ) -> None:
        self.batch_size, num_channels, height, width = input_shape
        _, _, self.output_height, self.output_width = output_shape
        self.kernel_height = height - self.output_height + 1
        self.kernel_width = width - self.output_width + 1
        rows = num_channels * self.kernel_width * self.kernel_height
        columns = self.output_height * self.output_width
        block_size = IM2COL_BLOCK // (rows * columns * dtype.itemsize)
        self.block_size = min(max(1, block_size), self.batch_size)
        self.compiled = numba_loops.enabled() and dtype in (np.float32, np.float64)
        self.shifted = np.empty(
            (self.block_size, num_channels, self.kernel_width, height, self.output_width), dtype
        )
        self.matrices = np.empty((self.block_size, rows, columns), dtype)
        self.patches = self.matrices.reshape(  # a view: (block, C, K2, K1, OH, OW)
            *self.shifted.shape[:3], self.kernel_height, self.output_height, self.output_width
        )

    def unfold(self, images: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yields each block of a batch of images (B, C, H, W) with the matrices of its patches."""
        along = sliding_window_view(images, self.output_width, axis=3)  # (B, C, H, K2, OW)
        down = sliding_window_view(self.shifted, self.output_height, axis=3)
        down = down.transpose(0, 1, 2, 3, 5, 4)  # (block, C, K2, K1, OW, OH) -> (..., OH, OW)
        for block in self._blocks():
            size = len(images[block])
            self.shifted[:size] = along[block].transpose(0, 1, 3, 2, 4)  # (block, C, K2, H, OW)
            self.patches[:size] = down[:size]
            yield block, self.matrices[:size]

    def fold(self, images: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yields each block with matrices to fill, then adds them to where `unfold` copies from.

        Much faster within `_short_buffers`.
        """
        for block in self._blocks():
            size = len(images[block])
            yield block, self.matrices[:size]
            if self.compiled:  # 1 -> 8 channels: two thirds of the time, in all, of the sums below
                loops.fold_rows(self.patches[:size], images[block])
                continue
            self.shifted[:size] = 0
            for p in range(self.kernel_height):
                rows = self.shifted[:size, :, :, p : p + self.output_height]
                rows += self.patches[:size, :, :, p]
            for q in range(self.kernel_width):
                pixels = images[block, :, :, q : q + self.output_width]
                pixels += self.shifted[:size, :, q]

    def _blocks(self) -> Iterator[slice]:
        for start in range(0, self.batch_size, self.block_size):
            yield slice(start, start + self.block_size)


@contextmanager
def _short_buffers() -> Iterator[None]:
    """Makes sums into parts of arrays, `a[:, :n] += b`, faster.

    Where rows are not neighbours in memory, NumPy sends as many as fit at once through a buffer.
    With a short buffer it adds them where they are. Leaving errstate restores the buffer.
    """
    with np.errstate():
        np.setbufsize(512)
        yield


# ---- "toeplitz": rows times a banded matrix --------------------------------------------------


def _toeplitz_convolve(inputs: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    batch_size, num_output_channels, output_height, output_width = _output_shape(inputs, kernels)
    matrix = _banded_matrix(kernels, width=inputs.shape[3])
    outputs = _rows(inputs, output_height) @ matrix.T  # (B * OH, O * OW)
    outputs = outputs.reshape(batch_size, output_height, num_output_channels, output_width)
    return np.ascontiguousarray(outputs.transpose(0, 2, 1, 3))  # (B, O, OH, OW)


def _toeplitz_grad_inputs(kernels: np.ndarray, grads: np.ndarray) -> np.ndarray:
    batch_size, num_input_channels, height, width = _input_shape(kernels, grads)
    output_height, kernel_height = grads.shape[2], kernels.shape[2]
    rows = _output_rows(grads) @ _banded_matrix(kernels, width)  # (B * OH, C * K1 * W)
    rows = rows.reshape(batch_size, output_height, num_input_channels, kernel_height, width)
    rows = rows.transpose(0, 2, 3, 1, 4)  # (B, C, K1, OH, W)
    grads_wrt_inputs = np.zeros((batch_size, num_input_channels, height, width), grads.dtype)
    with _short_buffers():
        for p in range(kernel_height):
            grads_wrt_inputs[:, :, p : p + output_height] += rows[:, :, p]
    return grads_wrt_inputs


def _toeplitz_grad_kernels(inputs: np.ndarray, grads: np.ndarray) -> np.ndarray:
    kernels_shape = _kernels_shape(inputs, grads)
    num_output_channels, num_input_channels, kernel_height, kernel_width = kernels_shape
    _, _, output_height, output_width = grads.shape
    matrix = _output_rows(grads).T @ _rows(inputs, output_height)  # (O * OW, C * K1 * W)
    matrix = matrix.reshape(
        num_output_channels, output_width, num_input_channels, kernel_height, -1
    )
    grads_wrt_kernels = np.empty(kernels_shape, inputs.dtype)
    for q in range(kernel_width):
        _flipped(grads_wrt_kernels)[:, :, :, q] = _diagonals(matrix, q).sum(axis=-1)
    return grads_wrt_kernels


def _rows(inputs: np.ndarray, output_height: int) -> np.ndarray:
    """Copies the K1 rows under each row of the output into one: (B * OH, C * K1 * W).

    For one channel they are neighbours in memory already, so the copy is of long runs.
    """
    batch_size = len(inputs)
    rows = sliding_window_view(inputs, output_height, axis=2)  # (B, C, K1, W, OH)
    rows = rows.transpose(0, 4, 1, 2, 3)  # (B, OH, C, K1, W)
    return rows.reshape(batch_size * output_height, -1)


def _output_rows(grads: np.ndarray) -> np.ndarray:
    """Returns gradients with respect to the outputs with a row of all channels in one row."""
    batch_size, num_channels, height, width = grads.shape
    rows = grads.transpose(0, 2, 1, 3)  # (B, OH, O, OW)
    return rows.reshape(batch_size * height, num_channels * width)


def _banded_matrix(kernels: np.ndarray, width: int) -> np.ndarray:
    """Returns the weights that convolve rows of `width` pixels: (O * OW, C * K1 * W)."""
    num_output_channels, num_input_channels, kernel_height, kernel_width = kernels.shape
    output_width = width - kernel_width + 1
    matrix = np.zeros(
        (num_output_channels, output_width, num_input_channels, kernel_height, width),
        kernels.dtype,
    )
    for q in range(kernel_width):
        _diagonals(matrix, q)[...] = _flipped(kernels)[:, :, :, q, None]
    return matrix.reshape(num_output_channels * output_width, -1)


def _diagonals(matrix: np.ndarray, q: int) -> np.ndarray:
    """Returns a view of where a banded matrix holds column q of the flipped kernels.

    Output pixel j is made of input pixels j + q, so that is at (j, j + q), for every j.

    Args:
        matrix: Shape (O, OW, C, K1, W).
        q: Column of the flipped kernels.

    Returns:
        Shape (O, C, K1, OW).
    """
    output_width = matrix.shape[1]
    return np.einsum("ojcpj->ocpj", matrix[..., q : q + output_width])


# ---- "direct": shifted images, compiled ------------------------------------------------------


def _direct_convolve(inputs: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    outputs = np.empty(_output_shape(inputs, kernels), inputs.dtype)
    num_output_channels, _, *kernel_size = kernels.shape
    weights = _flipped(kernels).reshape(num_output_channels, -1)  # (O, C * K1 * K2)
    for block in _batch_blocks(inputs, outputs):
        images = _batch_last(inputs[block])  # (C, H, W * b)
        outputs[block] = _direct_block(images, weights, kernel_size, outputs[block].shape)
    return outputs


def _direct_grad_inputs(kernels: np.ndarray, grads: np.ndarray) -> np.ndarray:
    """Convolves the gradients, in a frame of zeros, with the kernels rotated by 180 degrees.

    So a kernel that is not finite makes NaN of all pixels near the edge, as in "loop".
    """
    grads_wrt_inputs = np.empty(_input_shape(kernels, grads), grads.dtype)
    _, num_output_channels, output_height, output_width = grads.shape
    _, num_input_channels, kernel_height, kernel_width = kernels.shape
    top, left = kernel_height - 1, kernel_width - 1
    weights = kernels.transpose(1, 0, 2, 3).reshape(num_input_channels, -1)  # (C, O * K1 * K2)
    for block in _batch_blocks(grads, grads_wrt_inputs):
        size = len(grads[block])
        framed = np.zeros(
            (num_output_channels, output_height + 2 * top, output_width + 2 * left, size),
            grads.dtype,
        )
        inside = framed[:, top : top + output_height, left : left + output_width]
        inside[...] = grads[block].transpose(1, 2, 3, 0)  # (O, OH, OW, b)
        grads_wrt_inputs[block] = _direct_block(
            framed.reshape(*framed.shape[:2], -1),
            weights,
            (kernel_height, kernel_width),
            grads_wrt_inputs[block].shape,
        )
    return grads_wrt_inputs


def _direct_grad_kernels(inputs: np.ndarray, grads: np.ndarray) -> np.ndarray:
    kernels_shape = _kernels_shape(inputs, grads)
    grads_wrt_weights = np.zeros(kernels_shape, inputs.dtype).reshape(len(grads[0]), -1)
    for block in _batch_blocks(inputs, grads):
        images = _batch_last(inputs[block])  # (C, H, W * b)
        starts = _tap_starts(images, len(inputs[block]), kernels_shape[2:])
        loops.correlate_grads(images, starts, _batch_last(grads[block]), grads_wrt_weights)
    return np.ascontiguousarray(_flipped(grads_wrt_weights.reshape(kernels_shape)))


def _direct_block(
    images: np.ndarray,
    weights: np.ndarray,
    kernel_size: tuple[int, int],
    output_shape: tuple[int, int, int, int],
) -> np.ndarray:
    """Returns a view of outputs (b, O, OH, OW) of images (C, H, W * b)."""
    batch_size, num_output_channels, output_height, output_width = output_shape
    sums = np.empty((num_output_channels, output_height, output_width * batch_size), images.dtype)
    loops.correlate(images, _tap_starts(images, batch_size, kernel_size), weights, sums)
    return sums.reshape(*sums.shape[:2], output_width, batch_size).transpose(3, 0, 1, 2)


def _batch_last(images: np.ndarray) -> np.ndarray:
    """Returns a copy of images (b, C, H, W) as (C, H, W * b).

    A row of the output is then one run of numbers in memory, for each image beside the same pixel
    of the others, and a shift by a pixel is one by b numbers: no run ends where a row ends.
    """
    return images.transpose(1, 2, 3, 0).copy().reshape(*images.shape[1:3], -1)


def _batch_blocks(*arrays: np.ndarray) -> Iterator[slice]:
    """Yields parts of the batch, about equal, of which all arrays together take `DIRECT_BLOCK`.

    Of more, the copies with the batch last leave the cache: a batch of 8 maps of 24 x 24 takes
    three times as long to copy at once. But rows of fewer than `DIRECT_IMAGES` are too short.
    """
    batch_size = len(arrays[0])
    num_blocks = -(-sum(array.nbytes for array in arrays) // DIRECT_BLOCK)
    size = max(DIRECT_IMAGES, -(-batch_size // num_blocks))
    for start in range(0, batch_size, size):
        yield slice(start, start + size)


def _tap_starts(images: np.ndarray, batch_size: int, kernel_size: tuple[int, int]) -> np.ndarray:
    """Returns where in flat images (C, H, W * b) each tap begins: (C * K1 * K2,)."""
    num_channels, height, row = images.shape
    kernel_height, kernel_width = kernel_size
    starts = np.arange(0, images.size, batch_size).reshape(num_channels, height, row // batch_size)
    return starts[:, :kernel_height, :kernel_width].ravel()


# ---- "channels_last": a matrix of patches, compiled ------------------------------------------


def _channels_last_convolve(inputs: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    output_shape = _output_shape(inputs, kernels)
    outputs = np.empty(output_shape, inputs.dtype)
    weights = _flipped(kernels).transpose(2, 3, 1, 0)  # (K1, K2, C, O)
    weights = weights.reshape(-1, len(kernels))  # (K1 * K2 * C, O)
    for block, matrices in _unfold(inputs, output_shape):
        pixels = matrices @ weights  # (block, OH * OW, O)
        pixels = pixels.reshape(len(matrices), *output_shape[2:], -1)
        outputs[block] = pixels.transpose(0, 3, 1, 2)
    return outputs


def _channels_last_grad_inputs(kernels: np.ndarray, grads: np.ndarray) -> np.ndarray:
    grads_wrt_inputs = np.empty(_input_shape(kernels, grads), grads.dtype)
    _, num_channels, height, width = grads_wrt_inputs.shape
    weights = _flipped(kernels).transpose(0, 2, 3, 1)  # (O, K1, K2, C)
    weights = weights.reshape(len(kernels), -1)  # (O, K1 * K2 * C)
    for block, patches, matrices in _patches(grads_wrt_inputs.shape, grads.shape, grads.dtype):
        pixels = grads[block].reshape(len(patches), len(kernels), -1)  # (block, O, OH * OW)
        np.matmul(pixels.transpose(0, 2, 1), weights, out=matrices)
        rows = np.zeros((len(patches), height, width * num_channels), grads.dtype)
        loops.fold(patches, num_channels, rows)
        rows = rows.reshape(len(patches), height, width, num_channels)
        grads_wrt_inputs[block] = rows.transpose(0, 3, 1, 2)
    return grads_wrt_inputs


def _channels_last_grad_kernels(inputs: np.ndarray, grads: np.ndarray) -> np.ndarray:
    num_output_channels, num_input_channels, *kernel_size = _kernels_shape(inputs, grads)
    grads_wrt_weights = sum(
        (grads[block].reshape(len(matrices), num_output_channels, -1) @ matrices).sum(axis=0)
        for block, matrices in _unfold(inputs, grads.shape)
    )  # (O, K1 * K2 * C)
    grads_wrt_kernels = grads_wrt_weights.reshape(
        num_output_channels, *kernel_size, num_input_channels
    )
    return np.ascontiguousarray(_flipped(grads_wrt_kernels.transpose(0, 3, 1, 2)))


def _unfold(
    images: np.ndarray, output_shape: tuple[int, int, int, int]
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields each block of images (B, C, H, W) with its patches, (block, OH * OW, K1 * K2 * C).

    Side by side lie the channels of a pixel, and so the K2 * C numbers in a row of a patch: long
    runs to copy where there are many channels.
    """
    _, num_channels, height, _ = images.shape
    for block, patches, matrices in _patches(images.shape, output_shape, images.dtype):
        rows = images[block].transpose(0, 2, 3, 1).copy()  # (block, H, W, C)
        loops.unfold(rows.reshape(len(rows), height, -1), num_channels, patches)
        yield block, matrices


def _patches(
    input_shape: tuple[int, int, int, int],
    output_shape: tuple[int, int, int, int],
    dtype: np.dtype,
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yields blocks of a batch with memory for their patches, always the same, in two shapes.

    They are (block, OH, OW, K1, K2 * C) and (block, OH * OW, K1 * K2 * C).
    """
    batch_size, num_channels, height, width = input_shape
    _, _, output_height, output_width = output_shape
    kernel_height, kernel_width = height - output_height + 1, width - output_width + 1
    shape = output_height, output_width, kernel_height, kernel_width * num_channels
    block_size = CHANNELS_LAST_BLOCK // (math.prod(shape) * dtype.itemsize)
    block_size = min(max(1, block_size), batch_size)
    memory = np.empty((block_size, *shape), dtype)
    for start in range(0, batch_size, block_size):
        patches = memory[: batch_size - start]
        matrices = patches.reshape(len(patches), output_height * output_width, -1)
        yield slice(start, start + block_size), patches, matrices


# ---- the choice ------------------------------------------------------------------------------


class Method(NamedTuple):
    """The three operations by one method; each takes arrays that fit, of one dtype."""

    convolve: Callable[[np.ndarray, np.ndarray], np.ndarray]
    grad_inputs: Callable[[np.ndarray, np.ndarray], np.ndarray]
    grad_kernels: Callable[[np.ndarray, np.ndarray], np.ndarray]


METHODS = {
    "loop": Method(_loop_convolve, _loop_grad_inputs, _loop_grad_kernels),
    "im2col": Method(_im2col_convolve, _im2col_grad_inputs, _im2col_grad_kernels),
    "toeplitz": Method(_toeplitz_convolve, _toeplitz_grad_inputs, _toeplitz_grad_kernels),
    "direct": Method(_direct_convolve, _direct_grad_inputs, _direct_grad_kernels),
    "channels_last": Method(
        _channels_last_convolve, _channels_last_grad_inputs, _channels_last_grad_kernels
    ),
}
"""The methods by name, each a named tuple `(convolve, grad_inputs, grad_kernels)`."""


COMPILED = frozenset({"direct", "channels_last"})
"""The methods that need Numba, and take float32 and float64 only."""


def choose_method(
    width: int, kernels_shape: tuple[int, int, int, int], compiled: bool | None = None
) -> str:
    """Returns the name of the method that is fastest, or nearly, for arrays of these shapes.

    Where loops are compiled, "direct" wins with up to 4 output channels. With more, the product of
    matrices wins, and of its two ways to copy patches the one with the longer runs: OW numbers for
    "im2col", K2 * C for "channels_last".

    Elsewhere, compares what "im2col" and "toeplitz" do for one row of the output, one input channel
    and one row of the kernel, since batch size, height and the number of those are factors of both.
    The unit of time is that of copying one number of a row. Fitted to measurements: 128
    multiplications take as long; a number of a patch, which stays in the cache, takes a fifth of
    it, and each run of them as much as 16 more.

    `benchmarks/convolution.py` prints what all methods take and which is chosen.

    Args:
        width: Width of the inputs in pixels.
        kernels_shape: (num_output_channels, num_input_channels, kernel_height, kernel_width).
        compiled: Whether to choose among the compiled methods too; None: where they are.
    """
    num_output_channels, num_input_channels, _, kernel_width = kernels_shape
    output_width = width - kernel_width + 1
    if numba_loops.enabled() if compiled is None else compiled:
        if num_output_channels <= 4:
            return "direct"
        return "channels_last" if kernel_width * num_input_channels > output_width else "im2col"
    multiplying = num_output_channels * output_width / 128
    toeplitz = width * (1 + multiplying)
    im2col = kernel_width * ((output_width + 16) / 5 + multiplying)
    return "toeplitz" if toeplitz <= im2col else "im2col"


def _find_method(
    name: str | None, width: int, kernels_shape: tuple[int, int, int, int], dtype: np.dtype
) -> Method:
    compiled = numba_loops.enabled() and dtype in (np.float32, np.float64)
    if name is None:
        name = choose_method(width, kernels_shape, compiled)
    elif checks.one_of("method", name, METHODS) in COMPILED and not compiled:
        raise ValueError(
            f"method {name!r} needs compiled kernels (Numba, extra 'fast', not switched off by "
            f"{numba_loops.SWITCH}) and float32 or float64, got {dtype}"
        )
    return METHODS[name]
