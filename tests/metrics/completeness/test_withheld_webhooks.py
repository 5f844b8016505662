"""GitHub's log says nothing of webhooks that an installation does not send: only what was read counts then."""

import pytest

from apps.activity.models import Installation, RepositoryAccess
from apps.github.permissions import needed_events
from apps.integrations.streams import STREAMS
from tests.metrics.completeness.known import API, APP, completeness, log_scanned, reached, read, until

pytestmark = pytest.mark.django_db
WITHOUT_STATUSES = sorted(needed_events() - {"deployment_status"})


@pytest.fixture(autouse=True)
def complete_repository() -> None:
    """It was read once; since then the log tells everything."""
    reached()
    read(0, 10)
    log_scanned(0, 100)


def sends(events: list[str] | None, *, installation_id: int = APP) -> None:
    Installation.objects.filter(pk=installation_id).update(events=events)


def test_a_stream_is_complete_by_the_log_only_where_its_webhooks_are_sent() -> None:
    sends(WITHOUT_STATUSES)
    assert until(completeness(API, streams=["deployments"])) == 10
    assert until(completeness(API, streams=["pull_requests"])) == 100
    assert until(completeness(API)) == 10
    read(5, 40, streams=["deployments"])
    assert until(completeness(API)) == 40
    sends(sorted(needed_events()))
    assert until(completeness(API)) == 100


def test_which_webhooks_are_sent_may_not_have_been_told_yet() -> None:
    sends(None)
    assert until(completeness(API)) == 100


def test_another_installation_may_send_the_missing_webhooks() -> None:
    sends(WITHOUT_STATUSES)
    reached(installation_id=8)
    sends(sorted(needed_events()), installation_id=8)
    assert until(completeness(API)) == 100
    RepositoryAccess.objects.filter(installation=8).update(has_access=False, stamp="")
    assert until(completeness(API, streams=["deployments"])) == 10


def test_the_app_needs_the_webhooks_of_every_stream() -> None:
    assert all(stream.events for stream in STREAMS.values())
    assert {event for stream in STREAMS.values() for event in stream.events} <= needed_events()
