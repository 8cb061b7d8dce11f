"""Where a record comes from: versions, machine, commit and data."""

import functools
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

import mlpcw


def provenance(data: str, data_digest: str, compiled: bool) -> dict[str, Any]:
    """What a record says of its origin.

    Args:
        data: Name of the data.
        data_digest: Their digest.
        compiled: Whether the kernels are compiled by Numba.
    """
    return machine(compiled) | {"commit": commit(), "data": data, "data_digest": data_digest}


@functools.cache
def machine(compiled: bool) -> dict[str, Any]:
    """Versions of the package and the libraries, and the processor."""
    import scipy
    import threadpoolctl

    blas = [info for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas"]
    blas.sort(key=lambda info: "numpy" not in info["filepath"])  # SciPy has its own
    return {
        "mlpcw": mlpcw.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "numba": importlib.metadata.version("numba") if compiled else "none",
        "blas": f"{blas[0]['internal_api']} {blas[0]['version']}" if blas else "unknown",
        "blas_kernels": (blas and blas[0].get("architecture")) or "unknown",
        "blas_threads": blas[0]["num_threads"] if blas else 0,
        "cpu": _cpu(),
        "platform": platform.platform(),
    }


@functools.cache
def commit() -> str:
    """The commit of the code, with "+" if the package differs from it; "" outside a checkout."""
    git = functools.partial(
        subprocess.run,
        cwd=Path(mlpcw.__file__).parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    try:
        git(["git", "ls-files", "--error-unmatch", "__init__.py"])  # not of a checkout around it
        head = git(["git", "rev-parse", "HEAD"]).stdout.strip()
        changed = git(["git", "status", "--porcelain", "--", "."]).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
    return head + ("+" if changed else "")


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
