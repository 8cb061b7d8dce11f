"""What figures, tables and texts ask of a condition."""

from typing import Protocol

from mlpcw.study.records.results import Results


class Shown(Protocol):
    """A condition as readers see it; `chapters.condition.Condition` describes the attributes."""

    key: str
    colour: str
    log: str
    table: tuple[str, ...]
    obstacle: str

    def label_in(self, results: Results) -> str:
        """Its name for readers."""
