"""Open pull requests are looked at once a week, and whenever something differs: what is stale is read whole."""

from typing import Any

import pytest

from apps.activity.models import PullRequest
from apps.integrations.models import StreamMark
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import API
from tests.integrations.reconciliation.repositories.night_runs import Nights, backfills_of_runs
from tests.integrations.refresh.live_repository import DAY, HOUR, LiveRepository, now
from tests.integrations.true_rows import differences

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def marks(api: LiveRepository, nights: Nights) -> None:
    """A night without changes has passed."""
    nights.run()
    nights.pass_time(DAY)


def change_unnoticed(fake: FakeGitHub, number: int, **changes: Any) -> None:
    """A change that moves nothing in GitHub's list."""
    pull = fake.world.repositories[API].pull_requests.get(number)
    assert pull is not None
    pull.json = {**pull.json, **changes}


def are_equal(fake: FakeGitHub) -> bool:
    truth = fake.world.repositories[API]
    return differences(truth, numbers=[number for _, number in truth.pull_requests.ordered("created_at")]) == []


@pytest.mark.proof
def test_a_change_without_a_trace_is_found_when_the_repository_is_due(fake: FakeGitHub, nights: Nights) -> None:
    change_unnoticed(fake, 1, title="Another title")
    StreamMark.objects.update(reread_at=now() - 2 * HOUR)
    nights.run()
    assert not are_equal(fake), "it was read again a moment ago"
    StreamMark.objects.update(reread_at=now() - 9 * DAY)
    asked = len(fake.calls("graphql"))
    [row] = nights.run()
    assert are_equal(fake)
    assert (row.state, backfills_of_runs()) == ("done", {})
    assert nights.points(asked) == 2, "the probe looks at what is open for nothing; what is stale is one more"
    assert StreamMark.objects.get(stream="pull_requests").reread_at == row.probed_at


@pytest.mark.proof
def test_a_change_without_a_trace_is_found_at_once_if_the_repository_differs(
    fake: FakeGitHub, api: LiveRepository, nights: Nights
) -> None:
    StreamMark.objects.update(reread_at=now() - 2 * HOUR)
    api.open(3, ago=HOUR)
    api.happen()
    change_unnoticed(fake, 1, title="Another title")
    nights.run()
    assert are_equal(fake)


@pytest.mark.proof
def test_a_pull_request_whose_closing_was_lost_is_closed(fake: FakeGitHub, api: LiveRepository, nights: Nights) -> None:
    """Its closing was lost, and so was its place in the list."""
    change_unnoticed(fake, 2, state="closed", closed_at=(now() - DAY).isoformat().replace("+00:00", "Z"))
    StreamMark.objects.update(reread_at=now() - 9 * DAY)
    nights.run()
    assert PullRequest.objects.get(number=2).state == "closed"


@pytest.mark.proof
def test_a_pull_request_that_cannot_be_shown_fails_its_repository_until_the_next_night(
    fake: FakeGitHub, api: LiveRepository, nights: Nights
) -> None:
    change_unnoticed(fake, 1, title="Another title", additions="many")
    StreamMark.objects.update(reread_at=now() - 9 * DAY)
    [row] = nights.run()
    assert (row.state, row.reason) == ("failed", "not_shown")
    assert "pull request 1" in row.error
    mark = StreamMark.objects.get(stream="pull_requests")
    assert mark.reread_at is not None
    assert mark.reread_at < now() - 8 * DAY
