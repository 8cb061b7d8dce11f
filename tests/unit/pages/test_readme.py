"""The README: its results are those of the stored runs."""

import made_up
import pytest

from mlpcw.study.pages import readme
from mlpcw.study.pages.stored import open_store
from mlpcw.study.records.arms import PARTS
from mlpcw.study.records.results import MissingRunsError, Results
from mlpcw.study.records.store import repository_root


@pytest.fixture(scope="module")
def stored():
    store = open_store("full")
    try:
        return Results.of("full", store.find_all(PARTS))
    except MissingRunsError as error:
        pytest.skip(f"the stored runs are not whole: {error}")


def test_readme_says_what_the_stored_runs_say(stored):
    text = (repository_root() / "README.md").read_text("utf-8")
    assert readme.updated(text, stored) == text, "run: python -m mlpcw.study.pages.readme"


def test_picture_is_drawn_from_the_stored_runs(stored, tmp_path):
    picture = tmp_path / "readme.svg"
    readme.draw(stored, picture)
    held = (repository_root() / "_static" / "readme.svg").read_text("utf-8")
    assert picture.read_text("utf-8") == held, "run: python -m mlpcw.study.pages.readme"


def test_results_follow_the_runs():
    full = made_up.results("full")
    changed = made_up.changed(full, "part2/random_rotation", "error_valid", 0.001)
    assert readme.results_block(full) != readme.results_block(changed)
    assert "rotation** ends lowest, at 0.00100" in readme.results_block(changed)


def test_text_around_the_results_stays_and_the_marks_must_be_there():
    text = f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n"
    new = readme.updated(text, made_up.results("full"))
    assert new.startswith("before\n") and new.endswith("\nafter\n") and "old" not in new
    with pytest.raises(ValueError, match=r"README\.md must hold the marks"):
        readme.updated("no marks", made_up.results("full"))
