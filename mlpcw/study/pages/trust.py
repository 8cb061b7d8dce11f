"""The page on trust: what the long tests have counted, as tables, a figure and text.

Everything here is a function of stored counts (`evidence`); nothing is tested here. A topic that
has not been run yet is said to be so wherever its counts would stand.
"""

import dataclasses
import re
from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter

from mlpcw.study.pages import evidence
from mlpcw.study.pages.evidence import ALL, KINDS, PEAK, REFUSED, SECONDS, TOPICS, Counts, Evidence
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
"""The most that a process which reads any files may take, MiB."""

GROUPS = {
    "layers": "Layers",
    "conv": "Methods of convolution",
    "penalties": "Penalties",
    "errors": "Errors",
    "models": "Whole models, with penalties",
}
"""Where a gradient is, to the heading of its rows, in the order in which they are shown."""


@dataclasses.dataclass(frozen=True)
class Scenario:
    """How the page tells of a test of faults.

    Attributes:
        what: What is done.
        held: What held after each time.
        faults: Names of the counts that are faults; others are what was beside them.
    """

    what: str
    held: str
    faults: tuple[str, ...]


_TO_THE_BYTE = "equal those of an undisturbed sweep to the byte"
_FOUND = "The record is found damaged and named in a sentence; its file is left as it is."

SCENARIOS = {
    "a sweep killed at random moments ends as if it had not been": Scenario(
        "Sweeps killed or interrupted at random moments",
        "What was stored stays as it was. The same command carries on, and its results"
        f" {_TO_THE_BYTE}.",
        ("kills of the parent", "kills of a worker", "interrupts"),
    ),
    "an interrupted sweep ends at once with its workers": Scenario(
        "A long `run`, `verify --retrain` or `replay`, interrupted, terminated or hung up",
        "It ends with exit status 128 + the number of the signal, and none of its processes, locks"
        " and temporary files is left.",
        ("interrupts",),
    ),
    "two sweeps at once on one folder end well": Scenario(
        "Two sweeps at once on one folder",
        f"Both end with exit status 0. The results {_TO_THE_BYTE}; nothing temporary is left.",
        ("pairs of sweeps",),
    ),
    "a sweep onto a full disk says so keeps the good and is carried on": Scenario(
        "A disk that fills up",
        "Exit status 1 and a sentence for each run without room; the other records are whole. With"
        f" more room the same command carries on, and its results {_TO_THE_BYTE}.",
        ("records without room",),
    ),
    "workers whose locks find no room say where": Scenario(
        "A disk for the locks of workers that is full",
        "Exit status 1 and a sentence that names the place.",
        ("commands",),
    ),
    "a sweep that may write no long file leaves what was there": Scenario(
        "Writes cut short, at every length",
        "A sentence a run. Every older record stays as it was.",
        ("records cut short",),
    ),
    "whatever step of a write fails the old record stays and the others are stored": Scenario(
        "A step of a write that fails, each in turn",
        "The older record stays as it was, the other runs are stored, nothing temporary is left.",
        ("failed steps",),
    ),
    "read only results are refused before anything is trained and can be read": Scenario(
        "A folder of results that may not be written to",
        "`run` refuses it with exit status 2 before it trains; `status` and `verify` read it.",
        ("commands",),
    ),
    "an arm whose folder is read only is said and the others are stored": Scenario(
        "The folder of one arm that may not be written to",
        "Exit status 1 and a sentence for its run; the other runs are stored.",
        ("commands",),
    ),
    "a run whose memory runs out is named and the others are stored": Scenario(
        "A worker that dies, or finds no memory",
        "Its run is named, and all others are stored.",
        ("runs without memory",),
    ),
    "workers that cannot even start fail every run and end": Scenario(
        "Workers that cannot start",
        "Every run is named, and the sweep ends.",
        ("runs without a worker",),
    ),
    "clocks that jump back in parent and workers spoil nothing": Scenario(
        "Clocks that jump back at every reading",
        f"The results {_TO_THE_BYTE}. No time is below 0, and the time left is a time.",
        ("records by clocks that jump",),
    ),
    "a record cut short at any byte is damaged": Scenario(
        "A record cut short, at every byte", _FOUND, ("lengths",)
    ),
    "a record with any bit flipped is damaged": Scenario(
        "A record with one bit flipped, every bit in turn", _FOUND, ("bits",)
    ),
    "a record with any byte lost or doubled is damaged": Scenario(
        "A record with one byte lost or doubled, every byte in turn", _FOUND, ("bytes",)
    ),
    "any number replaced by one that is none is damaged": Scenario(
        "A record with NaN, Infinity or no number in place of a number, each in turn",
        _FOUND,
        ("numbers",),
    ),
    "the command finds every damage trains those runs again and touches no other": Scenario(
        "Damaged records among good ones",
        "`verify` ends with exit status 1. `run` names those records and trains their runs again;"
        " the good ones stay as they were.",
        ("damaged records",),
    ),
}
"""Name of a test of faults to how the page tells of it, in the order in which they are shown."""

COMPARISONS = {
    "layers by pytorch": ("PyTorch", "every layer: outputs and, by autograd, gradients"),
    "methods of convolution by pytorch": ("PyTorch", "every method of convolution, by autograd"),
    "penalties by pytorch": ("PyTorch", "penalties and, by autograd, their gradients"),
    "errors by pytorch": ("PyTorch", "errors and, by autograd, their gradients"),
    "models by pytorch": ("PyTorch", "whole networks with penalties, by autograd"),
    "training by pytorch": ("PyTorch", "training by every learning rule, with penalties"),
    "training by scikit learn": ("scikit-learn", "training by momentum, with an L2 penalty"),
    "methods of convolution by scipy": ("SciPy", "every method of convolution and its gradients"),
}
"""Name of a test beside another library to that library and to what is compared."""

_AUTOGRAD = "gradients"  # the name of such a count
_RUN, _LEFT_OUT = ", run", ", left out: "  # what follows an operator in the name of a count

READERS = {
    "the reader of idx files reads right or refuses in little memory": "files of images and labels",
    "the reader of records reads or refuses in little memory": "records of runs",
}
"""Name of a fuzz test to what its reader reads."""


# ---- Text -----------------------------------------------------------------------------------


def texts(found: Evidence) -> dict[str, str]:
    """Texts of the page by the names under which it refers to them."""
    return {
        "trust_answer": _answer(found),
        "trust_lacking": _lacking(found),
        "trust_tolerance": f"one in {_number(1 / TOLERANCE)}",
        "trust_memory": f"{MOST_MEMORY}\u00a0MiB",
        "trust_least_killed": percent(LEAST_KILLED, 0),
        "trust_below": _below(found),
        "trust_sampled": _sampled(found),
        "trust_survivors": survivors(found),
        **{f"trust_{topic}": _origin(found, topic) for topic in TOPICS},
    }


def _not_run(topic: str) -> str:
    return f"Not run yet: `{evidence.command(topic)}` writes `results/trust/{topic}.json`."


def _answer(found: Evidence) -> str:
    """Three sentences, or what is not run yet in the place of one."""
    sentences = []
    if found.witnesses and found.oracles:
        complete, every = len(found.witnesses.complete()), len(found.witnesses.figures)
        whole = f"All {every}" if complete == every else f"**{complete} of {every}**"
        sentences.append(
            f"{whole} layers, penalties, errors, models and methods of convolution have three"
            f" witnesses of their gradients, and {_number(vectors(found, _RUN))} test vectors of"
            f" ONNX and {_number(_autograd(found))} gradients by PyTorch's autograd agree with"
            " ours."
        )
    if found.mutants:
        total = found.mutants.total()
        drawn = "" if _is_whole(total) else f", drawn from {_number(total.possible)}"
        sentences.append(
            f"Of {_number(total.tried)} small faults put into the code, one at a time{drawn}, the"
            f" tests find {_share(total)}."
        )
    if found.faults and found.fuzz:
        sentences.append(
            f"After {_number(num_faults(found))} faults, from killed processes and full disks to"
            " single flipped bits, every damage was named and every good record whole; and of"
            f" {_number(num_inputs(found))} files {_number(_num_refused(found))} were refused and"
            " the others read right."
        )
    sentences += [_not_run(topic) for topic in TOPICS if getattr(found, topic) is None]
    return " ".join(sentences)


def _origin(found: Evidence, topic: str) -> str:
    """Command, commit, day and Python of a topic."""
    of_topic = getattr(found, topic)
    if of_topic is None:
        return _not_run(topic)
    text = (
        f"Counted by `{of_topic.command}`, at commit {commit_text(of_topic.commit)},"
        f" {of_topic.date}, Python {of_topic.python}"
    )
    if isinstance(of_topic, evidence.Scenarios):
        text += f", in {duration(of_topic.seconds)}"
    return text + "."


def _lacking(found: Evidence) -> str:
    if found.witnesses is None:
        return _not_run("witnesses")
    complete = found.witnesses.complete()
    lacking = [_subject(name) for name in found.witnesses.figures if name not in complete]
    total = sum(sum(counts.values()) for counts in found.witnesses.figures.values())
    said = f"**A kind is missing for {listed(lacking)}.**" if lacking else "None lacks a kind."
    return f"{_number(total)} tests are such witnesses. {said}"


def _below(found: Evidence) -> str:
    """The modules with too small a share, by name."""
    if found.mutants is None:
        return _not_run("mutants")
    below = [
        f"`{name}` ({_share(each)})"
        for name, each in found.mutants.figures.items()
        if each.share < LEAST_KILLED
    ]
    return f"**Below it: {listed(below)}.**" if below else "No module is below it."


def _sampled(found: Evidence) -> str:
    """How many of all mutants were tried, and how many were killed by time alone."""
    if found.mutants is None:
        return _not_run("mutants")
    total = found.mutants.total()
    some = "All" if _is_whole(total) else f"{_number(total.tried)} of"
    drawn = "" if _is_whole(total) else ", drawn by a fixed seed,"
    sentences = [f"{some} {_number(total.possible)} mutants{drawn} were tried."]
    if total.killed_by_time:
        sentences.append(
            f"{_number(total.killed_by_time)} count as killed because the tests did not end."
        )
    samples = [
        each.tried for each in found.mutants.figures.values() if 0 < each.tried < each.possible
    ]
    if samples:
        sentences.append(
            f"The share of a sample is rough: in the smallest, of {min(samples)}, one survivor more"
            f" or less moves it by {100 / min(samples):.1f} points."
        )
    return " ".join(sentences)


def _is_whole(each: evidence.Mutated) -> bool:
    """Whether every mutant was tried."""
    return each.tried == each.possible


def vectors(found: Evidence, kind: str) -> int:
    """How many vectors of ONNX were run, or left out."""
    return sum(
        int(number)
        for counts in (found.oracles.figures.values() if found.oracles else ())
        for name, number in counts.items()
        if kind in name
    )


def _autograd(found: Evidence) -> float:
    return sum(counts.get(_AUTOGRAD, 0) for counts in found.oracles.figures.values())


def num_faults(found: Evidence) -> int:
    """How many faults there were in all scenarios together."""
    return sum(
        int(number)
        for name, counts in (found.faults.figures.items() if found.faults else ())
        if name in SCENARIOS
        for count, number in counts.items()
        if count in SCENARIOS[name].faults
    )


def num_inputs(found: Evidence) -> int:
    """How many files all readers together were fed."""
    return sum(int(counts[ALL]) for counts in (found.fuzz.figures.values() if found.fuzz else ()))


def _num_refused(found: Evidence) -> float:
    return sum(counts.get(REFUSED, 0) for counts in found.fuzz.figures.values())


def survivors(found: Evidence) -> str:
    """The mutants that no test failed on, as a list of modules and reasons, Markdown."""
    if found.mutants is None:
        return _not_run("mutants")
    lines = []
    for module, each in found.mutants.figures.items():
        by_reason: dict[str, list[str]] = {}
        for name, reason in each.survivors.items():
            by_reason.setdefault(reason or "**no reason is given**", []).append(_code(name))
        if by_reason:
            lines += ["", f"**`{module}`**", ""]
        lines += [f"* {reason}: {', '.join(names)}" for reason, names in by_reason.items()]
    return "\n".join(lines[1:]) or "None has survived."


def _code(text: str) -> str:
    """Any text as code in Markdown, accents grave included."""
    fence = "`"
    while fence in text:
        fence += "`"
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _number(value: float) -> str:
    return thousands(round(value))


def _share(each: evidence.Mutated, digits: int = 1) -> str:
    """The share killed as a percentage; 100 % is all of them, not nearly all."""
    most = 1 - 10 ** -(digits + 2) if each.survivors else 1.0
    return percent(min(each.share, most), digits)


# ---- Tables ---------------------------------------------------------------------------------


def _table(headings: str, rules: str, rows: Iterable[list[str]]) -> str:
    rule = {"l": "---", "r": "---:"}
    return markdown_table([headings.split(" | "), [rule[each] for each in rules], *rows])


def _not_run_table(topic: str) -> str:
    return _table("not run yet", "l", [[f"`{evidence.command(topic)}` makes this table"]])


def witness_table(found: Evidence) -> str:
    """How many witnesses of each kind each gradient has, as Markdown."""
    if found.witnesses is None:
        return _not_run_table("witnesses")
    by_group: dict[str, list[list[str]]] = {group: [] for group in GROUPS}
    for name, counts in found.witnesses.figures.items():
        cells = [str(counts.get(kind, 0) or "**none**") for kind in KINDS]
        by_group.setdefault(_group(name), []).append([_subject(name), *cells])
    rows = []
    for group, of_group in by_group.items():
        if of_group:
            rows.append([f"**{GROUPS.get(group, group)}**", "", "", ""])
        rows += of_group
    return _table(f"gradient of | {' | '.join(KINDS)}", "lrrr", rows)


def _group(subject: str) -> str:
    return subject.partition(":")[0].partition(".")[0]


def _subject(name: str) -> str:
    return f"`{name.removeprefix(_group(name)).lstrip(':. ')}`"


def library_table(found: Evidence) -> str:
    """What is compared with other libraries, and how often, as Markdown."""
    if found.oracles is None:
        return _not_run_table("oracles")
    rows = []
    known = [name for name in COMPARISONS if name in found.oracles.figures]
    others = [name for name in found.oracles.figures if name not in COMPARISONS]
    for name in (*known, *others):
        counts = found.oracles.figures[name]
        if not any(_RUN in count or _LEFT_OUT in count for count in counts):
            library, what = COMPARISONS.get(name, ("", name))
            rows.append([library, what, _counted(counts)])
    rows += [
        [library, what, "not run: it was not installed"]
        for name, (library, what) in COMPARISONS.items()
        if name not in known
    ]
    return _table("library | what is compared | compared", "lll", rows)


def vector_table(found: Evidence) -> str:
    """The vectors of ONNX by operator: run, and left out with the reasons, as Markdown."""
    if found.oracles is None:
        return _not_run_table("oracles")
    run: Counts = {}
    left_out: dict[str, Counts] = {}
    for counts in found.oracles.figures.values():
        for name, number in counts.items():
            if name.endswith(_RUN):
                operator = name.removesuffix(_RUN)
                run[operator] = run.get(operator, 0) + number
            elif _LEFT_OUT in name:
                operator, reason = name.split(_LEFT_OUT)
                reasons = left_out.setdefault(operator, {})
                reasons[reason] = reasons.get(reason, 0) + number
    rows = []
    for operator in sorted({*run, *left_out}):
        reasons = left_out.get(operator, {})
        why = ", ".join(f"{reason} ({_number(reasons[reason])})" for reason in sorted(reasons))
        out = _number(sum(reasons.values()))
        rows.append([f"`{operator}`", _number(run.get(operator, 0)), out, why])
    total = [_number(sum(run.values())), _number(sum(map(_sum, left_out.values())))]
    rows.append(["all", *total, ""])
    return _table("operator | run | left out | for what it asks", "lrrl", rows)


def _sum(counts: Counts) -> float:
    return sum(counts.values())


def mutant_table(found: Evidence) -> str:
    """Module by module: mutants possible, tried, killed and left, as Markdown."""
    if found.mutants is None:
        return _not_run_table("mutants")
    rows = [_mutated_cells(f"`{name}`", each) for name, each in found.mutants.figures.items()]
    rows.append(_mutated_cells("all", found.mutants.total()))
    return _table("module | mutants | tried | killed | survived | share killed", "lrrrrr", rows)


def _mutated_cells(name: str, each: evidence.Mutated) -> list[str]:
    numbers = (each.possible, each.tried, each.killed, len(each.survivors))
    return [name, *map(_number, numbers), _share(each)]


def fault_table(found: Evidence) -> str:
    """Scenario by scenario: what was done, how often, and what held after each, as Markdown."""
    if found.faults is None:
        return _not_run_table("faults")
    rows = []
    for name, scenario in SCENARIOS.items():
        counts = found.faults.figures.get(name)
        done = "not run: impossible where the others were"
        if counts is not None:
            done = _counted(counts, scenario.faults)
        rows.append([scenario.what, done, scenario.held])
    for name, counts in found.faults.figures.items():
        if name not in SCENARIOS:
            rows.append([name, _counted(counts), ""])
    return _table("what was done | counted | what held after each", "lll", rows)


def _counted(counts: Counts, first: Iterable[str] = ()) -> str:
    """Counts as a list, "74 kills of the parent; 1 interrupt"; times are left out.

    Args:
        counts: The counts.
        first: Names of those that come first.
    """
    names = [*(name for name in first if name in counts), *counts]
    return "; ".join(
        _of_things(counts[name], name) for name in dict.fromkeys(names) if name != SECONDS
    )


def _of_things(number: float, name: str) -> str:
    """A number of things; of one, the name loses its first plural: "1 kill of a worker"."""
    name = re.sub(r"s\b", "", name, count=1) if number == 1 else name
    return f"{_number(number)} {name}"


def input_table(found: Evidence) -> str:
    """Reader by reader: files it was fed, read and refused, and its memory, as Markdown."""
    if found.fuzz is None:
        return _not_run_table("fuzz")
    rows = []
    for name, counts in found.fuzz.figures.items():
        read, refused = evidence.read_right(counts), counts.get(REFUSED, 0)
        numbers = [_number(each) for each in (counts[ALL], read, refused)]
        kinds = _counted(evidence.kinds_of_file(counts))
        memory = f"{counts[PEAK]:.0f}\u00a0MiB"
        rows.append([READERS.get(name, name), *numbers, memory, kinds])
    headings = "reader of | files | read right | refused | peak memory | kinds of file"
    return _table(headings, "lrrrrl", rows)


# ---- Figure ---------------------------------------------------------------------------------


def mutants_figure(found: Evidence) -> Figure:
    """Share of mutants killed, a row a module, beside the share that there should be."""
    modules = found.mutants.figures if found.mutants else {}
    rows = sorted(modules.items(), key=lambda item: item[1].share)
    figure, (axes,) = stack([0.27 * max(2, len(rows)) + 0.05], 1.6, 1.55)
    _draw_shares(axes, rows)
    samples = [
        Line2D([], [], linestyle="", label=label, **_dot(reached))
        for reached, label in ((True, "reached"), (False, "missed"))
        if any((each.share >= LEAST_KILLED) == reached for _, each in rows)
    ]
    add_legend(figure, samples)
    if found.mutants is None:
        place = {"transform": axes.transAxes, "ha": "center", "va": "center"}
        axes.text(0.5, 0.5, f"not run yet: {evidence.command('mutants')}", **place)
    return figure


def _dot(reached: bool) -> dict:
    colour = VERDICTS[reached]
    return {"color": colour, "marker": "o" if reached else "D", "markersize": 7, "zorder": 4}


def _draw_shares(axes: Axes, rows: list[tuple[str, evidence.Mutated]]) -> None:
    """The highest share at the top; at the right the share, and the numbers behind it."""
    low = min([0.8, *(each.share - 0.03 for _, each in rows)])
    for height, (name, each) in enumerate(rows):
        dot = _dot(each.share >= LEAST_KILLED)
        axes.plot([LEAST_KILLED, each.share], [height, height], color=dot["color"], linewidth=2)
        axes.plot(each.share, height, gid=name, clip_on=False, **dot)
        place = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 9}
        numbers = f"{_number(each.killed)} of {_number(each.tried)}"
        axes.text(1.05, height, f"{_share(each, 0)} · {numbers}", **place)
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
