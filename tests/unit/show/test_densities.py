"""Densities of weights: the counts of the records, on scales that all conditions share."""

import made_up
import numpy as np
import pytest

from mlpcw.study.chapters import part1
from mlpcw.study.records.arms import SEED_2016
from mlpcw.study.records.results import Results
from mlpcw.study.show.weights import magnitude_quantile, share_near_zero


@pytest.fixture(params=["full", "quick"], scope="module")
def results(request):
    return made_up.results(request.param)


@pytest.mark.parametrize("condition", part1.CONDITIONS, ids=lambda condition: condition.arm.name)
def test_density_is_the_counts_of_the_records_over_the_outline(results, condition):
    figure = part1.weight_density(results, condition)
    whole, zoomed = figure.axes
    edges, counts = results.weight_counts(condition.key)
    fine = zoomed.patches[0].get_data()
    np.testing.assert_allclose(fine.edges, edges, atol=1e-12)
    np.testing.assert_allclose(fine.values, counts / counts.sum() / 0.0025)
    coarse = whole.patches[0].get_data()
    assert np.sum(coarse.values * np.diff(coarse.edges)) == pytest.approx(1)
    assert whole.get_ylabel() == "density"
    for axes in figure.axes:
        assert axes.get_xlabel() == "weight"
        assert [patch.get_gid() for patch in axes.patches] == [condition.key, "part1/none"]
    (text,) = whole.texts
    share = share_near_zero(results, condition.key)
    assert f"{100 * share:.1f} % within ±0.01" in text.get_text()


def test_scales_and_bins_are_the_same_for_all_and_cut_off_nothing(results):
    figures = [part1.weight_density(results, condition).axes for condition in part1.CONDITIONS]
    for panels in zip(*figures, strict=True):
        assert len({axes.get_xlim() for axes in panels}) == 1
        assert len({axes.get_ylim() for axes in panels}) == 1
        low, high = panels[0].get_ylim()
        steps = [patch.get_data() for axes in panels for patch in axes.patches]
        width = steps[0].edges[1] - steps[0].edges[0]
        for step in steps:
            np.testing.assert_allclose(step.edges / width, np.round(step.edges / width), atol=1e-9)
            assert low < step.values[step.values > 0].min()
            assert step.values.max() < high


def test_share_near_zero_and_quantile_by_hand():
    record = made_up.record(part1.NONE.arm, SEED_2016)
    # bins [-0.0125, -0.01), [-0.01, -0.0075), ..., the last [0.01, 0.0125)
    counts = [4, 1, 0, 0, 2, 1, 0, 0, 0, 2]
    record["weights"] = {"bin_width": 0.0025, "first_bin": -5, "counts": counts}
    results = Results("full", {"part1/none": (record,)})
    assert share_near_zero(results, "part1/none") == 0.4
    for share, magnitude in ((0.3, 0.0025), (0.31, 0.01), (1, 0.0125)):
        assert magnitude_quantile(results, "part1/none", share) == pytest.approx(magnitude)
