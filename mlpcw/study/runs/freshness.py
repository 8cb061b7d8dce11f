"""Freshness: whether a stored run is what this code would train today.

The probe of an arm is what the arm does in its first updates on the embedded digits. A change of
the code that changes what the arm does changes its probe, and one that changes no number keeps it.
It covers the network, the penalty, the transform and the update, neither the start states of 2016
nor the reader of MNIST.

A probe takes up to a second, so probes are kept in a file in the user's cache, for one state of
code, libraries and processor. `MLPCW_PROBES` names another file, or with "" none.
"""

import contextlib
import functools
import hashlib
import itertools
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace

import mlpcw
from mlpcw import compiled, mnist
from mlpcw.layers import LayerWithParameters
from mlpcw.study.records.arms import Arm
from mlpcw.study.records.provenance import machine
from mlpcw.study.records.record import Probe, Record, printable
from mlpcw.study.records.store import Finding
from mlpcw.study.runs.set_up import set_up_paired

PROBE_UPDATES = 20
PROBE_TOLERANCE = 1e-9
"""Largest relative difference of a probe that counts as the same behaviour."""

SWITCH = "MLPCW_PROBES"
"""Environment variable: the file that keeps probes; "" keeps none."""


def stale_because(record: Record, arm: Arm) -> str:
    """Why a whole record of this run is stale, or ""."""
    was, wanted = record["arm"], msgspec.to_builtins(arm)
    for name in sorted(wanted):
        if was[name] != wanted[name]:
            return f"its arm has {name} {printable(was[name])}, now it is {wanted[name]}"
    for name, value in known_probe(arm).items():
        held = record["probe"][name]
        if not _close(held, value):
            return f"its probe has {name} {printable(held)}, the code now gives {value}"
    return ""


def _close(held: Any, value: Any) -> bool:
    if isinstance(value, list):
        return len(held) == len(value) and all(map(_close, held, value))
    return math.isclose(held, value, rel_tol=PROBE_TOLERANCE)


def other_data(arms: Iterable[Arm], findings: Iterable[Finding]) -> list[str]:
    """A sentence for each whole record, fresh or stale, of other data than this machine has.

    Records of data that are not at hand are not judged.

    Args:
        arms: The arms whose data are asked for.
        findings: Runs of these arms, as a store has found them.
    """
    needed = {arm.data for arm in arms}
    digests = {}
    if "digits" in needed:
        digests["digits"] = mnist.digits().digest
    if "mnist" in needed and mnist.available():
        digests["mnist"] = mnist.load().digest
    return [
        f"other data: {finding.path} was trained on {origin['data']} with digest"
        f" {printable(origin['data_digest'])}, not {digests[origin['data']]}"
        for finding in findings
        if finding.record
        for origin in [finding.record["provenance"]]
        if origin["data_digest"] != digests.get(origin["data"], origin["data_digest"])
    ]


def probe(arm: Arm) -> dict[str, Any]:
    """What an arm does in its first updates on the embedded digits, in float64.

    Returns:
        "loss" on the digits' validation images and "penalty" after 20 updates, and "weights": the
        sum of the magnitudes of each layer's parameters.
    """
    # RandomState, whose streams no release of NumPy changes.
    streams = [np.random.RandomState(seed) for seed in range(4)]
    optimiser = set_up_paired(_probed(arm), mnist.digits(), streams)
    passes = itertools.chain.from_iterable(itertools.repeat(optimiser.train_dataset))
    optimiser.train_dataset = itertools.islice(passes, PROBE_UPDATES)
    optimiser.do_training_epoch()
    stats = optimiser.eval_monitors(optimiser.valid_dataset, "")
    return {
        "loss": float(stats["error"]),
        "penalty": float(optimiser.model.params_penalty()),
        "weights": [
            float(sum(np.abs(param).sum() for param in layer.params))
            for layer in optimiser.model.layers
            if isinstance(layer, LayerWithParameters)
        ],
    }


def _probed(arm: Arm) -> Arm:
    """The arm with all that its probe does not depend on set alike: arms may share a probe."""
    convolution = arm.convolution and replace(arm.convolution, kernel_draws=0)
    alike = dict(part="part1", name="probe", data="digits", protocol="paired", start="plain")
    alike |= dict(num_epochs=0, stats_interval=1, dtype="float64", convolution=convolution)
    return replace(arm, **alike)


def known_probe(arm: Arm) -> dict[str, Any]:
    """The probe of an arm, computed once for one state of code, libraries and processor."""
    return _known_probe(_probed(arm))


@functools.cache
def _known_probe(arm: Arm) -> dict[str, Any]:
    path, state = _path(), _state()
    key = msgspec.json.encode(arm).decode()
    kept = _kept(path, state)
    if key in kept.probes:
        return msgspec.to_builtins(kept.probes[key])
    value = probe(arm)
    if path is not None:
        _keep(path, state, key, value)
    return value


def forget() -> None:
    """Forgets the probes that this process has computed or read."""
    _known_probe.cache_clear()


# ---- Probes on disk ---------------------------------------------------------------------------


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    """Content of the file."""

    state: str
    probes: dict[str, Probe]


def _path() -> Path | None:
    if SWITCH in os.environ:
        return Path(os.environ[SWITCH]) if os.environ[SWITCH] else None
    from pooch import os_cache

    return os_cache("mlpcw").expanduser() / "probes.json"


@functools.cache
def _state() -> str:
    """A digest of everything that may change a probe by more than rounding."""
    folder = Path(mlpcw.__file__).parent
    sources = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.py"))
    }
    here = machine(compiled.enabled())
    names = ("python", "numpy", "scipy", "numba", "blas", "blas_kernels", "cpu")
    state = [sources, [here[name] for name in names]]
    return hashlib.sha256(msgspec.json.encode(state)).hexdigest()


def _kept(path: Path | None, state: str) -> _Kept:
    """The probes of this state that the file keeps: none if it cannot be read or is damaged."""
    with contextlib.suppress(OSError, ValueError, RecursionError):  # ValueError: of msgspec too
        if path is not None:
            kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
            if kept.state == state:
                return kept
    return _Kept(state, {})


def _keep(path: Path, state: str, key: str, value: dict[str, Any]) -> None:
    """Adds a probe to the file; without a word if it cannot be written."""
    kept = _kept(path, state)
    kept.probes[key] = msgspec.convert(value, Probe)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(msgspec.json.encode(kept))
        os.replace(temporary, path)
