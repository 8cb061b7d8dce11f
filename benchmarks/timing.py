"""What all benchmarks share: how two ways to do the same work are compared.

What counts is the ratio of two times measured in turn, in one process, on one thread. Times are
CPU times of this process, so that other work on the machine disturbs them less, and the best of
several rounds. Work that takes seconds gets fewer rounds.
"""

import time
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

ROUNDS = 30
SECONDS_A_ROUND = 0.005  # many short rounds: on a busy machine some of them are left in peace
FEWEST_ROUNDS = 5
SECONDS = 30.0  # once they have passed, the fewest rounds are enough


def best_times(functions: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Returns the CPU seconds that one call of each function takes, on one BLAS thread.

    Args:
        functions: What to time, by name. They are called in turn, in every round.
    """
    # Once one large array is freed, glibc keeps what is freed later, up to twice its size. Else a
    # call may ask the system for the same pages again, which can take longer than its work.
    np.empty(31 * 2**20, np.uint8)
    with threadpool_limits(limits=1):
        calls = {
            name: max(1, round(SECONDS_A_ROUND / (_time(function, 1) + 1e-9)))
            for name, function in functions.items()
        }
        rounds, start = [], time.perf_counter()
        while len(rounds) < ROUNDS:
            rounds.append({name: _time(call, calls[name]) for name, call in functions.items()})
            if len(rounds) >= FEWEST_ROUNDS and time.perf_counter() - start > SECONDS:
                break
    return {name: min(times[name] for times in rounds) for name in functions}


def _time(function: Callable[[], object], num_calls: int) -> float:
    start = time.process_time()
    for _ in range(num_calls):
        function()
    return (time.process_time() - start) / num_calls


def check_agreement(name: str, result: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    """Raises `SystemExit` if a result is further from what is expected than its size allows.

    Args:
        name: What is compared, for the message.
        result: Array of any shape.
        expected: Array of the same shape.
        tolerance: Largest difference allowed, as a fraction of the largest expected magnitude.
    """
    difference = np.abs(result - expected).max() / np.abs(expected).max()
    if not difference <= tolerance:
        raise SystemExit(f"{name}: results differ by {difference:.1e}, more than {tolerance:.0e}")
