"""The page on trust: its tables, figure and texts follow from what was counted."""

import gradcheck
import pytest
from test_evidence import ROWS, made_up

from mlpcw.study.pages import evidence, trust
from mlpcw.study.show.style import VERDICTS

TABLES = {
    "witnesses": trust.witness_table,
    "oracles": trust.library_table,
    "mutants": trust.mutant_table,
    "faults": trust.fault_table,
    "fuzz": trust.input_table,
}
LAYERS, STORE = ({name: row} for name, row in ROWS["mutants"].items())


def plain(text):
    return text.replace("\u00a0", " ")


def texts(**changes):
    return {name: plain(text) for name, text in trust.texts(made_up(**changes)).items()}


def rows(table):
    """The lines of a table below its heading."""
    return plain(table).splitlines()[2:]


def mutated(killed, survivors):
    row = {"possible": 9999, "tried": killed + len(survivors), "killed_by_time": 0}
    return {"mutants": {"one": row | {"survivors": survivors}}}


def test_the_answer_has_three_sentences_with_the_numbers():
    assert texts()["trust_answer"] == (
        "All 2 layers, penalties, errors, models and methods of convolution have three witnesses of"
        " their gradients, and 34 gradients by PyTorch's autograd agree with ours. Of 30 small"
        " faults put into the code, one at a time, drawn from 40, the tests find 90.0 %. After 103"
        " faults, from killed processes and full disks to single flipped bits, every damage was"
        " named and every good record whole; and of 100 002 files 75 639 were refused and the"
        " others read right."
    )


def test_a_lacking_witness_is_said_in_the_answer_and_beside_the_table():
    said = texts(witnesses=ROWS["witnesses"] | {"layers.NewLayer": {"projection": 1}})
    assert said["trust_answer"].startswith("**2 of 3** layers")
    assert said["trust_lacking"] == (
        "10 tests are such witnesses. **A kind is missing for `NewLayer`.**"
    )
    assert texts()["trust_lacking"] == "9 tests are such witnesses. None lacks a kind."


@pytest.mark.parametrize("topic", evidence.TOPICS)
def test_a_topic_that_is_not_run_is_said_with_its_command(topic):
    said = texts(**{topic: None})
    sentence = f"Not run yet: `make {topic}` writes `results/trust/{topic}.json`."
    assert sentence in said["trust_answer"]
    assert said[f"trust_{topic}"] == sentence
    assert rows(TABLES[topic](made_up(**{topic: None}))) == [f"| `make {topic}` makes this table |"]
    others = [name for name in evidence.TOPICS if name != topic]
    assert all("Not run" not in said[f"trust_{name}"] for name in others)


def test_a_page_of_nothing_can_be_made():
    nothing = evidence.Evidence()
    said = trust.texts(nothing)
    assert said["trust_answer"].count("Not run yet") == len(evidence.TOPICS)
    assert all(said.values())
    (axes,) = trust.mutants_figure(nothing).axes
    assert [text.get_text() for text in axes.texts] == ["not run yet: make mutants"]


def test_where_the_counts_come_from_is_said():
    origin = "at commit `01234567`, 2026-01-02, Python 3.11.7"
    assert texts()["trust_mutants"] == f"Counted by `make mutants`, {origin}."
    assert texts()["trust_faults"] == f"Counted by `make faults`, {origin}, in 13 minutes."


@pytest.mark.parametrize(
    ("topic", "more", "expected"),
    [
        (
            "witnesses",
            {"layers.New": {"projection": 1}, "other.Thing": dict.fromkeys(evidence.KINDS, 7)},
            [
                "| **Layers** |  |  |  |",
                "| `AffineLayer` | 3 | 2 | 1 |",
                "| `New` | 1 | **none** | **none** |",
                "| **Methods of convolution** |  |  |  |",
                "| `loop` | 1 | 1 | 1 |",
                "| **other** |  |  |  |",
                "| `Thing` | 7 | 7 | 7 |",
            ],
        ),
        (
            "oracles",
            [],
            [
                "| SciPy | convolution | 6 problems |",
                "| PyTorch | layers | 34 gradients |",
                "| PyTorch | training | 1 step |",
            ],
        ),
        (
            "mutants",
            {},
            [
                "| `layers` | 30 | 20 | 19 | 1 | 95.0 % |",
                "| `study/store` | 10 | 10 | 8 | 2 | 80.0 % |",
                "| all | 40 | 30 | 27 | 3 | 90.0 % |",
            ],
        ),
        (
            "faults",
            [],
            [
                "| Sweeps killed | 74 kills of the parent; 26 kills of a worker; 1 interrupt;"
                " 50 sweeps brought to their end | They carry on. |",
                "| A full disk | 2 records | It is said. |",
                "| A small disk | not run: impossible where the others were | It is said. |",
            ],
        ),
        (
            "fuzz",
            [],
            [
                "| files of images | 100 002 | 24 363 | 75 639 | 104 MiB | 24 000 good;"
                " 363 good, gzipped; 75 639 mutated |"
            ],
        ),
    ],
)
def test_tables(topic, more, expected):
    changed = ROWS[topic] + more if isinstance(more, list) else ROWS[topic] | more
    assert rows(TABLES[topic](made_up(**{topic: changed}))) == expected


@pytest.mark.parametrize(
    ("changes", "name", "expected"),
    [
        ({}, "trust_below", "**Below it: `study/store` (80.0 %).**"),
        ({"mutants": LAYERS}, "trust_below", "No module is below it."),
        ({"mutants": STORE}, "trust_sampled", "All 10 mutants were tried."),
        (
            {},
            "trust_sampled",
            "30 of 40 mutants, drawn by a fixed seed, were tried. 2 count as killed because the"
            " tests did not end. The share of a sample is rough: in the smallest, of 20, one"
            " survivor more or less moves it by 5.0 points.",
        ),
        (mutated(0, {}), "trust_sampled", "0 of 9999 mutants, drawn by a fixed seed, were tried."),
        (mutated(9998, {"a -> b": "why"}), "trust_answer", "the tests find 99.9 %."),
        (mutated(9999, {}), "trust_answer", "code, one at a time, the tests find 100.0 %."),
        ({"mutants": {}}, "trust_survivors", "None has survived."),
        (
            {},
            "trust_survivors",
            "**`layers`**\n\n* the slope at 0 is a convention: `relu: x > 0 -> x >= 0`\n\n"
            "**`study/store`**\n\n"
            "* **no reason is given**: `write: 1 -> 2`, `` write: f(`x`) -> pass ``",
        ),
    ],
)
def test_texts_on_mutants(changes, name, expected):
    said = texts(**changes)[name]
    assert expected in said if name == "trust_answer" else said == expected


def test_every_share_is_drawn_where_it_is_with_its_verdict():
    figure = trust.mutants_figure(made_up())
    (axes,) = figure.axes
    drawn = {line.get_gid(): line for line in axes.lines if line.get_gid()}
    places = {name: (line.get_xdata()[0], line.get_color()) for name, line in drawn.items()}
    assert places == {"layers": (0.95, VERDICTS[True]), "study/store": (0.8, VERDICTS[False])}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["study/store", "layers"]
    assert [plain(text.get_text()) for text in axes.texts] == ["80 % · 8 of 10", "95 % · 19 of 20"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["reached", "missed"]
    assert axes.get_xlim()[0] < 0.8


def test_labels_are_inside_the_figure():
    figure = trust.mutants_figure(made_up(mutants={"study/learning_rules": STORE["study/store"]}))
    figure.canvas.draw()
    (axes,) = figure.axes
    boxes = [text.get_window_extent() for text in (*axes.get_yticklabels(), *axes.texts)]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_the_tolerance_that_the_page_names_is_that_of_the_tests():
    assert trust.TOLERANCE == gradcheck.TOLERANCE


def test_the_page_that_is_kept_can_be_made():
    stored = evidence.read()
    assert all(trust.texts(stored).values())
    assert all(rows(table(stored)) for table in TABLES.values())
    for row in stored.faults.rows if stored.faults else ():
        assert not row.counts or set(row.faults) <= set(row.counts), row.what
    trust.mutants_figure(stored).canvas.draw()
