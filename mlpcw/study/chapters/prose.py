"""Numbers and words of the text, computed from stored runs.

The chapters are written so that they hold whatever the runs say: every number in them is glued from
here, and so is every word that depends on one, such as which of two errors is lower. Each function
returns texts by the name under which a chapter refers to them.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from mlpcw import augmenters, mnist
from mlpcw.study.original import published as replay
from mlpcw.study.records.results import Results
from mlpcw.study.show import tables
from mlpcw.study.show.figures import (
    AUGMENTATIONS,
    KERNEL_SIZES,
    NEAR_ZERO,
    SIGMAS,
    SIZES,
    magnitude_quantile,
    share_near_zero,
)
from mlpcw.study.show.words import label, thousands, three_digits

LEARNT = 0.999
"""Training accuracy at which a network is said to have learnt its training set."""

WEAK = ("part1/none", "part1/l1_1e-5", "part1/l2_1e-4", "part1/l1l2_1e-5_1e-4")
STRONG = ("part1/l1_1e-3", "part1/l2_1e-2", "part1/l1l2_1e-3_1e-2")
AUGMENTED = AUGMENTATIONS[1:]  # all but the initial data


class _Text:
    """A text that can be glued both into a line and, as Markdown, as blocks of its own."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        # In a line, glue reads the plain text as Python does: unquoted, 0.20 would become 0.2.
        return {"text/plain": repr(self.text), "text/markdown": self.text}


def glue_all(texts: Mapping[str, str]) -> None:
    """Glues texts into the notebook that calls it, under their names."""
    from myst_nb import glue

    for name, text in texts.items():
        glue(name, _Text(text), display=False)


# ---- What every chapter uses ----------------------------------------------------------------


def common(results: Results) -> dict[str, str]:
    """Texts about the runs as a whole."""
    arm = results.arm(next(iter(results.runs)))
    num_seeds = len(next(iter(results.runs.values())))
    texts = {"num_epochs": str(arm.num_epochs), "near_zero": str(NEAR_ZERO)}
    texts |= {"learnt": percent(LEARNT), "table_note": tables.note(results)}
    if results.beside_2016:
        texts |= {"data": "MNIST", "runs_each": "one run a condition"}
        texts["basis"] = (
            "Each condition is one run, the one of 2016 with its one seed, so every comparison here"
            " rests on one run: a small difference may be chance."
        )
        texts["dashed"] = "Dashed: the log that was published in 2016, where there is one."
        texts["no_log"] = "No log of these runs was published in 2016."
    else:
        texts |= {"data": "scikit-learn's digits", "runs_each": f"{num_seeds} runs a condition"}
        texts["basis"] = (
            f"Each number is the mean of {num_seeds} runs of {arm.num_epochs} epochs on 1000 small"
            " images, quick to train and too few to settle anything."
        )
        texts["dashed"] = f"Lines are means of {num_seeds} runs, bands their range."
        texts["no_log"] = texts["dashed"]
    return texts


def shown(images: mnist.ImageSet) -> str:
    """Which images a grid shows, as a caption says it."""
    return "Images of MNIST" if images.name == "mnist" else "Images of scikit-learn's digits"


def percent(share: float, digits: int = 1) -> str:
    """A share as a percentage, "98.1 %"."""
    return f"{100 * share:.{digits}f}\u00a0%"


def gap(results: Results, key: str) -> float:
    """Validation error less training error at the end, the latter on clean images."""
    clean = results.arm(key).augmentation is not None
    training = results.final(key, "error_train_clean" if clean else "error_train")
    return results.final(key, "error_valid") - training


def ranking(results: Results, values: Mapping[str, float]) -> str:
    """Arms from the lowest to the highest value, "A (0.1), B (0.2) and C (0.3)"."""
    ordered = sorted(values, key=values.get)
    items = [f"{label(results, key)} ({three_digits(values[key])})" for key in ordered]
    return listed(items)


def duration(seconds: float) -> str:
    """A time as people say it: "40 seconds", "12 minutes", "1.5 hours"."""
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.0f} seconds"


def listed(items: list[str]) -> str:
    """Items as a list in a sentence, "A, B and C"."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + f" and {items[-1]}"


def commit_text(commit: str) -> str:
    """A commit in short, "`0123abcd`", and whether the code differed from it: a "+" at its end."""
    changed = ", with changes" if commit.endswith("+") else ""
    return f"`{commit[:8]}`{changed}" if commit else "unknown"


def markdown_table(lines: Iterable[Iterable[str]]) -> str:
    """Rows of cells as Markdown; the first is the heading, the second its rule."""
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def against(value: float, other: float) -> str:
    """How a value stands to another, to three digits: "below", "above" or "level with"."""
    value, other = replay.printed(value), replay.printed(other)
    return "level with" if value == other else "below" if value < other else "above"


def _finals(results: Results, keys: Iterable[str], column: str) -> dict[str, float]:
    return {key: results.final(key, column) for key in keys}


def _lowest(results: Results, values: Mapping[str, float]) -> str:
    """The arm with the lowest value; all of them, where several are level to three digits."""
    lowest = replay.printed(min(values.values()))
    level = [label(results, key) for key in values if replay.printed(values[key]) == lowest]
    return level[0] if len(level) == 1 else f"{listed(level)}, which are level,"


# ---- Part 1 ---------------------------------------------------------------------------------


def part1(results: Results) -> dict[str, str]:
    """Texts of the chapter on regularisation."""
    none, l1, l2, both = WEAK
    valid = _finals(results, WEAK, "error_valid")
    gaps = {key: gap(results, key) for key in WEAK}
    over_epochs = results.curves(none, "error_valid").mean(axis=0)
    texts = {
        "part1_answer": (
            "Of no penalty, L1, L2 and both combined, at the weaker strengths, the lowest"
            f" validation error at the end is that of {_lowest(results, valid)} at"
            f" {three_digits(min(valid.values()))}; both combined end at"
            f" {three_digits(valid[both])},"
            f" {against(valid[both], valid[l1])} L1 alone ({three_digits(valid[l1])}) and"
            f" {against(valid[both], valid[l2])} L2 alone ({three_digits(valid[l2])})."
        ),
        "part1_ranking": ranking(results, valid),
        "part1_gaps": ranking(results, gaps),
        "part1_smallest_gap": _lowest(results, gaps),
        "part1_strong": ranking(results, _finals(results, STRONG, "error_valid")),
        "part1_strong_train": ranking(results, _finals(results, STRONG, "error_train")),
        "part1_test": ranking(results, {key: results.test(key, "error") for key in WEAK}),
        "part1_best": _lowest(results, valid),
        "part1_penalised_below": _count(
            sum(against(valid[key], valid[none]) == "below" for key in (l1, l2, both))
        ),
        "part1_both_l1": against(valid[both], valid[l1]),
        "part1_both_l2": against(valid[both], valid[l2]),
        "none_lowest": three_digits(over_epochs.min()),
        "none_lowest_epoch": str(results.epochs(none)[over_epochs.argmin()]),
        "none_error_train": three_digits(results.final(none, "error_train")),
        "part1_rise": three_digits(over_epochs[-1] - over_epochs.min()),
        "part1_logs": _beside(results, (*WEAK, *STRONG)),
    }
    for key in (*WEAK, *STRONG):
        name = key.split("/")[1]
        texts[f"{name}_near_zero"] = percent(share_near_zero(results, key))
        texts[f"{name}_p99"] = three_digits(magnitude_quantile(results, key, 0.99))
    return texts


# ---- Part 2 ---------------------------------------------------------------------------------


def part2(results: Results) -> dict[str, str]:
    """Texts of the chapter on augmentation."""
    none = "part2/initial_data"
    valid = _finals(results, (none, *AUGMENTED), "error_valid")
    best = min(AUGMENTED, key=valid.get)
    below = [key for key in AUGMENTED if against(valid[key], valid[none]) == "below"]
    sizes = _finals(results, SIZES, "error_valid")
    sigmas = _finals(results, SIGMAS, "error_valid")
    texts = {
        "part2_answer": (
            f"Of four augmentations {_count(len(below))} end with a lower validation error than"
            f" the unchanged images ({three_digits(valid[none])});"
            f" **{label(results, best)}** ends lowest, at {three_digits(valid[best])}."
        ),
        "part2_ranking": ranking(results, valid),
        "part2_gaps": ranking(results, {key: gap(results, key) for key in (none, *AUGMENTED)}),
        "part2_test": ranking(
            results, {key: results.test(key, "error") for key in (none, *AUGMENTED)}
        ),
        "part2_sizes": ranking(results, sizes),
        "part2_sizes_train": ranking(results, _finals(results, SIZES, "error_train")),
        "part2_sigmas": ranking(results, sigmas),
        "part2_best_sigma": _lowest(results, sigmas),
        "part2_summary": (
            "Of five ways to show the same images, the lowest validation error at the end is that"
            f" of {_lowest(results, valid)}."
        ),
        "part2_logs": _beside(results, (none, *AUGMENTED, *SIZES, *SIGMAS)),
    }
    for key in SIZES:
        arm = results.arm(key)
        name = arm.name
        texts[f"{name}_per_pass"] = thousands(arm.batch_size * arm.max_num_batches)
        texts[f"{name}_updates"] = thousands(arm.max_num_batches * arm.num_epochs)
    for key in SIGMAS:
        augmentation = results.arm(key).augmentation
        texts[f"{key.split('/')[1]}_displacement"] = (
            f"{rms_displacement(augmentation.alpha, augmentation.sigma):.2g}"
        )
    for key in AUGMENTED:
        name = key.split("/")[1]
        texts[f"{name}_error_train_clean"] = three_digits(results.final(key, "error_train_clean"))
    return texts


def rms_displacement(alpha: float, sigma: float, num_fields: int = 400) -> float:
    """Root-mean-square length of one component of a distortion's displacements, pixels.

    Args:
        alpha: Scale of the displacements.
        sigma: Standard deviation of the blur, pixels.
        num_fields: Fields drawn, with a fixed seed.
    """
    noise = np.random.RandomState(0).uniform(-1, 1, size=(num_fields, 28, 28))
    return float(np.sqrt((augmenters.displacement_fields(noise, alpha, sigma) ** 2).mean()))


# ---- Part 3 ---------------------------------------------------------------------------------


def part3(results: Results) -> dict[str, str]:
    """Texts of the chapter on convolution."""
    plain, convolved = "part3/nn", "part3/cnn_5x5"
    acc = _finals(results, (plain, *KERNEL_SIZES), "acc_valid")
    errors = _finals(results, (plain, *KERNEL_SIZES), "error_valid")
    of_kernels = [acc[key] for key in KERNEL_SIZES]
    texts = {
        "part3_answer": (
            f"With a 5 × 5 convolution the network ends at {percent(acc[convolved])} of the"
            f" validation images right, {against(acc[convolved], acc[plain])} the"
            f" {percent(acc[plain])} of the network without; it has learnt the training set"
            f" {learnt(results, convolved)}, the network without {learnt(results, plain)}."
        ),
        "nn_acc_valid": percent(acc[plain]),
        "cnn_5x5_acc_valid": percent(acc[convolved]),
        "part3_against": against(acc[convolved], acc[plain]),
        "part3_error_against": against(errors[convolved], errors[plain]),
        "part3_summary": (
            "With the convolution the validation accuracy ends"
            f" {against(acc[convolved], acc[plain])}, and the validation error"
            f" {against(errors[convolved], errors[plain])}, what they are without."
        ),
        "part3_points": f"{abs(100 * (acc[convolved] - acc[plain])):.2f}",
        "part3_errors": ranking(results, errors),
        "part3_kernels": listed(
            [f"{label(results, key)} ({percent(acc[key], 2)})" for key in KERNEL_SIZES]
        ),
        "part3_spread": f"{100 * (max(of_kernels) - min(of_kernels)):.2f}",
        "part3_starts": _starts(results),
        "part3_wrong": _fewer_mistakes(acc[plain], acc[convolved]),
        "part3_logs": _beside(results, (plain, *KERNEL_SIZES, "part3/cnn_5x5_first_image")),
    }
    for key in (plain, convolved, "part3/cnn_5x5_first_image"):
        texts[f"{key.split('/')[1]}_learnt"] = learnt(results, key)
    return texts


def learnt(results: Results, key: str) -> str:
    """When the training accuracy is first seen at `LEARNT`: "by epoch 25"."""
    accuracy = results.curves(key, "acc_train").mean(axis=0)
    reached = np.flatnonzero(accuracy >= LEARNT)
    epochs = results.epochs(key)
    return f"by epoch {epochs[reached[0]]}" if len(reached) else f"not within {epochs[-1]} epochs"


def _fewer_mistakes(plain: float, convolved: float) -> str:
    change = (plain - convolved) / (1 - plain)
    return f"{abs(100 * change):.0f} % {'fewer' if change < 0 else 'more'}"


def _starts(results: Results) -> str:
    """What the trial start states say about the networks of the original report's tables."""
    if not any(key.startswith("starts/") for key in results.runs):
        return (
            "Each run has a start of its own, by its seed; other start states are not tried here."
        )
    return (
        "Which start the tables of Part 3 came from is not known: there is no log. So other start"
        " states of the random generators were tried, those that are plausible."
        f" {_tried(results, 'cnn_5x5', 'table_3_1')} {_tried(results, 'cnn_10x10', 'table_3_2')} A"
        " difference between two networks that is smaller than this spread says nothing about the"
        " networks."
    )


def _tried(results: Results, name: str, table: str) -> str:
    """How far the start states tried for one network spread, and which is nearest to the report."""
    shown = f"part3/{name}"
    trials = [shown, *(key for key in results.runs if key.startswith(f"starts/{name}_"))]
    theirs = replay.report_tables()[table]["values"][name]
    errors = _finals(results, trials, "error_valid")
    accuracies = _finals(results, trials, "acc_valid")

    def distance(key: str) -> float:
        columns = ("error_train", "error_valid")
        return sum(abs(np.log(results.final(key, each) / theirs[each])) for each in columns)

    nearest = min(trials, key=distance)
    arm = results.arm(nearest)
    before = "fresh" if arm.start == "fresh" else "as a plain run left it"
    return (
        f"Over {len(trials)} of them the {label(results, shown)} network ends with validation"
        f" errors from {three_digits(min(errors.values()))} to"
        f" {three_digits(max(errors.values()))} and validation accuracies from"
        f" {percent(min(accuracies.values()))} to {percent(max(accuracies.values()))}. Nearest to"
        f" the original report's row comes the shared generator {before} with the kernel drawn"
        f" after {arm.convolution.kernel_draws} earlier numbers, which is"
        f" {'the one' if nearest == shown else 'not the one'} shown above."
    )


# ---- The front page and the appendix --------------------------------------------------------


def index(results: Results) -> dict[str, str]:
    """Texts of the front page: the three answers so far."""
    return {
        "part1_answer": part1(results)["part1_answer"],
        "part2_answer": part2(results)["part2_answer"],
        "part3_answer": part3(results)["part3_answer"],
    }


def compared_with_2016(results: Results, key: str) -> replay.Comparison:
    """How an arm's one run of 2016 compares with the published numbers."""
    return replay.compare(key, results.runs[key][0]["curves"])


def reproducing(results: Results) -> dict[str, str]:
    """Texts of the appendix on where the numbers come from."""
    records = [record for of_arm in results.runs.values() for record in of_arm]
    machines = [record["provenance"] for record in records]
    seconds = [record["seconds"]["cpu"] for record in records]
    exact = sum(compared_with_2016(results, key).exact for key in results.runs)
    compared = sum(compared_with_2016(results, key).total > 0 for key in results.runs)
    texts = {
        "num_runs": str(len(records)),
        "total_time": duration(sum(seconds)),
        "longest_time": duration(max(seconds)),
        "digest": listed(sorted({machine["data_digest"][:12] for machine in machines})),
        "versions": _versions(machines),
        "run_table": _run_table(results),
        "exact": "",
        "hours_2016": "",
    }
    if results.beside_2016:
        texts["exact"] = (
            f"Of the {compared} runs of which 2016 printed anything, {exact} match it in every"
            " printed digit."
        )
        seconds = sum(
            100 * run["seconds_per_epoch_2016"]
            for part in replay.published_runs()["runs"].values()
            for run in part.values()
        )
        texts["hours_2016"] = (
            f"By its own logs, the 100 epochs of the {len(replay.LOGS)} runs with a log took"
            f" {duration(seconds)} in 2016, statistics not counted."
        )
    return texts


def _versions(machines: list[Mapping[str, str]]) -> str:
    names = {
        "python": "Python",
        "numpy": "NumPy",
        "scipy": "SciPy",
        "blas": "BLAS",
        "blas_kernels": "its kernels, where recorded",
        "cpu": "CPU",
    }
    rows = []
    for name, title in names.items():
        found = sorted({str(machine[name]) for machine in machines if name in machine})
        rows.append(f"| {title} | {listed(found or ['–'])} |")
    return "\n".join(["| | |", "|---|---|", *rows])


def _run_table(results: Results) -> str:
    """A row a run of one arm: its verdict beside 2016 and its time."""
    rows = []
    for key in results.runs:
        seconds = np.mean([record["seconds"]["cpu"] for record in results.runs[key]])
        row = f"| `{key}` | {seconds:.0f} |"
        if results.beside_2016:
            row += f" {replay.verdict(key, compared_with_2016(results, key)).strip()} |"
        rows.append(row)
    head = ["| run | CPU seconds |", "|---|---|"]
    if results.beside_2016:
        head = ["| run | CPU seconds | beside 2016 |", "|---|---|---|"]
    return "\n".join([*head, *rows])


# ---- Beside 2016 ----------------------------------------------------------------------------


def _beside(results: Results, keys: Iterable[str]) -> str:
    """A list of how each run compares with what 2016 printed; a sentence in other profiles."""
    if not results.beside_2016:
        return "These are not the runs of 2016, so its numbers are not shown beside them."
    lines = []
    for key in keys:
        comparison = compared_with_2016(results, key)
        lines.append(f"* {label(results, key)}: {replay.verdict(key, comparison).strip()}.")
    return "\n".join(lines)


def _count(number: int) -> str:
    return ("none", "one", "two", "three", "four")[number]
