"""Clocks that jump: no record has odd seconds, and the time left stays a time."""

import os
import re

import pytest
import sweeps

from mlpcw.study.runs.sweep import seconds_left

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
    findings = sweeps.findings(folder)
    # An hour lies between the two readings of a clock, so the jumps did reach the workers.
    assert {run.record["seconds"]["wall"] for run in findings} == {0.0}
    assert {run.record["seconds"]["cpu"] for run in findings} == {0.0}
    bars = re.findall(r"(\S+) so far, (\S+) left", err)
    assert bars
    assert all(re.fullmatch(r"[0-5]\d:[0-5]\d", so_far) for so_far, _ in bars)
    assert all(re.fullmatch(r"[0-5]\d:[0-5]\d|\?", left) for _, left in bars)
    findings[0].path.unlink()
    assert seconds_left(sweeps.findings(folder)) == 0.0
    counts["records by clocks that jump"] += len(findings)
