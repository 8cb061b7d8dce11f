"""Executors: many runs over any executor, and what goes wrong on the way.

Most of them run in this thread; a few are real processes, some of which are killed.
"""

import collections
import concurrent.futures
import functools
import os
import threading
import time
from concurrent.futures import BrokenExecutor

import pytest
import runs
from msgspec.structs import replace
from runs import Inline, tiny_arm, wait_until

from mlpcw.study.runs import executors

NAMES = ["a", "b", "c", "d", "e"]
RUNS = [(tiny_arm(name=name), 0) for name in NAMES]
POISON = (tiny_arm(name="poison"), 0)


def fake_train(arm, seed):
    """The name of the arm, in no time."""
    return arm.name


def collected(outcomes):
    return {arm.name: outcome for (arm, _), outcome in outcomes}


@pytest.mark.parametrize("in_flight", [None, 1, 2, 9])
def test_every_run_is_yielded_with_what_came_of_it(in_flight):
    assert collected(executors.map(fake_train, RUNS, Inline(), in_flight)) == {
        name: name for name in NAMES
    }


def test_no_runs_are_no_outcomes():
    assert list(executors.map(fake_train, [], Inline())) == []


def test_runs_are_yielded_as_they_finish():
    may_end = collections.defaultdict(threading.Event)

    def train(arm, seed):
        may_end[arm.name].wait(timeout=30)
        return arm.name

    with concurrent.futures.ThreadPoolExecutor(len(RUNS)) as executor:
        outcomes = executors.map(train, RUNS, executor)
        order = []
        for name in ("c", "a", "e", "d", "b"):
            may_end[name].set()
            order.append(next(outcomes)[1])
    assert order == ["c", "a", "e", "d", "b"]


def test_no_more_runs_than_asked_for_are_in_flight():
    under_way, most = [], []

    def train(arm, seed):
        under_way.append(arm)
        most.append(len(under_way))
        time.sleep(0.02)
        under_way.remove(arm)

    with concurrent.futures.ThreadPoolExecutor(5) as executor:
        assert len(list(executors.map(train, RUNS, executor, in_flight=2))) == len(RUNS)
    assert max(most) <= 2


def test_an_exception_is_passed_on_and_ends_no_other_run():
    def train(arm, seed):
        if arm.name == "c":
            raise ZeroDivisionError("c")
        return arm.name

    outcomes = collected(executors.map(train, RUNS, Inline()))
    assert isinstance(outcomes.pop("c"), ZeroDivisionError)
    assert outcomes == {name: name for name in NAMES if name != "c"}


class Fragile(concurrent.futures.Executor):
    """Breaks, and says so of all that is in flight, when a poisonous run is among it."""

    made = 0

    def __init__(self):
        type(self).made += 1
        self.in_flight, self.broken, self.lock = [], False, threading.Lock()

    def submit(self, function, /, arm, seed):
        if self.broken:
            raise BrokenExecutor("broken before")
        future = concurrent.futures.Future()
        with self.lock:
            self.in_flight.append((future, arm))
        threading.Timer(0.01, self.work).start()
        return future

    def work(self):
        with self.lock:
            in_flight, self.in_flight = self.in_flight, []
            self.broken |= any(self.is_poison(arm) for _, arm in in_flight)
        if self.broken:
            self.tell(in_flight)
        else:
            for future, arm in in_flight:
                future.set_result(arm.name)

    def tell(self, in_flight):
        for future, _ in in_flight:
            future.set_exception(BrokenExecutor("a worker died"))

    def is_poison(self, arm):
        return arm.name == "poison"

    def shutdown(self, wait=True, *, cancel_futures=False):
        self.broken = True


class Silent(Fragile):
    """Breaks, says so of the poisonous run alone and never another word of the others."""

    def tell(self, in_flight):
        super().tell([(future, arm) for future, arm in in_flight if self.is_poison(arm)])


class FragileOnce(Fragile):
    """Breaks the first time only, as where a worker was killed from outside."""

    def is_poison(self, arm):
        return type(self).made == 1


@pytest.fixture(autouse=True)
def none_made():
    Fragile.made = Silent.made = FragileOnce.made = BrokenAtFirst.made = 0


@pytest.mark.parametrize("executor", [Fragile, Silent])
@pytest.mark.parametrize("in_flight", [None, 1, 2, 3])
@pytest.mark.parametrize("place", [0, 2, 5])
def test_a_run_that_kills_its_worker_takes_no_other_with_it(executor, in_flight, place):
    wanted = [*RUNS[:place], POISON, *RUNS[place:]]
    outcomes = collected(executors.map(fake_train, wanted, executor, in_flight))
    assert isinstance(outcomes.pop("poison"), BrokenExecutor)
    assert outcomes == {name: name for name in NAMES}


def test_a_run_that_kills_its_worker_is_tried_three_times():
    list(executors.map(fake_train, [POISON], Fragile))
    assert Fragile.made == 1 + 3  # the first, and one after each death


def test_each_of_two_runs_that_kill_their_worker_is_found():
    other = (replace(POISON[0], name="poison"), 1)
    outcomes = dict(executors.map(fake_train, [POISON, *RUNS, other], Fragile))
    assert isinstance(outcomes.pop(POISON), BrokenExecutor)
    assert isinstance(outcomes.pop(other), BrokenExecutor)
    assert sorted(outcomes.values()) == NAMES


def test_a_worker_that_is_killed_once_costs_nothing_but_time():
    assert collected(executors.map(fake_train, RUNS, FragileOnce)) == {name: name for name in NAMES}
    assert FragileOnce.made == 2


def test_an_executor_that_cannot_be_made_anew_is_not_tried_again():
    outcomes = collected(executors.map(fake_train, [POISON, *RUNS], Fragile()))
    assert all(isinstance(outcome, BrokenExecutor) for outcome in outcomes.values())
    assert Fragile.made == 1


class BrokenAtFirst(runs.Inline):
    """Breaks before it takes its first run."""

    made = 0

    def __init__(self):
        type(self).made += 1
        self.broken = self.made == 1

    def submit(self, function, /, *args):
        if self.broken:
            raise BrokenExecutor("a worker died between two runs")
        return super().submit(function, *args)


def test_a_worker_that_dies_between_two_runs_costs_nothing_but_time():
    assert collected(executors.map(fake_train, RUNS, BrokenAtFirst)) == {
        name: name for name in NAMES
    }
    assert BrokenAtFirst.made == 2


# ---- Real processes -------------------------------------------------------------------------


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_processes_have_one_thread_each_and_survive_a_run_that_kills_them(environment):
    make = functools.partial(executors.default_executor, 2)
    outcomes = collected(executors.map(runs.deadly_train, [POISON, *RUNS[:2]], make, in_flight=2))
    assert isinstance(outcomes.pop("poison"), BrokenExecutor)
    assert {name: told["name"] for name, told in outcomes.items()} == {"a": "a", "b": "b"}
    assert os.getpid() not in {told["pid"] for told in outcomes.values()}
    assert [told["threads"] for told in outcomes.values()] == [{1}, {1}]


def test_processes_end_when_there_is_nothing_left_to_do(environment):
    with executors.default_executor(1) as pool:  # leaving it waits for them
        assert pool.submit(os.getpid).result() != os.getpid()


def test_runs_that_nobody_asks_for_any_more_are_ended(environment):
    wanted = [(tiny_arm(name="quick"), 0), (tiny_arm(name="endless"), 0)]
    pools = []  # not left to the garbage collector, which would end their processes too

    def make():
        pools.append(executors.default_executor(1))
        return pools[-1]

    outcomes = executors.map(runs.endless_train, wanted, make, in_flight=2)
    _, outcome = next(outcomes)
    assert is_running(outcome["pid"])
    outcomes.close()
    assert wait_until(lambda: not is_running(outcome["pid"]))


def test_workers_are_told_the_folder_of_mnist(environment):
    executor = executors.default_executor(1, "/somewhere")
    executor.shutdown()
    assert os.environ["MLPCW_DATA_DIR"] == "/somewhere"


def test_the_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert executors.num_cores() == 3


def test_where_affinity_is_not_known_all_cores_count(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert executors.num_cores() == 6
