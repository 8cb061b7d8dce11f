"""What the long tests have counted: one small JSON file a topic, in `results/trust/`.

The tests write the files; the page on trust is made from them and counts nothing. Each says by
which command it was made, on which commit, when and with which Python. A file that is damaged, or
whose counts do not add up, is refused. One that is missing is a topic that has not been run yet.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from mlpcw.study.records import typed
from mlpcw.study.records.store import default_results

KINDS = ("projection", "independent", "by hand")
"""Kinds of witness that a gradient has, as the tests name them."""

ALL, REFUSED, READ = "inputs", "refused", ("read right", "read")
"""Names under which a fuzz test counts its files, those refused and those read."""

SECONDS, PEAK = "seconds", "peak MiB"
"""Names of what is measured and not counted."""

Counts = dict[str, float]
"""Name of what was done to how often."""


class EvidenceError(ValueError):
    """A file of counts that is damaged; the message names it and says what makes it anew."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Topic:
    """What one file says of itself; `figures` has the counts, by the name of what was tested.

    Attributes:
        command: What makes the file again, from the root of the repository.
        commit: The commit of the code, with "+" if the package differed from it.
        date: The day, in UTC, year first.
        python: Version of Python.
    """

    command: str
    commit: str
    date: str
    python: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scenarios(Topic):
    """Tests that count what they do: faults, and comparisons with other libraries.

    Attributes:
        figures: Name of a test to its counts, the seconds that it took among them.
    """

    figures: dict[str, Counts]

    def __post_init__(self) -> None:
        for scenario, counts in self.figures.items():
            for name, number in counts.items():
                _check_count(f"{scenario}: {name}", number, name in (SECONDS, PEAK))

    @property
    def seconds(self) -> float:
        """Seconds that all tests took."""
        return sum(counts.get(SECONDS, 0.0) for counts in self.figures.values())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fuzz(Scenarios):
    """Readers that were fed any files.

    Attributes:
        figures: Name of a test to how many files of each kind there were, `ALL` together; how many
            were `READ` and `REFUSED`; the most memory that the process had, `PEAK`.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        for scenario, counts in self.figures.items():
            for name in (ALL, PEAK):
                if name not in counts:
                    raise ValueError(f"{scenario}: {name} is missing")
            total, was_read, refused = counts[ALL], read_right(counts), counts.get(REFUSED, 0)
            if was_read + refused != total:
                raise ValueError(
                    f"{scenario}: {was_read:g} read and {refused:g} refused are not the"
                    f" {total:g} {ALL}"
                )
            of_kinds = sum(kinds_of_file(counts).values())
            if of_kinds != total:
                raise ValueError(f"{scenario}: its kinds are {of_kinds:g} in all, not {total:g}")


def read_right(counts: Counts) -> float:
    """How many files a fuzz test saw read, each rightly: it fails otherwise."""
    return sum(counts.get(name, 0) for name in READ)


def kinds_of_file(counts: Counts) -> Counts:
    """How many files of each kind a fuzz test had."""
    others = {ALL, REFUSED, SECONDS, PEAK, *READ}
    return {name: number for name, number in counts.items() if name not in others}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Witnesses(Topic):
    """Tests that are witnesses of a gradient.

    Attributes:
        figures: Whose gradient, to how many tests of each of `KINDS` have passed.
    """

    figures: dict[str, dict[str, int]]

    def __post_init__(self) -> None:
        for subject, counts in self.figures.items():
            odd = sorted(set(counts) - set(KINDS))
            if odd:
                raise ValueError(f"{subject}: unknown kinds of witness: {', '.join(odd)}")
            for kind, number in counts.items():
                _check_count(f"{subject}: {kind}", number, False)

    def complete(self) -> list[str]:
        """Whose gradients have witnesses of all kinds."""
        return [
            subject
            for subject, counts in self.figures.items()
            if all(counts.get(kind) for kind in KINDS)
        ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mutated:
    """What became of the mutants of one module.

    Attributes:
        possible: How many mutants the module has.
        tried: How many of them were tried.
        killed: How many of these made a test fail.
        killed_by_time: How many of these only by making the tests take too long.
        survivors: Name of each that no test failed on, to the reason why it is left, or "".
    """

    possible: int
    tried: int
    killed: int
    killed_by_time: int
    survivors: dict[str, str]

    def __post_init__(self) -> None:
        if not 0 <= self.killed_by_time <= self.killed <= self.tried <= self.possible:
            raise ValueError(
                f"of {self.possible} mutants {self.tried} are tried, {self.killed} killed,"
                f" {self.killed_by_time} of these by time, which cannot be"
            )
        if self.tried != self.killed + len(self.survivors):
            raise ValueError(
                f"{self.killed} killed and {len(self.survivors)} survivors are not the"
                f" {self.tried} tried"
            )

    @property
    def share(self) -> float:
        """Share of the mutants tried that were killed; of none, all."""
        return self.killed / self.tried if self.tried else 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mutants(Topic):
    """Faults put into the library, one at a time.

    Attributes:
        figures: Name of a module, without its package, to what became of its mutants.
    """

    figures: dict[str, Mutated]

    def total(self) -> Mutated:
        """All modules together."""
        return Mutated(
            possible=sum(each.possible for each in self.figures.values()),
            tried=sum(each.tried for each in self.figures.values()),
            killed=sum(each.killed for each in self.figures.values()),
            killed_by_time=sum(each.killed_by_time for each in self.figures.values()),
            survivors={
                f"{module}: {name}": reason
                for module, each in self.figures.items()
                for name, reason in each.survivors.items()
            },
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evidence:
    """All topics; `None` where one has not been run yet."""

    witnesses: Witnesses | None = None
    oracles: Scenarios | None = None
    mutants: Mutants | None = None
    faults: Scenarios | None = None
    fuzz: Fuzz | None = None


TOPICS: Mapping[str, type[Topic]] = {
    "witnesses": Witnesses,
    "oracles": Scenarios,
    "mutants": Mutants,
    "faults": Scenarios,
    "fuzz": Fuzz,
}
"""Name of a topic, which names its file and its command, to what the file holds."""


def command(topic: str) -> str:
    """The command that makes the file of a topic."""
    return f"make {topic}"


def read(folder: Path | None = None) -> Evidence:
    """Reads and checks the files of all topics.

    Args:
        folder: Where they are; `None` for those that are kept with the code.

    Raises:
        EvidenceError: If one is damaged, or cannot be read.
    """
    folder = folder or default_results() / "trust"
    found = {}
    for topic, kind in TOPICS.items():
        path = folder / f"{topic}.json"
        try:
            found[topic] = typed.build(kind, json.loads(path.read_text("utf-8")), "the file")
        except FileNotFoundError:
            found[topic] = None
        except (OSError, ValueError, RecursionError) as error:
            reason = typed.problem(error)
            message = f"{path} {reason}; make it anew with: {command(topic)}"
            raise EvidenceError(message) from None
    return Evidence(**found)


def _check_count(name: str, number: float, fraction_allowed: bool) -> None:
    if number < 0 or not (fraction_allowed or number == int(number)):
        raise ValueError(f"{name} is {number}, no count")
