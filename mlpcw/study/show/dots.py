"""Dot plots of final values: a row a condition, from its training to its validation value."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mlpcw.study.records.results import Results
from mlpcw.study.show.shown import Shown
from mlpcw.study.show.style import add_legend, stack
from mlpcw.study.show.words import three_digits

Plot = tuple[str, str, Sequence[Shown]]
"""Title of the axes, "error" or "acc", and the conditions."""

_UNITS = {"error": "error (cross-entropy, nats)", "acc": "accuracy (share of images)"}
_VALIDATION = {"linestyle": "", "marker": "o", "markersize": 9, "clip_on": False, "zorder": 4}
_TRAINING = {**_VALIDATION, "markerfacecolor": "white", "markersize": 7, "markeredgewidth": 1.5}


def draw(results: Results, plots: Sequence[Plot]) -> Figure:
    """Dot plots below one another."""
    heights = [0.26 * len(conditions) for _, _, conditions in plots]
    figure, all_axes = stack(heights, 1.8, 0.75, gap=0.8)
    for axes, plot in zip(all_axes, plots, strict=True):
        _draw_dots(axes, results, plot)
    keys = [condition.key for _, _, conditions in plots for condition in conditions]
    augmented = any(results.arm(key).augmentation for key in keys)
    training = "training (clean images)" if augmented else "training"
    samples = [
        Line2D([], [], color="#666666", label=training, **_TRAINING),
        Line2D([], [], color="#666666", label="validation, with its value", **_VALIDATION),
    ]
    add_legend(figure, samples)
    return figure


def _draw_dots(axes: Axes, results: Results, plot: Plot) -> None:
    """The best validation value at the top, printed at the right."""
    title, metric, conditions = plot
    column = f"{metric}_valid"
    best_last = sorted(
        conditions,
        key=lambda condition: results.final(condition.key, column),
        reverse=metric == "error",
    )
    for row, condition in enumerate(best_last):
        key, colour = condition.key, condition.colour
        clean = "_clean" if results.arm(key).augmentation else ""
        training = results.final(key, f"{metric}_train{clean}")
        valid = results.curves(key, column)[:, -1]
        axes.plot([training, valid.mean()], [row, row], color=colour, linewidth=2)
        axes.plot([valid.min(), valid.max()], [row, row], color=colour, linewidth=7, alpha=0.3)
        axes.plot(training, row, color=colour, **_TRAINING)
        axes.plot(valid.mean(), row, color=colour, gid=key, **_VALIDATION)
        axes.text(
            *(1.03, row, three_digits(valid.mean())),
            transform=axes.get_yaxis_transform(),
            va="center",
        )
    names = [condition.label_in(results) for condition in best_last]
    axes.set_yticks(range(len(best_last)), names)
    axes.set_ylim(-0.6, len(best_last) - 0.4)
    axes.tick_params(axis="y", length=0, pad=9)
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 2.5, 5, 10)))
    epochs = results.epochs(conditions[0].key)[-1]
    axes.set_xlabel(f"{_UNITS[metric]} after {epochs} epochs")
    axes.set_title(title)
    if metric == "error":
        axes.set_xlim(left=0)
