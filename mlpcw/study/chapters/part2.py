"""Chapter 2, augmentation: its conditions, figures, tables and texts."""

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpcw import augmenters, checks, mnist
from mlpcw.study.chapters.condition import EXACT, UNSEEDED, Condition, beside_2016, finals, gaps
from mlpcw.study.chapters.figures import Curves, Dots
from mlpcw.study.original import as_run
from mlpcw.study.records.arms import Arm, Augmentation
from mlpcw.study.records.results import Results
from mlpcw.study.show.tables import ALL, Table
from mlpcw.study.show.words import against, count, lowest, ranking, thousands, three_digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _condition(
    name: str, label: str, colour: str, table: tuple[str, ...], replay: str = EXACT, **of_arm: Any
) -> Condition:
    log = f"part2/{name}" if table[:1] == ("2.2",) else ""
    arm = Arm(part="part2", name=name, **of_arm)
    return Condition(arm=arm, label=label, colour=colour, log=log, table=table, replay=replay)


def _size(num_images: int, colour: str) -> Condition:
    name, table = f"size_{num_images}", ("2.1", str(num_images))
    return _condition(name, "{images} images", colour, table, max_num_batches=num_images // 100)


def _augmented(label: str, kind: str, start: str, colour: str, replay: str = EXACT) -> Condition:
    name, augmentation = f"random_{label}", Augmentation(kind=kind)
    table = ("2.2", name)
    return _condition(name, label, colour, table, replay, start=start, augmentation=augmentation)


def _sigma(sigma: float, start: str, colour: str, replay: str = EXACT) -> Condition:
    name, augmentation = f"sigma_{sigma:g}", Augmentation(kind="distortion", sigma=sigma)
    label, table = f"σ = {sigma:g}", ("2.3", name)
    return _condition(name, label, colour, table, replay, start=start, augmentation=augmentation)


INITIAL = _condition(
    "initial_data", "initial data", "#8A8A8A", ("2.2", "initial_data"), start="distortion"
)
NOISE = _augmented("noise", "noise_2016", "distortion", "#AA4499", UNSEEDED)
SHIFT = _augmented("shift", "shift_2016", "rotation", "#E69F00", UNSEEDED)
ROTATION = _augmented("rotation", "rotation", "plain", "#56B4E9")
DISTORTION = _augmented("distortion", "distortion", "shift", "#117733")

SIZES = (_size(1000, "#7FB8E0"), _size(5000, "#2F7FB8"), _size(10_000, "#0B3C6F"))
AUGMENTED = (NOISE, SHIFT, ROTATION, DISTORTION)
SIGMAS = (
    _sigma(1.0, "plain", "#7CC58F", replay=""),
    _sigma(4.0, "distortion", "#117733"),
    _sigma(10.0, "distortion", "#062D17"),
)
COMPARED = (INITIAL, *AUGMENTED)
CONDITIONS = (*SIZES, INITIAL, ROTATION, SHIFT, DISTORTION, NOISE, *SIGMAS)

picture = Dots("Augmentation", "error", COMPARED)
size_errors = Curves("error", SIZES)  # Figure 2.1
augmentation_errors = Curves("error", COMPARED)  # Figure 2.7
sigma_errors = Curves("error", SIGMAS)  # Figure 2.8
size_table = Table("2.1", SIZES, ALL, ("error",))
augmentation_table = Table("2.2", COMPARED, ("error_valid", "acc_valid"), ("error", "acc"))
sigma_table = Table("2.3", SIGMAS, ALL, ("error",))

GRID_SEED = 2016
"""Seed of what the grids' transforms draw."""


def _shift(inputs: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    # A batch shares one shift; each image is shown as one of a batch of its own.
    batches = np.split(inputs, len(inputs))
    return np.concatenate([as_run.shift_2016(batch, rng, rng, fraction=1) for batch in batches])


_TRANSFORMS = {
    "original": lambda inputs, rng: inputs,
    "distortion": lambda inputs, rng: augmenters.random_distortion(inputs, rng, fraction=1),
    "noise": lambda inputs, rng: as_run.noise_2016(inputs, rng, rng, fraction=1),
    "shift": _shift,
    "rotation": lambda inputs, rng: augmenters.random_rotation(inputs, rng, fraction=1),
}


def image_grid(images: mnist.ImageSet, kind: str) -> "Figure":
    """Figures 2.2 to 2.6: the same images in every grid, all of them transformed as in 2016.

    Args:
        images: MNIST or the digits; shown are the first validation images of each class.
        kind: "original", "distortion", "noise", "shift" or "rotation".

    Raises:
        ValueError: If there is no such kind.
    """
    from mlpcw.study.show import grids

    transform = _TRANSFORMS[checks.one_of("kind", kind, _TRANSFORMS)]
    return grids.draw(transform(grids.example_inputs(images), np.random.RandomState(GRID_SEED)))


def texts(results: Results) -> dict[str, str]:
    """Texts of the chapter by the names used there."""
    valid = finals(results, COMPARED, "error_valid")
    best = min(AUGMENTED, key=valid.get)
    below = [each for each in AUGMENTED if against(valid[each], valid[INITIAL]) == "below"]
    sigmas = finals(results, SIGMAS, "error_valid")
    by_name = {
        "part2_answer": (
            f"Of four augmentations {count(len(below))} end with a lower validation error than"
            f" the unchanged images ({three_digits(valid[INITIAL])});"
            f" **{best.label_in(results)}** ends lowest, at {three_digits(valid[best])}."
        ),
        "part2_ranking": ranking(results, valid),
        "part2_gaps": ranking(results, gaps(results, COMPARED)),
        "part2_test": ranking(
            results, {each: results.test(each.key, "error") for each in COMPARED}
        ),
        "part2_sizes": ranking(results, finals(results, SIZES, "error_valid")),
        "part2_sizes_train": ranking(results, finals(results, SIZES, "error_train")),
        "part2_sigmas": ranking(results, sigmas),
        "part2_best_sigma": lowest(results, sigmas),
        "part2_summary": (
            "Of five ways to show the same images, the lowest validation error at the end is that"
            f" of {lowest(results, valid)}."
        ),
        "part2_logs": beside_2016(results, (*COMPARED, *SIZES, *SIGMAS)),
    }
    for condition in SIZES:
        arm = results.arm(condition.key)
        by_name[f"{arm.name}_per_pass"] = thousands(arm.batch_size * arm.max_num_batches)
        by_name[f"{arm.name}_updates"] = thousands(arm.max_num_batches * arm.num_epochs)
    for condition in SIGMAS:
        transform = condition.arm.augmentation
        pixels = rms_displacement(transform.alpha, transform.sigma)
        by_name[f"{condition.arm.name}_displacement"] = f"{pixels:.2g}"
    for condition in AUGMENTED:
        clean = results.final(condition.key, "error_train_clean")
        by_name[f"{condition.arm.name}_error_train_clean"] = three_digits(clean)
    return by_name


def rms_displacement(alpha: float, sigma: float) -> float:
    """Root-mean-square length of one component of a distortion's displacements, pixels."""
    noise = np.random.RandomState(0).uniform(-1, 1, size=(400, 28, 28))
    return float(np.sqrt((augmenters.displacement_fields(noise, alpha, sigma) ** 2).mean()))


def images_shown(images: mnist.ImageSet) -> str:
    """Which images a grid shows, for its caption."""
    return "Images of MNIST" if images.name == "mnist" else "Images of scikit-learn's digits"
