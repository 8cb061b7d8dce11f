"""The chapters of the report: conditions, figures, tables and texts, said once.

A chapter's file lists its conditions; from all of them follow the arms of both profiles.
"""

from msgspec.structs import replace

from mlpcw import checks
from mlpcw.study.chapters import part1, part2, part3, starts
from mlpcw.study.chapters.condition import Condition
from mlpcw.study.records.arms import MOST, PARTS, PROFILES, Arm

CONDITIONS: dict[str, Condition] = {
    condition.key: condition
    for chapter in (part1, part2, part3, starts)
    for condition in chapter.CONDITIONS
}
"""Key of an arm to its condition, in the order in which the report names them."""


def _quick(arm: Arm) -> Arm:
    """The arm on the embedded digits: a fiftieth of the images, fewer epochs, paired seeds."""
    return replace(
        arm,
        data="digits",
        protocol="paired",
        batch_size=arm.batch_size // 5,
        max_num_batches=-1 if arm.max_num_batches == -1 else arm.max_num_batches // 10,
        num_epochs=20,
        stats_interval=1,
    )


_FULL = tuple(condition.arm for condition in CONDITIONS.values())
_QUICK = tuple(_quick(arm) for arm in _FULL if arm.part != "starts")


def arms(profile: str, part: str | None = None, num_epochs: int = 0) -> tuple[Arm, ...]:
    """The arms of a profile, in the order in which the report names them.

    Args:
        profile: One of `PROFILES`.
        part: One of `PARTS`, or `None` for all.
        num_epochs: Epochs of every arm; 0 keeps the profile's own.

    Raises:
        ValueError: If the profile or the part is unknown, or `num_epochs` is negative or above
            `MOST`.
    """
    checks.one_of("profile", profile, PROFILES)
    if part is not None:
        checks.one_of("part", part, PARTS)
    checks.whole_number("epochs", num_epochs, low=0, high=MOST)
    chosen = [arm for arm in (_FULL if profile == "full" else _QUICK) if part in (None, arm.part)]
    if num_epochs:
        chosen = [replace(arm, num_epochs=num_epochs) for arm in chosen]
    return tuple(chosen)


def find(profile: str, key: str, num_epochs: int = 0) -> Arm:
    """The arm of a profile with a key such as "part1/none".

    Raises:
        ValueError: If the profile has no such arm.
    """
    by_key = {arm.key: arm for arm in arms(profile, num_epochs=num_epochs)}
    return by_key[checks.one_of("arm", key, by_key)]
