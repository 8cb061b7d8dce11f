"""What a process costs: imports, memory, the first compilation, each in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
from timing import number

from mlpcw import augmenters, compiled, mnist

IMPORTS = 10
MODULES = "optimisers models layers learning_rules errors penalties initialisers data_providers"
TRAINING = [f"mlpcw.{name}" for name in [*MODULES.split(), "augmenters"]]
IMPORT_SECONDS = 0.3
ARMS, EPOCHS = ("part1/none", "part2/random_distortion", "part3/cnn_5x5"), 3
PEAK_MIB, SHARE_OF_SET = 600, 0.1
MIB = 2**20


def run(*arguments, **environment):
    """What a new Python prints, with one BLAS thread."""
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | threads | environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def numbers(images, rates):
    """All numbers; `rates` is not used."""
    yield from import_numbers()
    yield from memory_numbers(images)
    yield from compilation_numbers()


def import_numbers():
    for name, meaning, modules, most in (
        ("import_mlpcw", "`import mlpcw`", ["mlpcw"], IMPORT_SECONDS),
        ("import_training", "import of all modules that training needs", TRAINING, IMPORT_SECONDS),
        ("import_numpy", "of these, `import numpy`", ["numpy"], None),
    ):
        code = f"from time import perf_counter as now; start = now(); import {', '.join(modules)}"
        seconds = min(float(run("-c", f"{code}; print(now() - start)")) for _ in range(IMPORTS))
        yield number(name, meaning, seconds, "s", most)


def memory_numbers(images):
    # Here, since it loads PyTorch where that is installed: the processes below must not.
    from training import affine

    set_mib = images.split("train")[0].nbytes / MIB
    yield number("training_set", "the training images", set_mib, "MiB")
    if mnist.available():
        meaning = "peak of resident memory of a process that trains"
        meaning += f" {', '.join(ARMS)}, {EPOCHS} epochs each"
        yield number("peak", meaning, float(run(__file__, "--train")), "MiB", PEAK_MIB)
    optimiser = affine(images, "float32")
    optimiser.do_training_epoch()
    tracemalloc.start()
    optimiser.do_training_epoch()
    new = tracemalloc.get_traced_memory()[1] / MIB
    tracemalloc.stop()
    meaning = "peak of the memory that one epoch asks for (no copy of the training images)"
    yield number("epoch_memory", meaning, new, "MiB", SHARE_OF_SET * set_mib)


def compilation_numbers():
    """Seconds of the first calls of what training compiles; none without Numba."""
    if not compiled.enabled():
        return
    with tempfile.TemporaryDirectory() as folder:
        first, later = (
            json.loads(run(__file__, "--first-calls", NUMBA_CACHE_DIR=folder)) for _ in range(2)
        )
    for name, meaning, seconds in (
        ("compile", "first calls of kernels, compiled, once a machine", first["calls"]),
        ("load", "first calls of kernels, loaded from disk, once a process", later["calls"]),
        ("import_numba", "`import numba`, at the first call of a kernel", later["import"]),
    ):
        yield number(name, meaning, seconds, "s")


# ---- In processes of their own ----------------------------------------------------------------


def train_and_print_peak():
    """Trains a run of each part in this process and prints its peak of memory, MiB."""
    from mlpcw.study import chapters
    from mlpcw.study.records.arms import SEED_2016
    from mlpcw.study.runs.train import train

    for key in ARMS:
        train(chapters.find("full", key, EPOCHS), SEED_2016)
    status = Path("/proc/self/status")
    if status.exists():  # `ru_maxrss` would count what the parent had before this process began
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        print(int(lines["VmHWM"].split()[0]) / 1024)
    else:
        import resource

        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB)  # bytes on macOS


def print_first_calls():
    """Prints the seconds of importing Numba, and those that first calls take beyond second ones."""
    start = time.perf_counter()
    import numba  # noqa: F401

    imported = time.perf_counter() - start
    first, second = call_all(), call_all()
    print(json.dumps({"import": imported, "calls": first - second}))


def call_all():
    """Seconds of what training compiles: an update of each network, and the augmenters."""
    from training import affine, convolutional

    start = time.perf_counter()
    images, rng = mnist.digits(), np.random.default_rng(1)
    for network in (affine, convolutional):
        optimiser = network(images, "float32")
        optimiser.train_dataset = [next(optimiser.train_dataset)]
        optimiser.do_training_epoch()
    batch = rng.random((100, 28, 28), dtype="float32")
    for transform in (
        augmenters.random_distortion,
        augmenters.random_rotation,
        augmenters.random_shift,
    ):
        transform(batch, rng)
    return time.perf_counter() - start


if __name__ == "__main__":
    {"--train": train_and_print_peak, "--first-calls": print_first_calls}[sys.argv[1]]()
