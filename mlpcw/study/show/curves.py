"""Curves against epoch: a panel a column, a line a condition, labelled at its end.

Where a log of 2016 exists it is drawn over the line that replays it: the line is thick, the log on
top thin and dashed, so that both are seen where they agree. With several seeds a line is their mean
and a band spans them.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from mlpcw.study.original.published import published_log
from mlpcw.study.records.results import Results
from mlpcw.study.show.shown import Shown
from mlpcw.study.show.style import add_legend, darker, spread, stack
from mlpcw.study.show.words import three_digits

_LINE = {"linewidth": 4}
_LOG = {"linewidth": 1.4, "linestyle": (0, (3.5, 2)), "zorder": 3}
_CLEAN = {"linestyle": "", "marker": "o", "markerfacecolor": "white", "clip_on": False, "zorder": 4}


@dataclasses.dataclass(frozen=True)
class Panel:
    """One set of axes: a curve of each condition."""

    column: str
    title: str
    unit: str
    log: bool


PANELS = {
    "error": (
        Panel("error_train", "Training error", "cross-entropy, nats", True),
        Panel("error_valid", "Validation error", "cross-entropy, nats", True),
    ),
    "acc": (
        Panel("acc_train", "Training accuracy", "share of images", False),
        Panel("acc_valid", "Validation accuracy", "share of images", False),
    ),
}


def draw(results: Results, conditions: Sequence[Shown], panels: Sequence[Panel]) -> Figure:
    """The panels below one another."""
    samples = _legend(results, conditions)
    figure, all_axes = stack([2.1] * len(panels), 0.85, 2.2, legend=bool(samples))
    for axes, panel in zip(all_axes, panels, strict=True):
        clean = any(_shows_clean(results, condition, panel.column) for condition in conditions)
        axes.set_title(panel.title + (", on augmented batches" if clean else ""))
        axes.set_ylabel(panel.unit)
        for condition in conditions:
            _draw_condition(axes, results, condition, panel.column)
        _set_range(axes, results, conditions, panel)
        _label_ends(axes, results, conditions, panel.column)
    all_axes[-1].set_xlabel("epoch")
    add_legend(figure, samples)
    return figure


def _draw_condition(axes: Axes, results: Results, condition: Shown, column: str) -> None:
    """The mean over the seeds, their range, and the log of 2016 where there is one."""
    key, colour = condition.key, condition.colour
    epochs, curves = results.epochs(key), results.curves(key, column)
    axes.plot(epochs, curves.mean(axis=0), color=colour, gid=key, **_LINE)
    if len(curves) > 1:
        low, high = curves.min(axis=0), curves.max(axis=0)
        axes.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
    if _shows_clean(results, condition, column):
        clean = results.final(key, "error_train_clean")
        axes.plot(epochs[-1], clean, color=colour, gid=f"{key} clean", **_CLEAN)
    if results.beside_2016 and condition.log:
        log = published_log(condition.log)
        covered = np.array(log["epoch"]) <= epochs[-1]
        axes.plot(
            np.array(log["epoch"])[covered],
            np.array(log[column])[covered],
            color=darker(colour),
            gid=f"{key} 2016",
            **_LOG,
        )


def _shows_clean(results: Results, condition: Shown, column: str) -> bool:
    """Whether a curve is measured on augmented images, so that its end on clean ones is shown."""
    return column == "error_train" and results.arm(condition.key).augmentation is not None


def _set_range(axes: Axes, results: Results, conditions: Sequence[Shown], panel: Panel) -> None:
    """Limits for what happens after the first tenth of the epochs, in which all curves fall."""
    visible = []
    for condition in conditions:
        key = condition.key
        epochs, curves = results.epochs(key), results.curves(key, panel.column)
        visible.append(curves.mean(axis=0)[epochs >= epochs[-1] / 10])
        if _shows_clean(results, condition, panel.column):
            visible.append(results.curves(key, "error_train_clean").mean(axis=0)[-1:])
    low, high = min(map(np.min, visible)), max(map(np.max, visible))
    if panel.log:
        margin = max((high / low) ** 0.06, 1.01)
        axes.set_yscale("log")
        axes.set_ylim(low / margin, high * margin)
        axes.yaxis.set_major_locator(FixedLocator(_log_ticks(low / margin, high * margin)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        margin = max(0.06 * (high - low), 0.001)
        axes.set_ylim(low - margin, high + margin)
    axes.set_xlim(0, max(1, *(results.epochs(condition.key)[-1] for condition in conditions)))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=(1, 2, 4, 5, 10)))


def _log_ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`, fewer a decade where there are more decades."""
    decades = np.log10(high / low)
    steps = (1,) if decades > 3 else (1, 3) if decades > 1 else (1, 1.5, 2, 3, 4, 6, 8)
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))))
    ticks = [float(f"{step}e{power}") for power in powers for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


def _label_ends(axes: Axes, results: Results, conditions: Sequence[Shown], column: str) -> None:
    """The name and last value at the right end of each line, moved apart so as not to overlap."""
    finals = [results.final(condition.key, column) for condition in conditions]
    to_axes = axes.transData + axes.transAxes.inverted()
    wanted = [to_axes.transform((0, final))[1] for final in finals]
    height = axes.get_position().height * axes.figure.get_figheight() * 72  # points
    heights = spread(wanted, spacing=13 / height, low=5 / height)
    for condition, final, start, end in zip(conditions, finals, wanted, heights, strict=True):
        axes.annotate(
            f"{condition.label_in(results)}  {three_digits(final)}",
            xy=(1.01, start),
            xytext=(1.06, end),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            color=darker(condition.colour),
            arrowprops={
                "arrowstyle": "-",
                "color": condition.colour,
                "relpos": (0, 0.5),
                "shrinkA": 2,
                "shrinkB": 0,
            },
        )


def _legend(results: Results, conditions: Sequence[Shown]) -> list[Line2D]:
    """Samples of logs and of values on clean images, where there are any."""
    samples = []
    if results.beside_2016 and any(condition.log for condition in conditions):
        samples.append(Line2D([], [], color="#999999", label="this book", **_LINE))
        samples.append(Line2D([], [], color="#333333", label="2016 log (dashed)", **_LOG))
    if any(results.arm(condition.key).augmentation for condition in conditions):
        samples.append(Line2D([], [], color="#666666", label="on clean images", **_CLEAN))
    return samples
