"""Stored runs trained again, and what the two trainings of a run have in common.

A run is the same to the last bit where all that `ORIGIN` names is the same, the processor too.
Equal BLAS kernels are not enough: Numba compiles for the processor at hand, and the sums of a
convolution in whatever order suits it. Elsewhere numbers may round differently, and then it depends
on the run: most keep rounding at the last digits for all their epochs. In the noisy ones (L1, the
strong penalties, the noise of 2016) it grows until it reaches the first digits, and from there the
two are like trainings from two seeds. So there are three verdicts: identical, the same to some
digits, and different.
"""

import dataclasses
import math
import tempfile
from collections.abc import Collection, Iterable, Sequence

import msgspec
import numpy as np

from mlpcw.study.records.arms import Arm
from mlpcw.study.records.record import Record, dumps
from mlpcw.study.records.store import Finding, State, Store
from mlpcw.study.runs.sweep import sweep

ORIGIN = ("blas", "blas_kernels", "blas_threads", "commit", "cpu")
ORIGIN += ("numba", "numpy", "python", "scipy")
"""What two trainings must have in common for their records to be the same to the last bit."""

DIGITS = 3
"""Digits that 2016 printed, and that a run which does not drift keeps to its end."""

EARLY_DIGITS = 6
"""Digits that every run keeps up to its second recorded point."""

DEVIATIONS = 3.0
"""How far the accuracies of a run that drifts may end from the stored ones, in standard deviations
of chance; 1.0 is measured for L1 10⁻³, which drifts most."""

NUM_IMAGES = {"mnist": 10_000, "digits": 397}
"""Images that an accuracy is counted on: of the smaller of the validation and the test set."""

_ALL_DIGITS = 15  # of a float64


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run trained again says of the stored one.

    Attributes:
        good: Whether it confirms the stored run.
        verdict: "identical", "the same to ... printed digits" or "differs: ...".
    """

    good: bool
    verdict: str


def draw(findings: Iterable[Finding], count: int) -> list[Finding]:
    """Some of the runs that are done, drawn at random from fresh entropy.

    Args:
        findings: Runs as a store has found them.
        count: How many; all if there are fewer.
    """
    done = [finding for finding in findings if finding.state is State.DONE]
    chosen = np.random.default_rng().permutation(len(done))[:count]
    return [done[place] for place in sorted(chosen)]


def retrain(
    store: Store, findings: Sequence[Finding], replayed: Collection[str] = ()
) -> list[Outcome]:
    """Trains stored runs again, in new processes, and compares; the stored files do not change.

    Args:
        store: The store that found the runs.
        findings: Runs that are done.
        replayed: Keys of the arms that match all of the published digits on every machine.

    Returns:
        An outcome a run, in the order given.

    Raises:
        FileNotFoundError: If a run needs MNIST and it is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        other = Store(folder, store.arms, store.stale_because)
        wanted = [other.find(finding.arm, finding.seed) for finding in findings]
        failures = sweep(other, wanted, progress=True)
        trained = [other.find(finding.arm, finding.seed) for finding in findings]
    return [
        compare(stored.record, again.record, replayed)
        if again.state is State.DONE
        else Outcome(False, f"differs: it could not be trained again ({'; '.join(failures)})")
        for stored, again in zip(findings, trained, strict=True)
    ]


def compare(stored: Record, again: Record, replayed: Collection[str] = ()) -> Outcome:
    """Compares two records of one run; `replayed` is as in `retrain`."""
    if _content(stored) == _content(again):
        return Outcome(True, "identical")
    epochs = stored["curves"]["epoch"]
    columns = [name for name in stored["curves"] if name != "epoch"]
    digits = [
        min(_digits(stored["curves"][name][row], again["curves"][name][row]) for name in columns)
        for row in range(len(epochs))
    ]
    at_the_end = min(
        _digits(stored["test"][name], again["test"][name]) for name in ("error", "acc")
    )
    least = min(*digits, at_the_end)
    if _same_origin(stored, again):
        reason = "code, libraries and kernels are those of the stored run, so it must be identical"
        return Outcome(False, f"differs: {reason}, and it is the same to {least} digits only")
    if least >= DIGITS:
        return Outcome(True, f"the same to {least} printed digits")
    # Recorded points, counted from the first one, that differ by rounding only.
    agreed = next((row for row, kept in enumerate(digits) if kept < EARLY_DIGITS), len(epochs))
    if agreed < min(2, len(epochs)):
        apart = f"{digits[agreed]} digits are the same at epoch {epochs[agreed]}"
        return Outcome(False, f"differs: {apart}, where every run keeps {EARLY_DIGITS}")
    arm = msgspec.convert(stored["arm"], Arm)
    if arm.protocol == "2016" and arm.key in replayed:
        apart = f"{least} digits are the same"
        return Outcome(False, f"differs: {apart}, where this run keeps {DIGITS} on every machine")
    start = f"the same to {min(digits[:agreed])} printed digits up to epoch {epochs[agreed - 1]}"
    accuracies = f"test accuracy {stored['test']['acc']:.4f}, now {again['test']['acc']:.4f}"
    apart = _distance(stored, again, arm.data)
    line = f"{start}, then apart by {apart:.1f} standard deviations ({accuracies})"
    return Outcome(True, line) if apart <= DEVIATIONS else Outcome(False, f"differs: {line}")


def _content(record: Record) -> str:
    """The part of a record that arm and seed fix."""
    return dumps({name: record[name] for name in record if name not in ("provenance", "seconds")})


def _same_origin(stored: Record, again: Record) -> bool:
    """Whether both come from the same committed code, libraries and processor, all known."""
    was, now = stored["provenance"], again["provenance"]
    known = all(was.get(name) not in (None, "", "unknown") for name in ORIGIN)
    return (
        known
        and all(was[name] == now.get(name) for name in ORIGIN)
        and not str(was["commit"]).endswith("+")
    )


def _digits(one: float, other: float) -> int:
    """Leading digits that two numbers share: N where they differ by less than one in 10 ** N."""
    if one == other:
        return _ALL_DIGITS
    share = abs(one - other) / max(abs(one), abs(other))
    return min(_ALL_DIGITS, max(0, math.floor(-math.log10(share))))


def _distance(stored: Record, again: Record, data: str) -> float:
    """How far apart the accuracies of two trainings of a run end, in standard deviations.

    The deviation is that of the difference of two shares of right answers, each counted on as many
    images drawn by chance: the square root of 2 p (1 - p) / n.

    Returns:
        The larger of two distances: of the test accuracies, and of the means of the validation
        accuracies over the second half of the recorded points.
    """
    half = len(stored["curves"]["epoch"]) // 2
    distances = []
    for accuracies in (
        [record["test"]["acc"] for record in (stored, again)],
        [float(np.mean(record["curves"]["acc_valid"][half:])) for record in (stored, again)],
    ):
        # One more right and one more wrong, so that no accuracy of 1 leaves no room at all.
        share = (accuracies[0] * NUM_IMAGES[data] + 1) / (NUM_IMAGES[data] + 2)
        deviation = math.sqrt(2 * share * (1 - share) / NUM_IMAGES[data])
        distances.append(abs(accuracies[0] - accuracies[1]) / deviation)
    return max(distances)
