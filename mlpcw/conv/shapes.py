"""Shapes of convolutions: which fit together, and which come out.

In the comments of this package B is batch_size, C and O the numbers of input and output channels,
H and W height and width of the inputs, K1 and K2 those of the kernels, OH = H - K1 + 1 and
OW = W - K2 + 1 those of the outputs.
"""

import numpy as np


def as_floats(**arrays: np.ndarray) -> list[np.ndarray]:
    """Converts the named arrays to their common floating-point dtype; all must have four axes.

    Two float32 arrays stay float32; float32 images and float64 kernels both become float64.
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


def check_fits(name: str, array: np.ndarray, inputs: np.ndarray) -> None:
    """Refuses kernels, or gradients with respect to outputs, that are larger than the inputs."""
    (height, width), (input_height, input_width) = array.shape[2:], inputs.shape[2:]
    if height > input_height or width > input_width:
        raise ValueError(
            f"{name} must be at most as high and as wide as inputs, {input_height} x "
            f"{input_width}, got shapes {array.shape} and {inputs.shape}"
        )


def output_shape(inputs: np.ndarray, kernels: np.ndarray) -> tuple[int, int, int, int]:
    """Returns (B, O, OH, OW)."""
    batch_size, _, height, width = inputs.shape
    num_output_channels, _, kernel_height, kernel_width = kernels.shape
    return batch_size, num_output_channels, height - kernel_height + 1, width - kernel_width + 1


def input_shape(kernels: np.ndarray, grads: np.ndarray) -> tuple[int, int, int, int]:
    """Returns (B, C, H, W)."""
    _, num_input_channels, kernel_height, kernel_width = kernels.shape
    batch_size, _, output_height, output_width = grads.shape
    height, width = output_height + kernel_height - 1, output_width + kernel_width - 1
    return batch_size, num_input_channels, height, width


def kernels_shape(inputs: np.ndarray, grads: np.ndarray) -> tuple[int, int, int, int]:
    """Returns (O, C, K1, K2)."""
    _, num_input_channels, height, width = inputs.shape
    _, num_output_channels, output_height, output_width = grads.shape
    kernel_height, kernel_width = height - output_height + 1, width - output_width + 1
    return num_output_channels, num_input_channels, kernel_height, kernel_width


def flipped(kernels: np.ndarray) -> np.ndarray:
    """Returns a view of kernels rotated by 180 degrees."""
    return kernels[:, :, ::-1, ::-1]
