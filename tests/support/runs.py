"""Small runs for the tests of the study: an arm on the digits that trains in a blink."""

import concurrent.futures
import copy
import dataclasses
import functools
import os
import resource
import time
from pathlib import Path

import click.testing
import threadpoolctl

from mlpcw import mnist
from mlpcw.__main__ import main
from mlpcw.study.records import arms, store
from mlpcw.study.runs import set_up as training
from mlpcw.study.runs import sweep as runner


def tiny_arm(**changes) -> arms.Arm:
    """Two epochs of a small network on the digits; `changes` are fields of the arm."""
    fields = dict(part="part1", name="tiny", data="digits", protocol="paired")
    fields |= dict(batch_size=50, num_epochs=2, stats_interval=1, hidden_dims=(5,))
    return arms.Arm(**(fields | changes))


def quick_arm(key: str = "part1/none", num_epochs: int = 1) -> arms.Arm:
    """An arm of the quick profile, one epoch long."""
    return arms.find("quick", key, num_epochs)


def record_of(arm: arms.Arm, seed: int = 0) -> dict:
    """The record of a run; a new copy at every call, but trained once."""
    return copy.deepcopy(_trained(arm, seed))


@functools.cache
def _trained(arm: arms.Arm, seed: int) -> dict:
    return _train(arm, seed)


def apart_from_times(record: dict) -> dict:
    """A record without what differs between two trainings of the same run."""
    return {name: record[name] for name in record if name not in ("provenance", "seconds")}


_train = runner.train  # also where a test has put another in its place


class Inline(concurrent.futures.Executor):
    """An executor that calls in this thread, at once."""

    def submit(self, function, /, *args, **kwargs):
        future = concurrent.futures.Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def forged(arm: arms.Arm, seed: int = 0) -> dict:
    """A whole and fresh record of a run that nobody trained."""
    epochs = list(range(0, arm.num_epochs + 1, arm.stats_interval))
    counts = [1, 2, training.num_first_weights(arm) - 3]
    names = [*store.CURVES, *(store.CLEAN_CURVES if arm.augmentation else ())]
    return {
        "schema": store.SCHEMA,
        "arm": arm.to_json(),
        "seed": seed,
        "curves": {"epoch": epochs, **{name: [0.5] * len(epochs) for name in names}},
        "test": {"error": 0.25, "acc": 0.75},
        "weights": {"bin_width": 0.0025, "first_bin": -1, "counts": counts},
        "probe": copy.deepcopy(training.probe(arm)),
        "seconds": {"wall": 1.5, "cpu": 1.25},
        "provenance": runner.provenance(mnist.digits()) | {"data": arm.data},
    }


def outdated(arm: arms.Arm, seed: int = 0) -> dict:
    """A whole record by code that did something else."""
    return forged(arm, seed) | {"probe": training.probe(arm) | {"loss": 1.0}}


def quick_store(folder) -> store.Store:
    """A folder in which all runs of the quick profile are stored and good."""
    kept = store.Store(folder, "quick")
    for finding in kept.find_all():
        kept.write(forged(finding.arm, finding.seed))
    return kept


def command(*arguments, status: int = 0) -> click.testing.Result:
    """Runs a command in this process and checks its exit status; what it printed."""
    result = click.testing.CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result


def wait_until(condition, seconds: float = 120) -> bool:
    """Waits for a condition; whether it came true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


# ---- Trainings that worker processes find by their name -------------------------------------


def deadly_train(arm: arms.Arm, seed: int) -> dict:
    """What a worker can say of itself; one named "poison" kills its worker."""
    if arm.name == "poison":
        os._exit(1)
    threads = {info["num_threads"] for info in threadpoolctl.threadpool_info()}
    return {"name": arm.name, "pid": os.getpid(), "threads": threads}


VICTIM = "l2_1e-2"
"""Name of the arm that something happens to."""


def killed_train(arm: arms.Arm, seed: int) -> dict:
    """Ends its process as the system does where memory is short, for one arm."""
    if arm.name == VICTIM:
        os._exit(137)
    return forged(arm, seed)


def starved_train(arm: arms.Arm, seed: int) -> dict:
    """Really runs out of memory for one arm: the process may have a little more than it has."""
    if arm.name == VICTIM:
        pages = int(Path("/proc/self/statm").read_text("utf-8").split()[0])
        limits = resource.getrlimit(resource.RLIMIT_AS)
        most = pages * resource.getpagesize() + 2**24
        resource.setrlimit(resource.RLIMIT_AS, (most, limits[1]))
        try:
            return _train(dataclasses.replace(arm, hidden_dims=(20_000,)), seed)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, limits)
    return forged(arm, seed)


def die(leash) -> None:
    """In the place of what a worker does first."""
    os._exit(1)


def endless_train(arm: arms.Arm, seed: int) -> dict:
    """Returns at once for "quick", and in five minutes for any other."""
    if arm.name != "quick":
        time.sleep(300)
    return {"pid": os.getpid()}
