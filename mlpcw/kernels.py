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

import numpy as np

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


# ---- the training step: what `mlpcw.steps` does besides products of matrices ---------------------
#
# NumPy takes 1 to 2 us to begin whatever is asked of it, and a step asks for some thirty things on
# arrays of a few thousand numbers. benchmarks/training.py prints what each of these earns.


@_compile()
def add_biases(outputs, biases, rectify):
    """`outputs += biases`, and where `rectify` is set, negative sums become 0.

    Args:
        outputs: `(batch_size, num_outputs)`, changed in place.
        biases: `(num_outputs,)`, of the same dtype.
        rectify: Whether a ReLU follows.
    """
    zero = biases.dtype.type(0)
    for n in range(outputs.shape[0]):
        for i in range(outputs.shape[1]):
            value = outputs[n, i] + biases[i]
            outputs[n, i] = zero if rectify and value < zero else value


@_compile()
def mask(grads, outputs):
    """Sets `grads` to 0 where the outputs of a ReLU are.

    Args:
        grads: `(size,)`, changed in place.
        outputs: `(size,)`.
    """
    zero = grads.dtype.type(0)
    for i in range(grads.size):
        grads[i] = grads[i] if outputs[i] > zero else zero


@_compile(error_model="numpy")
def softmax_grads(outputs, targets, grads):
    """Gradient of the mean cross-entropy of the softmax of `outputs`.

    Args:
        outputs: `(batch_size, num_classes)`.
        targets: `(batch_size, num_classes)`.
        grads: Where the gradient goes, `(batch_size, num_classes)`.
    """
    batch_size = outputs.dtype.type(outputs.shape[0])
    for n in range(outputs.shape[0]):
        highest = outputs[n].max()
        total = outputs.dtype.type(0)
        for i in range(outputs.shape[1]):
            grads[n, i] = np.exp(outputs[n, i] - highest)
            total += grads[n, i]
        for i in range(outputs.shape[1]):
            grads[n, i] = (grads[n, i] / total - targets[n, i]) / batch_size


@_compile()
def decay(moms, params, mom_coeff, l1, l2, smallest):
    """`moms = mom_coeff * moms - (l1 * sign(params) + l2 * params)`; what is tiny becomes 0.

    Args:
        moms: Momenta, `(size,)`, changed in place.
        params: Parameters, `(size,)`.
        mom_coeff, l1, l2: Numbers of their dtype; the last two contain the learning rate.
        smallest: Magnitudes below this become 0, see `mlpcw.steps`.
    """
    zero, one = moms.dtype.type(0), moms.dtype.type(1)
    if l1 == zero and l2 == zero:
        for i in range(moms.size):
            mom = mom_coeff * moms[i]
            moms[i] = zero if abs(mom) < smallest else mom
    else:
        for i in range(moms.size):
            param = params[i]
            sign = one if param > zero else (-one if param < zero else zero)
            mom = mom_coeff * moms[i] - (l1 * sign + l2 * param)
            moms[i] = zero if abs(mom) < smallest else mom


@_compile()
def update_biases(biases, moms, mom_coeff, rate, grads_wrt_outputs):
    """One update with momentum of biases without a penalty.

    Args:
        biases: `(num_outputs,)`, changed in place.
        moms: Their momenta, `(num_outputs,)`, changed in place.
        mom_coeff, rate: Numbers of their dtype.
        grads_wrt_outputs: `(batch_size, num_outputs)`; the sum over the batch is the gradient.
    """
    for i in range(moms.size):
        moms[i] *= mom_coeff
    for n in range(grads_wrt_outputs.shape[0]):
        for i in range(moms.size):
            moms[i] -= rate * grads_wrt_outputs[n, i]
    for i in range(moms.size):
        biases[i] += moms[i]
