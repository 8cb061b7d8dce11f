"""What a long test run has counted, kept as one JSON file a topic in `results/trust/`.

A file says what was counted, by which command, on which commit, with which Python and when. It is
written by a whole run that has passed, and by no other.
"""

import datetime
import platform
from pathlib import Path
from typing import Any

from mlpcw.study.records import provenance, store
from mlpcw.study.records.record import dumps

FOLDER = store.default_results() / "trust"


def commit() -> str:
    """The commit of the code, to be asked for before the tests begin."""
    return provenance.commit()


def keep(name: str, command: str, commit: str, figures: dict[str, Any]) -> Path:
    """Writes the figures of a run of the tests, with where they come from.

    Args:
        name: The topic, which names the file.
        command: What makes the file again, from the root of the repository.
        commit: What `commit` said before the tests began.
        figures: What was counted; plain values that JSON can hold.

    Returns:
        The path of the file.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    origin = {
        "command": command,
        "commit": commit,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
    }
    path.write_text(dumps(origin | {"figures": figures}), encoding="utf-8")
    return path
