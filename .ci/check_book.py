"""Read the built book as a browser would and say what is wrong with it, one sentence a problem.

    python .ci/check_book.py _build/html

Every page, and every figure and table of the report, must be there under its own number, a figure
with a described image and a table with data. Nothing may be fetched from a server, and no page may
hold a traceback or a reference that was not resolved. Only the standard library is needed.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

PARTS = {
    1: "book/part1_regularisation.html",
    2: "book/part2_augmentation.html",
    3: "book/part3_convolution.html",
}
APPENDICES = {  # with the figures and tables on each
    "book/performance.html": ["Figure 1", "Figure 2", "Figure 3", "Table 1", "Table 2"],
    "book/trust.html": ["Figure 4", *(f"Table {number}" for number in range(3, 9))],
}
PAGES = [
    "index.html",
    "book/index.html",
    *PARTS.values(),
    "book/reproducing.html",
    *APPENDICES,
    "book/reference.html",
    "book/bibliography.html",
    "search.html",
    "genindex.html",
]
NUM_FIGURES = {1: 8, 2: 8, 3: 2}  # of the report; a part may have more, after these
NUM_TABLES = {1: 1, 2: 3, 3: 2}

VOID = {
    "area",
    "base",
    "br",
    "col",
    "embed",
    "hr",
    "img",
    "input",
    "link",
    "meta",
    "source",
    "track",
    "wbr",
}
FETCHED_RELATIONS = {
    "stylesheet",
    "preload",
    "modulepreload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "icon",
    "manifest",
}
FETCHED_ATTRIBUTES = {
    "audio": ["src"],
    "embed": ["src"],
    "feimage": ["href", "xlink:href"],
    "iframe": ["src"],
    "image": ["href", "xlink:href"],
    "img": ["src"],
    "input": ["src"],
    "object": ["data"],
    "script": ["src"],
    "source": ["src"],
    "track": ["src"],
    "use": ["href", "xlink:href"],
    "video": ["src", "poster"],
}
CSS_FETCH = re.compile(r"""(?:url\(\s*|@import\s+(?:url\(\s*)?)["']?([^"')\s;]+)""", re.I)
SCRIPT_FETCH = re.compile(
    r"""(?:\bimport\s*\(\s*|\bimport\s+|\bfrom\s*|\bimportScripts\s*\(\s*|\bfetch\s*\(\s*"""
    r"""|\.src\s*=\s*)["'`]((?:https?:)?//[^"'`\s]+)"""
)
UNRESOLVED = {"any", "cite", "doc", "eq", "myst", "numref", "ref", "std"}
RAW_MARKUP = re.compile(
    r"\{(?:glue(?::\w+)?|numref|ref|eq|doc|cite(?::\w+)?|figure|table|math)\}|\{\{ *\w+ *\}\}"
)


def is_external(url):
    """Whether a browser would ask a server for this address."""
    return bool(re.match(r"\s*(?:https?:|wss?:|ftp:)?//", url, re.I))


class Item:
    """One figure or table of a page: its caption number, its images, its rows of data."""

    def __init__(self):
        self.number = ""
        self.images = []  # (address or None for an inline SVG, description)
        self.num_data_rows = 0


class Page(HTMLParser):
    """What one page shows, what it fetches and what is wrong in its text."""

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.figures, self.tables = [], []
        self.fetches = []  # (tag, address)
        self.problems = []
        self._open = []  # (tag, classes) of the elements that are not closed yet
        self._items = []  # the figures and tables that are not closed yet
        self._row_has_data = False
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = {name: value or "" for name, value in attrs}
        classes = attributes.get("class", "").split()
        self._note_fetches(tag, attributes)
        self._note_trouble(classes)
        if tag in ("figure", "table"):
            item = Item()
            (self.figures if tag == "figure" else self.tables).append(item)
            self._items.append(item)
        elif tag == "img" and self._items:
            self._items[-1].images.append((attributes.get("src", ""), attributes.get("alt", "")))
        elif tag == "svg" and self._items:
            self._items[-1].images.append((None, attributes.get("aria-label", "")))
        elif tag == "tr":
            self._row_has_data = False
        if tag not in VOID:
            self._open.append((tag, classes))

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag not in [opened for opened, _ in self._open]:
            return
        while self._open.pop()[0] != tag:
            pass
        if tag in ("figure", "table") and self._items:
            self._items.pop()
        elif tag == "tr" and self._row_has_data:
            for item in self._items:
                item.num_data_rows += 1

    def handle_data(self, data):
        tags = [tag for tag, _ in self._open]
        if "style" in tags:
            self.fetches += [("style", url) for url in CSS_FETCH.findall(data)]
        elif "script" in tags:
            self.fetches += [("script", url) for url in SCRIPT_FETCH.findall(data)]
        elif data.strip():
            self._note_text(data, tags)

    def _note_text(self, text, tags):
        innermost_classes = self._open[-1][1] if self._open else []
        if "caption-number" in innermost_classes and self._items:
            self._items[-1].number = text.strip()
        if "td" in tags:
            self._row_has_data = True
        if "title" in tags and "svg" in tags and self._items and self._items[-1].images:
            self._items[-1].images[-1] = (None, text.strip())
        if "Traceback (most recent call last)" in text:
            self.problems.append("shows a traceback")
        if not {"code", "pre"} & set(tags) and (found := RAW_MARKUP.search(text)):
            self.problems.append(f"shows markup that was not resolved: {found.group()}")

    def _note_trouble(self, classes):
        if "traceback" in classes:
            self.problems.append("shows the output of a cell that failed")
        if {"problematic", "system-message"} & set(classes):
            self.problems.append("shows a message of the builder")
        # A reference that finds nothing keeps these classes; names of other libraries (py) may.
        if "xref" in classes and UNRESOLVED & set(classes):
            self.problems.append(f"has a reference that was not resolved ({' '.join(classes)})")

    def _note_fetches(self, tag, attributes):
        urls = [attributes[name] for name in FETCHED_ATTRIBUTES.get(tag, []) if name in attributes]
        if tag == "link" and FETCHED_RELATIONS & set(attributes.get("rel", "").lower().split()):
            urls.append(attributes.get("href", ""))
        if tag == "meta" and attributes.get("http-equiv", "").lower() == "refresh":
            urls.append(attributes.get("content", "").partition("=")[2])
        if tag == "base":
            urls.append(attributes.get("href", ""))
        if "srcset" in attributes:
            urls += [part.split()[0] for part in attributes["srcset"].split(",") if part.split()]
        urls += CSS_FETCH.findall(attributes.get("style", ""))
        self.fetches += [(tag, url) for url in urls]


def check_fetches(root, name, page):
    """What a page loads must be a file of the book."""
    for tag, url in page.fetches:
        if is_external(url):
            yield f"{name} fetches {url} from a server (<{tag}>)."
        elif not is_local_file(root, name, url):
            yield f"{name} refers to {url}, which is not in the book (<{tag}>)."


def is_local_file(root, name, url):
    """Whether an address on a page is data, a place on the page or an existing file."""
    parts = urlsplit(url.strip())
    if parts.scheme in ("data", "blob", "about") or not parts.path:
        return True
    return not parts.scheme and (root / name).parent.joinpath(unquote(parts.path)).is_file()


def check_items(root, pages):
    """Every figure and table of the report, numbered as there, on the page of its part."""
    for kind, wanted in (("Figure", NUM_FIGURES), ("Table", NUM_TABLES)):
        for part, name in PARTS.items():
            if name not in pages:
                continue
            items = pages[name].figures if kind == "Figure" else pages[name].tables
            numbered = [item for item in items if item.number]
            expected = [f"{kind} {part}.{number}" for number in range(1, wanted[part] + 1)]
            found = [item.number for item in numbered]
            if kind == "Figure":
                further = range(len(expected) + 1, len(found) + 1)
                expected += [f"{kind} {part}.{number}" for number in further]
            for number in expected:
                if number not in found:
                    yield f"{number} is not on {name}."
            for number in found:
                if number not in expected:
                    yield f"{number} on {name} is not of the report and not after its own."
            if found != sorted(
                found, key=lambda number: [int(n) for n in re.findall(r"\d+", number)]
            ):
                yield f"The captions of {name} are out of order: {', '.join(found)}."
            for item in numbered:
                yield from check_item(root, name, kind, item)
    for name, page in pages.items():
        if name not in PARTS.values():
            expected = APPENDICES.get(name, [])
            found = [item for item in page.figures + page.tables if item.number]
            for number in expected:
                if number not in [item.number for item in found]:
                    yield f"{number} is not on {name}."
            for item in found:
                if item.number in expected:
                    yield from check_item(root, name, item.number.split()[0], item)
                else:
                    yield f"{item.number} is on {name}, where it does not belong."


def check_item(root, name, kind, item):
    """A figure has images that can be seen and described; a table has data."""
    if kind == "Table":
        if not item.num_data_rows:
            yield f"{item.number} on {name} has no row of data."
        return
    if not item.images:
        yield f"{item.number} on {name} has no image."
    for url, description in item.images:
        if not description.strip():
            yield f"{item.number} on {name} has an image without alt text."
        if url is not None and not has_content(root, name, url):
            yield f"{item.number} on {name} has an image that is missing or empty: {url}."


def has_content(root, name, url):
    """Whether the image at an address is there and not empty."""
    if url.startswith("data:"):
        return True
    path = (root / name).parent / unquote(urlsplit(url).path)
    return path.is_file() and path.stat().st_size > 0


def check_assets(root):
    """Styles and scripts, which load further files themselves."""
    for path in sorted(root.rglob("*.css")) + sorted(root.rglob("*.js")):
        pattern = CSS_FETCH if path.suffix == ".css" else SCRIPT_FETCH
        for url in pattern.findall(path.read_text(encoding="utf-8", errors="replace")):
            if is_external(url):
                yield f"{path.relative_to(root)} fetches {url} from a server."


def check_book(root):
    """All that is wrong with the book under `root`, a sentence each."""
    problems = [f"The page {name} is missing." for name in PAGES if not (root / name).is_file()]
    pages = {
        path.relative_to(root).as_posix(): Page(path)
        for path in sorted(root.rglob("*.html"))
        if "_static" not in path.relative_to(root).parts
    }
    for name, page in pages.items():
        problems += check_fetches(root, name, page)
        problems += [f"{name} {problem}." for problem in dict.fromkeys(page.problems)]
    problems += check_items(root, pages)
    problems += check_assets(root)
    return problems


def main():
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("Usage: check_book.py FOLDER, the folder of the built pages (_build/html).")
    problems = check_book(Path(sys.argv[1]))
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(1)
    num_items = sum(NUM_FIGURES.values()) + sum(NUM_TABLES.values())
    print(f"The book is whole: {len(PAGES)} pages, {num_items} figures and tables, no server.")


if __name__ == "__main__":
    main()
