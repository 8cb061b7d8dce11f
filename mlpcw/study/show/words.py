"""Words: number formats, lists, rankings and Markdown tables, the same wherever they stand."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from mlpcw.study.records.results import Results
from mlpcw.study.show.shown import Shown

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SMALLEST_EXPONENT = -3
"""Of the numbers that are written out; smaller ones are written with a power of ten."""


def three_digits(value: float) -> str:
    """A number to three significant digits, as all that 2016 printed: "0.122", "3.97 × 10⁻⁴"."""
    printed = f"{value:.2e}"
    mantissa, exponent = printed.split("e")
    if int(exponent) >= _SMALLEST_EXPONENT:
        return format(Decimal(printed), "f").replace("-", "−")
    # no-break spaces: the number stays on one line
    mantissa = mantissa.replace("-", "−")
    return f"{mantissa}\u00a0×\u00a010{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def thousands(number: int) -> str:
    """A whole number, from five digits on in groups of three with a no-break space: "10 000"."""
    return str(number) if abs(number) < 10_000 else f"{number:,}".replace(",", "\u00a0")


def percent(share: float, digits: int = 1) -> str:
    """A share as a percentage, "98.1 %"."""
    return f"{100 * share:.{digits}f}\u00a0%"


def count(number: int) -> str:
    """A number of things up to four, in words."""
    return ("none", "one", "two", "three", "four")[number]


def duration(seconds: float) -> str:
    """A time as people say it: "40 seconds", "12 minutes", "1.5 hours"."""
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.0f} seconds"


def commit_text(commit: str) -> str:
    """A commit in short, "`0123abcd`", and whether the code differed from it: a "+" at its end."""
    changed = ", with changes" if commit.endswith("+") else ""
    return f"`{commit[:8]}`{changed}" if commit else "unknown"


def listed(items: Sequence[str]) -> str:
    """Items as a list in a sentence, "A, B and C"."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + f" and {items[-1]}"


def markdown_table(lines: Iterable[Iterable[str]]) -> str:
    """Rows of cells as Markdown; the first is the heading, the second its rule."""
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def against(value: float, other: float) -> str:
    """How a value compares, to three digits, with another: "below", "above" or "level with"."""
    if three_digits(value) == three_digits(other):
        return "level with"
    return "below" if value < other else "above"


def ranking(results: Results, values: Mapping[Shown, float]) -> str:
    """Conditions from the lowest to the highest value, "A (0.1), B (0.2) and C (0.3)"."""
    ordered = sorted(values, key=values.get)
    return listed([f"{each.label_in(results)} ({three_digits(values[each])})" for each in ordered])


def lowest(results: Results, values: Mapping[Shown, float]) -> str:
    """The condition with the lowest value; all of them, where several are level."""
    least = three_digits(min(values.values()))
    level = [each.label_in(results) for each in values if three_digits(values[each]) == least]
    return level[0] if len(level) == 1 else f"{listed(level)}, which are level,"
