"""Two-dimensional convolution and its two gradients, as pure functions.

A convolutional layer slides small kernels over images. It needs three operations: the outputs
(`convolve`) and the gradients with respect to its inputs (`grad_inputs`) and to its kernels
(`grad_kernels`). Four methods compute them, and agree; each is a module with these three functions:

* "loop" is the report's own algorithm (Part 3), a triple loop over `scipy.signal.convolve2d`. It is
  slow, and it is the one to read first.
* "im2col" copies the patch of the image under each output pixel into a column of a matrix, so that
  the convolution is a product of matrices (Chellapilla, Puri and Simard 2006).
* "toeplitz" copies only the rows under each row of the output, and writes the kernels as one banded
  (Toeplitz) matrix. It multiplies by many zeros, but copies far less.
* "direct" adds up shifted images, each times one number of a kernel, in a loop compiled by Numba.
  It copies no patches.

Convolutions are 'valid', with stride 1, and true convolutions: the kernels are flipped. With output
channels o, input channels c and kernels of kernel_height K1 and kernel_width K2,

    outputs[b, o, i, j] = sum over c, p, q of
        kernels[o, c, K1 - 1 - p, K2 - 1 - q] * inputs[b, c, i + p, j + q]

The layer adds the biases.
"""

from types import ModuleType

import numpy as np

from mlpcw import checks
from mlpcw import compiled as numba_loops
from mlpcw.conv import direct, im2col, loop, shapes, toeplitz

METHODS = {"loop": loop, "im2col": im2col, "toeplitz": toeplitz, "direct": direct}
"""The methods by name, each a module with `convolve`, `grad_inputs` and `grad_kernels`.

These take arrays that fit, of one floating-point dtype.
"""

COMPILED = frozenset({"direct"})
"""The methods that need Numba, and take float32 and float64 only."""


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
        ValueError: If the shapes do not fit each other, or the method is unknown or unavailable
            (no Numba).
    """
    inputs, kernels = shapes.as_floats(inputs=inputs, kernels=kernels)
    if inputs.shape[1] != kernels.shape[1]:
        raise ValueError(
            "inputs and kernels must have the same number of input channels (axis 1 of both), "
            f"got shapes {inputs.shape} and {kernels.shape}"
        )
    shapes.check_fits("kernels", kernels, inputs)
    method = _find_method(method, inputs.shape[3], kernels.shape, inputs.dtype)
    return method.convolve(inputs, kernels)


def grad_inputs(
    kernels: np.ndarray, grads_wrt_outputs: np.ndarray, method: str | None = None
) -> np.ndarray:
    """Propagates gradients with respect to the outputs back to the inputs.

    Args:
        kernels, method: As for `convolve`.
        grads_wrt_outputs: Shape (batch_size, num_output_channels, output_height, output_width).

    Returns:
        Gradients with respect to the inputs, shape (batch_size, num_input_channels,
        output_height + kernel_height - 1, output_width + kernel_width - 1).

    Raises:
        ValueError: As `convolve`.
    """
    kernels, grads = shapes.as_floats(kernels=kernels, grads_wrt_outputs=grads_wrt_outputs)
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
        inputs, method: As for `convolve`.
        grads_wrt_outputs: As for `grad_inputs`.

    Returns:
        Gradients with respect to the kernels, shape (num_output_channels, num_input_channels,
        height - output_height + 1, width - output_width + 1).

    Raises:
        ValueError: As `convolve`.
    """
    inputs, grads = shapes.as_floats(inputs=inputs, grads_wrt_outputs=grads_wrt_outputs)
    if len(inputs) != len(grads):
        raise ValueError(
            "inputs and grads_wrt_outputs must have the same batch size (axis 0 of both), "
            f"got shapes {inputs.shape} and {grads.shape}"
        )
    shapes.check_fits("grads_wrt_outputs", grads, inputs)
    kernels_shape = shapes.kernels_shape(inputs, grads)
    method = _find_method(method, inputs.shape[3], kernels_shape, inputs.dtype)
    return method.grad_kernels(inputs, grads)


def choose_method(
    width: int, kernels_shape: tuple[int, int, int, int], compiled: bool | None = None
) -> str:
    """Returns the name of the method that is fastest, or nearly, for arrays of these shapes.

    Compares what a method does for one row of the output, one input channel and one row of the
    kernel, since batch size, height and the number of those are factors of all. The unit of time
    is that of copying one number of a row. Fitted to measurements: 128 multiplications in a product
    of matrices take as long, or 20 in the compiled loop of "direct"; a number of a patch, which
    stays in the cache, takes a fifth of it, and each run of them as much as 16 more.

    `benchmarks/convolution.py` prints what all methods take and which is chosen.

    Args:
        width: Width of the inputs in pixels.
        kernels_shape: (num_output_channels, num_input_channels, kernel_height, kernel_width).
        compiled: Whether to choose among the compiled methods too; None: if Numba is there.
    """
    num_output_channels, _, _, kernel_width = kernels_shape
    output_width = width - kernel_width + 1
    multiplications = num_output_channels * output_width
    of_patches = kernel_width * ((output_width + 16) / 5 + multiplications / 128)
    if numba_loops.enabled() if compiled is None else compiled:
        return "direct" if kernel_width * multiplications / 20 <= of_patches else "im2col"
    of_rows = width * (1 + multiplications / 128)
    return "toeplitz" if of_rows <= of_patches else "im2col"


def _find_method(
    name: str | None, width: int, kernels_shape: tuple[int, int, int, int], dtype: np.dtype
) -> ModuleType:
    compiled = numba_loops.enabled() and dtype in (np.float32, np.float64)
    if name is None:
        name = choose_method(width, kernels_shape, compiled)
    elif checks.one_of("method", name, METHODS) in COMPILED and not compiled:
        raise ValueError(
            f"method {name!r} needs compiled kernels (Numba, extra 'fast', not switched off by "
            f"{numba_loops.SWITCH}) and float32 or float64, got {dtype}"
        )
    return METHODS[name]
