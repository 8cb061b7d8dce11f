"""Sweeps as commands of their own, to be started, killed, starved and compared."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from runs import apart_from_times

from mlpcw.study.pages.stored import open_store
from mlpcw.study.records import store
from mlpcw.study.records.record import dumps
from mlpcw.study.records.store import State

NUM_RUNS = 7
"""Runs of the command: each arm of the first part once, of one epoch, on the digits."""


def command(folder, num_epochs=1, workers=2):
    """The command that trains the first part."""
    return [
        *(sys.executable, "-m", "mlpcw", "run", "part1", "--profile", "quick", "--seeds", "1"),
        *("--workers", str(workers), "--epochs", str(num_epochs), "--results", str(folder)),
    ]


@contextlib.contextmanager
def started(folder, num_epochs=1, workers=2, arguments=None, **options):
    """The command in a process group that is ended in any case; `options` are of `Popen`.

    Another command may be given by its `arguments`.
    """
    signals = (signal.SIGINT, signal.SIGHUP)
    ignored = [number for number in signals if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:  # as by nohup; the command would inherit it
        signal.signal(number, signal.SIG_DFL)
    with subprocess.Popen(
        arguments or command(folder, num_epochs, workers),
        cwd=store.repository_root(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    ) as process:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def ended(folder, **options):
    """Exit status, stdout and stderr of the command, left to its end."""
    with started(folder, **options) as process:
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err


def is_gone(process):
    """Whether no process of the group is left, workers included."""
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return True
    return False


def workers_of(process):
    """The process numbers of a sweep's workers, by what Linux says of every process."""
    numbers = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text("utf-8").rsplit(")", 1)[1].split()[1])
            if parent == process.pid and b"spawn_main" in (folder / "cmdline").read_bytes():
                numbers.append(int(folder.name))
    return numbers


def locks_left(process):
    """Says, whenever it is called, which locks that a process now has are in shared memory."""
    lines = Path(f"/proc/{process.pid}/maps").read_text("utf-8").splitlines()
    numbers = {int(line.split()[4]) for line in lines if "/dev/shm/" in line}  # noqa: S108
    return lambda: numbers & {entry.inode() for entry in os.scandir("/dev/shm")}  # noqa: S108


def stored(folder):
    """The store that the command writes to."""
    return open_store("quick", folder, 1)


def findings(folder):
    """The runs of the command as the store finds them."""
    return stored(folder).find_all(["part1"], 1)


def good_files(folder):
    """The bytes of each record that is done, by its path."""
    done = [run for run in findings(folder) if run.state is State.DONE]
    return {run.path: run.path.read_bytes() for run in done}


def contents(folder):
    """What an arm and a seed fix of every record, as text; all must be done."""
    runs = findings(folder)
    assert {run.state for run in runs} == {State.DONE}
    return {run.arm.name: dumps(apart_from_times(run.record)) for run in runs}


def temporary_files(folder):
    """What a process that is writing, or was killed while it did, has in the folder."""
    return list(Path(folder).rglob(".*.tmp"))
