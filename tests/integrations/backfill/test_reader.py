"""What a walk reads through: it counts what was asked, and a page of several requests is one turn."""

import pytest

from apps.github.auth import GitHubAccess
from apps.github.rate_limit import Deferred, Priority, Purpose
from apps.github.responses import GRAPHQL, ResponseKind
from apps.integrations.reader import Reader, RequestFailedError
from tests.fake_github.faults import Fault, graphql, status
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, BACKFILL
from tests.integrations.backfill.meanwhile import during_page

WHERE = {"owner": "acme", "name": "api", "first": 1, "after": None}


@pytest.fixture
def reader(worker: GitHubAccess) -> Reader:
    return Reader(access=worker, installation_id=ACME, purpose=BACKFILL)


@pytest.mark.django_db(transaction=True)
def test_a_page_of_several_requests_is_not_broken_off_by_whoever_waits(
    fake: FakeGitHub, worker: GitHubAccess, reader: Reader
) -> None:
    other = Purpose(priority=Priority.BACKFILL, subject="another")
    waited: list[object] = []

    def wait() -> None:
        waited.append(worker.client.budget.take(installation_id=ACME, resource=GRAPHQL, purpose=other))

    fake.spoil(during_page(1, wait))
    for _ in range(3):
        reader.graphql("release_page", WHERE)
        assert reader.up_next == "another"
    assert [type(one) for one in waited] == [Deferred]
    assert (reader.calls, reader.points) == (3, 3)


@pytest.mark.django_db
def test_what_was_refused_is_counted_and_raised(fake: FakeGitHub, reader: Reader) -> None:
    fake.spoil(Fault(status(503), graphql))
    with pytest.raises(RequestFailedError) as caught:
        reader.graphql("release_page", WHERE)
    assert caught.value.answer.kind is ResponseKind.TRANSIENT
    assert reader.calls == 1


@pytest.mark.django_db
def test_what_was_never_sent_cost_nothing(fake: FakeGitHub, reader: Reader) -> None:
    fake.limits.leave(ACME, "graphql", remaining=100)
    reader.graphql("release_page", WHERE)
    with pytest.raises(RequestFailedError) as caught:
        reader.graphql("release_page", WHERE)
    assert caught.value.answer.kind is ResponseKind.DEFERRED
    assert reader.calls == 1
