"""Export executed notebooks, each as one HTML page that needs no network and as a Python script.

    python book/export.py NOTEBOOK...

The prose is MyST, of which nbconvert knows only the Markdown. So glued values, references and
directives are put into plain Markdown first; then nbconvert makes the page, with MathJax inside it.
"""

import ast
import base64
import html
import re
import sys
from pathlib import Path

import nbformat
from jinja2 import DictLoader
from nbconvert import HTMLExporter, PythonExporter
from pybtex.database import parse_file

ROOT = Path(__file__).resolve().parent.parent
MATHJAX = ROOT / "_static" / "vendor" / "mathjax-3.2.2-tex-svg.js"
REFERENCES = ROOT / "book" / "references.bib"

PAGE = r"""
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}
<style>
body.jp-Notebook { max-width: 60rem; margin: auto; }
.jp-MarkdownOutput.jp-RenderedHTMLCommon { overflow: visible; }
</style>
<script>
window.MathJax = {
  tex: {inlineMath: [["$", "$"], ["\\(", "\\)"]]},
  options: {enableMenu: false}
};
</script>
<script>{{ resources.mathjax }}</script>
{%- endblock -%}
"""

OPENING = re.compile(r"(?P<fence>`{3,}|:{3,})\{(?P<kind>[\w:-]+)\}\s*(?P<argument>.*)")
EQUATION = re.compile(r"\$\$(?P<body>.+?)\$\$[ \t]*\((?P<label>[^()\s]+)\)", re.DOTALL)
ROLE = re.compile(r"\{(?P<role>[\w:]+)\}`(?P<content>[^`]+)`")
GLUE = "application/papermill.record/"


class Directive:
    """One MyST directive: its kind, argument, options and body."""

    def __init__(self, kind, argument, lines):
        self.kind, self.argument, self.options = kind, argument, {}
        while lines and (option := re.fullmatch(r"\s*:([\w-]+):\s*(.*)", lines[0])):
            self.options[option[1]] = option[2]
            lines = lines[1:]
        self.body = "\n".join(lines).strip("\n")

    @property
    def counted_as(self):
        """What a caption of this directive is numbered as, or None."""
        if self.kind in ("figure", "glue:figure") and self.body.strip():
            return "Figure"
        return "Table" if self.kind in ("table", "list-table") and self.argument else None


def blocks(text):
    """Cut MyST into plain strings, fenced code included, and directives."""
    lines, plain = text.split("\n"), []
    while lines:
        line = lines.pop(0)
        fence = re.match(r"\s*(`{3,}|~{3,}|:{3,})", line)
        if not fence:
            plain.append(line)
            continue
        inside = []
        while lines and not is_closing(lines[0], fence[1]):
            inside.append(lines.pop(0))
        closing = lines.pop(0) if lines else fence[1]
        if opening := OPENING.fullmatch(line.strip()):
            yield "\n".join(plain)
            plain = []
            yield Directive(opening["kind"], opening["argument"].strip(), inside)
        else:
            plain += [line, *inside, closing]
    yield "\n".join(plain)


def is_closing(line, fence):
    """Whether a line closes what this fence opened."""
    bare = line.strip()
    return len(bare) >= len(fence) and bare == fence[0] * len(bare)


class Numbers:
    """The number of every labelled figure, table and equation, as the book has it."""

    def __init__(self, notebooks):
        self.label_texts, self.of_cell = {}, {}
        for path, notebook in notebooks.items():
            self._chapter = re.search(r"\d+", path.stem)[0]
            self._counts = dict.fromkeys(("Figure", "Table", "Equation"), 0)
            for index, cell in enumerate(notebook.cells):
                figure = cell.metadata.get("mystnb", {}).get("figure", {})
                if cell.cell_type == "code" and figure.get("caption"):
                    self.of_cell[path, index] = self._count("Figure", figure.get("name"))
                elif cell.cell_type == "markdown":
                    self._count_text(cell.source)

    def _count(self, kind, label):
        self._counts[kind] += 1
        number = f"{self._chapter}.{self._counts[kind]}"
        text = f"({number})" if kind == "Equation" else f"{kind} {number}"
        self.label_texts[label] = text
        return text

    def _count_text(self, text):
        for block in blocks(text):
            if isinstance(block, str):
                for equation in EQUATION.finditer(block):
                    self._count("Equation", equation["label"])
            elif block.kind == "math" and "label" in block.options:
                self._count("Equation", block.options["label"])
            elif block.kind != "math":
                if block.counted_as:
                    self._count(block.counted_as, block.options.get("name"))
                self._count_text(block.body)


class PlainMarkdown:
    """Turns the MyST of one executed notebook into Markdown that stands by itself."""

    def __init__(self, notebook, label_texts, references):
        self.label_texts, self.references = label_texts, references
        self.glued = {
            output.metadata.scrapbook.name: {
                mime.removeprefix(GLUE): data for mime, data in output.data.items()
            }
            for cell in notebook.cells
            for output in cell.get("outputs", [])
            if "scrapbook" in output.get("metadata", {})
        }

    def text(self, myst):
        """The Markdown of a cell."""
        return "\n".join(
            self._plain(block) if isinstance(block, str) else self._directive(block)
            for block in blocks(myst)
        )

    def _plain(self, text):
        text = re.sub(r"^\([^()\s]+\)=\s*$", "", text, flags=re.MULTILINE)
        text = EQUATION.sub(lambda found: self._equation(found["body"], found["label"]), text)
        return ROLE.sub(lambda found: self._role(found["role"], found["content"]), text)

    def _equation(self, body, label):
        number = self.label_texts.get(label, "").strip("()")
        return f"$${body.strip()} \\tag{{{number}}}$$" if number else f"$${body.strip()}$$"

    def _role(self, role, content):
        title, _, target = content.rstrip(">").rpartition("<")
        if role.startswith("glue"):
            return self._glued_text(content)
        if role in ("numref", "eq", "ref"):
            number = self.label_texts.get(target.strip(), target)
            return title.strip().replace("%s", number.split()[-1]) if title else number
        if role.startswith("cite"):
            return self._citation(content.split(","), textual=role == "cite:t")
        if role == "math":
            return f"${content}$"
        if role == "doc":
            return title.strip() or f"*{target}*"
        return f"`{title.strip() or target.split('.')[-1]}`"

    def _glued_text(self, content):
        key, _, form = content.partition(":")
        data = self.glued.get(key)
        if data is None:
            raise KeyError(f"the prose names the glued value {key!r}, which no cell has glued")
        if "text/markdown" in data:
            return data["text/markdown"]
        if "image/svg+xml" in data or "image/png" in data:
            return image(data, alt=key)
        text = data["text/plain"]
        if text[0] in "'\"":
            text = ast.literal_eval(text)
        return format(float(text), form) if form else text

    def _citation(self, keys, textual):
        texts = []
        for key in keys:
            entry = self.references.entries[key.strip()]
            names = [" ".join(author.last_names) for author in entry.persons["author"]]
            who = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
            year = entry.fields["year"]
            texts.append(f"{who} [{year}]" if textual else f"{who}, {year}")
        return ", ".join(texts) if textual else f"[{'; '.join(texts)}]"

    def _directive(self, block):
        number = self.label_texts.get(block.options.get("name"), block.counted_as)
        if block.kind == "glue:figure":
            shown = image(self.glued[block.argument], block.options.get("alt", ""))
            return f"\n{shown}\n\n**{number}** {self.text(block.body)}\n"
        if block.kind in ("table", "list-table"):
            return f"\n**{number}** {self._plain(block.argument)}\n\n{self.text(block.body)}\n"
        if block.kind in ("glue:md", "glue:text", "glue"):
            return f"\n{self._glued_text(block.argument)}\n"
        if block.kind == "math":
            return self._equation(block.body, block.options.get("label"))
        if block.kind in ("code-block", "code"):
            return f"\n```{block.argument}\n{block.body}\n```\n"
        # An admonition, which is what is left.
        titled = block.kind in ("admonition", "dropdown")
        title = self._plain(block.argument) if titled else block.kind.capitalize()
        body = block.body if titled else f"{block.argument}\n{block.body}".strip()
        quoted = f"**{title}**\n\n{self.text(body)}".strip().replace("\n", "\n> ")
        return f"\n> {quoted}\n"


def image(data, alt):
    """A glued or shown figure as an HTML image that holds its own data."""
    mime = "image/svg+xml" if "image/svg+xml" in data else "image/png"
    encoded = data[mime]
    if mime == "image/svg+xml":
        encoded = base64.b64encode(encoded.encode()).decode()
    source = f"data:{mime};base64,{encoded.strip()}"
    return f'<img style="max-width: 100%" alt="{html.escape(alt)}" src="{source}">'


def standing_alone(path, notebook, numbers, references):
    """A copy of an executed notebook whose prose and figures need no MyST."""
    markdown = PlainMarkdown(notebook, numbers.label_texts, references)
    cells = []
    for index, cell in enumerate(notebook.cells):
        cell = cell.copy()
        cells.append(cell)
        if cell.cell_type == "markdown":
            cell.source = markdown.text(cell.source)
        elif cell.cell_type == "code":
            settings = cell.metadata.get("mystnb", {})
            alt = settings.get("image", {}).get("alt", "")
            cell.outputs = [
                with_image(output, alt)
                for output in cell.outputs
                if "scrapbook" not in output.get("metadata", {})
            ]
            if number := numbers.of_cell.get((path, index)):
                caption = markdown.text(settings["figure"]["caption"])
                cells.append(nbformat.v4.new_markdown_cell(f"**{number}** {caption}"))
    return nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)


def with_image(output, alt):
    """The output, with a vector figure turned into a described image."""
    if "image/svg+xml" not in output.get("data", {}):
        return output
    return nbformat.v4.new_output("display_data", {"text/html": image(output.data, alt)})


def main():
    paths = [Path(argument) for argument in sys.argv[1:]]
    if not paths:
        sys.exit("Usage: export.py NOTEBOOK..., executed notebooks, all those of the book at once.")
    notebooks = {path: nbformat.read(path, as_version=4) for path in paths}
    numbers, references = Numbers(notebooks), parse_file(REFERENCES)
    page_exporter = HTMLExporter(
        extra_loaders=[DictLoader({"offline.html.j2": PAGE})], template_file="offline.html.j2"
    )
    for path, notebook in notebooks.items():
        script, _ = PythonExporter().from_notebook_node(notebook)
        path.with_suffix(".py").write_text(script, encoding="utf-8")
        plain = standing_alone(path, notebook, numbers, references)
        plain.metadata["title"] = notebook.cells[0].source.split("\n")[0].lstrip("# ")
        resources = {"mathjax": MATHJAX.read_text(encoding="utf-8")}
        page, _ = page_exporter.from_notebook_node(plain, resources)
        path.with_suffix(".html").write_text(page, encoding="utf-8")
        print(f"Wrote {path.with_suffix('.html')} and {path.with_suffix('.py')}.")


if __name__ == "__main__":
    main()
