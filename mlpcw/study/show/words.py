"""What readers see of arms and numbers: one name for each arm, one format for each kind of number.

Figures, tables and text all take their names and their digits from here, so that a condition is
called the same, and a number reads the same, wherever it stands.
"""

from decimal import Decimal

from mlpcw.study.records.results import Results

LABELS = {
    "part1/none": "no penalty",
    "part1/l1_1e-5": "L1 10⁻⁵",
    "part1/l1_1e-3": "L1 10⁻³",
    "part1/l2_1e-4": "L2 10⁻⁴",
    "part1/l2_1e-2": "L2 10⁻²",
    "part1/l1l2_1e-5_1e-4": "L1 10⁻⁵ + L2 10⁻⁴",
    "part1/l1l2_1e-3_1e-2": "L1 10⁻³ + L2 10⁻²",
    "part2/initial_data": "initial data",
    "part2/random_noise": "noise",
    "part2/random_shift": "shift",
    "part2/random_rotation": "rotation",
    "part2/random_distortion": "distortion",
    "part2/sigma_1": "σ = 1",
    "part2/sigma_4": "σ = 4",
    "part2/sigma_10": "σ = 10",
    "part3/nn": "no convolution",
    "part3/cnn_5x5": "5 × 5",
    "part3/cnn_10x10": "10 × 10",
    "part3/cnn_15x15": "15 × 15",
    "part3/cnn_5x5_first_image": "5 × 5, first image",
}
"""Key of an arm to its name, where that is the same in every profile; see `label`."""

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SMALLEST_EXPONENT = -3
"""Of the numbers that are written out; smaller ones are written with a power of ten."""


def label(results: Results, key: str) -> str:
    """An arm's name for readers; where it is the size of a pass, in images, it is the arm's own."""
    if not key.startswith("part2/size_"):
        return LABELS[key]
    arm = results.arm(key)
    return f"{thousands(arm.batch_size * arm.max_num_batches)} images"


def three_digits(value: float) -> str:
    """A number to three significant digits, as all that 2016 printed: "0.122", "3.97 × 10⁻⁴"."""
    printed = f"{value:.2e}"
    mantissa, exponent = printed.split("e")
    if int(exponent) >= _SMALLEST_EXPONENT:
        return format(Decimal(printed), "f").replace("-", "−")
    # no-break spaces: the number stays on one line
    mantissa = mantissa.replace("-", "−")
    return f"{mantissa}\u00a0×\u00a010{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def thousands(number: int) -> str:
    """A whole number, from five digits on in groups of three with a no-break space: "10 000"."""
    return str(number) if abs(number) < 10_000 else f"{number:,}".replace(",", "\u00a0")
