"""The readers of what comes from outside, fed with files of every kind in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlpcw.study import store

HERE = Path(__file__).parent
LONG, SHORT = 100_000, 3000  # files


@pytest.mark.parametrize("reader", ["idx", "records"])
def test_a_reader_reads_right_or_refuses_and_takes_little_memory(reader, counts, full_version):
    path = [str(store.repository_root()), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    count = LONG if full_version else SHORT
    done = subprocess.run(
        [sys.executable, "-W", "error", HERE / f"fuzz_{reader}.py", str(count), "24102016"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["inputs"] >= count
    assert figures["peak MiB"] < 200
    counts.update({f"{reader}: {name}": number for name, number in figures.items()})
