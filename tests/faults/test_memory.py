"""Workers that die, or find no memory: the run is named, the others are stored."""

from pathlib import Path

import pytest
import runs
import sweeps

from mlpcw.study.pages.stored import open_store
from mlpcw.study.records.store import State
from mlpcw.study.runs import executors
from mlpcw.study.runs import train as training
from mlpcw.study.runs.sweep import sweep

KINDS = {
    "dies": (
        runs.killed_train,
        "failed: its process died, as it does when memory runs out (",
    ),
    "finds no memory": (runs.starved_train, "failed: Unable to allocate "),
}


@pytest.mark.trust_row(
    what="A worker that dies, or finds no memory",
    held="Its run is named, and all others are stored.",
    faults=("runs without memory",),
)
@pytest.mark.parametrize(("train", "sentence"), KINDS.values(), ids=KINDS)
def test_a_run_whose_memory_runs_out_is_named_and_the_others_are_stored(
    tmp_path, monkeypatch, environment, counts, train, sentence
):
    if train is runs.starved_train and not Path("/proc/self/statm").exists():
        pytest.skip("the memory that a process has is known on Linux only")
    kept = open_store("quick", tmp_path, 1)
    monkeypatch.setattr(training, "train", train)
    findings = kept.find_all(["part1"], 1)
    failures = sweep(kept, findings, workers=2)
    (failure,) = failures
    assert failure.startswith(f"part1/{runs.VICTIM} with seed 0 {sentence}")
    states = {run.arm.name: run.state for run in kept.find_all(["part1"], 1)}
    assert states.pop(runs.VICTIM) is State.MISSING
    assert set(states.values()) == {State.DONE}
    assert sweeps.temporary_files(tmp_path) == []
    counts["runs without memory"] += 1
    counts["runs beside them"] += len(states)


@pytest.mark.trust_row(
    what="Workers that cannot start",
    held="Every run is named, and the sweep ends.",
)
def test_workers_that_cannot_even_start_fail_every_run_and_end(
    tmp_path, monkeypatch, environment, counts
):
    kept = open_store("quick", tmp_path, 1)
    monkeypatch.setattr(executors, "_end_with", runs.die)
    failures = sweep(kept, kept.find_all(["part1"], 1)[:2], workers=2)
    assert len(failures) == 2
    assert all("failed: its process died" in failure for failure in failures)
    counts["runs without a worker"] += 2
