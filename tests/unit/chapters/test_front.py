"""Pages and texts: every name that a page refers to is glued, and every text is used."""

import json
import re
from pathlib import Path

import made_up
import pytest

from mlpcw.study.chapters import front, part1, part2, part3
from mlpcw.study.pages import reproducing
from mlpcw.study.records.store import repository_root

PAGES = {
    "part1_regularisation.ipynb": part1.texts,
    "part2_augmentation.ipynb": part2.texts,
    "part3_convolution.ipynb": part3.texts,
    "index.md": front.answers,
    "reproducing.md": reproducing.texts,
}
WORDS_OF_2016 = ("2016", "the report", "original report", "dashed")
FULL, QUICK = made_up.results("full"), made_up.results("quick")


def text_of(page: Path) -> str:
    """What an author has written on a page: its Markdown."""
    if page.suffix == ".md":
        return page.read_text("utf-8")
    cells = json.loads(page.read_text("utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells)


@pytest.mark.parametrize("results", [FULL, QUICK], ids=["full", "quick"])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_and_its_texts_have_the_same_names(page, results):
    text = text_of(repository_root() / "book" / page)
    used = set(re.findall(r"\{glue:text\}`([^`]+)`", text))
    used |= set(re.findall(r"\{glue:(?:md|figure)\} (\S+)", text))
    glued = set(re.findall(r'glue\("([^"]+)"', text))
    own, shared = set(PAGES[page](results)), set(front.common(results))
    assert used <= own | shared | glued
    assert own <= used


def test_the_quick_profile_has_no_number_and_no_verdict_of_2016():
    texts = front.common(QUICK)
    for texts_of_page in PAGES.values():
        texts |= texts_of_page(QUICK)
    named = {name: text for name, text in texts.items() if any(w in text for w in WORDS_OF_2016)}
    assert set(named) <= {"part1_logs", "part2_logs", "part3_logs"}
    assert all("not the runs of 2016" in text for text in named.values())
    assert "mean of 3 runs" in texts["basis"]
    assert "one run" in front.common(FULL)["basis"]
