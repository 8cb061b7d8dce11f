"""Tries mutants: puts one fault after another into the library and sees whether the tests fail.

Each mutant is a fork of one process that has loaded the large packages already, so that it takes
about as long as its tests. The fork works on a copy of the package with the one module mutated, and
the tests that belong to the module run until the first fails. Tests that take five times as long as
usual count as failed.

What has been tried is remembered in `_build/mutants.jsonl` for as long as the module stays as it is
(and, for what survived, its tests): the command may be interrupted, and goes on where it was. At
the end the counts and the survivors are kept in `results/trust/mutants.json`, each survivor with
the reason that `mutants.toml` has for it.

For mutants of kernels the compiler is told to hand them back as they are, in plain Python.
"""

import argparse
import ast
import hashlib
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import time
import tomllib
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before NumPy is loaded, which counts them then
ROOT = Path(__file__).resolve().parents[1]
SCRATCH = ROOT / "_build" / "mutants"
os.environ["NUMBA_CACHE_DIR"] = str(SCRATCH / "numba")

import hypothesis  # noqa: E402
import mutation  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

MEMORY = ROOT / "_build" / "mutants.jsonl"
REASONS = ROOT / "tests" / "mutants.toml"
SEED = 24102016

TESTS = {
    "augmenters": ["augmenters", "kernels"],
    "conv": ["conv", "layers"],
    "data_providers": ["data_providers", "drop_in"],
    "errors": ["errors"],
    "kernels": ["kernels", "conv", "layers", "augmenters"],
    "layers": ["layers", "models", "precision"],
    "learning_rules": ["learning_rules", "drop_in"],
    "penalties": ["penalties"],
    "steps": ["steps", "optimisers"],
    "study/runner": ["runner"],
    "study/store": ["store"],
}
"""The modules, and the test files that a mutant of each has to get past."""

TWO_WAYS = {"augmenters", "conv", "kernels", "layers", "steps"}
"""The modules whose tests are run once more with the compiled kernels switched off."""

COMPILING = ["told_once", "compiled_all_the_same", "kept_anew"]
WITHOUT = {"augmenters": COMPILING, "kernels": [*COMPILING, "sizes_of_a_network"]}
"""Tests left out: of compilation, and long ones in plain Python."""

PRELOADED = """
    scipy.linalg scipy.ndimage scipy.signal scipy.special sklearn.datasets sklearn.metrics
    hypothesis.strategies hypothesis.internal.conjecture.engine threadpoolctl tqdm pooch
    concurrent.futures.process multiprocessing.context numba
"""


def mutated(module, tree, folder):
    """Makes a checkout in which one module has the source of a tree; all else is links or copies.

    A checkout, for the processes that a test starts load the module from its file.
    """
    for entry in ROOT.iterdir():
        if entry.name != "mlpcw":
            (folder / entry.name).symlink_to(entry)
    caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "mlpcw", folder / "mlpcw", ignore=caches)
    (folder / "mlpcw" / f"{module}.py").write_text(ast.unparse(tree), "utf-8")


def run(module, tree, limit):
    """Runs the tests of a module in a fork.

    Args:
        module: A name in `TESTS`.
        tree: What takes the place of its source; `None` for the source itself.
        limit: Seconds of the processor before it is stopped; by the clock, as many and one
            minute more, since others may be at work.

    Returns:
        "survived", "killed" or "timed out", and the seconds of the processor that it took.
    """
    outcome, seconds = _run(module, tree, limit, "1")
    if outcome == "survived" and module in TWO_WAYS:
        outcome, more = _run(module, tree, limit, "0")
        seconds += more
    return outcome, seconds


def _run(module, tree, limit, compiled):
    deadline = time.monotonic() + 60 + limit
    child = os.fork()
    if child == 0:
        try:
            os.environ["MLPCW_COMPILED"] = compiled
            os._exit(_run_tests(module, tree, limit))
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
    if late or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)):
        outcome = "timed out"
    else:
        outcome = "survived" if status == 0 else "killed"
    return outcome, usage.ru_utime + usage.ru_stime


def _run_tests(module, tree, limit):
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (int(limit) + 1, int(limit) + 1))
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    if module == "kernels":
        import numba

        numba.config.DISABLE_JIT = True
    if tree is not None:
        # Of the same name each time, for Numba finds what it has compiled by the path.
        folder = SCRATCH / str(os.getppid())
        folder.mkdir(parents=True)
        mutated(module, tree, folder)
        sys.path.insert(0, str(folder))
        os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), str(ROOT / "tests" / "support")])
    files = [str(ROOT / "tests" / f"test_{name}.py") for name in TESTS[module]]
    options = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what is loaded already
    if module in WITHOUT:
        options += ["-k", "not (" + " or ".join(WITHOUT[module]) + ")"]
    # No search for the smallest example of a failure: one is enough.
    return pytest.main([*options, "--hypothesis-profile=mutants", *files])


# ---- what is remembered ------------------------------------------------------------------------


def digest(*paths):
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]


class Memory:
    """Outcomes by module and mutant, one JSON line each, as far as they still hold."""

    def __init__(self):
        self.outcomes = {}
        lines = MEMORY.read_text("utf-8").splitlines() if MEMORY.exists() else []
        for line in lines:
            entry = json.loads(line)
            self.outcomes[entry["module"], entry["mutant"]] = entry

    def find(self, module, mutant):
        entry = self.outcomes.get((module, mutant), {})
        source, tests = self._digests(module)
        if entry.get("source") != source:
            return None
        if entry["outcome"] == "survived" and entry["tests"] != tests:
            return None
        return entry["outcome"]

    def add(self, module, mutant, outcome):
        source, tests = self._digests(module)
        entry = dict(module=module, mutant=mutant, outcome=outcome, source=source, tests=tests)
        self.outcomes[module, mutant] = entry
        MEMORY.parent.mkdir(exist_ok=True)
        with MEMORY.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def _digests(self, module):
        tests = [ROOT / "tests" / f"test_{name}.py" for name in TESTS[module]]
        tests += [ROOT / "tests" / name for name in ("support.py", "reference.py")]
        return digest(ROOT / "mlpcw" / f"{module}.py"), digest(*tests)


# ---- all of them -------------------------------------------------------------------------------


def draw(module, number, kinds):
    """All mutants of a module by name, or a number of them drawn by a seed; and all the names."""
    mutants = mutation.mutants_of((ROOT / "mlpcw" / f"{module}.py").read_text("utf-8"))
    names = sorted(name for name, mutant in mutants.items() if mutant.kind in kinds)
    if number and number < len(names):
        chosen = np.random.RandomState(SEED).choice(len(names), number, replace=False)
        names = [names[index] for index in sorted(chosen)]
    return {name: mutants[name].make for name in names}, list(mutants)


def try_all(module, number, kinds, memory):
    """Tries the mutants of a module; returns what is kept of it."""
    drawn, possible = draw(module, number, kinds)
    outcomes = {name: memory.find(module, name) for name in drawn}
    if None in outcomes.values():
        outcome, seconds = run(module, None, limit=600)
        if outcome != "survived":
            sys.exit(f"the tests of {module} fail without a mutant")
        if run(module, ast.parse(""), limit=600)[0] != "killed":
            sys.exit(f"the tests of {module} pass without anything in it")
        limit = 10 + 5 * seconds
        for name, make in drawn.items():
            if outcomes[name] is None:
                outcomes[name], seconds = run(module, make(), limit)
                memory.add(module, name, outcomes[name])
                print(f"{outcomes[name]:9} {seconds:5.1f} s  {module}: {name}", flush=True)
    # What an earlier run has tried beyond these counts too, where it still holds.
    outcomes |= {name: memory.find(module, name) for name in possible if name not in drawn}
    outcomes = {name: outcome for name, outcome in outcomes.items() if outcome is not None}
    reasons = tomllib.loads(REASONS.read_text("utf-8")).get(module, {})
    survived = sorted(name for name, outcome in outcomes.items() if outcome == "survived")
    survivors = {name: reasons.get(name, "") for name in survived}
    return {
        "possible": len(possible),
        "tried": len(outcomes),
        "killed": len(outcomes) - len(survivors),
        "killed_by_time": sum(outcome == "timed out" for outcome in outcomes.values()),
        "survivors": survivors,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", metavar="module", help=f"of {', '.join(TESTS)}")
    parser.add_argument("--number", type=int, default=0, help="how many of each; 0 for all")
    parser.add_argument("--kinds", nargs="+", choices=mutation.KINDS, default=mutation.KINDS)
    arguments = parser.parse_args()
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
    memory = Memory()
    found = {}
    for module in arguments.modules or TESTS:
        found[module] = try_all(module, arguments.number, arguments.kinds, memory)
        tried, killed = found[module]["tried"], found[module]["killed"]
        print(f"{module}: {killed} of {tried} killed ({found[module]['possible']} possible)")
    if not arguments.modules and set(arguments.kinds) == set(mutation.KINDS):
        number = f" NUMBER={arguments.number}" if arguments.number else ""
        import kept  # not before: it loads the library

        path = kept.keep("mutants", f"make mutants{number}", kept.commit(), found)
        print(f"kept in {path}")


if __name__ == "__main__":
    main()
