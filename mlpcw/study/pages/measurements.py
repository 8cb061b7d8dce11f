"""Measured speeds: the types of `results/performance.json`, and how it is read and written.

`make bench` writes the file; the performance page reads it and measures nothing. The file holds
sections, each with its own date, commit and machine, since a section can be measured again alone. A
section has rows (mlpcw timed against one peer on the same work), numbers (such as a peak of memory)
and series (time against the size of the work).
"""

import math
import os
import statistics
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from mlpcw.study.records.store import default_results

SCHEMA = 2
SECTIONS = {
    "training": "Training",
    "convnet": "A small convolutional network",
    "augmentation": "Augmentation",
    "convolution": "Convolution",
    "kernels": "Compiled kernels",
    "scaling": "Scaling",
    "processes": "Processes and memory",
    "records": "The runs of 2016, by their records",
}
"""Name of a section to its title, in the order in which they are measured and shown."""

KINDS = {
    "pytorch": "PyTorch",
    "libraries": "other libraries",
    "2016": "the algorithms of 2016",
    "limits": "the limits of the machine",
    "plain": "plain code",
}
"""Kind of a peer to its title, in the order shown."""

Kind = Literal[tuple(KINDS)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]


def _shown(value: float) -> float:
    """A number to the three digits that are printed."""
    return float(f"{value:.3g}")


class MeasurementsError(ValueError):
    """A file of measurements that is missing or damaged; the message says what to do."""


class Stored(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object of the file. No field has a default, so that none may be missing in a file."""


class Work(Stored):
    """What is timed."""

    subject: str  # short, such as "epoch"
    shape: str  # its sizes, in words
    dtype: Literal["float32", "float64"]
    per: str  # what the seconds are of, such as "epoch"

    @property
    def label(self) -> str:
        """Name of the work in a figure."""
        return f"{self.subject}, {self.dtype}"

    def __str__(self) -> str:
        return f"{self.label}: {self.shape}"


class Row(Stored):
    """The time of mlpcw and that of a peer for the same work."""

    work: Work
    seconds: Positive
    kind: Kind  # of the peer
    peer: str  # its name
    peer_seconds: Positive
    at_least: Positive | None  # the ratio aimed at
    limit: str  # what limits the work on this machine, or ""
    share: Positive | None  # of that limit, which mlpcw reaches
    bound: str  # why mlpcw is not faster; printed where a row misses its target

    @property
    def ratio(self) -> float:
        """Time of the peer divided by that of mlpcw."""
        return self.peer_seconds / self.seconds

    @property
    def met(self) -> bool | None:
        """Whether the target is met, to three digits; `None` without a target."""
        return None if self.at_least is None else _shown(self.ratio) >= _shown(self.at_least)


class Number(Stored):
    """One number."""

    name: str  # in the code
    meaning: str
    value: NotNegative
    unit: str
    at_most: NotNegative | None  # the value aimed at

    @property
    def met(self) -> bool | None:
        """Whether the target is met, to three digits; `None` without a target."""
        return None if self.at_most is None else _shown(self.value) <= _shown(self.at_most)


class Line(Stored):
    """One line of a series."""

    name: str  # "" if it is the only one
    x: Annotated[tuple[Positive, ...], msgspec.Meta(min_length=2)]  # sizes
    y: tuple[Positive, ...]  # times
    chosen: tuple[bool, ...] | None  # whether the library chooses this method at each size

    def __post_init__(self) -> None:
        if {len(self.x)} != {len(self.y), len(self.chosen or self.x)}:
            raise ValueError(f"the line {self.name!r} has lists of different lengths")

    @property
    def slope(self) -> float:
        """Slope of the line of least squares in log(y) against log(x)."""
        x, y = ([math.log(value) for value in values] for values in (self.x, self.y))
        return statistics.linear_regression(x, y).slope


class Series(Stored):
    """Time against the size of the work; the labels of the axes have the units."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]


class Section(Stored):
    """What was measured in one go."""

    commit: str  # of the code, with "+" if the package differed from it
    command: str
    date: str  # UTC
    seconds: NotNegative  # by the clock
    load: tuple[NotNegative, NotNegative]  # averages over the minute before, and at the end
    machine: dict[str, str]  # with versions
    limits: tuple[Number, ...]  # of the machine
    rows: tuple[Row, ...]
    numbers: tuple[Number, ...]
    series: tuple[Series, ...]
    skipped: tuple[str, ...]  # a sentence for what was left out


class Measurements(Stored):
    """All sections that have been measured."""

    schema: Literal[SCHEMA]
    sections: dict[Literal[tuple(SECTIONS)], Section]

    def shown(self) -> dict[str, Section]:
        """The sections by name, in the order in which they are shown."""
        return {name: self.sections[name] for name in SECTIONS if name in self.sections}

    def rows(self) -> list[Row]:
        """All rows, section by section."""
        return [row for section in self.shown().values() for row in section.rows]

    def numbers(self) -> dict[str, Number]:
        """All numbers by name, section by section."""
        numbers = [number for section in self.shown().values() for number in section.numbers]
        return {number.name: number for number in numbers}

    def series(self) -> list[Series]:
        """All series, section by section."""
        return [series for section in self.shown().values() for series in section.series]

    def row(self, subject: str, peer: str, dtype: str = "float32") -> Row | None:
        """The row of a subject against a peer, or `None`."""
        rows = {(row.work.subject, row.peer, row.work.dtype): row for row in self.rows()}
        return rows.get((subject, peer, dtype))


def default_path() -> Path:
    """Where the measurements are kept."""
    return default_results() / "performance.json"


def read(path: Path | None = None) -> Measurements:
    """Reads and checks a file of measurements; without a path, the one kept with the code.

    Raises:
        MeasurementsError: If it is missing or damaged, in one sentence.
    """
    path = path or default_path()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Measurements)
    except FileNotFoundError:
        reason = "is missing"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = f"is damaged: {error}"
    raise MeasurementsError(f"{path} {reason}; measure again with: make bench")


def write(measurements: Measurements, path: Path) -> None:
    """Writes a file of measurements to a temporary file, reads it back, and renames it.

    Raises:
        MeasurementsError: If a value is not allowed; an earlier file then stays as it was.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    text = msgspec.json.format(msgspec.json.encode(measurements, order="sorted"), indent=1)
    try:
        temporary.write_bytes(text + b"\n")
        read(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
