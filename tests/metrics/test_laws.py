"""Laws that hold for every figure, over random histories."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from apps.metrics.figures import Asked, Bots, FigureQuery, FigureReading, Hours, Window, read_figures
from apps.metrics.figures.entities import ORDERINGS, Listing, count_entities, list_entities
from apps.metrics.figures.figure_reader import read_together
from apps.metrics.figures.filter_values import Account
from apps.metrics.figures.registry import figure_of
from apps.metrics.figures.windows import Granularity
from apps.teams.models import Team
from tests.calculator.histories import SHORT, SHORT_AND_LONG, happened_at, history, record_history
from tests.metrics.comparing import assert_equals_rebuild
from tests.metrics.steps import instant, person

pytestmark = pytest.mark.django_db
WINDOW = Window(start=date(2026, 2, 25), end=date(2026, 5, 1), time_zone="Europe/Berlin")
LEVELS = {"wip", "age"}
ZONES = ("America/New_York", "Pacific/Auckland")
ANA = Account(login="ana", contributor_id=person("ana"))
MANY = {"label", "ai"}
"""Dimensions of which a row may have several values."""


def query_of(team: Team, **known: Any) -> FigureQuery:
    return FigureQuery(**{"team": team, "window": WINDOW, "as_of": instant("06-01 00:00"), **known})


@pytest.mark.parametrize(("seed", "size"), SHORT_AND_LONG)
def test_a_figure_is_its_list_its_series_and_its_groups(teams: dict[str, Team], seed: int, size: int) -> None:
    record_history(history(seed=seed, size=size))
    for bots in (Bots.EXCLUDE, Bots.ONLY) if size > SHORT else (Bots.EXCLUDE,):
        query = query_of(teams["alpha"], bots=bots)
        for reading in read_figures(query, asked=Asked(granularity=Granularity.WEEK, has_exclusions=True)):
            assert_is_listed(reading, query)
            assert_adds_up(reading, query)


def assert_is_listed(reading: FigureReading, query: FigureQuery) -> None:
    listed = list_entities(reading.figure, query)
    assert len(listed) == count_entities(reading.figure, query) == reading.n, reading.figure
    for reason, n in (reading.excluded or {}).items():
        listing = Listing(excluded=reason)
        assert len(list_entities(reading.figure, query, listing=listing)) == n, (reading.figure, reason)
    for ordering in ORDERINGS if listed else ():
        listing = Listing(ordering=ordering)
        part = list_entities(reading.figure, query, listing=listing, limit=2, offset=1)
        assert part == list_entities(reading.figure, query, listing=listing)[1:3], (reading.figure, ordering)


def assert_adds_up(reading: FigureReading, query: FigureQuery) -> None:
    if reading.figure not in LEVELS:
        assert sum(point.n for point in reading.series or ()) == reading.n, reading.figure
    for dimension in figure_of(reading.figure).dimensions:
        [grouped] = read_figures(query, keys=[reading.figure], asked=Asked(group_by=dimension))
        total = sum(group.n for group in grouped.groups or ())
        assert total == reading.n or (dimension in MANY and total > reading.n), (reading.figure, dimension)


@pytest.mark.parametrize("known", [{}, {"hours": Hours.WORKING, "bots": Bots.INCLUDE, "author": ANA}])
def test_queries_read_together_are_each_as_by_itself(teams: dict[str, Team], known: dict[str, Any]) -> None:
    """Many that are alike have one text."""
    record_history(history(seed=1, size=40))
    Team.objects.filter(slug="platform").update(production_environments=["prod*", "live"])
    windows = [replace(WINDOW, time_zone=zone) for zone in ZONES]
    queries = [query_of(team, window=window, **known) for team in Team.objects.all() for window in windows]
    for asked in (
        Asked(granularity=Granularity.WEEK, has_histogram=True, has_exclusions=True),
        Asked(group_by="repository"),
    ):
        together = read_together([(query, asked) for query in queries])
        assert together == [read_figures(query, asked=asked) for query in queries]
        assert any(one.n for readings in together for one in readings)


@pytest.mark.parametrize(("seed", "size"), SHORT_AND_LONG)
def test_what_happens_later_changes_no_earlier_answer(teams: dict[str, Team], seed: int, size: int) -> None:
    then = instant("04-01 12:00")
    steps = history(seed=seed, size=size)
    asked = Asked(granularity=Granularity.DAY, has_exclusions=True)
    record_history([step for step in steps if happened_at(step) <= then])
    queries = [query_of(teams[slug], as_of=then) for slug in ("acme", "alpha")]
    before = [read_figures(query, asked=asked) for query in queries]
    record_history([step for step in steps if happened_at(step) > then])
    after = [read_figures(query_of(query.team, as_of=then), asked=asked) for query in queries]
    for earlier, later in zip(before, after, strict=True):
        assert [one for one in zip(earlier, later, strict=True) if one[0] != one[1]] == []
    assert_equals_rebuild()
