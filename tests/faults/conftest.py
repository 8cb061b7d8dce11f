"""A sweep that nothing disturbs, for the others to be held against."""

import pytest
import sweeps


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """What a sweep stores that is left alone, by the name of the arm."""
    folder = tmp_path_factory.mktemp("undisturbed")
    status, out, err = sweeps.ended(folder)
    assert (status, out) == (0, f"7 of 7 runs are stored in {folder}/quick-1-epochs\n"), err
    return sweeps.contents(folder)
