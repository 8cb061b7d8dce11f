"""The file of measurements: written, read back, and refused in a sentence where it is damaged."""

import json

import msgspec
import pytest

from mlpcw.study.pages import measurements
from mlpcw.study.pages.measurements import (
    Line,
    Measurements,
    MeasurementsError,
    Number,
    Row,
    Section,
    Series,
    Work,
)

replace = msgspec.structs.replace
WORK = Work(subject="epoch", shape="2 × 2 weights", dtype="float32", per="epoch")
ROW = Row(
    work=WORK,
    seconds=0.25,
    kind="pytorch",
    peer="PyTorch",
    peer_seconds=0.5,
    at_least=2.5,
    limit="SGEMM",
    share=0.5,
    bound="",
)
NUMBER = Number(name="peak", meaning="peak", value=500.0, unit="MiB", at_most=600.0)
LINE = Line(name="im2col", x=(1.0, 10.0), y=(2.0, 200.0), chosen=(True, False))
SERIES = Series(title="Channels", x_label="channels", y_label="ms a batch", lines=(LINE,))
FACTS = ("cpu", "cores", "blas", "blas_kernels", "numpy", "torch", "numba", "python")
SECTION = Section(
    commit="0123456789",
    command="python benchmarks/performance.py",
    date="2026-01-02 03:04",
    seconds=12.0,
    load=(0.5, 1.5),
    machine=dict.fromkeys(FACTS, "some"),
    limits=(Number(name="SGEMM", meaning="products", value=150.0, unit="GFLOP/s", at_most=None),),
    rows=(ROW,),
    numbers=(NUMBER,),
    series=(SERIES,),
    skipped=("OpenCV is not installed",),
)


def made_up(**changes) -> Section:
    """A section with one of everything; `changes` are its fields."""
    return replace(SECTION, **changes)


def of(**sections: Section) -> Measurements:
    return Measurements(schema=measurements.SCHEMA, sections=sections)


@pytest.fixture
def path(tmp_path):
    measurements.write(of(training=SECTION), tmp_path / "performance.json")
    return tmp_path / "performance.json"


def test_what_is_written_is_read_back_with_sorted_keys(path):
    assert measurements.read(path) == of(training=SECTION)
    assert [file.name for file in path.parent.iterdir()] == ["performance.json"]

    def check(pairs):
        assert [name for name, _ in pairs] == sorted(name for name, _ in pairs)

    json.loads(path.read_text("utf-8"), object_pairs_hook=check)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_value_that_cannot_be_read_is_not_written(path, value):
    before = path.read_bytes()
    with pytest.raises(MeasurementsError, match="seconds"):
        measurements.write(of(training=made_up(seconds=value)), path)
    assert [file.read_bytes() for file in path.parent.iterdir()] == [before]


def test_a_missing_file_and_a_folder_are_refused_in_a_sentence(tmp_path):
    for path, reason in (
        (tmp_path / "none.json", r"^.*none\.json is missing; measure again with: make bench$"),
        (tmp_path, "cannot be read: .*; measure again"),
    ):
        with pytest.raises(MeasurementsError, match=reason):
            measurements.read(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "is damaged: Input data was truncated"),
        (b"[]", "Expected `object`"),
        (b'{"schema": 1, "sections": {}}', r"Invalid enum value 1 - at `\$.schema`"),
        (b'{"schema": 2}', "missing required field `sections`"),
        (b'{"schema": 2, "sections": {"cooking": {}}}', "Invalid enum value 'cooking'"),
        (b'{"schema": "\xff"}', "is damaged"),
        (b"[" * 100_000, "is damaged"),
    ],
)
def test_a_damaged_file_is_refused_in_a_sentence(path, text, reason):
    path.write_bytes(text)
    with pytest.raises(MeasurementsError, match=reason) as refused:
        measurements.read(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("rows.0.seconds", 0),
        ("rows.0.seconds", "fast"),
        ("rows.0.seconds", True),
        ("rows.0.peer_seconds", None),
        ("rows.0.at_least", -1),
        ("rows.0.kind", "others"),
        ("rows.0.peer", 5),
        ("rows.0.extra", 1),
        ("rows.0.work.dtype", "float16"),
        ("numbers.0.value", -0.5),
        ("numbers.0.at_most", -0.5),
        ("limits.0.value", -2),
        ("load", [0.5]),
        ("load.1", -0.5),
        ("machine.cpu", 3),
        ("seconds", -1.0),
        ("series.0.lines.0.x", [1.0]),
        ("series.0.lines.0.y", [1.0]),
        ("series.0.lines.0.y.0", 0.0),
        ("series.0.lines.0.chosen", [True]),
    ],
)
def test_a_wrong_value_is_refused_by_its_place(path, place, value):
    held = json.loads(path.read_text("utf-8"))
    *keys, last = (int(key) if key.isdigit() else key for key in place.split("."))
    parent = held["sections"]["training"]
    for key in keys:
        parent = parent[key]
    parent[last] = value
    path.write_text(json.dumps(held), "utf-8")
    with pytest.raises(MeasurementsError, match=rf"`\$\.sections.*{keys[0] if keys else last}"):
        measurements.read(path)


@pytest.mark.parametrize("power", [0, 1, -0.5, 2])
def test_the_slope_of_a_power_is_its_exponent(power):
    x = (1.0, 2.0, 5.0, 30.0)
    line = Line(name="", x=x, y=tuple(3 * value**power for value in x), chosen=None)
    assert line.slope == pytest.approx(power, abs=1e-12)


def test_a_target_is_met_at_the_number_itself_to_three_digits():
    rows = [replace(ROW, at_least=value) for value in (None, 2.004, 2.01)]
    numbers = [replace(NUMBER, at_most=value) for value in (None, 499.6, 499.0)]
    assert [row.met for row in rows] == [number.met for number in numbers] == [None, True, False]


def test_sections_are_shown_in_their_order_and_searched_by_work_and_peer():
    measured = of(convolution=made_up(rows=()), training=made_up(numbers=()))
    assert list(measured.shown()) == ["training", "convolution"]
    assert measured.row("epoch", "PyTorch") is ROW
    for wanted in ("epoch", "SciPy"), ("shift", "PyTorch"), ("epoch", "PyTorch", "float64"):
        assert measured.row(*wanted) is None
    assert measured.numbers() == {"peak": NUMBER}
