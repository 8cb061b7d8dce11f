"""The page on where the numbers come from."""

import made_up
import pytest

from mlpcw.study.chapters import CONDITIONS
from mlpcw.study.pages import reproducing

FULL = made_up.results("full")


def test_beside_2016_exact_runs_are_counted():
    # the made-up runs print what 2016 printed, wherever it printed anything
    texts = reproducing.texts(FULL)
    count = sum(bool(each.log or each.table) for each in CONDITIONS.values())
    assert texts["exact"].startswith(f"Of the {count} runs of which 2016 printed anything, {count}")
    assert texts["hours_2016"].startswith("By its own logs, the 100 epochs of the 13 runs")
    assert "took 2.7 hours in 2016" in texts["hours_2016"]


@pytest.mark.parametrize(
    ("profile", "line"),
    [
        ("full", "| `part1/none` | 1 | 105 of 105 printed values of its log |"),
        ("quick", "| `part1/none` | 1 |"),
    ],
)
def test_an_arm_has_its_time_and_beside_2016_its_verdict(profile, line):
    texts = reproducing.texts(made_up.results(profile))
    assert texts["run_table"].splitlines()[2] == line
    num_runs = len(FULL.runs) * (1 if profile == "full" else 3)
    assert texts["num_runs"] == str(num_runs)
    assert texts["total_time"] == f"{num_runs} seconds"


def test_versions_are_those_of_all_runs():
    results = made_up.results("full")
    record = results.runs["part3/nn"][0]
    record["provenance"] |= {"numpy": "2.1", "data_digest": "f" * 64}
    texts = reproducing.texts(results)
    assert "| NumPy | 2.0 and 2.1 |" in texts["versions"].splitlines()
    assert texts["digest"] == "0123456789ab and ffffffffffff"
