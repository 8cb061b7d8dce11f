"""Sweeps that are killed, interrupted, or not alone: the same command carries on and ends the same.

"The same" is to the byte, but for the times and the provenance of a record.
"""

import contextlib
import itertools
import os
import re
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import sweeps
from runs import quick_store, wait_until

from mlpcw.study.records.store import State

LONGEST = 3.0  # seconds; about what a whole sweep takes

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="workers: Linux only")


def wait_for_a_moment(process, folder, rng):
    """Waits for some time; or until some records are stored; or until one is being written."""
    kind = rng.integers(3)
    if kind == 0:
        time.sleep(rng.uniform(0.1, LONGEST))
    elif kind == 1:
        enough = rng.integers(1, sweeps.NUM_RUNS)
        wait_until(
            lambda: process.poll() is not None or len(list(folder.rglob("*.json"))) >= enough
        )
        time.sleep(rng.uniform(0, 0.1))
    else:
        end = time.monotonic() + LONGEST
        while process.poll() is None and time.monotonic() < end:
            if sweeps.temporary_files(folder):
                break


def kill_a_worker(process, rng):
    """Whether there was one to kill."""
    workers = sweeps.workers_of(process)
    if workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(rng.choice(workers), signal.SIGKILL)
    return bool(workers)


def stop(process, number):
    """Ends the sweep by a signal, and waits for all its processes; whether it was under way."""
    if process.poll() is not None:
        return False
    process.send_signal(number)
    process.wait(timeout=60)
    assert wait_until(lambda: sweeps.is_gone(process))
    return True


@pytest.mark.trust_row(
    what="Sweeps killed or interrupted at random moments",
    held=(
        "What was stored stays as it was. The same command carries on, and its results equal "
        "those of an undisturbed sweep to the byte."
    ),
    faults=("kills of the parent", "kills of a worker", "interrupts"),
)
@needs_proc
def test_a_sweep_killed_at_random_moments_ends_as_if_it_had_not_been(
    tmp_path, undisturbed, counts, full_version
):
    rng = np.random.default_rng(24102016)
    ways = itertools.cycle(
        [*("kills of the parent", "kills of a worker") * 2, "kills of the parent", "interrupts"]
    )
    kills_left = 100 if full_version else 4
    while kills_left:
        folder = tmp_path / str(counts["sweeps brought to their end"])
        good, left, out = {}, 0, None
        while not out:
            with sweeps.started(folder) as process:
                if kills_left:
                    wait_for_a_moment(process, folder, rng)
                    how = next(ways)
                    if how == "kills of a worker":
                        hit = kill_a_worker(process, rng)
                    else:
                        number = signal.SIGINT if how == "interrupts" else signal.SIGKILL
                        hit = stop(process, number)
                    counts[how] += hit
                    kills_left -= hit and how != "interrupts"
                if process.returncode is None:
                    out, err = process.communicate(timeout=300)
            counts["kills in the middle of a write"] += len(sweeps.temporary_files(folder)) - left
            left = len(sweeps.temporary_files(folder))
            assert {run.state for run in sweeps.findings(folder)} <= {State.DONE, State.MISSING}
            now = sweeps.good_files(folder)
            assert {path: now[path] for path in good} == good  # what is done is not done again
            good = now
        assert process.returncode == 0, err
        assert out == f"7 of 7 runs are stored in {folder}/quick-1-epochs\n"
        assert sweeps.contents(folder) == undisturbed
        counts["sweeps brought to their end"] += 1


@pytest.mark.trust_row(
    what="Two sweeps at once on one folder",
    held=(
        "Both end with exit status 0. The results equal those of an undisturbed sweep to the "
        "byte; nothing temporary is left."
    ),
)
def test_two_sweeps_at_once_on_one_folder_end_well(tmp_path, undisturbed, counts, full_version):
    for number in range(5 if full_version else 1):
        folder = tmp_path / str(number)
        with sweeps.started(folder) as one, sweeps.started(folder) as other:
            for process in (one, other):
                out, err = process.communicate(timeout=300)
                assert process.returncode == 0, err
                assert out == f"7 of 7 runs are stored in {folder}/quick-1-epochs\n"
        assert sweeps.contents(folder) == undisturbed
        assert sweeps.temporary_files(folder) == []
        counts["pairs of sweeps"] += 1


RUN = ("run", "part1", "--profile", "quick", "--epochs", "3000")
VERIFY = ("verify", "--profile", "quick", "--retrain", "69")
REPLAY = ("replay", "part1/none", "--epochs", "50")


@pytest.mark.trust_row(
    what="A long `run`, `verify --retrain` or `replay`, interrupted, terminated or hung up",
    held=(
        "It ends with exit status 128 + the number of the signal, and none of its processes, "
        "locks and temporary files is left."
    ),
)
@needs_proc
@pytest.mark.parametrize(
    ("arguments", "number", "send"),
    [
        (RUN, signal.SIGINT, os.kill),
        (RUN, signal.SIGINT, os.killpg),
        (RUN, signal.SIGTERM, os.kill),
        (RUN, signal.SIGHUP, os.killpg),
        (VERIFY, signal.SIGTERM, os.killpg),
        (VERIFY, signal.SIGHUP, os.kill),
        pytest.param(REPLAY, signal.SIGTERM, os.kill, marks=pytest.mark.needs_mnist),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else getattr(value, "__name__", None),
)
def test_an_interrupted_sweep_ends_at_once_with_its_workers(
    tmp_path, counts, arguments, number, send
):
    results, temporary = tmp_path / "results", tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "mlpcw", *arguments]
    if arguments is not REPLAY:
        command += ["--results", str(results)]
        quick_store(results)
    before = sorted(results.rglob("*"))
    with sweeps.started(
        results, arguments=command, env=os.environ | {"TMPDIR": str(temporary)}
    ) as process:
        assert wait_until(lambda: sweeps.workers_of(process))
        time.sleep(1)
        locks = sweeps.locks_left(process)
        assert locks()
        assert len(list(temporary.iterdir())) == (arguments is not RUN)
        send(process.pid, number)
        time.sleep(0.03)
        send(process.pid, number)  # from somebody impatient, or from `timeout`, and to all of them
        _, err = process.communicate(timeout=60)
        assert process.returncode == 128 + number
        assert wait_until(lambda: sweeps.is_gone(process))
    assert all(re.match(r"\d+ runs: ", line) for line in err.splitlines() if line), err  # the bar
    assert list(temporary.iterdir()) == []
    assert not locks()
    made = {path for path in results.rglob("*") if path.is_file()} - {*before}
    assert made == set()
    counts["interrupts"] += 1
