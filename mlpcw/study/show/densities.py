"""Densities of the first layer's weights, over the whole range and near zero."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mlpcw.study.records.results import Results
from mlpcw.study.show.shown import Shown
from mlpcw.study.show.style import WIDTH, add_legend
from mlpcw.study.show.weights import NEAR_ZERO, density, magnitude_quantile, share_near_zero
from mlpcw.study.show.words import three_digits

_COARSE = 4
"""Bins of a record merged into one of the whole range."""
_BLACK = "#222222"


def draw(results: Results, condition: Shown, outline: Shown, conditions: Sequence[Shown]) -> Figure:
    """The density of one condition, with another's outline to compare with.

    Args:
        results: Runs of all the conditions.
        condition: The condition shown.
        outline: The condition outlined.
        conditions: The conditions that share scales and bins.
    """
    figure = Figure(figsize=(WIDTH, 3.0))
    whole = figure.add_axes((0.115, 0.17, 0.5, 0.63))
    zoomed = figure.add_axes((0.665, 0.17, 0.315, 0.63), sharey=whole)
    key, compared = condition.key, outline.key
    reach, low, high = _scales(results, [each.key for each in conditions])
    for axes, num_bins, limit in ((whole, _COARSE, reach), (zoomed, 1, 5 * NEAR_ZERO)):
        axes.stairs(*density(results, key, num_bins), color=condition.colour, fill=True, gid=key)
        outlined = density(results, compared, num_bins)
        axes.stairs(*outlined, color=_BLACK, linewidth=1.2, gid=compared)
        axes.set_xlim(-limit, limit)
        axes.set_xlabel("weight")
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=(1, 2, 4, 5, 10)))
    whole.set_yscale("log")
    whole.set_ylim(low, high)
    whole.set_ylabel("density")
    whole.set_title(condition.label_in(results))
    zoomed.tick_params(labelleft=False)
    zoomed.set_title("near zero", fontweight="normal")
    facts = f"{100 * share_near_zero(results, key):.1f} % within ±{NEAR_ZERO}\n"
    facts += f"99 % within ±{three_digits(magnitude_quantile(results, key, 0.99))}"
    whole.text(0.02, 0.97, facts, transform=whole.transAxes, va="top")
    name = f"outline: {outline.label_in(results)}"
    add_legend(figure, [Line2D([], [], color=_BLACK, linewidth=1.2, label=name)])
    return figure


def _scales(results: Results, keys: Sequence[str]) -> tuple[float, float, float]:
    """Half the range of weights shown, and the lowest and highest density.

    At most one weight in ten thousand lies outside.
    """
    reach = max(magnitude_quantile(results, key, 0.9999) for key in keys)
    highest = max(density(results, key, 1)[0].max() for key in keys)
    coarse = [density(results, key, _COARSE)[0] for key in keys]
    lowest = min(values[values > 0].min() for values in coarse)
    return reach, lowest / 2, 8 * highest
