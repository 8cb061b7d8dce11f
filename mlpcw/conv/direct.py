"""Convolution as a sum of shifted images, each times one number of a kernel: compiled loops.

No patches are copied. The batch is the last axis here, (C, H, W * batch_size): a row of the output
is then one contiguous run for all images, and a shift by a pixel is one by batch_size numbers.
"""

from collections.abc import Iterator

import numpy as np

from mlpcw.compiled import kernel
from mlpcw.conv import shapes

BLOCK, MIN_IMAGES = 2**20, 32
"""Bytes that are copied at once, and the fewest images."""

# Terms of a sum may be added in any order, so that the compiler can vectorise it.
ANY_ORDER = {"reassoc", "contract"}


def convolve(inputs: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    outputs = np.empty(shapes.output_shape(inputs, kernels), inputs.dtype)
    num_output_channels, _, *kernel_size = kernels.shape
    weights = shapes.flipped(kernels).reshape(num_output_channels, -1)  # (O, C * K1 * K2)
    for block in _batch_blocks(inputs, outputs):
        images = _batch_last(inputs[block])  # (C, H, W * b)
        outputs[block] = _correlated(images, weights, kernel_size, outputs[block].shape)
    return outputs


def grad_inputs(kernels: np.ndarray, grads: np.ndarray) -> np.ndarray:
    """Convolves the gradients, in a frame of zeros, with the kernels rotated by 180 degrees.

    A kernel that is not finite therefore makes all pixels near the edge NaN, as in "loop".
    """
    grads_wrt_inputs = np.empty(shapes.input_shape(kernels, grads), grads.dtype)
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
        grads_wrt_inputs[block] = _correlated(
            framed.reshape(*framed.shape[:2], -1),
            weights,
            (kernel_height, kernel_width),
            grads_wrt_inputs[block].shape,
        )
    return grads_wrt_inputs


def grad_kernels(inputs: np.ndarray, grads: np.ndarray) -> np.ndarray:
    kernels_shape = shapes.kernels_shape(inputs, grads)
    grads_wrt_weights = np.zeros(kernels_shape, inputs.dtype).reshape(len(grads[0]), -1)
    for block in _batch_blocks(inputs, grads):
        images = _batch_last(inputs[block])  # (C, H, W * b)
        starts = _tap_starts(images, len(inputs[block]), kernels_shape[2:])
        correlate_grads(images, starts, _batch_last(grads[block]), grads_wrt_weights)
    return np.ascontiguousarray(shapes.flipped(grads_wrt_weights.reshape(kernels_shape)))


def _correlated(
    images: np.ndarray,
    weights: np.ndarray,
    kernel_size: tuple[int, int],
    output_shape: tuple[int, int, int, int],
) -> np.ndarray:
    """Returns a view of outputs (b, O, OH, OW) of images (C, H, W * b)."""
    batch_size, num_output_channels, output_height, output_width = output_shape
    sums = np.empty((num_output_channels, output_height, output_width * batch_size), images.dtype)
    correlate(images, _tap_starts(images, batch_size, kernel_size), weights, sums)
    return sums.reshape(*sums.shape[:2], output_width, batch_size).transpose(3, 0, 1, 2)


def _batch_last(images: np.ndarray) -> np.ndarray:
    """Returns a copy of images (b, C, H, W) as (C, H, W * b)."""
    return images.transpose(1, 2, 3, 0).copy().reshape(*images.shape[1:3], -1)


def _batch_blocks(*arrays: np.ndarray) -> Iterator[slice]:
    """Yields about equal parts of the batch, in which all arrays together take `BLOCK`.

    Larger copies leave the cache: a batch of 8 maps of 24 x 24 takes three times as long to copy
    at once. Rows of fewer than `MIN_IMAGES` are too short.
    """
    batch_size = len(arrays[0])
    num_blocks = -(-sum(array.nbytes for array in arrays) // BLOCK)
    size = max(MIN_IMAGES, -(-batch_size // num_blocks))
    for start in range(0, batch_size, size):
        yield slice(start, start + size)


def _tap_starts(images: np.ndarray, batch_size: int, kernel_size: tuple[int, int]) -> np.ndarray:
    """Returns the index in flat images (C, H, W * b) where each tap begins: (C * K1 * K2,)."""
    num_channels, height, row = images.shape
    kernel_height, kernel_width = kernel_size
    starts = np.arange(0, images.size, batch_size).reshape(num_channels, height, row // batch_size)
    return starts[:, :kernel_height, :kernel_width].ravel()


@kernel(fastmath=ANY_ORDER)
def correlate(
    images: np.ndarray, starts: np.ndarray, weights: np.ndarray, sums: np.ndarray
) -> None:
    """Fills `sums` with weighted sums of shifted images; a tap is a weight and its shift.

    Eight taps a pass over a row of the output take half the time of one tap a pass: there is less
    to load and store. One channel to one, 5 x 5 to 15 x 15, this is 2.5 to 3 times as fast as the
    best NumPy method (`benchmarks/convolution.py`).

    Args:
        images: (C, H, W * batch_size).
        starts: Index in the flat images where each tap begins, for the first row of the output:
            (num_taps,). No tap may reach beyond the last row of its channel.
        weights: (O, num_taps).
        sums: (O, OH, OW * batch_size).
    """
    num_output_channels, output_height, length = sums.shape
    num_taps, row = len(starts), images.shape[2]
    pixels = images.ravel()
    for i in range(output_height):
        for o in range(num_output_channels):
            total, w = sums[o, i], weights[o]
            total[:] = 0
            for t in range(0, num_taps - 7, 8):
                a = pixels[starts[t] + i * row :][:length]
                b = pixels[starts[t + 1] + i * row :][:length]
                c = pixels[starts[t + 2] + i * row :][:length]
                d = pixels[starts[t + 3] + i * row :][:length]
                e = pixels[starts[t + 4] + i * row :][:length]
                f = pixels[starts[t + 5] + i * row :][:length]
                g = pixels[starts[t + 6] + i * row :][:length]
                h = pixels[starts[t + 7] + i * row :][:length]
                wa, wb, wc, wd = w[t], w[t + 1], w[t + 2], w[t + 3]
                we, wf, wg, wh = w[t + 4], w[t + 5], w[t + 6], w[t + 7]
                for n in range(length):
                    total[n] += (wa * a[n] + wb * b[n] + wc * c[n] + wd * d[n]) + (
                        we * e[n] + wf * f[n] + wg * g[n] + wh * h[n]
                    )
            for t in range(num_taps - num_taps % 8, num_taps):
                a, wa = pixels[starts[t] + i * row :][:length], w[t]
                for n in range(length):
                    total[n] += wa * a[n]


@kernel(fastmath=ANY_ORDER)
def correlate_grads(
    images: np.ndarray, starts: np.ndarray, grads: np.ndarray, grads_wrt_weights: np.ndarray
) -> None:
    """Adds to the gradients with respect to the weights of `correlate`, (O, num_taps).

    Args:
        images, starts: As for `correlate`.
        grads: Gradients with respect to `sums`, of their shape.
    """
    num_output_channels, output_height, length = grads.shape
    num_taps, row = len(starts), images.shape[2]
    pixels = images.ravel()
    for i in range(output_height):
        for o in range(num_output_channels):
            grad, total = grads[o, i], grads_wrt_weights[o]
            for t in range(0, num_taps - 7, 8):
                a = pixels[starts[t] + i * row :][:length]
                b = pixels[starts[t + 1] + i * row :][:length]
                c = pixels[starts[t + 2] + i * row :][:length]
                d = pixels[starts[t + 3] + i * row :][:length]
                e = pixels[starts[t + 4] + i * row :][:length]
                f = pixels[starts[t + 5] + i * row :][:length]
                g = pixels[starts[t + 6] + i * row :][:length]
                h = pixels[starts[t + 7] + i * row :][:length]
                sa = sb = sc = sd = se = sf = sg = sh = grads.dtype.type(0)
                for n in range(length):
                    sa += grad[n] * a[n]
                    sb += grad[n] * b[n]
                    sc += grad[n] * c[n]
                    sd += grad[n] * d[n]
                    se += grad[n] * e[n]
                    sf += grad[n] * f[n]
                    sg += grad[n] * g[n]
                    sh += grad[n] * h[n]
                total[t] += sa
                total[t + 1] += sb
                total[t + 2] += sc
                total[t + 3] += sd
                total[t + 4] += se
                total[t + 5] += sf
                total[t + 6] += sg
                total[t + 7] += sh
            for t in range(num_taps - num_taps % 8, num_taps):
                a = pixels[starts[t] + i * row :][:length]
                sa = grads.dtype.type(0)
                for n in range(length):
                    sa += grad[n] * a[n]
                total[t] += sa
