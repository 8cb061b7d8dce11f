"""The readers of what comes from outside, fed any files, each in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

from mlpcw import compiled
from mlpcw.study.records import store

HERE = Path(__file__).parent
LONG, SHORT = 100_000, 3000  # files
MOST = 200  # MiB


def fuzz(reader, full_version):
    """What a fuzz program counts."""
    path = [
        str(store.repository_root()),
        str(HERE.parent / "support"),
        os.environ.get("PYTHONPATH", ""),
    ]
    count = LONG if full_version else SHORT
    # The readers call no kernels, but probes do; a compiler alone takes a hundred MiB.
    environment = {"PYTHONPATH": os.pathsep.join(path), compiled.SWITCH: "0"}
    done = subprocess.run(
        [sys.executable, "-W", "error", HERE / f"fuzz_{reader}.py", str(count), "24102016"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["inputs"] >= count
    assert figures["peak MiB"] < MOST
    return figures


def test_the_reader_of_idx_files_reads_right_or_refuses_in_little_memory(counts, full_version):
    counts.update(fuzz("idx", full_version))


def test_the_reader_of_records_reads_or_refuses_in_little_memory(counts, full_version):
    counts.update(fuzz("records", full_version))
