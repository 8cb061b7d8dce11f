"""The front page: the answers of all chapters, and texts that all of them share."""

from typing import TYPE_CHECKING

from mlpcw.study.chapters import part1, part2, part3
from mlpcw.study.records.results import Results
from mlpcw.study.show import tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def picture(results: Results) -> "Figure":
    """The pictures of the three parts below one another."""
    from mlpcw.study.show import dots

    return dots.draw(results, [part1.picture, part2.picture, part3.picture])


def answers(results: Results) -> dict[str, str]:
    """The three answers."""
    texts = part1.texts(results) | part2.texts(results) | part3.texts(results)
    return {name: texts[name] for name in ("part1_answer", "part2_answer", "part3_answer")}


def common(results: Results) -> dict[str, str]:
    """Texts about the runs as a whole, for every chapter."""
    num_epochs = results.arm(next(iter(results.runs))).num_epochs
    num_seeds = len(next(iter(results.runs.values())))
    texts = {"num_epochs": str(num_epochs), "table_note": tables.note(results)}
    if results.beside_2016:
        return texts | {
            "data": "MNIST",
            "runs_each": "one run a condition",
            "basis": (
                "Each condition is one run, the one of 2016 with its one seed, so every comparison"
                " here rests on one run: a small difference may be chance."
            ),
            "dashed": "Dashed: the log that was published in 2016, where there is one.",
            "no_log": "No log of these runs was published in 2016.",
        }
    lines = f"Lines are means of {num_seeds} runs, bands their range."
    return texts | {
        "data": "scikit-learn's digits",
        "runs_each": f"{num_seeds} runs a condition",
        "basis": (
            f"Each number is the mean of {num_seeds} runs of {num_epochs} epochs on 1000 small"
            " images, quick to train and too few to settle anything."
        ),
        "dashed": lines,
        "no_log": lines,
    }
