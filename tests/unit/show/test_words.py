"""Number formats, lists and comparisons."""

import sys
import types

import pytest

from mlpcw.study.show import words
from mlpcw.study.show.glue import glue_all


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
    assert words.three_digits(value) == text


@pytest.mark.parametrize(
    ("function", "argument", "text"),
    [
        (words.thousands, 20, "20"),
        (words.thousands, 5000, "5000"),
        (words.thousands, 10_000, "10\u00a0000"),
        (words.percent, 0.98123, "98.1\u00a0%"),
        (words.duration, 40, "40 seconds"),
        (words.duration, 720, "12 minutes"),
        (words.duration, 5400, "90 minutes"),
        (words.duration, 7200, "2 hours"),
        (words.listed, ["A"], "A"),
        (words.listed, ["A", "B"], "A and B"),
        (words.listed, ["A", "B", "C"], "A, B and C"),
        (words.commit_text, "0123456789abcdef+", "`01234567`, with changes"),
        (words.commit_text, "", "unknown"),
        (words.markdown_table, [["a", "b"], ["---", "---"]], "| a | b |\n| --- | --- |"),
    ],
)
def test_formats(function, argument, text):
    assert function(argument) == text


@pytest.mark.parametrize(
    ("value", "other", "text"),
    [
        (0.1, 0.2, "below"),
        (0.2, 0.1, "above"),
        (0.07571, 0.07574, "level with"),
        (0.07574, 0.07576, "below"),
    ],
)
def test_values_are_compared_to_three_digits(value, other, text):
    assert words.against(value, other) == text


def test_texts_are_glued_as_plain_text_and_as_markdown(monkeypatch):
    glued = {}
    fake = types.SimpleNamespace(glue=lambda name, text, display: glued.update({name: text}))
    monkeypatch.setitem(sys.modules, "myst_nb", fake)
    glue_all({"a": "0.20"})
    bundle = {"text/plain": "'0.20'", "text/markdown": "0.20"}
    assert {name: text._repr_mimebundle_() for name, text in glued.items()} == {"a": bundle}
