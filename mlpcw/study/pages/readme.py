"""The README's picture and results, written from the stored runs.

`python -m mlpcw.study.pages.readme` writes both; a test compares what stands there with
what it would write.
"""

from pathlib import Path

from mlpcw.study.chapters import prose
from mlpcw.study.original import published as replay
from mlpcw.study.pages.stored import open_store
from mlpcw.study.records.arms import PARTS
from mlpcw.study.records.results import Results
from mlpcw.study.records.store import repository_root
from mlpcw.study.show import figures

BEGIN = "<!-- results: written by `python -m mlpcw.study.pages.readme`, compared by a test -->"
END = "<!-- end of results -->"


def results_block(results: Results) -> str:
    """The README's results, Markdown."""
    answers = prose.index(results)
    compared = {key: prose.compared_with_2016(results, key) for key in results.runs}
    exact = [key for key, comparison in compared.items() if comparison.exact]
    logs = sum(compared[key].source == "log" for key in exact)
    values = sum(compared[key].matched for key in exact)
    num_printed = sum(comparison.total > 0 for comparison in compared.values())
    lines = [
        f"* **Regularisation.** {answers['part1_answer']}",
        f"* **Augmentation.** {answers['part2_answer']}",
        f"* **Convolution.** {answers['part3_answer']}",
        f"* **Replay.** Of the {num_printed} runs of which 2016 printed anything, {len(exact)}"
        f" match it in every printed digit: {logs} of the {len(replay.LOGS)} published logs and"
        f" {len(exact) - logs} rows of tables, {values} numbers.",
        "",
        prose.common(results)["basis"],
    ]
    return "\n".join(lines)


def updated(text: str, results: Results) -> str:
    """The README's text with its results as the stored runs have them.

    Raises:
        ValueError: If the marks between which they stand are not there.
    """
    if BEGIN not in text or END not in text:
        raise ValueError(f"README.md must hold the marks {BEGIN!r} and {END!r}")
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    return f"{before}{BEGIN}\n{results_block(results)}\n{END}{after}"


def draw(results: Results, path: Path) -> None:
    """Draws the README's picture, the same to the byte from the same runs."""
    figures.style()
    figures.readme_picture(results).savefig(path, metadata={"Date": None})


def main() -> None:
    """Writes README.md's results and its picture, `_static/readme.svg`."""
    root: Path = repository_root()
    store = open_store("full")
    results = Results.of("full", store.find_all(PARTS))
    readme = root / "README.md"
    readme.write_text(updated(readme.read_text("utf-8"), results), "utf-8")
    figures.style()
    figures.readme_picture(results).savefig(
        root / "_static" / "readme.svg", metadata={"Date": None}
    )


if __name__ == "__main__":
    main()
