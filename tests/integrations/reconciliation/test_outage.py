"""Hours in which nothing arrived: after one scan and one reconciliation the tables still equal GitHub's."""

import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from apps.integrations.models import DeliveryLogScan, Drift
from apps.webhooks.models import Delivery
from tests.fake_github.server import FakeGitHub
from tests.integrations.backfill.installed import install
from tests.integrations.reconciliation.busy_organisation import Organisation, list_commits, reconcile
from tests.integrations.reconciliation.workers import work_off

# Half a minute to a minute each; ten times that where others use the machine.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.proof, pytest.mark.timeout(1800)]
FAILED, NEVER = 2000, 300
LONG_AGO = timedelta(days=4)
MEANWHILE = 120


@pytest.fixture
def organisation(hub: FakeGitHub) -> Organisation:
    install()
    return Organisation.on(hub, pull_requests=120)


@pytest.mark.parametrize("is_forgotten", [False, True], ids=["scanned", "forgotten"])
def test_after_an_outage_of_six_hours_the_tables_equal_github(organisation: Organisation, is_forgotten: bool) -> None:
    break_off(organisation, is_forgotten=is_forgotten)
    scan()
    assert Delivery.objects.filter(source=Delivery.Source.API).count() == (0 if is_forgotten else FAILED)
    reconcile()
    assert organisation.differences() == []
    assert Drift.objects.filter(missing__gt=0).exists()


@pytest.mark.parametrize("is_forgotten", [False, True], ids=["scanned", "forgotten"])
def test_after_an_outage_the_tables_equal_github_while_more_arrives(
    organisation: Organisation, is_forgotten: bool
) -> None:
    break_off(organisation, is_forgotten=is_forgotten)
    organisation.coming, later = organisation.coming[:MEANWHILE], organisation.coming[MEANWHILE : 2 * MEANWHILE]
    scan(organisation.go_on)
    organisation.coming += later
    reconcile(organisation.go_on)
    assert organisation.coming == []
    list_commits()
    assert organisation.differences_but_for_times() == []


def break_off(organisation: Organisation, *, is_forgotten: bool) -> None:
    """All is well for a while; then six hours are lost, and it goes on."""
    organisation.begin(700)
    lose_hours(organisation, seed=5)
    if is_forgotten:
        forget_long_ago(organisation)
    organisation.happen(organisation.take(200))


def lose_hours(organisation: Organisation, *, seed: int) -> None:
    """Of 2,300 deliveries of six hours or so GitHub fails to deliver most, and does not attempt some."""
    chance = random.Random(seed)  # noqa: S311  the same ones every time
    lost = organisation.take(FAILED + NEVER)
    assert len(lost) == FAILED + NEVER
    assert timedelta(hours=4) < lost[-1].at - lost[0].at < timedelta(hours=8)
    never = set(chance.sample(range(len(lost)), NEVER))
    organisation.busy.happen(lost)
    organisation.log.lose(sent for place, sent in enumerate(lost) if place in never)
    with organisation.log.outage():
        organisation.log.deliver(sent for place, sent in enumerate(lost) if place not in never)


def forget_long_ago(organisation: Organisation) -> None:
    """Days go by before anybody looks: GitHub's log holds none of it any more."""
    for attempt in organisation.log.attempts:
        attempt.at -= LONG_AGO


def scan(meanwhile: Callable[[], None] | None = None) -> None:
    """Plan jobs after the outage, hours after they were last planned, and run what is due."""
    DeliveryLogScan.objects.update(planned_at=Now() - timedelta(hours=6), started_at=Now() - timedelta(hours=6))
    work_off(meanwhile=meanwhile)
