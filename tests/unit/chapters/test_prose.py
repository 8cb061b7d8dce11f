"""The numbers and words of the text."""

import json
import re
from pathlib import Path

import made_up
import numpy as np
import pytest

from mlpcw import mnist
from mlpcw.study.chapters import prose
from mlpcw.study.original import published as replay
from mlpcw.study.records.store import repository_root
from mlpcw.study.show.words import three_digits

CHAPTERS = {
    "part1_regularisation.ipynb": prose.part1,
    "part2_augmentation.ipynb": prose.part2,
    "part3_convolution.ipynb": prose.part3,
    "index.md": prose.index,
    "reproducing.md": prose.reproducing,
}
WORDS_OF_2016 = ("2016", "the report", "original report", "dashed")


@pytest.fixture(scope="module", params=["full", "quick"])
def results(request):
    return made_up.results(request.param)


def text_of(page: Path) -> str:
    """What an author has written on a page: its Markdown."""
    if page.suffix == ".md":
        return page.read_text("utf-8")
    cells = json.loads(page.read_text("utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells)


@pytest.mark.parametrize("page", CHAPTERS)
def test_every_name_that_a_page_refers_to_is_glued_and_every_text_is_used(page, results):
    text = text_of(repository_root() / "book" / page)
    used = set(re.findall(r"\{glue:text\}`([^`]+)`", text))
    used |= set(re.findall(r"\{glue:(?:md|figure)\} (\S+)", text))
    glued = set(re.findall(r'glue\("([^"]+)"', text))
    own, shared = set(CHAPTERS[page](results)), set(prose.common(results))
    assert used <= own | shared | glued
    assert own <= used


def test_final_numbers_are_those_of_the_runs(results):
    valid = {key: results.final(key, "error_valid") for key in prose.WEAK}
    ranking = prose.part1(results)["part1_ranking"]
    positions = [ranking.index(three_digits(valid[key])) for key in sorted(valid, key=valid.get)]
    assert positions == sorted(positions)


def test_the_answer_follows_the_runs():
    full = made_up.results("full")
    both = "part1/l1l2_1e-5_1e-4"
    lowest = made_up.changed(full, both, "error_valid", 0.01)
    highest = made_up.changed(full, both, "error_valid", 0.5)
    assert "that of L1 10⁻⁵ + L2 10⁻⁴ at 0.0100" in prose.part1(lowest)["part1_answer"]
    assert "0.500, above L1 alone" in prose.part1(highest)["part1_answer"]
    assert "below L1 alone" in prose.part1(lowest)["part1_answer"]


def test_what_prints_the_same_is_called_level():
    full = made_up.results("full")
    l2 = full.final("part1/l2_1e-4", "error_valid")
    level = made_up.changed(full, "part1/l1l2_1e-5_1e-4", "error_valid", l2 * (1 + 1e-7))
    texts = prose.part1(level)
    assert texts["part1_both_l2"] == "level with"
    assert texts["part1_best"] == "L2 10⁻⁴ and L1 10⁻⁵ + L2 10⁻⁴, which are level,"


def test_augmentations_are_counted_by_the_runs():
    full = made_up.results("full")
    worse = made_up.changed(full, "part2/initial_data", "error_valid", 0.0001)
    assert "none end with a lower validation error" in prose.part2(worse)["part2_answer"]


def test_when_a_network_has_learnt_is_the_first_epoch_at_the_threshold():
    full = made_up.results("full")
    assert prose.learnt(full, "part3/nn") == _first_epoch(full, "part3/nn")
    never = made_up.results("quick")
    for record in never.runs["part3/nn"]:
        record["curves"]["acc_train"] = [0.5] * len(record["curves"]["epoch"])
    assert prose.learnt(never, "part3/nn") == "not within 20 epochs"


def _first_epoch(results, key):
    curves = results.runs[key][0]["curves"]
    return next(
        (
            f"by epoch {epoch}"
            for epoch, accuracy in zip(curves["epoch"], curves["acc_train"], strict=True)
            if accuracy >= prose.LEARNT
        ),
        f"not within {curves['epoch'][-1]} epochs",
    )


def test_the_gap_of_an_augmented_run_is_to_the_error_on_clean_images(results):
    key = "part2/random_rotation"
    expected = results.final(key, "error_valid") - results.final(key, "error_train_clean")
    assert prose.gap(results, key) == pytest.approx(expected)


def test_the_quick_profile_has_no_number_and_no_verdict_of_2016():
    quick = made_up.results("quick")
    texts = prose.common(quick) | prose.part1(quick) | prose.part2(quick) | prose.part3(quick)
    texts |= prose.reproducing(quick)
    said = {name: text for name, text in texts.items() if any(w in text for w in WORDS_OF_2016)}
    assert set(said) <= {"part1_logs", "part2_logs", "part3_logs"}
    assert all("not the runs of 2016" in text for text in said.values())


def test_every_chapter_says_what_its_numbers_rest_on():
    assert "one run" in prose.common(made_up.results("full"))["basis"]
    assert "mean of 3 runs" in prose.common(made_up.results("quick"))["basis"]


def test_beside_2016_each_run_has_its_verdict():
    full = made_up.results("full")
    lines = prose.part1(full)["part1_logs"].splitlines()
    assert len(lines) == 7
    for line, key in zip(lines, (*prose.WEAK, *prose.STRONG), strict=True):
        assert replay.verdict(key, prose.compared_with_2016(full, key)).strip() in line


def test_displacements_are_measured():
    noise = np.random.RandomState(1).uniform(-1, 1, size=(50, 28, 28))
    assert prose.rms_displacement(34, 1e-3) == pytest.approx(34 * noise.std(), rel=0.02)
    assert prose.rms_displacement(68, 4) == pytest.approx(2 * prose.rms_displacement(34, 4))
    assert prose.rms_displacement(34, 10) < prose.rms_displacement(34, 1)


def test_a_caption_names_the_images_shown():
    assert prose.shown(mnist.digits()) == "Images of scikit-learn's digits"


@pytest.mark.parametrize(
    ("seconds", "text"), [(40, "40 seconds"), (720, "12 minutes"), (5400, "90 minutes")]
)
def test_a_time_is_said_as_people_say_it(seconds, text):
    assert prose.duration(seconds) == text


@pytest.mark.parametrize(
    ("items", "text"), [(["A"], "A"), (["A", "B"], "A and B"), (["A", "B", "C"], "A, B and C")]
)
def test_a_list_reads_as_a_sentence(items, text):
    assert prose.listed(items) == text
