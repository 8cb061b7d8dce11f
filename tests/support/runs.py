"""Small runs for the tests of the study: an arm on the digits that trains in a blink."""

import concurrent.futures
import copy
import functools
import os
import resource
import time
from pathlib import Path

import click.testing
import msgspec
import threadpoolctl

from mlpcw import compiled, mnist
from mlpcw.__main__ import main
from mlpcw.study import chapters
from mlpcw.study.pages.stored import open_store
from mlpcw.study.records.arms import Arm
from mlpcw.study.records.provenance import provenance
from mlpcw.study.records.record import CLEAN_CURVES, CURVES, SCHEMA, Record
from mlpcw.study.records.store import Store
from mlpcw.study.runs import freshness
from mlpcw.study.runs import train as training


def tiny_arm(**changes) -> Arm:
    """Two epochs of a small network on the digits; `changes` are fields of the arm."""
    fields = dict(part="part1", name="tiny", data="digits", protocol="paired")
    fields |= dict(batch_size=50, num_epochs=2, stats_interval=1, hidden_dims=(5,))
    return Arm(**(fields | changes))


def quick_arm(key: str = "part1/none", num_epochs: int = 1) -> Arm:
    """An arm of the quick profile, one epoch long."""
    return chapters.find("quick", key, num_epochs)


def record_of(arm: Arm, seed: int = 0) -> Record:
    """The record of a run; a new copy at every call, but trained once."""
    return copy.deepcopy(_trained(arm, seed))


@functools.cache
def _trained(arm: Arm, seed: int) -> Record:
    return _train(arm, seed)


def apart_from_times(record: Record) -> Record:
    """A record without what differs between two trainings of the same run."""
    return {name: record[name] for name in record if name not in ("provenance", "seconds")}


_train = training.train  # also if a test has replaced it


class Inline(concurrent.futures.Executor):
    """An executor that calls in this thread, at once."""

    def submit(self, function, /, *args, **kwargs):
        future = concurrent.futures.Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def forged(arm: Arm, seed: int = 0) -> Record:
    """A whole and fresh record of a run that was never trained."""
    epochs = list(range(0, arm.num_epochs + 1, arm.stats_interval))
    counts = [1, 2, arm.num_first_weights - 3]
    names = [*CURVES, *(CLEAN_CURVES if arm.augmentation else ())]
    return {
        "schema": SCHEMA,
        "arm": msgspec.to_builtins(arm),
        "seed": seed,
        "curves": {"epoch": epochs, **{name: [0.5] * len(epochs) for name in names}},
        "test": {"error": 0.25, "acc": 0.75},
        "weights": {"bin_width": 0.0025, "first_bin": -1, "counts": counts},
        "probe": copy.deepcopy(freshness.known_probe(arm)),
        "seconds": {"wall": 1.5, "cpu": 1.25},
        "provenance": provenance(arm.data, mnist.digits().digest, compiled.enabled()),
    }


def outdated(arm: Arm, seed: int = 0) -> Record:
    """A whole record by code that did something else."""
    return forged(arm, seed) | {"probe": freshness.known_probe(arm) | {"loss": 1.0}}


def quick_store(folder) -> Store:
    """A folder in which all runs of the quick profile are stored and good."""
    kept = open_store("quick", folder)
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


def deadly_train(arm: Arm, seed: int) -> dict:
    """What a worker can say of itself; one named "poison" kills its worker."""
    if arm.name == "poison":
        os._exit(1)
    threads = {info["num_threads"] for info in threadpoolctl.threadpool_info()}
    return {"name": arm.name, "pid": os.getpid(), "threads": threads}


VICTIM = "l2_1e-2"
"""Name of the arm that something happens to."""


def killed_train(arm: Arm, seed: int) -> Record:
    """Ends its process as the system does if memory is short, for one arm."""
    if arm.name == VICTIM:
        os._exit(137)
    return forged(arm, seed)


def starved_train(arm: Arm, seed: int) -> Record:
    """Really runs out of memory for one arm: the process may have a little more than it has."""
    if arm.name == VICTIM:
        pages = int(Path("/proc/self/statm").read_text("utf-8").split()[0])
        limits = resource.getrlimit(resource.RLIMIT_AS)
        most = pages * resource.getpagesize() + 2**24
        resource.setrlimit(resource.RLIMIT_AS, (most, limits[1]))
        try:
            return _train(msgspec.structs.replace(arm, hidden_dims=(20_000,)), seed)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, limits)
    return forged(arm, seed)


def die(leash) -> None:
    """In place of the first thing that a worker does."""
    os._exit(1)


def endless_train(arm: Arm, seed: int) -> dict:
    """Returns at once for "quick", and in five minutes for any other."""
    if arm.name != "quick":
        time.sleep(300)
    return {"pid": os.getpid()}
