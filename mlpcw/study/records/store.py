"""The store of runs: one JSON file a run, written whole or not at all.

A run's file is `<folder>/<part>/<arm>/<seed>.json`. It holds the whole arm, the curves, the figures
at the end and where it all came from, readable and the same to the byte for the same content:
sorted keys, a curve a line, floats in their shortest form that reads back exactly. A digest of the
content stands in the file, and a file must read as the store writes it, so that one changed digit
anywhere is noticed.

What the store finds of a run is one of four states: *done*; *missing*; *damaged*, when the file is
not a whole record of this run; *stale*, when the record is whole but the code, or the arm, now does
something else. A damaged or stale file is left in place until a new run replaces it.
"""

import contextlib
import dataclasses
import enum
import fcntl
import hashlib
import json
import math
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mlpcw
from mlpcw import mnist
from mlpcw.study.records.arms import Arm, arms, seeds
from mlpcw.study.runs import set_up as training

SCHEMA = 1
PROBE_TOLERANCE = 1e-9
"""Largest relative difference of a probe that counts as the same behaviour."""

MAX_BYTES = 2**24
"""The most bytes that the file of a record may have; the longest of this book has 9000."""

_TEMPORARY = re.compile(r"\.(0|[1-9]\d*)\.json\.[a-z0-9_]{8}\.tmp", re.ASCII)
"""Names of the store's own temporary files; the eight characters are those of `mkstemp`."""

LEFT_OVER_AFTER = 3600
"""Seconds after which a temporary file is what a killed process has left; a write takes one."""

CURVES = ("error_train", "acc_train", "error_valid", "acc_valid", "params_penalty")
CLEAN_CURVES = ("error_train_clean", "acc_train_clean")
_FIELDS = {"arm", "curves", "probe", "provenance", "schema", "seconds", "seed", "test", "weights"}
_ORIGIN = {"blas", "blas_kernels", "blas_threads", "commit", "cpu", "data", "data_digest", "mlpcw"}
_ORIGIN |= {"numba", "numpy", "platform", "python", "scipy"}
_NOT_IN_OLDER = {"blas_kernels", "numba"}

BIN_WIDTH = 0.0025
"""Width of the bins of a weight histogram; bin k is [k, k + 1) times the width."""

Record = dict[str, Any]


def repository_root() -> Path:
    """The folder that holds the package, the book and the results."""
    return Path(mlpcw.__file__).resolve().parents[1]


def default_results() -> Path:
    """The folder of results that is kept with the code."""
    return repository_root() / "results"


class State(enum.Enum):
    """What the store finds of a run."""

    DONE = "done"
    MISSING = "missing"
    STALE = "stale"
    DAMAGED = "damaged"


@dataclasses.dataclass(frozen=True)
class Finding:
    """State of one run, and the reason in a sentence where it is stale or damaged."""

    arm: Arm
    seed: int
    path: Path
    state: State
    reason: str = ""
    record: Record | None = None


class DamagedRecordError(ValueError):
    """A file that is not a whole record."""


class Store:
    """The runs of one profile in one folder.

    Args:
        results: Folder of all results.
        profile: The profile, a folder in it.
        num_epochs: Epochs of a run that are not the profile's own; 0 for its own. Such runs are
            kept in a folder of their own, `<profile>-<num_epochs>-epochs`, so that a short run
            never replaces a long one.
    """

    def __init__(self, results: str | os.PathLike, profile: str, num_epochs: int = 0) -> None:
        self.profile = profile
        self.num_epochs = num_epochs
        self.folder = Path(results) / (f"{profile}-{num_epochs}-epochs" if num_epochs else profile)

    def arms(self, part: str | None = None) -> tuple[Arm, ...]:
        """The arms that this store is for, of one part or of all."""
        return arms(self.profile, part, self.num_epochs)

    def path(self, arm: Arm, seed: int) -> Path:
        """Where the record of a run is."""
        return self.folder / arm.part / arm.name / f"{seed}.json"

    def find(self, arm: Arm, seed: int) -> Finding:
        """The state of one run, with its record where that is done or stale."""
        path = self.path(arm, seed)
        try:
            record = read_record(path)
            _refuse_foreign(path, record, arm, seed)
        except FileNotFoundError:
            return Finding(arm, seed, path, State.MISSING)
        except DamagedRecordError as error:
            return Finding(arm, seed, path, State.DAMAGED, str(error))
        reason = _stale_because(record, arm)
        state = State.STALE if reason else State.DONE
        return Finding(arm, seed, path, state, reason, record)

    def find_all(self, parts: Iterable[str] = (), num_seeds: int = 0) -> list[Finding]:
        """The state of every run.

        Args:
            parts: Which parts; none for all.
            num_seeds: How many seeds an arm; 0 for the profile's own.
        """
        wanted = [arm for part in dict.fromkeys(parts) or (None,) for arm in self.arms(part)]
        return [self.find(arm, seed) for arm in wanted for seed in seeds(arm, num_seeds)]

    def find_more(self) -> list[Finding]:
        """The state of every stored run with a seed beyond the profile's own number."""
        own = {(arm, seed) for arm in self.arms() for seed in seeds(arm)}
        runs = (self._run_of(path) for path in self._files())
        return [self.find(*run) for run in runs if run and run not in own]

    def _files(self) -> list[Path]:
        """All files in and below the folder but hidden ones, such as those being written.

        A folder that is as deep as a record should be stands for all that is in it, however deep.
        """
        above = [path for depth in ("*", "*/*") for path in self.folder.glob(depth)]
        paths = [path for path in above if not path.is_dir()] + [*self.folder.glob("*/*/*")]
        return sorted(path for path in paths if not path.name.startswith("."))

    def _run_of(self, path: Path) -> tuple[Arm, int] | None:
        """The run whose record is at `path`, or `None` where there is no such run."""
        found = re.fullmatch(r"(0|[1-9][0-9]{0,18})\.json", path.name)
        for arm in self.arms():
            if found and path.parent == self.folder / arm.part / arm.name:
                seed = int(found[1])
                return (arm, seed) if arm.protocol == "paired" or seed in seeds(arm) else None
        return None

    def write(self, record: Record) -> Path:
        """Writes a record in its place: to a temporary file beside it, which is then renamed.

        Raises:
            DamagedRecordError: If the record is not whole.
            OSError: If it cannot be written; an earlier file is then left as it was.
        """
        check_record(record)
        path = self.path(Arm.from_json(record["arm"]), record["seed"])
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

    def strangers(self) -> list[str]:
        """A sentence for each file below the folder that is the record of no run."""
        return [
            f"foreign: {_printable(path)} is not the record of a run of profile {self.profile}"
            for path in self._files()
            if self._run_of(path) is None
        ]

    def other_data(self, findings: Iterable[Finding]) -> list[str]:
        """A sentence for each whole record, fresh or stale, of other data than this machine has.

        Records of data that are not at hand are not judged.

        Args:
            findings: What the store has found.
        """
        needed = {arm.data for arm in self.arms()}
        digests = {}
        if "digits" in needed:
            digests["digits"] = mnist.digits().digest
        if "mnist" in needed and mnist.available():
            digests["mnist"] = mnist.load().digest
        return [
            f"other data: {each.path} was trained on {origin['data']} with digest"
            f" {_printable(origin['data_digest'])}, not {digests[origin['data']]}"
            for each in findings
            if each.record
            for origin in [each.record["provenance"]]
            if origin["data_digest"] != digests.get(origin["data"], origin["data_digest"])
        ]

    def check_readable(self) -> None:
        """Tries that the folder can be read, if it is there.

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
        """Makes the folder if need be, and tries that a file can be written there.

        What a process that was killed while it wrote has left there is removed.

        Raises:
            ValueError: If it cannot, naming the folder.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
            for arm in self.arms():
                for path in self.path(arm, 0).parent.glob(".*.tmp"):
                    if _TEMPORARY.fullmatch(path.name) and _is_left_over(path):
                        path.unlink(missing_ok=True)
        except (OSError, RecursionError) as error:  # the latter of too many folders to be made
            raise self._refused("written to", error) from None

    def _refused(self, use: str, error: Exception) -> ValueError:
        reason = getattr(error, "strerror", "too many folders in one another")
        folder = _printable(self.folder)
        return ValueError(f"results must be a folder that can be {use}, got {folder}: {reason}")


def _is_left_over(path: Path) -> bool:
    """Whether a temporary file is what a killed process has left.

    It is a plain file and old, by a clock that may have jumped, and no process holds the lock of
    one that writes.
    """
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_mtime > time.time() - LEFT_OVER_AFTER:
            return False
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:  # it is being written, or just was, or the file system has no locks
        return False


def dumps(value: Any, indent: int = 0) -> str:
    """JSON with sorted keys, a key a line, and lists of plain values on one line."""
    if isinstance(value, dict) and value:
        pad = " " * (indent + 1)
        rows = (f"{pad}{json.dumps(key)}: {dumps(value[key], indent + 1)}" for key in sorted(value))
        text = "{\n" + ",\n".join(rows) + "\n" + " " * indent + "}"
    else:
        text = json.dumps(value, allow_nan=False, sort_keys=True, ensure_ascii=False)
    return text if indent else text + "\n"


def read_record(path: Path) -> Record:
    """Reads and checks a record.

    Raises:
        FileNotFoundError: If there is no such file.
        DamagedRecordError: If it is not a whole record; the sentence says what is wrong.
    """
    try:
        _refuse_no_file(path.stat())
        text = path.read_text("utf-8")
        record = json.loads(text, parse_constant=_refuse_constant)
        digest = record.pop("digest", None) if isinstance(record, dict) else None
        check_record(record)
        if digest is None:
            raise DamagedRecordError("it has no digest")
        if digest != _digest(record):
            raise DamagedRecordError("its content is not the one that its digest was taken of")
        # Two texts may say the same: the last digit of a float can be changed in vain.
        if text != sealed(record):
            raise DamagedRecordError("it is not written as the store writes its content")
    except FileNotFoundError:
        raise
    except DamagedRecordError as error:
        reason = f"is not a whole record: {_printable(error)}"
    except (ValueError, RecursionError) as error:
        reason = f"is not a readable record: {_printable(error)}"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    else:
        return record
    raise DamagedRecordError(f"{path} {reason}")


def _refuse_no_file(status: os.stat_result) -> None:
    """Refuses what could be waited for, or read, without end."""
    if not stat.S_ISREG(status.st_mode):
        raise DamagedRecordError("it is no plain file")
    if status.st_size > MAX_BYTES:
        raise DamagedRecordError(
            f"its file has {status.st_size} bytes, a record has at most {MAX_BYTES}"
        )


def sealed(record: Record) -> str:
    """A record as it stands in its file: as `dumps` writes it, with its digest."""
    return dumps(record | {"digest": _digest(record)})


def _digest(record: Record) -> str:
    """SHA-256 of a record as `dumps` writes it, in hexadecimal."""
    return hashlib.sha256(dumps(record).encode("utf-8")).hexdigest()


def _printable(value: Any) -> str:
    """What may quote a damaged file, on one line, without control characters and without end."""
    text = "".join(char if char.isprintable() else "?" for char in str(value))
    return text if len(text) <= 300 else text[:300] + " ..."


def check_record(record: Any) -> None:
    """Refuses what is not a whole record.

    Raises:
        DamagedRecordError: Saying what is missing or wrong.
    """
    if not isinstance(record, dict) or "schema" not in record:
        raise DamagedRecordError("it has no schema")
    if type(record["schema"]) is not int or record["schema"] != SCHEMA:
        raise DamagedRecordError(f"its schema is {record['schema']!r}, this version has {SCHEMA}")
    if set(record) != _FIELDS:
        odd = ", ".join(sorted(set(record) ^ _FIELDS))
        raise DamagedRecordError(f"missing or unknown fields: {odd}")
    try:
        arm = Arm.from_json(record["arm"])
    except (TypeError, ValueError) as error:
        raise DamagedRecordError(f"its arm is wrong: {error}") from None
    _check_numbers("seed", [record["seed"]], int)
    _check_curves(record["curves"], arm)
    _check_keys("test", record["test"], {"acc", "error"})
    _check_numbers("test acc", [record["test"]["acc"]], high=1)
    _check_numbers("test error", [record["test"]["error"]])
    _check_keys("seconds", record["seconds"], {"cpu", "wall"})
    _check_numbers("seconds", record["seconds"].values())
    _check_weights(record["weights"], arm)
    _check_probe(record["probe"])
    _check_provenance(record["provenance"], arm)


def _check_keys(name: str, value: Any, keys: set[str]) -> None:
    if not isinstance(value, dict) or set(value) != keys:
        raise DamagedRecordError(f"its {name} is not {', '.join(sorted(keys))}")


def _check_numbers(name: str, values: Any, kind: type = float, high: float = math.inf) -> None:
    """Refuses all but a list of numbers from 0 to `high`, all `float` or all `int`."""
    if isinstance(values, str | dict) or not isinstance(values, Iterable):
        raise DamagedRecordError(f"its {name} is no list of numbers")
    for value in values:
        if type(value) is not kind or not 0 <= value <= high or value == math.inf:
            wanted = "a whole number" if kind is int else "a finite number with a decimal point"
            limits = "in [0, 1]" if high == 1 else "of at least 0"
            raise DamagedRecordError(f"its {name} has {value!r}, not {wanted} {limits}")


def _check_curves(curves: Any, arm: Arm) -> None:
    _check_keys("curves", curves, {"epoch", *CURVES, *(CLEAN_CURVES if arm.augmentation else ())})
    # Counted before any list of that length is made: a damaged file may ask for 10 ** 20 epochs.
    num_points = arm.num_epochs // arm.stats_interval + 1
    for name, values in curves.items():
        if not isinstance(values, list) or len(values) != num_points:
            raise DamagedRecordError(f"its curve {name} does not have {num_points} values")
        high = 1 if name.startswith("acc") else math.inf
        _check_numbers(f"curve {name}", values, int if name == "epoch" else float, high)
    if curves["epoch"] != list(range(0, arm.num_epochs + 1, arm.stats_interval)):
        raise DamagedRecordError("its curves are not at the epochs of its arm")


def _check_weights(weights: Any, arm: Arm) -> None:
    _check_keys("weights", weights, {"bin_width", "first_bin", "counts"})
    if type(weights["bin_width"]) is not float or weights["bin_width"] != BIN_WIDTH:
        raise DamagedRecordError(f"its histogram of weights has not bins of width {BIN_WIDTH}")
    _check_numbers("histogram of weights", weights["counts"], int)
    if sum(weights["counts"]) != training.num_first_weights(arm):
        raise DamagedRecordError("its histogram does not have all weights of the first layer")
    first = weights["first_bin"]
    if type(first) is not int or abs(first) > MAX_BYTES:  # as far from 0 as a list can be long
        raise DamagedRecordError(f"its histogram of weights begins at {first!r}, at no bin")


def _check_probe(probe: Any) -> None:
    _check_keys("probe", probe, {"loss", "penalty", "weights"})
    _check_numbers("probe", [probe["loss"], probe["penalty"]])
    _check_numbers("probe of weights", probe["weights"])


def _check_provenance(origin: Any, arm: Arm) -> None:
    unsaid = _NOT_IN_OLDER - set(origin) if isinstance(origin, dict) else set()
    _check_keys("provenance", origin, _ORIGIN - unsaid)
    _check_numbers("provenance", [origin["blas_threads"]], int)
    for name in sorted(set(origin) - {"blas_threads"}):
        if not isinstance(origin[name], str) or not origin[name].isprintable():
            raise DamagedRecordError(
                f"its provenance has {name} {origin[name]!r}, which is no text of one line"
            )
    if origin["data"] != arm.data:
        raise DamagedRecordError(f"its data is {origin['data']!r}, that of its arm is {arm.data}")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it holds {name}, which is no number of a record")


def _refuse_foreign(path: Path, record: Record, arm: Arm, seed: int) -> None:
    held = (record["arm"]["part"], record["arm"]["name"], record["seed"])
    if held != (arm.part, arm.name, seed):
        run = f"{_printable(f'{held[0]}/{held[1]}')} with seed {_printable(held[2])}"
        raise DamagedRecordError(f"{path} holds the run {run}, not {arm.key} with {seed}")


def _stale_because(record: Record, arm: Arm) -> str:
    """Why a whole record of this run is stale, or ''."""
    was, wanted = record["arm"], arm.to_json()
    changed = sorted(name for name in wanted if was[name] != wanted[name])
    if changed:
        name = changed[0]
        return f"its arm has {name} {_printable(was[name])}, now it is {wanted[name]}"
    probe = training.probe(arm)
    for name, value in probe.items():
        held = record["probe"][name]
        if not _close(held, value):
            return f"its probe has {name} {_printable(held)}, the code now gives {value}"
    return ""


def _close(held: Any, value: Any) -> bool:
    if isinstance(value, list):
        return len(held) == len(value) and all(map(_close, held, value))
    return math.isclose(held, value, rel_tol=PROBE_TOLERANCE)
