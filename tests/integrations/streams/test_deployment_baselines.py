"""The last success before the start is fetched for each environment; fixture A has four deployments in any way."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from apps.activity.models import Deployment, DeploymentStatus
from apps.activity.record import record
from apps.github.auth import GitHubAccess
from apps.integrations.streams import deployments
from apps.integrations.streams.deployments import DEPLOYMENTS
from apps.metrics.figures import FigureQuery, read_figure
from apps.metrics.models import DerivedDeployment
from apps.metrics.rebuild import rebuild
from apps.teams.models import Team
from tests.activity.tables import clear
from tests.fake_github.generated import BEGINNING
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME
from tests.github import fixture_a
from tests.github.translation import evidence_of
from tests.integrations.streams.deployment_samples import (
    SHIP,
    Ship,
    a_busy_month,
    about_deployments,
    only_ours_of,
    statuses_of,
)
from tests.integrations.streams.stream_read import StreamRead, record_page
from tests.metrics.fixture_a_expectations import WEEK

pytestmark = pytest.mark.django_db
Reading = Callable[..., StreamRead]
DAY = timedelta(days=1)
START = BEGINNING + 30 * DAY
W_START, W_END = fixture_a.WINDOW


@pytest.fixture
def reading(worker: GitHubAccess) -> Reading:
    def reading(**asked: Any) -> StreamRead:
        known = {"repository_id": SHIP, "full_name": "acme/ship", "since": START}
        return StreamRead(worker=worker, stream=DEPLOYMENTS, **{**known, **asked})

    return reading


@pytest.fixture
def team(fake: FakeGitHub) -> Team:
    """A team of the repository of fixture A, whose story is true on the fake."""
    fake.world.fold(fixture_a.fixture_a(), installation_id=ACME)
    return Team.objects.create(name="acme", slug="acme")


def in_fixture_a(reading: Reading, **asked: Any) -> StreamRead:
    return reading(repository_id=fixture_a.REPOSITORY_ID, full_name="acme/api", **{"since": None, **asked})


def deployments_of(team: Team) -> tuple[Any, Any]:
    """The figure of the week, and its days."""
    team.tracked.get_or_create(repository_id=fixture_a.REPOSITORY_ID)
    rebuild([fixture_a.REPOSITORY_ID], progress=lambda *_: None)
    query = FigureQuery(team=team, window=WEEK)
    return read_figure("deployments", query).value, read_figure("deployment_frequency", query).remarks


FOUR = (4, {"deployment_days": 3})


@pytest.mark.proof
def test_fixture_a_has_four_deployments_by_webhook_by_backfill_and_by_any_mixture(team: Team, reading: Reading) -> None:
    hooks = evidence_of(about_deployments(fixture_a.fixture_a()))
    record(hooks)
    assert deployments_of(team) == FOUR, "by webhook"
    for since in (None, W_START):
        team.tracked.all().delete()
        clear()
        pages = in_fixture_a(reading, since=since, size=2).to_end().pages
        assert deployments_of(team) == FOUR, "by backfill"
        for seed in range(10):
            chance = random.Random(seed)  # noqa: S311  an order
            pieces: list[Callable[[], None]] = [lambda page=page: record_page(page) for page in pages]
            pieces += [lambda hook=hook: record([hook]) for hook in chance.sample(hooks, k=len(hooks) // 2)]
            chance.shuffle(pieces)
            team.tracked.all().delete()
            clear()
            for piece in pieces:
                piece()
            assert deployments_of(team) == FOUR, seed


@pytest.mark.parametrize("page_size", [1, 3, 100])
def test_after_a_backfill_since_the_start_the_deployment_before_the_first_is_known(
    team: Team, reading: Reading, page_size: int
) -> None:
    in_fixture_a(reading, since=W_START, size=page_size).to_end()
    rebuild([fixture_a.REPOSITORY_ID], progress=lambda *_: None)
    shipped = DerivedDeployment.objects.filter(environment="production", succeeded_at__isnull=False)
    baseline, first, *_ = shipped.order_by("succeeded_at")
    assert baseline.succeeded_at < W_START <= first.succeeded_at
    assert (baseline.run_id, baseline.sha != "") == (8999, True)
    assert Deployment.objects.get(pk=baseline.last_deployment_id).is_production is True


def test_where_nothing_was_deployed_before_nothing_is_invented(fake: FakeGitHub, reading: Reading) -> None:
    fake.world.fold(fixture_a.fixture_a(has_baseline=False), installation_id=ACME)
    in_fixture_a(reading, since=W_START).to_end()
    assert not DeploymentStatus.objects.filter(created_at__lt=W_START).exists()


def quiet(ship: Ship, *, to: str, days: int, state: str = "success") -> datetime:
    """A deployment so many days before the start."""
    ship.deploy(START - days * DAY, to=to, state=state)
    return START - days * DAY


def baselines_found() -> dict[str, datetime]:
    rows = Deployment.objects.filter(created_at__lt=START).order_by("environment")
    return dict(rows.values_list("environment", "created_at"))


def test_a_baseline_is_found_however_long_ago_and_whatever_failed_since(fake: FakeGitHub, reading: Reading) -> None:
    ship = Ship()
    long_ago = quiet(ship, to="Staging / EU", days=29)
    for days in range(20, 8, -1):
        quiet(ship, to="Staging / EU", days=days, state="failure")
    week_ago = quiet(ship, to="production", days=7)
    for hours in range(1, 30):
        ship.deploy(START - timedelta(hours=hours), to="elsewhere")
    for to in ("production", "Staging / EU", "new"):
        ship.deploy(START + DAY, to=to)
    ship.happens_on(fake)
    history = reading(size=5).to_end()
    assert {**baselines_found(), "elsewhere": None} == {
        "production": week_ago,
        "Staging / EU": long_ago,
        "elsewhere": None,
    }
    assert not history.skipped
    row = Deployment.objects.get(created_at=long_ago)
    assert (row.ref, row.is_production, row.is_transient) == ("main", False, False)


def test_only_the_last_success_of_an_environment_is_kept_of_what_is_older(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = a_busy_month().happens_on(fake)
    start = BEGINNING + 6 * DAY
    reading(since=start, size=100).to_end()
    older = Deployment.objects.filter(created_at__lt=start)
    assert older.count() == len(set(older.values_list("environment", flat=True))) == 3
    for row in older:
        successes = [
            seen.json["id"]
            for seen in truth.deployments.values()
            if seen.json["environment"] == row.environment and seen.statuses[-1]["state"] == "success"
            if datetime.fromisoformat(seen.statuses[-1]["created_at"]) < start
        ]
        assert row.github_id == max(successes)
    assert only_ours_of(truth, Deployment.objects.values_list("github_id", flat=True))


def test_a_success_that_came_after_the_start_is_no_baseline_and_one_reported_long_ago_is(
    fake: FakeGitHub, reading: Reading
) -> None:
    ship = Ship()
    often_deployed = quiet(ship, to="production", days=5)
    ship.deploy(START - timedelta(minutes=2))
    ship.deploy(START + DAY)
    truth, _ = ship.happens_on(fake)
    statuses_of(next(iter(truth.deployments.values())), count=30)
    reading(size=1).to_end()
    assert set(Deployment.objects.filter(created_at__lt=START).values_list("created_at", flat=True)) == {
        often_deployed,
        START - timedelta(minutes=2),  # updated since
    }


def test_an_environment_known_from_webhooks_alone_has_its_baseline_too(fake: FakeGitHub, reading: Reading) -> None:
    ship = Ship()
    before = quiet(ship, to="canary", days=9)
    quiet(ship, to="canary", days=12)
    for hours in range(1, 12):
        ship.deploy(START - timedelta(hours=hours), to="production")
    ship.deploy(START + DAY, to="production")
    _, sent = ship.happens_on(fake)
    record(evidence_of(about_deployments(sent)[:1]))  # of the older one, as it began
    reading(size=3).to_end()
    succeeded = DeploymentStatus.objects.filter(environment="canary", state="success").values("deployment_id")
    assert Deployment.objects.get(github_id__in=succeeded).created_at == before


def test_a_team_s_production_has_its_baseline_though_nothing_was_deployed_to_it_since(
    fake: FakeGitHub, reading: Reading
) -> None:
    Team.objects.create(name="acme", slug="acme", production_environments=["Live", "production"])
    ship = Ship()
    before = quiet(ship, to="Live", days=25)
    for hours in range(1, 12):
        ship.deploy(START - timedelta(hours=hours), to="elsewhere")
    ship.deploy(START + DAY, to="elsewhere")
    ship.happens_on(fake)
    assert not reading(size=3).to_end().skipped
    assert baselines_found()["Live"] == before


def test_the_search_is_bounded_and_what_it_leaves_open_is_named(
    fake: FakeGitHub, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployments, "MOST_WITHOUT_SUCCESS", 2)
    monkeypatch.setattr(deployments, "MOST_ENVIRONMENTS", 2)
    ship = Ship()
    quiet(ship, to="production", days=29)
    for hours in range(1, 40):
        ship.deploy(START - timedelta(hours=hours), state="failure")
    for number in range(4):
        quiet(ship, to=f"pr-{number}", days=28)
        ship.deploy(START + DAY, to=f"pr-{number}")
    ship.deploy(START + DAY, to="production")
    ship.happens_on(fake)
    history = reading(size=10).to_end()
    assert [one.what for one in history.skipped] == [
        "the last success before the start of 3 environments",
        "the last success before the start in production",
    ]
    assert set(baselines_found()) == {"pr-0"}


def test_a_baseline_is_searched_once_and_costs_a_call_and_its_details(fake: FakeGitHub, reading: Reading) -> None:
    ship = Ship()
    quiet(ship, to="staging", days=20)
    for hours in range(1, 200):
        ship.deploy(START - timedelta(hours=hours), to="production")
    for hours in range(120):
        ship.deploy(START + timedelta(hours=hours), to="production" if hours % 2 else "staging")
    ship.happens_on(fake)
    reading(size=100).to_end()
    assert set(baselines_found()) == {"production", "staging"}
    assert (len(fake.calls("graphql")), len(fake.calls("core", payer=ACME))) == (2 + 1, 3 + 1)
