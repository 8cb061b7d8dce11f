"""Measure everything in turn, keep it in `results/performance.json`, and print it as a table.

Run as `make bench`, or as `python benchmarks/performance.py --only training convolution` to measure
some sections anew and keep the others. Best on a machine that does nothing else: about ten minutes.
Libraries that are not installed are left out, by name.
"""

import argparse
import datetime
import importlib.metadata
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import augmentation
import compiled
import convnet
import convolution
import numpy as np
import processes
import scaling
import training
import workers
from threadpoolctl import threadpool_limits
from timing import best_times

from mlpcw import mnist
from mlpcw.compiled import enabled
from mlpcw.study.original import published as replay
from mlpcw.study.pages import measurements as kept
from mlpcw.study.pages.measurements import (
    LIBRARIES,
    LIMITS,
    OF_2016,
    PLAIN,
    PYTORCH,
    Figure,
    Measurements,
    Row,
    Section,
)
from mlpcw.study.pages.performance import seconds_text, verdicts
from mlpcw.study.pages.stored import open_store
from mlpcw.study.records import provenance
from mlpcw.study.records.arms import PARTS
from mlpcw.study.records.store import State
from mlpcw.study.runs.executors import num_cores

PACKAGES = ("numba", "torch", "opencv-python-headless", "albumentations", "scikit-learn")
OPTIONAL = {"PyTorch": "torch", "OpenCV": "cv2", "albumentations": "albumentations"}
OPTIONAL |= {"Numba": "numba"}
NETWORK = f"one epoch, {'-'.join(map(str, training.DIMS))}, batch {training.BATCH_SIZE}, momentum"
NETWORK += f", {training.NUM_IMAGES} images"
FUSED = 1.15  # a fused step that earns less than this does not stay
MOST_OF_TWO = 2.05  # a higher ratio of two workers to one is no truth about them
FAITHFUL_SECONDS = 15 * 60
COPY, COPIED = "copy, GB/s", 2**28  # bytes
_NOISE = (
    "drawing the noise, blurring it and reading the image take about equal parts, and the other"
    " does all of its work in compiled code too; other layouts of the noise gained less than they"
    " cost"
)
_LOOPS = (
    "compiled loops use half the width of the processor's vectors, and copying images into their"
    " layout and back takes time of its own; two maps at once, other numbers of taps and images as"
    " flat rows were no faster"
)
BOUNDS = {
    ("epoch, float32", "SGEMM's speed"): "its products are of 50 rows, which BLAS multiplies more"
    " slowly than large matrices, and the momentum and the images of a batch are read and written"
    " once; other orders of the weights in memory, and blocks of them, were no faster",
    ("8 runs, two workers", "one worker"): "what the cores share, and other work on the machine",
    ("rotation, float32", "SciPy"): "nearly all of it is reading the image, whose look-ups the"
    " compiler does not do in vectors, as it cannot know that arrays do not overlap; coordinates in"
    " float32 would be faster and miss the agreement of 1e-6, and pairs of pixels side by side were"
    " no faster",
    ("distortion, float32", "albumentations"): _NOISE,
    ("distortion, float32", "albumentations, uniform"): _NOISE,
    ("1 → 1, 5 × 5, float32", "report's loop"): _LOOPS,
    ("1 → 1, 10 × 10, float32", "report's loop"): _LOOPS,
    ("1 → 1, 15 × 15, float32", "report's loop"): _LOOPS,
    ("1 → 8, 5 × 5, float32", "PyTorch"): "half of it is copying patches of the images; compiled"
    " copying and the compiled loops of fewer maps were no faster",
    ("16 → 32, 5 × 5, all three, float32", "PyTorch"): "products of matrices are two thirds of it"
    " and copying patches most of the rest, which PyTorch need not do; patches in blocks of 128 KiB"
    " to 2 MiB were tried, and compiled loops without products",
}
"""What bounds a row, by its label and what it is beside; the page says it where the row misses."""

GEMMS = {"float32": "SGEMM, GFLOP/s", "float64": "DGEMM, GFLOP/s"}


def digits(value, number=4):
    """A number to its first digits: no more of them are the same in the next measurement."""
    return None if value is None else float(f"{value:.{number}g}")


def row(label, work, per, seconds, beside, to_reach=None, share=None, **more):
    """A row, its numbers to four digits.

    Args:
        label, work, per, to_reach, share: As of `Row`.
        seconds: Ours and the other's.
        beside: Group and name of the other.
        more: Further fields.
    """
    ours_s, other_s = seconds
    group, other = beside
    numbers = dict(ours_s=digits(ours_s), other_s=digits(other_s), to_reach=digits(to_reach))
    numbers |= dict(ratio=digits(other_s / ours_s), share=digits(share))
    names = dict(label=label, work=work, per=per, group=group, other=other)
    return Row(**names, **numbers, **more, bound=BOUNDS.get((label, other), ""))


# ---- The machine ------------------------------------------------------------------------------


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
    """The machine's own limits, on one thread: products of large matrices, a large copy."""
    times = {}
    for dtype, name in GEMMS.items():
        product, _ = training.limit(dtype)
        times[name] = 2 * training.LIMIT_DIM**3 / best_times({name: product})[name] / 1e9
    source, target = np.ones((2, COPIED // 8))
    copy = best_times({"copy": lambda: np.copyto(target, source)})["copy"]
    return times | {COPY: 2 * COPIED / copy / 1e9}


def skipped(*names):
    """A sentence for each library that is not installed."""
    return [
        f"{name} is not installed"
        for name in names
        if importlib.util.find_spec(OPTIONAL[name]) is None
    ]


# ---- The sections -------------------------------------------------------------------------------
# Each function takes the images and the machine's limits, and returns the fields of a section that
# it fills.


def measure_training(images, found):
    rows = []
    for dtype in ("float32", "float64"):
        rows += training_rows(training.measure(images, dtype), dtype)
    rows += step_rows("float32")
    rows += scikit_rows(images)
    return dict(rows=rows, skipped=skipped("PyTorch"))


def training_rows(times, dtype):
    """Rows of the report's network, of what was timed."""
    single = dtype == "float32"
    gemm = "SGEMM" if single else "DGEMM"
    epoch, both, faithful = "mlpcw", "mlpcw, L1 + L2", "mlpcw, faithful"
    labels = {epoch: "epoch", both: "epoch, L1 + L2", faithful: "epoch + statistics"}
    for name, group, key, other, to_reach in (
        (epoch, PYTORCH, "PyTorch", "PyTorch", 2.5 if single else None),
        (both, PYTORCH, "PyTorch, L1 + L2", "PyTorch", 3.0 if single else None),
        (faithful, OF_2016, "course, faithful", "the course", 1.8),
        (epoch, LIMITS, "limit", f"{gemm}'s speed", 0.5 if single else None),
        (both, LIMITS, epoch, "no penalty", 1 / 1.2 if single else None),
        (epoch, PLAIN, "not compiled", "no compiled kernel", None),
        (both, PLAIN, "not compiled, L1 + L2", "no compiled kernel", None),
        (epoch, PLAIN, "in place", "in-place NumPy", FUSED),
        (epoch, PLAIN, "general path", "general path", FUSED),
    ):
        if name not in times or key not in times:
            continue
        share = times["limit"] / times[epoch] if name == epoch else None
        work = NETWORK + labels[name].removeprefix("epoch")
        yield row(
            f"{labels[name]}, {dtype}",
            f"{work}, {dtype}",
            "epoch",
            (times[name], times[key]),
            (group, other),
            to_reach,
            share,
            share_of=gemm if share else "",
        )


def step_rows(dtype):
    """Rows of the parts of a step, each beside the way that it is not done."""
    times = training.time_tricks(dtype)
    for other, ours in zip([*times][::2], [*times][1::2], strict=True):
        work = f"{ours}, part of a step, {training.DIMS[0]} x {training.DIMS[1]} weights, {dtype}"
        yield row(ours, work, "update", (times[ours], times[other]), (PLAIN, other))


def scikit_rows(images):
    import scikit  # loads half of scikit-learn

    times = scikit.measure(images)
    pair = times["mlpcw"], times["scikit-learn"]
    yield row("epoch, float32", f"{NETWORK}, float32", "epoch", pair, (LIBRARIES, "scikit-learn"))


def measure_convnet(images, found):
    times = convnet.measure(images)
    rows = []
    if "PyTorch" in times:
        work = f"one epoch, {convnet.NUM_MAPS} maps 5 x 5, ReLU, 2 x 2 max-pooling, affine"
        work += f" {convnet.HIDDEN_DIM}, ReLU, affine {convnet.NUM_CLASSES}, batch"
        work += f" {convnet.BATCH_SIZE}, {convnet.NUM_IMAGES} images, float32"
        share = convnet.EPOCH_FLOPS / times["mlpcw"] / 1e9 / found[GEMMS["float32"]]
        rows.append(
            row(
                "convolutional epoch, float32",
                work,
                "epoch",
                (times["mlpcw"], times["PyTorch"]),
                (PYTORCH, "PyTorch"),
                1.2,
                share=share,
                share_of="SGEMM",
            )
        )
    return dict(rows=rows, skipped=skipped("PyTorch"))


def of_script(each, label, per, **more):
    """A row of a script of its own, whose times are in µs or ms."""
    unit, suffix = (1e-6, "us") if "ours_us" in each else (1e-3, "ms")
    pair = each[f"ours_{suffix}"] * unit, each[f"other_{suffix}"] * unit
    other = each["other"].removeprefix("the ")
    group = group_of(other)
    work = f"{each['work']}, {each['dtype']}"
    return row(label, work, per, pair, (group, other), each["to_reach"], **more)


def group_of(other):
    """The kind of what a script compares ours with."""
    for group, names in (
        (PYTORCH, ("PyTorch",)),
        (LIBRARIES, ("albumentations", "OpenCV")),
        (OF_2016, ("SciPy", "report's loop")),
    ):
        if other.startswith(names):
            return group
    return PLAIN


def measure_augmentation(images, found):
    rows, figures = [], []
    for each in augmentation.rows():
        label = each["work"].split(",")[0].removeprefix("elastic ") + f", {each['dtype']}"
        # The image is read and written; a distortion also draws two fields of its size.
        arrays = 4 if each["work"].startswith("elastic") else 2
        copied = arrays * augmentation.SIDE**2 * np.dtype(each["dtype"]).itemsize
        share = copied / each["ours_us"] / 1e3 / found[COPY]
        rows.append(of_script(each, label, "image", share=share, share_of="a copy"))
        if each["work"].startswith("elastic") and each["dtype"] == "float32" and not figures:
            work = f"{each['work']}, float32, an image"
            value = digits(each["ours_us"])
            figures.append(
                Figure(name="distortion", work=work, value=value, unit="µs", at_most=12.0)
            )
    return dict(rows=rows, figures=figures, skipped=skipped("PyTorch", "albumentations", "OpenCV"))


def measure_convolution(images, found):
    rows = []
    for each in convolution.rows():
        label, flops = of_convolution(each["work"])
        more = {}
        if flops:
            gemm = GEMMS[each["dtype"]]
            more["share"] = flops / each["ours_ms"] / 1e6 / found[gemm]
            more["share_of"] = gemm.split(",")[0]
        rows.append(of_script(each, f"{label}, {each['dtype']}", "batch", **more))
    return dict(rows=rows, skipped=skipped("PyTorch"))


def of_convolution(work):
    """Short name of a row's work, and its operations; 0 where it is no convolution alone."""
    found = re.match(r"(\d+) images (\d+) x \d+, (\d+) -> (\d+), kernel (\d+) x \d+, (.*)", work)
    if not found:
        return work.split(",")[0].split(" of 1")[0], 0
    *numbers, operations = found.groups()
    batch_size, size, num_inputs, num_outputs, kernel_size = map(int, numbers)
    products = batch_size * num_inputs * num_outputs * (size - kernel_size + 1) ** 2
    num_operations = operations.count("+") + 1
    label = f"{num_inputs} → {num_outputs}, {kernel_size} × {kernel_size}"
    label += ", all three" if num_operations == 3 else ""
    return label, 2 * products * kernel_size**2 * num_operations


def measure_kernels(images, found):
    rows = [
        row(name, f"{name}, {compiled.DTYPE}", "call", pair, (PLAIN, "NumPy's way"))
        for name, pair in compiled.measure().items()
    ]
    return dict(rows=rows, skipped=skipped("Numba"))


def measure_workers(images, found):
    if num_cores() < 2:
        return dict(skipped=["Two workers are not measured: there is one core"])
    times = workers.measure()
    if times[1] / times[2] > MOST_OF_TWO:
        return dict(skipped=["Two workers are not shown: other work disturbed the one"])
    work = f"{workers.NUM_RUNS} runs in two processes, by the clock"
    pair, beside = (times[2], times[1]), (LIMITS, "one worker")
    return dict(rows=[row("8 runs, two workers", work, "sweep", pair, beside, 1.85)])


def measure_scaling(images, found):
    series = scaling.affine_series(images) + scaling.convolution_series()
    return dict(series=[rounded(each) for each in series])


def rounded(series):
    """A series, its times to four digits."""
    lines = [
        kept.Line(name=each.name, x=each.x, y=tuple(map(digits, each.y)), chosen=each.chosen)
        for each in series.lines
    ]
    return kept.Series(
        title=series.title, x_label=series.x_label, y_label=series.y_label, lines=tuple(lines)
    )


def measure_processes(images, found):
    figures = [
        Figure(
            name=each.name,
            work=each.work,
            value=digits(each.value),
            unit=each.unit,
            at_most=digits(each.at_most),
        )
        for each in processes.measure(images)
    ]
    return dict(figures=figures)


def measure_records(images, found):
    """What the stored runs of 2016 took, spread over the cores of this machine."""
    runs = open_store("full").find_all(part for part in PARTS if part != "starts")
    lacking = [each for each in runs if each.state is not State.DONE]
    if lacking:
        return dict(skipped=[f"{len(lacking)} runs of 2016 are not stored"])
    cpu = sum(each.record["seconds"]["cpu"] for each in runs) / num_cores()
    return of_all_runs(cpu, len(runs), "by the times in their records")


def measure_faithful(images, found):
    """Trains all runs of 2016 anew, by the clock; fails where printed digits are not the same."""
    if not mnist.available():
        return dict(skipped=["The runs of 2016 are not measured: MNIST is not there"])
    num_runs = sum(arm.part != "starts" for arm in open_store("full").arms)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, "-m", "mlpcw", "replay", "--results", folder]
        ended = subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
    if ended.returncode:
        return dict(skipped=[f"The runs of 2016 failed, with exit status {ended.returncode}"])
    return of_all_runs(seconds, num_runs, "from nothing, by the clock, digits checked")


def of_all_runs(seconds, num_runs, how):
    """Row and figure of all runs of 2016."""
    then = replay.seconds_2016()
    work = f"all {num_runs} runs of 2016 on {num_cores()} cores, {how}"
    of_logs = f"laptop, {len(replay.log_names())} logs"
    minutes = Figure(
        name="all_runs",
        work=work,
        value=digits(seconds / 60),
        unit="min",
        at_most=FAITHFUL_SECONDS / 60,
    )
    return dict(
        rows=[row("all runs of 2016", work, "replay", (seconds, then), (OF_2016, of_logs))],
        figures=[minutes],
    )


MEASURES = {
    "training": measure_training,
    "convnet": measure_convnet,
    "augmentation": measure_augmentation,
    "convolution": measure_convolution,
    "kernels": measure_kernels,
    "workers": measure_workers,
    "scaling": measure_scaling,
    "processes": measure_processes,
    "records": measure_records,
    "faithful": measure_faithful,
}
ON_DEMAND = ("faithful",)


# ---- All of it ----------------------------------------------------------------------------------


def measure(name, images, command):
    """One section."""
    print(f"== {kept.SECTIONS[name]}", flush=True)
    load, start = os.getloadavg()[0], time.perf_counter()
    with threadpool_limits(limits=1):
        found = {limit: digits(value) for limit, value in limits().items()}
        values = MEASURES[name](images, found)
    section = Section(
        commit=provenance.commit(),
        command=command,
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M"),
        seconds=digits(time.perf_counter() - start, 3),
        load=(load, os.getloadavg()[0]),
        machine=machine(images),
        limits=found,
        **{field: tuple(value) for field, value in values.items()},
    )
    print_section(section)
    return section


def print_section(section):
    for each in section.rows:
        target = "" if each.met is None else f"  {'met' if each.met else 'MISSED'}"
        target += f" ({each.to_reach:.3g} x)" if target else ""
        print(f"  {each.work}\n    ours {seconds_text(each.ours_s)}, {each.other}", end=" ")
        print(f"{seconds_text(each.other_s)}: {each.ratio:.3g} x{target}")
    for each in section.figures:
        target = "" if each.met is None else f"  {'met' if each.met else 'MISSED'}"
        target += f" (at most {each.at_most:.3g} {each.unit})" if target else ""
        print(f"  {each.work}: {each.value:.3g} {each.unit}{target}")
    for series in section.series:
        slopes = ", ".join(f"{line.name} {line.slope:.2f}".strip() for line in series.lines)
        print(f"  {series.title}: slope {slopes}")
    for sentence in section.skipped:
        print(f"  skipped: {sentence}")
    print(f"  ({section.seconds:.0f} s, load {section.load[0]:.1f} to {section.load[1]:.1f})")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", nargs="+", choices=MEASURES, metavar="SECTION", help=", ".join(MEASURES)
    )
    parser.add_argument(
        "--faithful", action="store_true", help="train all runs of 2016 anew too: many minutes"
    )
    parser.add_argument("--output", type=Path, default=kept.default_path(), help="the JSON file")
    return parser.parse_args()


def main():
    given = arguments()
    names = given.only or [name for name in MEASURES if name not in ON_DEMAND]
    names += [name for name in ON_DEMAND if given.faithful and name not in names]
    sections = {}
    if given.output.exists():
        try:
            sections = kept.read(given.output).sections
        except kept.MeasurementsError as error:
            if given.only:
                sys.exit(str(error))  # what is not measured now would be lost
    if training.torch is not None:
        training.torch.set_num_threads(1)
    images = training.load_images()
    command = shlex.join(["python", "benchmarks/performance.py", *sys.argv[1:]])
    for name in names:
        sections[name] = measure(name, images, command)
        kept.write(Measurements(schema=kept.SCHEMA, sections=sections), given.output)
    found = verdicts(Measurements(schema=kept.SCHEMA, sections=sections))
    print(f"{sum(found)} of {len(found)} targets are reached; kept in {given.output}")


if __name__ == "__main__":
    main()
