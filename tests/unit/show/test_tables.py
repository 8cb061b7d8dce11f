"""The tables: that each cell is the record's or the report's, and each mark is earned."""

import made_up
import pytest

from mlpcw.study.original import published as replay
from mlpcw.study.show import tables
from mlpcw.study.show import words as labels

TABLES = {
    "1.1": tables.table_1_1,
    "2.1": tables.table_2_1,
    "2.2": tables.table_2_2,
    "2.3": tables.table_2_3,
    "3.1": tables.table_3_1,
    "3.2": tables.table_3_2,
}
HEADINGS = {
    "training error": "error_train",
    "validation error": "error_valid",
    "training accuracy": "acc_train",
    "validation accuracy": "acc_valid",
}
FULL, QUICK = made_up.results("full"), made_up.results("quick")


def read(markdown: str) -> tuple[list[str], dict[str, list[list[str]]]]:
    """Headings of a table, and the two rows of cells of each condition."""
    rows = [
        [cell.strip(" *") for cell in line.strip("|").split("|")] for line in markdown.splitlines()
    ]
    assert len({len(row) for row in rows}) == 1
    assert set("".join(rows[1])) == {"-", ":"}
    body, conditions = rows[2:], {}
    for first, second in zip(body[::2], body[1::2], strict=True):
        assert second[0] == ""
        conditions[first[0]] = [first[1:], second[1:]]
    return rows[0][2:], conditions


def cells(results, number):
    """Each cell of a table by (key, column): the upper and the lower number."""
    headings, conditions = read(TABLES[number](results))
    keys = {labels.label(results, key): key for key in results.runs if key[4] == number[0]}
    return {
        (keys[name], heading): (upper, lower)
        for name, (first, second) in conditions.items()
        for heading, upper, lower in zip(headings, first[1:], second[1:], strict=True)
    }


@pytest.mark.parametrize("number", TABLES)
class TestFull:
    def test_upper_cells_are_the_reports_every_one_of_them(self, number):
        values = replay.report_tables()["table_" + number.replace(".", "_")]["values"]
        printed = []
        for row in values.values():
            printed += row.values() if isinstance(row, dict) else [row]
        shown = [upper for upper, _ in cells(FULL, number).values() if upper]
        assert sorted(shown) == sorted(labels.three_digits(value) for value in printed)

    def test_lower_cells_are_the_records(self, number):
        for (key, heading), (upper, lower) in cells(FULL, number).items():
            if heading in HEADINGS:
                ours = FULL.final(key, HEADINGS[heading])
                assert upper
            else:
                ours = FULL.test(key, {"test error": "error", "test accuracy": "acc"}[heading])
                assert not upper
            assert lower.lstrip("=†\u00a0") == labels.three_digits(ours)

    def test_test_figures_have_no_mark(self, number):
        for (_, heading), (_, lower) in cells(FULL, number).items():
            assert heading in HEADINGS or lower[0] not in "=†"

    def test_quick_has_means_and_ranges_and_nothing_of_2016(self, number):
        _, conditions = read(TABLES[number](QUICK))
        for first, second in conditions.values():
            assert (first[0], second[0]) == ("mean", "range")
        for (key, heading), (mean, span) in cells(QUICK, number).items():
            if heading in HEADINGS:
                values = QUICK.curves(key, HEADINGS[heading])[:, -1]
                assert mean == labels.three_digits(values.mean())
                expected = "–".join(map(labels.three_digits, (values.min(), values.max())))
                assert span == expected


def marks(results, number):
    return {
        place: lower[0] if lower[0] in "=†" else ""
        for place, (_, lower) in cells(results, number).items()
    }


def test_cells_that_print_as_the_reports_are_marked():
    for number in ("2.1", "2.3"):
        for (_, heading), mark in marks(FULL, number).items():
            assert (mark == tables.EQUAL) == (heading in HEADINGS)
    assert marks(FULL, "3.1")["part3/nn", "validation error"] == tables.EQUAL


def test_a_digit_changed_loses_its_mark_and_no_other():
    place = ("part2/sigma_4", "training accuracy")
    before = marks(FULL, "2.3")
    after = marks(made_up.changed(FULL, place[0], "acc_train", 0.984), "2.3")
    assert before[place] == tables.EQUAL
    assert after.pop(place) == ""
    assert after == {other: mark for other, mark in before.items() if other != place}


def test_what_is_no_replay_is_never_marked_though_it_print_the_same():
    for number, key in (
        ("2.2", "part2/random_shift"),
        ("2.2", "part2/random_noise"),
        ("3.1", "part3/cnn_5x5"),
        ("3.2", "part3/cnn_5x5"),
        ("3.2", "part3/cnn_10x10"),
    ):
        found = {place: pair for place, pair in cells(FULL, number).items() if place[0] == key}
        assert any(upper == lower for upper, lower in found.values() if upper)
        assert all(lower[0] not in "=†" for _, lower in found.values())


def test_the_log_is_credited_where_the_reports_table_prints_another_number():
    place = ("part1/l2_1e-4", "validation error")
    assert cells(FULL, "1.1")[place] == ("0.0759", "†\u00a00.0757")
    as_table = made_up.changed(FULL, place[0], "error_valid", 0.0759)
    assert cells(as_table, "1.1")[place] == ("0.0759", "=\u00a00.0759")
    neither = made_up.changed(FULL, place[0], "error_valid", 0.0758)
    assert cells(neither, "1.1")[place] == ("0.0759", "0.0758")


def test_short_runs_are_never_marked():
    short = made_up.results("full", num_epochs=5)
    short = made_up.changed(short, "part1/none", "error_valid", 0.122)
    assert cells(short, "1.1")["part1/none", "validation error"] == ("0.122", "0.122")


def test_one_seed_of_quick_has_no_range():
    one = made_up.results("quick", num_seeds=1)
    ours = [one.final("part1/none", "error_valid"), one.test("part1/none", "error")]
    row = " | ".join(["**no penalty**", "", *map(labels.three_digits, ours)])
    assert tables.table_1_1(one).splitlines()[2] == f"| {row} |"
    assert len(tables.table_1_1(one).splitlines()) == 2 + 4


def test_note_explains_each_mark():
    assert tables.EQUAL in tables.note(FULL)
    assert tables.EQUAL_TO_LOG in tables.note(FULL)
    assert tables.note(QUICK) == "Mean and range of 3 seeds."
    assert tables.note(made_up.results("quick", num_seeds=1)) == "One seed."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.122, "0.122"),
        (0.98, "0.980"),
        (1, "1.00"),
        (0, "0.00"),
        (2.3026, "2.30"),
        (0.075749, "0.0757"),
        (0.00177, "0.00177"),
        (0.00099951, "0.00100"),
        (0.000397, "3.97\u00a0×\u00a010⁻⁴"),
        (-0.0129, "−0.0129"),
        (-8.35e-5, "−8.35\u00a0×\u00a010⁻⁵"),
    ],
)
def test_three_digits(value, text):
    assert labels.three_digits(value) == tables.three_digits(value) == text


@pytest.mark.parametrize(("number", "text"), [(20, "20"), (5000, "5000"), (10_000, "10\u00a0000")])
def test_thousands(number, text):
    assert labels.thousands(number) == text


def test_sizes_are_named_by_what_was_run():
    assert labels.label(FULL, "part2/size_10000") == "10\u00a0000 images"
    assert labels.label(QUICK, "part2/size_10000") == "200 images"
