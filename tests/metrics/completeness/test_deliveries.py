"""Unprocessed deliveries: one blocks its repositories; one that names none makes a period uncertain until a pass."""

from typing import Any

import pytest
from django.utils import timezone

from apps.metrics.completeness import providers
from apps.webhooks import registry
from apps.webhooks.models import Delivery
from apps.webhooks.replay import replay
from tests.api.conftest import make_delivery
from tests.metrics.completeness.known import (
    API,
    APP,
    WEB,
    completeness,
    gaps,
    hour,
    hours,
    log_scanned,
    reached,
    read,
    until,
)
from tests.webhooks.conftest import GitHub, MadeUpEvent, _remember_nothing_of_the_last_test, drain, made_up_event

__all__ = ["_remember_nothing_of_the_last_test", "made_up_event"]
pytestmark = pytest.mark.django_db
FINISHED = {"quarantined", "dead", "processed", "ignored"}


@pytest.fixture(autouse=True)
def two_complete_repositories() -> None:
    """Both were read once; since then the log tells everything. Each is reached by an installation of its own."""
    for repository_id, installation_id in ((API, APP), (WEB, 8)):
        reached(repository_id, installation_id=installation_id)
        read(0, 10, repository_id)
    log_scanned(0, 100)


def delivered(number: int, at: float, state: str, **columns: Any) -> Delivery:
    columns["finished_at"] = hour(at) if state in FINISHED else None
    columns["lease_until"] = hour(at) if state == "running" else None
    return make_delivery(number, received_at=hour(at), state=state, **columns)


@pytest.mark.parametrize("state", ["received", "running", "failed", "dead", "quarantined"])
def test_a_repository_is_never_complete_beyond_a_delivery_without_effect(state: str) -> None:
    delivered(1, 40, state)
    delivered(2, 30, state)
    assert until(completeness(API)) == 30
    assert completeness(API).blocked_repository_ids == (API,)
    assert until(completeness(WEB)) == 100
    assert until(completeness(API, WEB)) == 30


@pytest.mark.parametrize("state", ["processed", "ignored"])
def test_a_processed_delivery_blocks_nothing(state: str) -> None:
    delivered(1, 30, state)
    assert until(completeness(API, WEB)) == 100


def test_a_later_backfill_does_not_unblock_a_repository_with_a_pending_delivery() -> None:
    delivered(1, 30, "dead")
    read(0, 50)
    assert until(completeness(API)) == 30


def test_before_it_came_holes_are_holes_and_after_it_nothing_is_known() -> None:
    delivered(1, 30, "quarantined")
    assert gaps(completeness(API, start_h=0, end_h=90)) == []
    delivered(2, 5, "quarantined")
    assert until(completeness(API)) == 5


def test_a_pending_delivery_of_an_installation_makes_the_log_uncertain_until_a_backfill() -> None:
    delivered(1, 30, "dead", repository_id=None, installation_id=APP, event="installation_repositories")
    delivered(2, 40, "dead", repository_id=None, installation_id=APP, event="installation_repositories")
    assert (until(completeness(API)), until(completeness(WEB))) == (30, 100)
    read(0, 35)  # it began before the second came
    assert until(completeness(API)) == 35
    read(34, 45)
    assert (until(completeness(API)), gaps(completeness(API, start_h=0))) == (100, [])


def test_a_pending_delivery_without_repository_makes_all_uncertain_until_a_backfill() -> None:
    delivered(1, 30, "quarantined", repository_id=None)
    assert until(completeness(API, WEB)) == 30
    for repository_id in (API, WEB):
        read(9, 31, repository_id)
    assert until(completeness(API, WEB)) == 100
    delivered(2, 60, "received", repository_id=None, installation_id=8)
    assert (until(completeness(API)), until(completeness(WEB))) == (100, 31)  # of many doubts, the last has to be over


def test_a_lost_repository_with_a_pending_delivery_has_a_gap_and_blocks_no_other() -> None:
    delivered(1, 30, "dead")
    reached(API, installation_id=APP).accesses.update(has_access=False, lost_at=hour(61))
    found = completeness(API, WEB, start_h=0, end_h=60)
    assert (until(found), gaps(found)) == (100, [("unread", 30, 60)])


def test_other_apps_may_register_blocks_and_uncertain_periods() -> None:
    with providers.scoped_registration():
        providers.register_pending_deliveries(lambda ids: providers.Pending({API: hour(20)}, {}))
        providers.register_pending_deliveries(lambda ids: providers.Pending({}, {WEB: (hour(50), hour(55))}))
        assert (until(completeness(API)), until(completeness(WEB))) == (20, 50)
    assert until(completeness(API, WEB)) == 100


def test_a_quarantined_delivery_is_freed_by_a_replay_that_can_use_it(made_up_event: MadeUpEvent) -> None:
    log_scanned(0, hours(timezone.now()) + 1)
    payload = {"action": "lacks_a_key", "repository": {"id": API}}
    assert GitHub().deliver(payload).status_code == 202
    drain()
    kept = Delivery.objects.get()
    assert (kept.state, completeness(API).complete_until) == ("quarantined", kept.received_at)
    with registry.scoped_registration():
        registry._translators["made_up", "lacks_a_key"] = lambda event: ()
        assert replay(Delivery.objects.all()) == 1
        assert completeness(API).complete_until == kept.received_at
        drain()
    assert completeness(API).complete_until == completeness(WEB).complete_until > kept.received_at
