"""The arms of the profiles, asked for by profile, part, key and number of epochs."""

import pytest

from mlpcw.study import chapters
from mlpcw.study.records.arms import PARTS, PROFILES


@pytest.mark.parametrize("profile", PROFILES)
def test_keys_are_unique_and_each_finds_its_arm(profile):
    arms = chapters.arms(profile)
    assert [chapters.find(profile, arm.key) for arm in arms] == list(arms)
    assert len({arm.key for arm in arms}) == len(arms) == {"full": 35, "quick": 23}[profile]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_has_its_own_arms_only(part):
    arms = chapters.arms("full")
    assert chapters.arms("full", part) == tuple(arm for arm in arms if arm.part == part)


def test_epochs_can_be_asked_for():
    assert {arm.num_epochs for arm in chapters.arms("full", num_epochs=7)} == {7}
    assert chapters.find("quick", "part1/none", 3).num_epochs == 3


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: chapters.arms("slow"), "profile must be one of full, quick, got 'slow'"),
        (
            lambda: chapters.arms("full", "part4"),
            "part must be one of part1, part2, part3, starts, got 'part4'",
        ),
        (
            lambda: chapters.arms("full", num_epochs=-1),
            r"epochs must be a whole number in \[0, 10000\], got -1",
        ),
        (
            lambda: chapters.find("full", "part1/some"),
            "arm must be one of part1/none, .*, got 'part1/some'",
        ),
    ],
)
def test_what_is_unknown_is_refused_with_what_there_is(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()
