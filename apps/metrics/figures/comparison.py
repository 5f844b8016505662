"""A figure in a window beside the one before, in words."""

from dataclasses import dataclass

from apps.metrics.figures.figure import Figure, Measure
from apps.metrics.figures.figure_result import FigureReading
from apps.metrics.figures.formatting import as_words, unit_beside


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A figure now and in the previous period, which may not be known."""

    figure: Figure
    now: FigureReading
    before: FigureReading
    is_before_known: bool = True

    @property
    def value(self) -> str:
        return as_words(self.now.value, unit=self.now.unit)

    @property
    def unit(self) -> str:
        """Return the unit to show after the value; a count is explained by its title."""
        return "" if self.figure.measure is Measure.COUNT else unit_beside(self.now.unit, value=self.now.value)

    @property
    def values(self) -> tuple[float, float] | None:
        """Return the values now and before, if both are known."""
        if not self.is_before_known or self.now.value is None or self.before.value is None:
            return None
        return self.now.value, self.before.value

    @property
    def direction(self) -> str:
        """Return up, down or same; empty if there is nothing to compare."""
        if self.values is None:
            return ""
        now, before = self.values
        return "same" if now == before else "up" if now > before else "down"

    @property
    def change(self) -> str:
        """Return the signed change: shares in points, all else in percent; empty if there is none."""
        if self.values is None or self.direction == "same":
            return ""
        now, before = self.values
        if self.figure.unit == "share":
            return f"{(now - before) * 100:+.0f} points"
        if not before:
            return f"{now - before:+,.0f}" if self.figure.measure is Measure.COUNT else ""
        return f"{now / before - 1:+.0%}"
