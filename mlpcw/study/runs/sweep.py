"""A sweep: trains the runs that are not done, and stores each record as it comes."""

import contextlib
import functools
from collections.abc import Iterable
from concurrent.futures import BrokenExecutor, Executor

from mlpcw import checks, mnist
from mlpcw.study.records.arms import Arm
from mlpcw.study.records.record import DamagedRecordError, Record
from mlpcw.study.records.store import Finding, State, Store
from mlpcw.study.runs import executors, train
from mlpcw.study.runs.progress import progress_bar


def cost(arm: Arm) -> float:
    """Work of a run in images trained on, weighed by what each costs; only ratios mean anything."""
    num_images = 1000 if arm.data == "digits" else 50_000
    batches = num_images // arm.batch_size
    if arm.max_num_batches != -1:
        batches = min(batches, arm.max_num_batches)
    weight = 1.0
    if arm.penalty:
        weight += 0.2
    if arm.augmentation:
        weight += 0.5
    if arm.convolution:
        weight += 0.5
    return weight * batches * arm.batch_size * arm.num_epochs + num_images


def seconds_left(findings: Iterable[Finding]) -> float | None:
    """Seconds of one process that the runs not done will take, estimated from those done.

    Returns:
        The seconds, 0 if all is done; `None` if nothing is done to estimate from.
    """
    findings = list(findings)
    done = [finding for finding in findings if finding.state is State.DONE]
    left = sum(cost(finding.arm) for finding in findings if finding.state is not State.DONE)
    if left and not done:
        return None
    seconds = sum(finding.record["seconds"]["wall"] for finding in done)
    return left * seconds / sum(cost(finding.arm) for finding in done) if left else 0.0


def sweep(
    store: Store,
    wanted: Iterable[Finding],
    workers: int = 0,
    data_dir: str | None = None,
    progress: bool = False,
    executor: Executor | None = None,
) -> list[str]:
    """Trains what is not done, and stores each record as it comes.

    Args:
        store: Where the records go.
        wanted: Runs as the store has found them; those done are left alone.
        workers: Processes to train in; 0 for one a core.
        data_dir: Folder of MNIST, or `None` for where `mnist.load` searches.
        progress: Whether to show a progress bar with the time left on stderr.
        executor: Trains elsewhere than in processes of this machine; if given, `workers` and
            `data_dir` are ignored.

    Returns:
        A sentence for each run that failed.

    Raises:
        ValueError: If the store cannot be written to, or `workers` is negative.
        FileNotFoundError: If a run needs MNIST and it is missing.
    """
    checks.whole_number("workers", workers, low=0)
    lacking = [finding for finding in wanted if finding.state is not State.DONE]
    runs = list(dict.fromkeys((finding.arm, finding.seed) for finding in lacking))
    if not runs:
        return []
    store.check_writable()
    needs_mnist = executor is None and any(arm.data == "mnist" for arm, _ in runs)
    if needs_mnist and not mnist.available(data_dir):
        mnist.load(data_dir)  # raises, and says what to do: better once here than in each run
    workers = min(workers or executors.num_cores(), len(runs))
    outcomes = executors.map(
        train.train,
        sorted(runs, key=lambda run: -cost(run[0])),  # longest first: none is left alone at the end
        executor or functools.partial(executors.default_executor, workers, data_dir),
        in_flight=None if executor else workers,
    )
    failures = []
    work = sum(cost(arm) for arm, _ in runs)
    with contextlib.closing(outcomes), progress_bar(len(runs), work, progress) as bar:
        for (arm, seed), outcome in outcomes:
            failure = _store(store, arm, seed, outcome)
            if failure:
                failures.append(failure)
            bar.update(cost(arm))
            bar.set_postfix_str(f"{arm.key}, seed {seed}")
    return failures


def _store(store: Store, arm: Arm, seed: int, outcome: Record | Exception) -> str:
    """Stores a record; a sentence if there is none, or if it cannot be stored, else ""."""
    run = f"{arm.key} with seed {seed}"
    if isinstance(outcome, train.RunFailedError):
        return str(outcome)
    if isinstance(outcome, BrokenExecutor):
        return f"{run} failed: its process died, as it does when memory runs out ({outcome})"
    if isinstance(outcome, Exception):
        return f"{run} failed: {str(outcome) or type(outcome).__name__}"
    try:
        store.write(outcome)
    except (OSError, DamagedRecordError) as error:
        reason = getattr(error, "strerror", None) or error
        return f"{run} was trained, but not stored in {store.folder}: {reason}"
    return ""
