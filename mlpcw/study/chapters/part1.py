"""Chapter 1, regularisation: its conditions, figures, table and texts."""

from mlpcw.study.chapters.condition import EXACT, Condition, beside_2016, finals, gaps
from mlpcw.study.chapters.figures import Curves, Density, Dots
from mlpcw.study.records.arms import Arm, Penalty
from mlpcw.study.records.results import Results
from mlpcw.study.show.tables import Table
from mlpcw.study.show.weights import NEAR_ZERO, magnitude_quantile, share_near_zero
from mlpcw.study.show.words import against, count, lowest, percent, ranking, three_digits


def _penalised(
    name: str, label: str, colour: str, replay: str = "", table: str = "", **strengths: float
) -> Condition:
    penalty = Penalty(**strengths) if strengths else None
    arm = Arm(part="part1", name=name, start="reseeded", batch_size=50, penalty=penalty)
    row = (table, name) if table else ()
    return Condition(arm=arm, label=label, colour=colour, log=arm.key, table=row, replay=replay)


# Colours, in all chapters: those of Okabe and Ito and of Tol, which are safe for the colour-blind.
# Grey is the plain network; a family shares its hue, the stronger coefficient is lighter.
NONE = _penalised("none", "no penalty", "#8A8A8A", EXACT, "1.1")
L1 = _penalised("l1_1e-5", "L1 10⁻⁵", "#0072B2", "", "1.1", l1=1e-5)
L1_STRONG = _penalised("l1_1e-3", "L1 10⁻³", "#56B4E9", l1=1e-3)
L2 = _penalised("l2_1e-4", "L2 10⁻⁴", "#D55E00", EXACT, "1.1", l2=1e-4)
L2_STRONG = _penalised("l2_1e-2", "L2 10⁻²", "#E69F00", l2=1e-2)
BOTH = _penalised("l1l2_1e-5_1e-4", "L1 10⁻⁵ + L2 10⁻⁴", "#882255", EXACT, "1.1", l1=1e-5, l2=1e-4)
BOTH_STRONG = _penalised("l1l2_1e-3_1e-2", "L1 10⁻³ + L2 10⁻²", "#E3A6CF", l1=1e-3, l2=1e-2)

CONDITIONS = (NONE, L1, L1_STRONG, L2, L2_STRONG, BOTH, BOTH_STRONG)
WEAK = (NONE, L1, L2, BOTH)
STRONG = (L1_STRONG, L2_STRONG, BOTH_STRONG)

picture = Dots("Penalties", "error", WEAK + STRONG)
penalty_errors = Curves("error", WEAK + STRONG)  # Figure 1.1
weight_density = Density(CONDITIONS, NONE)  # Figures 1.2 to 1.8
penalty_table = Table("1.1", WEAK, ("error_valid",), ("error",))


def texts(results: Results) -> dict[str, str]:
    """Texts of the chapter by the names used there."""
    valid = finals(results, WEAK, "error_valid")
    gap = gaps(results, WEAK)
    over_epochs = results.curves(NONE.key, "error_valid").mean(axis=0)
    below = [condition for condition in WEAK if against(valid[condition], valid[NONE]) == "below"]
    by_name = {
        "part1_answer": (
            "Of no penalty, L1, L2 and both combined, at the weaker strengths, the lowest"
            f" validation error at the end is that of {lowest(results, valid)} at"
            f" {three_digits(min(valid.values()))}; both combined end at"
            f" {three_digits(valid[BOTH])},"
            f" {against(valid[BOTH], valid[L1])} L1 alone ({three_digits(valid[L1])}) and"
            f" {against(valid[BOTH], valid[L2])} L2 alone ({three_digits(valid[L2])})."
        ),
        "part1_ranking": ranking(results, valid),
        "part1_gaps": ranking(results, gap),
        "part1_smallest_gap": lowest(results, gap),
        "part1_strong": ranking(results, finals(results, STRONG, "error_valid")),
        "part1_strong_train": ranking(results, finals(results, STRONG, "error_train")),
        "part1_test": ranking(results, {each: results.test(each.key, "error") for each in WEAK}),
        "part1_best": lowest(results, valid),
        "part1_penalised_below": count(len(below)),
        "part1_both_l1": against(valid[BOTH], valid[L1]),
        "part1_both_l2": against(valid[BOTH], valid[L2]),
        "none_lowest": three_digits(over_epochs.min()),
        "none_lowest_epoch": str(results.epochs(NONE.key)[over_epochs.argmin()]),
        "none_error_train": three_digits(results.final(NONE.key, "error_train")),
        "part1_rise": three_digits(over_epochs[-1] - over_epochs.min()),
        "part1_logs": beside_2016(results, WEAK + STRONG),
        "near_zero": str(NEAR_ZERO),
    }
    for condition in CONDITIONS:
        name = condition.arm.name
        by_name[f"{name}_near_zero"] = percent(share_near_zero(results, condition.key))
        by_name[f"{name}_p99"] = three_digits(magnitude_quantile(results, condition.key, 0.99))
    return by_name
