"""The first call of a notebook: checks its parameters and opens its runs.

A notebook's first cell is tagged `parameters` and papermill writes a cell after it. The next cell
hands `globals()` to `open_results`, which refuses a wrong value and a name that is no parameter
(papermill itself only warns), and returns the stored runs of the notebook's part.
"""

import os
import shlex
import types
from collections.abc import Iterable, Mapping
from typing import Any

from mlpcw import checks, mnist
from mlpcw.study.pages.stored import open_store
from mlpcw.study.records.arms import PARTS, PROFILES
from mlpcw.study.records.results import Results
from mlpcw.study.records.store import Store, repository_root
from mlpcw.study.runs.sweep import sweep
from mlpcw.study.runs.train import RunFailedError

PARAMETERS: dict[str, type] = {
    "profile": str,
    "train_missing": bool,
    "seeds": int,
    "epochs": int,
    "workers": int,
    "data_dir": str,
    "results_dir": str,
}
_OF_JUPYTER = {"In", "Out", "exit", "quit", "get_ipython", "open"}


def check_parameters(names: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a notebook, checked.

    Args:
        names: `globals()` of the notebook, in the cell after the parameters.

    Returns:
        The parameters alone. The profile's own number of seeds, epochs and workers is 0; the usual
        folders are "".

    Raises:
        TypeError: If a parameter has the wrong type.
        ValueError: If one is missing or out of its range, a name is no parameter, or the folder of
            MNIST does not hold it.
    """
    given = {name: value for name, value in names.items() if _may_be_parameter(name, value)}
    allowed = ", ".join(PARAMETERS)
    for name, value in given.items():
        if name not in PARAMETERS:
            raise ValueError(f"{name!r} (here {value!r}) is no parameter; parameters are {allowed}")
    for name, kind in PARAMETERS.items():
        if name not in given:
            raise ValueError(f"parameter {name!r} is missing; parameters are {allowed}")
        if type(given[name]) is not kind:
            raise TypeError(f"{name} must be of type {kind.__name__}, got {given[name]!r}")
    checks.one_of("profile", given["profile"], PROFILES)
    for name in ("seeds", "epochs", "workers"):
        checks.whole_number(name, given[name], low=0)
    for name in ("data_dir", "results_dir"):
        if not given[name].isprintable():
            raise ValueError(f"{name} must be the plain name of a folder, got {given[name]!r}")
    if given["data_dir"] and not mnist.available(_folder(given["data_dir"])):
        raise ValueError(
            f"data_dir must be a folder that holds the four files of MNIST, or '' for the usual"
            f" one, got {given['data_dir']!r}"
        )
    return given


def _may_be_parameter(name: str, value: Any) -> bool:
    if name.startswith("_") or name in _OF_JUPYTER:
        return False
    return not isinstance(value, types.ModuleType | type) and not callable(value)


def open_results(names: Mapping[str, Any], *parts: str) -> Results:
    """Checks a notebook's parameters and returns the runs of its parts.

    The quick profile, and `train_missing`, train the runs that are not done; otherwise such a run
    stops the notebook.

    Args:
        names: `globals()` of the notebook, in the cell after the parameters.
        parts: The parts whose runs are wanted.

    Raises:
        TypeError: If a parameter has the wrong type.
        ValueError: If a parameter is wrong.
        MissingRunsError: If runs are not done, with the command that trains them.
        RunFailedError: If a run could not be trained.
    """
    given = check_parameters(names)
    store = open_store(given["profile"], _folder(given["results_dir"]), given["epochs"])
    findings = store.find_all(_known(store, parts), given["seeds"])
    if given["profile"] == "quick" or given["train_missing"]:
        data_dir = _folder(given["data_dir"])
        failures = sweep(store, findings, given["workers"], data_dir, progress=True)
        if failures:
            raise RunFailedError("; ".join(failures))
        findings = store.find_all(_known(store, parts), given["seeds"])
    return Results.of(given["profile"], findings, _options(given))


def open_profile(profile: str) -> Results:
    """The runs of all parts of a profile, for a page without parameters.

    As `open_results`, with the profile's own number of seeds and epochs in the usual folder.
    """
    parameters = {name: kind() for name, kind in PARAMETERS.items()}
    return open_results(parameters | {"profile": profile}, *PARTS)


def example_images(names: Mapping[str, Any]) -> mnist.ImageSet:
    """Images to show: MNIST with the full profile if it is at hand, else the digits."""
    data_dir = _folder(names["data_dir"])
    if names["profile"] == "full" and mnist.available(data_dir):
        return mnist.load(data_dir)
    return mnist.digits()


def _known(store: Store, parts: Iterable[str]) -> list[str]:
    """Those of the parts that the profile has arms in."""
    return [part for part in parts if any(arm.part == part for arm in store.arms)]


def _folder(name: str) -> str | None:
    """A folder named from the root of the repository, or from "~"; `None` for ""."""
    # Of `os.path`, which leaves the name of an unknown user as it is: `Path` raises.
    return str(repository_root() / os.path.expanduser(name)) if name else None


def _options(given: Mapping[str, Any]) -> str:
    """The options of `mlpcw run` for runs other than the profile's own in the usual folder."""
    options = [f"--{name} {given[name]}" for name in ("seeds", "epochs") if given[name]]
    if folder := _folder(given["results_dir"]):
        options.append(f"--results {shlex.quote(folder)}")
    return " ".join(options)
