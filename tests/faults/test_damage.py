"""Records that are damaged in every way: found, named, left as they are, and trained again."""

import re

import pytest
from runs import command, forged, quick_arm, quick_store

from mlpcw.study.records import arms, store
from mlpcw.study.records.store import State, Store

ARM = quick_arm("part2/random_noise")
EVERY = 41
"""In the short version, one bit in so many is flipped."""
FOUND = "The record is found damaged and named in a sentence; its file is left as it is."


@pytest.fixture
def path(tmp_path):
    """Where a good record is."""
    return Store(tmp_path, "quick", 1).write(forged(ARM))


def check_damaged(path, content):
    """Puts the content in the file, and asserts that the store finds it damaged."""
    path.write_bytes(content)
    finding = Store(path.parents[3], "quick", 1).find(ARM, 0)
    assert (finding.state, finding.record) == (State.DAMAGED, None), content
    assert finding.reason.startswith(f"{path} ")
    assert finding.reason.isprintable()
    assert len(finding.reason) < 600
    assert path.read_bytes() == content


@pytest.mark.trust_row(what="A record cut short, at every byte", held=FOUND)
def test_a_record_cut_short_at_any_byte_is_damaged(path, counts):
    whole = path.read_bytes()
    for length in range(len(whole)):
        check_damaged(path, whole[:length])
        counts["lengths"] += 1


@pytest.mark.trust_row(what="A record with one bit flipped, every bit in turn", held=FOUND)
def test_a_record_with_any_bit_flipped_is_damaged(path, counts, full_version):
    whole = path.read_bytes()
    for number in range(0, 8 * len(whole), 1 if full_version else EVERY):
        place, bit = divmod(number, 8)
        flipped = bytes([whole[place] ^ 1 << bit])
        check_damaged(path, whole[:place] + flipped + whole[place + 1 :])
        counts["bits"] += 1


@pytest.mark.trust_row(
    what="A record with one byte lost or doubled, every byte in turn",
    held=FOUND,
)
def test_a_record_with_any_byte_lost_or_doubled_is_damaged(path, counts):
    whole = path.read_bytes()
    for place in range(len(whole)):
        check_damaged(path, whole[:place] + whole[place + 1 :])
        check_damaged(path, whole[:place] + whole[place : place + 1] + whole[place:])
        counts["bytes"] += 2


@pytest.mark.trust_row(
    what="A record with NaN, Infinity or no number in place of a number, each in turn",
    held=FOUND,
)
def test_any_number_replaced_by_one_that_is_none_is_damaged(path, counts):
    text = path.read_text("utf-8")
    for found in re.finditer(r"(?<=[ \[])-?\d[-+.e\d]*(?=[],\n])", text):
        for value in ("NaN", "Infinity", "-Infinity", "1e999", "null", '"1"', "[]"):
            content = text[: found.start()] + value + text[found.end() :]
            check_damaged(path, content.encode())
            counts["numbers"] += 1
    assert counts["numbers"] > 7 * 30


# ---- The command ----------------------------------------------------------------------------


def rewritten(change):
    """Damage that changes a record and seals it again."""

    def damage(path, record):
        path.write_text(store.sealed(change(record)), encoding="utf-8")

    return damage


def replaced(before, after):
    """Damage that changes the text of a record."""

    def damage(path, record):
        text = path.read_text("utf-8")
        assert text.count(before) == 1
        path.write_text(text.replace(before, after), encoding="utf-8")

    return damage


OTHER = arms.find("quick", "part3/nn")
DAMAGES = {
    "cut short": lambda path, _: path.write_bytes(path.read_bytes()[:-100]),
    "one digit": replaced('"acc": 0.75', '"acc": 0.76'),
    "NaN": replaced('"acc": 0.75', '"acc": NaN'),
    "Infinity": replaced('"acc": 0.75', '"acc": -Infinity'),
    "another arm's": rewritten(lambda record: forged(OTHER)),
    "a newer schema": rewritten(lambda record: record | {"schema": 2, "new": 1}),
    "without a digest": lambda path, record: path.write_text(store.dumps(record), encoding="utf-8"),
}


@pytest.mark.trust_row(
    what="Damaged records among good ones",
    held=(
        "`verify` ends with exit status 1. `run` names those records and trains their runs again;"
        " the good ones stay as they were."
    ),
    faults=("damaged records",),
)
def test_the_command_finds_every_damage_trains_those_runs_again_and_touches_no_other(
    tmp_path, here, counts
):
    kept = quick_store(tmp_path)
    victims = [kept.find(arm, 1) for arm in kept.arms("part1")]
    for victim, damage in zip(victims, DAMAGES.values(), strict=True):
        damage(victim.path, victim.record)
    others = {
        path: path.read_bytes()
        for path in kept.folder.rglob("*.json")
        if path not in {victim.path for victim in victims}
    }
    options = ("--profile", "quick", "--results", tmp_path)

    lines = command("verify", *options, status=1).stdout.splitlines()
    assert len(lines) == len(victims) + 1
    lines = command("run", *options).stderr.splitlines()
    for victim, line in zip(victims, lines, strict=False):
        run = f"{victim.arm.key} with seed 1"
        assert line.startswith(f"damaged, trained again: {run}: {victim.path} ")
    assert sorted(here) == sorted(victim.arm.key for victim in victims)
    assert {path: path.read_bytes() for path in others} == others
    assert {each.state for each in kept.find_all()} == {State.DONE}
    command("verify", *options)
    counts["damaged records"] += len(victims)
    counts["good records beside them"] += len(others)
