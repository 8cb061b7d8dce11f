"""The tables: that cells are the record's or the report's, and marks are earned."""

import made_up
import pytest

from mlpcw.study.chapters import CONDITIONS, part1, part2, part3
from mlpcw.study.original.published import report_tables
from mlpcw.study.show import tables
from mlpcw.study.show.words import three_digits

TABLES = {
    table.number: table
    for table in (
        part1.penalty_table,
        part2.size_table,
        part2.augmentation_table,
        part2.sigma_table,
        part3.convolution_table,
        part3.kernel_size_table,
    )
}
HEADINGS = {
    "training error": "error_train",
    "validation error": "error_valid",
    "training accuracy": "acc_train",
    "validation accuracy": "acc_valid",
}
FULL, QUICK = made_up.results("full"), made_up.results("quick")


def cells(results, number, kinds=("report", "here")):
    """The upper and the lower number of each cell of a table, by (key, heading)."""
    lines = TABLES[number](results).splitlines()
    rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines]
    assert len({len(row) for row in rows}) == 1
    assert set("".join(rows[1])) == {"-", ":"}
    headings, pairs = rows[0][2:], {}
    keys = {
        condition.label_in(results): key
        for key, condition in CONDITIONS.items()
        if key.startswith(f"part{number[0]}")
    }
    body = rows[2:]
    while body:
        name, kind, *upper = body.pop(0)
        lower = upper
        if kind == kinds[0]:
            assert body[0][:2] == ["", kinds[1]]
            lower = body.pop(0)[2:]
        else:  # not in the report
            assert (kind, CONDITIONS[keys[name]].table) == (kinds[1], ())
            upper = [""] * len(lower)
        for heading, *pair in zip(headings, upper, lower, strict=True):
            pairs[keys[name], heading] = tuple(pair)
    return pairs


def marks(results, number):
    return {
        place: lower[0] if lower[0] in "=†" else ""
        for place, (_, lower) in cells(results, number).items()
    }


@pytest.mark.parametrize("number", TABLES)
def test_full_has_all_of_the_reports_numbers_above_ours(number):
    printed = []
    for row in report_tables()["table_" + number.replace(".", "_")]["values"].values():
        printed += row.values() if isinstance(row, dict) else [row]
    pairs = cells(FULL, number)
    shown = [upper for upper, _ in pairs.values() if upper]
    assert sorted(shown) == sorted(map(three_digits, printed))
    for (key, heading), (upper, lower) in pairs.items():
        if heading in HEADINGS:
            assert upper or not CONDITIONS[key].table
            value = FULL.final(key, HEADINGS[heading])
        else:
            assert not upper
            assert lower[0] not in "=†"
            value = FULL.test(key, {"test error": "error", "test accuracy": "acc"}[heading])
        assert lower.lstrip("=†\u00a0") == three_digits(value)


@pytest.mark.parametrize("number", TABLES)
def test_quick_has_means_and_ranges_and_nothing_of_2016(number):
    for (key, heading), pair in cells(QUICK, number, ("mean", "range")).items():
        if heading in HEADINGS:
            values = QUICK.curves(key, HEADINGS[heading])[:, -1]
            ends = "–".join(map(three_digits, (values.min(), values.max())))
            assert pair == (three_digits(values.mean()), ends)


def test_one_seed_of_quick_has_no_range():
    one = made_up.results("quick", num_seeds=1)
    values = [one.final("part1/none", "error_valid"), one.test("part1/none", "error")]
    row = " | ".join(["**no penalty**", "", *map(three_digits, values)])
    lines = part1.penalty_table(one).splitlines()
    assert lines[2] == f"| {row} |"
    assert len(lines) == 2 + 4


def test_a_mark_is_lost_with_the_digit():
    for number in ("2.1", "2.3"):
        for (key, heading), mark in marks(FULL, number).items():
            in_report = heading in HEADINGS and CONDITIONS[key].table
            assert (mark == tables.EQUAL) == bool(in_report)
    place = ("part2/sigma_4", "training accuracy")
    after = marks(made_up.changed(FULL, place[0], "acc_train", 0.984), "2.3")
    assert after.pop(place) == ""
    before = marks(FULL, "2.3")
    assert after == {other: mark for other, mark in before.items() if other != place}


@pytest.mark.parametrize(
    ("number", "condition"),
    [
        ("2.2", part2.SHIFT),
        ("2.2", part2.NOISE),
        ("3.1", part3.CNN_5),
        ("3.2", part3.CNN_5),
        ("3.2", part3.CNN_10),
    ],
)
def test_what_is_no_replay_is_never_marked_though_it_print_the_same(number, condition):
    pairs = [pair for (key, _), pair in cells(FULL, number).items() if key == condition.key]
    assert any(upper == lower for upper, lower in pairs if upper)
    assert all(lower[0] not in "=†" for _, lower in pairs)


@pytest.mark.parametrize(
    ("error", "cell"),
    [
        (0.0757, "†\u00a00.0757"),  # as the log has it
        (0.0759, "=\u00a00.0759"),  # as the report's table has it
        (0.0758, "0.0758"),
    ],
)
def test_the_log_is_credited_where_the_reports_table_prints_another_number(error, cell):
    results = made_up.changed(FULL, "part1/l2_1e-4", "error_valid", error)
    assert cells(results, "1.1")["part1/l2_1e-4", "validation error"] == ("0.0759", cell)


def test_a_condition_that_the_report_does_not_have_has_one_row():
    table = tables.Table("2.3", [part3.CNN_15], ("error_valid",), ())
    cell = three_digits(FULL.final(part3.CNN_15.key, "error_valid"))
    assert table(FULL).splitlines()[2:] == [f"| **15 × 15** | here | {cell} |"]


def test_short_runs_are_never_marked():
    short = made_up.results("full", num_epochs=5)
    short = made_up.changed(short, "part1/none", "error_valid", 0.122)
    assert cells(short, "1.1")["part1/none", "validation error"] == ("0.122", "0.122")


def test_note_explains_the_marks_and_rows():
    assert tables.EQUAL in tables.note(FULL)
    assert tables.EQUAL_TO_LOG in tables.note(FULL)
    assert tables.note(QUICK) == "Mean and range of 3 seeds."
    assert tables.note(made_up.results("quick", num_seeds=1)) == "One seed."
