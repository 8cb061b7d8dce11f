"""Loops that NumPy cannot vectorise are compiled with Numba: the switch and the decorator.

A kernel is plain Python over numbers and arrays, beside the NumPy code that it replaces. Callers
check `enabled()` and fall back to NumPy, if Numba is not installed or if the environment variable
`MLPCW_COMPILED` is 0.

A kernel is compiled at its first call, for the dtype of its arguments. That takes seconds, is
announced once on the terminal, and is cached on disk for later processes; if nothing can be cached,
that is announced instead. Importing this module does not load Numba.
"""

import contextlib
import functools
import importlib.util
import os
import sys
from collections.abc import Callable
from typing import Any

SWITCH = "MLPCW_COMPILED"
"""Environment variable; "0" switches all compiled kernels off."""


@functools.cache
def enabled() -> bool:
    """Whether kernels are compiled: Numba is installed and not switched off."""
    return os.environ.get(SWITCH, "1") != "0" and importlib.util.find_spec("numba") is not None


def kernel(**options: Any) -> Callable[[Callable], Callable]:
    """Decorates a kernel: Numba compiles it at its first call.

    Args:
        **options: As for `numba.njit`. Without `fastmath` a kernel computes in the order in which
            it is written, and gives the same numbers as NumPy.
    """

    def decorate(kernel: Callable) -> Callable:
        dispatcher = None

        @functools.wraps(kernel)
        def call(*args: Any) -> Any:
            nonlocal dispatcher
            if dispatcher is None:
                dispatcher = _numba().njit(**options)(kernel)
                if dispatcher is not kernel:  # it is if NUMBA_DISABLE_JIT is set
                    _keep(dispatcher)
            return dispatcher(*args)

        return call

    return decorate


@functools.cache
def _numba() -> Any:
    """Numba, told to announce the first compilation of this process."""
    import numba
    from numba.core import event

    class Announcement(event.Listener):
        def on_start(self, event: Any) -> None:
            if not _told:
                _tell_once("compiling", "compiling kernels, once; later runs find them on disk.")

        def on_end(self, event: Any) -> None:
            """Nothing to say."""

    event.register("numba:compile", Announcement())
    return numba


_told: set[str] = set()


def _tell_once(topic: str, sentence: str) -> None:
    if topic not in _told and sys.__stderr__ is not None:
        # Not sys.stderr: a notebook shows that on its page.
        print(f"mlpcw: {sentence}", file=sys.__stderr__, flush=True)
    _told.add(topic)


def _tell_that_nothing_is_kept(problem: Exception) -> None:
    _tell_once(
        "nothing is kept",
        "compiling kernels, in this run and each later one, as Numba cannot keep them on disk"
        f" ({problem}); NUMBA_CACHE_DIR may name a folder that can be written to.",
    )


def _keep(dispatcher: Any) -> None:
    """Lets Numba cache on disk what it compiles, and ignores a cache that fails.

    By itself Numba raises, and stops the training, if no folder can be written to, the disk is full
    or a file of its cache is damaged.
    """
    try:
        dispatcher.enable_caching()
    except Exception as problem:
        _tell_that_nothing_is_kept(problem)
        return
    cache = dispatcher._cache
    load, save = cache.load_overload, cache.save_overload

    def load_overload(*args: Any) -> Any:
        try:
            return load(*args)
        except Exception:  # damaged bytes can raise anything: compile and cache again
            with contextlib.suppress(OSError):
                cache.flush()
            return None

    def save_overload(*args: Any) -> None:
        try:
            save(*args)
        except Exception as problem:
            _tell_that_nothing_is_kept(problem)

    cache.load_overload, cache.save_overload = load_overload, save_overload
