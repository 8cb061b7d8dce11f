"""The page on trust: its tables, figure and texts follow from what was counted."""

import ast
import re

import gradcheck
import pytest
from test_evidence import FIGURES, IDX, made_up

from mlpcw.study.pages import evidence, trust
from mlpcw.study.records.store import repository_root
from mlpcw.study.show.style import VERDICTS

TABLES = {
    "witnesses": [trust.witness_table],
    "oracles": [trust.library_table, trust.vector_table],
    "mutants": [trust.mutant_table],
    "faults": [trust.fault_table],
    "fuzz": [trust.input_table],
}


def plain(text):
    return text.replace("\u00a0", " ")


def rows(table):
    """The lines of a table below its heading."""
    return plain(table).splitlines()[2:]


def test_the_answer_has_three_sentences_with_the_numbers():
    assert plain(trust.texts(made_up())["trust_answer"]) == (
        "All 2 layers, penalties, errors, models and methods of convolution have three witnesses of"
        " their gradients, and 6 test vectors of ONNX and 34 gradients by PyTorch's autograd agree"
        " with ours. Of 30 small faults put into the code, one at a time, drawn from 40, the tests"
        " find 90.0 %. After 103 faults, from killed processes and full disks to single flipped"
        " bits, every damage was named and every good record whole; and of 100 002 files 75 639"
        " were refused and the others read right."
    )


def test_a_lacking_witness_is_said_in_the_answer_and_beside_the_table():
    witnesses = {**FIGURES["witnesses"], "layers.NewLayer": {"projection": 1}}
    texts = trust.texts(made_up(witnesses=witnesses))
    assert texts["trust_answer"].startswith("**2 of 3** layers")
    assert texts["trust_lacking"] == (
        "10 tests are such witnesses. **A kind is missing for `NewLayer`.**"
    )


@pytest.mark.parametrize("topic", evidence.TOPICS)
def test_a_topic_that_is_not_run_is_said_with_its_command(topic):
    found = made_up(**{topic: None})
    texts = trust.texts(found)
    sentence = f"Not run yet: `make {topic}` writes `results/trust/{topic}.json`."
    assert sentence in texts["trust_answer"]
    assert texts[f"trust_{topic}"] == sentence
    for table in TABLES[topic]:
        assert rows(table(found)) == [f"| `make {topic}` makes this table |"]
    others = [name for name in evidence.TOPICS if name != topic]
    assert all("Not run" not in texts[f"trust_{name}"] for name in others)


def test_a_page_of_nothing_can_be_made():
    found = evidence.Evidence()
    texts = trust.texts(found)
    assert texts["trust_answer"].count("Not run yet") == len(evidence.TOPICS)
    assert all(texts.values())
    (axes,) = trust.mutants_figure(found).axes
    assert [text.get_text() for text in axes.texts] == ["not run yet: make mutants"]


def test_where_the_counts_come_from_is_said():
    texts = {name: plain(text) for name, text in trust.texts(made_up()).items()}
    origin = "at commit `01234567`, 2026-01-02, Python 3.11.7"
    assert texts["trust_mutants"] == f"Counted by `make mutants`, {origin}."
    assert texts["trust_faults"] == f"Counted by `make faults`, {origin}, in 13 minutes."


def test_witnesses_are_tabled_in_groups():
    witnesses = {**FIGURES["witnesses"], "layers.NewLayer": {"projection": 1}}
    witnesses["elsewhere.Thing"] = dict.fromkeys(evidence.KINDS, 7)
    assert rows(trust.witness_table(made_up(witnesses=witnesses))) == [
        "| **Layers** |  |  |  |",
        "| `AffineLayer` | 3 | 2 | 1 |",
        "| `NewLayer` | 1 | **none** | **none** |",
        "| **Methods of convolution** |  |  |  |",
        "| `loop` | 1 | 1 | 1 |",
        "| **elsewhere** |  |  |  |",
        "| `Thing` | 7 | 7 | 7 |",
    ]


def test_comparisons_that_were_not_run_are_in_the_table():
    table = rows(trust.library_table(made_up()))
    assert (
        table[0] == "| PyTorch | every layer: outputs and, by autograd, gradients | 34 gradients |"
    )
    assert table[1].endswith("| 768 steps |")
    assert len(table) == len(trust.COMPARISONS)
    assert sum("not run: it was not installed" in row for row in table) == len(table) - 2


def test_an_unknown_comparison_is_shown_by_its_own_name():
    oracles = {"sums by abacus": {"sums": 1, "seconds": 1}}
    assert rows(trust.library_table(made_up(oracles=oracles)))[0] == "|  | sums by abacus | 1 sum |"


def test_vectors_of_both_kinds_are_added_up_by_operator():
    assert rows(trust.vector_table(made_up())) == [
        "| `Conv` | 5 | 6 | groups (1), padding (5) |",
        "| `Relu` | 1 | 0 |  |",
        "| all | 6 | 6 |  |",
    ]


def test_mutants_are_tabled_by_module_and_added_up():
    assert rows(trust.mutant_table(made_up())) == [
        "| `layers` | 30 | 20 | 19 | 1 | 95.0 % |",
        "| `study/store` | 10 | 10 | 8 | 2 | 80.0 % |",
        "| all | 40 | 30 | 27 | 3 | 90.0 % |",
    ]


def test_a_module_below_the_least_share_is_named():
    texts = {name: plain(text) for name, text in trust.texts(made_up()).items()}
    assert texts["trust_below"] == "**Below it: `study/store` (80.0 %).**"
    layers = {"layers": FIGURES["mutants"]["layers"]}
    assert trust.texts(made_up(mutants=layers))["trust_below"] == "No module is below it."


def test_a_sample_is_said_to_be_one():
    store = {"study/store": FIGURES["mutants"]["study/store"]}
    assert trust.texts(made_up(mutants=store))["trust_sampled"] == "All 10 mutants were tried."
    assert "drawn from" not in trust.texts(made_up(mutants=store))["trust_answer"]
    assert plain(trust.texts(made_up())["trust_sampled"]) == (
        "30 of 40 mutants, drawn by a fixed seed, were tried. 2 count as killed because the tests"
        " did not end. The share of a sample is rough: in the smallest, of 20, one survivor more or"
        " less moves it by 5.0 points."
    )


def test_a_module_of_which_nothing_was_tried_has_no_sample():
    untried = {"possible": 5, "tried": 0, "killed": 0, "killed_by_time": 0, "survivors": {}}
    sampled = trust.texts(made_up(mutants={"one": untried}))["trust_sampled"]
    assert sampled == "0 of 5 mutants, drawn by a fixed seed, were tried."


def test_all_are_killed_only_where_none_survives():
    mutated = {"possible": 9999, "tried": 9999, "killed": 9998, "killed_by_time": 0}
    found = made_up(mutants={"one": mutated | {"survivors": {"a -> b": "why"}}})
    assert "| 99.9 % |" in plain(trust.mutant_table(found))
    found = made_up(mutants={"one": mutated | {"killed": 9999, "survivors": {}}})
    assert "| 100.0 % |" in plain(trust.mutant_table(found))


def test_survivors_are_listed_with_their_reasons():
    assert trust.survivors(made_up()).splitlines() == [
        "**`layers`**",
        "",
        "* the slope at 0 is a convention: `relu: x > 0 -> x >= 0`",
        "",
        "**`study/store`**",
        "",
        "* **no reason is given**: `write: 1 -> 2`, `` write: f(`x`) -> pass ``",
    ]
    assert trust.survivors(made_up(mutants={})) == "None has survived."


def test_faults_are_tabled_scenario_by_scenario():
    table = rows(trust.fault_table(made_up()))
    first = "| Sweeps killed or interrupted at random moments | 74 kills of the parent; 26 kills of"
    assert table[0].startswith(
        f"{first} a worker; 1 interrupt; 50 sweeps brought to their end | What was stored"
    )
    assert table[-1] == "| something new | 3 things |  |"
    assert len(table) == len(trust.SCENARIOS) + 1
    assert sum("not run: impossible" in row for row in table) == len(trust.SCENARIOS) - 2


def test_only_faults_are_counted_as_faults():
    assert trust.num_faults(made_up()) == 1 + 26 + 74 + 2
    assert trust.num_faults(made_up(faults=None)) == 0


def test_files_are_tabled_reader_by_reader():
    table = rows(
        trust.input_table(made_up(fuzz={**FIGURES["fuzz"], "another": FIGURES["fuzz"][IDX]}))
    )
    numbers = (
        "100 002 | 24 363 | 75 639 | 104 MiB | 24 000 good; 363 good, gzipped; 75 639 mutated |"
    )
    assert table == [f"| files of images and labels | {numbers}", f"| another | {numbers}"]


def test_every_share_is_drawn_where_it_is_with_its_verdict():
    figure = trust.mutants_figure(made_up())
    (axes,) = figure.axes
    drawn = {line.get_gid(): line for line in axes.lines if line.get_gid()}
    found = {name: (line.get_xdata()[0], line.get_color()) for name, line in drawn.items()}
    assert found == {"layers": (0.95, VERDICTS[True]), "study/store": (0.8, VERDICTS[False])}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["study/store", "layers"]
    assert [plain(text.get_text()) for text in axes.texts] == ["80 % · 8 of 10", "95 % · 19 of 20"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["reached", "missed"]
    assert axes.get_xlim()[0] < 0.8


def test_labels_are_inside_the_figure():
    modules = {"study/learning_rules": FIGURES["mutants"]["study/store"]}
    figure = trust.mutants_figure(made_up(mutants=modules))
    figure.canvas.draw()
    (axes,) = figure.axes
    boxes = [text.get_window_extent() for text in (*axes.get_yticklabels(), *axes.texts)]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)


# ---- that the page knows the tests -------------------------------------------------------------


def counting_tests(folder):
    """The names under which the tests of a folder count."""
    for path in sorted((repository_root() / "tests" / folder).glob("test_*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                continue
            if "counts" in {argument.arg for argument in node.args.args}:
                yield node.name.removeprefix("test_").replace("_", " ")


@pytest.mark.parametrize(
    ("folder", "known"), [("faults", trust.SCENARIOS), ("fuzz", trust.READERS)]
)
def test_every_test_that_counts_is_told_of(folder, known):
    assert set(counting_tests(folder)) == set(known)


def test_the_limits_that_the_page_names_are_those_of_the_tests():
    assert trust.TOLERANCE == gradcheck.TOLERANCE
    source = (repository_root() / "tests/fuzz/test_readers.py").read_text("utf-8")
    assert re.search(r"^MOST = (\d+)  # MiB$", source, re.MULTILINE)[1] == str(trust.MOST_MEMORY)


def test_the_names_of_faults_are_those_that_are_counted():
    found = evidence.read()
    if found.faults is None:
        pytest.skip("make faults has not been run")
    for name, counts in found.faults.figures.items():
        assert set(trust.SCENARIOS[name].faults) <= set(counts), name


def test_the_page_that_is_kept_can_be_made():
    found = evidence.read()
    assert all(trust.texts(found).values())
    assert all(rows(table(found)) for tables in TABLES.values() for table in tables)
    trust.mutants_figure(found).canvas.draw()
