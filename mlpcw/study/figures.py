"""The figures of the book, each a function of stored runs; none trains anything.

A notebook calls `style()` once, then one function a figure. An arm has the same colour in every
figure. Where a log of 2016 exists it is drawn over the line that replays it: the line is thick,
the log on top thin and dashed, so that both are seen where they agree. With several seeds a line is
their mean and a band spans them.

Captions, which say what a figure means, are the book's; `ALT_TEXTS` says what a figure shows.
"""

import dataclasses
from collections.abc import Callable, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from mlpcw import augmenters, checks, mnist
from mlpcw.study import replay
from mlpcw.study.labels import LABELS, label, three_digits
from mlpcw.study.results import Results

PENALTIES = (
    "part1/none",
    "part1/l1_1e-5",
    "part1/l2_1e-4",
    "part1/l1l2_1e-5_1e-4",
    "part1/l1_1e-3",
    "part1/l2_1e-2",
    "part1/l1l2_1e-3_1e-2",
)
SIZES = ("part2/size_1000", "part2/size_5000", "part2/size_10000")
AUGMENTATIONS = (
    "part2/initial_data",
    "part2/random_noise",
    "part2/random_shift",
    "part2/random_rotation",
    "part2/random_distortion",
)
SIGMAS = ("part2/sigma_1", "part2/sigma_4", "part2/sigma_10")
CONVOLUTIONS = ("part3/nn", "part3/cnn_5x5", "part3/cnn_5x5_first_image")
KERNEL_SIZES = ("part3/cnn_5x5", "part3/cnn_10x10", "part3/cnn_15x15")

# Okabe and Ito's and Tol's colours, which the colour-blind tell apart. Grey is the plain network of
# each part; a family shares its hue, and the stronger coefficient is the lighter one.
COLOURS = {
    "part1/none": "#6E6E6E",
    "part1/l1_1e-5": "#0072B2",
    "part1/l1_1e-3": "#56B4E9",
    "part1/l2_1e-4": "#D55E00",
    "part1/l2_1e-2": "#E69F00",
    "part1/l1l2_1e-5_1e-4": "#882255",
    "part1/l1l2_1e-3_1e-2": "#CC79A7",
    "part2/size_1000": "#7FB8E0",
    "part2/size_5000": "#2F7FB8",
    "part2/size_10000": "#0B3C6F",
    "part2/initial_data": "#6E6E6E",
    "part2/random_noise": "#CC79A7",
    "part2/random_shift": "#E69F00",
    "part2/random_rotation": "#0072B2",
    "part2/random_distortion": "#009E73",
    "part2/sigma_1": "#7AD0B0",
    "part2/sigma_4": "#009E73",
    "part2/sigma_10": "#00513B",
    "part3/nn": "#6E6E6E",
    "part3/cnn_5x5": "#0072B2",
    "part3/cnn_5x5_first_image": "#56B4E9",
    "part3/cnn_10x10": "#E69F00",
    "part3/cnn_15x15": "#882255",
}
"""Key of an arm to its colour in the whole book."""

ALT_TEXTS = {
    "1.1": "Line plots of training error and validation error against epoch, one line for each of"
    " seven conditions: no penalty, L1, L2 and both, each weak and strong.",
    **{
        f"1.{number}": f"Density of the first layer's weights with {LABELS[f'part1/{name}']}, on a"
        " logarithmic scale, whole and near zero, over the outline of no penalty."
        for number, name in enumerate(
            ("l1_1e-3", "l1_1e-5", "l2_1e-2", "l2_1e-4", "l1l2_1e-3_1e-2", "l1l2_1e-5_1e-4"), 2
        )
    },
    "1.8": "Density of the first layer's weights with no penalty, on a logarithmic scale, whole and"
    " near zero.",
    "2.1": "Line plots of training error and validation error against epoch, one line for each of"
    " three numbers of images a pass.",
    "2.2": "Grid of fifty images of digits, unchanged, a column for each class.",
    "2.3": "The same fifty images, each bent by a random elastic distortion.",
    "2.4": "The same fifty images, each darker or lighter as a whole by a random amount.",
    "2.5": "The same fifty images, each moved down and right by one to four pixels.",
    "2.6": "The same fifty images, each turned by a random angle.",
    "2.7": "Line plots of training error and validation error against epoch, one line for each"
    " augmentation and one for the initial data.",
    "2.8": "Line plots of training error and validation error against epoch, one line for each of"
    " three values of sigma.",
    "3.1": "Line plots of training accuracy and validation accuracy against epoch, with and without"
    " a convolutional layer.",
    "3.2": "Line plots of training accuracy and validation accuracy against epoch, one line for"
    " each of three sizes of kernel.",
}
"""Number of a figure to one sentence on what it shows, true of any runs."""

WIDTH = 6.4
"""Width of every figure, inches: nearly the book's column, and legible when a phone halves it."""

NEAR_ZERO = 0.01
"""Weights of at most this magnitude are called near zero."""

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
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        # No tight box: it would give every figure another width.
        set_matplotlib_formats("svg", bbox_inches=None, metadata={"Date": None})


# ---- Curves against epoch -------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Panel:
    """One set of axes: a curve of each arm."""

    column: str
    title: str
    unit: str
    log: bool


_ERRORS = (
    _Panel("error_train", "Training error", "cross-entropy, nats", True),
    _Panel("error_valid", "Validation error", "cross-entropy, nats", True),
)
_ACCURACIES = (
    _Panel("acc_train", "Training accuracy", "share of images", False),
    _Panel("acc_valid", "Validation accuracy", "share of images", False),
)


def penalty_errors(results: Results) -> Figure:
    """Figure 1.1: error against epoch of the seven conditions of Part 1."""
    return _curves(results, PENALTIES, _ERRORS)


def size_errors(results: Results) -> Figure:
    """Figure 2.1: error against epoch by the number of images a pass."""
    return _curves(results, SIZES, _ERRORS)


def augmentation_errors(results: Results) -> Figure:
    """Figure 2.7: error against epoch with each augmentation and without."""
    return _curves(results, AUGMENTATIONS, _ERRORS)


def sigma_errors(results: Results) -> Figure:
    """Figure 2.8: error against epoch by the width of the distortion's blur."""
    return _curves(results, SIGMAS, _ERRORS)


def convolution_accuracy(results: Results) -> Figure:
    """Figure 3.1: accuracy against epoch with and without a convolutional layer."""
    return _curves(results, CONVOLUTIONS, _ACCURACIES)


def kernel_size_accuracy(results: Results) -> Figure:
    """Figure 3.2: accuracy against epoch by the size of the kernel."""
    return _curves(results, KERNEL_SIZES, _ACCURACIES)


def _curves(results: Results, keys: Sequence[str], panels: Sequence[_Panel]) -> Figure:
    """A panel a column below one another, a line an arm, labelled at its end."""
    figure, all_axes = _stack([2.15] * len(panels), right=2.25)
    for axes, panel in zip(all_axes, panels, strict=True):
        axes.set_title(panel.title)
        axes.set_ylabel(panel.unit)
        for key in keys:
            _draw_arm(axes, results, key, panel.column)
        _set_range(axes, results, keys, panel)
        _label_ends(axes, results, keys, panel.column)
    all_axes[-1].set_xlabel("epoch")
    _add_legend(figure, results, keys)
    return figure


def _draw_arm(axes: Axes, results: Results, key: str, column: str) -> None:
    """The mean over the seeds, their range, and the log of 2016 where there is one."""
    epochs, curves = results.epochs(key), results.curves(key, column)
    colour = COLOURS[key]
    axes.plot(epochs, curves.mean(axis=0), color=colour, linewidth=3.2, gid=key)
    if len(curves) > 1:
        low, high = curves.min(axis=0), curves.max(axis=0)
        axes.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
    log = replay.published_log(key) if results.beside_2016 else None
    if log:
        shown = [row for row, epoch in enumerate(log["epoch"]) if epoch <= epochs[-1]]
        axes.plot(
            [log["epoch"][row] for row in shown],
            [log[column][row] for row in shown],
            color=_darker(colour),
            linewidth=1.2,
            linestyle=(0, (4, 2)),
            gid=f"{key} 2016",
        )


def _darker(colour: str) -> str:
    return to_hex([0.35 * part for part in to_rgb(colour)])


def _set_range(axes: Axes, results: Results, keys: Sequence[str], panel: _Panel) -> None:
    """Limits that show what happens after the first tenth of the epochs, before which all fall."""
    shown = []
    for key in keys:
        epochs, curves = results.epochs(key), results.curves(key, panel.column)
        shown.append(curves[:, epochs >= epochs[-1] / 10].mean(axis=0))
    low, high = min(each.min() for each in shown), max(each.max() for each in shown)
    if panel.log:
        axes.set_yscale("log")
        margin = (high / low) ** 0.06
        axes.set_ylim(low / margin, high * margin)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        margin = 0.06 * (high - low)
        axes.set_ylim(low - margin, high + margin)
    axes.set_xlim(0, max(results.epochs(key)[-1] for key in keys))


def _label_ends(axes: Axes, results: Results, keys: Sequence[str], column: str) -> None:
    """Each line's name and last value at its right end, moved apart where they would overlap."""
    finals = [results.final(key, column) for key in keys]
    to_axes = axes.transData + axes.transAxes.inverted()
    right = axes.get_xlim()[1]
    wanted = [to_axes.transform((right, final))[1] for final in finals]
    height = axes.get_position().height * axes.figure.get_figheight() * 72  # points
    heights = spread(wanted, spacing=12.5 / height)
    for key, final, start, end in zip(keys, finals, wanted, heights, strict=True):
        axes.annotate(
            f"{label(results, key)}  {three_digits(final)}",
            xy=(1, start),
            xytext=(1.06, end),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            color=_darker(COLOURS[key]),
            fontsize=9.5,
            arrowprops={"arrowstyle": "-", "color": COLOURS[key], "linewidth": 1},
        )


def spread(positions: Sequence[float], spacing: float) -> list[float]:
    """Moves positions apart, as little as possible, until none is nearer than `spacing`.

    Args:
        positions: Where each would like to be, in any order.
        spacing: Least distance between two.

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
    placed = [total / number for total, number in pools for _ in range(number)]
    moved = [0.0] * len(order)
    for rank, index in enumerate(order):
        moved[index] = float(placed[rank] + rank * spacing)
    return moved


def _add_legend(figure: Figure, results: Results, keys: Sequence[str]) -> None:
    """What a thick line and a dashed one are, where both are drawn."""
    if results.beside_2016 and any(replay.published_log(key) for key in keys):
        ours = Line2D([], [], color="#AAAAAA", linewidth=3.2)
        theirs = Line2D([], [], color="#333333", linewidth=1.2, linestyle=(0, (4, 2)))
        figure.legend(
            [ours, theirs], ["this book", "2016 log (dashed)"], loc="upper right", ncols=2
        )


def _stack(heights: Sequence[float], right: float, left: float = 0.75) -> tuple[Figure, list[Axes]]:
    """A figure of axes below one another; all in inches, so that labels are placed exactly."""
    gap, top, bottom = 0.5, 0.45, 0.55
    total = sum(heights) + gap * (len(heights) - 1) + top + bottom
    figure = Figure(figsize=(WIDTH, total))
    all_axes, edge = [], total - top
    for height in heights:
        edge -= height
        box = (left / WIDTH, edge / total, (WIDTH - left - right) / WIDTH, height / total)
        all_axes.append(figure.add_axes(box))
        edge -= gap
    return figure, all_axes


# ---- Densities of weights -------------------------------------------------------------------


def weight_density(results: Results, key: str) -> Figure:
    """Figures 1.2 to 1.8: density of the first layer's weights, whole and near zero.

    The scales and the bins are the same for all conditions of Part 1; the outline of the run
    without a penalty stands behind, to compare with.

    Args:
        results: The runs of Part 1, all of them.
        key: The condition, such as "part1/l1_1e-3".
    """
    figure = Figure(figsize=(WIDTH, 2.9))
    whole = figure.add_axes((0.115, 0.19, 0.5, 0.66))
    zoomed = figure.add_axes((0.665, 0.19, 0.315, 0.66), sharey=whole)
    for axes in (whole, zoomed):
        edges, density = _weight_density(results, "part1/none")
        axes.stairs(density, edges, color="#555555", linewidth=1)
        if key != "part1/none":
            edges, density = _weight_density(results, key)
        axes.stairs(density, edges, color=COLOURS[key], fill=True, alpha=0.75, gid=key)
        axes.set_yscale("log")
        axes.set_xlabel("weight")
    reach, low, high = _weight_scales(results)
    whole.set_xlim(-reach, reach)
    whole.set_ylim(low, high)
    zoomed.set_xlim(-0.05, 0.05)
    zoomed.tick_params(labelleft=False)
    whole.set_ylabel("density")
    whole.set_title(label(results, key))
    zoomed.set_title("near zero", fontweight="normal")
    facts = f"{100 * share_near_zero(results, key):.1f} % within ±{NEAR_ZERO}\n"
    facts += f"99 % within ±{three_digits(magnitude_quantile(results, key, 0.99))}"
    whole.text(0.02, 0.97, facts, transform=whole.transAxes, va="top", fontsize=9.5)
    return figure


def share_near_zero(results: Results, key: str) -> float:
    """Share of first-layer weights of magnitude at most `NEAR_ZERO`."""
    edges, counts = results.weight_counts(key)
    centres = (edges[:-1] + edges[1:]) / 2
    return float(counts[np.abs(centres) < NEAR_ZERO].sum() / counts.sum())


def magnitude_quantile(results: Results, key: str, share: float) -> float:
    """Magnitude that a share of the first-layer weights does not exceed, to a bin's width."""
    edges, counts = results.weight_counts(key)
    magnitudes = np.maximum(np.abs(edges[:-1]), np.abs(edges[1:]))
    order = magnitudes.argsort()
    passed = np.cumsum(counts[order]) / counts.sum()
    return float(magnitudes[order][np.searchsorted(passed, share)])


def _weight_density(results: Results, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Edges of the bins, `(num_bins + 1,)`, and the density in each, `(num_bins,)`."""
    edges, counts = results.weight_counts(key)
    return edges, counts / (counts.sum() * np.diff(edges))


def _weight_scales(results: Results) -> tuple[float, float, float]:
    """Half the range of weights, and the lowest and highest density, of all of Part 1."""
    densities = [_weight_density(results, key) for key in PENALTIES]
    reach = max(np.abs(edges).max() for edges, _ in densities)
    low = min(density[density > 0].min() for _, density in densities)
    high = max(density.max() for _, density in densities)
    return reach, low / 2, high * 3


# ---- Grids of images ------------------------------------------------------------------------

GRID_SEED = 2016
"""Seed of what the grids' transforms draw."""

_ROWS, _NUM_CLASSES, _GAP = 5, 10, 2


def _original(inputs: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    return inputs


def _distortion(inputs: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    return augmenters.random_distortion(inputs, rng, fraction=1)


def _noise(inputs: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    return replay.noise_2016(inputs, rng, unseeded=rng, fraction=1)


def _shift(inputs: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    # A batch shares one shift; each image is shown as one of a batch of its own.
    batches = [inputs[image : image + 1] for image in range(len(inputs))]
    return np.concatenate([replay.shift_2016(each, rng, rng, fraction=1) for each in batches])


def _rotation(inputs: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    return augmenters.random_rotation(inputs, rng, fraction=1)


_TRANSFORMS: dict[str, Callable[[np.ndarray, np.random.RandomState], np.ndarray]] = {
    "original": _original,
    "distortion": _distortion,
    "noise": _noise,
    "shift": _shift,
    "rotation": _rotation,
}


def augmentation_grid(images: mnist.ImageSet, kind: str) -> Figure:
    """Figures 2.2 to 2.6: the same images in every grid, every one of them transformed as in 2016.

    Args:
        images: MNIST or the digits; shown are the first validation images of each class.
        kind: "original", "distortion", "noise", "shift" or "rotation".

    Raises:
        ValueError: If there is no such kind.
    """
    transform = _TRANSFORMS[checks.one_of("kind", kind, _TRANSFORMS)]
    return image_grid(transform(example_inputs(images), np.random.RandomState(GRID_SEED)))


def example_inputs(images: mnist.ImageSet) -> np.ndarray:
    """The first five validation images of each class, a row of one each, `(50, 784)`."""
    inputs, labels = images.split("valid")
    of_class = [np.flatnonzero(labels == digit)[:_ROWS] for digit in range(_NUM_CLASSES)]
    return inputs[np.stack(of_class, axis=1).ravel()]  # (classes, rows) -> (rows * classes,)


def image_grid(inputs: np.ndarray) -> Figure:
    """Images in rows of ten, on the one scale of greys that all grids share.

    Args:
        inputs: Images, `(num_images, 784)`, a whole number of rows.
    """
    tiles = inputs.reshape(-1, _NUM_CLASSES, 28, 28)  # (rows, columns, height, width)
    tiles = np.pad(tiles, ((0, 0), (0, 0), (0, _GAP), (0, _GAP)), constant_values=np.nan)
    rows, columns, height, width = tiles.shape
    # (rows, height, columns, width) -> (rows * height, columns * width), less the last gap
    picture = tiles.swapaxes(1, 2).reshape(rows * height, columns * width)[:-_GAP, :-_GAP]
    figure = Figure(figsize=(WIDTH, 3.0))
    axes = figure.add_axes((0.01, 0.02, 0.87, 0.96))
    shades = axes.imshow(picture, cmap="gray_r", vmin=-0.5, vmax=1.5, interpolation="none")
    axes.set_axis_off()
    bar = figure.colorbar(shades, cax=figure.add_axes((0.9, 0.08, 0.02, 0.84)))
    bar.set_ticks([-0.5, 0, 0.5, 1, 1.5])
    bar.set_label("pixel value")
    return figure


# ---- The answer of a part at one glance -----------------------------------------------------


def part1_picture(results: Results) -> Figure:
    """Final training and validation error of each penalty."""
    return _dot_plots(results, [_PART1])


def part2_picture(results: Results) -> Figure:
    """Final training error, on clean images, and validation error of each augmentation."""
    return _dot_plots(results, [_PART2])


def part3_picture(results: Results) -> Figure:
    """Final training and validation accuracy without convolution and with kernels of each size."""
    return _dot_plots(results, [_PART3])


def readme_picture(results: Results) -> Figure:
    """The three answers below one another."""
    return _dot_plots(results, [_PART1, _PART2, _PART3])


@dataclasses.dataclass(frozen=True)
class _DotPlot:
    """One set of axes: a row an arm, from its training figure to its validation figure."""

    title: str
    unit: str
    metric: str
    keys: tuple[str, ...]


_PART1 = _DotPlot("Penalties", "error (cross-entropy, nats)", "error", PENALTIES)
_PART2 = _DotPlot("Augmentation", "error (cross-entropy, nats)", "error", AUGMENTATIONS)
_PART3 = _DotPlot("Convolution", "accuracy (share of images)", "acc", ("part3/nn", *KERNEL_SIZES))


def _dot_plots(results: Results, plots: Sequence[_DotPlot]) -> Figure:
    figure, all_axes = _stack([0.27 * len(plot.keys) for plot in plots], right=0.7, left=1.9)
    for axes, plot in zip(all_axes, plots, strict=True):
        _draw_dots(axes, results, plot)
    return figure


def _draw_dots(axes: Axes, results: Results, plot: _DotPlot) -> None:
    """The best validation figure at the top, its value at the right."""
    column = f"{plot.metric}_valid"
    best_last = sorted(plot.keys, key=lambda key: results.final(key, column))
    if plot.metric == "error":
        best_last.reverse()
    for row, key in enumerate(best_last):
        clean = results.arm(key).augmentation is not None
        training = results.final(key, f"{plot.metric}_train" + ("_clean" if clean else ""))
        valid = results.curves(key, column)[:, -1]
        colour = COLOURS[key]
        axes.plot([training, valid.mean()], [row, row], color=colour, linewidth=2)
        axes.plot(training, row, "o", color=colour, markerfacecolor="white", markersize=7)
        axes.plot(valid.mean(), row, "o", color=colour, markersize=9, gid=key)
        if len(valid) > 1:
            axes.plot([valid.min(), valid.max()], [row, row], color=colour, linewidth=6, alpha=0.3)
        axes.text(
            *(1.02, row, three_digits(valid.mean())),
            transform=axes.get_yaxis_transform(),
            va="center",
        )
    axes.set_yticks(range(len(best_last)), [label(results, key) for key in best_last])
    axes.set_ylim(-0.6, len(best_last) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_xlabel(plot.unit)
    axes.set_title(plot.title)
    if plot.metric == "error":
        axes.set_xlim(left=0)
