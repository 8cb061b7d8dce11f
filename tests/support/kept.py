"""Counts of a long test run, kept as one JSON file a topic in `results/trust/`.

A file has the rows that were counted, and the command, commit, day and Python that made it. It is
written by a whole run that has passed, and by no other.
"""

import datetime
import json
import platform
from pathlib import Path
from typing import Any

import msgspec

from mlpcw.study.pages import evidence
from mlpcw.study.records import provenance, store

FOLDER = store.default_results() / "trust"


def commit() -> str:
    """The commit of the code, to be asked for before the tests begin."""
    return provenance.commit()


def keep(topic: str, rows: Any, commit: str, command: str = "") -> Path:
    """Writes the rows of a topic, checked as the page on trust reads them; returns the path.

    Args:
        topic: One of `evidence.TOPICS`.
        rows: What was counted.
        commit: What `commit` said before the tests began.
        command: What makes the file again, if not `make <topic>`.
    """
    value = {
        "command": command or f"make {topic}",
        "commit": commit,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "rows": rows,
    }
    msgspec.convert(value, evidence.TOPICS[topic])
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{topic}.json"
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path
