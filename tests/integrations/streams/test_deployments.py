"""Deployments with their statuses, read through the API: what webhooks would have shown, no more and no less."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from apps.activity.models import Deployment, DeploymentStatus
from apps.activity.record import record
from apps.github.auth import GitHubAccess
from apps.integrations.streams.deployments import DEPLOYMENTS
from tests.activity.tables import clear
from tests.fake_github.generated import BEGINNING
from tests.fake_github.server import FakeGitHub
from tests.fake_github.truth import DeploymentTruth
from tests.github.translation import evidence_of
from tests.integrations.streams.deployment_samples import (
    SHIP,
    Ship,
    a_busy_month,
    about_deployments,
    only_ours_of,
    statuses_of,
    tables,
)
from tests.integrations.streams.stream_read import StreamRead, record_page

pytestmark = pytest.mark.django_db
Reading = Callable[..., StreamRead]


@pytest.fixture
def reading(worker: GitHubAccess) -> Reading:
    def reading(**asked: Any) -> StreamRead:
        return StreamRead(worker=worker, stream=DEPLOYMENTS, repository_id=SHIP, full_name="acme/ship", **asked)

    return reading


def test_every_row_is_as_on_github_field_by_field(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = a_busy_month().happens_on(fake)
    history = reading(size=7).to_end()
    assert not history.skipped
    assert (history.items, history.pages[0].total) == (40, 40)
    assert only_ours_of(truth)
    assert {row["is_production"] for row in tables()[Deployment]} == {True, False}


@pytest.mark.proof
def test_webhooks_backfill_and_any_mixture_of_them_end_in_the_same_rows(fake: FakeGitHub, reading: Reading) -> None:
    _, sent = a_busy_month().happens_on(fake)
    hooks = evidence_of(about_deployments(sent))
    record(hooks)
    expected = tables()
    assert len({row["run_id"] for row in expected[Deployment]}) > 10
    clear()
    pages = reading(size=7).to_end().pages
    assert tables() == expected, "by backfill alone"
    for seed in range(8):
        chance = random.Random(seed)  # noqa: S311  an order
        pieces: list[Callable[[], None]] = [lambda page=page: record_page(page) for page in pages]
        some = chance.sample(hooks, k=len(hooks) // 2)
        pieces += [lambda piece=piece: record([piece]) for piece in some]
        chance.shuffle(pieces)
        clear()
        for piece in [*pieces, *pieces[:5]]:
            piece()
        assert tables() == expected, seed


@pytest.mark.parametrize("is_hook_first", [True, False])
def test_what_graphql_cannot_show_empties_nothing(fake: FakeGitHub, reading: Reading, is_hook_first: bool) -> None:
    _, sent = a_busy_month(1).happens_on(fake)
    page = next(page for _, page, _ in reading().steps())
    clear()
    hooks = evidence_of(about_deployments(sent))
    steps = [lambda: record(hooks), lambda: record_page(page)]
    for step in steps if is_hook_first else reversed(steps):
        step()
    row = Deployment.objects.get()
    assert (row.ref, row.is_production, row.is_transient) == ("main", True, False)


@pytest.mark.proof
@pytest.mark.parametrize("since", [None, BEGINNING + timedelta(days=5)])
def test_reading_that_goes_on_from_any_of_its_cursors_ends_in_the_same_rows(
    fake: FakeGitHub, reading: Reading, since: datetime | None
) -> None:
    a_busy_month().happens_on(fake)
    whole = reading(size=6, since=since).to_end()
    expected = tables()
    assert len(whole.cursors) > 5
    for place in range(1, len(whole.cursors)):
        clear()
        for page in whole.pages[:place]:
            record_page(page)
        assert reading(size=25, since=since).to_end(whole.cursors[place]).pages[-1].cursor is None
        assert tables() == expected, whole.cursors[place]


def test_what_is_deployed_meanwhile_hides_no_deployment(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = a_busy_month().happens_on(fake)
    old = set(truth.deployments)
    newest = max(truth.deployments)
    for step, _ in enumerate(reading(size=7).steps()):
        made = newest + 1_000 + step
        later = {**truth.deployments[newest].json, "id": made, "created_at": f"2026-01-01T00:00:{step:02}Z"}
        truth.deployments[made] = DeploymentTruth(later)
    assert old <= set(Deployment.objects.values_list("github_id", flat=True))
    assert not Deployment.objects.filter(environment="").exists()


def test_nothing_is_kept_that_was_made_after_until(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = a_busy_month().happens_on(fake)
    until = BEGINNING + timedelta(days=4)
    reading(size=7, until=until).to_end()
    made = [datetime.fromisoformat(one.json["created_at"]) for one in truth.deployments.values()]
    assert Deployment.objects.count() == sum(at <= until for at in made)
    assert set(Deployment.objects.values_list("ref", flat=True)) == {"main"}


@pytest.mark.parametrize("count", [11, 100, 230])
def test_a_list_of_statuses_that_goes_on_is_finished(fake: FakeGitHub, reading: Reading, count: int) -> None:
    truth, _ = a_busy_month(3).happens_on(fake)
    first, second, third = truth.deployments.values()
    statuses_of(first, count=count)
    statuses_of(third, count=12)
    history = reading().to_end()
    assert DeploymentStatus.objects.count() == count + len(second.statuses) + 12
    assert only_ours_of(truth)
    assert history.calls == 3 + max(0, -(-count // 100) - 1)


@pytest.mark.proof
def test_a_thousand_deployments_cost_ten_calls_of_each_kind(fake: FakeGitHub, reading: Reading) -> None:
    ship = Ship()
    for number in range(1_000):
        ship.deploy(BEGINNING + timedelta(minutes=10 * number), run_id=number)
    ship.happens_on(fake)
    history = reading().to_end()
    assert history.items == Deployment.objects.count() == 1_000
    assert DeploymentStatus.objects.count() == 2_000
    assert (history.calls, history.points) == (20, 20)
    assert len(fake.calls("graphql")) == 10
    assert sum(call.cost for call in fake.calls("graphql")) == 10
