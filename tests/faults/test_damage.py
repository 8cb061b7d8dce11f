"""Records that are damaged in every way: found, named, left as they are, and trained again."""

import pytest
from runs import command, forged, quick_arm, quick_store

from mlpcw.study import chapters
from mlpcw.study.pages.stored import open_store
from mlpcw.study.records.record import dumps, sealed
from mlpcw.study.records.store import State

ARM = quick_arm("part2/random_noise")
EVERY = 41
"""In the short version, one bit in so many is flipped."""


def damaged(whole, every):
    """A kind of damage and the content after it: cut, a bit flipped, a byte lost or doubled."""
    for place in range(len(whole)):
        before, byte, after = whole[:place], whole[place : place + 1], whole[place + 1 :]
        yield "lengths", before
        yield "bytes", before + after
        yield "bytes", before + byte + byte + after
        for bit in range(8):
            if (8 * place + bit) % every == 0:
                yield "bits", before + bytes([byte[0] ^ 1 << bit]) + after


@pytest.mark.trust_row(
    what="A record cut short, with a byte lost or doubled, or with a bit flipped, at every place",
    held="The record is found damaged and named in a sentence; its file is left as it is.",
)
def test_a_record_with_any_byte_cut_lost_doubled_or_flipped_is_damaged(
    tmp_path, counts, full_version
):
    kept = open_store("quick", tmp_path, 1)
    path = kept.write(forged(ARM))
    for kind, content in damaged(path.read_bytes(), 1 if full_version else EVERY):
        path.write_bytes(content)
        finding = kept.find(ARM, 0)
        assert (finding.state, finding.record) == (State.DAMAGED, None), content
        assert finding.reason.startswith(f"{path} ")
        assert finding.reason.isprintable()
        assert len(finding.reason) < 600
        assert path.read_bytes() == content
        counts[kind] += 1


# ---- The command ----------------------------------------------------------------------------


def rewritten(change):
    """Damage that changes a record and seals it again."""

    def damage(path, record):
        path.write_text(sealed(change(record)), encoding="utf-8")

    return damage


def replaced(before, after):
    """Damage that changes the text of a record."""

    def damage(path, record):
        text = path.read_text("utf-8")
        assert text.count(before) == 1
        path.write_text(text.replace(before, after), encoding="utf-8")

    return damage


OTHER = chapters.find("quick", "part3/nn")
DAMAGES = {
    "cut short": lambda path, _: path.write_bytes(path.read_bytes()[:-100]),
    "one digit": replaced('"acc": 0.75', '"acc": 0.76'),
    "NaN": replaced('"acc": 0.75', '"acc": NaN'),
    "Infinity": replaced('"acc": 0.75', '"acc": -Infinity'),
    "another arm's": rewritten(lambda record: forged(OTHER)),
    "a newer schema": rewritten(lambda record: record | {"schema": 2, "new": 1}),
    "without a digest": lambda path, record: path.write_text(dumps(record), encoding="utf-8"),
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
    victims = [kept.find(arm, 1) for arm in kept.arms if arm.part == "part1"]
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
    assert {run.state for run in kept.find_all()} == {State.DONE}
    command("verify", *options)
    counts["damaged records"] += len(victims)
    counts["good records beside them"] += len(others)
