"""Disks that fill up, fail or may not be written to: said in a sentence, and nothing half done."""

import ctypes
import os
import shlex
import stat
import subprocess
import sys

import pytest
import sweeps
from runs import forged, quick_arm

from mlpcw.study.pages.stored import open_store
from mlpcw.study.records import store
from mlpcw.study.records.store import State

ARM = quick_arm()
CAN_OVERRIDE = 1  # of the Linux capabilities: who has it may write where permissions forbid
DROP = 24  # of prctl: out of what a program may ever have


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of five pages, of which a record takes one and a folder none."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=20k", "tmpfs"]
    try:
        subprocess.run(["mount", *options, folder], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk cannot be mounted here ({error})")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.trust_row(
    what="A disk that fills up",
    held=(
        "Exit status 1 and a sentence for each run without room; the other records are whole. "
        "With more room the same command carries on, and its results equal those of an "
        "undisturbed sweep to the byte."
    ),
    faults=("records without room",),
)
def test_a_sweep_onto_a_full_disk_says_so_keeps_the_good_and_is_carried_on(
    small_disk, undisturbed, counts
):
    status, out, err = sweeps.ended(small_disk)
    states = [run.state for run in sweeps.findings(small_disk)]
    num_done = states.count(State.DONE)
    assert set(states) == {State.DONE, State.MISSING}
    assert status == 1
    assert out == f"{num_done} of 7 runs are stored in {small_disk}/quick-1-epochs\n"
    assert err.count(
        f"was trained, but not stored in {small_disk}/quick-1-epochs: No space left on device\n"
    ) == (7 - num_done)
    assert "Traceback" not in err
    assert sweeps.temporary_files(small_disk) == []
    good = sweeps.good_files(small_disk)

    subprocess.run(["mount", "-o", "remount,size=1m", small_disk], check=True)
    status, out, err = sweeps.ended(small_disk)
    assert (status, out) == (0, f"7 of 7 runs are stored in {small_disk}/quick-1-epochs\n"), err
    assert {path: path.read_bytes() for path in good} == good
    assert sweeps.contents(small_disk) == undisturbed
    counts["records without room"] += 7 - num_done
    counts["records with room"] += num_done


@pytest.mark.trust_row(
    what="A disk for the locks of workers that is full",
    held="Exit status 1 and a sentence that names the place.",
)
def test_workers_whose_locks_find_no_room_say_where(tmp_path, counts):
    small = "mount -t tmpfs -o size=4k tmpfs /dev/shm"
    inside = ["unshare", "--mount", "sh", "-c"]
    if subprocess.run([*inside, small], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    command = shlex.join(sweeps.command(tmp_path))
    with sweeps.started(tmp_path, arguments=[*inside, f"{small} && {command}"]) as process:
        out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (1, "")
    assert err.splitlines()[-1] == (
        "Error: no worker can be started, as its locks, which Linux keeps in /dev/shm, cannot be"
        " made (No space left on device): make room there, or make it larger"
    )
    assert "Traceback" not in err
    counts["commands"] += 1


# ---- A folder that may not be written to ----------------------------------------------------


def without_override():
    """For a new process: root that obeys permissions like everyone else."""
    if os.geteuid() == 0 and ctypes.CDLL(None).prctl(DROP, CAN_OVERRIDE, 0, 0, 0):
        os._exit(77)


@pytest.fixture
def read_only(tmp_path):
    """Makes a folder one that may not be written to, for a process started as said."""
    made = []

    def make(folder):
        made.append(folder)
        folder.chmod(0o555)
        probe = f"import tempfile; tempfile.TemporaryFile(dir={str(folder)!r})"
        tried = subprocess.run(
            [sys.executable, "-c", probe], preexec_fn=without_override, capture_output=True
        )
        if b"PermissionError" not in tried.stderr:
            pytest.skip("permissions do not bind here")

    yield make
    for folder in made:
        folder.chmod(stat.S_IRWXU)


def mlpcw(*arguments):
    """Exit status, stdout and stderr of a command whose process obeys permissions."""
    done = subprocess.run(
        [sys.executable, "-m", "mlpcw", *map(str, arguments)],
        cwd=store.repository_root(),
        preexec_fn=without_override,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.trust_row(
    what="A folder of results that may not be written to",
    held="`run` refuses it with exit status 2 before it trains; `status` and `verify` read it.",
)
def test_read_only_results_are_refused_before_anything_is_trained_and_can_be_read(
    tmp_path, read_only, counts
):
    kept = open_store("quick", tmp_path)
    path = kept.write(forged(quick_arm(num_epochs=20)))
    read_only(kept.folder)
    status, out, err = mlpcw("run", "part1", "--profile", "quick", "--results", tmp_path)
    assert (status, out) == (2, "")
    sentence = f"results must be a folder that can be written to, got {kept.folder}: Permission den"
    assert sentence in err
    assert "Traceback" not in err
    for command in ("status", "verify"):
        status, out, err = mlpcw(command, "--profile", "quick", "--results", tmp_path)
        assert (status, err) == (0, "")
    assert "1 of 69 runs are stored and good" in out
    assert sorted(file for file in tmp_path.rglob("*") if file.is_file()) == [path]
    counts["commands"] += 3
