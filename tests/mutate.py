"""Tries mutants: puts one fault after another into the library and sees whether the tests fail.

A mutant runs in a fork of a process that has loaded the large packages, on a copy of the package.
The tests of its subject run until the first fails; more than five times the usual time also counts
as killed. Kernels run as plain Python in the file of a mutant.

Outcomes are remembered in `_build/mutants.jsonl` for as long as the file and, for survivors, the
tests stay as they are, so the command may be interrupted. At the end the counts are kept in
`results/trust/mutants.json`, each survivor with the reason that `mutants.toml` has for it.
"""

import argparse
import ast
import collections
import hashlib
import importlib
import json
import os
import re
import resource
import shutil
import signal
import sys
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before NumPy is loaded, which counts them then
ROOT = Path(__file__).resolve().parents[1]
SCRATCH = ROOT / "_build" / "mutants"
sys.path.insert(0, str(ROOT / "tests" / "support"))
os.environ["NUMBA_CACHE_DIR"] = str(SCRATCH / "numba")
os.environ["MLPCW_PROBES"] = ""

import hypothesis  # noqa: E402
import mutation  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

MEMORY = ROOT / "_build" / "mutants.jsonl"
REASONS = ROOT / "tests" / "mutants.toml"
SEED = 24102016


class Subject(NamedTuple):
    """Files and folders of the package that are mutated, and those of the tests that must fail.

    `layers` stands for `layers.py` and all files in `layers/`, as a test for `test_layers.py` and
    all in `layers/`. With `twice` the tests run again with the kernels switched off.
    """

    modules: str
    tests: str
    twice: bool = False

    def sources(self):
        return mutation.files_of(self.modules)

    def test_files(self):
        return sorted(
            path
            for name in self.tests.split()
            for pattern in (f"*/test_{name}.py", f"unit/{name}/test_*.py")
            for path in (ROOT / "tests").glob(pattern)
        )


SUBJECTS = {
    "augmenters": Subject("augmenters", "augmenters compiled", twice=True),
    "conv": Subject("conv", "conv layers", twice=True),
    "data_providers": Subject("data_providers data/batches", "data_providers drop_in"),
    "errors": Subject("errors", "errors"),
    "fused": Subject("fused fusible passes updates", "fused optimisers", twice=True),
    "kernels": Subject("compiled kernels step_kernels", "compiled fused conv layers augmenters"),
    "layers": Subject("layers", "layers models precision", twice=True),
    "learning_rules": Subject("learning_rules", "learning_rules drop_in"),
    "penalties": Subject("penalties", "penalties"),
    "study/records": Subject("study/records", "records"),
    "study/runs": Subject("study/runs", "runs"),
}
KERNEL = re.compile(r"^@(compiled\.)?kernel\b", re.MULTILINE)
# Left out where kernels are plain Python: tests of compilation, and one that takes long.
COMPILING = ["told_once", "compiled_all_the_same", "kept_anew", "sizes_of_a_network"]

PRELOADED = """
    scipy.linalg scipy.ndimage scipy.signal scipy.special sklearn.datasets sklearn.metrics
    hypothesis.strategies hypothesis.internal.conjecture.engine threadpoolctl tqdm pooch msgspec
    concurrent.futures.process multiprocessing.context numba
"""


def copy_checkout(path, tree, folder):
    """Makes a checkout with another source for one file; child processes of a test load that."""
    for entry in ROOT.iterdir():
        if entry.name != "mlpcw":
            (folder / entry.name).symlink_to(entry)
    caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "mlpcw", folder / "mlpcw", ignore=caches)
    (folder / path.relative_to(ROOT)).write_text(ast.unparse(tree), "utf-8")


def run(subject, path, tree, limit):
    """Runs the tests of a subject in a fork.

    Args:
        subject: A `Subject`.
        path: The file to change.
        tree: The syntax tree that replaces its source; `None` for the source itself.
        limit: Seconds of CPU time before the fork is stopped. By the clock, the same and a minute.

    Returns:
        "survived", "killed" or "timed out", and the CPU time.
    """
    seconds = 0.0
    for compiled in ("1", "0") if subject.twice else ("1",):
        outcome, more = _run(subject, path, tree, limit, compiled)
        seconds += more
        if outcome != "survived":
            break
    return outcome, seconds


def _run(subject, path, tree, limit, compiled):
    deadline = time.monotonic() + 60 + limit
    child = os.fork()
    if child == 0:
        try:
            os.environ["MLPCW_COMPILED"] = compiled
            os._exit(_run_tests(subject, path, tree, limit))
        except BaseException:  # a mutant may do anything
            os._exit(1)
    done, late = 0, False
    while not done:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if not done and not late and time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            late = True
        time.sleep(0.02)
    shutil.rmtree(SCRATCH / str(os.getpid()), ignore_errors=True)
    stopped = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
    outcome = "timed out" if late or stopped else "survived" if status == 0 else "killed"
    return outcome, usage.ru_utime + usage.ru_stime


def _run_tests(subject, path, tree, limit):
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (int(limit) + 1, int(limit) + 1))
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    # No search for the smallest example of a failure: one is enough.
    options = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
    options += ["--hypothesis-profile=mutants"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what is loaded already
    if KERNEL.search(path.read_text("utf-8")):
        import numba

        numba.config.DISABLE_JIT = True
        options += ["-k", "not (" + " or ".join(COMPILING) + ")"]
    if tree is not None:
        # The same name each time, as Numba looks up by path what it has compiled.
        folder = SCRATCH / str(os.getppid())
        folder.mkdir(parents=True)
        copy_checkout(path, tree, folder)
        sys.path.insert(0, str(folder))
        os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), str(ROOT / "tests" / "support")])
    return pytest.main([*options, *map(str, subject.test_files())])


class Memory:
    """Outcomes by subject and mutant that still hold, as JSON lines in a file."""

    def __init__(self):
        lines = MEMORY.read_text("utf-8").splitlines() if MEMORY.exists() else []
        entries = map(json.loads, lines)
        self._entries = {(entry["module"], entry["mutant"]): entry for entry in entries}

    def find(self, name, mutant, path):
        entry = self._entries.get((name, mutant))
        now = self._digests(name, path)
        if not entry or entry["source"] != now["source"]:
            return None
        holds = entry["outcome"] != "survived" or entry["tests"] == now["tests"]
        return entry["outcome"] if holds else None

    def add(self, name, mutant, path, outcome):
        entry = dict(module=name, mutant=mutant, outcome=outcome) | self._digests(name, path)
        self._entries[name, mutant] = entry
        MEMORY.parent.mkdir(exist_ok=True)
        with MEMORY.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def _digests(self, name, path):
        support = [ROOT / "tests" / "support" / file for file in ("support.py", "reference.py")]
        files = {"source": [path], "tests": [*SUBJECTS[name].test_files(), *support]}
        return {
            key: hashlib.sha256(b"".join(file.read_bytes() for file in of_key)).hexdigest()[:16]
            for key, of_key in files.items()
        }


def try_all(name, number, memory):
    """Tries the mutants of a subject, or a number of them drawn by a seed; returns its row."""
    subject, count = SUBJECTS[name], collections.Counter()
    mutants = {
        mutant: (path, make)
        for path in subject.sources()
        for mutant, make in mutation.mutants_of(path.read_text("utf-8"), count).items()
    }
    drawn = sorted(mutants)
    if number and number < len(drawn):
        chosen = np.random.RandomState(SEED).choice(len(drawn), number, replace=False)
        drawn = [drawn[index] for index in sorted(chosen)]
    limits = {}
    for mutant in drawn:
        path, make = mutants[mutant]
        if memory.find(name, mutant, path) is None:
            if path not in limits:
                limits[path] = usual_limit(name, path)
            outcome, seconds = run(subject, path, make(), limits[path])
            memory.add(name, mutant, path, outcome)
            print(f"{outcome:9} {seconds:5.1f} s  {name}: {mutant}", flush=True)
    # Mutants that an earlier run has tried count too.
    outcomes = {mutant: memory.find(name, mutant, path) for mutant, (path, _) in mutants.items()}
    reasons = tomllib.loads(REASONS.read_text("utf-8")).get(name, {})
    survived = sorted(mutant for mutant, outcome in outcomes.items() if outcome == "survived")
    return {
        "possible": len(mutants),
        "tried": sum(outcome is not None for outcome in outcomes.values()),
        "killed_by_time": sum(outcome == "timed out" for outcome in outcomes.values()),
        "survivors": {mutant: reasons.get(mutant, "") for mutant in survived},
    }


def usual_limit(name, path):
    """The limit for mutants of a file; the tests must pass without one, and fail without it."""
    outcome, seconds = run(SUBJECTS[name], path, None, limit=600)
    if outcome != "survived":
        sys.exit(f"the tests of {name} fail without a mutant")
    if run(SUBJECTS[name], path, ast.parse(""), limit=600)[0] != "killed":
        sys.exit(f"the tests of {name} pass without anything in {path}")
    return 10 + 5 * seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("subjects", nargs="*", choices=[[], *SUBJECTS], metavar="subject")
    parser.add_argument("--number", type=int, default=0, help="how many of each; 0 for all")
    arguments = parser.parse_args()
    prepare()
    memory, rows = Memory(), {}
    for name in arguments.subjects or SUBJECTS:
        rows[name] = row = try_all(name, arguments.number, memory)
        killed = row["tried"] - len(row["survivors"])
        print(f"{name}: {killed} of {row['tried']} killed ({row['possible']} possible)")
    if not arguments.subjects:
        number = f" NUMBER={arguments.number}" if arguments.number else ""
        import kept  # not before: it loads the library

        print(f"kept in {kept.keep('mutants', rows, kept.commit(), f'make mutants{number}')}")


def prepare():
    """Loads what the forks share, but nothing of the library."""
    for name in PRELOADED.split():
        importlib.import_module(name)
    hypothesis.settings.register_profile(
        "mutants",
        derandomize=True,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
    )
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))


if __name__ == "__main__":
    main()
