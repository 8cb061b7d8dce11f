"""What is trained and shown, chapter by chapter: so far the arms of the profiles."""

import dataclasses

from msgspec.structs import replace

from mlpcw import checks
from mlpcw.study.original import published
from mlpcw.study.records.arms import MOST, PARTS, PROFILES, Arm, Augmentation, Convolution, Penalty


def _faithful() -> tuple[Arm, ...]:
    """The runs of the original report, as they were made."""
    part1 = {
        "none": None,
        "l1_1e-5": Penalty(l1=1e-5),
        "l1_1e-3": Penalty(l1=1e-3),
        "l2_1e-4": Penalty(l2=1e-4),
        "l2_1e-2": Penalty(l2=1e-2),
        "l1l2_1e-5_1e-4": Penalty(l1=1e-5, l2=1e-4),
        "l1l2_1e-3_1e-2": Penalty(l1=1e-3, l2=1e-2),
    }
    # Part 2: name -> (what rng had been through, augmentation)
    part2 = {
        "initial_data": ("distortion", None),
        "random_rotation": ("plain", Augmentation(kind="rotation")),
        "random_shift": ("rotation", Augmentation(kind="shift_2016")),
        "random_distortion": ("shift", Augmentation(kind="distortion")),
        "random_noise": ("distortion", Augmentation(kind="noise_2016")),
        "sigma_1": ("plain", Augmentation(kind="distortion", sigma=1.0)),
        "sigma_4": ("distortion", Augmentation(kind="distortion", sigma=4.0)),
        "sigma_10": ("distortion", Augmentation(kind="distortion", sigma=10.0)),
    }
    sizes = {"size_1000": 10, "size_5000": 50, "size_10000": 100}
    part3 = {
        "cnn_5x5": Convolution(kernel_dim=5, kernel_draws=25),
        "cnn_10x10": Convolution(kernel_dim=10, kernel_draws=25),
        "cnn_15x15": Convolution(kernel_dim=15),
        "cnn_5x5_first_image": Convolution(kernel_dim=5, kernel_gradient="first_image"),
    }
    return (
        *(
            Arm(part="part1", name=name, start="reseeded", batch_size=50, penalty=penalty)
            for name, penalty in part1.items()
        ),
        *(
            Arm(part="part2", name=name, max_num_batches=num_batches)
            for name, num_batches in sizes.items()
        ),
        *(
            Arm(part="part2", name=name, start=start, augmentation=augmentation)
            for name, (start, augmentation) in part2.items()
        ),
        Arm(part="part3", name="nn"),
        *(_convolutional("part3", name, convolution) for name, convolution in part3.items()),
    )


def _convolutional(part: str, name: str, convolution: Convolution, start: str = "plain") -> Arm:
    return Arm(part=part, name=name, start=start, hidden_dims=(100,), convolution=convolution)


def _starts() -> tuple[Arm, ...]:
    """Networks of Part 3 from other start states that are plausible for the report's tables.

    Which ones the tables came from is not known. The kernel's generator may have given the kernels
    of other sizes before: 25, 100 and 225 numbers, and their sums.
    """
    tried = [(5, "fresh", draws) for draws in (0, 25, 100, 325)]
    tried += [(5, "plain", draws) for draws in (0, 100, 125, 225, 250, 325)]
    tried += [(10, "fresh", 0), (10, "plain", 0)]
    return tuple(
        _convolutional(
            "starts",
            f"cnn_{kernel_dim}x{kernel_dim}_{start}_{draws}",
            Convolution(kernel_dim=kernel_dim, kernel_draws=draws),
            start,
        )
        for kernel_dim, start, draws in tried
    )


def _quick(arm: Arm) -> Arm:
    """The arm on the embedded digits: a fiftieth of the images, fewer epochs, paired seeds."""
    return replace(
        arm,
        data="digits",
        protocol="paired",
        batch_size=arm.batch_size // 5,
        max_num_batches=-1 if arm.max_num_batches == -1 else arm.max_num_batches // 10,
        num_epochs=20,
        stats_interval=1,
    )


@dataclasses.dataclass(frozen=True)
class Condition:
    """An arm of the full profile, and what 2016 published of it."""

    arm: Arm

    @property
    def log(self) -> str:
        """Name of its published log, or ""."""
        return "/".join(published.LOGS.get(self.arm.key, ()))

    @property
    def table(self) -> tuple[str, ...]:
        """Number of a table of the report and its row there, or ()."""
        return published.TABLES.get(self.arm.key, ())

    @property
    def exact(self) -> bool:
        """Whether every printed digit of 2016 is reached on any machine."""
        return self.arm.key in published.REPLAYED

    def compare(self, curves: dict[str, list[float]]) -> published.Comparison:
        """Compares the curves of a run with what 2016 printed of it."""
        return published.compare(self.arm.key, curves)

    def verdict(self, curves: dict[str, list[float]]) -> str:
        """What the comparison says, in a line."""
        return published.verdict(self.arm.key, self.compare(curves))


_FULL = _faithful() + _starts()
_QUICK = tuple(_quick(arm) for arm in _faithful())
CONDITIONS = {arm.key: Condition(arm) for arm in _FULL}


def arms(profile: str, part: str | None = None, num_epochs: int = 0) -> tuple[Arm, ...]:
    """The arms of a profile, in the order in which the report names them.

    Args:
        profile: One of `PROFILES`.
        part: One of `PARTS`, or `None` for all.
        num_epochs: Epochs of every arm; 0 leaves each as it is.

    Raises:
        ValueError: If the profile or the part is unknown, or `num_epochs` is negative or above
            `MOST`.
    """
    checks.one_of("profile", profile, PROFILES)
    if part is not None:
        checks.one_of("part", part, PARTS)
    checks.whole_number("epochs", num_epochs, low=0, high=MOST)
    found = _FULL if profile == "full" else _QUICK
    found = tuple(arm for arm in found if part in (None, arm.part))
    if num_epochs:
        found = tuple(replace(arm, num_epochs=num_epochs) for arm in found)
    return found


def find(profile: str, key: str, num_epochs: int = 0) -> Arm:
    """The arm of a profile with a key such as "part1/none".

    Raises:
        ValueError: If the profile has no such arm.
    """
    by_key = {arm.key: arm for arm in arms(profile, num_epochs=num_epochs)}
    return by_key[checks.one_of("arm", key, by_key)]
