"""Results: the stored runs of a profile, as figures, tables and texts read them."""

import dataclasses
from collections.abc import Iterable, Mapping

import msgspec
import numpy as np

from mlpcw.study.records.arms import Arm
from mlpcw.study.records.record import Record
from mlpcw.study.records.store import Finding, State


class MissingRunsError(RuntimeError):
    """Runs that are needed and not done; the message says how to train them."""


@dataclasses.dataclass(frozen=True)
class Results:
    """The runs of some parts of a profile, all of them done.

    Attributes:
        profile: The profile.
        runs: Key of an arm, such as "part1/none", to its records in the order of their seeds.
    """

    profile: str
    runs: Mapping[str, tuple[Record, ...]]

    @classmethod
    def of(cls, profile: str, findings: Iterable[Finding], options: str = "") -> "Results":
        """The results of runs that a store has found.

        Args:
            profile: The profile.
            findings: The wanted runs, as the store has found them.
            options: Of the command that trains the missing ones, beside its profile.

        Raises:
            MissingRunsError: If one of them is not done, with the command that trains it.
        """
        findings = list(findings)
        lacking = [finding for finding in findings if finding.state is not State.DONE]
        if lacking:
            first = lacking[0]
            reason = f" ({first.reason})" if first.reason else ""
            parts = " ".join(sorted({finding.arm.part for finding in lacking}))
            command = f"python -m mlpcw run {parts} --profile {profile} {options}"
            raise MissingRunsError(
                f"{len(lacking)} of {len(findings)} runs are not there, the first is"
                f" {first.arm.key} with seed {first.seed}, which is {first.state.value}{reason};"
                f" train them with: {command.rstrip()}"
            )
        runs: dict[str, tuple[Record, ...]] = {}
        for finding in findings:
            runs[finding.arm.key] = (*runs.get(finding.arm.key, ()), finding.record)
        return cls(profile, runs)

    @property
    def beside_2016(self) -> bool:
        """Whether these are the runs of 2016, so that the published numbers belong beside them."""
        return self.profile == "full"

    def arm(self, key: str) -> Arm:
        """The arm with this key."""
        return msgspec.convert(self.runs[key][0]["arm"], Arm)

    def epochs(self, key: str) -> np.ndarray:
        """Epochs at which the curves of an arm are recorded, `(num_points,)`."""
        return np.array(self.runs[key][0]["curves"]["epoch"])

    def curves(self, key: str, column: str) -> np.ndarray:
        """A curve of every run of an arm, `(num_seeds, num_points)`.

        Args:
            key: Key of the arm.
            column: Such as "error_valid"; `record.CURVES` and `record.CLEAN_CURVES` list them.
        """
        return np.array([record["curves"][column] for record in self.runs[key]])

    def final(self, key: str, column: str) -> float:
        """Mean over the seeds of a curve's last value."""
        return float(self.curves(key, column)[:, -1].mean())

    def test(self, key: str, score: str) -> float:
        """Mean over the seeds of a test score, "error" or "acc"."""
        return float(np.mean([record["test"][score] for record in self.runs[key]]))

    def weight_counts(self, key: str) -> tuple[np.ndarray, np.ndarray]:
        """Histogram of the first layer's weights, all seeds together.

        Returns:
            Edges of the bins, `(num_bins + 1,)`, and the weights in each, `(num_bins,)`.
        """
        histograms = [record["weights"] for record in self.runs[key]]
        width = histograms[0]["bin_width"]
        first = min(histogram["first_bin"] for histogram in histograms)
        last = max(histogram["first_bin"] + len(histogram["counts"]) for histogram in histograms)
        counts = np.zeros(last - first, dtype=int)
        for histogram in histograms:
            start = histogram["first_bin"] - first
            counts[start : start + len(histogram["counts"])] += histogram["counts"]
        return np.arange(first, last + 1) * width, counts
