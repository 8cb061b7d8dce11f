"""The file of measurements: written, read back, and refused in a sentence where it is damaged."""

import dataclasses
import json

import pytest

from mlpcw.study.pages import measurements
from mlpcw.study.pages.measurements import (
    PYTORCH,
    Figure,
    Line,
    Measurements,
    MeasurementsError,
    Row,
    Section,
    Series,
)


def made_up(**changes) -> Section:
    """A section with one of everything; `changes` are its fields."""
    row = Row(
        label="epoch, float32",
        work="one epoch, 2 x 2 weights, float32",
        per="epoch",
        ours_s=0.25,
        group=PYTORCH,
        other="PyTorch",
        other_s=0.5,
        ratio=2.0,
        to_reach=2.5,
        share=0.5,
        share_of="SGEMM",
    )
    line = Line(name="im2col", x=(1.0, 10.0), y=(2.0, 200.0), chosen=(True, False))
    series = Series(title="Channels", x_label="channels", y_label="ms a batch", lines=(line,))
    fields = dict(
        commit="0123456789",
        command="python benchmarks/performance.py",
        date="2026-01-02 03:04",
        seconds=12.0,
        load=(0.5, 1.5),
        machine=dict.fromkeys(
            ("cpu", "cores", "blas", "blas_kernels", "numpy", "torch", "numba", "python"), "some"
        ),
        limits={"SGEMM, GFLOP/s": 150.0},
        rows=(row,),
        figures=(Figure(name="peak", work="peak", value=500.0, unit="MiB", at_most=600.0),),
        series=(series,),
        skipped=("OpenCV is not installed",),
    )
    return Section(**(fields | changes))


def of(**sections: Section) -> Measurements:
    return Measurements(schema=measurements.SCHEMA, sections=sections)


@pytest.fixture
def path(tmp_path):
    measurements.write(of(training=made_up()), tmp_path / "performance.json")
    return tmp_path / "performance.json"


def test_what_is_written_is_read_back(path):
    assert measurements.read(path) == of(training=made_up())
    assert [each.name for each in path.parent.iterdir()] == ["performance.json"]


def test_keys_are_sorted(path):
    def check(pairs):
        assert [name for name, _ in pairs] == sorted(name for name, _ in pairs)

    json.loads(path.read_text("utf-8"), object_pairs_hook=check)


def test_a_missing_file_is_refused_in_a_sentence(tmp_path):
    expected = r"^.*none\.json is missing; measure it anew with: make bench$"
    with pytest.raises(MeasurementsError, match=expected):
        measurements.read(tmp_path / "none.json")


def test_a_folder_in_its_place_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(MeasurementsError, match=r"cannot be read: .*; measure it anew"):
        measurements.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is damaged: Expecting value"),
        ("[]", "is damaged: its schema is None, this version has 1"),
        ('{"schema": 2}', "is damaged: its schema is 2, this version has 1"),
        ('{"schema": 1}', "the file has missing or unknown fields: sections"),
        ('{"schema": 1, "sections": []}', "the file.sections is no object"),
        ('{"schema": 1, "sections": {"training": 3}}', "the file.sections.training is no object"),
        ("[" * 100_000, "is damaged"),
    ],
)
def test_a_damaged_file_is_refused_in_a_sentence(tmp_path, text, reason):
    path = tmp_path / "performance.json"
    path.write_text(text, "utf-8")
    with pytest.raises(MeasurementsError) as refused:
        measurements.read(path)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("ratio", 3.0, "rows[0]: ratio is 3.0, not 0.5 / 0.25"),
        ("ratio", float("nan"), "rows[0].ratio is nan, no finite number"),
        ("ours_s", 0, "rows[0]: ours_s is 0.0, not above 0"),
        ("ours_s", "fast", "rows[0].ours_s is 'fast', no finite number"),
        ("ours_s", True, "rows[0].ours_s is True, no finite number"),
        ("ours_s", None, "rows[0].ours_s is None, no finite number"),
        ("other", 5, "rows[0].other is 5, not of type str"),
        ("group", "others", "rows[0]: group is 'others', not one of PyTorch, other libraries"),
        ("extra", 1, "rows[0] has missing or unknown fields: extra"),
    ],
)
def test_a_wrong_value_in_a_row_is_refused_by_name(path, field, value, reason):
    held = json.loads(path.read_text("utf-8"))
    held["sections"]["training"]["rows"][0][field] = value
    path.write_text(json.dumps(held), "utf-8")
    with pytest.raises(MeasurementsError) as refused:
        measurements.read(path)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("load", 1.0, "load is no list"),
        ("machine", {"cpu": 3}, "machine.cpu is 3, not of type str"),
        ("series", [{}], "series[0] has missing or unknown fields"),
        ("seconds", -1.0, "training: seconds has -1.0, which is below 0"),
        ("load", [0.5, -0.5], "training: load has -0.5, which is below 0"),
        ("limits", {"copy, GB/s": -2}, "training: limits has -2.0, which is below 0"),
    ],
)
def test_a_wrong_value_in_a_section_is_refused_by_name(path, field, value, reason):
    held = json.loads(path.read_text("utf-8"))
    held["sections"]["training"][field] = value
    path.write_text(json.dumps(held), "utf-8")
    with pytest.raises(MeasurementsError) as refused:
        measurements.read(path)
    assert reason in str(refused.value)


@pytest.mark.parametrize("name", ["value", "at_most"])
def test_a_negative_figure_is_refused(name):
    fields = dict(name="load", work="loading", value=1.0, unit="s")
    with pytest.raises(ValueError, match=rf"{name} has -0.5, which is below 0"):
        Figure(**(fields | {name: -0.5}))


def test_an_unknown_section_is_refused():
    with pytest.raises(ValueError, match="it has unknown sections: cooking"):
        of(cooking=made_up())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (dict(y=(1.0,)), "does not have as many x as y"),
        (dict(x=(1.0,), y=(1.0,), chosen=None), "at least two"),
        (dict(chosen=(True,)), "does not have as many"),
        (dict(y=(0.0, 1.0)), "a number that is not above 0"),
    ],
)
def test_a_line_that_cannot_be_drawn_is_refused(changes, reason):
    fields = dict(name="toeplitz", x=(1.0, 2.0), y=(1.0, 2.0), chosen=(True, True))
    with pytest.raises(ValueError, match=rf"the line 'toeplitz' .*{reason}"):
        Line(**(fields | changes))


@pytest.mark.parametrize("power", [0, 1, -0.5, 2])
def test_the_slope_of_a_power_is_its_exponent(power):
    x = (1.0, 2.0, 5.0, 30.0)
    line = Line(name="", x=x, y=tuple(3 * value**power for value in x))
    assert line.slope == pytest.approx(power, abs=1e-12)


def test_a_target_is_met_at_the_number_itself_to_three_digits():
    row, figure = made_up().rows[0], made_up().figures[0]
    assert [dataclasses.replace(row, to_reach=to).met for to in (None, 2.004, 2.01)] == [
        None,
        True,
        False,
    ]
    assert [dataclasses.replace(figure, at_most=most).met for most in (None, 499.6, 499.0)] == [
        None,
        True,
        False,
    ]


def test_sections_are_shown_in_their_order_and_found_by_name():
    measured = of(convolution=made_up(rows=()), training=made_up(figures=()))
    assert measured.names() == ["training", "convolution"]
    assert measured.row("epoch, float32", "PyTorch") is made_up_row(measured)
    assert measured.row("epoch, float32", "scikit-learn") is None
    assert measured.figure("peak").value == 500
    assert measured.figure("trough") is None


def made_up_row(measured: Measurements) -> Row:
    return measured.sections["training"].rows[0]


def test_records_are_shown_only_until_the_runs_are_measured():
    records, faithful = made_up(), made_up()
    assert of(records=records).names() == ["records"]
    assert of(records=records, faithful=faithful).names() == ["faithful"]
    assert of(records=records, faithful=made_up(figures=())).names() == ["records", "faithful"]


def test_the_file_that_is_kept_is_whole():
    measured = measurements.read()
    assert measured.rows()
    assert measured.series()
