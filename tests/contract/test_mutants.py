"""Faults that this report has known, by name: a fast test finds each. `make mutants` tries more."""

import ast
import collections
import functools
import inspect
import re

import mutation
import numpy as np
import pytest
import test_augmenters
import test_compiled
import test_conv
import test_data_providers
import test_errors
import test_fused
import test_layers
import test_learning_rules
import test_models
import test_optimisers
import test_set_up

from mlpcw import compiled, errors, layers, penalties
from mlpcw.study.records.arms import Penalty


def of_each(test, values):
    """The test with each of some values for its first parameter: each must fail."""
    return [functools.partial(test, value) for value in values]


def in_numpy(test, *args):
    """The test without compiled kernels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "enabled", lambda: False)
        test(*args)


def fused_step():
    with pytest.MonkeyPatch.context() as patch:
        case = (patch, "one", "L2", "momentum", "float64")
        in_numpy(test_fused.test_same_update_as_the_general_path, *case)


def augmented(augmenter):
    test = test_augmenters.test_new_array_of_the_same_shape_and_dtype
    in_numpy(test, augmenter, (8, 28, 28), np.float64)


def penalised_run():
    test = test_set_up.test_a_penalty_acts_on_all_weights_and_on_no_bias
    test(Penalty(l2=1e-2), penalties.L2Penalty)


# Fault: modules as for `mutation.files_of`, old and new text, and the test or tests that must fail.
MUTANTS = {
    "kernel gradient from the first image only": (
        "layers",
        (
            "grad_kernels(inputs, grads_wrt_outputs)",
            "grad_kernels(inputs[:1], grads_wrt_outputs[:1])",
        ),
        test_layers.test_convolution_by_hand,
    ),
    "kernel gradient from the first image only, every method": (
        "conv",
        ("method.grad_kernels(inputs, grads)", "method.grad_kernels(inputs[:1], grads[:1])"),
        of_each(
            test_conv.test_kernel_gradient_sums_over_the_batch_and_keeps_output_channels_apart,
            test_conv.METHODS,
        ),
    ),
    "kernels not flipped, every method": (
        "conv",
        ("return kernels[:, :, ::-1, ::-1]", "return kernels"),
        ("inputs[b, c], kernels[o, c], mode=", "inputs[b, c], kernels[o, c, ::-1, ::-1], mode="),
        of_each(test_conv.test_small_case_by_hand, test_conv.METHODS),
    ),
    "1/N missing in the gradient of the error": (
        "errors",
        ("grads /= len(outputs)", "pass"),
        test_errors.test_cross_entropy_of_softmaxes_by_hand,
    ),
    "1/N missing in the compiled gradient of the error": (
        "step_kernels",
        (
            "(grads[n, i] / total - targets[n, i]) / batch_size",
            "grads[n, i] / total - targets[n, i]",
        ),
        of_each(test_compiled.test_softmax_gradient_by_hand, [inspect.unwrap]),
    ),
    "gradient of the penalty left out": (
        "layers",
        ("grad += penalty.grad(param)", "pass"),
        [test_layers.test_penalties_by_hand, test_models.test_gradients_by_hand],
    ),
    "gradient of the penalty left out, in the fused step": (
        "fused updates",
        ("self._weights.begin(self._layer.weights_penalty)", "self._weights.begin(None)"),
        fused_step,
    ),
    "penalty on biases, too": (
        "layers",
        (
            "= weights_penalty\n        self.biases_penalty = biases_penalty",
            "= weights_penalty\n        self.biases_penalty = weights_penalty",
        ),
        test_layers.test_penalties_by_hand,
    ),
    "penalty on biases, too, in the runs": (
        "study/runs",
        ("weights_penalty=penalty)", "weights_penalty=penalty, biases_penalty=penalty)"),
        penalised_run,
    ),
    "momentum of the wrong sign": (
        "learning_rules",
        ("self.params[index] += mom\n", "self.params[index] -= mom\n"),
        test_learning_rules.test_momentum_by_hand,
    ),
    "momentum of the wrong sign, in the fused step": (
        "fused updates",
        ("self._flat_param += self._flat_sum", "self._flat_param -= self._flat_sum"),
        fused_step,
    ),
    "statistics pass that does not shuffle": (
        "optimisers",
        (
            "        for inputs, targets in dataset:\n",
            "        was, dataset.shuffle_order = dataset.shuffle_order, False\n"
            "        for inputs, targets in dataset:\n",
        ),
        (
            "        return {key + label: total",
            "        dataset.shuffle_order = was\n        return {key + label: total",
        ),
        test_optimisers.test_every_pass_ends_with_a_permutation_those_for_statistics_too,
    ),
    "augmentation that writes into its input, every augmenter": (
        "augmenters",
        ('outputs = np.array(inputs, order="C")', "outputs = inputs"),
        of_each(augmented, test_augmenters.RANDOM),
    ),
    "training set shuffled from its original order in each epoch": (
        "data_providers data",
        ("self.order = self.order[permutation]", "self.order = permutation"),
        test_data_providers.test_shuffles_by_hand,
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_named_mutant_is_killed(name):
    modules, *changes, tests = MUTANTS[name]
    for test in tests if isinstance(tests, list) else [tests]:
        test()
        with mutation.mutated(modules, *changes), pytest.raises((AssertionError, ValueError)):
            test()
        test()


# ---- that mutants are what they are said to be -------------------------------------------------

SOURCE = '''
"""Text."""
LIMIT = 10

class Kind:
    def method(self, value: int = 3) -> bool:
        """Text."""
        if value < LIMIT and not self.closed:
            self.total[...] = value * 2
            print("text")
        return value >= 0.5
'''
ARRAYS = """
def work(rows, size):
    count = 0
    count += rows.size
    rows += np.zeros(size, dtype=float)
    rows[:] = np.ascontiguousarray(rows[size:].astype(int), "f4")
    np.dot(rows, rows, out=rows)
    for start in range(0, len(rows), size):
        yield rows[:size].copy()
"""


def test_the_mutants_of_a_source():
    assert list(mutation.mutants_of(SOURCE)) == [
        "module: 10 -> 11",
        "Kind.method: 3 -> 4",
        "Kind.method: value < LIMIT -> value <= LIMIT",
        "Kind.method: not self.closed -> self.closed",
        "Kind.method: value < LIMIT and (not self.closed) -> value < LIMIT or not self.closed",
        "Kind.method: 2 -> 3",
        "Kind.method: value * 2 -> value / 2",
        "Kind.method: self.total[...] = value * 2 -> pass",
        "Kind.method: self.total[...] = value * 2 -> self.total = value * 2",
        "Kind.method: print('text') -> pass",
        "Kind.method.if: value < LIMIT and (not self.closed) -> "
        "not (value < LIMIT and (not self.closed))",
        "Kind.method: 0.5 -> 1.5",
        "Kind.method: value >= 0.5 -> value > 0.5",
        "Kind.method: return value >= 0.5 -> return None",
    ]


def test_the_mutants_of_arrays():
    contiguous = "np.ascontiguousarray(rows[size:].astype(int), 'f4')"
    assert {
        "rows += np.zeros(size, dtype=float) -> rows = rows + np.zeros(size, dtype=float)",
        "np.zeros(size, dtype=float) -> np.zeros(size)",
        "rows[size:].astype(int) -> rows[size:]",
        f"{contiguous} -> np.ascontiguousarray(rows[size:].astype(int))",
        f"{contiguous} -> rows[size:].astype(int)",
        f"rows[:] = {contiguous} -> rows = {contiguous}",
        "np.dot(rows, rows, out=rows) -> np.dot(rows, rows)",
        "rows[:size].copy() -> rows[:size]",
        "range(0, len(rows), size) -> range(0, len(rows) - 1, size)",
        "range(0, len(rows), size) -> range(0, len(rows) - size + 1, size)",
        "size -> size + 1",
        "size -> size - 1",
    } <= {name.removeprefix("work: ") for name in mutation.mutants_of(ARRAYS)}


@pytest.mark.parametrize("text", [SOURCE, ARRAYS])
def test_a_mutant_differs_in_one_place_and_compiles(text):
    source = ast.unparse(ast.parse(text)).splitlines()
    for make in mutation.mutants_of(text).values():
        tree = make()
        compile(tree, "mutant", "exec")
        pairs = zip(source, ast.unparse(tree).splitlines(), strict=True)
        assert sum(line != mutated for line, mutated in pairs) == 1


def test_equal_changes_have_names_of_their_own_in_all_files_of_a_folder():
    count = collections.Counter()
    names = ["module: 1 -> 2", "module: 1 -> 2 (2)", "module: 1 + 1 -> 1 - 1"]
    assert list(mutation.mutants_of("x = 1 + 1", count)) == names
    assert list(mutation.mutants_of("x = 1", count)) == ["module: 1 -> 2 (3)"]


def test_a_mutant_is_undone():
    assert errors.sigmoid(np.zeros(1)) == 0.5
    with mutation.mutated("errors", ("return 0.5 * (1 +", "return 0.5 * (3 +")):
        assert errors.sigmoid(np.zeros(1)) == 1.5
        assert layers.SigmoidLayer().fprop(np.zeros(1)) == 1.5
    assert errors.sigmoid(np.zeros(1)) == 0.5


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ("not there", "'not there' must be once in errors, not 0 times"),
        ("outputs", "'outputs' must be once in errors, not "),
        ("def sigmoid", "no function of errors has changed"),
    ],
)
def test_a_change_that_makes_no_mutant_is_refused(old, message):
    with (
        pytest.raises(ValueError, match=re.escape(message)),
        mutation.mutated("errors", (old, old)),
    ):
        pass
