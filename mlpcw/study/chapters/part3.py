"""Chapter 3, convolution: its conditions, figures, tables and texts."""

import numpy as np

from mlpcw.study.chapters import starts
from mlpcw.study.chapters.condition import (
    EXACT,
    UNKNOWN_START,
    Condition,
    beside_2016,
    finals,
)
from mlpcw.study.chapters.figures import Curves, Dots
from mlpcw.study.chapters.starts import convolutional
from mlpcw.study.records.arms import Arm, Convolution
from mlpcw.study.records.results import Results
from mlpcw.study.show.tables import ALL, Table
from mlpcw.study.show.words import against, listed, percent, ranking

LEARNT = 0.999
"""Training accuracy at which a network is said to have learnt its training set."""

NN = Condition(
    arm=Arm(part="part3", name="nn"),
    label="no convolution",
    colour="#8A8A8A",
    table=("3.1", "nn"),
    replay=EXACT,
)
CNN_5 = convolutional(
    "part3",
    "cnn_5x5",
    Convolution(kernel_dim=5, kernel_draws=25),
    table=("3.1", "cnn_5x5"),
    replay=UNKNOWN_START,
)
CNN_10 = convolutional(
    "part3",
    "cnn_10x10",
    Convolution(kernel_dim=10, kernel_draws=25),
    table=("3.2", "cnn_10x10"),
    replay=UNKNOWN_START,
)
CNN_15 = convolutional("part3", "cnn_15x15", Convolution(kernel_dim=15))
FIRST_IMAGE = convolutional(
    "part3",
    "cnn_5x5_first_image",
    Convolution(kernel_dim=5, kernel_gradient="first_image"),
    label="5 × 5, first image",
    colour="#56B4E9",
    log="part3/cnn_5x5",
    replay=EXACT,
)
KERNEL_SIZES = (CNN_5, CNN_10, CNN_15)
COMPARED = (NN, *KERNEL_SIZES)
CONDITIONS = (*COMPARED, FIRST_IMAGE)

picture = Dots("Convolution", "acc", COMPARED)
convolution_accuracy = Curves("acc", (NN, CNN_5, FIRST_IMAGE))  # Figure 3.1
kernel_size_accuracy = Curves("acc", KERNEL_SIZES)  # Figure 3.2
convolution_table = Table("3.1", (NN, CNN_5), ALL, ("acc",))
kernel_size_table = Table("3.2", (CNN_10, CNN_5), ALL, ("acc",))


def texts(results: Results) -> dict[str, str]:
    """Texts of the chapter by the names used there."""
    acc = finals(results, COMPARED, "acc_valid")
    errors = finals(results, COMPARED, "error_valid")
    of_kernels = [acc[condition] for condition in KERNEL_SIZES]
    by_accuracy = against(acc[CNN_5], acc[NN])
    by_error = against(errors[CNN_5], errors[NN])
    # relative change of the share of mistakes, 1 - accuracy
    change = (acc[NN] - acc[CNN_5]) / (1 - acc[NN])
    by_name = {
        "part3_answer": (
            f"With a 5 × 5 convolution the network ends at {percent(acc[CNN_5])} of the"
            f" validation images right, {by_accuracy} the {percent(acc[NN])} of the network"
            f" without; it has learnt the training set {learnt(results, CNN_5)}, the network"
            f" without {learnt(results, NN)}."
        ),
        "nn_acc_valid": percent(acc[NN]),
        "cnn_5x5_acc_valid": percent(acc[CNN_5]),
        "part3_against": by_accuracy,
        "part3_error_against": by_error,
        "part3_summary": (
            f"With the convolution the validation accuracy ends {by_accuracy}, and the validation"
            f" error {by_error}, what they are without."
        ),
        "part3_points": f"{abs(100 * (acc[CNN_5] - acc[NN])):.2f}",
        "part3_errors": ranking(results, errors),
        "part3_kernels": listed(
            [f"{each.label_in(results)} ({percent(acc[each], 2)})" for each in KERNEL_SIZES]
        ),
        "part3_spread": f"{100 * (max(of_kernels) - min(of_kernels)):.2f}",
        "part3_starts": starts.text(results, (CNN_5, CNN_10)),
        "part3_wrong": f"{abs(100 * change):.0f} % {'fewer' if change < 0 else 'more'}",
        "part3_logs": beside_2016(results, CONDITIONS),
        "learnt": percent(LEARNT),
    }
    for condition in (NN, CNN_5, FIRST_IMAGE):
        by_name[f"{condition.arm.name}_learnt"] = learnt(results, condition)
    return by_name


def learnt(results: Results, condition: Condition) -> str:
    """When the training accuracy is first seen at `LEARNT`: "by epoch 25"."""
    accuracy = results.curves(condition.key, "acc_train").mean(axis=0)
    reached = np.flatnonzero(accuracy >= LEARNT)
    epochs = results.epochs(condition.key)
    return f"by epoch {epochs[reached[0]]}" if len(reached) else f"not within {epochs[-1]} epochs"
