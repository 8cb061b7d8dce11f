"""Results: the stored runs as figures and tables read them, or the command that trains them."""

import numpy as np
import pytest
from runs import forged, outdated, quick_arm

from mlpcw.study.pages.stored import open_store
from mlpcw.study.records.results import MissingRunsError, Results

ARM, OTHER = quick_arm("part1/none"), quick_arm("part1/l2_1e-2")


@pytest.fixture
def kept(tmp_path):
    return open_store("quick", tmp_path, 1)


def record(arm, seed, error, counts=(1,), first_bin=0):
    """A record whose curves are all `[error, error / 2]`."""
    made = forged(arm, seed)
    for name in made["curves"]:
        if name != "epoch":
            made["curves"][name] = [error, error / 2]
    made["test"] = {"error": error / 4, "acc": 1 - error}
    made["weights"] |= {"counts": list(counts), "first_bin": first_bin}
    return made


@pytest.fixture
def results():
    """Three seeds of one arm."""
    histograms = ([1, 2], -1), ([5], 2), ([1, 1, 1], 0)
    errors = (0.2, 0.4, 0.6)
    records = [record(ARM, i, errors[i], *histograms[i]) for i in range(3)]
    return Results("quick", {ARM.key: tuple(records)})


# ---- Runs that are not done -----------------------------------------------------------------


def lacking(kept, arms=(ARM, OTHER), options=""):
    with pytest.raises(MissingRunsError) as caught:
        Results.of("quick", [kept.find(arm, 0) for arm in arms], options)
    return str(caught.value)


def test_a_missing_run_is_named_with_the_command_that_trains_it(kept):
    kept.write(forged(ARM))
    assert lacking(kept) == (
        "1 of 2 runs are not there, the first is part1/l2_1e-2 with seed 0, which is missing;"
        " train them with: python -m mlpcw run part1 --profile quick"
    )
    assert lacking(kept, options="--epochs 1").endswith("run part1 --profile quick --epochs 1")


def test_a_stale_or_damaged_run_is_named_with_the_reason(kept):
    kept.write(forged(OTHER))
    path = kept.write(outdated(ARM))
    assert "part1/none with seed 0, which is stale (its probe has loss 1.0" in lacking(kept)
    path.write_text("", encoding="utf-8")
    assert f"which is damaged ({path} is not a readable record" in lacking(kept)


def test_the_command_names_all_parts_once(kept):
    arms = [quick_arm(key) for key in ("part3/nn", "part1/none", "part3/cnn_5x5")]
    assert lacking(kept, arms).endswith("python -m mlpcw run part1 part3 --profile quick")


# ---- Runs that are done ---------------------------------------------------------------------


def test_all_arms_are_there_in_the_order_asked_for(kept):
    kept.write(forged(ARM))
    kept.write(forged(OTHER))
    results = Results.of("quick", [kept.find(arm, 0) for arm in (OTHER, ARM)])
    assert list(results.runs) == ["part1/l2_1e-2", "part1/none"]
    assert results.profile == "quick"


def test_an_arm_has_the_curves_and_the_scores_of_all_its_seeds(results):
    assert [record["seed"] for record in results.runs["part1/none"]] == [0, 1, 2]
    assert results.arm("part1/none") == ARM
    np.testing.assert_array_equal(results.epochs("part1/none"), [0, 1])
    expected = [[0.2, 0.1], [0.4, 0.2], [0.6, 0.3]]
    np.testing.assert_array_equal(results.curves("part1/none", "error_valid"), expected)
    assert results.final("part1/none", "error_valid") == pytest.approx(0.2)
    assert results.test("part1/none", "error") == pytest.approx(0.1)
    assert results.test("part1/none", "acc") == pytest.approx(0.6)


def test_the_weights_of_all_seeds_are_counted_on_one_grid(results):
    edges, counts = results.weight_counts("part1/none")
    np.testing.assert_allclose(edges, 0.0025 * np.arange(-1, 4))
    assert counts.tolist() == [1, 3, 1, 6]


def test_only_the_full_profile_stands_beside_2016(results):
    assert not results.beside_2016
    assert Results("full", {}).beside_2016
