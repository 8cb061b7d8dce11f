"""Small runs for the tests of the study: an arm on the digits that trains in a blink."""

import concurrent.futures
import copy
import functools
import os
import time

import threadpoolctl

from mlpcw import mnist
from mlpcw.study import arms, runner, store, training


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
    return runner.train(arm, seed)


def apart_from_times(record: dict) -> dict:
    """A record without what differs between two trainings of the same run."""
    return {name: record[name] for name in record if name not in ("provenance", "seconds")}


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
    names = [*store.CURVES, *(store.CLEAN_CURVES if arm.augmentation else ())]
    return {
        "schema": store.SCHEMA,
        "arm": arm.to_json(),
        "seed": seed,
        "curves": {"epoch": epochs, **{name: [0.5] * len(epochs) for name in names}},
        "test": {"error": 0.25, "acc": 0.75},
        "weights": {"bin_width": 0.0025, "first_bin": -1, "counts": [1, 2, 3]},
        "probe": training.probe(arm),
        "seconds": {"wall": 1.5, "cpu": 1.25},
        "provenance": {"data": arm.data, "data_digest": mnist.digits().digest},
    }


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


def endless_train(arm: arms.Arm, seed: int) -> dict:
    """Returns at once for "quick", and in five minutes for any other."""
    if arm.name != "quick":
        time.sleep(300)
    return {"pid": os.getpid()}
