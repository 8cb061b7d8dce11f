"""The stored runs of a profile: the arms of the chapters, the folder of results, the freshness."""

from pathlib import Path

from mlpcw.study import chapters
from mlpcw.study.records import store
from mlpcw.study.records.store import Store
from mlpcw.study.runs import freshness


def open_store(profile: str, results: str | Path | None = None, num_epochs: int = 0) -> Store:
    """The store of a profile.

    Args:
        profile: The profile, a folder of the results.
        results: Folder of all results; `None` for the one that is kept with the code.
        num_epochs: Epochs of a run that are not the profile's own; 0 for its own. Such runs are
            kept in a separate folder, `<profile>-<num_epochs>-epochs`, so that a short run never
            replaces a long one.

    Raises:
        ValueError: If the profile is unknown, or `num_epochs` is out of its range.
    """
    arms = chapters.arms(profile, num_epochs=num_epochs)
    name = f"{profile}-{num_epochs}-epochs" if num_epochs else profile
    return Store(Path(results or store.default_results()) / name, arms, freshness.stale_because)
