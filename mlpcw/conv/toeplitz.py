"""Convolution of whole rows by a banded (Toeplitz) matrix.

Only the rows under each row of the output are copied, and the kernels are written as one banded
matrix. That multiplies by many zeros, but copies far less than "im2col".
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mlpcw.conv import shapes
from mlpcw.conv.im2col import short_buffers


def convolve(inputs: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    num_images, num_channels, height, width = shapes.output_shape(inputs, kernels)
    matrix = _banded_matrix(kernels, width=inputs.shape[3])
    outputs = _rows(inputs, height) @ matrix.T  # (B * OH, O * OW)
    outputs = outputs.reshape(num_images, height, num_channels, width)
    return np.ascontiguousarray(outputs.transpose(0, 2, 1, 3))  # (B, O, OH, OW)


def grad_inputs(kernels: np.ndarray, grads: np.ndarray) -> np.ndarray:
    batch_size, num_input_channels, height, width = shapes.input_shape(kernels, grads)
    output_height, kernel_height = grads.shape[2], kernels.shape[2]
    rows = _output_rows(grads) @ _banded_matrix(kernels, width)  # (B * OH, C * K1 * W)
    rows = rows.reshape(batch_size, output_height, num_input_channels, kernel_height, width)
    rows = rows.transpose(0, 2, 3, 1, 4)  # (B, C, K1, OH, W)
    grads_wrt_inputs = np.zeros((batch_size, num_input_channels, height, width), grads.dtype)
    with short_buffers():
        for p in range(kernel_height):
            grads_wrt_inputs[:, :, p : p + output_height] += rows[:, :, p]
    return grads_wrt_inputs


def grad_kernels(inputs: np.ndarray, grads: np.ndarray) -> np.ndarray:
    kernels_shape = shapes.kernels_shape(inputs, grads)
    num_output_channels, num_input_channels, kernel_height, kernel_width = kernels_shape
    _, _, output_height, output_width = grads.shape
    matrix = _output_rows(grads).T @ _rows(inputs, output_height)  # (O * OW, C * K1 * W)
    matrix = matrix.reshape(
        num_output_channels, output_width, num_input_channels, kernel_height, -1
    )
    grads_wrt_kernels = np.empty(kernels_shape, inputs.dtype)
    for q in range(kernel_width):
        shapes.flipped(grads_wrt_kernels)[:, :, :, q] = _diagonals(matrix, q).sum(axis=-1)
    return grads_wrt_kernels


def _rows(inputs: np.ndarray, output_height: int) -> np.ndarray:
    """Copies the K1 rows under each row of the output into one: (B * OH, C * K1 * W).

    For one channel they are contiguous already, so the copy is of long runs.
    """
    batch_size = len(inputs)
    rows = sliding_window_view(inputs, output_height, axis=2)  # (B, C, K1, W, OH)
    rows = rows.transpose(0, 4, 1, 2, 3)  # (B, OH, C, K1, W)
    return rows.reshape(batch_size * output_height, -1)


def _output_rows(grads: np.ndarray) -> np.ndarray:
    """Puts a row of all output channels into one row: (B * OH, O * OW)."""
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
        _diagonals(matrix, q)[...] = shapes.flipped(kernels)[:, :, :, q, None]
    return matrix.reshape(num_output_channels * output_width, -1)


def _diagonals(matrix: np.ndarray, q: int) -> np.ndarray:
    """Returns a view of a banded matrix (O, OW, C, K1, W) along a diagonal: (O, C, K1, OW).

    There, at (j, j + q) for every j, stands column q of the flipped kernels: output pixel j is a
    sum over input pixels j + q.
    """
    output_width = matrix.shape[1]
    return np.einsum("ojcpj->ocpj", matrix[..., q : q + output_width])
