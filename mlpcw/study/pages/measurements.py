"""Measured speeds: one small JSON file, `results/performance.json`, written whole or not at all.

`make bench` measures and writes it; the page on performance is made from it and measures nothing.
It holds sections, each with its own date, commit and machine, since each can be measured anew
alone. A section has rows (ours beside another way to do the same work), figures (one number, such
as a peak of memory) and series (how a time grows with the size of the work).
"""

import dataclasses
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path

from mlpcw.study.records import typed
from mlpcw.study.records.store import default_results

SCHEMA = 1
SECTIONS = {
    "training": "Training",
    "convnet": "A small convolutional network",
    "augmentation": "Augmentation",
    "convolution": "Convolution",
    "kernels": "Compiled kernels",
    "workers": "Workers",
    "scaling": "Scaling",
    "processes": "Processes and memory",
    "records": "The runs of 2016, by their records",
    "faithful": "The runs of 2016, from nothing",
}
"""Name of a section to its title, in the order in which they are measured and shown."""

PYTORCH, LIBRARIES, OF_2016 = "PyTorch", "other libraries", "the ways of 2016"
PLAIN, LIMITS = "plainer ways of our own", "what limits it"
GROUPS = (PYTORCH, LIBRARIES, OF_2016, PLAIN, LIMITS)
"""Kinds of what ours is compared with."""

_RATIO_TOLERANCE = 2e-3
"""Numbers are stored with four digits."""


def _shown(value: float) -> float:
    return float(f"{value:.3g}")


def _check_not_negative(**numbers: Iterable[float]) -> None:
    for name, values in numbers.items():
        for value in values:
            if value < 0:
                raise ValueError(f"{name} has {value}, which is below 0")


class MeasurementsError(ValueError):
    """A file of measurements that is missing or damaged; the message says what to do."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """Ours beside another way to do the same work.

    Attributes:
        label: Short name of the work, for figures.
        work: The work in words, with its shapes and dtype.
        per: What the seconds are of, such as "epoch".
        ours_s: Seconds that ours takes.
        group: One of `GROUPS`.
        other: Name of the other way.
        other_s: Seconds that it takes.
        ratio: `other_s / ours_s`: how many times as fast ours is.
        to_reach: The least ratio that is aimed at; `None` where the row is for orientation.
        share: Share of the machine's own limit that ours reaches, or `None`.
        share_of: Name of that limit.
        bound: What bounds ours, as known from measurements; shown where a row misses its target.
    """

    label: str
    work: str
    per: str
    ours_s: float
    group: str
    other: str
    other_s: float
    ratio: float
    to_reach: float | None = None
    share: float | None = None
    share_of: str = ""
    bound: str = ""

    def __post_init__(self) -> None:
        if self.group not in GROUPS:
            raise ValueError(f"group is {self.group!r}, not one of {', '.join(GROUPS)}")
        for name in ("ours_s", "other_s", "ratio", "to_reach", "share"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} is {value}, not above 0")
        if not math.isclose(self.ratio, self.other_s / self.ours_s, rel_tol=_RATIO_TOLERANCE):
            raise ValueError(f"ratio is {self.ratio}, not {self.other_s} / {self.ours_s}")

    @property
    def met(self) -> bool | None:
        """Whether the target is met, to the three digits that are shown; `None` without one."""
        return None if self.to_reach is None else _shown(self.ratio) >= _shown(self.to_reach)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """One number, with the most that it should be.

    Attributes:
        name: Its name in the code.
        work: What it is, in words.
        value: The number.
        unit: Its unit.
        at_most: The most that is aimed at; `None` where the number is for orientation.
    """

    name: str
    work: str
    value: float
    unit: str
    at_most: float | None = None

    def __post_init__(self) -> None:
        _check_not_negative(value=[self.value], at_most=[self.at_most or 0.0])

    @property
    def met(self) -> bool | None:
        """Whether the target is met, to the three digits that are shown; `None` without one."""
        return None if self.at_most is None else _shown(self.value) <= _shown(self.at_most)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a series.

    Attributes:
        name: Its name; "" where it is the only one.
        x: Sizes of the work.
        y: Times.
        chosen: Of ways among which the library chooses, whether it chooses this one at each size.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    chosen: tuple[bool, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.x) < 2 or {len(self.x)} != {len(self.y), len(self.chosen or self.x)}:
            raise ValueError(f"the line {self.name!r} does not have as many x as y, at least two")
        if min(self.x + self.y) <= 0:
            raise ValueError(f"the line {self.name!r} has a number that is not above 0")

    @property
    def slope(self) -> float:
        """Slope of the straight line that fits best where both axes are logarithmic."""
        x, y = ([math.log(value) for value in values] for values in (self.x, self.y))
        mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
        above = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
        return above / sum((a - mean_x) ** 2 for a in x)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Series:
    """How a time grows with the size of the work.

    Attributes:
        title: What grows.
        x_label: What the sizes are, with their unit.
        y_label: What the times are, with their unit.
        lines: The lines.
    """

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """What was measured in one go.

    Attributes:
        commit: The commit of the code, with "+" if the package differed from it.
        command: The command that measured it.
        date: When, in UTC.
        seconds: How long it took, by the clock.
        load: Load average of the machine, over the minute before and at the end.
        machine: Facts about the machine, and versions.
        limits: Name of a limit of the machine, with its unit, to its value.
        rows, figures, series: What was measured.
        skipped: What was left out, and why, a sentence each.
    """

    commit: str
    command: str
    date: str
    seconds: float
    load: tuple[float, ...]
    machine: dict[str, str]
    limits: dict[str, float]
    rows: tuple[Row, ...] = ()
    figures: tuple[Figure, ...] = ()
    series: tuple[Series, ...] = ()
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        limits = self.limits.values()
        _check_not_negative(seconds=[self.seconds], load=self.load, limits=limits)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurements:
    """All sections that have been measured.

    Attributes:
        schema: Number of the format.
        sections: Name of a section, of `SECTIONS`, to it.
    """

    schema: int
    sections: dict[str, Section]

    def __post_init__(self) -> None:
        odd = sorted(set(self.sections) - set(SECTIONS))
        if odd:
            raise ValueError(f"it has unknown sections: {', '.join(odd)}")

    def rows(self) -> list[Row]:
        """All rows, section by section."""
        return [row for name in self.names() for row in self.sections[name].rows]

    def figures(self) -> list[Figure]:
        """All figures, section by section."""
        return [figure for name in self.names() for figure in self.sections[name].figures]

    def series(self) -> list[Series]:
        """All series, section by section."""
        return [series for name in self.names() for series in self.sections[name].series]

    def row(self, label: str, other: str) -> Row | None:
        """The row of this work beside this other way, or `None`."""
        found = [row for row in self.rows() if (row.label, row.other) == (label, other)]
        return found[0] if found else None

    def figure(self, name: str) -> Figure | None:
        """The figure of this name, or `None`."""
        found = [figure for figure in self.figures() if figure.name == name]
        return found[0] if found else None

    def names(self) -> list[str]:
        """The sections to show, in order: times from records only where none was measured."""
        measured = "faithful" in self.sections and self.sections["faithful"].figures
        return [
            name
            for name in SECTIONS
            if name in self.sections and not (measured and name == "records")
        ]


def default_path() -> Path:
    """Where the measurements are kept."""
    return default_results() / "performance.json"


def read(path: Path | None = None) -> Measurements:
    """Reads and checks a file of measurements.

    Args:
        path: The file; `None` for the one that is kept with the code.

    Raises:
        MeasurementsError: If it is missing or damaged, in one sentence.
    """
    path = path or default_path()
    try:
        value = json.loads(path.read_text("utf-8"))
        if not isinstance(value, dict) or value.get("schema") != SCHEMA:
            held = value.get("schema") if isinstance(value, dict) else None
            raise ValueError(f"its schema is {held!r}, this version has {SCHEMA}")
        return typed.build(Measurements, value, "the file")
    except (OSError, ValueError, RecursionError) as error:
        reason = typed.problem(error)
    raise MeasurementsError(f"{path} {reason}; measure it anew with: make bench")


def write(measurements: Measurements, path: Path) -> None:
    """Writes a file of measurements whole: beside its place first, then renamed."""
    temporary = path.with_name(f".{path.name}.tmp")
    value = dataclasses.asdict(measurements)
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    temporary.write_text(text + "\n", "utf-8")
    os.replace(temporary, path)
