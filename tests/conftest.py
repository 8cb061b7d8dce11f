"""What the tests share: markers, the digits in MNIST's place, fixed examples, counts.

`@pytest.mark.needs_mnist` skips a test where MNIST is not at hand. Hypothesis draws the same
examples in every run. BLAS has one thread, as in the processes that train: with more it adds up in
another order, and the last digits differ.

Fault tests, fuzz tests and properties run a short version, and a full one with `--long`. A test
marked `trust_row` counts what it did by the fixture `counts`; the cells of the marker are the rest
of its row on the page on trust. Witnesses of gradients are counted too. Counts are printed at the
end; those of a `--long` run that has passed are kept in `results/trust/`.
"""

import collections
import inspect
import os
import sys
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before NumPy is loaded, which counts them then
os.environ["MLPCW_PROBES"] = ""  # those of the user are neither read nor written

import hypothesis  # noqa: E402
import kept  # noqa: E402
import pytest  # noqa: E402
import support  # noqa: E402
import witnesses  # noqa: E402
from runs import Inline, forged  # noqa: E402

from mlpcw import compiled, mnist  # noqa: E402
from mlpcw.study.runs import executors  # noqa: E402
from mlpcw.study.runs import train as training  # noqa: E402

hypothesis.settings.register_profile(
    "fixed",
    derandomize=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("fixed")

ROWS = pytest.StashKey[dict[str, dict[str, dict]]]()  # by topic and test
COMMIT = pytest.StashKey[str]()
WITNESSES = pytest.StashKey[witnesses.Table]()
LONG_TOPICS = {"faults", "fuzz", "oracles", "witnesses"}
"""Each is made in full by `make <topic>`."""


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="the full tests that count; kept")


def pytest_configure(config):
    config.addinivalue_line("markers", "needs_mnist: skipped where MNIST is not at hand")
    config.addinivalue_line("markers", "witness(kind, of): a check of a gradient")
    config.addinivalue_line("markers", "trust_row(**cells): counts; texts of its row on that page")
    config.stash[ROWS] = {}
    if config.getoption("--long"):
        config.stash[COMMIT] = kept.commit()
        support.TIMES = 20


@pytest.hookimpl(tryfirst=True)  # before any test is left out
def pytest_collection_modifyitems(config, items):
    config.stash[WITNESSES] = witnesses.table_of(items)
    for item in items:
        if mark := item.get_closest_marker("trust_row"):
            topic = config.stash[ROWS].setdefault(item.path.parent.name, {})
            row = {**mark.kwargs, "counts": collections.Counter(), "seconds": 0.0}
            topic.setdefault(item.originalname, row)


def pytest_runtest_setup(item):
    if item.get_closest_marker("needs_mnist") and not mnist.available():
        pytest.skip("MNIST is not here (set MLPCW_DATA_DIR)")


@pytest.fixture
def trust_row(request):
    """The row of a test that is marked so, to be filled in."""
    row = request.config.stash[ROWS][request.path.parent.name][request.node.originalname]
    start = time.perf_counter()
    yield row
    row["seconds"] = round(row["seconds"] + time.perf_counter() - start, 1)


@pytest.fixture
def counts(trust_row):
    """What such a test counts: name of what was done to how often."""
    return trust_row["counts"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Counts the witnesses that pass, where nothing else is run: `-m witness`."""
    report = yield
    if item.config.option.markexpr == "witness" and report.when == "call" and report.passed:
        topic = item.config.stash[ROWS].setdefault("witnesses", {})
        for subject, kind in witnesses.witnessed(item):
            topic.setdefault(subject, collections.Counter())[kind] += 1
    return report


@pytest.fixture
def full_version(request):
    """Whether this is the full version of the long tests."""
    return request.config.getoption("--long")


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    # Among the witnesses are some of the oracles: not all that there are.
    topics = {"witnesses"} if config.option.markexpr == "witness" else LONG_TOPICS
    for topic, rows in config.stash[ROWS].items():
        terminalreporter.section(topic)
        for name, row in rows.items():
            counted = row if topic == "witnesses" else row["counts"]
            done = ", ".join(f"{number} {what}" for what, number in counted.items())
            terminalreporter.write_line(f"{name}: {done or 'not run'}")
        if config.getoption("--long") and exitstatus == 0 and topic in topics:
            kept_rows = rows if topic == "witnesses" else list(rows.values())
            path = kept.keep(topic, kept_rows, config.stash[COMMIT])
            terminalreporter.write_line(f"kept in {path}")


@pytest.fixture
def digits_for_mnist(monkeypatch):
    """Lets whatever loads MNIST have the embedded digits, which look the same from outside."""
    monkeypatch.setattr(mnist, "load", lambda data_dir=None: mnist.digits())


@pytest.fixture(params=["compiled", "as written", "NumPy"])
def each_way(request, monkeypatch):
    """Lets a test go all ways: kernels compiled, if they can be, in plain Python, or left out."""
    if request.param == "compiled" and not compiled.enabled():
        pytest.skip("no compiler")
    if request.param == "as written":
        for module in [m for name, m in sys.modules.items() if name.startswith("mlpcw.")]:
            for name, function in list(vars(module).items()):
                if support.is_kernel(function):
                    monkeypatch.setattr(module, name, inspect.unwrap(function))
    monkeypatch.setattr(compiled, "enabled", lambda: request.param != "NumPy")


@pytest.fixture
def witness_table(request):
    """Which witnesses each gradient has, among the tests that were collected."""
    return request.config.stash[WITNESSES]


@pytest.fixture
def environment(monkeypatch):
    """Restores, afterwards, the variables that the workers are given."""
    for name in executors.THREAD_VARIABLES:
        monkeypatch.setenv(name, "2")
    monkeypatch.setenv("MLPCW_DATA_DIR", os.environ.get("MLPCW_DATA_DIR", ""))


@pytest.fixture
def here(monkeypatch):
    """Trains in this thread; the keys of what is trained. The records are forged."""
    keys = []

    def train(arm, seed):
        keys.append(arm.key)
        return forged(arm, seed)

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(executors, "default_executor", lambda *_: Inline())
    return keys
