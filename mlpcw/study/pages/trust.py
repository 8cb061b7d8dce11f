"""The page on trust: tables, a figure and texts made from the counts that the long tests keep.

Everything here is a function of stored counts (`evidence`); nothing is tested here. Where a topic
has not been run, its text, table or figure says so.
"""

import functools
import re
from collections.abc import Callable, Iterable
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter

from mlpcw.study.pages import evidence as stored
from mlpcw.study.pages.evidence import KINDS, TOPICS, Evidence, Mutated
from mlpcw.study.show.style import VERDICTS, add_legend, stack
from mlpcw.study.show.words import (
    commit_text,
    duration,
    listed,
    markdown_table,
    percent,
    thousands,
)

LEAST_KILLED = 0.9
"""Share of a module's mutants that its tests should kill."""

TOLERANCE = 1e-6
"""Relative error below which the check by projection passes a gradient."""

MOST_MEMORY = 200
"""The most memory that a process may take to read any file, MiB."""

GROUPS = {
    "layers": "Layers",
    "conv": "Methods of convolution",
    "penalties": "Penalties",
    "errors": "Errors",
    "models": "Whole models, with penalties",
}
"""Module of a gradient to the heading of its rows, in the order in which they are shown."""


# ---- Text -----------------------------------------------------------------------------------


def texts(evidence: Evidence) -> dict[str, str]:
    """Texts of the page by the names under which it refers to them."""

    def of(topic: str, say: Callable) -> str:
        return say(counted) if (counted := getattr(evidence, topic)) else _not_run(topic)

    return {
        "trust_answer": _answer(evidence),
        "trust_lacking": of("witnesses", _lacking),
        "trust_tolerance": f"one in {_number(1 / TOLERANCE)}",
        "trust_memory": f"{MOST_MEMORY}\u00a0MiB",
        "trust_least_killed": percent(LEAST_KILLED, 0),
        "trust_below": of("mutants", _below),
        "trust_sampled": of("mutants", _sampled),
        "trust_survivors": of("mutants", _survivors),
        **{f"trust_{topic}": of(topic, _origin) for topic in TOPICS},
    }


def _not_run(topic: str) -> str:
    return f"Not run yet: `make {topic}` writes `results/trust/{topic}.json`."


def _answer(evidence: Evidence) -> str:
    """Three sentences, and one for each topic that has not been run."""
    sentences = []
    if evidence.witnesses and evidence.oracles:
        complete, total = len(evidence.witnesses.complete()), len(evidence.witnesses.rows)
        gradients = sum(row.counts.get("gradients", 0) for row in evidence.oracles.rows)
        whole = f"All {total}" if complete == total else f"**{complete} of {total}**"
        sentences.append(
            f"{whole} layers, penalties, errors, models and methods of convolution have three"
            f" witnesses of their gradients, and {_number(gradients)} gradients by PyTorch's"
            " autograd agree with ours."
        )
    if evidence.mutants:
        total = evidence.mutants.total()
        drawn = "" if total.is_whole else f", drawn from {_number(total.possible)}"
        sentences.append(
            f"Of {_number(total.tried)} small faults put into the code, one at a time{drawn}, the"
            f" tests find {_share(total)}."
        )
    if evidence.faults and evidence.fuzz:
        readers = evidence.fuzz.rows
        sentences.append(
            f"After {_number(sum(row.num_faults for row in evidence.faults.rows))} faults, from"
            " killed processes and full disks to single flipped bits, every damage was named and"
            f" every good record whole; and of {_number(sum(row.files for row in readers))} files"
            f" {_number(sum(row.refused for row in readers))} were refused and the others read"
            " right."
        )
    sentences += [_not_run(topic) for topic in TOPICS if getattr(evidence, topic) is None]
    return " ".join(sentences)


def _origin(topic: stored.Topic) -> str:
    """Command, commit, day and Python of a topic."""
    text = (
        f"Counted by `{topic.command}`, at commit {commit_text(topic.commit)}, {topic.date},"
        f" Python {topic.python}"
    )
    if isinstance(topic.rows, tuple):
        text += f", in {duration(sum(row.seconds for row in topic.rows))}"
    return text + "."


def _lacking(witnesses: stored.Witnesses) -> str:
    complete = witnesses.complete()
    lacking = [_subject(name) for name in witnesses.rows if name not in complete]
    total = sum(sum(row.values()) for row in witnesses.rows.values())
    said = f"**A kind is missing for {listed(lacking)}.**" if lacking else "None lacks a kind."
    return f"{_number(total)} tests are such witnesses. {said}"


def _below(mutants: stored.Mutants) -> str:
    """The modules with too small a share, by name."""
    rows = mutants.rows.items()
    below = [f"`{name}` ({_share(row)})" for name, row in rows if row.share < LEAST_KILLED]
    return f"**Below it: {listed(below)}.**" if below else "No module is below it."


def _sampled(mutants: stored.Mutants) -> str:
    """How many of all mutants were tried, and how many were killed by time alone."""
    total = mutants.total()
    some = "All" if total.is_whole else f"{_number(total.tried)} of"
    drawn = "" if total.is_whole else ", drawn by a fixed seed,"
    text = f"{some} {_number(total.possible)} mutants{drawn} were tried."
    if total.killed_by_time:
        text += f" {_number(total.killed_by_time)} count as killed because the tests did not end."
    samples = [row.tried for row in mutants.rows.values() if 0 < row.tried < row.possible]
    if samples:
        text += (
            f" The share of a sample is rough: in the smallest, of {min(samples)}, one survivor"
            f" more or less moves it by {100 / min(samples):.1f} points."
        )
    return text


def _survivors(mutants: stored.Mutants) -> str:
    """The mutants on which no test failed, by module and reason, as a Markdown list."""
    lines = []
    for module, row in mutants.rows.items():
        by_reason: dict[str, list[str]] = {}
        for name, reason in row.survivors.items():
            by_reason.setdefault(reason or "**no reason is given**", []).append(_code(name))
        if by_reason:
            lines += ["", f"**`{module}`**", ""]
        lines += [f"* {reason}: {', '.join(names)}" for reason, names in by_reason.items()]
    return "\n".join(lines[1:]) or "None has survived."


def _code(text: str) -> str:
    """Any text as code in Markdown, backticks included."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _number(value: float) -> str:
    return thousands(round(value))


def _share(row: Mutated, digits: int = 1) -> str:
    """The share killed as a percentage; rounded down to below 100 % if one survived."""
    most = 1 - 10 ** -(digits + 2) if row.survivors else 1.0
    return percent(min(row.share, most), digits)


# ---- Tables, as Markdown ---------------------------------------------------------------------


def _table(topic: str, headings: str, rules: str) -> Callable:
    """Makes a table of a function that yields its rows; `rules` aligns its columns, l or r."""

    def decorate(rows_of: Callable[[Any], Iterable[list[str]]]) -> Callable[[Evidence], str]:
        @functools.wraps(rows_of)
        def table(evidence: Evidence) -> str:
            if (counted := getattr(evidence, topic)) is None:
                return markdown_table(
                    [["not run yet"], ["---"], [f"`make {topic}` makes this table"]]
                )
            rule = [{"l": "---", "r": "---:"}[side] for side in rules]
            return markdown_table([headings.split(" | "), rule, *rows_of(counted)])

        return table

    return decorate


@_table("witnesses", f"gradient of | {' | '.join(KINDS)}", "lrrr")
def witness_table(witnesses):
    """How many witnesses of each kind each gradient has."""
    by_group: dict[str, list[list[str]]] = {group: [] for group in GROUPS}
    for name, row in witnesses.rows.items():
        cells = [str(row.get(kind, 0) or "**none**") for kind in KINDS]
        by_group.setdefault(re.split("[:.]", name)[0], []).append([_subject(name), *cells])
    for group, rows in by_group.items():
        if rows:
            yield [f"**{GROUPS.get(group, group)}**", "", "", ""]
        yield from rows


def _subject(name: str) -> str:
    return f"`{re.split('[:.] ?', name)[-1]}`"


@_table("oracles", "library | what is compared | compared", "lll")
def library_table(oracles):
    """What is compared with other libraries, and how often."""
    for row in oracles.rows:
        yield [row.library, row.what, _counted(row.counts)]


@_table("mutants", "module | mutants | tried | killed | survived | share killed", "lrrrrr")
def mutant_table(mutants):
    """Module by module: mutants possible, tried, killed and left."""
    named = [(f"`{name}`", row) for name, row in mutants.rows.items()]
    for name, row in [*named, ("all", mutants.total())]:
        numbers = (row.possible, row.tried, row.killed, len(row.survivors))
        yield [name, *map(_number, numbers), _share(row)]


@_table("faults", "what was done | counted | what held after each", "lll")
def fault_table(faults):
    """Scenario by scenario: what was done, how often, and what held after each."""
    for row in faults.rows:
        done = _counted(row.counts, row.faults)
        yield [row.what, done or "not run: impossible where the others were", row.held]


@_table("fuzz", "reader of | files | read right | refused | peak memory | kinds of file", "lrrrrl")
def input_table(fuzz):
    """Reader by reader: files it was fed, read and refused, and its memory."""
    for row in fuzz.rows:
        numbers = map(_number, (row.files, row.read_right, row.refused))
        yield [row.reader, *numbers, f"{row.peak_mib:.0f}\u00a0MiB", _counted(row.counts)]


def _counted(counts: stored.Counts, first: Iterable[str] = ()) -> str:
    """Counts as a list, those named by `first` first: "74 kills of the parent; 1 interrupt"."""
    names = dict.fromkeys([*(name for name in first if name in counts), *counts])
    singular = {name: re.sub(r"s\b", "", name, count=1) for name in names if counts[name] == 1}
    return "; ".join(f"{_number(counts[name])} {singular.get(name, name)}" for name in names)


# ---- Figure ---------------------------------------------------------------------------------


def mutants_figure(evidence: Evidence) -> Figure:
    """Share of mutants killed, a row a module, the highest at the top; a line at `LEAST_KILLED`."""
    modules = evidence.mutants.rows if evidence.mutants else {}
    rows = sorted(modules.items(), key=lambda item: item[1].share)
    figure, (axes,) = stack([0.27 * max(2, len(rows)) + 0.05], 1.6, 1.55)
    low = min([0.8, *(row.share - 0.03 for _, row in rows)])
    for height, (name, row) in enumerate(rows):
        dot = _dot(row.share >= LEAST_KILLED)
        axes.plot([LEAST_KILLED, row.share], [height, height], color=dot["color"], linewidth=2)
        axes.plot(row.share, height, gid=name, clip_on=False, **dot)
        place = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 9}
        numbers = f"{_number(row.killed)} of {_number(row.tried)}"
        axes.text(1.05, height, f"{_share(row, 0)} · {numbers}", **place)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=9)
    axes.set_ylim(-0.6, max(2, len(rows)) - 0.4)
    axes.set_xlim(low, 1)
    ticks = [tenth / 10 for tenth in range(11) if low <= tenth / 10]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value, 0)))
    axes.axvline(LEAST_KILLED, color="#222222", linewidth=1.2, zorder=1)
    axes.tick_params(axis="y", length=0, pad=6)
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x")
    axes.set_xlabel("mutants killed, share of those tried")
    samples = [
        Line2D([], [], linestyle="", label=label, **_dot(reached))
        for reached, label in ((True, "reached"), (False, "missed"))
        if any((row.share >= LEAST_KILLED) == reached for _, row in rows)
    ]
    add_legend(figure, samples)
    if evidence.mutants is None:
        place = {"transform": axes.transAxes, "ha": "center", "va": "center"}
        axes.text(0.5, 0.5, "not run yet: make mutants", **place)
    return figure


def _dot(reached: bool) -> dict:
    marker = "o" if reached else "D"
    return {"color": VERDICTS[reached], "marker": marker, "markersize": 7, "zorder": 4}
