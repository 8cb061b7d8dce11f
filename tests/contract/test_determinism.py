"""One arm and one seed give one record, to the byte, wherever, whenever and beside whatever.

Provenance and seconds aside. That a sweep which was killed and carried on ends the same is among
the tests of faults.
"""

import os
import subprocess
import sys

import msgspec
import pytest
from runs import apart_from_times, quick_arm, record_of

from mlpcw import mnist
from mlpcw.study import chapters
from mlpcw.study.pages.stored import open_store
from mlpcw.study.records import store
from mlpcw.study.records.record import dumps
from mlpcw.study.runs import freshness
from mlpcw.study.runs.set_up import as_run
from mlpcw.study.runs.sweep import sweep
from mlpcw.study.runs.train import train


def of_2016(key, **changes):
    """An arm of 2016, two small epochs long, on the digits; its generator is just seeded."""
    fields = dict(data="digits", batch_size=50, num_epochs=2, stats_interval=1, start="fresh")
    return msgspec.structs.replace(chapters.find("full", key), **(fields | changes))


ARMS = [
    quick_arm("part1/l1l2_1e-3_1e-2"),
    quick_arm("part2/random_noise"),
    quick_arm("part2/random_distortion"),
    quick_arm("part3/cnn_5x5"),
    of_2016("part1/l1_1e-3", start="reseeded"),
    of_2016("part2/random_shift"),
    of_2016("part3/cnn_5x5_first_image"),
]


def text(record):
    """A record as its file has it, without what differs between two trainings."""
    return dumps(apart_from_times(record))


@pytest.mark.parametrize("order", [ARMS[::-1], ARMS[:1] * 2], ids=len)
def test_a_record_does_not_depend_on_what_was_trained_before(order):
    for arm in order:
        assert text(train(arm, 0)) == text(record_of(arm))


def test_a_record_does_not_depend_on_what_is_remembered():
    before = [text(record_of(arm)) for arm in ARMS]
    for forget in (mnist.digits.cache_clear, freshness.forget, as_run._state_after.cache_clear):
        forget()
    assert [text(train(arm, 0)) for arm in ARMS] == before


@pytest.mark.parametrize("workers", [1, 2])
def test_a_record_does_not_depend_on_workers_nor_on_their_order(tmp_path, environment, workers):
    kept = open_store("quick", tmp_path, 1)
    order = ARMS if workers == 2 else ARMS[::-1]
    assert sweep(kept, [kept.find(arm, 0) for arm in order], workers=workers) == []
    for arm in ARMS:
        assert text(kept.find(arm, 0).record) == text(record_of(arm))


def test_a_record_does_not_depend_on_the_process(tmp_path):
    """Its hashes, its directory and its home included."""
    code = (
        "import sys\nfrom test_determinism import ARMS, text, train\n"
        "for arm in ARMS:\n    sys.stdout.write(text(train(arm, 0)))"
    )
    root = store.repository_root()
    path = [str(root), str(root / "tests/support"), os.path.dirname(__file__)]
    environment = os.environ | {
        "HOME": str(tmp_path),
        "PYTHONHASHSEED": "1",
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONIOENCODING": "utf-8",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd="/", capture_output=True, check=True
    )
    assert done.stdout.decode() == "".join(text(record_of(arm)) for arm in ARMS)


def test_runs_of_other_seeds_and_arms_are_others():
    """So that the tests above compare something."""
    runs = [(arm, 0) for arm in ARMS] + [(arm, 1) for arm in ARMS if arm.protocol == "paired"]
    curves = {tuple(record_of(*run)["curves"]["error_valid"]) for run in runs}
    assert len(curves) == len(runs) == 11
