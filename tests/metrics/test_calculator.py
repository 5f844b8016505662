"""Every figure, compared with what an independent calculator makes of the same facts."""

from collections.abc import Iterator
from datetime import date
from typing import Any
from uuid import uuid4

import pytest

from apps.demo.sample_data import sample_deliveries
from apps.metrics.figures import FIGURES as REGISTERED
from apps.metrics.figures import Asked as Detail
from apps.metrics.figures import Bots, FigureQuery, Window, read_figures
from apps.metrics.figures.windows import Granularity
from apps.metrics.recalculation import drain
from apps.teams.models import IncidentRule, Team
from apps.webhooks.worker import drain as process
from tests.calculator.facts import Facts
from tests.calculator.figures import FIGURES, Asked, Calculator
from tests.calculator.histories import SHORT_AND_LONG, history, record_history
from tests.github.translation import Door
from tests.metrics import fixture_a
from tests.metrics.steps import instant, record_steps
from tests.metrics.test_incidents import OF_FIXTURE_A

pytestmark = pytest.mark.django_db
WINDOW = Window(start=date(2026, 2, 25), end=date(2026, 5, 1), time_zone="America/New_York")
ZONES = ("UTC", "America/New_York")
STATISTICS = ("n", "value", "mean", "median", "p75", "p90")
BY_DAY = Detail(granularity=Granularity.DAY, has_exclusions=True)


def test_the_calculator_has_every_figure() -> None:
    assert FIGURES.keys() == REGISTERED.keys()


def asked_of(query: FigureQuery, window: Window | None = None) -> Asked:
    window = window or query.window
    return Asked(
        repositories=frozenset(query.repositories),
        team_id=query.team.pk,
        bots=str(query.bots),
        start=window.start,
        end=window.end,
        time_zone=window.time_zone,
        as_of=query.as_of,
    )


def pairs(query: FigureQuery) -> Iterator[tuple[Any, Any, Any]]:
    """Yield what each value is of, ours and that of the calculator: of the whole, by day, and what was left out."""
    calculator = Calculator(Facts())
    for reading in read_figures(query, asked=BY_DAY):
        key = reading.figure
        expected = calculator.read(key, asked_of(query))
        yield from (((key, one), getattr(reading, one), expected[one]) for one in STATISTICS if one in expected)
        yield (key, "excluded"), reading.excluded, {} if reading.reason else expected["excluded"]
        for point in reading.series or ():
            day = Window(start=point.start, end=point.end, time_zone=query.window.time_zone)
            own = calculator.read(key, asked_of(query, day)) if day.start_at < query.end_at else {"n": 0, "value": None}
            yield (key, point.start, "n"), point.n, own["n"]
            yield (key, point.start, "value"), point.value, own["value"]


def compare(query: FigureQuery) -> int:
    """Compare all values, and return how many these are."""
    found = list(pairs(query))
    assert [one for one in found if one[1] != (pytest.approx(one[2]) if isinstance(one[2], float) else one[2])] == []
    return len(found)


@pytest.mark.parametrize("slug", ["acme", "alpha", "beta", "platform"])
@pytest.mark.parametrize("bots", Bots)
def test_fixture_a(worked_example: dict[str, Team], slug: str, bots: Bots) -> None:
    window = Window(start=date(2026, 2, 25), end=date(2026, 3, 12), time_zone="UTC")
    for as_of in (instant("03-04 23:00"), instant("03-20 00:00")):
        assert compare(FigureQuery(team=worked_example[slug], window=window, bots=bots, as_of=as_of)) > 500


def test_fixture_a_with_incidents(teams: dict[str, Team]) -> None:
    IncidentRule.objects.create(pattern="^incident$")
    record_steps([*fixture_a.steps(), *OF_FIXTURE_A])
    window = Window(start=date(2026, 2, 25), end=date(2026, 3, 12), time_zone="UTC")
    for as_of in (instant("03-05 18:05"), instant("03-20 00:00")):
        assert compare(FigureQuery(team=teams["acme"], window=window, as_of=as_of)) > 500


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_the_demo() -> None:
    Door().deliver(sample_deliveries(start=instant("03-02 09:00")))
    process([], task_id=str(uuid4()), is_redelivered=False)
    assert drain(seconds=300)
    window = Window(start=date(2026, 2, 28), end=date(2026, 5, 1), time_zone="UTC")
    for team in Team.objects.all():
        for bots in Bots:
            assert compare(FigureQuery(team=team, window=window, bots=bots, as_of=instant("06-01 00:00"))) > 3000


@pytest.mark.parametrize(("seed", "size"), SHORT_AND_LONG)
def test_random_histories(teams: dict[str, Team], seed: int, size: int) -> None:
    record_history(history(seed=seed, size=size))
    compared = 0
    for place, slug in enumerate(("acme", "alpha", "beta")):
        for bots in Bots:
            window = Window(start=date(2026, 2, 25), end=date(2026, 5, 1), time_zone=ZONES[place % 2])
            as_of = instant("04-08 10:30") if bots is Bots.ONLY else instant("06-01 00:00")
            compared += compare(FigureQuery(team=teams[slug], window=window, bots=bots, as_of=as_of))
    assert compared > 20_000
