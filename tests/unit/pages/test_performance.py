"""The page on performance: its verdicts, tables, figures and texts follow from the measurements."""

import dataclasses

import pytest
from test_measurements import made_up, of

from mlpcw.study.pages import performance
from mlpcw.study.pages.measurements import OF_2016, PLAIN, Figure, Line
from mlpcw.study.show.style import VERDICTS


def rows(**changes):
    """One row, made up, with other fields."""
    return (dataclasses.replace(made_up().rows[0], **changes),)


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


def test_targets_are_counted_over_rows_and_figures():
    measured = of(training=made_up(), workers=made_up(rows=rows(to_reach=None), figures=()))
    assert performance.verdicts(measured) == [False, True]
    answer = performance.texts(measured)["perf_answer"]
    assert answer.startswith("Of 2 targets 1 are reached and 1 missed.")
    assert "0.250\u00a0s of one core, 2.00 times as fast as PyTorch" in answer


def test_a_slower_epoch_is_not_called_faster():
    measured = of(training=made_up(rows=rows(ours_s=1.0, ratio=0.5)))
    assert "0.500 times the speed of PyTorch" in performance.texts(measured)["perf_answer"]


def test_the_runs_of_2016_are_in_the_answer_once_they_are_measured():
    row = rows(label="all runs of 2016", group=OF_2016, ours_s=600.0, other_s=7200.0, ratio=12.0)
    figure = Figure(name="all_runs", work="all, by the clock", value=10.0, unit="min", at_most=15.0)
    measured = of(records=made_up(rows=row, figures=(figure,)))
    answer = performance.texts(measured)["perf_answer"].replace("\u00a0", " ")
    assert "take 10.0 min here, by the clock; in 2016 those with a log took 2.00 h." in answer


def test_what_is_missed_is_said_by_how_much_and_why():
    figure = Figure(name="peak", work="peak", value=900.0, unit="MiB", at_most=600.0)
    section = made_up(rows=rows(bound="its products are small"), figures=(figure,))
    missed = performance.texts(of(training=section))["perf_missed"].replace("\u00a0", " ")
    assert missed.splitlines() == [
        "* one epoch, 2 × 2 weights, float32, beside PyTorch: 2.00 × where 2.5 × is to be reached,"
        " 20 % short. It runs at 50 % of SGEMM's speed. What bounds it: its products are small.",
        "* peak: 900 MiB where 600 MiB is the most, 50 % over.",
    ]


def test_nothing_missed_is_said_too():
    measured = of(training=made_up(rows=rows(to_reach=2.0)))
    assert performance.texts(measured)["perf_missed"] == "Nothing is missed."


def test_sections_of_one_commit_are_said_to_be():
    when = performance.texts(of(training=made_up(), workers=made_up()))["perf_when"]
    assert "All of it at commit `01234567`, 2026-01-02." in when
    assert "**" not in when


def test_sections_of_several_commits_are_told_apart():
    measured = of(training=made_up(), workers=made_up(commit="fedcba9876+"))
    when = performance.texts(measured)["perf_when"]
    assert "**Not all was measured at one commit:**" in when
    assert "`01234567` (training) and `fedcba98`, with changes (workers)" in when


def test_sections_of_several_machines_are_noticed():
    machine = made_up().machine | {"cpu": "another"}
    measured = of(training=made_up(), workers=made_up(machine=machine))
    assert "**Nor was all measured on one machine" in performance.texts(measured)["perf_when"]


def test_what_was_left_out_is_said_once():
    measured = of(training=made_up(), workers=made_up())
    assert performance.texts(measured)["perf_skipped"] == "Left out: OpenCV is not installed."


def test_the_table_has_a_heading_a_section_and_every_row_and_names_a_work_once():
    section = made_up(rows=rows() + rows(to_reach=None, share=None) + rows(to_reach=2.0))
    table = performance.ratio_table(of(training=section)).replace("\u00a0", " ").splitlines()
    assert table[2] == "| **Training** |  |  |  |  |  |  |"
    assert table[3:] == [
        "| one epoch, 2 × 2 weights, float32 | 0.250 s | PyTorch: 0.500 s | 2.00 × | 2.5 × | **no**"
        " | 50 % of SGEMM |",
        "|  | 0.250 s | PyTorch: 0.500 s | 2.00 × |  |  |  |",
        "|  | 0.250 s | PyTorch: 0.500 s | 2.00 × | 2 × | yes | 50 % of SGEMM |",
    ]


def test_the_table_says_what_a_time_is_of():
    section = made_up(rows=rows(work="shift", per="image") + rows(work="pooling", per="batch"))
    table = performance.ratio_table(of(training=section))
    assert "| shift, an image |" in table
    assert "| pooling, a batch |" in table


def title_of(axes):
    """The title, wherever the style of the book, where it has been set, puts it."""
    return axes.get_title() or axes.get_title(loc="left")


def test_tricks_are_the_rows_beside_plainer_ways():
    measured = of(training=made_up(rows=rows(group=PLAIN, other="general path") + rows()))
    assert "general path: 0.500" in performance.trick_table(measured)
    assert "PyTorch" not in performance.trick_table(measured)
    assert "general path" not in performance.ratio_table(measured)
    drawn = [title_of(axes) for axes in performance.tricks_figure(measured).axes]
    assert drawn == ["Beside plainer ways of our own"]
    drawn = [title_of(axes) for axes in performance.ratios_figure(measured).axes]
    assert drawn == ["Beside PyTorch"]
    texts = performance.texts(measured)
    assert texts["perf_general"] == "50\u00a0%"
    assert texts["perf_in_place"] == "not measured"


def test_single_numbers_are_tabled_in_their_units():
    figures = (
        Figure(name="import_mlpcw", work="import", value=0.0012, unit="s", at_most=0.3),
        Figure(name="training_set", work="images", value=149.5, unit="MiB"),
        Figure(name="compile", work="first calls", value=5.0, unit="s"),
        Figure(name="load", work="later calls", value=0.5, unit="s"),
        Figure(name="epoch_memory", work="an epoch", value=20.0, unit="MiB", at_most=15.0),
    )
    texts = performance.texts(of(processes=made_up(figures=figures)))
    texts = {name: text.replace("\u00a0", " ") for name, text in texts.items()}
    assert texts["perf_figures"].splitlines()[2:] == [
        "| import | 1.20 ms | 0.3 s | yes |",
        "| images | 150 MiB |  |  |",
        "| first calls | 5.00 s |  |  |",
        "| later calls | 0.500 s |  |  |",
        "| an epoch | 20.0 MiB | 15 MiB | **no** |",
    ]
    assert "take 5.00 s, once a machine" in texts["perf_compilation"]
    assert texts["perf_memory"].startswith("An epoch asks for 20.0 MiB at most, beside")


def test_without_kernels_no_compilation_is_claimed():
    texts = performance.texts(of(training=made_up()))
    assert texts["perf_compilation"].startswith("No kernel was compiled")


def test_the_limits_are_the_best_that_was_seen():
    measured = of(training=made_up(), workers=made_up(limits={"SGEMM, GFLOP/s": 155.0}))
    assert "SGEMM 155 GFLOP/s" in performance.texts(measured)["perf_limits"]


def test_every_ratio_is_drawn_where_it_is_with_its_verdict():
    section = made_up(
        rows=rows()
        + rows(other="scikit-learn", group=OF_2016, to_reach=1.5)
        + rows(label="shift", to_reach=None, other_s=25.0, ratio=100.0)
    )
    figure = performance.ratios_figure(of(training=section))
    drawn = {line.get_gid(): line for axes in figure.axes for line in axes.lines if line.get_gid()}
    found = {name: (line.get_xdata()[0], line.get_color()) for name, line in drawn.items()}
    assert found["epoch, float32, PyTorch"] == (2.0, VERDICTS[False])
    assert found["epoch, float32, scikit-learn"] == (2.0, VERDICTS[True])
    assert found["shift, PyTorch"] == (100.0, VERDICTS[None])
    assert [axes.get_title() for axes in figure.axes] == [
        "Beside PyTorch",
        "Beside the ways of 2016",
    ]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["reached", "missed", "nothing to reach", "to reach"]


def test_all_axes_of_ratios_have_one_scale_with_everything_inside():
    section = made_up(rows=rows() + rows(group=OF_2016, ours_s=5.0, ratio=0.1, to_reach=20.0))
    figure = performance.ratios_figure(of(training=section))
    (low, high), *others = [axes.get_xlim() for axes in figure.axes]
    assert others == [(low, high)]
    assert low < 0.1 and high > 20


def test_labels_of_ratios_are_inside_the_figure():
    label = "epoch + statistics, float64"
    section = made_up(rows=rows(label=label, group=OF_2016, other="the course"))
    figure = performance.ratios_figure(of(training=section))
    figure.canvas.draw()
    labels = [text for axes in figure.axes for text in axes.get_yticklabels()]
    assert all(text.get_window_extent().x0 >= 0 for text in labels)


def test_every_line_of_a_series_is_drawn_with_its_slope_and_what_is_chosen():
    figure = performance.scaling_figure(of(scaling=made_up()))
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["im2col, slope 2.00"]
    full, hollow = axes.lines[1:3]
    assert list(full.get_xdata()) == [1.0]
    assert list(hollow.get_xdata()) == [10.0]
    assert hollow.get_markerfacecolor() == "white"


def test_a_line_without_a_choice_has_full_dots():
    line = Line(name="", x=(1.0, 10.0, 100.0), y=(3.0, 3.0, 3.0))
    series = dataclasses.replace(made_up().series[0], lines=(line,))
    figure = performance.scaling_figure(of(scaling=made_up(series=(series,))))
    assert len(figure.axes[0].lines[1].get_xdata()) == 3
    assert performance.texts(of(scaling=made_up(series=(series,))))["perf_slopes"].endswith("0.00.")


def test_the_page_that_is_kept_can_be_made():
    from mlpcw.study.pages import measurements

    measured = measurements.read()
    assert performance.texts(measured)["perf_answer"]
    performance.ratios_figure(measured).canvas.draw()
    performance.tricks_figure(measured).canvas.draw()
    performance.scaling_figure(measured).canvas.draw()
