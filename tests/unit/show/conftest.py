"""The style of the book, for the tests of figures."""

import matplotlib
import pytest

from mlpcw.study.show.style import style


@pytest.fixture(autouse=True)
def _styled():
    with matplotlib.rc_context():
        style()
        yield
