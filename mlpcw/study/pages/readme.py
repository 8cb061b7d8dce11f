"""The README's picture and results, written from the stored runs.

`python -m mlpcw.study.pages.readme` writes both; a test compares them with what stands there.
"""

from pathlib import Path

from mlpcw.study.chapters import front
from mlpcw.study.original.published import log_names
from mlpcw.study.pages.reproducing import comparisons
from mlpcw.study.pages.stored import open_store
from mlpcw.study.records.arms import PARTS
from mlpcw.study.records.results import Results
from mlpcw.study.records.store import repository_root

BEGIN = "<!-- results: written by `python -m mlpcw.study.pages.readme`, compared by a test -->"
END = "<!-- end of results -->"


def results_block(results: Results) -> str:
    """The README's results, Markdown."""
    answers = front.answers(results)
    compared = [comparison for comparison in comparisons(results).values() if comparison.total]
    exact = [comparison for comparison in compared if comparison.exact]
    logs = sum(comparison.source == "log" for comparison in exact)
    values = sum(comparison.matched for comparison in exact)
    lines = [
        f"* **Regularisation.** {answers['part1_answer']}",
        f"* **Augmentation.** {answers['part2_answer']}",
        f"* **Convolution.** {answers['part3_answer']}",
        f"* **Replay.** Of the {len(compared)} runs of which 2016 printed anything, {len(exact)}"
        f" match it in every printed digit: {logs} of the {len(log_names())} published logs and"
        f" {len(exact) - logs} rows of tables, {values} numbers.",
        "",
        front.common(results)["basis"],
    ]
    return "\n".join(lines)


def updated(text: str, results: Results) -> str:
    """The README's text with its results as the stored runs have them.

    Raises:
        ValueError: If the marks around the results are missing.
    """
    if BEGIN not in text or END not in text:
        raise ValueError(f"README.md must hold the marks {BEGIN!r} and {END!r}")
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    return f"{before}{BEGIN}\n{results_block(results)}\n{END}{after}"


def draw(results: Results, path: Path) -> None:
    """Draws the README's picture, the same to the byte from the same runs."""
    from mlpcw.study.show.style import style

    style()
    front.picture(results).savefig(path, metadata={"Date": None})


def main() -> None:
    """Writes README.md's results and its picture, `_static/readme.svg`."""
    root: Path = repository_root()
    results = Results.of("full", open_store("full").find_all(PARTS))
    readme = root / "README.md"
    readme.write_text(updated(readme.read_text("utf-8"), results), "utf-8")
    draw(results, root / "_static" / "readme.svg")


if __name__ == "__main__":
    main()
