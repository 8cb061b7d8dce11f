"""How much sooner two workers are done than one: eight runs through `executors.map`, by the clock.

Run as `python benchmarks/workers.py`, on a machine that does nothing else.
"""

import functools
import time

from msgspec.structs import replace

from mlpcw import mnist
from mlpcw.study import chapters
from mlpcw.study.runs import executors, train

NUM_RUNS, REPEATS = 8, 2
EPOCHS = {"mnist": 6, "digits": 300}  # some seconds a run: much longer than a worker takes to start


def runs():
    """Eight runs that take equally long."""
    data = "mnist" if mnist.available() else "digits"
    arm = replace(chapters.find("full", "part1/none", EPOCHS[data]), data=data, protocol="paired")
    return [(arm, seed) for seed in range(NUM_RUNS)]


def seconds_with(workers):
    """Seconds, by the clock, until all runs are done."""
    executor = functools.partial(executors.default_executor, workers)
    start = time.perf_counter()
    for (arm, seed), outcome in executors.map(train.train, runs(), executor, in_flight=workers):
        if isinstance(outcome, Exception):
            raise SystemExit(f"{arm.key} with seed {seed} failed: {outcome}")
    return time.perf_counter() - start


def measure():
    """Seconds by the number of workers, each the best of several times, in turn."""
    rounds = [{workers: seconds_with(workers) for workers in (1, 2)} for _ in range(REPEATS)]
    return {workers: min(times[workers] for times in rounds) for workers in (1, 2)}


if __name__ == "__main__":
    times = measure()
    print(f"{NUM_RUNS} runs: {times[1]:.1f} s with one worker, {times[2]:.1f} s with two,")
    print(f"{times[1] / times[2]:.2f} x (to reach: 1.85 x)")
