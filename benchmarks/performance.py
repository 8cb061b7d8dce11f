"""Measure speeds, print them, and keep them in `results/performance.json`.

Run as `make bench`, or as `python benchmarks/performance.py --only training convolution` to measure
some sections again and keep the others. Best on a machine that does nothing else: about ten
minutes. Libraries that are not installed are left out, by name.
"""

import argparse
import datetime
import importlib.metadata
import importlib.util
import os
import shlex
import sys
import time
from pathlib import Path

import augmentation
import convolution
import numpy as np
import processes
import scaling
import training
from threadpoolctl import threadpool_limits
from timing import Peer, best_times, digits, number, row

from mlpcw.compiled import enabled
from mlpcw.study.original import published
from mlpcw.study.pages import measurements as kept
from mlpcw.study.pages import performance as page
from mlpcw.study.pages.measurements import Measurements, Number, Row, Section, Series, Work
from mlpcw.study.pages.stored import open_store
from mlpcw.study.records import provenance
from mlpcw.study.records.arms import PARTS
from mlpcw.study.records.store import State
from mlpcw.study.runs.executors import num_cores

PACKAGES = ("numba", "torch", "opencv-python-headless", "albumentations", "scikit-learn")
MODULES = {"PyTorch": "torch", "OpenCV": "cv2", "albumentations": "albumentations"}
MODULES |= {"Numba": "numba"}
COPIED = 2**28  # bytes
FAITHFUL_MINUTES = 15


def record_findings(images, rates):
    """What the stored runs of 2016 took, spread over the cores of this machine."""
    runs = open_store("full").find_all(part for part in PARTS if part != "starts")
    missing = sum(run.state is not State.DONE for run in runs)
    if missing:
        yield f"{missing} runs of 2016 are not stored"
        return
    cores = num_cores()
    seconds = sum(run.record["seconds"]["cpu"] for run in runs) / cores
    shape = f"{len(runs)} runs on {cores} cores, by the times in their records"
    work = Work(subject="all runs of 2016", shape=shape, dtype="float64", per="replay")
    peer = Peer(f"laptop, {len(published.log_names())} logs", "2016", lambda: None)
    yield row(work, seconds, peer, published.seconds_2016())
    meaning = f"all runs of 2016: {shape}"
    yield number("all_runs", meaning, seconds / 60, "min", FAITHFUL_MINUTES)


MEASURES = {  # function, and optional libraries that it uses
    "training": (training.rows, ("PyTorch",)),
    "convnet": (training.convolutional_rows, ("PyTorch",)),
    "augmentation": (augmentation.rows, ("PyTorch", "albumentations", "OpenCV")),
    "convolution": (convolution.rows, ("PyTorch",)),
    "kernels": (convolution.kernel_rows, ("Numba",)),
    "scaling": (scaling.series, ()),
    "processes": (processes.numbers, ()),
    "records": (record_findings, ()),
}
"""Name of a section to what measures it; a function takes the images and the limits of the machine
by name, in operations or bytes a second, and yields rows, numbers, series, and sentences about what
it leaves out."""


def machine(images):
    """Facts about the machine, and versions."""
    origin = provenance.machine(enabled()) | {"data": images.name, "data_digest": images.digest}
    facts = {name: str(value) for name, value in origin.items()}
    facts["cores"] = str(num_cores())
    for name in PACKAGES:
        try:
            facts[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            facts[name] = "not installed"
    return facts


def limits():
    """The limits of the machine on one thread: products of large matrices, a large copy."""
    size = training.LIMIT_DIM
    for dtype, name in training.GEMMS.items():
        left = np.random.default_rng(1).random((size, size)).astype(dtype)
        product = np.empty_like(left)
        (seconds,) = best_times([lambda left=left, out=product: np.dot(left, left, out=out)])
        meaning = "products of large matrices, one core"
        yield number(name, meaning, 2e-9 * size**3 / seconds, "GFLOP/s")
    source, target = np.ones((2, COPIED // 8))
    (seconds,) = best_times([lambda: np.copyto(target, source)])
    yield number("copy", "a large copy, one core", 2e-9 * COPIED / seconds, "GB/s")


def measure(name, images, command):
    """One section."""
    print(f"== {kept.SECTIONS[name]}", flush=True)
    function, libraries = MEASURES[name]
    load, start = os.getloadavg()[0], time.perf_counter()
    with threadpool_limits(limits=1):
        found = tuple(limits())
        findings = list(function(images, {limit.name: 1e9 * limit.value for limit in found}))
    missing = [each for each in libraries if importlib.util.find_spec(MODULES[each]) is None]
    findings += [f"{each} is not installed" for each in missing]
    rows, numbers, series, skipped = (
        tuple(each for each in findings if isinstance(each, kind))
        for kind in (Row, Number, Series, str)
    )
    facts = machine(images)
    section = Section(
        commit=provenance.commit(),
        command=command,
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M"),
        seconds=digits(time.perf_counter() - start),
        load=(load, os.getloadavg()[0]),
        machine=facts,
        limits=found,
        rows=rows,
        numbers=numbers,
        series=series,
        skipped=skipped,
    )
    measured = Measurements(schema=kept.SCHEMA, sections={name: section})
    texts = page.texts(measured)
    for text, shown in (
        (page.table(measured, tuple(kept.KINDS)), rows),
        (texts["perf_numbers"], numbers),
        (texts["perf_slopes"], series),
        ("\n".join(skipped), skipped),
    ):
        if shown:
            print(text)
    print(f"({section.seconds:.0f} s, load {load:.1f} to {section.load[1]:.1f})")
    return section


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", nargs="+", choices=MEASURES, metavar="SECTION", help=", ".join(MEASURES)
    )
    parser.add_argument("--output", type=Path, default=kept.default_path(), help="the JSON file")
    given = parser.parse_args()
    sections = {}
    if given.output.exists():
        try:
            sections = dict(kept.read(given.output).sections)
        except kept.MeasurementsError as error:
            if given.only:
                sys.exit(str(error))  # sections that are not measured now would be lost
    images = training.load_images()
    command = shlex.join(["python", "benchmarks/performance.py", *sys.argv[1:]])
    for name in given.only or MEASURES:
        sections[name] = measure(name, images, command)
        kept.write(Measurements(schema=kept.SCHEMA, sections=sections), given.output)
    found = page.verdicts(Measurements(schema=kept.SCHEMA, sections=sections))
    print(f"{sum(found)} of {len(found)} targets are reached; kept in {given.output}")


if __name__ == "__main__":
    main()
