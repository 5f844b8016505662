"""The parts of a figure's definition."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from apps.metrics.figures.dimensions import ACCOUNTS, OF_AUTHORS, dimensions_of
from apps.metrics.figures.figure_query import AGENT, BOT, HUMAN, NOT_A_MEMBER
from apps.metrics.figures.populations import Population, Remark

BY_REPOSITORY = "Attributed to every team that tracks the repository, for any account; bots are always included."
BY_AUTHOR = "Attributed to the team the author belonged to at the time. Teams with no members listed include everyone."
NO_VALUE = "Shown as \N{EN DASH} when there are none."


class Measure(StrEnum):
    """The way rows become a figure."""

    COUNT = "count"
    DISTRIBUTION = "distribution"  # the value is the median
    PER_DAY = "per_day"  # rows over the local days that have begun
    PER_WEEK = "per_week"  # rows over these days as weeks
    DAYS_PER_WEEK = "days_per_week"  # the median over whole weeks of the local days with a row
    PER_ACCOUNT = "per_account"  # rows over the accounts that they are by
    SHARE = "share"  # rows whose value is 1 over all rows
    RATIO = "ratio"  # rows over the rows of other populations


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Another definition of a figure, shown only when asked for."""

    definition: str
    population: Population


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One definition: what counts, how, and the rules of edge cases. `remarks` are additional counts shown with it.

    `streams`: what it is computed from; their gaps are its gaps. `looks_back`: it also counts what began before the
    window, so an earlier gap is one of its own. `over`: what the rows of a ratio are divided by. `also_excluded`: by
    reason, rows of other populations that do not count; those of its own population have their reasons there.
    `needs_source`: where nothing counts, it is 0 only if the team has deployments to production (or incidents from
    anywhere) at all. `version` is raised with each change of the definition.
    """

    key: str
    title: str
    unit: str
    measure: Measure
    definition: str
    rules: tuple[str, ...]
    population: Population
    streams: tuple[str, ...]
    remarks: Mapping[str, Remark] = field(default_factory=dict)
    looks_back: bool = False
    needs_source: bool = False
    over: tuple[Population, ...] = ()
    also_excluded: Mapping[str, Population] = field(default_factory=dict)
    variants: Mapping[str, Variant] = field(default_factory=dict)
    version: int = 1

    @cached_property
    def populations(self) -> tuple[Population, ...]:
        """Return every population that it or a variant reads."""
        variants = (one.population for one in self.variants.values())
        return self.population, *self.over, *self.also_excluded.values(), *variants

    @cached_property
    def dimensions(self) -> tuple[str, ...]:
        """Return what it can be grouped and filtered by: what the rows of all its populations have."""
        tables = [one.rows.table for one in (self.population, *self.over)]
        return tuple(name for name in dimensions_of(tables[0]) if all(name in dimensions_of(one) for one in tables))

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """Return every reason for which rows may not count."""
        return tuple(self._reasons())

    def _reasons(self) -> Iterator[str]:
        if self.population.rows.table in ACCOUNTS:
            yield from (BOT, *((AGENT,) if self.population.rows.table in OF_AUTHORS else ()), HUMAN, NOT_A_MEMBER)
        yield from self.population.rows.reasons
        if self.population.left_out:
            yield self.population.left_out
        yield from self.also_excluded
