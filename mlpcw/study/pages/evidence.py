"""Counts that the long tests keep: one JSON file per topic in `results/trust/`.

The tests write the files and the page on trust reads them. Each file names the command, commit, day
and Python that made it. A damaged file is refused; a missing one is a topic that has not been run.
"""

import datetime
import typing
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mlpcw.study.records.store import default_results

Kind = Literal["projection", "independent", "by hand"]
KINDS = typing.get_args(Kind)
"""Kinds of witness that a gradient has, as the tests name them."""

Count = Annotated[int, Meta(ge=0)]
Counts = dict[str, Count]
"""Name of what was done to how often."""


class EvidenceError(ValueError):
    """A damaged file of counts; the message names the file and the command that makes it again."""


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Reads all fields and no others; a value of another type is an error."""


class Row(_Strict):
    """What one test counted, and the seconds it took."""

    counts: Counts
    seconds: Annotated[float, Meta(ge=0)]


class Fault(Row):
    """A test of faults: what was done and what held; `faults` names the counts that are faults."""

    what: str
    held: str
    faults: tuple[str, ...] = ()  # all of them

    @property
    def num_faults(self) -> int:
        return sum(self.counts.get(name, 0) for name in self.faults or self.counts)


class Comparison(Row):
    """A comparison with another library."""

    library: str
    what: str


class Reader(Row):
    """A reader of files that was fuzzed: `counts` has the files of each kind."""

    reader: str
    refused: Count
    peak_mib: Annotated[float, Meta(gt=0)]

    def __post_init__(self) -> None:
        if self.refused > self.files:
            raise ValueError(f"{self.refused} of {self.files} files are refused")

    @property
    def files(self) -> int:
        return sum(self.counts.values())

    @property
    def read_right(self) -> int:
        """The test fails on a file that is read wrongly."""
        return self.files - self.refused


class Mutated(_Strict):
    """The mutants of one module; `killed_by_time` had tests that took too long.

    Each of `survivors`, on which no test failed, has the reason why it may survive, or "".
    """

    possible: Count
    tried: Count
    killed_by_time: Count
    survivors: dict[str, str]

    def __post_init__(self) -> None:
        if not self.killed_by_time <= self.killed <= self.tried <= self.possible:
            raise ValueError(
                f"{self.tried} of {self.possible} mutants tried, {len(self.survivors)} survived and"
                f" {self.killed_by_time} killed by time do not add up"
            )

    @property
    def killed(self) -> int:
        return self.tried - len(self.survivors)

    @property
    def is_whole(self) -> bool:
        """Whether every mutant was tried."""
        return self.tried == self.possible

    @property
    def share(self) -> float:
        """Share of the tried mutants that were killed; 1 if none was tried."""
        return self.killed / self.tried if self.tried else 1.0


class Topic(_Strict, kw_only=True):
    """Origin of a file; `commit` ends in "+" if the package differed from that commit."""

    command: str
    commit: str
    date: datetime.date
    python: str


class Witnesses(Topic):
    """Subject of a gradient to how many tests of each kind passed."""

    rows: dict[str, dict[Kind, Count]]

    def complete(self) -> list[str]:
        """The subjects that have witnesses of all kinds."""
        return [name for name, row in self.rows.items() if all(map(row.get, KINDS))]


class Mutants(Topic):
    """Module, without its package, to its mutants."""

    rows: dict[str, Mutated]

    def total(self) -> Mutated:
        """All modules together."""
        rows = self.rows.values()
        return Mutated(
            possible=sum(row.possible for row in rows),
            tried=sum(row.tried for row in rows),
            killed_by_time=sum(row.killed_by_time for row in rows),
            survivors={
                f"{module}: {name}": reason
                for module, row in self.rows.items()
                for name, reason in row.survivors.items()
            },
        )


class Oracles(Topic):
    rows: tuple[Comparison, ...]


class Faults(Topic):
    rows: tuple[Fault, ...]


class Fuzz(Topic):
    rows: tuple[Reader, ...]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All topics; `None` for one that has not been run."""

    witnesses: Witnesses | None = None
    oracles: Oracles | None = None
    mutants: Mutants | None = None
    faults: Faults | None = None
    fuzz: Fuzz | None = None


TOPICS: dict[str, type[Topic]] = dict(
    witnesses=Witnesses, oracles=Oracles, mutants=Mutants, faults=Faults, fuzz=Fuzz
)
"""Name of a topic, of its file and of the `make` target that writes it, to what the file holds."""


def read(folder: Path | None = None) -> Evidence:
    """Reads the files of all topics.

    Args:
        folder: Where they are; `None` for those that are kept with the code.

    Raises:
        EvidenceError: If a file is damaged or cannot be read.
    """
    folder = folder or default_results() / "trust"
    return Evidence(
        **{topic: _read(folder / f"{topic}.json", kind) for topic, kind in TOPICS.items()}
    )


def _read(path: Path, kind: type[Topic]) -> Topic | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        reason = f"is damaged: {' '.join(str(error).split())[:300]}"
    raise EvidenceError(f"{path} {reason}; make it anew with: make {path.stem}")
