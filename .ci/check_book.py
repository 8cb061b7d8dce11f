"""Check the built book page by page and print each problem as one sentence.

    python .ci/check_book.py _build/html

Every page must exist. Every figure and table of the report must be on its page under its own number
and in order; a figure needs an image with alt text, a table needs data. Nothing may be fetched from
a server, and no page may hold a traceback or an unresolved reference.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

# Page: its figures and tables. A part may have further figures after these.
ITEMS = {
    "book/part1_regularisation.html": [*(f"Figure 1.{n}" for n in range(1, 9)), "Table 1.1"],
    "book/part2_augmentation.html": [
        *(f"Figure 2.{n}" for n in range(1, 9)),
        *(f"Table 2.{n}" for n in range(1, 4)),
    ],
    "book/part3_convolution.html": ["Figure 3.1", "Figure 3.2", "Table 3.1", "Table 3.2"],
    "book/performance.html": [*(f"Figure {n}" for n in range(1, 4)), "Table 1", "Table 2"],
    "book/trust.html": ["Figure 4", *(f"Table {n}" for n in range(3, 8))],
}
PAGES = [*ITEMS, "index.html", "search.html", "genindex.html"]
PAGES += [f"book/{name}.html" for name in ("index", "reproducing", "reference", "bibliography")]

# Selector and attribute of what a browser loads with a page.
RELATIONS = "stylesheet preload modulepreload prefetch preconnect dns-prefetch icon manifest"
FETCHED = [
    ("[src]", "src"),
    ("[poster]", "poster"),
    ("object[data]", "data"),
    ("use[href], image[href], feimage[href], base[href]", "href"),
    (r"[xlink\:href]", "xlink:href"),
    *((f'link[rel~="{relation}"]', "href") for relation in RELATIONS.split()),
]
IN_CSS = re.compile(r"""(?:url\(\s*|@import\s+(?:url\(\s*)?)["']?([^"')\s;]+)""", re.I)
IN_SCRIPT = re.compile(
    r"""(?:\bimport\s*\(?\s*|\bfrom\s*|\bimportScripts\s*\(\s*|\bfetch\s*\(\s*|\.src\s*=\s*)"""
    r"""["'`]((?:https?:)?//[^"'`\s]+)"""
)
TROUBLE = {
    ".xref:is(.any, .cite, .doc, .eq, .myst, .numref, .ref, .std)": "an unresolved reference",
    ".traceback, .output.error": "the output of a cell that failed",
    ".system-message, .problematic": "a message of the builder",
}
TRACEBACK = re.compile(r"Traceback \(most recent call last\)")
RAW_MARKUP = re.compile(
    r"\{(?:glue(?::\w+)?|numref|ref|eq|doc|cite(?::\w+)?|figure|table|math)\}|\{\{ *\w+ *\}\}"
)


def is_external(url: str) -> bool:
    """Whether a browser would ask a server for this address."""
    return bool(re.match(r"\s*(?:https?:|wss?:|ftp:)?//", url, re.I))


def is_in_book(root: Path, name: str, url: str) -> bool:
    """Whether an address is data, a place on the page, or a file that is not empty."""
    parts = urlsplit(url.strip())
    if parts.scheme in ("data", "blob", "about") or not parts.path:
        return True
    path = (root / name).parent / unquote(parts.path)
    return not parts.scheme and path.is_file() and path.stat().st_size > 0


def fetched(page: BeautifulSoup) -> Iterator[str]:
    """The addresses that a browser loads with a page."""
    for selector, attribute in FETCHED:
        yield from (tag[attribute] for tag in page.select(selector) if attribute in tag.attrs)
    for tag in page.select("[srcset]"):
        yield from (part.split()[0] for part in tag["srcset"].split(",") if part.split())
    for tag in page.select('meta[http-equiv="refresh" i]'):
        yield tag["content"].partition("=")[2]
    for tag in page.select("style, [style]"):
        yield from IN_CSS.findall(tag.get("style") or tag.string or "")
    for tag in page.select("script:not([src])"):
        yield from IN_SCRIPT.findall(tag.string or "")


def check_page(root: Path, name: str, page: BeautifulSoup) -> Iterator[str]:
    """The problems of a page, each to follow its name in a sentence."""
    for url in fetched(page):
        if is_external(url):
            yield f"fetches {url} from a server"
        elif not is_in_book(root, name, url):
            yield f"refers to {url}, which is missing or empty"
    for selector, problem in TROUBLE.items():
        for tag in page.select(selector):
            yield f"shows {problem}: {tag.get_text(' ', strip=True)[:80]}"
    if page.find(string=TRACEBACK):
        yield "shows a traceback"
    for text in page.find_all(string=RAW_MARKUP):
        if not text.find_parent(["script", "style", "pre", "code"]):
            yield f"shows markup that was not resolved: {text.strip()[:80]}"
    yield from check_items(page, ITEMS.get(name, []))


def check_items(page: BeautifulSoup, expected: list[str]) -> Iterator[str]:
    """The problems of numbered figures and tables."""
    items = {
        number.get_text(strip=True): item
        for number in page.select(".caption-number")
        if (item := number.find_parent(["figure", "table"]))
    }
    part = next((number[:9] for number in expected if "." in number), None)  # "Figure 1."
    yield from (f"lacks {number}" for number in expected if number not in items)
    for number in items:
        if number not in expected and not (part and number.startswith(part)):
            yield f"has {number}, which does not belong there"
    for kind in ("Figure", "Table"):
        numbers = [number for number in items if number.startswith(kind)]
        if numbers != sorted(numbers, key=lambda number: [*map(int, re.findall(r"\d+", number))]):
            yield f"has captions out of order: {', '.join(numbers)}"
    for number, item in items.items():
        if item.name == "table" and not any(cell.get_text(strip=True) for cell in item("td")):
            yield f"has {number} without data"
        if item.name == "figure":
            images = item.select("img, svg")
            if not images:
                yield f"has {number} without an image"
            if not all((tag.get("alt") or tag.get("aria-label") or "").strip() for tag in images):
                yield f"has {number} without alt text"


def main() -> None:
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("Usage: check_book.py FOLDER, the folder of the built pages (_build/html)")
    root = Path(sys.argv[1])
    problems = [f"The page {name} is missing." for name in PAGES if not (root / name).is_file()]
    for path in sorted(root.rglob("*.html")):
        name = path.relative_to(root).as_posix()
        if not name.startswith("_static/"):
            page = BeautifulSoup(path.read_bytes(), "html.parser")
            problems += [f"{name} {said}." for said in dict.fromkeys(check_page(root, name, page))]
    for path in sorted([*root.rglob("*.css"), *root.rglob("*.js")]):
        pattern = IN_CSS if path.suffix == ".css" else IN_SCRIPT
        for url in filter(is_external, pattern.findall(path.read_text("utf-8", "replace"))):
            problems.append(f"{path.relative_to(root)} fetches {url} from a server.")
    print("\n".join(problems) or f"The book is whole: {len(PAGES)} pages, no server.")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
