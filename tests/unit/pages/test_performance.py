"""The page on performance: its verdicts, tables, figures and texts follow from the measurements."""

import subprocess
import sys

import pytest
from test_measurements import LINE, NUMBER, ROW, SERIES, WORK, made_up, of, replace

from mlpcw.study.pages import measurements, performance, performance_figures
from mlpcw.study.records.store import repository_root
from mlpcw.study.show.style import VERDICTS


def rows(*all_changes):
    """Rows, made up, with other fields."""
    return tuple(replace(ROW, **changes) for changes in all_changes)


def texts(**sections):
    measured = performance.texts(of(**sections))
    return {name: text.replace("\u00a0", " ") for name, text in measured.items()}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.234e-5, "12.3 µs"),
        (4e-8, "0.0400 µs"),
        (9.9e-5, "99.0 µs"),
        (1.5e-4, "0.150 ms"),
        (0.0301, "30.1 ms"),
        (0.412, "0.412 s"),
        (45, "45.0 s"),
        (900, "15.0 min"),
        (9817, "2.73 h"),
    ],
)
def test_a_time_is_written_in_the_unit_that_suits_it(seconds, text):
    assert performance.seconds_text(seconds) == text.replace(" ", "\u00a0")


def test_the_answer_counts_targets_and_has_the_epoch_and_the_runs_of_2016():
    replay = replace(WORK, subject="all runs of 2016")
    row = replace(ROW, work=replay, seconds=600.0, peer_seconds=7200.0, at_least=None)
    measured = {"training": made_up(), "records": made_up(rows=(row,), numbers=())}
    assert performance.verdicts(of(**measured)) == [False, True]
    answer = texts(**measured)["perf_answer"]
    assert answer.startswith("Of 2 targets 1 are reached and 1 missed.")
    assert "0.250 s of one core, 2.00 times as fast as PyTorch" in answer
    assert "take 10.0 min here, by the times in their records;" in answer
    assert answer.endswith("in 2016 those with a log took 2.00 h.")
    slower = texts(training=made_up(rows=rows({"seconds": 1.0})))["perf_answer"]
    assert "0.500 times the speed of PyTorch" in slower


def test_what_is_missed_is_said_by_how_much_and_why():
    number = replace(NUMBER, value=900.0)
    section = made_up(rows=rows({"bound": "its products are small"}), numbers=(number,))
    assert texts(training=section)["perf_missed"].splitlines() == [
        "* epoch, float32: 2 × 2 weights, against PyTorch: 2.00 ×, target 2.5 ×, 20 % short."
        " It runs at 50 % of the speed of SGEMM. What bounds it: its products are small.",
        "* peak: 900 MiB, at most 600 MiB, 50 % over.",
    ]
    reached = made_up(rows=rows({"at_least": 2.0}))
    assert texts(training=reached)["perf_missed"] == "Nothing is missed."


def test_commits_and_machines_that_differ_are_told():
    when = texts(training=made_up(), scaling=made_up())["perf_when"]
    assert "All at commit `01234567`, 2026-01-02." in when
    assert "**" not in when
    machine = made_up().machine | {"cpu": "another"}
    changed = made_up(commit="fedcba9876+", machine=machine)
    when = texts(training=made_up(), scaling=changed)["perf_when"]
    assert "**Sections are of different commits:**" in when
    assert "`01234567` (training) and `fedcba98`, with changes (scaling)" in when
    assert "**Sections are of different machines or versions:**" in when


def test_what_was_left_out_is_said_once_and_limits_are_the_best_measured():
    higher = replace(made_up().limits[0], value=155.0)
    found = texts(training=made_up(), scaling=made_up(limits=(higher,)))
    assert found["perf_skipped"] == "Left out: OpenCV is not installed."
    assert "same run: SGEMM 155 GFLOP/s." in found["perf_limits"]


def test_a_table_has_a_heading_a_section_and_names_a_work_once():
    others = {"at_least": None, "share": None}, {"at_least": 2.0}, {"kind": "plain"}
    section = made_up(rows=rows({}, *others))
    table = performance.table(of(training=section), performance.PEERS).replace("\u00a0", " ")
    assert table.splitlines()[2:] == [
        "| **Training** |  |  |  |  |  |  |",
        "| epoch, float32: 2 × 2 weights, per epoch | 0.250 s | PyTorch: 0.500 s | 2.00 × | 2.5 ×"
        " | missed | 50 % of SGEMM |",
        "|  | 0.250 s | PyTorch: 0.500 s | 2.00 × |  |  |  |",
        "|  | 0.250 s | PyTorch: 0.500 s | 2.00 × | 2 × | reached | 50 % of SGEMM |",
    ]


def test_tricks_are_the_rows_against_plain_code():
    section = made_up(rows=rows({"kind": "plain", "peer": "general path"}, {}))
    measured = of(training=section)
    table = performance.table(measured, performance.TRICKS)
    assert "general path: 0.500" in table and "PyTorch" not in table
    for kinds, title in (
        (performance.TRICKS, "Against plain code"),
        (performance.PEERS, "Against PyTorch"),
    ):
        (axes,) = performance_figures.ratios(measured, kinds).axes
        assert (axes.get_title() or axes.get_title(loc="left")) == title  # as the style has it
    assert texts(training=section)["perf_general"] == "50 %"
    assert texts(training=section)["perf_in_place"] == "not measured"


def test_numbers_are_tabled_in_their_units():
    numbers = (
        replace(NUMBER, name="import_mlpcw", meaning="import", value=0.0012, unit="s", at_most=0.3),
        replace(NUMBER, name="training_set", meaning="images", value=149.5, at_most=None),
        replace(NUMBER, name="compile", value=5.0, unit="s", at_most=None),
        replace(NUMBER, name="load", value=0.5, unit="s", at_most=None),
        replace(NUMBER, name="epoch_memory", meaning="epoch", value=20.0, at_most=15.0),
    )
    found = texts(processes=made_up(numbers=numbers))
    assert found["perf_numbers"].splitlines()[2:] == [
        "| import | 1.20 ms | 0.3 s | reached |",
        "| images | 150 MiB |  |  |",
        "| peak | 5.00 s |  |  |",
        "| peak | 0.500 s |  |  |",
        "| epoch | 20.0 MiB | 15 MiB | missed |",
    ]
    assert "take 5.00 s, once a machine" in found["perf_compilation"]
    assert found["perf_memory"].startswith("An epoch asks for 20.0 MiB at most, beside")
    without = texts(training=made_up())
    assert without["perf_compilation"].startswith("No kernel was compiled")
    assert without["perf_memory"] == "A process that trains a run of each part peaks at 500 MiB."


def test_a_ratio_is_drawn_at_its_value_with_its_verdict_and_the_axes_share_a_scale():
    section = made_up(
        rows=rows(
            {},
            {"peer": "SciPy", "kind": "2016", "at_least": 1.5},
            {"work": replace(WORK, subject="shift"), "at_least": None, "peer_seconds": 25.0},
            {"peer": "loop", "kind": "2016", "seconds": 5.0, "at_least": 20.0},
        )
    )
    figure = performance_figures.ratios(of(training=section), performance.PEERS)
    drawn = {line.get_gid(): line for axes in figure.axes for line in axes.lines if line.get_gid()}
    assert {name: (line.get_xdata()[0], line.get_color()) for name, line in drawn.items()} == {
        "epoch, float32, PyTorch": (2.0, VERDICTS[False]),
        "epoch, float32, SciPy": (2.0, VERDICTS[True]),
        "shift, float32, PyTorch": (100.0, VERDICTS[None]),
        "epoch, float32, loop": (0.1, VERDICTS[False]),
    }
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["reached", "missed", "no target", "target"]
    limits = [axes.get_xlim() for axes in figure.axes]
    assert limits[0] == limits[1] and limits[0][0] < 0.1 and limits[0][1] > 100


@pytest.mark.parametrize(
    ("chosen", "full", "hollow"), [((True, False), [1.0], [10.0]), (None, [1.0, 10.0], [])]
)
def test_a_line_is_drawn_with_its_slope_and_full_dots_where_it_is_chosen(chosen, full, hollow):
    series = replace(SERIES, lines=(replace(LINE, chosen=chosen),))
    section = made_up(series=(series,))
    (axes,) = performance_figures.scaling(of(scaling=section)).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["im2col, slope 2.00"]
    assert [list(line.get_xdata()) for line in axes.lines[1:3]] == [full, hollow]
    assert axes.lines[2].get_markerfacecolor() == "white"
    assert texts(scaling=section)["perf_slopes"].endswith("by channels, im2col 2.00.")


def test_the_page_that_is_kept_can_be_made_and_its_labels_are_inside_the_figures():
    measured = measurements.read()
    assert performance.texts(measured)["perf_answer"]
    for figure in (
        performance_figures.ratios(measured, performance.PEERS),
        performance_figures.ratios(measured, performance.TRICKS),
        performance_figures.scaling(measured),
    ):
        figure.canvas.draw()
        labels = [text for axes in figure.axes for text in axes.get_yticklabels()]
        assert labels and all(text.get_window_extent().x0 >= 0 for text in labels)


def test_a_section_is_measured_and_kept(tmp_path):
    path = tmp_path / "performance.json"
    collector = repository_root() / "benchmarks" / "performance.py"
    command = [sys.executable, collector, "--only", "records", "--output", path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    measured = measurements.read(path)
    assert [row.work.subject for row in measured.sections["records"].rows] == ["all runs of 2016"]
    assert f"kept in {path}" in done.stdout
