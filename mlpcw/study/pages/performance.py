"""The page on performance: what was measured, as a table, figures and text.

Everything here is a function of stored measurements (`measurements`); nothing measures. Which
targets are met, by how much others are missed, and every number of the text are computed.
"""

import math
from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from mlpcw.study.pages import measurements
from mlpcw.study.pages.measurements import (
    GROUPS,
    LIMITS,
    PLAIN,
    SECTIONS,
    Line,
    Measurements,
    Row,
    Series,
)
from mlpcw.study.show.style import VERDICTS, WIDTH, add_legend, stack
from mlpcw.study.show.words import (
    commit_text,
    listed,
    markdown_table,
    percent,
    thousands,
    three_digits,
)

_BESIDE_OTHERS = tuple(group for group in GROUPS if group != PLAIN)
_UNITS = (("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))
_LONG = 120
"""Seconds above which a time is written in minutes."""

_MARKERS = {True: "o", False: "D", None: "o"}
_NAMES = {True: "reached", False: "missed", None: "nothing to reach"}
_REACHED = {True: "yes", False: "**no**", None: ""}
_TARGET = {"color": "black", "linestyle": "", "marker": "|", "markersize": 11}
_TARGET |= {"markeredgewidth": 2, "zorder": 5}
_LINES = ("#0072B2", "#D55E00", "#117733", "#882255")


# ---- Numbers as text ------------------------------------------------------------------------


def seconds_text(seconds: float) -> str:
    """A time to three digits in the unit that suits it: "12.3 µs", "0.412 s", "7.31 h"."""
    if seconds >= _LONG:
        unit, size = _UNITS[0] if seconds >= 3600 else _UNITS[1]
    else:
        unit, size = next((each for each in _UNITS[2:] if seconds >= 0.1 * each[1]), _UNITS[-1])
    return f"{three_digits(seconds / size)}\u00a0{unit}"


def times(ratio: float) -> str:
    """A ratio as people say it: "2.41 ×"."""
    return f"{three_digits(ratio)}\u00a0×"


def _target(value: float, unit: str) -> str:
    """What is to be reached, as it was set: "2.5 ×", "12 µs"."""
    return f"{value:.3g}\u00a0{unit}"


def _quantity(figure: measurements.Figure) -> str:
    """The number of a figure with its unit."""
    if figure.unit == "s":
        return seconds_text(figure.value)
    return f"{three_digits(figure.value)}\u00a0{figure.unit}"


def _words(work: str) -> str:
    """The words of a row as a page prints them."""
    return work.replace(" x ", " × ").replace("->", "→")


# ---- Text -----------------------------------------------------------------------------------


def texts(measured: Measurements) -> dict[str, str]:
    """Texts of the page by the names under which it refers to them."""
    return {
        "perf_answer": _answer(measured),
        "perf_missed": _missed(measured),
        "perf_when": _when(measured),
        "perf_skipped": _skipped(measured),
        "perf_figures": figure_table(measured),
        "perf_limits": _limits(measured),
        "perf_slopes": _slopes(measured),
        "perf_compilation": _compilation(measured),
        "perf_memory": _memory(measured),
        "perf_general": _saved(measured, "general path"),
        "perf_in_place": _saved(measured, "in-place NumPy"),
    }


def verdicts(measured: Measurements) -> list[bool]:
    """Whether each target, of the rows and of the figures, is met."""
    found = [each.met for each in (*measured.rows(), *measured.figures())]
    return [met for met in found if met is not None]


def _answer(measured: Measurements) -> str:
    found = verdicts(measured)
    sentences = [
        f"Of {len(found)} targets {sum(found)} are reached and {len(found) - sum(found)} missed."
    ]
    epoch = measured.row("epoch, float32", "PyTorch")
    if epoch:
        sentences.append(
            f"One pass over the {thousands(50_000)} training images takes"
            f" {seconds_text(epoch.ours_s)} of one core, {_compared(epoch.ratio)} PyTorch."
        )
    replayed = measured.figure("all_runs")
    if replayed:
        how = replayed.work.split(", ")[-1]  # by the clock, or by records
        then = next(row for row in measured.rows() if row.label == "all runs of 2016")
        sentences.append(
            f"All runs of 2016 take {seconds_text(60 * replayed.value)} here, {how}; in 2016 those"
            f" with a log took {seconds_text(then.other_s)}."
        )
    return " ".join(sentences)


def _compared(ratio: float) -> str:
    return f"{three_digits(ratio)} times {'as fast as' if ratio >= 1 else 'the speed of'}"


def _missed(measured: Measurements) -> str:
    """A list of what is missed, by how much, and what bounds it."""
    lines = []
    for row in measured.rows():
        if row.met is False:
            short = percent(1 - row.ratio / row.to_reach, 0)
            line = f"* {_words(row.work)}, beside {row.other}: {times(row.ratio)} where"
            line += f" {_target(row.to_reach, '×')} is to be reached, {short} short."
            lines.append(line + _bound(row))
    for figure in measured.figures():
        if figure.met is False:
            over = percent(figure.value / figure.at_most - 1, 0)
            line = f"* {_words(figure.work)}: {_quantity(figure)} where"
            lines.append(f"{line} {_target(figure.at_most, figure.unit)} is the most, {over} over.")
    return "\n".join(lines) or "Nothing is missed."


def _bound(row: Row) -> str:
    sentences = ""
    if row.share is not None and row.group != LIMITS:
        sentences += f" It runs at {percent(row.share, 0)} of {row.share_of}'s speed."
    if row.bound:
        sentences += f" What bounds it: {row.bound}."
    return sentences


def _when(measured: Measurements) -> str:
    """Machine, date and commit; where the sections differ in commit or machine, it says so."""
    sections = [measured.sections[name] for name in measured.names()]
    last = max(sections, key=lambda section: section.date)
    machine = last.machine
    text = (
        f"Measured on {machine['cpu']}, {machine['cores']} cores, {machine['blas']} with its"
        f" {machine['blas_kernels']} kernels, NumPy {machine['numpy']}, PyTorch {machine['torch']},"
        f" Numba {machine['numba']}, Python {machine['python']}."
    )
    by_commit: dict[str, list[str]] = {}
    for name in measured.names():
        by_commit.setdefault(measured.sections[name].commit, []).append(name)
    dates = sorted({section.date[:10] for section in sections})
    if len(by_commit) == 1:
        text += f" All of it at commit {commit_text(last.commit)}, {listed(dates)}."
    else:
        found = [
            f"{commit_text(commit)} ({', '.join(SECTIONS[name].lower() for name in names)})"
            for commit, names in by_commit.items()
        ]
        text += (
            " **Not all was measured at one commit:** the sections are of commits"
            f" {listed(found)}, {listed(dates)}."
        )
    if len({tuple(sorted(section.machine.items())) for section in sections}) > 1:
        text += " **Nor was all measured on one machine with one set of versions:** the file says."
    return text


def _skipped(measured: Measurements) -> str:
    found = [each for name in measured.names() for each in measured.sections[name].skipped]
    return f"Left out: {'; '.join(dict.fromkeys(found))}." if found else ""


def _limits(measured: Measurements) -> str:
    """The machine's limits, the best that any section saw of each."""
    best: dict[str, float] = {}
    for name in measured.names():
        for limit, value in measured.sections[name].limits.items():
            best[limit] = max(value, best.get(limit, 0.0))
    found = [
        f"{name.split(', ')[0]} {three_digits(value)} {name.split(', ')[1]}"
        for name, value in best.items()
    ]
    return f"The limits of one core, measured in the same run: {listed(found)}." if found else ""


def _slopes(measured: Measurements) -> str:
    """A list of the slopes of all lines."""
    lines = []
    for series in measured.series():
        found = [f"{line.name} {_slope(line)}".strip() for line in series.lines]
        lines.append(f"* {series.title}: {series.y_label} by {series.x_label}, {listed(found)}.")
    return "\n".join(lines)


def _slope(line: Line) -> str:
    return f"{line.slope:.2f}".replace("-", "−")


def _saved(measured: Measurements, other: str) -> str:
    """Share of the time that the fused step saves of another way to take it, in float32."""
    row = measured.row("epoch, float32", other)
    return percent(1 - 1 / row.ratio, 0) if row else "not measured"


def _compilation(measured: Measurements) -> str:
    first, later = measured.figure("compile"), measured.figure("load")
    if not first or not later:
        return "No kernel was compiled where this was measured."
    return (
        f"Their first calls take {seconds_text(first.value)}, once a machine, to compile them; a"
        f" later process finds them on disk, in {seconds_text(later.value)}."
    )


def _memory(measured: Measurements) -> str:
    peak, epoch = measured.figure("peak"), measured.figure("epoch_memory")
    images = measured.figure("training_set")
    sentences = []
    if epoch and images:
        sentences.append(
            f"An epoch asks for {_quantity(epoch)} at most, beside training images of"
            f" {_quantity(images)}."
        )
    if peak:
        sentences.append(f"A process that trains a run of each part peaks at {_quantity(peak)}.")
    return " ".join(sentences)


# ---- Tables ---------------------------------------------------------------------------------


def ratio_table(measured: Measurements) -> str:
    """Ours beside others and beside its limits, section by section, as Markdown."""
    return _rows_table(measured, _BESIDE_OTHERS)


def trick_table(measured: Measurements) -> str:
    """Ours beside plainer ways of our own, section by section, as Markdown."""
    return _rows_table(measured, (PLAIN,))


def _rows_table(measured: Measurements, groups: Iterable[str]) -> str:
    headings = ["work", "ours", "other", "ratio", "to reach", "reached", "share of the limit"]
    lines = [headings, ["---", "---:", "---", "---:", "---:", "---", "---"]]
    for name in measured.names():
        rows = [row for row in measured.sections[name].rows if row.group in groups]
        if rows:
            lines.append([f"**{SECTIONS[name]}**", *[""] * (len(headings) - 1)])
        for work, of_work in _by_work(rows).items():
            lines += [_cells("" if index else work, row) for index, row in enumerate(of_work)]
    return markdown_table(lines)


def _by_work(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows of the same work together, under its words."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        work = _words(row.work)
        if row.per not in work:
            work += f", {'an' if row.per[0] in 'aeiou' else 'a'} {row.per}"
        found.setdefault(work, []).append(row)
    return found


def _cells(work: str, row: Row) -> list[str]:
    return [
        work,
        seconds_text(row.ours_s),
        f"{row.other}: {seconds_text(row.other_s)}",
        times(row.ratio),
        "" if row.to_reach is None else _target(row.to_reach, "×"),
        _REACHED[row.met],
        "" if row.share is None else f"{percent(row.share, 0)} of {row.share_of}",
    ]


def figure_table(measured: Measurements) -> str:
    """All single numbers, as Markdown."""
    lines = [["what", "measured", "at most", "kept"], ["---", "---:", "---:", "---"]]
    for figure in measured.figures():
        most = "" if figure.at_most is None else _target(figure.at_most, figure.unit)
        lines.append([_words(figure.work), _quantity(figure), most, _REACHED[figure.met]])
    return markdown_table(lines)


# ---- Figures --------------------------------------------------------------------------------


def ratios_figure(measured: Measurements) -> Figure:
    """How many times as fast ours is as others and as its limits, in groups of these.

    A row each: a dot is a ratio, an upright stroke what is to be reached.
    """
    return _ratios(measured, _BESIDE_OTHERS)


def tricks_figure(measured: Measurements) -> Figure:
    """How many times as fast ours is as plainer ways of our own, as `ratios_figure`."""
    return _ratios(measured, (PLAIN,))


def _ratios(measured: Measurements, wanted: Iterable[str]) -> Figure:
    groups = {group: [row for row in measured.rows() if row.group == group] for group in wanted}
    groups = {group: rows for group, rows in groups.items() if rows}
    shown = [row for rows in groups.values() for row in rows]
    heights = [0.235 * len(rows) + 0.05 for rows in groups.values()]
    figure, all_axes = stack(heights, 3.05, 0.6, gap=0.36)
    values = [value for row in shown for value in (row.ratio, row.to_reach, 1) if value]
    limits = min(values) / 1.4, max(values) * 1.4
    for axes, (group, rows) in zip(all_axes, groups.items(), strict=True):
        _draw_ratios(axes, rows, group, limits)
        axes.tick_params(axis="x", labelbottom=axes is all_axes[-1])
    all_axes[-1].set_xlabel("how many times as fast (logarithmic)")
    found = {row.met for row in shown}
    samples = [_sample(met) for met in (True, False, None) if met in found]
    samples.append(Line2D([], [], label="to reach", **_TARGET))
    add_legend(figure, samples)
    return figure


def _style(met: bool | None) -> dict:
    face = "white" if met is None else VERDICTS[met]
    return {
        "color": VERDICTS[met],
        "marker": _MARKERS[met],
        "markerfacecolor": face,
        "markersize": 7,
        "clip_on": False,
        "zorder": 4,
    }


def _sample(met: bool | None) -> Line2D:
    return Line2D([], [], linestyle="", label=_NAMES[met], **_style(met))


def _draw_ratios(axes: Axes, rows: list[Row], group: str, limits: tuple[float, float]) -> None:
    """The highest ratio at the top, its value at the right; beside whom, where that differs."""
    rows = sorted(rows, key=lambda row: row.ratio)
    for height, row in enumerate(rows):
        axes.plot([1, row.ratio], [height, height], color=VERDICTS[row.met], linewidth=2)
        axes.plot(row.ratio, height, gid=f"{row.label}, {row.other}", **_style(row.met))
        if row.to_reach is not None:
            axes.plot(row.to_reach, height, **_TARGET)
        place = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 9}
        axes.text(1.04, height, three_digits(row.ratio), **place)
    names = [_words(row.label) for row in rows]
    names = [
        name if row.other == group else f"{name} · {row.other}"
        for name, row in zip(names, rows, strict=True)
    ]
    axes.set_yticks(range(len(rows)), names, fontsize=9)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xscale("log")
    axes.set_xlim(*limits)
    axes.xaxis.set_major_locator(FixedLocator(_ticks(*limits, most=5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} ×"))
    axes.axvline(1, color="#222222", linewidth=1.2, zorder=1)
    axes.tick_params(axis="y", length=0, pad=6)
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x")
    axes.set_title(f"Beside {group}")


def _ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, as many as there is room for."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [float(f"{step}e{power}") for power in powers for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= most:
            break
    return ticks


def _tick_text(value: float) -> str:
    return thousands(round(value)) if value >= 1 else f"{value:g}"


def scaling_figure(measured: Measurements) -> Figure:
    """Small multiples of all series, both axes logarithmic, each line with its slope.

    Where the library chooses among methods, a full dot says that it chooses this one.
    """
    found = measured.series()
    columns, rows = 2, (len(found) + 1) // 2
    height = 2.35 * rows + 0.15
    figure = Figure(figsize=(WIDTH, height))
    for index, series in enumerate(found):
        row, column = divmod(index, columns)
        top = height - 0.35 - 2.35 * row
        box = ((0.7 + 3.25 * column) / WIDTH, (top - 1.45) / height, 2.35 / WIDTH, 1.45 / height)
        _draw_series(figure.add_axes(box), series)
    return figure


def _draw_series(axes: Axes, series: Series) -> None:
    for line, colour in zip(series.lines, _LINES, strict=False):
        name = f"{line.name}, slope {_slope(line)}".removeprefix(", ")
        axes.plot(line.x, line.y, color=colour, linewidth=1.6, label=name, gid=line.name)
        for chosen, face in ((True, colour), (False, "white")):
            x, y = _points(line, chosen)
            axes.plot(x, y, linestyle="", marker="o", markersize=5, color=colour,
                      markerfacecolor=face)  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    low = min(min(line.y) for line in series.lines)
    high = max(max(line.y) for line in series.lines)
    spread = max(high / low, 2.0)
    margin = spread**0.1
    room = spread ** (0.2 * len(series.lines))  # for the names
    axes.set_ylim(low / margin, high * margin * room)
    for axis, (first, last), most in (
        (axes.xaxis, axes.get_xlim(), 6 if axes.get_xlim()[1] < 10_000 else 4),
        (axes.yaxis, (low / margin, high * margin), 5),
    ):
        axis.set_major_locator(FixedLocator(_ticks(first, last, most)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: _tick_text(value)))
    axes.set_xlabel(series.x_label, fontsize=9)
    axes.set_ylabel(series.y_label, fontsize=9)
    axes.tick_params(labelsize=9)
    axes.set_title(series.title)
    axes.legend(loc="upper left", fontsize=8, handlelength=1.2, labelspacing=0.2)


def _points(line: Line, chosen: bool) -> tuple[list[float], list[float]]:
    """The points at which the library chooses this line, or does not."""
    flags = line.chosen or (True,) * len(line.x)
    kept = [(x, y) for x, y, flag in zip(line.x, line.y, flags, strict=True) if flag == chosen]
    return [x for x, _ in kept], [y for _, y in kept]
