"""What a process costs: importing, memory, the first compilation. Each in a process of its own.

Run as `python benchmarks/processes.py`.
"""

import json
import os
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

from mlpcw import mnist
from mlpcw.study.pages.measurements import Figure

IMPORTS = 10
TRAINING = "optimisers models layers learning_rules errors penalties initialisers data_providers"
TRAINING += " augmenters"
IMPORT_SECONDS = 0.3
ARMS, EPOCHS = ("part1/none", "part2/random_distortion", "part3/cnn_5x5"), 3
PEAK_MIB, SHARE_OF_SET = 600, 0.1
_MIB = 2**20


def run(*arguments, **environment):
    """What a new Python prints, one BLAS thread."""
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | threads | environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def import_seconds(modules):
    """Seconds, by the clock, to import modules in a new process; the best of several."""
    code = f"from time import perf_counter as now; start = now(); import {', '.join(modules)}"
    return min(float(run("-c", f"{code}; print(now() - start)")) for _ in range(IMPORTS))


def import_figures():
    training = [f"mlpcw.{name}" for name in TRAINING.split()]
    for name, work, modules, limit in (
        ("import_mlpcw", "`import mlpcw`", ["mlpcw"], IMPORT_SECONDS),
        ("import_training", "import of all modules that training needs", training, IMPORT_SECONDS),
        ("import_numpy", "of these, `import numpy`", ["numpy"], None),
    ):
        seconds = import_seconds(modules)
        yield Figure(name=name, work=work, value=seconds, unit="s", at_most=limit)


def train_and_print_peak():
    """Trains three runs in this process and prints its peak of memory, MiB."""
    from mlpcw.study import chapters
    from mlpcw.study.records.arms import SEED_2016
    from mlpcw.study.runs.train import train

    for key in ARMS:
        arm = chapters.find("full", key, EPOCHS)
        train(arm, SEED_2016)
    print(peak_mib())


def peak_mib():
    """Peak of the resident memory of this process, MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # `ru_maxrss` would count what the parent had before this process began
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB  # bytes on macOS


def memory_figures(images):
    # Here, since it loads PyTorch where that is installed: the process below must not.
    from training import optimiser

    set_mib = images.split("train")[0].nbytes / _MIB
    yield Figure(name="training_set", work="the training images", value=set_mib, unit="MiB")
    if mnist.available():
        peak = float(run(__file__, "--train"))
        work = f"peak of resident memory of a process that trains {', '.join(ARMS)}"
        work += f", {EPOCHS} epochs each"
        yield Figure(name="peak", work=work, value=peak, unit="MiB", at_most=PEAK_MIB)
    ours = optimiser(images, "float32")
    ours.do_training_epoch()
    tracemalloc.start()
    ours.do_training_epoch()
    new = tracemalloc.get_traced_memory()[1] / _MIB
    tracemalloc.stop()
    yield Figure(
        name="epoch_memory",
        work="peak of the memory that one epoch asks for (no copy of the training images)",
        value=new,
        unit="MiB",
        at_most=SHARE_OF_SET * set_mib,
    )


def compilation_figures():
    """Seconds of the first calls of all kernels, compiled and found on disk; none without them."""
    script = str(Path(__file__).with_name("compiled.py"))
    with tempfile.TemporaryDirectory() as folder:
        first, later = (
            json.loads(run(script, "--first-calls", NUMBA_CACHE_DIR=folder)) for _ in range(2)
        )
        if not any(Path(folder).rglob("*.nbc")):
            return
    for name, work, seconds in (
        ("compile", "first calls of all kernels, compiled, once a machine", first["calls"]),
        ("load", "first calls of all kernels, found on disk, once a process", later["calls"]),
        ("import_numba", "`import numba`, at the first call of a kernel", later["import"]),
    ):
        yield Figure(name=name, work=work, value=seconds, unit="s")


def measure(images):
    """All figures."""
    return [*import_figures(), *memory_figures(images), *compilation_figures()]


if __name__ == "__main__":
    if sys.argv[1:] == ["--train"]:
        train_and_print_peak()
    else:
        from training import load_images

        for each in measure(load_images()):
            print(f"    {each.work}: {each.value:.3g} {each.unit}")
