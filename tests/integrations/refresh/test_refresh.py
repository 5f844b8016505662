"""The commits of a pull request, which no webhook brings, arrive soon after, asked for by one worker at a time."""

import threading
from datetime import datetime
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DataError, OperationalError, connection

from apps.activity.models import Provenance, PullRequest, PullRequestCommit
from apps.github.auth import GitHubAccess, github
from apps.integrations import refresh
from apps.integrations.models import RefreshFailure
from apps.integrations.refresh import plan
from apps.integrations.refresh_queries import due_installations
from apps.jobs import tasks
from apps.jobs.claims import claim_next
from apps.jobs.models import LEASE, Job
from apps.metrics.models import DerivedPullRequest
from tests.fake_github import faults
from tests.fake_github.faults import Fault
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API, BETA, WEB, access_to
from tests.integrations.refresh.live_repository import MINUTE, LiveRepository, commit_ids, opened, pass_time, refreshed
from tests.metrics.comparing import assert_equals_rebuild

pytestmark = pytest.mark.django_db(transaction=True)


def listed(number: int = 1) -> tuple[str, int | None]:
    pull = PullRequest.objects.get(repository=API, number=number)
    return pull.listed_head_sha, pull.listed_commit_count


def began_at(number: int = 1) -> datetime | None:
    return DerivedPullRequest.objects.get(repository=API, number=number).first_commit_at


def first_authored(api: LiveRepository, number: int = 1) -> datetime:
    return min(datetime.fromisoformat(commit["author"]["date"]) for commit in api.truth(number).commits)


def test_after_its_opening_the_commits_are_listed_and_the_work_began_with_the_first(
    api: LiveRepository, worker: GitHubAccess
) -> None:
    api.open(1, commits=3).deliver()
    assert (listed(), began_at()) == (("", None), None)
    refreshed(worker)
    assert listed() == (api.truth(1).json["head"]["sha"], 3)
    assert set(PullRequestCommit.objects.values_list("sha", flat=True)) == commit_ids([api.truth(1)])
    assert began_at() == first_authored(api)
    assert_equals_rebuild()


def test_after_a_push_the_commits_of_the_new_head_are_listed(api: LiveRepository, worker: GitHubAccess) -> None:
    api.open(1, ago=3 * MINUTE).deliver()
    refreshed(worker)
    before = listed()
    api.push(1).deliver()
    assert listed() == before
    pass_time(MINUTE)
    refreshed(worker)
    assert listed() == (api.truth(1).json["head"]["sha"], 3)
    assert listed() != before
    assert began_at() == first_authored(api)


def test_twenty_five_of_several_repositories_are_one_request_of_one_point(
    fake: FakeGitHub, api: LiveRepository, worker: GitHubAccess
) -> None:
    api.open(*range(1, 11)).deliver()
    LiveRepository(fake, "web", WEB).open(*range(1, 10)).deliver()
    LiveRepository(fake, "app", 13).open(*range(1, 7)).deliver()
    row = refreshed(worker)
    assert [(call.cost, call.status) for call in fake.calls("graphql")] == [(1, 200)]
    assert fake.calls("core", payer=ACME) == []
    assert not PullRequest.objects.filter(listed_head_sha="").exists()
    truths = [fake.world.repositories[identity].pull_requests for identity in (API, WEB, 13)]
    every = [found for pulls in truths for _, number in pulls.ordered("created_at") if (found := pulls.get(number))]
    assert len(every) == 25
    assert set(PullRequestCommit.objects.values_list("sha", flat=True)) == commit_ids(every)
    assert row.reason == ""


def test_what_is_more_than_a_request_holds_follows_at_once(
    fake: FakeGitHub, api: LiveRepository, worker: GitHubAccess
) -> None:
    api.open(*range(1, 31)).deliver()
    refreshed(worker)
    assert [call.cost for call in fake.calls("graphql")] == [1, 1]
    assert not PullRequest.objects.filter(listed_head_sha="").exists()


def test_what_is_complete_is_not_asked_for_again(fake: FakeGitHub, api: LiveRepository, worker: GitHubAccess) -> None:
    api.open(1).deliver()
    refreshed(worker)
    pass_time(10 * MINUTE)
    assert due_installations() == []
    refreshed(worker)
    assert len(fake.calls("graphql")) == 1


def test_what_comes_up_soon_after_a_request_waits_to_share_the_next(
    fake: FakeGitHub, api: LiveRepository, worker: GitHubAccess
) -> None:
    api.open(1).deliver()
    refreshed(worker)
    for number in (2, 3):
        api.open(number).deliver()
        assert due_installations() == []
        refreshed(worker)
    assert len(fake.calls("graphql")) == 1
    pass_time(MINUTE / 2)
    assert due_installations() == [ACME]
    refreshed(worker)
    assert len(fake.calls("graphql")) == 2
    assert listed(2)[1] == listed(3)[1] == 2


def test_lists_longer_than_a_page_are_finished(fake: FakeGitHub, api: LiveRepository, worker: GitHubAccess) -> None:
    api.open(1, commits=170).open(2).deliver()
    refreshed(worker)
    assert (listed(1)[1], listed(2)[1]) == (170, 2)
    assert set(PullRequestCommit.objects.filter(number=1).values_list("sha", flat=True)) == commit_ids([api.truth(1)])
    assert [call.cost for call in fake.calls("graphql")] == [1, 1, 1], "50 commits, then a hundred at a time"


def test_what_was_read_names_its_source(api: LiveRepository, worker: GitHubAccess) -> None:
    api.open(1).deliver()
    refreshed(worker)
    assert Provenance.objects.filter(key=f"{API}:1", source="api", source_key="refresh").exists()


def test_the_tasks_find_it_and_fetch_it(fake: FakeGitHub, api: LiveRepository, settings: Any) -> None:
    settings.GITHUB_API_URL = fake.url
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
    github.cache_clear()
    try:
        api.open(1).deliver()
        assert plan() == 1
        assert tasks.run_jobs.apply().get() == 1
        assert tasks.run_jobs.apply().get() == 0
    finally:
        github.cache_clear()
    assert listed()[1] == 2


def test_without_credentials_nothing_is_asked_and_nothing_is_an_error(
    fake: FakeGitHub, api: LiveRepository, caplog: pytest.LogCaptureFixture
) -> None:
    api.open(1).deliver()
    assert due_installations() == [ACME]
    github.cache_clear()
    tasks.dispatch()
    tasks.run_jobs.apply()
    assert set(Job.objects.values_list("kind", flat=True)) == {
        "compare_figures",
        "find_alerts",
    }  # which asks nothing of GitHub
    assert fake.log == []
    assert [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}] == []


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
