"""Clocks that jump: no record has odd seconds, and the time left stays a time."""

import itertools
import os
import re

import pytest
import sweeps
from runs import Inline

from mlpcw.study.records.store import State
from mlpcw.study.runs import sweep as runner

JUMPING = """
import itertools, time

def jumping(clock):
    calls = itertools.count()
    return lambda: clock() - 3600 * next(calls)  # at every call an hour earlier

for name in ("time", "perf_counter", "process_time"):
    setattr(time, name, jumping(getattr(time, name)))
"""


@pytest.mark.trust_row(
    what="Clocks that jump back at every reading",
    held=(
        "The results equal those of an undisturbed sweep to the byte. No time is below 0, and the"
        " time left is a time."
    ),
)
def test_clocks_that_jump_back_in_parent_and_workers_spoil_nothing(tmp_path, undisturbed, counts):
    (tmp_path / "sitecustomize.py").write_text(JUMPING, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    folder = tmp_path / "results"
    status, out, err = sweeps.ended(folder, env=os.environ | {"PYTHONPATH": path})
    assert (status, out) == (0, f"7 of 7 runs are stored in {folder}/quick-1-epochs\n"), err
    assert sweeps.contents(folder) == undisturbed
    findings = sweeps.found(folder)
    # An hour lies between the two readings of a clock, so the jumps did reach the workers.
    assert {each.record["seconds"]["wall"] for each in findings} == {0.0}
    assert {each.record["seconds"]["cpu"] for each in findings} == {0.0}
    bars = re.findall(r"(\S+) so far, (\S+) left", err)
    assert bars
    assert all(re.fullmatch(r"[0-5]\d:[0-5]\d", so_far) for so_far, _ in bars)
    assert all(re.fullmatch(r"[0-5]\d:[0-5]\d|\?", left) for _, left in bars)
    findings[0].path.unlink()
    assert runner.seconds_left(sweeps.found(folder)) == 0.0
    counts["records by clocks that jump"] += len(findings)


def test_the_time_left_does_not_follow_a_clock_that_is_set(tmp_path, here, monkeypatch, capsys):
    for shift in (-1e6, 1e6):
        moments = itertools.count(0.0, shift)
        monkeypatch.setattr("tqdm.std.time", moments.__next__)
        kept = sweeps.stored(tmp_path / str(shift))
        runner.sweep(kept, kept.find_all(["part1"], 1), executor=Inline(), progress=True)
        times = re.findall(r"(\S+) so far, (\S+) left", capsys.readouterr().err)
        assert times[-1] == ("00:00", "00:00")
        assert {each.state for each in kept.find_all(["part1"], 1)} == {State.DONE}
