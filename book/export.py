"""Build executed notebooks as HTML pages that need no network, and as Python scripts.

    python book/export.py PART1.ipynb PART2.ipynb PART3.ipynb

Jupyter Book makes the pages from the stored outputs, with the settings of the book. They are in the
folder `html` beside the notebooks, the scripts are beside the notebooks themselves.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START = "# Executed notebooks\n\n```{tableofcontents}\n```\n"
TOC = """\
format: jb-book
root: index
parts:
  - numbered: 1
    chapters: [{parts}]
  - chapters: [{{file: book/bibliography}}]
"""


def copy_sources(notebooks: list[Path], source: Path) -> None:
    """What Jupyter Book reads: the book's settings, the notebooks and their bibliography."""
    for name in ("_ext", "_static"):
        shutil.copytree(ROOT / name, source / name)
    (source / "book").mkdir()
    for path in (ROOT / "book" / "references.bib", ROOT / "book" / "bibliography.md"):
        shutil.copy(path, source / "book")
    for path in notebooks:  # the page that one of them refers to is not among these
        text = path.read_text("utf-8").replace("{doc}`reproducing`", "`book/reproducing.md`")
        (source / "book" / path.name).write_text(text, "utf-8")
    config = (ROOT / "_config.yml").read_text("utf-8")
    config = config.replace("execute_notebooks: force", 'execute_notebooks: "off"')
    (source / "_config.yml").write_text(config, "utf-8")
    parts = ", ".join(f"{{file: book/{path.stem}}}" for path in notebooks)
    (source / "_toc.yml").write_text(TOC.format(parts=parts), "utf-8")
    (source / "index.md").write_text(START, "utf-8")


def main() -> None:
    notebooks = [Path(argument).resolve() for argument in sys.argv[1:]]
    if not notebooks:
        sys.exit("Usage: export.py NOTEBOOK..., executed notebooks in one folder")
    folder = notebooks[0].parent
    source = folder / "source"
    for old in (source, folder / "html"):
        shutil.rmtree(old, ignore_errors=True)
    copy_sources(notebooks, source)
    jupyter = Path(sys.executable).parent
    build = [jupyter / "jupyter-book", "build", source, "-W", "--keep-going", "--quiet"]
    subprocess.run(build, check=True)  # noqa: S603
    shutil.move(source / "_build" / "html", folder / "html")
    convert = [jupyter / "jupyter-nbconvert", "--to", "script", *notebooks]
    subprocess.run(convert, check=True)  # noqa: S603
    shutil.rmtree(source)


if __name__ == "__main__":
    main()
