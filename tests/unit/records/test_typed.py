"""JSON read into dataclasses: every field checked, every fault named by its place."""

import dataclasses

import pytest

from mlpcw.study.records import typed


@dataclasses.dataclass(frozen=True)
class Inner:
    name: str
    count: int


@dataclasses.dataclass(frozen=True)
class Outer:
    items: tuple[Inner, ...]
    shares: dict[str, float]
    most: float | None = None

    def __post_init__(self):
        if self.most == 0:
            raise ValueError("most is 0")


GOOD = {"items": [{"name": "a", "count": 2}], "shares": {"one": 1}, "most": None}


def test_values_are_built_all_the_way_down():
    built = typed.build(Outer, GOOD, "the file")
    assert built == Outer((Inner("a", 2),), {"one": 1.0}, None)
    assert type(built.shares["one"]) is float


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"items": {}}, "the file.items is no list"),
        ({"items": [3]}, r"the file.items\[0\] is no object"),
        ({"items": [{"name": "a", "count": 2.0}]}, r"items\[0\].count is 2.0, not of type int"),
        ({"items": [{"name": "a", "count": True}]}, r"items\[0\].count is True, not of type int"),
        ({"items": [{"name": "a"}]}, r"items\[0\] has missing or unknown fields: count"),
        ({"shares": []}, "the file.shares is no object"),
        ({"shares": {"x": "1"}}, "the file.shares.x is '1', no finite number"),
        ({"shares": {"x": float("inf")}}, "the file.shares.x is inf, no finite number"),
        ({"shares": {"x": 10**400}}, "the file.shares.x is 1000"),
        ({"most": "1"}, "the file.most is '1', no finite number"),
        ({"most": 0}, "the file: most is 0"),
        ({"more": 1}, "the file has missing or unknown fields: more"),
    ],
)
def test_a_fault_is_named_by_its_place(changes, message):
    with pytest.raises(ValueError, match=message):
        typed.build(Outer, GOOD | changes, "the file")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FileNotFoundError(2, "No such file"), "is missing"),
        (IsADirectoryError(21, "Is a directory"), "cannot be read: Is a directory"),
        (ValueError("first\n second"), "is damaged: first second"),
        (ValueError("x" * 1000), "is damaged: " + "x" * 300),
    ],
)
def test_a_problem_is_said_in_one_short_line(error, text):
    assert typed.problem(error) == text
