"""Chapter 1: its texts follow the runs."""

import made_up
import pytest

from mlpcw.study.chapters import part1
from mlpcw.study.show.words import three_digits

FULL = made_up.results("full")


@pytest.mark.parametrize("profile", ["full", "quick"])
def test_the_ranking_has_the_final_errors_in_their_order(profile):
    results = made_up.results(profile)
    errors = sorted(results.final(condition.key, "error_valid") for condition in part1.WEAK)
    ranking = part1.texts(results)["part1_ranking"]
    positions = [ranking.index(three_digits(error)) for error in errors]
    assert positions == sorted(positions)


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (0.01, "that of L1 10⁻⁵ + L2 10⁻⁴ at 0.0100"),
        (0.01, "0.0100, below L1 alone"),
        (0.5, "0.500, above L1 alone"),
    ],
)
def test_the_answer_follows_the_runs(error, answer):
    results = made_up.changed(FULL, part1.BOTH.key, "error_valid", error)
    assert answer in part1.texts(results)["part1_answer"]


def test_what_prints_the_same_is_called_level():
    error = FULL.final(part1.L2.key, "error_valid") * (1 + 1e-7)
    texts = part1.texts(made_up.changed(FULL, part1.BOTH.key, "error_valid", error))
    assert texts["part1_both_l2"] == "level with"
    assert texts["part1_best"] == "L2 10⁻⁴ and L1 10⁻⁵ + L2 10⁻⁴, which are level,"


def test_beside_2016_each_condition_has_its_verdict():
    lines = part1.texts(FULL)["part1_logs"].splitlines()
    for line, condition in zip(lines, part1.WEAK + part1.STRONG, strict=True):
        verdict = condition.verdict(FULL.runs[condition.key][0]["curves"]).strip()
        assert line == f"* {condition.label}: {verdict}."
