"""The command line, `python -m mlpcw`: fetch the data, train, look after the stored runs.

Exit status 0: all is well; 1: some work failed, or what was checked is not as it should be; 2: the
arguments are wrong. Results go to stdout, progress and errors to stderr.
"""

import contextlib
import functools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

import mlpcw
from mlpcw.command_line import Commands, sentences
from mlpcw.study.records.arms import PARTS, PROFILES


def _whole(low: int) -> click.IntRange:
    return click.IntRange(min=low)


class _Folder(click.Path):
    """A folder that need not exist; refuses the empty string, which `Path` takes for "."."""

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


def _open_store(profile: str, results: Path | None, epochs: int = 0):
    """The store of a profile, in a folder that can be read or does not exist yet."""
    from mlpcw.study.pages.stored import open_store

    store = open_store(profile, results, epochs)
    store.check_readable()
    return store


def _problems(findings: list, remedy: str = "") -> list[str]:
    """A sentence for each run that is stale or damaged."""
    return [
        f"{finding.state.value}{remedy}: {finding.arm.key} with seed {finding.seed}:"
        f" {finding.reason}"
        for finding in findings
        if finding.reason
    ]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
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

    with sentences(click.ClickException):
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

    Stopped at any moment, it loses only the runs under way; the same command carries on. Runs of
    other than the profile's own number of epochs are kept in a separate folder.
    """
    from mlpcw import mnist
    from mlpcw.study.records.store import State
    from mlpcw.study.runs.sweep import sweep

    with sentences():
        store = _open_store(profile, results, epochs)
        findings = store.find_all(parts, seeds)
        for problem in _problems(findings, ", trained again"):
            click.echo(problem, err=True)
        lacking = [finding for finding in findings if finding.state is not State.DONE]
        if any(finding.arm.data == "mnist" for finding in lacking) and not mnist.available():
            store.check_writable()  # before the download
            mnist.download()
        failures = sweep(store, findings, workers, progress=True)
    for failure in failures:
        click.echo(failure, err=True)
    click.echo(
        f"{len(findings) - len(failures)} of {len(findings)} runs are stored in {store.folder}"
    )
    if failures:
        raise SystemExit(1)


@main.command()
@_common
def status(profile: str, results: Path | None, epochs: int) -> None:
    """Say, part by part, which runs are done, missing, stale or damaged, and the time left."""
    from mlpcw.study.records.store import State
    from mlpcw.study.runs.executors import num_cores
    from mlpcw.study.runs.sweep import seconds_left

    with sentences():
        store = _open_store(profile, results, epochs)
        findings = store.find_all()
    click.echo(f"{store.folder}")
    click.echo(f"{'':10}" + "".join(f"{state.value:>9}" for state in State))
    for part in dict.fromkeys(finding.arm.part for finding in findings):
        count = Counter(finding.state for finding in findings if finding.arm.part == part)
        click.echo(f"{part:10}" + "".join(f"{count[state]:9}" for state in State))
    for problem in _problems(findings):
        click.echo(problem)
    seconds = seconds_left(findings)
    if seconds is None:
        click.echo("time left: not known before a first run is done")
    elif seconds:
        minutes = seconds / 60 / num_cores()
        click.echo(f"time left: about {minutes:.0f} min with {num_cores()} workers")
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
    """Compare the runs of 2016 with what 2016 printed of them.

    RUNS are named like part1/none; all of the three parts by default. The stored runs are compared;
    those missing are trained first.
    """
    if epochs and results:
        raise click.UsageError("--epochs stores nothing and reads nothing: leave --results out")
    import tempfile

    from mlpcw.study import chapters
    from mlpcw.study.records.arms import SEED_2016
    from mlpcw.study.records.results import Results
    from mlpcw.study.runs.sweep import sweep

    with sentences(), contextlib.ExitStack() as stack:
        folder = results
        if epochs:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
        store = _open_store("full", folder, epochs)
        wanted = [chapters.find("full", key, epochs) for key in dict.fromkeys(runs)]
        wanted = wanted or [arm for arm in store.arms if arm.part != "starts"]
        failures = sweep(
            store, [store.find(arm, SEED_2016) for arm in wanted], workers, progress=True
        )
        for failure in failures:
            click.echo(failure, err=True)
        if failures:
            raise SystemExit(1)
        stored = Results.of("full", [store.find(arm, SEED_2016) for arm in wanted])
    missed, compared = [], 0
    for key, (record,) in stored.runs.items():
        condition = chapters.CONDITIONS[key]
        comparison = condition.compare(record["curves"])
        compared += comparison.total
        click.echo(f"{key:28}{condition.verdict(record['curves'])}")
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

    A run trained again is compared with the stored one, which does not change: identical, the same
    to so many printed digits, or different.
    """
    from mlpcw import mnist
    from mlpcw.study import chapters
    from mlpcw.study.records.store import State
    from mlpcw.study.runs import freshness
    from mlpcw.study.runs import retrain as retraining

    with sentences():
        store = _open_store(profile, results, epochs)
    with sentences(click.ClickException):
        findings = store.find_all() + store.find_more()
        problems = _problems(findings) + store.strangers()
        problems += freshness.other_data(store.arms, findings)
    for problem in problems:
        click.echo(problem)
    count = Counter(finding.state for finding in findings)
    click.echo(
        f"{count[State.DONE]} of {len(findings)} runs are stored and good,"
        f" {count[State.MISSING]} are missing, {len(problems)} problems"
    )
    if count[State.MISSING] == len(findings):
        raise click.ClickException(
            f"nothing was checked: no run of profile {profile} is in {store.folder}; name another"
            " folder with --results, or train them: python -m mlpcw run"
        )
    read = [finding for finding in findings if finding.record]
    if any(finding.arm.data == "mnist" for finding in read) and not mnist.available():
        click.echo("MNIST is not here: whether runs are of this data was not checked", err=True)
    different = 0
    if retrain:
        drawn = retraining.draw(findings, retrain)
        if not drawn:
            raise click.ClickException(f"no run in {store.folder} is good and can be trained again")
        click.echo(f"trained again, drawn at random from {count[State.DONE]} runs:")
        replayed = {key for key, condition in chapters.CONDITIONS.items() if condition.exact}
        with sentences(click.ClickException):
            outcomes = retraining.retrain(store, drawn, replayed)
        for finding, outcome in zip(drawn, outcomes, strict=True):
            click.echo(f"{finding.arm.key} with seed {finding.seed}: {outcome.verdict}")
        different = sum(not outcome.good for outcome in outcomes)
        click.echo(f"{len(outcomes) - different} of {len(outcomes)} are confirmed")
    if problems or different:
        raise SystemExit(1)


if __name__ == "__main__":
    main(prog_name="python -m mlpcw")
