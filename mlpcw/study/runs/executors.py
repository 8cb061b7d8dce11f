"""Executors: one call for many runs, in processes of this machine or wherever else.

A task carries an arm and a seed and nothing more; a worker reads the data itself, once. So any
executor with the interface of `concurrent.futures` will do. The default one starts new processes
with one BLAS thread each.
"""

import collections
import concurrent.futures
import contextlib
import math
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any

from mlpcw.study.records.arms import Arm
from mlpcw.study.records.record import Record

Run = tuple[Arm, int]

ATTEMPTS = 3
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
THREAD_VARIABLES += ("VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS")


def default_executor(workers: int, data_dir: str | None = None) -> Executor:
    """New processes with one BLAS thread each.

    Args:
        workers: How many; 0 for one a core.
        data_dir: Folder of MNIST for the workers, or `None`.
    """
    # BLAS counts its threads when NumPy is loaded, before any code of ours runs there: the
    # variables must be in the environment that the processes inherit.
    for name in THREAD_VARIABLES:
        os.environ[name] = "1"
    if data_dir is not None:
        os.environ["MLPCW_DATA_DIR"] = str(data_dir)
    return _Processes(workers or num_cores())


def num_cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class _Processes(concurrent.futures.ProcessPoolExecutor):
    """New processes, each of which ends with its parent, or at once when its work is cancelled.

    They hold one end of a pipe that carries no data. It closes when the parent dies, however that
    happens, and when the parent closes it. Otherwise an interrupted parent would wait for runs
    that nobody needs any more, and the workers of a killed one would never end.
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

    def submit(self, *args: Any, **kwargs: Any) -> Future:
        with _blocked_signals():
            return super().submit(*args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if cancel_futures:
            self._leash.close()
        super().shutdown(wait, cancel_futures=cancel_futures)


@contextlib.contextmanager
def _blocked_signals() -> Iterator[None]:
    """New processes inherit that they do not get the signals a terminal sends to all of them.

    The leash ends workers, without tracebacks. The process of `multiprocessing` that tracks
    semaphores would be killed by a hangup, and complain when it is started again.
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


def map(
    train: Callable[[Arm, int], Record],
    runs: Iterable[Run],
    executor: Executor | Callable[[], Executor],
    in_flight: int | None = None,
) -> Iterator[tuple[Run, Record | Exception]]:
    """Trains many runs, in any order, and yields each as it is finished.

    Args:
        train: What is called with an arm and a seed.
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
    futures: dict[Future, Run] = {}
    try:
        while waiting or suspects or futures:
            while waiting and len(futures) < (in_flight or math.inf):
                run = waiting.popleft()
                futures[_submit(pool, train, run)] = run
            if suspects and not futures:
                run = suspects.popleft()
                futures[_submit(pool, train, run)] = run
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


def _submit(pool: Executor, train: Callable[[Arm, int], Record], run: Run) -> Future:
    try:
        return pool.submit(train, *run)
    except BrokenExecutor as error:  # a worker died between two runs
        future = Future()
        future.set_exception(error)
        return future


def _outcome(future: Future) -> Record | Exception:
    try:
        return future.result()
    except Exception as error:
        return error
