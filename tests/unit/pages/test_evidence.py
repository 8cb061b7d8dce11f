"""Files of counts: read as the tests write them, refused if damaged."""

import json
import re

import kept
import msgspec
import pytest

from mlpcw.study.pages import evidence
from mlpcw.study.pages.evidence import EvidenceError

KILLS = {"interrupts": 1, "kills of a worker": 26, "kills of the parent": 74}
FILES = {"good": 24_000, "good, gzipped": 363, "mutated": 75_639}
ROWS = {
    "witnesses": {
        "layers.AffineLayer": {"projection": 3, "independent": 2, "by hand": 1},
        "conv: loop": {"projection": 1, "independent": 1, "by hand": 1},
    },
    "oracles": [
        {"library": "SciPy", "what": "convolution", "counts": {"problems": 6}, "seconds": 5.5},
        {"library": "PyTorch", "what": "layers", "counts": {"gradients": 34}, "seconds": 1.5},
        {"library": "PyTorch", "what": "training", "counts": {"steps": 1}, "seconds": 4.0},
    ],
    "mutants": {
        "layers": {
            **{"possible": 30, "tried": 20, "killed_by_time": 2},
            "survivors": {"relu: x > 0 -> x >= 0": "the slope at 0 is a convention"},
        },
        "study/store": {
            **{"possible": 10, "tried": 10, "killed_by_time": 0},
            "survivors": {"write: 1 -> 2": "", "write: f(`x`) -> pass": ""},
        },
    },
    "faults": [
        {
            **{"what": "Sweeps killed", "held": "They carry on.", "seconds": 800.5},
            "counts": KILLS | {"sweeps brought to their end": 50},
            "faults": ["kills of the parent", "kills of a worker", "interrupts"],
        },
        {"what": "A full disk", "held": "It is said.", "counts": {"records": 2}, "seconds": 6},
        {"what": "A small disk", "held": "It is said.", "counts": {}, "seconds": 0},
    ],
    "fuzz": [
        {
            **{"reader": "files of images", "counts": FILES, "seconds": 56.7},
            **{"refused": 75_639, "peak_mib": 103.7},
        }
    ],
}
"""Small files of every topic, made up."""


def made_up(**changes):
    """Evidence from `ROWS`; `changes` are topics with other rows, or `None` for none."""
    origin = dict(commit="0123456789", date="2026-01-02", python="3.11.7")
    topics = {
        topic: rows if rows is None else origin | {"command": f"make {topic}", "rows": rows}
        for topic, rows in (ROWS | changes).items()
    }
    return msgspec.convert(topics, evidence.Evidence)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a file of every topic, as the long tests write them."""
    monkeypatch.setattr(kept, "FOLDER", tmp_path)
    for topic, rows in ROWS.items():
        kept.keep(topic, rows, "0123456789")
    return tmp_path


def test_what_the_tests_write_is_read(folder):
    written, expected = evidence.read(folder), made_up()
    for topic in ROWS:
        assert getattr(written, topic).rows == getattr(expected, topic).rows
    assert (written.faults.command, written.faults.commit) == ("make faults", "0123456789")


def test_rows_that_the_page_cannot_read_are_not_written(folder):
    before = (folder / "fuzz.json").read_bytes()
    with pytest.raises(msgspec.ValidationError, match="missing required field `refused`"):
        kept.keep("fuzz", [{"reader": "any", "counts": {}, "seconds": 1, "peak_mib": 1}], "")
    assert (folder / "fuzz.json").read_bytes() == before


@pytest.mark.parametrize("topic", evidence.TOPICS)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is damaged: Input data was truncated"),
        ("[]", "is damaged: Expected `object`, got `array`"),
        ("{}", "is damaged: Object missing required field"),
        ("\xff", "is damaged: "),
        ("[" * 100_000, "is damaged: "),
        (None, "cannot be read: Is a directory"),
    ],
)
def test_a_damaged_file_is_named_with_the_command_that_makes_it(folder, topic, text, reason):
    path = folder / f"{topic}.json"
    path.unlink()
    assert [name for name in ROWS if getattr(evidence.read(folder), name) is None] == [topic]
    if text is None:
        path.mkdir()
    else:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(EvidenceError) as refused:
        evidence.read(folder)
    message = str(refused.value)
    assert message.startswith(f"{path} {reason}") and "\n" not in message
    assert message.endswith(f"; make it anew with: make {topic}")


@pytest.mark.parametrize(
    ("topic", "key", "changes", "reason"),
    [
        ("faults", 0, {"counts": {"interrupts": -1}}, "Expected `int` >= 0 - at `$.rows[0].counts"),
        ("faults", 0, {"counts": {"interrupts": 1.5}}, "Expected `int`, got `float`"),
        ("faults", 1, {"seconds": -0.5}, "Expected `float` >= 0.0 - at `$.rows[1].seconds`"),
        ("oracles", 1, {"by": "us"}, "Object contains unknown field `by` - at `$.rows[1]`"),
        ("witnesses", "conv: loop", {"by ear": 1}, "Invalid enum value 'by ear'"),
        ("fuzz", 0, {"refused": 100_003}, "100003 of 100002 files are refused - at `$.rows[0]`"),
        ("fuzz", 0, {"peak_mib": 0}, "Expected `float` > 0.0"),
        ("mutants", "layers", {"possible": 19}, "20 of 19 mutants tried, 1 survived and 2 killed"),
        ("mutants", "layers", {"killed_by_time": 20}, "20 killed by time do not add up"),
        ("mutants", "study/store", {"tried": 1}, "1 of 10 mutants tried, 2 survived and 0 killed"),
    ],
)
def test_counts_that_cannot_be_right_are_refused(folder, topic, key, changes, reason):
    path = folder / f"{topic}.json"
    held = json.loads(path.read_text("utf-8"))
    held["rows"][key] |= changes
    path.write_text(json.dumps(held), "utf-8")
    with pytest.raises(EvidenceError, match=re.escape(reason)):
        evidence.read(folder)


def test_the_mutants_of_all_modules_are_added_up():
    total = made_up().mutants.total()
    assert (total.possible, total.tried, total.killed, total.killed_by_time) == (40, 30, 27, 2)
    assert total.share == 0.9
    assert "study/store: write: 1 -> 2" in total.survivors
    none = dict(possible=0, tried=0, killed_by_time=0, survivors={})
    assert made_up(mutants={"empty": none}).mutants.rows["empty"].share == 1


@pytest.mark.parametrize("kind", evidence.KINDS)
def test_a_gradient_is_complete_with_witnesses_of_every_kind(kind):
    rows = ROWS["witnesses"]
    assert made_up().witnesses.complete() == list(rows)
    lacking = {name: {k: n for k, n in row.items() if k != kind} for name, row in rows.items()}
    assert made_up(witnesses=lacking).witnesses.complete() == []
