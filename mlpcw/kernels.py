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
