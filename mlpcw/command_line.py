"""How commands end: with a sentence and an exit status, whatever goes wrong.

Exit status 1 says that some work failed, 2 that the arguments are wrong, 128 + N that signal N
ended the command.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

import click


class Commands(click.Group):
    """Commands that clean up if a signal stops them, or if their output fails.

    As after any error, workers end and temporary folders are removed.
    """

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _output():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _output(), _ended_by_signals():
            return super().invoke(ctx)


@contextlib.contextmanager
def sentences(refusal: type[click.ClickException] = click.UsageError) -> Iterator[None]:
    """Turns an error into one sentence and an exit status.

    Args:
        refusal: What a refused value becomes: exit status 2 by default, as most of them are
            arguments of the command; `ClickException` if they are not.
    """
    from mlpcw.study.records.results import MissingRunsError
    from mlpcw.study.runs.train import RunFailedError

    try:
        yield
    except (ValueError, TypeError) as error:
        raise refusal(str(error)) from None
    except (MissingRunsError, RunFailedError, OSError) as error:
        raise click.ClickException(_text(error)) from None


def _text(error: Exception) -> str:
    """What an error says, without the number of a system error."""
    place = getattr(error, "filename", None)
    return f"{place}: {error.strerror}" if place else getattr(error, "strerror", "") or str(error)


@contextlib.contextmanager
def _output() -> Iterator[None]:
    """Says in a sentence that stdout cannot be written to; all else is caught by `sentences`."""
    try:
        yield
    except OSError as error:
        # What is still to be written would fail again when Python ends.
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        raise click.ClickException(f"stdout cannot be written to: {error.strerror}") from None


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Makes signals end this process by an exception, with the exit status of a shell: 128 + N."""

    def end(number: int, frame: Any) -> None:
        for name in list(before):
            signal.signal(name, signal.SIG_IGN)  # one is enough, to the very end of the process
        before.clear()
        raise SystemExit(128 + number)

    usual = (signal.SIG_DFL, signal.default_int_handler)  # any other is on purpose, as by nohup
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {name: signal.getsignal(name) for name in numbers}
    before = {name: handler for name, handler in before.items() if handler in usual}
    for name in before:
        signal.signal(name, end)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
