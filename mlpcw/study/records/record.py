"""A record: what is stored of one run, checked strictly and written the same to the byte.

In memory a record is plain values, as JSON has them: `record["curves"]["error_valid"]`. The types
here say what it must hold, and msgspec checks them: missing and unknown fields, types, ranges. A
record is text in exactly one form (`sealed`): sorted keys, a curve a line, floats in the shortest
form that reads back exactly, a digest of the rest. Text in any other form is damaged, which covers
what msgspec accepts: a whole number in place of a float, a default left out, a key given twice.
"""

import hashlib
import json
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mlpcw.study.records.arms import Arm, Base

Record = dict[str, Any]

SCHEMA = 1
MAX_BYTES = 2**24
"""Largest file that is read as a record; the longest record of the book has 9000 bytes."""

BIN_WIDTH = 0.0025
"""Width of the bins of a weight histogram; bin k is [k, k + 1) times the width."""

CURVES = ("error_train", "acc_train", "error_valid", "acc_valid", "params_penalty")
CLEAN_CURVES = ("error_train_clean", "acc_train_clean")

Count = Annotated[int, Meta(ge=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class DamagedRecordError(ValueError):
    """A file, or a value, that is not a whole record."""


class Curves(Base):
    """A value at each recorded epoch. The clean ones are of arms with an augmentation only."""

    epoch: list[Count]
    error_train: list[NotNegative]
    acc_train: list[Share]
    error_valid: list[NotNegative]
    acc_valid: list[Share]
    params_penalty: list[NotNegative]
    error_train_clean: list[NotNegative] | UnsetType = UNSET
    acc_train_clean: list[Share] | UnsetType = UNSET


class Scores(Base):
    """Mean error and accuracy on the test set, after the last epoch."""

    error: NotNegative
    acc: Share


class Histogram(Base):
    """Weights of the lowest affine layer: `counts[i]` of them are in bin `first_bin + i`."""

    bin_width: float
    first_bin: Annotated[int, Meta(ge=-MAX_BYTES, le=MAX_BYTES)]
    counts: list[Count]

    def __post_init__(self) -> None:
        if self.bin_width != BIN_WIDTH:
            raise ValueError(f"bin_width must be {BIN_WIDTH}, got {self.bin_width}")


class Probe(Base):
    """What the arm did in its first updates (see `runs.freshness`)."""

    loss: NotNegative
    penalty: NotNegative
    weights: list[NotNegative]


class Seconds(Base):
    """How long the run took, by the clock and in seconds of CPU."""

    wall: NotNegative
    cpu: NotNegative


class Provenance(Base):
    """Where a record comes from. Older records do not name the kernels nor Numba."""

    mlpcw: str
    commit: str
    python: str
    numpy: str
    scipy: str
    blas: str
    blas_threads: Count
    cpu: str
    platform: str
    data: str
    data_digest: str
    blas_kernels: str | UnsetType = UNSET
    numba: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        for name, value in msgspec.structs.asdict(self).items():
            if isinstance(value, str) and not value.isprintable():
                raise ValueError(f"{name} must be printable text of one line, got {value!r}")


class Whole(Base):
    """A whole record but for its digest."""

    schema: Literal[SCHEMA]
    arm: Arm
    seed: Count
    curves: Curves
    test: Scores
    weights: Histogram
    probe: Probe
    seconds: Seconds
    provenance: Provenance

    def __post_init__(self) -> None:
        clean = [getattr(self.curves, name) is not UNSET for name in CLEAN_CURVES]
        if clean != [self.arm.augmentation is not None] * len(clean):
            raise ValueError("the clean curves must be there with an augmentation, and only then")
        # Counted before a list of that length is made: a damaged file may ask for 10 ** 20 epochs.
        num_points = self.arm.num_epochs // self.arm.stats_interval + 1
        for name, values in msgspec.structs.asdict(self.curves).items():
            if values is not UNSET and len(values) != num_points:
                raise ValueError(f"curve {name} must have {num_points} values, got {len(values)}")
        if self.curves.epoch != list(range(0, self.arm.num_epochs + 1, self.arm.stats_interval)):
            raise ValueError("the curves are not at the epochs of the arm")
        num_weights = sum(self.weights.counts)
        if num_weights != self.arm.num_first_weights:
            raise ValueError(
                f"the histogram must count the {self.arm.num_first_weights} weights of the first"
                f" layer, got {num_weights}"
            )
        if self.provenance.data != self.arm.data:
            raise ValueError(f"data must be the arm's, {self.arm.data}, got {self.provenance.data}")


def parse(content: bytes) -> Record:
    """The record that a file holds.

    Raises:
        DamagedRecordError: If it is not a whole record; the message says what is wrong.
        ValueError: If it is not JSON.
        RecursionError: If it is nested too deeply.
    """
    held = msgspec.json.decode(content)
    digest = held.pop("digest", None) if isinstance(held, dict) else None
    schema = held.get("schema") if isinstance(held, dict) else None
    if type(schema) is int and schema != SCHEMA:
        raise DamagedRecordError(f"its schema is {schema}, this version has {SCHEMA}")
    try:
        record = msgspec.to_builtins(msgspec.convert(held, Whole))
    except msgspec.ValidationError as error:
        raise DamagedRecordError(str(error)) from None
    if digest is None:
        raise DamagedRecordError("it has no digest")
    if digest != _digest(held):
        raise DamagedRecordError("its content does not match its digest")
    text = sealed(record).encode()
    if content != text:
        lines = zip(content.split(b"\n"), text.split(b"\n"), strict=False)
        odd = next((row for row, (line, right) in enumerate(lines, 1) if line != right), "last")
        raise DamagedRecordError(f"it is not written as the store writes it, see line {odd}")
    return record


def check_record(record: Any) -> None:
    """Refuses what the store could not write and read back the same.

    Raises:
        DamagedRecordError: Saying what is missing or wrong.
    """
    try:
        parse(sealed(record).encode())
    except DamagedRecordError:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        raise DamagedRecordError(str(error)) from None


def sealed(record: Record) -> str:
    """A record as it stands in its file: as `dumps` writes it, with its digest."""
    return dumps(record | {"digest": _digest(record)})


def _digest(record: Record) -> str:
    """SHA-256 of a record as `dumps` writes it, in hexadecimal."""
    return hashlib.sha256(dumps(record).encode()).hexdigest()


def dumps(value: Any, indent: int = 0) -> str:
    """JSON with sorted keys, a key a line, and lists of plain values on one line."""
    if isinstance(value, dict) and value:
        pad = " " * (indent + 1)
        rows = (f"{pad}{json.dumps(key)}: {dumps(value[key], indent + 1)}" for key in sorted(value))
        text = "{\n" + ",\n".join(rows) + "\n" + " " * indent + "}"
    else:
        text = json.dumps(value, allow_nan=False, sort_keys=True, ensure_ascii=False)
    return text if indent else text + "\n"


def printable(value: Any) -> str:
    """Text that may quote a damaged file: one line, no control characters, of limited length."""
    text = "".join(char if char.isprintable() else "?" for char in str(value))
    return text if len(text) <= 300 else text[:300] + " ..."
