"""Several workers and several beats: one of them asks for an installation at a time."""

import threading
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DataError, OperationalError, connection

from apps.activity.models import PullRequest
from apps.github.auth import GitHubAccess
from apps.integrations import refresh
from apps.integrations.models import RefreshFailure
from apps.integrations.refresh_queries import due_installations
from apps.jobs.claims import claim_next
from apps.jobs.models import LEASE, Job
from tests.fake_github import faults
from tests.fake_github.faults import Fault
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, BETA, access_to
from tests.integrations.refresh.live_repository import MINUTE, LiveRepository, opened, pass_time, refreshed

pytestmark = pytest.mark.django_db(transaction=True)


def taken() -> Job:
    """The job of ACME, claimed by a worker."""
    opened()
    job = claim_next(task_id="a worker")
    assert job is not None
    return job


def side_by_side(fake: FakeGitHub, *installation_ids: int) -> None:
    """A worker each, at once."""
    gate, errors = threading.Barrier(len(installation_ids)), list[BaseException]()

    def work(installation_id: int) -> None:
        try:
            gate.wait()
            refreshed(access_to(fake), installation_id=installation_id)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(one,)) for one in installation_ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_four_workers_ask_once(fake: FakeGitHub, api: LiveRepository) -> None:
    api.open(1, 2).deliver()
    fake.spoil(Fault(faults.slow(0.3), faults.graphql, times=None, is_instead=False))
    side_by_side(fake, ACME, ACME, ACME, ACME)
    assert len(fake.calls("graphql")) == 1
    assert not PullRequest.objects.filter(listed_head_sha="").exists()


def test_two_installations_are_asked_at_the_same_time(fake: FakeGitHub, api: LiveRepository) -> None:
    fake.world.install(BETA, fake.world.installations[ACME].account)
    api.open(1).deliver()
    other = LiveRepository(fake, "web", 12, installation_id=BETA).open(1).deliver()
    assert due_installations() == [ACME, BETA]
    side_by_side(fake, ACME, BETA)
    assert {call.payer for call in fake.calls("graphql")} == {ACME, BETA}
    assert PullRequest.objects.get(repository=other.identity).listed_commit_count == 2


def test_while_a_refresh_runs_no_other_worker_is_notified(api: LiveRepository) -> None:
    api.open(1).deliver()
    taken()
    assert claim_next(task_id="another") is None
    assert due_installations() == []


def test_a_worker_that_died_is_followed_by_another_who_asks_for_less(
    fake: FakeGitHub, api: LiveRepository, worker: GitHubAccess
) -> None:
    api.open(*range(1, 21)).deliver()
    taken()
    refreshed(worker)
    assert fake.calls("graphql") == []
    pass_time(LEASE)
    assert due_installations() == [ACME]
    refreshed(worker)
    assert len(fake.calls("graphql")) == 2, "twelve, then the other eight"


def test_a_worker_that_lost_its_claim_changes_nothing_of_the_refresh(api: LiveRepository) -> None:
    api.open(1).deliver()
    first = taken()
    pass_time(LEASE)
    second = claim_next(task_id="another")
    assert second is not None
    assert first.claim.put_off(after=MINUTE, reason="") == 0
    assert Job.objects.get().lease_until is not None
    assert second.claim.put_off(after=MINUTE, reason="") == 1


def break_recording(monkeypatch: pytest.MonkeyPatch, error: Exception, *, above: int = 0) -> None:
    """Recording more pull requests than this at once breaks."""
    real = refresh.record

    def record(evidence: Any) -> None:
        if len(evidence) > above:
            raise error
        real(evidence)

    monkeypatch.setattr(refresh, "record", record)


@pytest.mark.parametrize("error", [DataError("out of range"), SoftTimeLimitExceeded()])
def test_what_cannot_be_kept_together_is_kept_apart(
    api: LiveRepository, worker: GitHubAccess, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    api.open(1, 2, 3).deliver()
    break_recording(monkeypatch, error, above=1)
    for _ in range(4):
        refreshed(worker)
        pass_time(MINUTE)
    assert not PullRequest.objects.filter(listed_head_sha="").exists()


def test_one_that_can_never_be_kept_is_put_off(
    api: LiveRepository, worker: GitHubAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.open(1).deliver()
    break_recording(monkeypatch, DataError("out of range"))
    row = refreshed(worker)
    assert (row.lease_until, row.error) == (None, "DataError: out of range")
    assert RefreshFailure.objects.get().reason == "DataError: out of range"


def test_a_database_that_goes_away_frees_the_installation_when_it_is_back(
    api: LiveRepository, worker: GitHubAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.open(1).deliver()
    break_recording(monkeypatch, OperationalError("the connection is closed"))
    with pytest.raises(OperationalError):
        refreshed(worker)
    monkeypatch.undo()
    assert RefreshFailure.objects.count() == 0
    assert Job.objects.get().lease_until is None
    pass_time(MINUTE)
    refreshed(worker)
    assert PullRequest.objects.get().listed_commit_count == 2
