"""Time mlpcw and its peers on the same work, in turn, and make a row of each pair.

What counts is the ratio of two times measured in turn, in one process, on one thread. Times are
CPU times of this process, which other work on the machine disturbs little, and the best of several
rounds. Work that takes seconds gets fewer rounds.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from unittest import mock

import numpy as np
from threadpoolctl import threadpool_limits

from mlpcw import compiled
from mlpcw.study.pages.measurements import Number, Row, Work

ROUNDS = 30
SECONDS_A_ROUND = 0.005  # many short rounds: on a busy machine some of them are left in peace
FEWEST_ROUNDS = 5
SECONDS = 30.0  # once they have passed, the fewest rounds are enough
TOLERANCES = {"float64": 1e-10, "float32": 1e-4}


class Peer(NamedTuple):
    """Code that does the same work.

    Attributes:
        name: Its name.
        kind: Kind of peer, of `measurements.KINDS`.
        run: Does the work.
        at_least: Ratio of its time to that of mlpcw aimed at, or `None`.
        bound: Why mlpcw is not faster, as known from measurements.
        calls: Number of calls of `run` that are as much as the work.
    """

    name: str
    kind: str
    run: Callable[[], object]
    at_least: float | None = None
    bound: str = ""
    calls: float = 1.0


def without_kernels(call: Callable[[], object], at_least: float | None = None) -> Peer:
    """The same call, told that Numba is not installed."""

    def run() -> object:
        with mock.patch.object(compiled, "enabled", lambda: False):
            return call()

    return Peer("no kernels", "plain", run, at_least)


def compare(
    work: Work,
    run: Callable[[], object],
    peers: Sequence[Peer],
    limit: str = "",
    least: float = 0,
    amount: int = 1,
) -> Iterator[Row]:
    """Times mlpcw and peers in turn, and yields a row a peer.

    Args:
        work: The work.
        run: Does the work with mlpcw.
        peers: Peers that do the same work.
        limit: Name of the limit of the machine that bounds the work.
        least: Seconds that the work takes at that limit.
        amount: How often a call does the work, such as the images of a batch.
    """
    calls = [run, *(peer.run for peer in peers)]
    seconds, *times = (seconds / amount for seconds in best_times(calls))
    for peer, peer_seconds in zip(peers, times, strict=True):
        yield row(work, seconds, peer, peer.calls * peer_seconds, limit, least)


def row(
    work: Work, seconds: float, peer: Peer, peer_seconds: float, limit: str = "", least: float = 0
) -> Row:
    """A row of two times, to four digits; the arguments are those of `compare`."""
    return Row(
        work=work,
        seconds=digits(seconds),
        kind=peer.kind,
        peer=peer.name,
        peer_seconds=digits(peer_seconds),
        at_least=None if peer.at_least is None else digits(peer.at_least),
        limit=limit,
        share=digits(least / seconds) if limit else None,
        bound=peer.bound,
    )


def number(
    name: str, meaning: str, value: float, unit: str, at_most: float | None = None
) -> Number:
    """A number, to four digits."""
    at_most = None if at_most is None else digits(at_most)
    return Number(name=name, meaning=meaning, value=digits(value), unit=unit, at_most=at_most)


def digits(value: float) -> float:
    """A number to four digits: no more of them are the same in the next measurement."""
    return float(f"{value:.4g}")


def best_times(functions: Sequence[Callable[[], object]]) -> list[float]:
    """CPU seconds of one call of each function, on one BLAS thread; they are called in turn."""
    # Once one large array is freed, glibc keeps what is freed later, up to twice its size. Else a
    # call may ask the system for the same pages again, which can take longer than its work.
    np.empty(31 * 2**20, np.uint8)
    with threadpool_limits(limits=1):
        calls = [max(1, round(SECONDS_A_ROUND / (_time(call, 1) + 1e-9))) for call in functions]
        rounds, start = [], time.perf_counter()
        while len(rounds) < ROUNDS:
            rounds.append([_time(*pair) for pair in zip(functions, calls, strict=True)])
            if len(rounds) >= FEWEST_ROUNDS and time.perf_counter() - start > SECONDS:
                break
    return [min(times) for times in zip(*rounds, strict=True)]


def _time(function: Callable[[], object], num_calls: int) -> float:
    start = time.process_time()
    for _ in range(num_calls):
        function()
    return (time.process_time() - start) / num_calls


def check_agreement(name: str, result: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    """Raises `SystemExit` if two arrays differ by more than a fraction of the largest magnitude."""
    difference = np.abs(result - expected).max() / np.abs(expected).max()
    if not difference <= tolerance:
        raise SystemExit(f"{name}: results differ by {difference:.1e}, more than {tolerance:.0e}")
