"""Prints the kernels of OpenBLAS that this machine can use, but for its own, a line each."""

import os
import subprocess
import sys

NAMES = """
    Haswell Sandybridge Nehalem Prescott Core2 SkylakeX Cooperlake Sapphirerapids
    Barcelona Bulldozer Excavator Zen
    armv8 cortexa57 neoversen1 neoversen2 neoversev1 thunderx2t99 armv8sve
"""
"""What OPENBLAS_CORETYPE may name, on Intel's processors, AMD's and ARM's."""

REPORT = """
import numpy, threadpoolctl
product = numpy.full((300, 200), 2.0) @ numpy.full((200, 100), 3.0)
assert (product == 1200).all()
for library in threadpoolctl.threadpool_info():
    if library["internal_api"] == "openblas":
        print(library["architecture"])
        break
"""


def kernel(name=None):
    """The kernel that NumPy takes with a name in OPENBLAS_CORETYPE, or by itself; "" for none."""
    environment = {key: value for key, value in os.environ.items() if key != "OPENBLAS_CORETYPE"}
    if name is not None:
        environment["OPENBLAS_CORETYPE"] = name
    command = [sys.executable, "-c", REPORT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)  # noqa: S603
    return done.stdout.strip() if done.returncode == 0 else ""


offered = {kernel(): ""}  # by what they call themselves, which is not always what one asks for
for name in NAMES.split():
    offered.setdefault(kernel(name), name)
print(*(name for kernel, name in offered.items() if kernel and name), sep="\n")
