"""The runner: trains one run to a record, and maps many runs over processes.

A task carries an arm and a seed and nothing else; a worker reads the data itself, once. So any
executor with the interface of `concurrent.futures` will do. The default one starts new processes
with one BLAS thread each.
"""

import collections
import concurrent.futures
import contextlib
import functools
import importlib.metadata
import math
import multiprocessing
import multiprocessing.connection
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

import numpy as np
import tqdm

import mlpcw
from mlpcw import checks, compiled, mnist
from mlpcw.errors import CrossEntropySoftmaxError
from mlpcw.layers import AffineLayer
from mlpcw.models import MultipleLayerModel
from mlpcw.optimisers import Optimiser
from mlpcw.study.records.arms import Arm
from mlpcw.study.records.store import (
    BIN_WIDTH,
    SCHEMA,
    DamagedRecordError,
    Finding,
    Record,
    State,
    Store,
)
from mlpcw.study.runs import set_up as training

Run = tuple[Arm, int]

EVALUATION_BATCH_SIZE = 1000
_ERROR = CrossEntropySoftmaxError()
ATTEMPTS = 3
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_THREAD_VARIABLES += ("VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS")


class RunFailedError(RuntimeError):
    """A run that could not be trained; the message names it."""


# ---- One run --------------------------------------------------------------------------------


class _RecordingOptimiser(Optimiser):
    """An optimiser that also evaluates on clean training images, without a draw from any rng."""

    clean_set: tuple[np.ndarray, np.ndarray] | None = None

    def get_epoch_stats(self) -> dict[str, float]:
        stats = super().get_epoch_stats()
        if self.clean_set is not None:
            clean = evaluate(self.model, *self.clean_set)
            stats |= {f"{name}(train_clean)": value for name, value in clean.items()}
        return stats


def train(arm: Arm, seed: int, data_dir: str | None = None) -> Record:
    """Trains one run.

    Args:
        arm: The arm.
        seed: The seed.
        data_dir: Folder of MNIST; `None` searches where `mnist.load` says.

    Returns:
        The record of the run, as `Store.write` takes it.

    Raises:
        RunFailedError: If the run diverges: a figure is not finite.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    images = training.load_images(arm.data, data_dir)
    trial = training.set_up(arm, seed, images)
    optimiser = trial.optimiser(arm, _RecordingOptimiser)
    if arm.augmentation:
        optimiser.clean_set = images.split("train")
    with np.errstate(all="ignore"):  # a run that diverges is told by its figures, below
        stats, keys, _ = optimiser.train(arm.num_epochs, arm.stats_interval)
    if not np.isfinite(stats).all():
        epoch = arm.stats_interval * int(np.argmin(np.isfinite(stats).all(axis=1)))
        raise RunFailedError(f"{arm.key} with seed {seed} diverged: not finite at epoch {epoch}")
    curves = {_column(key): stats[:, column].tolist() for key, column in keys.items()}
    return {
        "schema": SCHEMA,
        "arm": arm.to_json(),
        "seed": seed,
        "curves": {"epoch": list(range(0, arm.num_epochs + 1, arm.stats_interval)), **curves},
        "test": evaluate(trial.model, *images.split("test")),
        "weights": weight_histogram(_first_weights(trial.model)),
        "probe": training.probe(arm),
        # Not below 0, even where a clock has been set back.
        "seconds": {
            "wall": max(0.0, round(time.perf_counter() - wall, 3)),
            "cpu": max(0.0, round(time.process_time() - cpu, 3)),
        },
        "provenance": provenance(images),
    }


def evaluate(model: MultipleLayerModel, inputs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Error and accuracy over a whole split, in its own order.

    Args:
        model: The model.
        inputs: Images, `(num_images, 784)`.
        labels: Classes, `(num_images,)`.

    Returns:
        "error", the mean cross-entropy, and "acc", the share of images classified rightly.
    """
    totals = np.zeros(2)
    for start in range(0, len(inputs), EVALUATION_BATCH_SIZE):
        batch = slice(start, start + EVALUATION_BATCH_SIZE)
        outputs = model.fprop(inputs[batch], stochastic=False)[-1]
        targets = np.eye(training.NUM_CLASSES)[labels[batch]]
        values = [_ERROR(outputs, targets), training.accuracy(outputs, targets)]
        totals += len(outputs) * np.array(values)
    error, accuracy = totals / len(inputs)
    return {"error": float(error), "acc": float(accuracy)}


def weight_histogram(weights: np.ndarray) -> dict[str, Any]:
    """Histogram of weights on a grid of bins that all runs share.

    Args:
        weights: Weights of any shape.

    Returns:
        "bin_width", "first_bin" (the number k of the first bin) and "counts". Bin k holds the
        weights in [k, k + 1) times the width; outside the bins listed there are none.
    """
    bins = np.floor(np.ravel(weights) / BIN_WIDTH).astype(int)
    return {
        "bin_width": BIN_WIDTH,
        "first_bin": int(bins.min()),
        "counts": np.bincount(bins - bins.min()).tolist(),
    }


def _first_weights(model: MultipleLayerModel) -> np.ndarray:
    """Weights of the lowest affine layer."""
    return next(layer.weights for layer in model.layers if isinstance(layer, AffineLayer))


def _column(key: str) -> str:
    """Name of a curve in a record, such as "error_train", of a statistic "error(train)"."""
    return key.replace("(", "_").replace(")", "")


def provenance(images: mnist.ImageSet) -> dict[str, Any]:
    """Where a record comes from: versions, machine and data."""
    return _machine() | {"data": images.name, "data_digest": images.digest}


@functools.cache
def _machine() -> dict[str, Any]:
    import scipy
    import threadpoolctl

    blas = [info for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas"]
    blas.sort(key=lambda info: "numpy" not in info["filepath"])  # SciPy has one of its own
    return {
        "mlpcw": mlpcw.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "numba": importlib.metadata.version("numba") if compiled.enabled() else "none",
        "blas": f"{blas[0]['internal_api']} {blas[0]['version']}" if blas else "unknown",
        "blas_kernels": (blas and blas[0].get("architecture")) or "unknown",
        "blas_threads": blas[0]["num_threads"] if blas else 0,
        "cpu": _cpu(),
        "platform": platform.platform(),
    }


def _commit() -> str:
    """The commit of the code, with "+" if the package differs from it; "" outside a checkout."""
    folder = Path(mlpcw.__file__).parent
    git = functools.partial(
        subprocess.run, cwd=folder, capture_output=True, text=True, check=True, timeout=10
    )
    try:
        git(["git", "ls-files", "--error-unmatch", "__init__.py"])  # not of a checkout around it
        commit = git(["git", "rev-parse", "HEAD"]).stdout.strip()
        changed = git(["git", "status", "--porcelain", "--", "."]).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
    return commit + ("+" if changed else "")


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


# ---- Many runs ------------------------------------------------------------------------------


def default_executor(workers: int, data_dir: str | None = None) -> concurrent.futures.Executor:
    """New processes with one BLAS thread each.

    Args:
        workers: How many; 0 for one a core.
        data_dir: Folder of MNIST for the workers, or `None`.
    """
    # The threads of BLAS are counted when NumPy is loaded, before any code of ours runs there: the
    # variables must stand in the environment that the processes inherit.
    for name in _THREAD_VARIABLES:
        os.environ[name] = "1"
    if data_dir is not None:
        os.environ["MLPCW_DATA_DIR"] = str(data_dir)
    return _Processes(workers or num_cores())


class _Processes(concurrent.futures.ProcessPoolExecutor):
    """New processes, each of which ends with its parent, or at once when its work is cancelled.

    They hold one end of a pipe that nothing is ever sent through. It closes when the parent dies,
    however that happens, and when the parent closes it. Otherwise an interrupted parent would wait
    for runs under way that nobody asks for any more, and the workers of a killed one for ever.
    """

    def __init__(self, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        held, self._leash = context.Pipe(duplex=False)
        try:
            with _blocked_signals():
                super().__init__(workers, context, initializer=_end_with, initargs=(held,))
        except OSError as error:
            raise OSError(
                "no worker can be started, as its locks, which Linux keeps in /dev/shm, cannot be"
                f" made ({error.strerror}): make room there, or make it larger"
            ) from None

    def submit(self, *args: Any, **kwargs: Any) -> concurrent.futures.Future:
        with _blocked_signals():
            return super().submit(*args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if cancel_futures:
            self._leash.close()
        super().shutdown(wait, cancel_futures=cancel_futures)


@contextlib.contextmanager
def _blocked_signals() -> Iterator[None]:
    """Lets new processes inherit that they do not get what a terminal sends to all its processes.

    The leash ends workers, without tracebacks. The process of `multiprocessing` that watches over
    semaphores would be killed by a hangup, and complain when it is made anew.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with(leash: multiprocessing.connection.Connection) -> None:
    """Ends this process when the other end of `leash` is closed."""

    def watch() -> None:
        with contextlib.suppress(EOFError, OSError):
            leash.recv_bytes()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def num_cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def map(
    runs: Iterable[Run],
    executor: concurrent.futures.Executor | Callable[[], concurrent.futures.Executor],
    in_flight: int | None = None,
) -> Iterator[tuple[Run, Record | Exception]]:
    """Trains many runs, in any order, and yields each as it is finished.

    Args:
        runs: Arms and seeds.
        executor: Anything with `submit` of `concurrent.futures`; or a function that makes one,
            which is called again when a worker has died.
        in_flight: Runs handed to the executor at once; `None` for all.

    Yields:
        The run, and its record or the exception that ended it. When a worker dies, all runs in
        flight are lost and any may be to blame: each is tried again, alone, three times at most.
    """
    make = executor if callable(executor) else None
    pool = make() if make else executor
    waiting, suspects = collections.deque(runs), collections.deque()
    attempts = collections.Counter()
    futures: dict[concurrent.futures.Future, Run] = {}
    try:
        while waiting or suspects or futures:
            while waiting and len(futures) < (in_flight or math.inf):
                _submit(pool, waiting, futures)
            if suspects and not futures:
                _submit(pool, suspects, futures)
            finished, _ = concurrent.futures.wait(
                futures, return_when=concurrent.futures.FIRST_COMPLETED
            )
            outcomes = [(futures.pop(future), _outcome(future)) for future in finished]
            if make and any(isinstance(outcome, BrokenExecutor) for _, outcome in outcomes):
                outcomes += [(run, BrokenExecutor("lost with it")) for run in futures.values()]
                futures.clear()
                pool.shutdown(wait=False, cancel_futures=True)
                pool = make()
            for run, outcome in outcomes:
                attempts[run] += 1
                if make and isinstance(outcome, BrokenExecutor) and attempts[run] < ATTEMPTS:
                    suspects.append(run)
                else:
                    yield run, outcome
    finally:
        if make:
            pool.shutdown(wait=False, cancel_futures=bool(futures))


def _submit(pool: concurrent.futures.Executor, queue: collections.deque, futures: dict) -> None:
    run = queue.popleft()
    try:
        future = pool.submit(train, *run)
    except BrokenExecutor as error:  # a worker died between two runs
        future = concurrent.futures.Future()
        future.set_exception(error)
    futures[future] = run


def _outcome(future: concurrent.futures.Future) -> Record | Exception:
    try:
        return future.result()
    except Exception as error:
        return error


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
    """Seconds of one process that the runs not done will take, by those that are done.

    Returns:
        The seconds, 0 if all is done; `None` if nothing is done that could tell.
    """
    findings = list(findings)
    done = [each for each in findings if each.state is State.DONE]
    left = sum(cost(each.arm) for each in findings if each.state is not State.DONE)
    if left and not done:
        return None
    seconds = sum(each.record["seconds"]["wall"] for each in done)
    return left * seconds / sum(cost(each.arm) for each in done) if left else 0.0


def sweep(
    store: Store,
    wanted: Iterable[Finding],
    workers: int = 0,
    data_dir: str | None = None,
    progress: bool = False,
    executor: concurrent.futures.Executor | None = None,
) -> list[str]:
    """Trains what is not done, and stores each record as it comes.

    Args:
        store: Where the records go.
        wanted: Runs that the store has found; those done are left alone.
        workers: Processes to train in; 0 for one a core.
        data_dir: Folder of MNIST, or `None` for where `mnist.load` searches.
        progress: Whether to show a progress bar with the time left on stderr.
        executor: Trains elsewhere than in processes of this machine; `workers` and `data_dir` are
            then its own affair.

    Returns:
        A sentence for each run that failed.

    Raises:
        ValueError: If the store cannot be written to, or `workers` is negative.
        FileNotFoundError: If a run needs MNIST and it is not there.
    """
    checks.whole_number("workers", workers, low=0)
    lacking = [each for each in wanted if each.state is not State.DONE]
    runs = list(dict.fromkeys((each.arm, each.seed) for each in lacking))
    if not runs:
        return []
    store.check_writable()
    needs_mnist = executor is None and any(arm.data == "mnist" for arm, _ in runs)
    if needs_mnist and not mnist.available(data_dir):
        mnist.load(data_dir)  # raises, and says what to do: better once here than in each run
    workers = min(workers or num_cores(), len(runs))
    longest_first = sorted(runs, key=lambda run: -cost(run[0]))  # none is left alone at the end
    outcomes = map(
        longest_first,
        executor or functools.partial(default_executor, workers, data_dir),
        in_flight=None if executor else workers,
    )
    failures = []
    with contextlib.closing(outcomes), _progress_bar(runs, progress) as bar:
        for (arm, seed), outcome in outcomes:
            failure = _store(store, arm, seed, outcome)
            if failure:
                failures.append(failure)
            bar.update(cost(arm))
            bar.set_postfix_str(f"{arm.key}, seed {seed}")
    return failures


def _store(store: Store, arm: Arm, seed: int, outcome: Record | Exception) -> str:
    """Stores what came of a run; a sentence if that was an exception or cannot be stored, or ''."""
    if isinstance(outcome, RunFailedError):
        return str(outcome)
    if isinstance(outcome, BrokenExecutor):
        return (
            f"{arm.key} with seed {seed} failed: its process died, as it does where memory runs out"
            f" ({outcome})"
        )
    if isinstance(outcome, Exception):
        return f"{arm.key} with seed {seed} failed: {str(outcome) or type(outcome).__name__}"
    try:
        store.write(outcome)
    except (OSError, DamagedRecordError) as error:
        reason = getattr(error, "strerror", None) or error
        return f"{arm.key} with seed {seed} was trained, but not stored in {store.folder}: {reason}"
    return ""


class _Bar(tqdm.tqdm):
    """A bar whose time left is by a clock that nobody can set, and by all the work done so far."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._began = time.monotonic()
        super().__init__(*args, **kwargs)

    @property
    def format_dict(self) -> dict[str, Any]:
        return super().format_dict | {"elapsed": time.monotonic() - self._began, "rate": None}


@contextlib.contextmanager
def _progress_bar(runs: list[Run], shown: bool) -> Iterator[tqdm.tqdm]:
    """A bar over the work of all runs, whose clock ticks while long runs are under way."""
    finished = threading.Event()
    with _Bar(
        total=sum(cost(arm) for arm, _ in runs),
        desc=f"{len(runs)} runs",
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
