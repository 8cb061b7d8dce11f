"""The report's own algorithm (Part 3): a triple loop over `scipy.signal.convolve2d`.

It is slow, and it is the one to read first.
"""

import numpy as np

from mlpcw.conv import shapes


def convolve(inputs: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    from scipy.signal import convolve2d  # here, since importing it takes half a second

    outputs = np.zeros(shapes.output_shape(inputs, kernels), inputs.dtype)
    batch_size, num_output_channels = outputs.shape[:2]
    for b in range(batch_size):
        for o in range(num_output_channels):
            for c in range(inputs.shape[1]):
                outputs[b, o] += convolve2d(inputs[b, c], kernels[o, c], mode="valid")
    return outputs


def grad_inputs(kernels: np.ndarray, grads: np.ndarray) -> np.ndarray:
    from scipy.signal import convolve2d

    grads_wrt_inputs = np.zeros(shapes.input_shape(kernels, grads), grads.dtype)
    batch_size, num_input_channels = grads_wrt_inputs.shape[:2]
    for b in range(batch_size):
        for c in range(num_input_channels):
            for o in range(len(kernels)):
                rotated_kernel = kernels[o, c, ::-1, ::-1]
                grads_wrt_inputs[b, c] += convolve2d(grads[b, o], rotated_kernel, mode="full")
    return grads_wrt_inputs


def grad_kernels(inputs: np.ndarray, grads: np.ndarray) -> np.ndarray:
    from scipy.signal import convolve2d

    grads_wrt_kernels = np.zeros(shapes.kernels_shape(inputs, grads), inputs.dtype)
    num_output_channels, num_input_channels = grads_wrt_kernels.shape[:2]
    for b in range(len(inputs)):
        for c in range(num_input_channels):
            for o in range(num_output_channels):
                rotated_inputs = inputs[b, c, ::-1, ::-1]
                grads_wrt_kernels[o, c] += convolve2d(rotated_inputs, grads[b, o], mode="valid")
    return grads_wrt_kernels
