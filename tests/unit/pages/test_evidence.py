"""The files of counts: read as the tests write them, refused where they cannot be right."""

import json

import kept
import pytest

from mlpcw.study.pages import evidence
from mlpcw.study.pages.evidence import EvidenceError
from mlpcw.study.records import typed

KILLS = "a sweep killed at random moments ends as if it had not been"
FULL_DISK = "a sweep onto a full disk says so keeps the good and is carried on"
IDX = "the reader of idx files reads right or refuses in little memory"
FIGURES = {
    "witnesses": {
        "layers.AffineLayer": {"projection": 3, "independent": 2, "by hand": 1},
        "conv: loop": {"projection": 1, "independent": 1, "by hand": 1},
    },
    "oracles": {
        "vectors of the nodes of onnx": {
            **{"Conv, run": 2, "Conv, left out: padding": 4, "Relu, run": 1},
            **{"Conv, left out: groups": 1, "seconds": 5.1},
        },
        "vectors stored by onnx": {"Conv, run": 3, "Conv, left out: padding": 1, "seconds": 0.5},
        "layers by pytorch": {"gradients": 34, "seconds": 1.5},
        "training by pytorch": {"steps": 768, "seconds": 4.0},
    },
    "mutants": {
        "layers": {
            **{"possible": 30, "tried": 20, "killed": 19, "killed_by_time": 2},
            "survivors": {"relu: x > 0 -> x >= 0": "the slope at 0 is a convention"},
        },
        "study/store": {
            **{"possible": 10, "tried": 10, "killed": 8, "killed_by_time": 0},
            "survivors": {"write: 1 -> 2": "", "write: f(`x`) -> pass": ""},
        },
    },
    "faults": {
        KILLS: {"interrupts": 1, "kills of a worker": 26, "kills of the parent": 74}
        | {"sweeps brought to their end": 50, "seconds": 800.5},
        FULL_DISK: {"records with room": 5, "records without room": 2, "seconds": 6},
        "something new": {"things": 3, "seconds": 0.5},
    },
    "fuzz": {
        IDX: {"inputs": 100_002, "peak MiB": 103.7, "read right": 24_363, "refused": 75_639}
        | {"good": 24_000, "good, gzipped": 363, "mutated": 75_639, "seconds": 56.7},
    },
}
"""Small files of every topic, made up."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a file of every topic, as the long tests write them."""
    monkeypatch.setattr(kept, "FOLDER", tmp_path)
    for topic, figures in FIGURES.items():
        kept.keep(topic, evidence.command(topic), "0123456789abcdef", figures)
    return tmp_path


def made_up(**changes):
    """Evidence from `FIGURES`; `changes` are topics with other figures, or `None` for none."""
    origin = dict(command="make it", commit="0123456789", date="2026-01-02", python="3.11.7")
    topics = {}
    for topic, figures in (FIGURES | changes).items():
        value = origin | {"figures": figures, "command": f"make {topic}"}
        kind = evidence.TOPICS[topic]
        built = None if figures is None else typed.build(kind, value, topic)
        topics[topic] = built
    return evidence.Evidence(**topics)


def test_what_the_tests_write_is_read(folder):
    found = evidence.read(folder)
    assert found.faults.figures[KILLS]["kills of the parent"] == 74
    assert found.faults.command == "make faults"
    assert found.faults.commit == "0123456789abcdef"
    assert found.faults.seconds == 807
    assert found.mutants.figures["layers"].survivors == {
        "relu: x > 0 -> x >= 0": "the slope at 0 is a convention"
    }
    assert found.witnesses.figures == FIGURES["witnesses"]
    assert found.oracles.figures == FIGURES["oracles"]
    assert found.fuzz.figures == FIGURES["fuzz"]


@pytest.mark.parametrize("topic", evidence.TOPICS)
def test_a_topic_without_a_file_has_not_been_run(folder, topic):
    (folder / f"{topic}.json").unlink()
    found = evidence.read(folder)
    assert [name for name in evidence.TOPICS if getattr(found, name) is None] == [topic]


@pytest.mark.parametrize("topic", evidence.TOPICS)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is damaged: Expecting value"),
        ("[]", "is damaged: the file is no object"),
        ('{"figures": {}}', "is damaged: the file has missing or unknown fields: command, commit"),
        ("[" * 100_000, "is damaged"),
    ],
)
def test_a_damaged_file_is_named_with_the_command_that_makes_it(folder, topic, text, reason):
    path = folder / f"{topic}.json"
    path.write_text(text, "utf-8")
    with pytest.raises(EvidenceError) as refused:
        evidence.read(folder)
    message = str(refused.value)
    assert message.startswith(f"{path} {reason}")
    assert message.endswith(f"; make it anew with: make {topic}")
    assert "\n" not in message


def test_a_folder_in_the_place_of_a_file_is_refused(folder):
    (folder / "fuzz.json").unlink()
    (folder / "fuzz.json").mkdir()
    with pytest.raises(EvidenceError, match=r"fuzz\.json cannot be read: Is a directory; make it"):
        evidence.read(folder)


@pytest.mark.parametrize(
    ("topic", "name", "changes", "reason"),
    [
        ("faults", KILLS, {"interrupts": -1}, "interrupts is -1.0, no count"),
        ("faults", KILLS, {"interrupts": 1.5}, "interrupts is 1.5, no count"),
        ("faults", KILLS, {"interrupts": "many"}, "interrupts is 'many', no finite number"),
        ("faults", KILLS, {"seconds": -0.5}, "seconds is -0.5, no count"),
        ("oracles", "layers by pytorch", {"gradients": None}, "gradients is None, no finite"),
        ("witnesses", "conv: loop", {"by ear": 1}, "conv: loop: unknown kinds of witness: by ear"),
        ("witnesses", "conv: loop", {"by hand": -1}, "conv: loop: by hand is -1, no count"),
        ("witnesses", "conv: loop", {"by hand": 0.5}, "by hand is 0.5, not of type int"),
        ("fuzz", IDX, {"refused": 75_638}, "24363 read and 75638 refused are not the 100002 inp"),
        ("fuzz", IDX, {"mutated": 1}, "its kinds are 24364 in all, not 100002"),
        ("mutants", "layers", {"killed": 18}, "18 killed and 1 survivors are not the 20 tried"),
        ("mutants", "layers", {"possible": 19}, "of 19 mutants 20 are tried"),
        ("mutants", "layers", {"killed_by_time": 20}, "20 of these by time, which cannot be"),
        ("mutants", "layers", {"survivors": []}, "survivors is no object"),
    ],
)
def test_counts_that_cannot_be_right_are_refused(folder, topic, name, changes, reason):
    path = folder / f"{topic}.json"
    held = json.loads(path.read_text("utf-8"))
    held["figures"][name] |= changes
    path.write_text(json.dumps(held), "utf-8")
    with pytest.raises(EvidenceError) as refused:
        evidence.read(folder)
    assert reason in str(refused.value)


@pytest.mark.parametrize("field", ["inputs", "peak MiB"])
def test_a_fuzz_test_says_how_many_files_and_how_much_memory(folder, field):
    path = folder / "fuzz.json"
    held = json.loads(path.read_text("utf-8"))
    del held["figures"][IDX][field]
    path.write_text(json.dumps(held), "utf-8")
    with pytest.raises(EvidenceError, match=f"{IDX}: {field} is missing"):
        evidence.read(folder)


def test_the_mutants_of_all_modules_are_added_up():
    total = made_up().mutants.total()
    assert (total.possible, total.tried, total.killed, total.killed_by_time) == (40, 30, 27, 2)
    assert total.share == 0.9
    assert "study/store: write: 1 -> 2" in total.survivors


def test_no_mutants_are_all_killed():
    none = dict(possible=0, tried=0, killed=0, killed_by_time=0, survivors={})
    assert made_up(mutants={"empty": none}).mutants.figures["empty"].share == 1


@pytest.mark.parametrize("kind", evidence.KINDS)
def test_a_gradient_is_complete_with_witnesses_of_every_kind(kind):
    figures = FIGURES["witnesses"]
    assert made_up().witnesses.complete() == list(figures)
    lacking = {
        name: {k: n for k, n in counts.items() if k != kind} for name, counts in figures.items()
    }
    assert made_up(witnesses=lacking).witnesses.complete() == []


def test_the_files_that_are_kept_are_whole():
    assert evidence.read() is not None
