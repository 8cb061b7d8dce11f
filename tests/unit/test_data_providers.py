"""The data providers: which examples come when, and which random numbers that takes.

The order is checked against a provider that permutes whole arrays, as the course's did, with a
generator of its own in the same state: as long as the two agree batch for batch, and the
generators afterwards, every permutation was drawn when it should be and from what it should be.
"""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcw import mnist
from mlpcw.data_providers import (
    AugmentedMNISTDataProvider,
    DataProvider,
    DigitsDataProvider,
    ImageSetDataProvider,
    MNISTAutoencoderDataProvider,
    MNISTDataProvider,
    OneOfKDataProvider,
)

SEED = 24102016
NUM_DATA = 11
INPUTS = np.arange(2.0 * NUM_DATA).reshape(NUM_DATA, 2)
TARGETS = 100 + np.arange(1.0 * NUM_DATA)[:, np.newaxis]
CLASSES = np.array([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2])


class PermutingProvider:
    """A slow provider, which permutes the arrays themselves."""

    def __init__(self, inputs, targets, batch_size, max_num_batches, rng):
        self.first = inputs, targets
        self.arrays = self.first
        self.batch_size = batch_size
        self.num_batches = len(inputs) // batch_size
        if max_num_batches != -1:
            self.num_batches = min(self.num_batches, max_num_batches)
        self.rng = rng
        self.order = np.arange(NUM_DATA)
        self.shuffle()

    def shuffle(self):
        order = self.rng.permutation(NUM_DATA)
        self.arrays = tuple(array[order] for array in self.arrays)
        self.order = self.order[order]

    def reset(self):
        self.arrays, self.order = self.first, np.arange(NUM_DATA)
        self.shuffle()

    def one_pass(self):
        """All batches of one pass, and the shuffle at its end."""
        batches = []
        for n in range(self.num_batches):
            rows = slice(n * self.batch_size, (n + 1) * self.batch_size)
            batches.append(tuple(array[rows] for array in self.arrays))
        self.shuffle()
        return batches


def provider(batch_size=3, max_num_batches=-1, shuffle_order=True, rng=None):
    return DataProvider(INPUTS, TARGETS, batch_size, max_num_batches, shuffle_order, rng)


def assert_same_pass(found, expected):
    for (inputs, targets), (expected_inputs, expected_targets) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(inputs, expected_inputs)
        np.testing.assert_array_equal(targets, expected_targets)


def next_number(rng):
    return rng.random_sample() if isinstance(rng, np.random.RandomState) else rng.random()


# ---- order ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make_rng", [np.random.RandomState, np.random.default_rng])
@pytest.mark.parametrize("batch_size, max_num_batches", [(3, -1), (3, 2), (3, 9), (1, 1), (11, -1)])
def test_shuffles_when_built_and_at_the_end_of_each_pass(make_rng, batch_size, max_num_batches):
    rng, slow_rng = make_rng(SEED), make_rng(SEED)
    fast = provider(batch_size, max_num_batches, rng=rng)
    slow = PermutingProvider(INPUTS, TARGETS, batch_size, max_num_batches, slow_rng)
    assert fast.num_batches == slow.num_batches
    for _ in range(4):
        assert_same_pass(list(fast), slow.one_pass())
    np.testing.assert_array_equal(fast.inputs, slow.arrays[0])
    np.testing.assert_array_equal(fast.targets, slow.arrays[1])
    assert next_number(rng) == next_number(slow_rng)


def test_shuffles_by_hand():
    """Four examples, three permutations, which compound."""

    class Permutations(np.random.RandomState):
        drawn = iter([[1, 2, 3, 0], [1, 0, 3, 2], [3, 2, 1, 0]])

        def permutation(self, x):
            assert x == 4
            return np.array(next(self.drawn))

    letters = np.array(list("abcd"))
    shuffled = DataProvider(letters, letters, 2, rng=Permutations())
    assert ["".join(inputs) for inputs, _ in shuffled] == ["bc", "da"]
    assert ["".join(inputs) for inputs, _ in shuffled] == ["cb", "ad"]
    assert "".join(shuffled.inputs) == "dabc"


def test_reset_in_the_middle_of_a_pass_starts_a_whole_one():
    rng = np.random.RandomState(SEED)
    interrupted = provider(rng=rng)
    assert iter(interrupted) is interrupted
    next(interrupted)
    interrupted.next()
    rng.seed(SEED)
    interrupted.reset()
    fresh = provider(rng=np.random.RandomState(SEED))
    assert_same_pass(list(interrupted), list(fresh))


def test_without_shuffling_the_order_is_that_of_the_data_and_nothing_is_drawn():
    rng = np.random.RandomState(SEED)
    ordered = provider(3, shuffle_order=False, rng=rng)
    for _ in range(2):
        batches = list(ordered)
        np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), INPUTS[:9])
    ordered.reset()
    np.testing.assert_array_equal(ordered.next()[0], INPUTS[:3])
    assert rng.random_sample() == np.random.RandomState(SEED).random_sample()


def test_without_a_generator_takes_fresh_entropy():
    orders = {tuple(provider().inputs[:, 0]) for _ in range(3)}
    assert len(orders) > 1


# ---- iteration --------------------------------------------------------------------------------


def test_the_end_of_a_pass_is_told_once():
    counted = provider(5, rng=np.random.RandomState(SEED))
    counted.next()
    counted.next()
    with pytest.raises(StopIteration):
        counted.next()
    assert len(list(counted)) == 2


def test_batch_size_and_number_of_batches_may_change():
    changing = provider(3)
    changing.batch_size = 5
    assert [len(inputs) for inputs, _ in changing] == [5, 5]
    changing.max_num_batches = 1
    assert [len(inputs) for inputs, _ in changing] == [5]
    changing.max_num_batches = -1
    assert changing.num_batches == 2
    for name, value in (("batch_size", 12), ("max_num_batches", 0)):
        with pytest.raises(ValueError, match=f"{name} must be"):
            setattr(changing, name, value)
    assert (changing.batch_size, changing.max_num_batches) == (5, -1)


def test_a_batch_may_be_changed_without_harm():
    inputs, targets = INPUTS.copy(), TARGETS.copy()
    shuffled = DataProvider(inputs, targets, 3)
    for batch_inputs, batch_targets in shuffled:
        batch_inputs[...] = -1
        batch_targets[...] = -1
    np.testing.assert_array_equal(inputs, INPUTS)
    np.testing.assert_array_equal(np.sort(shuffled.inputs, axis=0), INPUTS)
    np.testing.assert_array_equal(targets, TARGETS)


@given(
    steps=st.lists(st.sampled_from(["pass", "batch", "reset", "inputs", "targets", "set"])),
    seed=st.integers(0, 2**32 - 1),
)
def test_all_data_may_be_read_and_set_at_any_time(steps, seed):
    """As the slow provider: the order of the data, their targets, and the draws."""
    rng, slow_rng = np.random.RandomState(seed), np.random.RandomState(seed)
    fast, slow = provider(rng=rng), PermutingProvider(INPUTS, TARGETS, 3, -1, slow_rng)
    for number, step in enumerate(steps):
        if step == "pass":
            assert_same_pass(list(fast), slow.one_pass())
        elif step == "batch":
            fast.new_epoch()
            slow.shuffle()
            assert_same_pass([fast.next()], [tuple(array[:3] for array in slow.arrays)])
            fast.new_epoch()
            slow.shuffle()
        elif step == "reset":
            fast.reset()
            slow.reset()
        elif step == "set":
            slow.arrays = slow.arrays[0] + 100, 2 * slow.arrays[1]
            fast.inputs, fast.targets = (array.copy() for array in slow.arrays)
            for inputs in (fast.inputs, slow.arrays[0]):
                inputs[0] = number  # into the data themselves
            slow.first = tuple(array[np.argsort(slow.order)] for array in slow.arrays)
        else:
            place = ["inputs", "targets"].index(step)
            np.testing.assert_array_equal(getattr(fast, step), slow.arrays[place])
    assert_same_pass(list(fast), slow.one_pass())
    assert rng.random_sample() == slow_rng.random_sample()


def test_reading_all_data_copies_them_once_after_a_shuffle():
    inputs = INPUTS.copy()
    ordered = DataProvider(inputs, TARGETS, 3, shuffle_order=False)
    assert ordered.inputs is inputs
    ordered.shuffle()
    assert not np.shares_memory(ordered.inputs, inputs)
    assert ordered.inputs is ordered.inputs
    np.testing.assert_array_equal(inputs, INPUTS)


def test_images_shared_by_all_providers_are_copied_before_they_can_be_written_to():
    first, second = (DigitsDataProvider("valid", 5, shuffle_order=False) for _ in range(2))
    before = second.inputs.copy()
    first.inputs[:] = 7
    assert first.next()[0].min() == 7
    np.testing.assert_array_equal(second.inputs, before)


def test_classes_that_are_set_are_checked():
    classes = OneOfKDataProvider(INPUTS, CLASSES, 11)
    classes.targets = CLASSES[::-1].copy()
    assert classes.next()[1].shape == (11, 4)
    with pytest.raises(ValueError, match=r"whole numbers in \[0, 4\), got 0 to 4"):
        classes.targets = np.r_[CLASSES[1:], 4]


# ---- classes ----------------------------------------------------------------------------------


def test_classes_become_rows_with_a_single_one():
    classes = OneOfKDataProvider(INPUTS.astype("f4"), CLASSES, 4, shuffle_order=False)
    inputs, targets = classes.next()
    np.testing.assert_array_equal(inputs, INPUTS[:4])
    np.testing.assert_array_equal(targets, np.eye(4))
    assert (inputs.dtype, targets.dtype) == (np.float32, np.float64)
    found = classes.to_one_of_k(np.array([2, 0, 2]))
    np.testing.assert_array_equal(found, [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 1, 0]])
    assert classes.num_classes == 4
    assert OneOfKDataProvider(INPUTS, np.zeros_like(CLASSES), 4).num_classes == 1


def test_a_subclass_may_say_how_many_classes_there_are():
    class FiveClasses(OneOfKDataProvider):
        def __init__(self, inputs, targets, batch_size):
            self.num_classes = 5
            super().__init__(inputs, targets, batch_size)

    assert FiveClasses(INPUTS, CLASSES, 4).next()[1].shape == (4, 5)
    with pytest.raises(ValueError, match=r"whole numbers in \[0, 5\), got 2 to 5"):
        FiveClasses(INPUTS, CLASSES + 2, 4)


# ---- images -----------------------------------------------------------------------------------


class FewImages(mnist.ImageSet):
    """Five images in train, three in valid and in test; two classes of the ten."""

    def __init__(self):
        rng = np.random.RandomState(91)
        splits = {}
        for which_set, number in (("train", 5), ("valid", 3), ("test", 3)):
            pixels = (rng.randint(0, 256, (number, 784)) / 256).astype(np.float32)
            pixels.flags.writeable = False
            splits[which_set] = pixels, np.arange(number) % 2
        super().__init__("few", "no digest", splits)


def test_images_of_each_split():
    images = FewImages()
    for which_set, number in (("train", 5), ("valid", 3), ("test", 3)):
        found = ImageSetDataProvider(images, which_set, number, shuffle_order=False)
        inputs, targets = found.next()
        expected, labels = images.split(which_set)
        np.testing.assert_array_equal(inputs, expected)
        np.testing.assert_array_equal(targets, np.eye(10)[labels])
        assert found.which_set == which_set
        assert found.num_classes == 10


def test_the_transformer_is_called_with_each_batch_and_the_generator():
    """In every pass, before the permutation at its end."""
    rng, calls = np.random.RandomState(SEED), []

    def transformer(inputs, given_rng):
        calls.append(inputs.copy())
        assert given_rng is rng
        return inputs + given_rng.uniform()

    augmented = ImageSetDataProvider(FewImages(), "train", 2, rng=rng, transformer=transformer)
    found = [list(augmented) for _ in range(2)]
    assert [inputs.shape for inputs in calls] == [(2, 784)] * 4

    images, labels = FewImages().split("train")
    slow_rng = np.random.RandomState(SEED)
    order = slow_rng.permutation(5)
    for one_pass in found:
        for n, (inputs, targets) in enumerate(one_pass):
            rows = order[2 * n : 2 * n + 2]
            np.testing.assert_array_equal(inputs, images[rows] + slow_rng.uniform())
            np.testing.assert_array_equal(targets, np.eye(10)[labels[rows]])
        order = order[slow_rng.permutation(5)]
    assert rng.random_sample() == slow_rng.random_sample()


def split_of_digits(which_set):
    images, labels = mnist.digits().split(which_set)
    return images, np.eye(10)[labels]


@pytest.mark.usefixtures("digits_for_mnist")
@pytest.mark.parametrize(
    "kind",
    [
        MNISTDataProvider,
        AugmentedMNISTDataProvider,
        DigitsDataProvider,
        functools.partial(ImageSetDataProvider, mnist.digits()),
    ],
    ids=["MNIST", "augmented", "digits", "any"],
)
def test_the_providers_of_digits(kind):
    """All training images in batches of a hundred by default; other arguments in this order."""
    default = kind()
    assert [inputs.shape for inputs, _ in default] == [(100, 784)] * 10
    assert default.which_set == "train"
    images, targets = split_of_digits("test")
    ordered = list(kind("test", 50, 3, False, np.random.RandomState(SEED)))
    rows = [slice(50 * n, 50 * n + 50) for n in range(3)]
    assert_same_pass(ordered, [(images[batch], targets[batch]) for batch in rows])
    order = np.random.RandomState(SEED).permutation(400)
    shuffled = kind("test", 50, rng=np.random.RandomState(SEED)).next()
    assert_same_pass([shuffled], [(images[order[:50]], targets[order[:50]])])


class OwnProvider(MNISTDataProvider):
    """As in notebooks of the course, a subclass calls a transformer of its own, once."""

    def __init__(self, *arguments, transformer):
        super().__init__(*arguments)
        self.transformer = transformer

    def next(self):
        inputs, targets = super().next()
        return self.transformer(inputs, self.rng), targets


@pytest.mark.usefixtures("digits_for_mnist")
@pytest.mark.parametrize("kind", [AugmentedMNISTDataProvider, DigitsDataProvider, OwnProvider])
def test_the_inputs_are_transformed_once(kind):
    rng = np.random.RandomState(SEED)
    arguments = "train", 50, 2, True
    plain = MNISTDataProvider(*arguments, np.random.RandomState(SEED))
    augmented = kind(*arguments, rng, transformer=lambda inputs, given: inputs + (given is rng))
    assert_same_pass(list(augmented), [(x + 1, t) for x, t in plain])


@pytest.mark.usefixtures("digits_for_mnist")
def test_the_transformer_may_be_replaced():
    augmented = AugmentedMNISTDataProvider()
    assert augmented.transformer is None
    augmented.transformer = lambda inputs, rng: 0 * inputs
    assert not augmented.next()[0].any()


@pytest.mark.usefixtures("digits_for_mnist")
def test_the_autoencoder_provider_has_the_inputs_as_targets():
    plain = MNISTDataProvider("valid", 50, rng=np.random.RandomState(SEED))
    restoring = MNISTAutoencoderDataProvider("valid", 50, rng=np.random.RandomState(SEED))
    assert_same_pass(list(restoring), [(x, x) for x, _ in plain])


@pytest.mark.needs_mnist
def test_mnist_itself():
    shuffled = MNISTDataProvider("valid", 50, rng=np.random.RandomState(SEED))
    images, labels = mnist.load().split("valid")
    order = np.random.RandomState(SEED).permutation(10_000)[:50]
    inputs, targets = shuffled.next()
    np.testing.assert_array_equal(inputs, images[order])
    np.testing.assert_array_equal(targets, np.eye(10)[labels[order]])
    assert shuffled.num_batches == 200


# ---- what is refused --------------------------------------------------------------------------


def set_later(name, value):
    setattr(provider(), name, value)


def classes(targets):
    return OneOfKDataProvider(INPUTS, targets, 3)


REFUSALS = [
    (lambda: provider(0), "batch_size must be a whole number of at least 1, got 0"),
    (lambda: provider(12), "batch_size must be at most the number of examples, 11, got 12"),
    (lambda: provider(2.0), "batch_size must be a whole number, got 2.0"),
    (lambda: provider(3, 0), "max_num_batches must be -1 (all) or at least 1, got 0"),
    (lambda: provider(3, -2), "max_num_batches must be a whole number of at least -1, got -2"),
    (lambda: provider(3, 1.5), "max_num_batches must be a whole number, got 1.5"),
    (lambda: provider(rng=5), "rng must be a RandomState, a Generator or None, got 5"),
    (
        lambda: DataProvider(INPUTS, TARGETS[:-1], 3),
        "inputs and targets must have the same length, got shapes (11, 2) and (10, 1)",
    ),
    (
        lambda: set_later("inputs", INPUTS[:3]),
        "inputs must be 11 examples, as many as before, got shape (3, 2)",
    ),
    (
        lambda: set_later("targets", 7.0),
        "targets must be 11 examples, as many as before, got shape ()",
    ),
    (
        lambda: classes(CLASSES.astype(float)),
        "targets must be whole numbers, (num_data,), got shape (11,) and dtype float64",
    ),
    (
        lambda: classes(CLASSES[:, np.newaxis]),
        "targets must be whole numbers, (num_data,), got shape (11, 1) and dtype int64",
    ),
    (lambda: classes(CLASSES - 1), "targets must be whole numbers in [0, 3), got -1 to 2"),
    (
        lambda: ImageSetDataProvider(FewImages(), "eval"),
        "which_set must be one of train, valid, test, got 'eval'",
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSALS)
def test_a_wrong_argument_is_refused(make, message):
    with pytest.raises((TypeError, ValueError)) as refusal:
        make()
    assert str(refusal.value) == message
