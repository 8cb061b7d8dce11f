"""The store: a folder with one file a run, written whole or not at all.

A run's file is `<folder>/<part>/<arm>/<seed>.json`. The store finds a run in one of four states:
*done*; *missing*; *damaged*, if the file is not a whole record of this run; *stale*, if the record
is whole but the code, or the arm, now does something else. A damaged or stale file stays until a
new run replaces it.
"""

import contextlib
import dataclasses
import enum
import fcntl
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

import mlpcw
from mlpcw.study.records.arms import Arm, seeds
from mlpcw.study.records.record import (
    MAX_BYTES,
    DamagedRecordError,
    Record,
    check_record,
    parse,
    printable,
    sealed,
)

_TEMPORARY = re.compile(r"\.(0|[1-9]\d*)\.json\.[a-z0-9_]{8}\.tmp", re.ASCII)
"""Names of the store's own temporary files; the eight characters are those of `mkstemp`."""

LEFT_OVER_AFTER = 3600
"""Seconds after which a temporary file is taken as left by a killed process; a write takes one."""


def repository_root() -> Path:
    """The folder that holds the package, the book and the results."""
    return Path(mlpcw.__file__).resolve().parents[1]


def default_results() -> Path:
    """The folder of results that is kept with the code."""
    return repository_root() / "results"


class State(enum.Enum):
    """The states of a run."""

    DONE = "done"
    MISSING = "missing"
    STALE = "stale"
    DAMAGED = "damaged"


@dataclasses.dataclass(frozen=True)
class Finding:
    """State of one run; the reason in a sentence if it is stale or damaged."""

    arm: Arm
    seed: int
    path: Path
    state: State
    reason: str = ""
    record: Record | None = None


class Store:
    """The runs of some arms in one folder.

    Args:
        folder: The folder; it need not exist.
        arms: The arms that the store is for.
        stale_because: `stale_because(record, arm)` says why a whole record of this arm is stale,
            or "" if it is not.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        arms: Iterable[Arm],
        stale_because: Callable[[Record, Arm], str],
    ) -> None:
        self.folder = Path(folder)
        self.arms = tuple(arms)
        self.stale_because = stale_because

    def path(self, arm: Arm, seed: int) -> Path:
        """Where the record of a run is."""
        return self.folder / arm.part / arm.name / f"{seed}.json"

    def find(self, arm: Arm, seed: int) -> Finding:
        """The state of one run, with its record if it is done or stale."""
        path = self.path(arm, seed)
        try:
            record = read_record(path)
            _refuse_other_run(path, record, arm, seed)
        except FileNotFoundError:
            return Finding(arm, seed, path, State.MISSING)
        except DamagedRecordError as error:
            return Finding(arm, seed, path, State.DAMAGED, str(error))
        reason = self.stale_because(record, arm)
        return Finding(arm, seed, path, State.STALE if reason else State.DONE, reason, record)

    def find_all(self, parts: Iterable[str] = (), num_seeds: int = 0) -> list[Finding]:
        """The state of every run.

        Args:
            parts: Which parts; none for all.
            num_seeds: How many seeds an arm; 0 for the profile's own.
        """
        wanted = [
            arm
            for part in dict.fromkeys(parts) or (None,)
            for arm in self.arms
            if part in (None, arm.part)
        ]
        return [self.find(arm, seed) for arm in wanted for seed in seeds(arm, num_seeds)]

    def find_more(self) -> list[Finding]:
        """The state of every stored run with a seed beyond the profile's own number."""
        own = {(arm, seed) for arm in self.arms for seed in seeds(arm)}
        runs = (self._run_of(path) for path in self._files())
        return [self.find(*run) for run in runs if run and run not in own]

    def strangers(self) -> list[str]:
        """A sentence for each file below the folder that is the record of no run."""
        return [
            f"foreign: {printable(path)} is not the record of a run of this profile"
            for path in self._files()
            if self._run_of(path) is None
        ]

    def _files(self) -> list[Path]:
        """All files in and below the folder but hidden ones, such as those being written.

        A folder that is as deep as a record should be stands for all that is in it, however deep.
        """
        above = [path for depth in ("*", "*/*") for path in self.folder.glob(depth)]
        paths = [path for path in above if not path.is_dir()] + [*self.folder.glob("*/*/*")]
        return sorted(path for path in paths if not path.name.startswith("."))

    def _run_of(self, path: Path) -> tuple[Arm, int] | None:
        """The run whose record belongs at `path`, or `None` if there is none."""
        name = re.fullmatch(r"(0|[1-9][0-9]{0,18})\.json", path.name)
        for arm in self.arms:
            if name and path.parent == self.folder / arm.part / arm.name:
                seed = int(name[1])
                return (arm, seed) if arm.protocol == "paired" or seed in seeds(arm) else None
        return None

    def write(self, record: Record) -> Path:
        """Writes a record in its place: to a temporary file beside it, which is then renamed.

        Raises:
            DamagedRecordError: If the record is not whole.
            OSError: If it cannot be written; an earlier file is then left as it was.
        """
        check_record(record)
        path = self.path(msgspec.convert(record["arm"], Arm), record["seed"])
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(".tmp", f".{path.name}.", path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                with contextlib.suppress(OSError):  # a file system without locks
                    fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed: see `_is_left_over`
                file.write(sealed(record))
                file.flush()
                os.fsync(file.fileno())
                os.chmod(temporary, 0o644)
                os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return path

    def check_readable(self) -> None:
        """Tries whether the folder can be read, if it exists.

        Raises:
            ValueError: If it cannot, naming the folder.
        """
        try:
            os.listdir(self.folder)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise self._refused("read", error) from None

    def check_writable(self) -> None:
        """Makes the folder if need be, and tries whether a file can be written there.

        Removes what processes that were killed during a write have left there.

        Raises:
            ValueError: If it cannot, naming the folder.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
            for arm in self.arms:
                for path in self.path(arm, 0).parent.glob(".*.tmp"):
                    if _TEMPORARY.fullmatch(path.name) and _is_left_over(path):
                        path.unlink(missing_ok=True)
        except (OSError, RecursionError) as error:  # the latter of too many nested folders
            raise self._refused("written to", error) from None

    def _refused(self, use: str, error: Exception) -> ValueError:
        reason = getattr(error, "strerror", "too many nested folders")
        folder = printable(self.folder)
        return ValueError(f"results must be a folder that can be {use}, got {folder}: {reason}")


def _is_left_over(path: Path) -> bool:
    """Whether a temporary file was left by a killed process.

    It is a regular file, old by a clock that may have jumped, and no process that writes holds its
    lock.
    """
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_mtime > time.time() - LEFT_OVER_AFTER:
            return False
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:  # it is being written, or just was, or the file system has no locks
        return False


def read_record(path: Path) -> Record:
    """Reads and checks a record.

    Raises:
        FileNotFoundError: If there is no such file.
        DamagedRecordError: If it is not a whole record; the sentence says what is wrong.
    """
    try:
        _refuse_special_file(path.stat())
        return parse(path.read_bytes())
    except FileNotFoundError:
        raise
    except DamagedRecordError as error:
        reason = f"is not a whole record: {printable(error)}"
    except (ValueError, RecursionError) as error:
        reason = f"is not a readable record: {printable(error)}"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    raise DamagedRecordError(f"{path} {reason}")


def _refuse_special_file(status: os.stat_result) -> None:
    """Refuses what could block, or be read without end."""
    if not stat.S_ISREG(status.st_mode):
        raise DamagedRecordError("it is not a regular file")
    if status.st_size > MAX_BYTES:
        raise DamagedRecordError(
            f"its file has {status.st_size} bytes, a record has at most {MAX_BYTES}"
        )


def _refuse_other_run(path: Path, record: Record, arm: Arm, seed: int) -> None:
    held = (record["arm"]["part"], record["arm"]["name"], record["seed"])
    if held != (arm.part, arm.name, seed):
        run = f"{printable(f'{held[0]}/{held[1]}')} with seed {printable(held[2])}"
        raise DamagedRecordError(f"{path} holds the run {run}, not {arm.key} with {seed}")
