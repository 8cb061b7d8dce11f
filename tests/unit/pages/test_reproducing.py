"""The page on where the numbers come from."""

import made_up
import pytest

from mlpcw.study.pages import reproducing

FULL = made_up.results("full")


def test_beside_2016_exact_runs_are_counted():
    # the made-up runs print what 2016 printed, wherever it printed anything: of all but cnn_15x15
    texts = reproducing.texts(FULL)
    assert texts["exact"].startswith("Of the 22 runs of which 2016 printed anything, 22 match it")
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
    assert texts["num_runs"] == ("23" if profile == "full" else "69")
    assert texts["total_time"] == ("23 seconds" if profile == "full" else "69 seconds")


def test_versions_are_those_of_all_runs():
    results = made_up.results("full")
    record = results.runs["part3/nn"][0]
    record["provenance"] |= {"numpy": "2.1", "data_digest": "f" * 64}
    texts = reproducing.texts(results)
    assert "| NumPy | 2.0 and 2.1 |" in texts["versions"].splitlines()
    assert texts["digest"] == "0123456789ab and ffffffffffff"
