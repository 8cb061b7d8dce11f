"""Two-dimensional convolution and its two gradients, as pure functions.

A convolutional layer slides small kernels over images. This module holds the three operations that
it needs, the outputs (`convolve`) and the gradients with respect to its inputs (`grad_inputs`) and
to its kernels (`grad_kernels`), each in three ways that give the same numbers:

* "loop" is the report's own algorithm (Part 3), a triple loop over `scipy.signal.convolve2d`. It is
  slow, and it is the one to read first.
* "im2col" copies the patch of the image under each output pixel into a matrix, so that the whole
  convolution is one product of matrices (Chellapilla, Puri and Simard 2006).
* "toeplitz" copies only the rows under each row of the output, and writes each kernel as a banded
  (Toeplitz) matrix. That multiplies by many zeros but copies far less: best for few channels.

Convolutions are 'valid', with stride 1, and true convolutions: the kernels are flipped. With
channels c, output channels o and kernels of K1 x K2,

    outputs[b, o, i, j] = sum over c, a, d of kernels[o, c, a, d] inputs[b, c, i+K1-1-a, j+K2-1-d]

Everywhere inputs are (batch_size, num_input_channels, height, width), kernels are
(num_output_channels, num_input_channels, kernel_height, kernel_width), and outputs, and gradients
with respect to them, are (batch_size, num_output_channels, height - kernel_height + 1,
width - kernel_width + 1). Biases are the layer's business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

# ---- the three operations --------------------------------------------------------------------


def convolve(inputs: np.ndarray, kernels: np.ndarray, method: str | None = None) -> np.ndarray:
    """Convolves each image with each kernel and sums over the input channels.

    Args:
        inputs: Shape (batch_size, num_input_channels, height, width).
        kernels: Shape (num_output_channels, num_input_channels, kernel_height, kernel_width).
        method: A name in `METHODS`; None means what `choose_method` says.

    Returns:
        Outputs, shape (batch_size, num_output_channels, output_height, output_width).

    Raises:
        ValueError: If the shapes do not fit each other, or the method is unknown.
    """
    inputs, kernels = _as_floats(inputs, kernels)
    _check_four("inputs", inputs)
    _check_four("kernels", kernels)
    _check_channels("inputs", inputs, 1, "kernels", kernels, 1, "input")
    _check_fits("kernels", kernels, "inputs", inputs)
    return _get_method(method, inputs.shape, kernels.shape).convolve(inputs, kernels)


def grad_inputs(
    kernels: np.ndarray, grads_wrt_outputs: np.ndarray, method: str | None = None
) -> np.ndarray:
    """Propagates gradients with respect to the outputs back to the inputs.

    Args:
        kernels: Shape (num_output_channels, num_input_channels, kernel_height, kernel_width).
        grads_wrt_outputs: Shape (batch_size, num_output_channels, output_height, output_width).
        method: A name in `METHODS`; None means what `choose_method` says.

    Returns:
        Gradients with respect to the inputs, shape
        (batch_size, num_input_channels, height, width).

    Raises:
        ValueError: If the shapes do not fit each other, or the method is unknown.
    """
    kernels, grads = _as_floats(kernels, grads_wrt_outputs)
    _check_four("kernels", kernels)
    _check_four("grads_wrt_outputs", grads)
    _check_channels("grads_wrt_outputs", grads, 1, "kernels", kernels, 0, "output")
    batch_size, _, output_height, output_width = grads.shape
    _, num_input_channels, kernel_height, kernel_width = kernels.shape
    inputs_shape = (
        batch_size,
        num_input_channels,
        output_height + kernel_height - 1,
        output_width + kernel_width - 1,
    )
    return _get_method(method, inputs_shape, kernels.shape).grad_inputs(kernels, grads)


def grad_kernels(
    inputs: np.ndarray, grads_wrt_outputs: np.ndarray, method: str | None = None
) -> np.ndarray:
    """Sums over the batch the gradients with respect to the kernels.

    Args:
        inputs: Shape (batch_size, num_input_channels, height, width).
        grads_wrt_outputs: Shape (batch_size, num_output_channels, output_height, output_width).
        method: A name in `METHODS`; None means what `choose_method` says.

    Returns:
        Gradients with respect to the kernels, shape
        (num_output_channels, num_input_channels, kernel_height, kernel_width), where
        kernel_height is height - output_height + 1 and kernel_width likewise.

    Raises:
        ValueError: If the shapes do not fit each other, or the method is unknown.
    """
    inputs, grads = _as_floats(inputs, grads_wrt_outputs)
    _check_four("inputs", inputs)
    _check_four("grads_wrt_outputs", grads)
    if len(inputs) != len(grads):
        raise ValueError(
            "inputs and grads_wrt_outputs must have the same batch size, "
            f"got shapes {inputs.shape} and {grads.shape}"
        )
    _check_fits("grads_wrt_outputs", grads, "inputs", inputs)
    kernels_shape = (
        grads.shape[1],
        inputs.shape[1],
        inputs.shape[2] - grads.shape[2] + 1,
        inputs.shape[3] - grads.shape[3] + 1,
    )
    return _get_method(method, inputs.shape, kernels_shape).grad_kernels(inputs, grads)


def _as_floats(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns both arrays in their common floating-point type, at least float32.

    Two float32 arrays stay float32; images in float32 meet kernels in float64 in float64.
    """
    dtype = np.result_type(first, second, np.float32)
    return np.asarray(first, dtype), np.asarray(second, dtype)


def _check_four(name: str, array: np.ndarray) -> None:
    if array.ndim != 4:
        axes = (
            "(num_output_channels, num_input_channels, kernel_height, kernel_width)"
            if name == "kernels"
            else "(batch_size, num_channels, height, width)"
        )
        raise ValueError(f"{name} must have 4 dimensions, {axes}, got shape {array.shape}")


def _check_channels(
    name: str,
    array: np.ndarray,
    axis: int,
    other_name: str,
    other: np.ndarray,
    other_axis: int,
    kind: str,
) -> None:
    if array.shape[axis] != other.shape[other_axis]:
        raise ValueError(
            f"{name} of shape {array.shape} have {array.shape[axis]} {kind} channels, "
            f"but {other_name} of shape {other.shape} have {other.shape[other_axis]}"
        )


def _check_fits(name: str, array: np.ndarray, image_name: str, images: np.ndarray) -> None:
    if min(array.shape[2:]) < 1 or array.shape[2] > images.shape[2] or array.shape[3] > images.shape[3]:
        raise ValueError(
            f"the last two dimensions of {name} must be at least 1 and at most those of "
            f"{image_name}, got shapes {array.shape} and {images.shape}"
        )


# ---- "loop": the report's algorithm ----------------------------------------------------------


def _convolve2d() -> Callable[..., np.ndarray]:
    """Imports SciPy's convolution when it is first asked for: the import takes half a second."""
    from scipy.signal import convolve2d

    return convolve2d


def _loop_convolve(inputs: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    convolve2d = _convolve2d()
    batch_size, num_input_channels, height, width = inputs.shape
    num_output_channels, _, kernel_height, kernel_width = kernels.shape
    outputs = np.zeros(
        (batch_size, num_output_channels, height - kernel_height + 1, width - kernel_width + 1),
        inputs.dtype,
    )
    for b in range(batch_size):
        for o in range(num_output_channels):
            for c in range(num_input_channels):
                outputs[b, o] += convolve2d(inputs[b, c], kernels[o, c], mode="valid")
    return outputs


def _loop_grad_inputs(kernels: np.ndarray, grads: np.ndarray) -> np.ndarray:
    convolve2d = _convolve2d()
    batch_size, num_output_channels, output_height, output_width = grads.shape
    _, num_input_channels, kernel_height, kernel_width = kernels.shape
    height, width = output_height + kernel_height - 1, output_width + kernel_width - 1
    grads_wrt_inputs = np.zeros((batch_size, num_input_channels, height, width), grads.dtype)
    for b in range(batch_size):
        for c in range(num_input_channels):
            for o in range(num_output_channels):
                rotated_kernel = kernels[o, c, ::-1, ::-1]
                grads_wrt_inputs[b, c] += convolve2d(grads[b, o], rotated_kernel, mode="full")
    return grads_wrt_inputs


def _loop_grad_kernels(inputs: np.ndarray, grads: np.ndarray) -> np.ndarray:
    convolve2d = _convolve2d()
    batch_size, num_input_channels, height, width = inputs.shape
    _, num_output_channels, output_height, output_width = grads.shape
    kernel_height, kernel_width = height - output_height + 1, width - output_width + 1
    grads_wrt_kernels = np.zeros(
        (num_output_channels, num_input_channels, kernel_height, kernel_width), inputs.dtype
    )
    for b in range(batch_size):
        for c in range(num_input_channels):
            for o in range(num_output_channels):
                rotated_inputs = inputs[b, c, ::-1, ::-1]
                grads_wrt_kernels[o, c] += convolve2d(rotated_inputs, grads[b, o], mode="valid")
    return grads_wrt_kernels


# ---- "im2col": a matrix of patches -----------------------------------------------------------


def _im2col_convolve(inputs: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    patches, output_shape = _patches(inputs, kernels.shape[2], kernels.shape[3])
    outputs = _flipped(kernels).reshape(len(kernels), -1) @ patches  # (B, O, OH * OW)
    return outputs.reshape(len(inputs), len(kernels), *output_shape)  # (B, O, OH, OW)


def _im2col_grad_inputs(kernels: np.ndarray, grads: np.ndarray) -> np.ndarray:
    batch_size, num_output_channels, output_height, output_width = grads.shape
    _, num_input_channels, kernel_height, kernel_width = kernels.shape
    matrix = _flipped(kernels).reshape(num_output_channels, -1).T  # (C * K1 * K2, O)
    flat_grads = grads.reshape(batch_size, num_output_channels, -1)  # (B, O, OH * OW)
    patches = (matrix @ flat_grads).reshape(  # (B, C, K1, K2, OH, OW)
        batch_size, num_input_channels, kernel_height, kernel_width, output_height, output_width
    )
    height, width = output_height + kernel_height - 1, output_width + kernel_width - 1
    grads_wrt_inputs = np.zeros((batch_size, num_input_channels, height, width), grads.dtype)
    for a in range(kernel_height):
        for d in range(kernel_width):
            window = grads_wrt_inputs[:, :, a : a + output_height, d : d + output_width]
            window += patches[:, :, a, d]
    return grads_wrt_inputs


def _im2col_grad_kernels(inputs: np.ndarray, grads: np.ndarray) -> np.ndarray:
    batch_size, num_output_channels, output_height, output_width = grads.shape
    num_input_channels = inputs.shape[1]
    kernel_height = inputs.shape[2] - output_height + 1
    kernel_width = inputs.shape[3] - output_width + 1
    patches, _ = _patches(inputs, kernel_height, kernel_width)
    flat_grads = grads.reshape(batch_size, num_output_channels, -1)  # (B, O, OH * OW)
    flipped = (flat_grads @ patches.transpose(0, 2, 1)).sum(axis=0)  # (O, C * K1 * K2)
    return _flipped(
        flipped.reshape(num_output_channels, num_input_channels, kernel_height, kernel_width)
    )


def _patches(
    inputs: np.ndarray, kernel_height: int, kernel_width: int
) -> tuple[np.ndarray, tuple[int, int]]:
    """Returns (batch_size, C * K1 * K2, OH * OW) and (OH, OW)."""
    windows = sliding_window_view(inputs, (kernel_height, kernel_width), axis=(2, 3))
    batch_size, num_channels, output_height, output_width = windows.shape[:4]
    patches = windows.transpose(0, 1, 4, 5, 2, 3)  # (B, C, K1, K2, OH, OW)
    patches = patches.reshape(
        batch_size, num_channels * kernel_height * kernel_width, output_height * output_width
    )
    return patches, (output_height, output_width)


def _flipped(kernels: np.ndarray) -> np.ndarray:
    return kernels[:, :, ::-1, ::-1]


# ---- "toeplitz": rows times a banded matrix --------------------------------------------------


def _toeplitz_convolve(inputs: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    batch_size, _, height, width = inputs.shape
    num_output_channels, _, kernel_height, kernel_width = kernels.shape
    output_width = width - kernel_width + 1
    rows = _rows(inputs, kernel_height)
    outputs = rows @ _banded_matrix(kernels, width)  # (B * OH, O * OW)
    outputs = outputs.reshape(batch_size, -1, num_output_channels, output_width)  # B, OH, O, OW
    return np.ascontiguousarray(outputs.transpose(0, 2, 1, 3))  # (B, O, OH, OW)


def _toeplitz_grad_inputs(kernels: np.ndarray, grads: np.ndarray) -> np.ndarray:
    # A full correlation: a convolution of the gradients, in a frame of zeros, with the kernels
    # turned by 180 degrees and with their two kinds of channels exchanged.
    batch_size, num_output_channels, output_height, output_width = grads.shape
    top, left = kernels.shape[2] - 1, kernels.shape[3] - 1
    framed = np.zeros(
        (batch_size, num_output_channels, output_height + 2 * top, output_width + 2 * left),
        grads.dtype,
    )
    framed[:, :, top : top + output_height, left : left + output_width] = grads
    return _toeplitz_convolve(framed, _flipped(kernels).transpose(1, 0, 2, 3))


def _toeplitz_grad_kernels(inputs: np.ndarray, grads: np.ndarray) -> np.ndarray:
    batch_size, num_input_channels, height, width = inputs.shape
    _, num_output_channels, output_height, output_width = grads.shape
    kernel_height, kernel_width = height - output_height + 1, width - output_width + 1
    rows = _rows(inputs, kernel_height)
    grad_rows = grads.transpose(0, 2, 1, 3).reshape(len(rows), -1)  # (B * OH, O * OW)
    matrix = (rows.T @ grad_rows).reshape(  # gradient of the banded matrix: (C, K1, W, O, OW)
        num_input_channels, kernel_height, width, num_output_channels, output_width
    )
    # element d of a flipped kernel stands at (d + j, j) for every output column j
    c, a, w, o, j = matrix.strides
    diagonals = as_strided(
        matrix,
        (num_output_channels, num_input_channels, kernel_height, kernel_width, output_width),
        (o, c, a, w, w + j),
    )
    return _flipped(diagonals.sum(axis=-1))


def _rows(inputs: np.ndarray, kernel_height: int) -> np.ndarray:
    """Returns, for each row of the output, the rows under it: (B * OH, C * K1 * W)."""
    windows = sliding_window_view(inputs, kernel_height, axis=2)  # (B, C, OH, W, K1)
    batch_size, num_channels, output_height, width, _ = windows.shape
    rows = windows.transpose(0, 2, 1, 4, 3)  # (B, OH, C, K1, W)
    return rows.reshape(batch_size * output_height, num_channels * kernel_height * width)


def _banded_matrix(kernels: np.ndarray, width: int) -> np.ndarray:
    """Returns the matrix by which rows of `width` pixels are convolved: (C * K1 * W, O * OW)."""
    num_output_channels, num_input_channels, kernel_height, kernel_width = kernels.shape
    output_width = width - kernel_width + 1
    matrix = np.zeros(
        (num_input_channels, kernel_height, width, num_output_channels, output_width),
        kernels.dtype,
    )
    c, a, w, o, j = matrix.strides
    # a view of the band: element d of a flipped kernel at (d + j, j) for every output column j
    band = as_strided(
        matrix,
        (num_output_channels, num_input_channels, kernel_height, kernel_width, output_width),
        (o, c, a, w, w + j),
    )
    band[...] = _flipped(kernels)[..., None]
    return matrix.reshape(num_input_channels * kernel_height * width, -1)


# ---- the choice ------------------------------------------------------------------------------


class Method(NamedTuple):
    """The three operations, by one method."""

    convolve: Callable[[np.ndarray, np.ndarray], np.ndarray]
    grad_inputs: Callable[[np.ndarray, np.ndarray], np.ndarray]
    grad_kernels: Callable[[np.ndarray, np.ndarray], np.ndarray]


METHODS = {
    "loop": Method(_loop_convolve, _loop_grad_inputs, _loop_grad_kernels),
    "im2col": Method(_im2col_convolve, _im2col_grad_inputs, _im2col_grad_kernels),
    "toeplitz": Method(_toeplitz_convolve, _toeplitz_grad_inputs, _toeplitz_grad_kernels),
}


def choose_method(inputs_shape: tuple[int, ...], kernels_shape: tuple[int, ...]) -> str:
    """Returns the name of the fastest method for arrays of these shapes."""
    num_output_channels, num_input_channels = kernels_shape[:2]
    return "toeplitz" if num_output_channels * num_input_channels <= 8 else "im2col"


def _get_method(
    name: str | None, inputs_shape: tuple[int, ...], kernels_shape: tuple[int, ...]
) -> Method:
    if name is None:
        name = choose_method(inputs_shape, kernels_shape)
    if name not in METHODS:
        raise ValueError(f"method must be None or one of {', '.join(METHODS)}, got {name!r}")
    return METHODS[name]
