"""What the tests share: the `needs_mnist` marker, the digits in MNIST's place, fixed examples.

`@pytest.mark.needs_mnist` skips a test where MNIST is not at hand. Hypothesis draws the same
examples in every run. BLAS has one thread, as in the processes that train: with more it adds up in
another order, and the last digits differ.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before NumPy is loaded, which counts them then

import hypothesis  # noqa: E402
import pytest  # noqa: E402
import witnesses  # noqa: E402

from mlpcw import mnist  # noqa: E402

hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None)
hypothesis.settings.load_profile("fixed")


WITNESSES = pytest.StashKey[witnesses.Table]()


def pytest_configure(config):
    config.addinivalue_line("markers", "needs_mnist: skipped where MNIST is not at hand")
    config.addinivalue_line("markers", "witness(kind, of): a ground to believe in a gradient")


@pytest.hookimpl(tryfirst=True)  # before any test is left out
def pytest_collection_modifyitems(config, items):
    config.stash[WITNESSES] = witnesses.table_of(items)


def pytest_runtest_setup(item):
    if item.get_closest_marker("needs_mnist") and not mnist.available():
        pytest.skip("MNIST is not here (set MLPCW_DATA_DIR)")


@pytest.fixture
def digits_for_mnist(monkeypatch):
    """Lets whatever loads MNIST have the embedded digits, which look the same from outside."""
    monkeypatch.setattr(mnist, "load", lambda data_dir=None: mnist.digits())


@pytest.fixture
def witness_table(request):
    """Which witnesses each gradient has, among the tests that were collected."""
    return request.config.stash[WITNESSES]
