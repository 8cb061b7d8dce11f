"""The figures of the performance page: ratios to peers, and times against the size of the work."""

import math
from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from mlpcw.study.pages.measurements import KINDS, Measurements, Row, Series
from mlpcw.study.pages.performance import MET, slope_text
from mlpcw.study.show.style import VERDICTS, WIDTH, add_legend, stack
from mlpcw.study.show.words import thousands, three_digits

_MARKERS = {True: "o", False: "D", None: "o"}
_TARGET = {"color": "black", "linestyle": "", "marker": "|", "markersize": 11}
_TARGET |= {"markeredgewidth": 2, "zorder": 5}
_COLOURS = ("#0072B2", "#D55E00", "#117733", "#882255")


def ratios(measured: Measurements, kinds: tuple[str, ...]) -> Figure:
    """A dot for each ratio, in axes a kind of peer; an upright stroke is the target."""
    groups = {kind: [row for row in measured.rows() if row.kind == kind] for kind in kinds}
    groups = {kind: rows for kind, rows in groups.items() if rows}
    shown = [row for rows in groups.values() for row in rows]
    heights = [0.235 * len(rows) + 0.05 for rows in groups.values()]
    figure, all_axes = stack(heights, 3.05, 0.6, gap=0.36)
    values = [value for row in shown for value in (row.ratio, row.at_least, 1) if value]
    limits = min(values) / 1.4, max(values) * 1.4
    for axes, (kind, rows) in zip(all_axes, groups.items(), strict=True):
        _draw_ratios(axes, rows, KINDS[kind], limits)
        axes.tick_params(axis="x", labelbottom=axes is all_axes[-1])
    all_axes[-1].set_xlabel("time of the peer / time of mlpcw (logarithmic)")
    verdicts = {row.met for row in shown}
    samples = [
        Line2D([], [], linestyle="", label=MET[met] or "no target", **_dot(met))
        for met in (True, False, None)
        if met in verdicts
    ]
    add_legend(figure, [*samples, Line2D([], [], label="target", **_TARGET)])
    return figure


def _dot(met: bool | None) -> dict:
    style = {"color": VERDICTS[met], "marker": _MARKERS[met], "markersize": 7}
    face = "white" if met is None else VERDICTS[met]
    return style | {"markerfacecolor": face, "clip_on": False, "zorder": 4}


def _draw_ratios(axes: Axes, rows: list[Row], title: str, limits: tuple[float, float]) -> None:
    """The highest ratio at the top, its value at the right."""
    rows = sorted(rows, key=lambda row: row.ratio)
    place = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 9}
    for height, row in enumerate(rows):
        axes.plot([1, row.ratio], [height, height], color=VERDICTS[row.met], linewidth=2)
        axes.plot(row.ratio, height, gid=f"{row.work.label}, {row.peer}", **_dot(row.met))
        if row.at_least is not None:
            axes.plot(row.at_least, height, **_TARGET)
        axes.text(1.04, height, three_digits(row.ratio), **place)
    names = [row.work.label + ("" if row.peer == title else f" · {row.peer}") for row in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=9)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xscale("log")
    axes.set_xlim(*limits)
    _set_ticks(axes.xaxis, limits, 5, lambda value: f"{value:g} ×")
    axes.axvline(1, color="#222222", linewidth=1.2, zorder=1)
    axes.tick_params(axis="y", length=0, pad=6)
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x")
    axes.set_title(f"Against {title}")


def _set_ticks(
    axis: Axis, limits: tuple[float, float], most: int, text: Callable[[float], str]
) -> None:
    """Round numbers on a logarithmic axis, at most `most` of them unless they are powers of ten."""
    low, high = limits
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [float(f"{step}e{power}") for power in powers for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= most:
            break
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))


def scaling(measured: Measurements) -> Figure:
    """Small multiples of all series, both axes logarithmic, each line with its slope.

    A full dot says that the library chooses this method at this size.
    """
    all_series = measured.series()
    height = 2.35 * ((len(all_series) + 1) // 2) + 0.15
    figure = Figure(figsize=(WIDTH, height))
    for index, series in enumerate(all_series):
        row, column = divmod(index, 2)
        bottom = height - 1.8 - 2.35 * row
        box = (0.7 + 3.25 * column) / WIDTH, bottom / height, 2.35 / WIDTH, 1.45 / height
        _draw_series(figure.add_axes(box), series)
    return figure


def _draw_series(axes: Axes, series: Series) -> None:
    for line, colour in zip(series.lines, _COLOURS, strict=False):
        name = f"{line.name}, slope {slope_text(line)}".removeprefix(", ")
        axes.plot(line.x, line.y, color=colour, linewidth=1.6, label=name, gid=line.name)
        chosen = line.chosen or (True,) * len(line.x)
        dots = {"linestyle": "", "marker": "o", "markersize": 5, "color": colour}
        for full, face in ((True, colour), (False, "white")):
            points = [
                p
                for p, c in zip(zip(line.x, line.y, strict=True), chosen, strict=True)
                if c == full
            ]
            axes.plot([x for x, _ in points], [y for _, y in points], markerfacecolor=face, **dots)
    axes.set_xscale("log")
    axes.set_yscale("log")
    values = [value for line in series.lines for value in line.y]
    spread = max(max(values) / min(values), 2.0)
    low, high = min(values) / spread**0.1, max(values) * spread**0.1
    axes.set_ylim(low, high * spread ** (0.2 * len(series.lines)))  # room for the names
    x_limits = axes.get_xlim()

    def text(value: float) -> str:
        return thousands(round(value)) if value >= 1 else f"{value:g}"

    _set_ticks(axes.xaxis, x_limits, 6 if x_limits[1] < 10_000 else 4, text)
    _set_ticks(axes.yaxis, (low, high), 5, text)
    axes.set_xlabel(series.x_label, fontsize=9)
    axes.set_ylabel(series.y_label, fontsize=9)
    axes.tick_params(labelsize=9)
    axes.set_title(series.title)
    axes.legend(loc="upper left", fontsize=8, handlelength=1.2, labelspacing=0.2)
