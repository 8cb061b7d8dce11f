"""The command line, `python -m mlpcw`: fetch the data, train, look after the stored runs.

Exit status 0: all is well; 1: some work failed, or what was checked is not as it should be; 2: the
arguments are wrong. Results go to stdout, progress and errors to stderr.
"""

import contextlib
import functools
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

import mlpcw
from mlpcw.study.records.arms import PARTS, PROFILES


def _whole(low: int) -> click.IntRange:
    return click.IntRange(min=low)


class _Folder(click.Path):
    """A folder that may not be there yet; the empty string, which `Path` takes for ".", is none."""

    def __init__(self) -> None:
        super().__init__(file_okay=False, path_type=Path)

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        if value == "":
            self.fail("The empty string names no folder.", param, ctx)
        return super().convert(value, param, ctx)


_results = click.option(
    "--results",
    type=_Folder(),
    help="Folder of all results.  [default: results, beside the package]",
)


def _common(command: Callable) -> Callable:
    """The options of every command that works on a store."""
    options = [
        click.option(
            "--profile",
            type=click.Choice(PROFILES),
            default="full",
            envvar="MLPCW_PROFILE",
            show_default=True,
            help="full: MNIST, the runs of the book; quick: the embedded digits, in minutes.",
        ),
        _results,
        click.option("--epochs", type=_whole(0), default=0, help="Epochs; 0 is the profile's own."),
    ]
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


@contextlib.contextmanager
def _sentences(refusal: type[click.ClickException] = click.UsageError) -> Iterator[None]:
    """Turns what goes wrong into one sentence and an exit status.

    Args:
        refusal: What a refused value becomes: by default exit status 2, as the values that the
            library refuses are the command's arguments; `ClickException` where they are not.
    """
    from mlpcw.study.records.results import MissingRunsError
    from mlpcw.study.runs.sweep import RunFailedError

    try:
        yield
    except (ValueError, TypeError) as error:
        raise refusal(str(error)) from None
    except (MissingRunsError, RunFailedError, OSError) as error:
        raise click.ClickException(_text(error)) from None


def _text(error: Exception) -> str:
    """What an error says, without its number where it comes from the system."""
    place = getattr(error, "filename", None)
    return f"{place}: {error.strerror}" if place else getattr(error, "strerror", "") or str(error)


def _store(results: Path | None, profile: str, epochs: int = 0):
    """The store in a folder that can be read, or is not there yet."""
    from mlpcw.study.records.store import Store, default_results

    store = Store(results or default_results(), profile, epochs)
    store.check_readable()
    return store


def _problem(finding, what_is_done: str = "") -> str:
    """A sentence on a run that is stale or damaged."""
    run = f"{finding.arm.key} with seed {finding.seed}"
    return f"{finding.state.value}{what_is_done}: {run}: {finding.reason}"


def _problems(findings: list) -> list[str]:
    """A sentence for each run that is stale or damaged."""
    return [_problem(each) for each in findings if each.reason]


class _Commands(click.Group):
    """Commands that end in good order where a signal stops them, or their output fails.

    What is under way is put away as after any error: workers end, temporary folders go.
    """

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _output():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _output(), _ended_by_signals():
            return super().invoke(ctx)


@contextlib.contextmanager
def _output() -> Iterator[None]:
    """Says in a sentence that stdout cannot be written to; all else is caught by `_sentences`."""
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
        for each in list(before):
            signal.signal(each, signal.SIG_IGN)  # one is enough, to the very end of the process
        before.clear()
        raise SystemExit(128 + number)

    usual = (signal.SIG_DFL, signal.default_int_handler)  # others are meant, as below nohup
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {each: signal.getsignal(each) for each in numbers}
    before = {each: handler for each, handler in before.items() if handler in usual}
    for each in before:
        signal.signal(each, end)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(mlpcw.__version__, prog_name="mlpcw")
def main() -> None:
    """A coursework report that runs: train its networks, keep the runs, compare them with 2016."""


@main.command()
@click.option(
    "--data-dir",
    type=_Folder(),
    help="Folder of MNIST.  [default: $MLPCW_DATA_DIR, else the user's cache]",
)
def data(data_dir: Path | None) -> None:
    """Fetch MNIST where it is missing, check it, and say where it is."""
    from mlpcw import mnist

    with _sentences(click.ClickException):
        if not mnist.available(data_dir):
            mnist.download(data_dir)
        lines = [*mnist.verify(data_dir), f"MNIST is in {mnist.data_folder(data_dir)}"]
    click.echo("\n".join(lines))


@main.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS), metavar="[PART]...")
@_common
@click.option("--workers", type=_whole(0), default=0, help="Processes; 0 is one a core.")
@click.option("--seeds", type=_whole(0), default=0, help="Seeds an arm; 0 is the profile's own.")
def run(
    parts: tuple[str, ...],
    profile: str,
    results: Path | None,
    epochs: int,
    workers: int,
    seeds: int,
) -> None:
    """Train the runs of PARTS (all of them by default) that are not stored and fresh.

    Stopped at any moment, it loses the runs that were under way and no others; the same command
    carries on. Runs of other than the profile's own number of epochs are kept in a folder of their
    own.
    """
    from mlpcw import mnist
    from mlpcw.study.records.store import State
    from mlpcw.study.runs import sweep as runner

    with _sentences():
        store = _store(results, profile, epochs)
        findings = store.find_all(parts, seeds)
        lacking = [each for each in findings if each.state is not State.DONE]
        for each in lacking:
            if each.reason:
                click.echo(_problem(each, ", trained again"), err=True)
        needs_mnist = any(each.arm.data == "mnist" for each in lacking)
        if needs_mnist and not mnist.available():
            store.check_writable()  # before anything is fetched in vain
            mnist.download()
        failures = runner.sweep(store, findings, workers, progress=True)
    for failure in failures:
        click.echo(failure, err=True)
    done = len(findings) - len(failures)
    click.echo(f"{done} of {len(findings)} runs are stored in {store.folder}")
    if failures:
        raise SystemExit(1)


@main.command()
@_common
def status(profile: str, results: Path | None, epochs: int) -> None:
    """Say, part by part, which runs are done, missing, stale or damaged, and the time left."""
    from mlpcw.study.records.store import State
    from mlpcw.study.runs import sweep as runner

    with _sentences():
        store = _store(results, profile, epochs)
        findings = store.find_all()
    click.echo(f"{store.folder}")
    click.echo(f"{'':10}" + "".join(f"{state.value:>9}" for state in State))
    for part in dict.fromkeys(each.arm.part for each in findings):
        count = Counter(each.state for each in findings if each.arm.part == part)
        click.echo(f"{part:10}" + "".join(f"{count[state]:9}" for state in State))
    for problem in _problems(findings):
        click.echo(problem)
    seconds = runner.seconds_left(findings)
    if seconds is None:
        click.echo("time left: not known before a first run is done")
    elif seconds:
        minutes = seconds / 60 / runner.num_cores()
        click.echo(f"time left: about {minutes:.0f} min with {runner.num_cores()} workers")
    else:
        click.echo("nothing left to train")


@main.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option(
    "--epochs", type=_whole(0), default=0, help="A short check: train N epochs now, store nothing."
)
@click.option("--workers", type=_whole(0), default=0, help="Processes; 0 is one a core.")
@_results
def replay(runs: tuple[str, ...], epochs: int, workers: int, results: Path | None) -> None:
    """Hold the runs of 2016 against what 2016 printed of them.

    RUNs are named like part1/none; all of the three parts by default. The stored runs are compared;
    those missing are trained first.
    """
    if epochs and results:
        raise click.UsageError("--epochs stores nothing and reads nothing: leave --results out")
    import tempfile

    from mlpcw.study.chapters import CONDITIONS
    from mlpcw.study.records import arms
    from mlpcw.study.records.results import Results
    from mlpcw.study.runs import sweep as runner

    with _sentences(), contextlib.ExitStack() as stack:
        folder = results
        if epochs:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
        store = _store(folder, "full", epochs)
        wanted = [arms.find("full", key, epochs) for key in dict.fromkeys(runs)]
        wanted = wanted or [arm for arm in store.arms() if arm.part != "starts"]
        findings = [store.find(arm, arms.SEED_2016) for arm in wanted]
        failures = runner.sweep(store, findings, workers, progress=True)
        for failure in failures:
            click.echo(failure, err=True)
        if failures:
            raise SystemExit(1)
        found = Results.of("full", [store.find(arm, arms.SEED_2016) for arm in wanted])
    missed, compared = [], 0
    for key in found.runs:
        condition, curves = CONDITIONS[key], found.runs[key][0]["curves"]
        comparison = condition.compare(curves)
        compared += comparison.total
        click.echo(f"{key:28}{condition.verdict(curves)}")
        if condition.exact and comparison.total and not comparison.exact:
            missed.append(key)
    if not compared:
        raise click.ClickException("nothing was compared: 2016 printed no value of these runs")
    if missed:
        raise click.ClickException(f"not digit for digit, but they should be: {', '.join(missed)}")


@main.command()
@_common
@click.option(
    "--retrain", type=_whole(0), default=0, help="Train K stored runs again, drawn at random."
)
def verify(profile: str, results: Path | None, epochs: int, retrain: int) -> None:
    """Read and check every stored run: whole, of this arm, of this data, by this code.

    A run trained again is compared with the stored one, which stays as it is: identical, the same
    to so many printed digits, or different.
    """
    from mlpcw import mnist
    from mlpcw.study.chapters import CONDITIONS
    from mlpcw.study.records.store import State
    from mlpcw.study.runs import retrain as repeats

    with _sentences():
        store = _store(results, profile, epochs)
    with _sentences(click.ClickException):
        findings = store.find_all() + store.find_more()
        problems = _problems(findings) + store.strangers() + store.other_data(findings)
    for problem in problems:
        click.echo(problem)
    count = Counter(each.state for each in findings)
    click.echo(
        f"{count[State.DONE]} of {len(findings)} runs are stored and good,"
        f" {count[State.MISSING]} are missing, {len(problems)} problems"
    )
    if count[State.MISSING] == len(findings):
        raise click.ClickException(
            f"nothing was checked: no run of profile {profile} is in {store.folder}; name another"
            " folder with --results, or train them: python -m mlpcw run"
        )
    if any(each.record and each.arm.data == "mnist" for each in findings) and not mnist.available():
        click.echo("MNIST is not here: whether runs are of this data was not checked", err=True)
    different = 0
    if retrain:
        drawn = repeats.draw(findings, retrain)
        if not drawn:
            raise click.ClickException(f"no run in {store.folder} is good and can be trained again")
        click.echo(f"trained again, drawn at random from {count[State.DONE]} runs:")
        with _sentences(click.ClickException):
            replayed = [key for key, condition in CONDITIONS.items() if condition.exact]
            found = repeats.repeat(store, drawn, replayed)
        for each, outcome in zip(drawn, found, strict=True):
            click.echo(f"{each.arm.key} with seed {each.seed}: {outcome.verdict}")
        different = sum(not outcome.good for outcome in found)
        click.echo(f"{len(found) - different} of {len(found)} are confirmed")
    if problems or different:
        raise SystemExit(1)


if __name__ == "__main__":
    main(prog_name="python -m mlpcw")
