"""Figures as data: what is shown of which conditions. Called with results, a figure is drawn.

Matplotlib is imported when a figure is drawn, not before.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from mlpcw.study.chapters.condition import Condition
from mlpcw.study.records.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Curves(NamedTuple):
    """Training and validation curves against epoch, a line a condition.

    Attributes:
        metric: "error" or "acc".
        conditions: The conditions shown.
    """

    metric: str
    conditions: Sequence[Condition]

    def __call__(self, results: Results) -> "Figure":
        """Draws it."""
        from mlpcw.study.show import curves

        return curves.draw(results, self.conditions, curves.PANELS[self.metric])


class Dots(NamedTuple):
    """Final training and validation values, a row a condition.

    Attributes:
        title: Title of the axes.
        metric: "error" or "acc".
        conditions: The conditions shown.
    """

    title: str
    metric: str
    conditions: Sequence[Condition]

    def __call__(self, results: Results) -> "Figure":
        """Draws it."""
        from mlpcw.study.show import dots

        return dots.draw(results, [self])


class Density(NamedTuple):
    """Density of the first layer's weights, a figure a condition.

    Attributes:
        conditions: The conditions, whose figures share scales and bins.
        outline: The condition outlined in each figure, to compare with.
    """

    conditions: Sequence[Condition]
    outline: Condition

    def __call__(self, results: Results, condition: Condition) -> "Figure":
        """Draws the figure of one condition."""
        from mlpcw.study.show import densities

        return densities.draw(results, condition, self.outline, self.conditions)
