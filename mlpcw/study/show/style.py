"""Style that all figures share: matplotlib's settings, sizes, legends and label placement."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

VERDICTS = {True: "#0072B2", False: "#D55E00", None: "#8A8A8A"}
"""Colours for a target that is met, for one that is missed, and for no target."""

WIDTH = 6.4
"""Width of every figure, inches: nearly the book's column, and legible when a phone halves it."""

_DARKER = 0.4
"""Factor on a colour."""

_STYLE = {
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.borderaxespad": 0.2,
    "legend.columnspacing": 1.2,
    "legend.fontsize": 10,
    "lines.solid_capstyle": "butt",
    # Text as paths looks the same on every machine, also inside an <img>, where a page's fonts do
    # not reach; what can be searched and read aloud are caption and alt text.
    "svg.fonttype": "path",
    "svg.hashsalt": "mlpcw",
}


def style() -> None:
    """Sets the style of all figures; in a notebook also the format, SVG without a date."""
    matplotlib.rcParams.update(_STYLE)
    try:
        shell = get_ipython()  # defined inside IPython only
    except NameError:
        return
    if hasattr(shell, "kernel"):
        from matplotlib_inline.config import InlineBackend

        backend = InlineBackend.instance(parent=shell)
        backend.shell = shell
        # No tight box: it would give every figure another width.
        backend.print_figure_kwargs = {"bbox_inches": None, "metadata": {"Date": None}}
        backend.figure_formats = {"svg"}


def darker(colour: str) -> str:
    """A darker shade, for text and for lines drawn over this colour."""
    return to_hex([_DARKER * part for part in to_rgb(colour)])


def add_legend(figure: Figure, samples: Sequence[Line2D]) -> None:
    """A legend in one row above all axes; none without samples."""
    if samples:
        figure.legend(handles=samples, loc="upper right", ncols=len(samples))


def stack(
    heights: Sequence[float], left: float, right: float, legend: bool = True, gap: float = 0.55
) -> tuple[Figure, list[Axes]]:
    """A figure of axes below one another, placed in inches."""
    top, bottom = 0.6 if legend else 0.35, 0.5
    total = sum(heights) + gap * (len(heights) - 1) + top + bottom
    figure = Figure(figsize=(WIDTH, total))
    all_axes, edge = [], total - top
    for height in heights:
        edge -= height
        box = (left / WIDTH, edge / total, (WIDTH - left - right) / WIDTH, height / total)
        all_axes.append(figure.add_axes(box))
        edge -= gap
    return figure, all_axes


def spread(positions: Sequence[float], spacing: float, low: float = -np.inf) -> list[float]:
    """Moves positions apart, as little as possible, to at least `spacing` between neighbours.

    Args:
        positions: The wanted positions, in any order.
        spacing: Least distance between two.
        low: Least position.

    Returns:
        Positions in the order given.
    """
    order = np.argsort(positions, kind="stable")
    # With rank * spacing subtracted, positions need only be in order: isotonic regression, which
    # pools adjacent positions at their mean.
    pools: list[list[float]] = []  # [sum, number] of the positions in each pool
    for rank, index in enumerate(order):
        pools.append([positions[index] - rank * spacing, 1])
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] > pools[-1][0] * pools[-2][1]:
            total, number = pools.pop()
            pools[-1][0] += total
            pools[-1][1] += number
    placed = [max(total / number, low) for total, number in pools for _ in range(number)]
    moved = [0.0] * len(order)
    for rank, index in enumerate(order):
        moved[index] = float(placed[rank] + rank * spacing)
    return moved
