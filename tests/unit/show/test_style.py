"""The style: label placement, and that it leaves IPython alone."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcw.study.show.style import spread


def test_style_outside_a_notebook_leaves_its_machinery_alone():
    code = "import sys; from mlpcw.study.show.style import style; style();"
    code += "sys.exit('IPython' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8), st.floats(0.01, 1))
def test_spread_keeps_the_order_and_the_distance(positions, spacing):
    moved = spread(positions, spacing, low=-2)
    order = np.argsort(positions, kind="stable")
    assert (np.diff(np.array(moved)[order]) >= spacing - 1e-9).all()
    assert min(moved) >= -2


@pytest.mark.parametrize(
    ("positions", "spacing", "moved"),
    [([3.0, 1.0, 2.0], 0.5, [3.0, 1.0, 2.0]), ([1.0, 1.0, 9.0], 1.0, [0.5, 1.5, 9.0])],
)
def test_spread_moves_as_little_as_possible(positions, spacing, moved):
    assert spread(positions, spacing) == moved
