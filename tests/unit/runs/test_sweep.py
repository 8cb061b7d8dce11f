"""The runner: one run to its record, many runs over any executor, and what goes wrong on the way.

Most sweeps here train in this thread, or do not train at all; a few start real processes and kill
them.
"""

import collections
import concurrent.futures
import dataclasses
import functools
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor
from pathlib import Path

import numpy as np
import pytest
import runs
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from runs import Inline, forged, outdated, record_of, tiny_arm, wait_until

import mlpcw
from mlpcw import mnist
from mlpcw.errors import CrossEntropySoftmaxError
from mlpcw.layers import AffineLayer
from mlpcw.learning_rules import MomentumLearningRule
from mlpcw.optimisers import Optimiser
from mlpcw.study.records import arms, store
from mlpcw.study.records.arms import Augmentation, Convolution, Penalty
from mlpcw.study.records.store import State, Store
from mlpcw.study.runs import set_up as training
from mlpcw.study.runs import sweep as runner
from mlpcw.study.runs.sweep import RunFailedError

NOISE = Augmentation(kind="noise_2016")
THREAD_VARIABLES = [
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS"),
]


# ---- One run --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"penalty": Penalty(l1=1e-3, l2=1e-2)},
        {"augmentation": NOISE},
        {"convolution": Convolution(kernel_dim=9)},
        {"dtype": "float32"},
        {"num_epochs": 0},
    ],
    ids=str,
)
def test_a_run_gives_a_record_that_the_store_takes_and_finds_done(tmp_path, changes):
    arm = tiny_arm(**changes)
    kept = Store(tmp_path, "quick")
    kept.write(record_of(arm))
    assert kept.find(arm, 0).state is State.DONE


@pytest.mark.parametrize(
    ("num_epochs", "stats_interval", "epochs"),
    [(2, 1, [0, 1, 2]), (5, 2, [0, 2, 4]), (4, 2, [0, 2, 4]), (1, 5, [0]), (0, 1, [0])],
)
def test_curves_have_a_value_at_each_recorded_epoch(num_epochs, stats_interval, epochs):
    curves = record_of(tiny_arm(num_epochs=num_epochs, stats_interval=stats_interval))["curves"]
    assert curves["epoch"] == epochs
    assert {len(values) for values in curves.values()} == {len(epochs)}


def test_a_plain_run_has_no_clean_curves():
    assert set(record_of(tiny_arm())["curves"]) == {"epoch", *store.CURVES}


def test_an_augmented_run_has_clean_curves_too():
    curves = record_of(tiny_arm(augmentation=NOISE))["curves"]
    assert set(curves) == {"epoch", *store.CURVES, *store.CLEAN_CURVES}


def trained_elsewhere(arm):
    """The model after the whole run, by an optimiser that evaluates nothing on clean images."""
    trial = training.set_up(arm, 0, mnist.digits())
    rule = MomentumLearningRule(arm.learning_rate, arm.mom_coeff)
    error = CrossEntropySoftmaxError()
    Optimiser(trial.model, error, rule, trial.train, trial.valid).train(arm.num_epochs, 1)
    return trial.model


def figures(model, which_set):
    """Error and accuracy over a whole split at once, by SciPy."""
    inputs, labels = mnist.digits().split(which_set)
    outputs = model.fprop(inputs)[-1]
    log_probabilities = scipy.special.log_softmax(outputs, axis=1)
    error = -log_probabilities[np.arange(len(labels)), labels].mean()
    return pytest.approx({"error": error, "acc": (outputs.argmax(axis=1) == labels).mean()})


def test_the_clean_curves_are_of_the_whole_training_set_unchanged():
    arm = tiny_arm(augmentation=NOISE)
    curves = record_of(arm)["curves"]
    found = {"error": curves["error_train_clean"][-1], "acc": curves["acc_train_clean"][-1]}
    assert found == figures(trained_elsewhere(arm), "train")


@pytest.mark.parametrize("changes", [{}, {"augmentation": NOISE}], ids=str)
def test_the_test_figures_are_of_the_whole_test_set_at_the_end(changes):
    arm = tiny_arm(**changes)
    assert record_of(arm)["test"] == figures(trained_elsewhere(arm), "test")


def test_the_curves_are_those_of_the_optimiser():
    curves = record_of(tiny_arm(batch_size=1))["curves"]  # batches of one fill every split
    found = {"error": curves["error_valid"][-1], "acc": curves["acc_valid"][-1]}
    assert found == figures(trained_elsewhere(tiny_arm(batch_size=1)), "valid")
    assert curves["error_train"][-1] < curves["error_train"][0]


@pytest.mark.parametrize("batch_size", [1, 7, 1000, 5000])
def test_an_evaluation_does_not_depend_on_its_batches(monkeypatch, batch_size):
    model = training.set_up(tiny_arm(), 0, mnist.digits()).model
    monkeypatch.setattr(runner, "EVALUATION_BATCH_SIZE", batch_size)
    found = runner.evaluate(model, *mnist.digits().split("test"))
    assert found == figures(model, "test")


def test_the_penalty_curve_is_the_model_s_penalty():
    arm = tiny_arm(penalty=Penalty(l2=1e-2))
    model = training.set_up(arm, 0, mnist.digits()).model
    weights = [layer.weights for layer in model.layers if isinstance(layer, AffineLayer)]
    expected = 0.5e-2 * sum((each**2).sum() for each in weights)
    assert record_of(arm)["curves"]["params_penalty"][0] == pytest.approx(expected)


def test_the_weights_are_those_of_the_first_affine_layer():
    convolution = Convolution(kernel_dim=27)
    record = record_of(tiny_arm(convolution=convolution))
    assert sum(record["weights"]["counts"]) == 4 * 5  # not the 27 x 27 of the kernel


def test_a_record_says_where_it_comes_from():
    record = record_of(tiny_arm())
    assert record["seconds"]["wall"] > 0
    found = record["provenance"]
    assert (found["data"], found["data_digest"]) == ("digits", mnist.digits().digest)
    assert (found["mlpcw"], found["numpy"]) == (mlpcw.__version__, np.__version__)
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"scipy", "blas", "blas_kernels", "blas_threads", "cpu", "platform", "commit"} <= set(
        found
    )


def test_a_run_takes_its_data_from_the_folder_given(monkeypatch):
    asked = []
    monkeypatch.setattr(mnist, "load", lambda folder: asked.append(folder) or mnist.digits())
    runner.train(tiny_arm(data="mnist", num_epochs=0), 0, "somewhere")
    assert asked == ["somewhere"]


def test_a_run_that_diverges_is_named_with_the_first_epoch_that_is_not_finite():
    arm = tiny_arm(learning_rate=1e200, num_epochs=4, stats_interval=2)
    message = r"^part1/tiny with seed 3 diverged: not finite at epoch 2$"
    with pytest.raises(RunFailedError, match=message):
        runner.train(arm, 3)


@pytest.fixture
def machine():
    """What is known of this machine, asked for anew."""
    runner._machine.cache_clear()
    yield runner._machine
    runner._machine.cache_clear()


@pytest.mark.parametrize(
    "error", [FileNotFoundError("git"), subprocess.CalledProcessError(128, "git")]
)
def test_outside_a_checkout_the_commit_is_empty(machine, monkeypatch, error):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(runner.subprocess, "run", refuse)
    assert machine()["commit"] == ""


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_an_export_in_another_checkout_has_no_commit(machine, monkeypatch, tmp_path):
    package = tmp_path / "mlpcw" / "__init__.py"
    package.parent.mkdir()
    package.write_text("")
    settings = ("-c", "user.name=name", "-c", "user.email=email")
    for command in (["init"], [*settings, "commit", "--allow-empty", "-m", "another"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, capture_output=True)  # noqa: S607
    monkeypatch.setattr(runner.mlpcw, "__file__", str(package))
    assert machine()["commit"] == ""


@pytest.mark.parametrize(("changed", "expected"), [("", "abc"), (" M arms.py", "abc+")])
def test_a_plus_says_that_the_code_differs_from_its_commit(machine, monkeypatch, changed, expected):
    def git(command, **_):
        answer = "abc\n" if "rev-parse" in command else changed
        return subprocess.CompletedProcess(command, 0, stdout=answer)

    monkeypatch.setattr(runner.subprocess, "run", git)
    assert machine()["commit"] == expected


def test_the_processor_is_named_where_linux_does_not_say(monkeypatch):
    def refuse(*_):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", refuse)
    assert isinstance(runner._cpu(), str)


# ---- The histogram of weights ---------------------------------------------------------------


@given(
    arrays.arrays(float, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=st.floats(-2, 2))
)
def test_a_histogram_is_numpy_s_on_the_common_grid(weights):
    found = runner.weight_histogram(weights)
    bins = found["first_bin"] + np.arange(len(found["counts"]) + 1)
    # In units of the width, in which both agree at the edges.
    counts, _ = np.histogram(weights / found["bin_width"], bins)
    assert found["counts"] == counts.tolist()
    assert sum(found["counts"]) == weights.size
    assert found["counts"][0] > 0 < found["counts"][-1]


def test_bin_k_holds_what_is_from_k_to_k_plus_1_times_the_width():
    width = runner.BIN_WIDTH
    weights = np.array([0.0, 0.5 * width, -0.5 * width, 3.25 * width])
    assert runner.weight_histogram(weights) == {
        "bin_width": width,
        "first_bin": -1,
        "counts": [1, 2, 0, 0, 1],
    }


# ---- Many runs ------------------------------------------------------------------------------

NAMES = ["a", "b", "c", "d", "e"]
RUNS = [(tiny_arm(name=name), 0) for name in NAMES]
POISON = (tiny_arm(name="poison"), 0)


def fake_train(arm, seed):
    """The name of the arm, in no time."""
    return arm.name


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(runner, "train", fake_train)


def collected(outcomes):
    return {arm.name: outcome for (arm, _), outcome in outcomes}


@pytest.mark.parametrize("in_flight", [None, 1, 2, 9])
def test_every_run_is_yielded_with_what_came_of_it(no_training, in_flight):
    assert collected(runner.map(RUNS, Inline(), in_flight)) == {name: name for name in NAMES}


def test_no_runs_are_no_outcomes(no_training):
    assert list(runner.map([], Inline())) == []


def test_runs_are_yielded_as_they_finish(monkeypatch):
    may_end = collections.defaultdict(threading.Event)

    def train(arm, seed):
        may_end[arm.name].wait(timeout=30)
        return arm.name

    monkeypatch.setattr(runner, "train", train)
    with concurrent.futures.ThreadPoolExecutor(len(RUNS)) as executor:
        outcomes = runner.map(RUNS, executor)
        order = []
        for name in ("c", "a", "e", "d", "b"):
            may_end[name].set()
            order.append(next(outcomes)[1])
    assert order == ["c", "a", "e", "d", "b"]


def test_no_more_runs_than_asked_for_are_in_flight(monkeypatch):
    under_way, most = [], []

    def train(arm, seed):
        under_way.append(arm)
        most.append(len(under_way))
        time.sleep(0.02)
        under_way.remove(arm)

    monkeypatch.setattr(runner, "train", train)
    with concurrent.futures.ThreadPoolExecutor(5) as executor:
        assert len(list(runner.map(RUNS, executor, in_flight=2))) == len(RUNS)
    assert max(most) <= 2


def test_an_exception_is_passed_on_and_ends_no_other_run(monkeypatch):
    def train(arm, seed):
        if arm.name == "c":
            raise ZeroDivisionError("c")
        return arm.name

    monkeypatch.setattr(runner, "train", train)
    found = collected(runner.map(RUNS, Inline()))
    assert isinstance(found.pop("c"), ZeroDivisionError)
    assert found == {name: name for name in NAMES if name != "c"}


class Fragile(concurrent.futures.Executor):
    """Breaks, and says so of all that is in flight, when a poisonous run is among it."""

    made = 0

    def __init__(self):
        type(self).made += 1
        self.in_flight, self.broken, self.lock = [], False, threading.Lock()

    def submit(self, function, /, arm, seed):
        if self.broken:
            raise BrokenExecutor("broken before")
        future = concurrent.futures.Future()
        with self.lock:
            self.in_flight.append((future, arm))
        threading.Timer(0.01, self.work).start()
        return future

    def work(self):
        with self.lock:
            in_flight, self.in_flight = self.in_flight, []
            self.broken |= any(self.is_poison(arm) for _, arm in in_flight)
        if self.broken:
            self.tell(in_flight)
        else:
            for future, arm in in_flight:
                future.set_result(arm.name)

    def tell(self, in_flight):
        for future, _ in in_flight:
            future.set_exception(BrokenExecutor("a worker died"))

    def is_poison(self, arm):
        return arm.name == "poison"

    def shutdown(self, wait=True, *, cancel_futures=False):
        self.broken = True


class Silent(Fragile):
    """Breaks, says so of the poisonous run alone and never another word of the others."""

    def tell(self, in_flight):
        super().tell([(future, arm) for future, arm in in_flight if self.is_poison(arm)])


class FragileOnce(Fragile):
    """Breaks the first time only, as where a worker was killed from outside."""

    def is_poison(self, arm):
        return type(self).made == 1


@pytest.fixture(autouse=True)
def none_made():
    Fragile.made = Silent.made = FragileOnce.made = BrokenAtFirst.made = 0


@pytest.mark.parametrize("executor", [Fragile, Silent])
@pytest.mark.parametrize("in_flight", [None, 1, 2, 3])
@pytest.mark.parametrize("place", [0, 2, 5])
def test_a_run_that_kills_its_worker_takes_no_other_with_it(executor, in_flight, place):
    wanted = [*RUNS[:place], POISON, *RUNS[place:]]
    found = collected(runner.map(wanted, executor, in_flight))
    assert isinstance(found.pop("poison"), BrokenExecutor)
    assert found == {name: name for name in NAMES}


def test_a_run_that_kills_its_worker_is_tried_three_times():
    list(runner.map([POISON], Fragile))
    assert Fragile.made == 1 + 3  # the first, and one after each death


def test_each_of_two_runs_that_kill_their_worker_is_found():
    other = (dataclasses.replace(POISON[0], name="poison"), 1)
    outcomes = dict(runner.map([POISON, *RUNS, other], Fragile))
    assert isinstance(outcomes.pop(POISON), BrokenExecutor)
    assert isinstance(outcomes.pop(other), BrokenExecutor)
    assert sorted(outcomes.values()) == NAMES


def test_a_worker_that_is_killed_once_costs_nothing_but_time():
    assert collected(runner.map(RUNS, FragileOnce)) == {name: name for name in NAMES}
    assert FragileOnce.made == 2


def test_an_executor_that_cannot_be_made_anew_is_not_tried_again():
    found = collected(runner.map([POISON, *RUNS], Fragile()))
    assert all(isinstance(outcome, BrokenExecutor) for outcome in found.values())
    assert Fragile.made == 1


class BrokenAtFirst(runs.Inline):
    """Breaks before it takes its first run."""

    made = 0

    def __init__(self):
        type(self).made += 1
        self.broken = self.made == 1

    def submit(self, function, /, *args):
        if self.broken:
            raise BrokenExecutor("a worker died between two runs")
        return super().submit(function, *args)


def test_a_worker_that_dies_between_two_runs_costs_nothing_but_time(no_training):
    assert collected(runner.map(RUNS, BrokenAtFirst)) == {name: name for name in NAMES}
    assert BrokenAtFirst.made == 2


# ---- Real processes -------------------------------------------------------------------------


@pytest.fixture
def environment(monkeypatch):
    """Restores, afterwards, the variables that the workers are given."""
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "2")
    monkeypatch.setenv("MLPCW_DATA_DIR", os.environ.get("MLPCW_DATA_DIR", ""))


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_processes_have_one_thread_each_and_survive_a_run_that_kills_them(monkeypatch, environment):
    monkeypatch.setattr(runner, "train", runs.deadly_train)
    make = functools.partial(runner.default_executor, 2)
    found = collected(runner.map([POISON, *RUNS[:2]], make, in_flight=2))
    assert isinstance(found.pop("poison"), BrokenExecutor)
    assert {name: each["name"] for name, each in found.items()} == {"a": "a", "b": "b"}
    assert os.getpid() not in {each["pid"] for each in found.values()}
    assert [each["threads"] for each in found.values()] == [{1}, {1}]


def test_processes_end_when_there_is_nothing_left_to_do(environment):
    with runner.default_executor(1) as pool:  # leaving it waits for them
        assert pool.submit(os.getpid).result() != os.getpid()


def test_runs_that_nobody_asks_for_any_more_are_ended(monkeypatch, environment):
    monkeypatch.setattr(runner, "train", runs.endless_train)
    wanted = [(tiny_arm(name="quick"), 0), (tiny_arm(name="endless"), 0)]
    pools = []  # not left to the garbage collector, which would end their processes too

    def make():
        pools.append(runner.default_executor(1))
        return pools[-1]

    outcomes = runner.map(wanted, make, in_flight=2)
    _, outcome = next(outcomes)
    assert is_running(outcome["pid"])
    outcomes.close()
    assert wait_until(lambda: not is_running(outcome["pid"]))


def test_workers_are_told_the_folder_of_mnist(environment):
    executor = runner.default_executor(1, "/somewhere")
    executor.shutdown()
    assert os.environ["MLPCW_DATA_DIR"] == "/somewhere"


# ---- A sweep --------------------------------------------------------------------------------

QUICK = arms.arms("quick", "part1", 1)


@pytest.fixture
def kept(tmp_path):
    return Store(tmp_path, "quick", 1)


@pytest.fixture
def trained(monkeypatch):
    """The names of the arms that a sweep trains, in their order; their records are forged."""
    names = []

    def train(arm, seed):
        names.append((arm.name, seed))
        return forged(arm, seed)

    monkeypatch.setattr(runner, "train", train)
    return names


def states(kept, part="part1", num_seeds=1):
    return [finding.state for finding in kept.find_all([part], num_seeds)]


def test_a_sweep_trains_and_stores_all_that_is_wanted(kept, trained):
    assert runner.sweep(kept, kept.find_all(["part1"]), executor=Inline()) == []
    assert sorted(trained) == sorted((arm.name, seed) for arm in QUICK for seed in (0, 1, 2))
    assert set(states(kept, num_seeds=3)) == {State.DONE}


def test_a_sweep_trains_only_what_is_not_done(kept, trained):
    done, damaged, stale, *missing = QUICK
    kept.write(forged(done))
    kept.write(forged(damaged)).write_text("{", encoding="utf-8")
    kept.write(outdated(stale))
    assert runner.sweep(kept, kept.find_all(["part1"], 1), executor=Inline()) == []
    assert {name for name, _ in trained} == {each.name for each in (damaged, stale, *missing)}
    assert states(kept) == [State.DONE] * 7


def test_a_sweep_of_what_is_done_does_nothing_not_even_on_a_disk_that_is_read_only(
    kept, trained, monkeypatch
):
    kept.write(forged(QUICK[0]))
    monkeypatch.setattr(Store, "check_writable", None)
    assert runner.sweep(kept, kept.find_all(["part1"], 1)[:1]) == []
    assert trained == []


def test_a_run_that_is_wanted_twice_is_trained_once(kept, trained):
    runner.sweep(kept, 2 * kept.find_all(["part1"], 1), executor=Inline())
    assert len(trained) == len(QUICK)


def test_the_longest_runs_come_first(kept, trained):
    runner.sweep(kept, kept.find_all(num_seeds=1), executor=Inline())
    costs = [
        runner.cost(next(arm for arm in kept.arms() if arm.name == name)) for name, _ in trained
    ]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ZeroDivisionError("by 0"), "part1/l2_1e-2 with seed 0 failed: by 0"),
        (MemoryError(), "part1/l2_1e-2 with seed 0 failed: MemoryError"),
        (
            RunFailedError("part1/l2_1e-2 with seed 0 diverged"),
            "part1/l2_1e-2 with seed 0 diverged",
        ),
    ],
)
def test_a_run_that_fails_is_said_and_the_others_are_stored(kept, monkeypatch, error, sentence):
    def train(arm, seed):
        if arm.name == "l2_1e-2":
            raise error
        return forged(arm, seed)

    monkeypatch.setattr(runner, "train", train)
    failures = runner.sweep(kept, kept.find_all(["part1"], 1), executor=Inline())
    assert failures == [sentence]
    assert states(kept).count(State.DONE) == 6


def test_a_record_that_cannot_be_written_is_said_and_the_others_are_stored(
    kept, trained, monkeypatch
):
    write = Store.write

    def full_for_one(self, record):
        if record["arm"]["name"] == "l2_1e-2":
            raise OSError(28, "No space left on device")
        return write(self, record)

    monkeypatch.setattr(Store, "write", full_for_one)
    failures = runner.sweep(kept, kept.find_all(["part1"], 1), executor=Inline())
    assert failures == [
        f"part1/l2_1e-2 with seed 0 was trained, but not stored in {kept.folder}:"
        " No space left on device"
    ]
    assert states(kept).count(State.DONE) == 6


def test_a_folder_in_the_place_of_a_record_is_said_and_left(kept, trained):
    kept.path(QUICK[0], 0).mkdir(parents=True)
    (failure,) = runner.sweep(kept, kept.find_all(["part1"], 1), executor=Inline())
    assert failure.startswith("part1/none with seed 0 was trained, but not stored in ")
    assert kept.path(QUICK[0], 0).is_dir()


def test_what_an_executor_returns_is_checked_before_it_is_stored(kept, monkeypatch):
    monkeypatch.setattr(runner, "train", lambda arm, seed: forged(arm, seed) | {"test": {}})
    (failure, *_) = runner.sweep(kept, kept.find_all(["part1"], 1), executor=Inline())
    assert failure.endswith("its test is not acc, error")
    assert set(states(kept)) == {State.MISSING}


def test_a_folder_that_cannot_be_written_to_is_refused_before_anything_is_trained(
    tmp_path, trained
):
    (tmp_path / "file").write_text("", encoding="utf-8")
    kept = Store(tmp_path / "file", "quick", 1)
    findings = [store.Finding(QUICK[0], 0, kept.path(QUICK[0], 0), State.MISSING)]
    with pytest.raises(ValueError, match="results must be a folder that can be written to, got"):
        runner.sweep(kept, findings, executor=Inline())
    assert trained == []


def test_a_negative_number_of_workers_is_refused(kept):
    with pytest.raises(ValueError, match="workers must be a whole number of at least 0, got -1"):
        runner.sweep(kept, kept.find_all(), workers=-1)


def test_missing_mnist_is_said_once_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("MLPCW_DATA_DIR", str(tmp_path / "nothing"))
    kept = Store(tmp_path, "full", 1)
    with pytest.raises(FileNotFoundError, match=r"MNIST is not in .*nothing.* mlpcw data"):
        runner.sweep(kept, kept.find_all(["part1"]))


def test_a_sweep_shows_nothing_unless_asked_to(kept, trained, capsys):
    runner.sweep(kept, kept.find_all(["part1"], 1), executor=Inline())
    assert capsys.readouterr() == ("", "")


def test_a_progress_bar_goes_to_stderr_with_the_time_left(kept, trained, capsys):
    runner.sweep(kept, kept.find_all(["part1"], 1), executor=Inline(), progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "7 runs: 100%" in err
    assert " so far, " in err
    assert " left " in err


# ---- The time left --------------------------------------------------------------------------


def found(arm, state, wall=0.0):
    record = {"seconds": {"wall": wall, "cpu": wall}} if state is State.DONE else None
    return store.Finding(arm, 0, Path("unused"), state, record=record)


def test_the_time_left_is_by_the_cost_of_what_is_done():
    arm = QUICK[0]
    findings = [
        found(arm, State.DONE, 3.0),
        found(arm, State.DONE, 5.0),
        *(found(arm, state) for state in (State.MISSING, State.STALE, State.DAMAGED)),
    ]
    assert runner.seconds_left(findings) == pytest.approx(3 * 4.0)


def test_nothing_left_takes_no_time():
    assert runner.seconds_left([found(QUICK[0], State.DONE, 3.0)]) == 0
    assert runner.seconds_left([]) == 0


def test_the_time_left_is_not_known_before_a_run_is_done():
    assert runner.seconds_left([found(QUICK[0], State.MISSING)]) is None


def test_more_epochs_images_and_work_an_image_cost_more():
    plain = runner.cost(arms.find("full", "part3/nn"))
    assert runner.cost(arms.find("full", "part3/nn", 50)) < plain
    assert runner.cost(arms.find("full", "part2/size_1000")) < plain
    for key in ("part2/random_rotation", "part3/cnn_5x5", "part1/l2_1e-2"):
        assert runner.cost(arms.find("full", key)) > plain
    assert runner.cost(arms.find("quick", "part3/nn")) < plain


def test_the_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert runner.num_cores() == 3


def test_where_affinity_is_not_known_all_cores_count(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert runner.num_cores() == 6
