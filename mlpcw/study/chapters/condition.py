"""A condition: an arm, and all that readers see of it, said once."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from mlpcw.study.original import published
from mlpcw.study.records.arms import Arm
from mlpcw.study.records.results import Results
from mlpcw.study.show.words import thousands

EXACT = "exact"
UNSEEDED = "drawn in 2016 from an unseeded generator: only the initial weights are known"
UNKNOWN_START = "its start state is not known"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Condition:
    """One condition of a chapter.

    Attributes:
        arm: What is trained in the full profile.
        label: Its name in figures, tables and text; "{images}" in it stands for the number of
            images in a pass, which the profiles do not share.
        colour: Its colour in the whole book.
        log: Name of its published log of 2016, "part1/none", or "".
        table: Number of a table of the report and its row there, ("2.1", "1000"), or ().
        replay: `EXACT` where every printed digit is reached on any machine; `UNSEEDED` or
            `UNKNOWN_START` where the run cannot be repeated; "" where it depends on rounding.
    """

    arm: Arm
    label: str
    colour: str
    log: str = ""
    table: tuple[str, ...] = ()
    replay: str = ""

    @property
    def key(self) -> str:
        """Part and name of the arm, "part1/none"."""
        return self.arm.key

    @property
    def exact(self) -> bool:
        """Whether every printed digit of 2016 is reached on any machine."""
        return self.replay == EXACT

    @property
    def obstacle(self) -> str:
        """Why the run of 2016 cannot be repeated, or ""."""
        return "" if self.exact else self.replay

    def label_in(self, results: Results) -> str:
        """The label, as it reads for these runs."""
        arm = results.arm(self.key)
        return self.label.format(images=thousands(arm.batch_size * arm.max_num_batches))

    def compare(self, curves: Mapping[str, Sequence[float]]) -> published.Comparison:
        """Compares the curves of a run with what 2016 printed of it."""
        return published.compare(curves, self.log, self.table)

    def verdict(self, curves: Mapping[str, Sequence[float]]) -> str:
        """What the comparison says, in a line."""
        return published.verdict(self.compare(curves), self.obstacle)


def finals(
    results: Results, conditions: Iterable[Condition], column: str
) -> dict[Condition, float]:
    """The last values of a curve."""
    return {condition: results.final(condition.key, column) for condition in conditions}


def gaps(results: Results, conditions: Iterable[Condition]) -> dict[Condition, float]:
    """Validation error less training error at the end, the latter on clean images."""
    by_condition = finals(results, conditions, "error_valid")
    for condition in by_condition:
        clean = "_clean" if condition.arm.augmentation else ""
        by_condition[condition] -= results.final(condition.key, f"error_train{clean}")
    return by_condition


def beside_2016(results: Results, conditions: Iterable[Condition]) -> str:
    """A list of how the runs compare with what 2016 printed; a sentence in other profiles."""
    if not results.beside_2016:
        return "These are not the runs of 2016, so its numbers are not shown beside them."
    lines = []
    for condition in conditions:
        verdict = condition.verdict(results.runs[condition.key][0]["curves"]).strip()
        lines.append(f"* {condition.label_in(results)}: {verdict}.")
    return "\n".join(lines)
