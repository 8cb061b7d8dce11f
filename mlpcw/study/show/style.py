"""How all figures look: their colours, their measures, and how labels keep clear of one another.

Everything that two kinds of figure share and that is not data is here, so that the book changes its
looks in one place.
"""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

# Okabe and Ito's and Tol's colours, which the colour-blind tell apart. Grey is the plain network of
# each part; a family shares its hue, and the stronger coefficient is the lighter one.
COLOURS = {
    "part1/none": "#8A8A8A",
    "part1/l1_1e-5": "#0072B2",
    "part1/l1_1e-3": "#56B4E9",
    "part1/l2_1e-4": "#D55E00",
    "part1/l2_1e-2": "#E69F00",
    "part1/l1l2_1e-5_1e-4": "#882255",
    "part1/l1l2_1e-3_1e-2": "#E3A6CF",
    "part2/size_1000": "#7FB8E0",
    "part2/size_5000": "#2F7FB8",
    "part2/size_10000": "#0B3C6F",
    "part2/initial_data": "#8A8A8A",
    "part2/random_noise": "#AA4499",
    "part2/random_shift": "#E69F00",
    "part2/random_rotation": "#56B4E9",
    "part2/random_distortion": "#117733",
    "part2/sigma_1": "#7CC58F",
    "part2/sigma_4": "#117733",
    "part2/sigma_10": "#062D17",
    "part3/nn": "#8A8A8A",
    "part3/cnn_5x5": "#0072B2",
    "part3/cnn_5x5_first_image": "#56B4E9",
    "part3/cnn_10x10": "#E69F00",
    "part3/cnn_15x15": "#882255",
}
"""Key of an arm to its colour in the whole book."""

VERDICTS = {True: "#0072B2", False: "#D55E00", None: "#8A8A8A"}
"""Whether a target is met, or there is none, to its colour."""

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
    """Sets the look of all figures; in a notebook also their format, SVG without a date."""
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
    """A colour for what is drawn over this one, or written in its name."""
    return to_hex([_DARKER * part for part in to_rgb(colour)])


def add_legend(figure: Figure, samples: Sequence[Line2D]) -> None:
    """What the marks mean, above all axes."""
    if samples:
        figure.legend(handles=samples, loc="upper right", ncols=len(samples))


def stack(
    heights: Sequence[float], left: float, right: float, legend: bool = True, gap: float = 0.55
) -> tuple[Figure, list[Axes]]:
    """A figure of axes below one another, all in inches, so that labels are placed exactly."""
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
    """Moves positions apart, as little as possible, until none is nearer than `spacing`.

    Args:
        positions: Where each would like to be, in any order.
        spacing: Least distance between two.
        low: Least position.

    Returns:
        Positions in the order given.
    """
    order = np.argsort(positions, kind="stable")
    # Less the spacing before it each position may equal the last but not be below it: positions
    # that are out of order are pooled at their mean until all are in order.
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
