"""Rows of the results: what each measures, its limit, and the ratio of two alternating series of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Unavailable(Exception):
    """A measurement cannot be made on this machine; the text says what to install."""


@dataclass(frozen=True)
class Row:
    """A row, as defined before it is measured.

    Attributes:
        key: Names the row in the file of previous figures.
        title: What is measured, or against what.
        reason: Why the limit is what it is, or why there is none.
        most: The largest allowed figure.
        least: The smallest allowed figure.
        missed: Why a missed limit is missed; shown only then.
        unit: The unit of the figure; empty for a ratio.
    """

    key: str
    title: str
    reason: str
    most: float | None = None
    least: float | None = None
    missed: str = ""
    unit: str = ""

    @property
    def limit(self) -> str:
        """The limit as text; empty for none."""
        if self.most is not None:
            return f"≤ {self.most:g} {self.unit}".strip()
        return "" if self.least is None else f"≥ {self.least:g} {self.unit}".strip()

    def allows(self, figure: float) -> bool:
        """Return whether a figure is within the limit."""
        return (self.most is None or figure <= self.most) and (self.least is None or figure >= self.least)

    def format(self, figure: float) -> str:
        """Return a figure with its unit."""
        return f"{figure:.{0 if self.unit == 'µs' else 1 if self.unit else 2}f} {self.unit}".strip()


class Result(NamedTuple):
    """A measured row.

    Attributes:
        row: The row.
        figure: What the limit holds for.
        details: The range, and what was measured beside.
    """

    row: Row
    figure: float
    details: str = ""


@dataclass(frozen=True)
class Measurement:
    """Rows that are measured together.

    Attributes:
        name: Its name on the command line.
        title: The heading of its rows.
        method: How it is measured.
        measure: Makes the measurement.
    """

    name: str
    title: str
    method: str
    measure: Callable[[], Iterator[Result]]


class Ratio(NamedTuple):
    """The ratio of two series of runs.

    Attributes:
        median: The median of the ratios of paired runs.
        range: The smallest and the largest of these ratios, as text.
    """

    median: float
    range: str


def alternate(measures: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Run measures alternately, in turns forwards and backwards, and return the results of each by name.

    Args:
        measures: The measures by name; each is first run once without counting.
        rounds: How often each is run.
    """
    for measure in measures.values():
        measure()
    results: dict[str, list[T]] = {name: [] for name in measures}
    order = list(measures)
    for _ in range(rounds):
        for name in order:
            results[name].append(measures[name]())
        order.reverse()
    return results


def paired_ratio(ours: Sequence[float], reference: Sequence[float]) -> Ratio:
    """Return the ratio of the runs of the same round, ours over the reference."""
    ratios = sorted(first / second for first, second in zip(ours, reference, strict=True))
    return Ratio(median(ratios), f"{ratios[0]:.2f} to {ratios[-1]:.2f} in {len(ratios)} pairs")
