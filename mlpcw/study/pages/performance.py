"""The performance page: texts and tables of the stored measurements.

Nothing here measures. Verdicts and numbers of the text are computed from `Measurements`.
"""

from mlpcw.study.pages.measurements import (
    KINDS,
    SECTIONS,
    Line,
    Measurements,
    Number,
    Row,
)
from mlpcw.study.show.words import (
    commit_text,
    listed,
    markdown_table,
    percent,
    thousands,
    three_digits,
)

PEERS = tuple(kind for kind in KINDS if kind != "plain")
"""Kinds of peers of the first figure and table."""
TRICKS = ("plain",)
"""Kinds of peers of the second figure and table."""

_UNITS = (("h", 3600, 3600), ("min", 60, 120), ("s", 1, 0.1), ("ms", 1e-3, 1e-4), ("µs", 1e-6, 0))
"""Name, seconds, and the least seconds that are written so."""
MET = {True: "reached", False: "missed", None: ""}
"""Whether a target is met, in a word."""


# ---- Numbers as text ------------------------------------------------------------------------


def seconds_text(seconds: float) -> str:
    """A time to three digits in the unit that suits it: "12.3 µs", "0.412 s", "7.31 h"."""
    unit, size = next((unit, size) for unit, size, least in _UNITS if seconds >= least)
    return f"{three_digits(seconds / size)}\u00a0{unit}"


def _quantity(number: Number) -> str:
    """A number with its unit."""
    if number.unit == "s":
        return seconds_text(number.value)
    return f"{three_digits(number.value)}\u00a0{number.unit}"


def _target(measured: Row | Number) -> str:
    """A target as it was set: "2.5 ×", "12 µs"; "" without one."""
    value, unit = (
        (measured.at_least, "×") if isinstance(measured, Row) else (measured.at_most, measured.unit)
    )
    return "" if value is None else f"{value:.3g}\u00a0{unit}"


def _times(row: Row) -> str:
    return f"{three_digits(row.ratio)}\u00a0×"


def slope_text(line: Line) -> str:
    """A slope, to two decimals."""
    return f"{line.slope:.2f}".replace("-", "−")


# ---- Text -----------------------------------------------------------------------------------


def texts(measured: Measurements) -> dict[str, str]:
    """Texts of the page by the names under which it refers to them."""
    return {
        "perf_answer": _answer(measured),
        "perf_missed": _missed(measured),
        "perf_when": _when(measured),
        "perf_skipped": _skipped(measured),
        "perf_numbers": _number_table(measured),
        "perf_limits": _limits(measured),
        "perf_slopes": _slopes(measured),
        "perf_compilation": _compilation(measured),
        "perf_memory": _memory(measured),
        "perf_general": _saved(measured, "general path"),
        "perf_in_place": _saved(measured, "in-place NumPy"),
    }


def verdicts(measured: Measurements) -> list[bool]:
    """Whether each target, of the rows and of the numbers, is met."""
    targets = (*measured.rows(), *measured.numbers().values())
    return [target.met for target in targets if target.met is not None]


def _answer(measured: Measurements) -> str:
    targets = verdicts(measured)
    reached = sum(targets)
    text = f"Of {len(targets)} targets {reached} are reached and {len(targets) - reached} missed."
    if epoch := measured.row("epoch", "PyTorch"):
        compared = "times as fast as" if epoch.ratio >= 1 else "times the speed of"
        text += (
            f" One pass over the {thousands(50_000)} training images takes"
            f" {seconds_text(epoch.seconds)} of one core, {three_digits(epoch.ratio)} {compared}"
            " PyTorch."
        )
    replay = next((r for r in measured.rows() if r.work.subject == "all runs of 2016"), None)
    if replay:
        text += (
            f" All runs of 2016 take {seconds_text(replay.seconds)} here, by the times in their"
            f" records; in 2016 those with a log took {seconds_text(replay.peer_seconds)}."
        )
    return text


def _missed(measured: Measurements) -> str:
    """A list of what is missed, by how much, and what bounds it."""
    lines = []
    for row in measured.rows():
        if row.met is False:
            line = f"* {row.work}, against {row.peer}: {_times(row)}, target {_target(row)},"
            line += f" {percent(1 - row.ratio / row.at_least, 0)} short."
            if row.share is not None and row.kind != "limits":
                line += f" It runs at {percent(row.share, 0)} of the speed of {row.limit}."
            lines.append(line + (f" What bounds it: {row.bound}." if row.bound else ""))
    for number in measured.numbers().values():
        if number.met is False:
            line = f"* {number.meaning}: {_quantity(number)}, at most {_target(number)},"
            lines.append(f"{line} {percent(number.value / number.at_most - 1, 0)} over.")
    return "\n".join(lines) or "Nothing is missed."


def _when(measured: Measurements) -> str:
    """Machine, date and commit; where the sections differ in commit or machine, it says so."""
    sections = measured.shown()
    last = max(sections.values(), key=lambda section: section.date)
    text = (
        "Measured on {cpu}, {cores} cores, {blas} with its {blas_kernels} kernels, NumPy {numpy},"
        " PyTorch {torch}, Numba {numba}, Python {python}."
    ).format_map(last.machine)
    names: dict[str, list[str]] = {}
    for name, section in sections.items():
        names.setdefault(section.commit, []).append(SECTIONS[name].lower())
    dates = listed(sorted({section.date[:10] for section in sections.values()}))
    if len(names) == 1:
        text += f" All at commit {commit_text(last.commit)}, {dates}."
    else:
        commits = [f"{commit_text(commit)} ({', '.join(names[commit])})" for commit in names]
        text += f" **Sections are of different commits:** {listed(commits)}, {dates}."
    if any(section.machine != last.machine for section in sections.values()):
        text += " **Sections are of different machines or versions:** the file says which."
    return text


def _skipped(measured: Measurements) -> str:
    sentences = [each for section in measured.shown().values() for each in section.skipped]
    return f"Left out: {'; '.join(dict.fromkeys(sentences))}." if sentences else ""


def _limits(measured: Measurements) -> str:
    """The limits of the machine, the best that any section measured of each."""
    limits = [limit for section in measured.shown().values() for limit in section.limits]
    best = {limit.name: limit for limit in sorted(limits, key=lambda limit: limit.value)}
    values = [f"{name} {_quantity(best[name])}" for name in dict.fromkeys(x.name for x in limits)]
    return f"The limits of one core, measured in the same run: {listed(values)}." if values else ""


def _slopes(measured: Measurements) -> str:
    """A list of the slopes of all lines."""
    return "\n".join(
        f"* {series.title}: {series.y_label} by {series.x_label},"
        f" {listed([f'{line.name} {slope_text(line)}'.strip() for line in series.lines])}."
        for series in measured.series()
    )


def _saved(measured: Measurements, peer: str) -> str:
    """Share of the time of a peer that the fused step saves, in float32."""
    row = measured.row("epoch", peer)
    return percent(1 - 1 / row.ratio, 0) if row else "not measured"


def _compilation(measured: Measurements) -> str:
    numbers = measured.numbers()
    if "compile" not in numbers:
        return "No kernel was compiled where this was measured."
    return (
        f"Their first calls take {_quantity(numbers['compile'])}, once a machine, to compile them;"
        f" a later process loads them from disk, in {_quantity(numbers['load'])}."
    )


def _memory(measured: Measurements) -> str:
    numbers, text = measured.numbers(), ""
    if "epoch_memory" in numbers:
        text += f"An epoch asks for {_quantity(numbers['epoch_memory'])} at most, beside training"
        text += f" images of {_quantity(numbers['training_set'])}."
    if "peak" in numbers:
        text += f" A process that trains a run of each part peaks at {_quantity(numbers['peak'])}."
    return text.strip()


# ---- Tables ---------------------------------------------------------------------------------


def table(measured: Measurements, kinds: tuple[str, ...]) -> str:
    """The rows against some kinds of peers, section by section, as Markdown."""
    headings = ["work", "mlpcw", "peer", "ratio", "target", "", "share of the limit"]
    lines = [headings, ["---", "---:", "---", "---:", "---:", "---", "---"]]
    for name, section in measured.shown().items():
        rows = [row for row in section.rows if row.kind in kinds]
        if rows:
            lines.append([f"**{SECTIONS[name]}**", *[""] * (len(headings) - 1)])
        works = dict.fromkeys(row.work for row in rows)
        for work in works:
            first = f"{work}, per {work.per}"
            for row in rows:
                if row.work == work:
                    peer = f"{row.peer}: {seconds_text(row.peer_seconds)}"
                    cells = [first, seconds_text(row.seconds), peer, _times(row), _target(row)]
                    share = "" if row.share is None else f"{percent(row.share, 0)} of {row.limit}"
                    lines.append([*cells, MET[row.met], share])
                    first = ""
    return markdown_table(lines)


def _number_table(measured: Measurements) -> str:
    """All numbers, as Markdown."""
    lines = [["what", "measured", "at most", ""], ["---", "---:", "---:", "---"]]
    for number in measured.numbers().values():
        lines.append([number.meaning, _quantity(number), _target(number), MET[number.met]])
    return markdown_table(lines)
