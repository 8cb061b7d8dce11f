"""A progress bar over the work of a sweep, with the time left, on stderr."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import tqdm


class _Bar(tqdm.tqdm):
    """A bar whose time left is by a monotonic clock, and by all the work done so far."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._began = time.monotonic()
        super().__init__(*args, **kwargs)

    @property
    def format_dict(self) -> dict[str, Any]:
        return super().format_dict | {"elapsed": time.monotonic() - self._began, "rate": None}


@contextlib.contextmanager
def progress_bar(num_runs: int, work: float, shown: bool) -> Iterator[tqdm.tqdm]:
    """A bar whose clock ticks while long runs are under way.

    Args:
        num_runs: Runs of the sweep.
        work: Sum of what the bar will be updated by.
        shown: Whether anything is shown.
    """
    finished = threading.Event()
    with _Bar(
        total=work,
        desc=f"{num_runs} runs",
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed} so far, {remaining} left {postfix}",
        disable=not shown or sys.stderr is None,  # closed, by `2>&-`
    ) as bar:

        def tick() -> None:
            while not finished.wait(timeout=5):
                bar.refresh()

        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            yield bar
        finally:
            finished.set()
            ticker.join()
