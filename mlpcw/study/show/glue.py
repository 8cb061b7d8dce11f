"""Glues texts into the notebook that calls it."""

from collections.abc import Mapping


class _Text:
    """A text that can be glued both into a line and, as Markdown, as blocks of its own."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        # In a line, glue reads the plain text as Python does: unquoted, 0.20 would become 0.2.
        return {"text/plain": repr(self.text), "text/markdown": self.text}


def glue_all(texts: Mapping[str, str]) -> None:
    """Glues texts under their names."""
    from myst_nb import glue

    for name, text in texts.items():
        glue(name, _Text(text), display=False)
