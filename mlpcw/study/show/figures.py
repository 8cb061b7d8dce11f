"""The figures of the book, each a function of stored runs; none trains anything.

A notebook calls `style()` once, then one function a figure. An arm has the same colour in every
figure. Where a log of 2016 exists it is drawn over the line that replays it: the line is thick,
the log on top thin and dashed, so that both are seen where they agree. With several seeds a line is
their mean and a band spans them.

Captions, which say what a figure means, are the book's; `ALT_TEXTS` says what a figure shows.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from mlpcw import augmenters, checks, mnist
from mlpcw.study.original import published as replay
from mlpcw.study.records.results import Results
from mlpcw.study.show.style import COLOURS, WIDTH, add_legend, darker, spread, stack
from mlpcw.study.show.style import style as style
from mlpcw.study.show.words import LABELS, label, three_digits

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

_OURS = {"linewidth": 4}
_LOG = {"linewidth": 1.4, "linestyle": (0, (3.5, 2)), "zorder": 3}
_CLEAN = {"linestyle": "", "marker": "o", "markerfacecolor": "white", "clip_on": False, "zorder": 4}
_TRAINING_DOT = {**_CLEAN, "markersize": 7, "markeredgewidth": 1.5}
_VALIDATION_DOT = {"linestyle": "", "marker": "o", "markersize": 9, "clip_on": False, "zorder": 4}


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
    samples = _curves_legend(results, keys)
    figure, all_axes = stack([2.1] * len(panels), 0.85, 2.2, legend=bool(samples))
    for axes, panel in zip(all_axes, panels, strict=True):
        axes.set_title(panel.title + _which_images(results, keys, panel))
        axes.set_ylabel(panel.unit)
        for key in keys:
            _draw_arm(axes, results, key, panel.column)
        _set_range(axes, results, keys, panel)
        _label_ends(axes, results, keys, panel.column)
    all_axes[-1].set_xlabel("epoch")
    add_legend(figure, samples)
    return figure


def _which_images(results: Results, keys: Sequence[str], panel: _Panel) -> str:
    augmented = any(_shows_clean(results, key, panel.column) for key in keys)
    return ", on augmented batches" if augmented else ""


def _draw_arm(axes: Axes, results: Results, key: str, column: str) -> None:
    """The mean over the seeds, their range, and the log of 2016 where there is one."""
    epochs, curves = results.epochs(key), results.curves(key, column)
    axes.plot(epochs, curves.mean(axis=0), color=COLOURS[key], gid=key, **_OURS)
    if len(curves) > 1:
        low, high = curves.min(axis=0), curves.max(axis=0)
        axes.fill_between(epochs, low, high, color=COLOURS[key], alpha=0.15, linewidth=0)
    if _shows_clean(results, key, column):
        clean = results.final(key, "error_train_clean")
        axes.plot(epochs[-1], clean, color=COLOURS[key], gid=f"{key} clean", **_CLEAN)
    log = replay.published_log(key) if results.beside_2016 else None
    if log:
        shown = np.array(log["epoch"]) <= epochs[-1]
        axes.plot(
            np.array(log["epoch"])[shown],
            np.array(log[column])[shown],
            color=darker(COLOURS[key]),
            gid=f"{key} 2016",
            **_LOG,
        )


def _shows_clean(results: Results, key: str, column: str) -> bool:
    """Whether a curve is measured on augmented images, so that its end on clean ones is shown."""
    return column == "error_train" and results.arm(key).augmentation is not None


def _set_range(axes: Axes, results: Results, keys: Sequence[str], panel: _Panel) -> None:
    """Limits that show what happens after the first tenth of the epochs, before which all fall."""
    shown = []
    for key in keys:
        epochs, curves = results.epochs(key), results.curves(key, panel.column)
        shown.append(curves.mean(axis=0)[epochs >= epochs[-1] / 10])
        if _shows_clean(results, key, panel.column):
            shown.append(results.curves(key, "error_train_clean").mean(axis=0)[-1:])
    low, high = min(each.min() for each in shown), max(each.max() for each in shown)
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
    axes.set_xlim(0, max(1, *(results.epochs(key)[-1] for key in keys)))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=(1, 2, 4, 5, 10)))


def _log_ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`, the sparser the more decades there are between."""
    decades = np.log10(high / low)
    steps = (1,) if decades > 3 else (1, 3) if decades > 1 else (1, 1.5, 2, 3, 4, 6, 8)
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))))
    ticks = [float(f"{step}e{power}") for power in powers for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


def _label_ends(axes: Axes, results: Results, keys: Sequence[str], column: str) -> None:
    """Each line's name and last value at its right end, moved apart where they would overlap."""
    finals = [results.final(key, column) for key in keys]
    to_axes = axes.transData + axes.transAxes.inverted()
    wanted = [to_axes.transform((0, final))[1] for final in finals]
    height = axes.get_position().height * axes.figure.get_figheight() * 72  # points
    heights = spread(wanted, spacing=13 / height, low=5 / height)
    for key, final, start, end in zip(keys, finals, wanted, heights, strict=True):
        axes.annotate(
            f"{label(results, key)}  {three_digits(final)}",
            xy=(1.01, start),
            xytext=(1.06, end),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            color=darker(COLOURS[key]),
            arrowprops={
                "arrowstyle": "-",
                "color": COLOURS[key],
                "relpos": (0, 0.5),
                "shrinkA": 2,
                "shrinkB": 0,
            },
        )


def _curves_legend(results: Results, keys: Sequence[str]) -> list[Line2D]:
    """Samples of what else than plain lines is drawn."""
    samples = []
    if results.beside_2016 and any(replay.published_log(key) for key in keys):
        samples.append(Line2D([], [], color="#999999", label="this book", **_OURS))
        samples.append(Line2D([], [], color="#333333", label="2016 log (dashed)", **_LOG))
    if any(results.arm(key).augmentation for key in keys):
        samples.append(Line2D([], [], color="#666666", label="on clean images", **_CLEAN))
    return samples


# ---- Densities of weights -------------------------------------------------------------------

NEAR_ZERO = 0.01
"""Weights of at most this magnitude are called near zero."""

_UNPENALISED = "part1/none"
_COARSE = 4
"""Bins of the records that one bin of the whole range is made of."""


def weight_density(results: Results, key: str) -> Figure:
    """Figures 1.2 to 1.8: density of the first layer's weights, whole and near zero.

    The scales and the bins are the same for all conditions of Part 1; the outline of the run
    without a penalty stands over each, to compare with.

    Args:
        results: The runs of Part 1, all of them.
        key: The condition, such as "part1/l1_1e-3".
    """
    figure = Figure(figsize=(WIDTH, 3.0))
    whole = figure.add_axes((0.115, 0.17, 0.5, 0.63))
    zoomed = figure.add_axes((0.665, 0.17, 0.315, 0.63), sharey=whole)
    reach, low, high = _weight_scales(results)
    for axes, bins, limit in ((whole, _COARSE, reach), (zoomed, 1, 5 * NEAR_ZERO)):
        axes.stairs(*_weight_density(results, key, bins), color=COLOURS[key], fill=True, gid=key)
        outline = _weight_density(results, _UNPENALISED, bins)
        axes.stairs(*outline, color="#222222", linewidth=1.2, gid=_UNPENALISED)
        axes.set_xlim(-limit, limit)
        axes.set_xlabel("weight")
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=(1, 2, 4, 5, 10)))
    whole.set_yscale("log")
    whole.set_ylim(low, high)
    whole.set_ylabel("density")
    whole.set_title(label(results, key))
    zoomed.tick_params(labelleft=False)
    zoomed.set_title("near zero", fontweight="normal")
    facts = f"{100 * share_near_zero(results, key):.1f} % within ±{NEAR_ZERO}\n"
    facts += f"99 % within ±{three_digits(magnitude_quantile(results, key, 0.99))}"
    whole.text(0.02, 0.97, facts, transform=whole.transAxes, va="top")
    outline = Line2D([], [], color="#222222", linewidth=1.2, label="outline: no penalty")
    add_legend(figure, [outline])
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


def _weight_density(results: Results, key: str, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """The density in groups of `bins` bins, and the groups' edges, all multiples of their width."""
    edges, counts = results.weight_counts(key)
    width = bins * (edges[1] - edges[0])
    groups = np.floor((edges[:-1] + edges[1:]) / 2 / width).astype(int)
    sums = np.bincount(groups - groups[0], counts)
    group_edges = np.arange(groups[0], groups[-1] + 2) * width
    return sums / (counts.sum() * width), group_edges


def _weight_scales(results: Results) -> tuple[float, float, float]:
    """Half the range of weights that is shown, and the lowest and highest density, for all alike.

    A few weights of a few conditions lie beyond: one in ten thousand at most.
    """
    reach = max(magnitude_quantile(results, key, 0.9999) for key in PENALTIES)
    highest = max(_weight_density(results, key, 1)[0].max() for key in PENALTIES)
    lowest = min(
        density[density > 0].min()
        for density in (_weight_density(results, key, _COARSE)[0] for key in PENALTIES)
    )
    return reach, lowest / 2, 8 * highest


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
    axes = figure.add_axes((0.005, 0.02, 0.86, 0.96))
    shades = axes.imshow(picture, cmap="gray_r", vmin=-0.5, vmax=1.5, interpolation="none")
    axes.set_axis_off()
    bar = figure.colorbar(shades, cax=figure.add_axes((0.88, 0.08, 0.02, 0.84)))
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
    metric: str
    keys: tuple[str, ...]


_PART1 = _DotPlot("Penalties", "error", PENALTIES)
_PART2 = _DotPlot("Augmentation", "error", AUGMENTATIONS)
_PART3 = _DotPlot("Convolution", "acc", ("part3/nn", *KERNEL_SIZES))
_UNITS = {"error": "error (cross-entropy, nats)", "acc": "accuracy (share of images)"}


def _dot_plots(results: Results, plots: Sequence[_DotPlot]) -> Figure:
    figure, all_axes = stack([0.26 * len(plot.keys) for plot in plots], 1.8, 0.75, gap=0.8)
    for axes, plot in zip(all_axes, plots, strict=True):
        _draw_dots(axes, results, plot)
    augmented = any(results.arm(key).augmentation for plot in plots for key in plot.keys)
    training = "training (clean images)" if augmented else "training"
    samples = [
        Line2D([], [], color="#666666", label=training, **_TRAINING_DOT),
        Line2D([], [], color="#666666", label="validation, with its value", **_VALIDATION_DOT),
    ]
    add_legend(figure, samples)
    return figure


def _draw_dots(axes: Axes, results: Results, plot: _DotPlot) -> None:
    """The best validation figure at the top, its value at the right."""
    column = f"{plot.metric}_valid"
    best_last = sorted(plot.keys, key=lambda key: results.final(key, column))
    if plot.metric == "error":
        best_last.reverse()
    for row, key in enumerate(best_last):
        clean = "_clean" if results.arm(key).augmentation else ""
        training = results.final(key, f"{plot.metric}_train{clean}")
        valid = results.curves(key, column)[:, -1]
        colour = COLOURS[key]
        axes.plot([training, valid.mean()], [row, row], color=colour, linewidth=2)
        axes.plot([valid.min(), valid.max()], [row, row], color=colour, linewidth=7, alpha=0.3)
        axes.plot(training, row, color=colour, **_TRAINING_DOT)
        axes.plot(valid.mean(), row, color=colour, gid=key, **_VALIDATION_DOT)
        axes.text(
            *(1.03, row, three_digits(valid.mean())),
            transform=axes.get_yaxis_transform(),
            va="center",
        )
    axes.set_yticks(range(len(best_last)), [label(results, key) for key in best_last])
    axes.set_ylim(-0.6, len(best_last) - 0.4)
    axes.tick_params(axis="y", length=0, pad=9)
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 2.5, 5, 10)))
    epochs = results.epochs(plot.keys[0])[-1]
    axes.set_xlabel(f"{_UNITS[plot.metric]} after {epochs} epochs")
    axes.set_title(plot.title)
    if plot.metric == "error":
        axes.set_xlim(left=0)
