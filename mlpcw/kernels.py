"""The few loops for which NumPy has no fast words, written out and compiled by Numba.

Everything here is plain Python over plain numbers and arrays: it runs, slowly, without a compiler.
Nothing else of the library needs this module. Who uses a kernel asks `compiled()` first and has a
way of its own in NumPy for where the answer is no: where Numba is not installed, or where the
environment variable `MLPCW_COMPILED` is 0.

A kernel is compiled when it is first called, for the dtype that it is called with. That takes
seconds, is said once on the terminal, and is kept on disk for all later processes. Importing this
module does not load Numba.
"""

import functools
import importlib.util
import os
import sys
from collections.abc import Callable
from typing import Any

SWITCH = "MLPCW_COMPILED"
"""Environment variable; "0" leaves all compiled kernels out."""


@functools.cache
def compiled() -> bool:
    """Whether kernels are compiled here: Numba is installed, and not switched off."""
    return os.environ.get(SWITCH, "1") != "0" and importlib.util.find_spec("numba") is not None


def _compile(**options: Any) -> Callable[[Callable], Callable]:
    """Decorates a kernel: Numba compiles it at its first call.

    Args:
        **options: As of `numba.njit`. Without `fastmath` a kernel does the arithmetic as it is
            written, in that order, and gives the same numbers as NumPy.
    """

    def decorate(kernel: Callable) -> Callable:
        dispatcher = None

        @functools.wraps(kernel)
        def call(*args: Any) -> Any:
            nonlocal dispatcher
            if dispatcher is None:
                dispatcher = _numba().njit(cache=True, **options)(kernel)
            return dispatcher(*args)

        return call

    return decorate


@functools.cache
def _numba() -> Any:
    """Numba, told to announce the first compilation of this process."""
    import numba
    from numba.core import event

    class Announcement(event.Listener):
        told = False

        def on_start(self, event: Any) -> None:
            # Not sys.stderr: in a notebook that would become part of the page.
            if not self.told and sys.__stderr__ is not None:
                print(
                    "mlpcw: compiling kernels, once; later runs find them on disk.",
                    file=sys.__stderr__,
                    flush=True,
                )
            self.told = True

        def on_end(self, event: Any) -> None:
            """Nothing to say."""

    event.register("numba:compile", Announcement())
    return numba


# ---- convolution -----------------------------------------------------------------------------

# Sums may be added up in any order, so that they are computed many at a time.
_ANY_ORDER = {"reassoc", "contract"}


@_compile(fastmath=_ANY_ORDER)
def correlate(images: Any, starts: Any, weights: Any, sums: Any) -> None:
    """Adds up shifted copies of images: what each row of weights makes of the pixels around.

    Eight taps (a weight and a shift) in each pass over a row of the output take half the time of
    one tap a pass: there is less to load and store. One channel to one, 5 x 5 to 15 x 15, this is
    2.5 to 3 times as fast as what NumPy does best (`benchmarks/convolution.py`).

    Args:
        images: Shape (num_input_channels, height, width * batch_size): for each pixel its value in
            all images.
        starts: Where each tap begins in the flat images, for the first row of the output. Shape
            (num_taps,); no tap may reach beyond the last row of its channel.
        weights: Shape (num_output_channels, num_taps).
        sums: Shape (num_output_channels, output_height, output_width * batch_size), to be filled.
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


@_compile(fastmath=_ANY_ORDER)
def correlate_grads(images: Any, starts: Any, grads: Any, grads_wrt_weights: Any) -> None:
    """Adds to the gradients with respect to the weights of `correlate`, eight taps at a time.

    Args:
        images: As of `correlate`.
        starts: As of `correlate`.
        grads: Gradients with respect to `sums`, of their shape.
        grads_wrt_weights: Shape (num_output_channels, num_taps), to be added to.
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


@_compile()
def unfold(rows: Any, num_channels: int, patches: Any) -> None:
    """Copies the patch under each output pixel; with `fold`, 0.6 of the time of 16 -> 32 channels.

    Args:
        rows: Shape (batch_size, height, width * num_channels): images with channels last.
        num_channels: At least 1.
        patches: Shape (batch_size, output_height, output_width, kernel_height,
            kernel_width * num_channels), to be filled.
    """
    batch_size, output_height, output_width, kernel_height, run = patches.shape
    for image in range(batch_size):
        for i in range(output_height):
            for j in range(output_width):
                for p in range(kernel_height):
                    source = rows[image, i + p, j * num_channels : j * num_channels + run]
                    target = patches[image, i, j, p]
                    for n in range(run):
                        target[n] = source[n]


@_compile()
def fold(patches: Any, num_channels: int, rows: Any) -> None:
    """Adds patches up where `unfold` copies them from.

    Args:
        patches: As of `unfold`.
        num_channels: As of `unfold`.
        rows: As of `unfold`, to be added to.
    """
    batch_size, output_height, output_width, kernel_height, run = patches.shape
    for image in range(batch_size):
        for i in range(output_height):
            for j in range(output_width):
                for p in range(kernel_height):
                    target = rows[image, i + p, j * num_channels : j * num_channels + run]
                    source = patches[image, i, j, p]
                    for n in range(run):
                        target[n] += source[n]


@_compile()
def fold_rows(patches: Any, images: Any) -> None:
    """Adds patches, with pixels last, up where they come from.

    Args:
        patches: Shape (batch_size, num_channels, kernel_width, kernel_height, output_height,
            output_width).
        images: Shape (batch_size, num_channels, height, width), to be added to.
    """
    batch_size, num_channels, kernel_width, kernel_height, output_height, run = patches.shape
    for image in range(batch_size):
        for c in range(num_channels):
            for q in range(kernel_width):
                for p in range(kernel_height):
                    for i in range(output_height):
                        target = images[image, c, i + p, q : q + run]
                        source = patches[image, c, q, p, i]
                        for n in range(run):
                            target[n] += source[n]


# ---- max-pooling -----------------------------------------------------------------------------


@_compile()
def unpool(inputs: Any, outputs: Any, grads_wrt_outputs: Any, grads: Any) -> None:
    """Hands gradients of windows of 2 x 2 pixels to the first maximum of each, in reading order.

    Written out for this one size, for compilers to work on many windows at once: a third of the
    time of loops over a window of any size, a twentieth of that of NumPy's `argmax`
    (`benchmarks/convolution.py`). NaN counts as the maximum.

    Args:
        inputs: Shape (batch_size, num_channels, 2 * height, 2 * width).
        outputs: Maximum of each window, shape (batch_size, num_channels, height, width).
        grads_wrt_outputs: Of the shape of `outputs`.
        grads: Of the shape of `inputs`, to be filled.
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
                    left = grad[j]  # what has not been handed out yet
                    hit = (top[2 * j] == maximum[j]) | (top[2 * j] != top[2 * j])
                    to_top[2 * j] = left if hit else zero
                    left = zero if hit else left
                    hit = (top[2 * j + 1] == maximum[j]) | (top[2 * j + 1] != top[2 * j + 1])
                    to_top[2 * j + 1] = left if hit else zero
                    left = zero if hit else left
                    hit = (bottom[2 * j] == maximum[j]) | (bottom[2 * j] != bottom[2 * j])
                    to_bottom[2 * j] = left if hit else zero
                    to_bottom[2 * j + 1] = zero if hit else left
