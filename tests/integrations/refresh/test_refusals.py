"""Limits and refusals that a refresh meets: it waits, skips or fails, and says why."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.activity.models import PullRequest
from apps.github.auth import GitHubAccess
from apps.github.rate_limit import Deferred, Lease
from apps.github.responses import GRAPHQL, ResponseKind, Result
from apps.integrations.models import RefreshFailure
from apps.integrations.outcomes import BUSY
from apps.integrations.refresh import KIND, MOST_TRIES, NOT_YET, PAUSES, prune, put_off
from apps.integrations.refresh_queries import due_installations, find_wanted
from apps.jobs.models import Job
from apps.jobs.wakeups import wake_next_waiter
from tests.fake_github import faults
from tests.fake_github.faults import Answered, Asked, Fault
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API, BACKFILL, WEB, Clock
from tests.integrations.refresh.live_repository import DAY, HOUR, MINUTE, LiveRepository, pass_time, refreshed

pytestmark = pytest.mark.django_db(transaction=True)


def unlisted() -> set[tuple[int, int]]:
    rows = PullRequest.objects.filter(listed_head_sha="")
    return set(rows.values_list("repository_id", "number"))


def attempts() -> dict[tuple[int, int], tuple[int, str]]:
    rows = RefreshFailure.objects.all()
    return {(row.repository_id, row.number): (row.attempts, row.reason) for row in rows}


def forget_on_github(api: LiveRepository, *numbers: int) -> None:
    """GitHub shows these no more."""
    for number in numbers:
        del api.fake.world.repositories[api.identity].pull_requests[number]  # type: ignore[attr-defined]


def change_node(name: str, value: Any, *, times: int | None = None) -> Fault:
    """Pull request 1 is shown with something wrong in it."""

    def change(asked: Asked, answer: Answered) -> Answered:
        for shown in answer.body["data"].values():
            node = shown.get("pullRequest") if isinstance(shown, dict) else None
            if node and node["number"] == 1:
                node[name] = value
        return answer

    return Fault(change, faults.graphql, times=times, is_instead=False)


def test_it_is_tried_again_each_time_later_and_then_given_up(
    fake: FakeGitHub, api: LiveRepository, worker: GitHubAccess
) -> None:
    api.open(1, 2).deliver()
    forget_on_github(api, 1)
    for tried, pause in enumerate(PAUSES, start=1):
        refreshed(worker)
        row = RefreshFailure.objects.get()
        assert (row.number, row.attempts) == (1, tried)
        assert "Could not resolve" in row.reason or "does not show" in row.reason
        assert row.not_before is not None
        assert abs(row.not_before - timezone.now() - pause) < timedelta(seconds=30)
        assert find_wanted(ACME, most=25) == []
        pass_time(pause)
    refreshed(worker)
    assert (RefreshFailure.objects.get().not_before, len(fake.calls("graphql"))) == (None, MOST_TRIES)
    pass_time(30 * DAY)
    refreshed(worker)
    assert len(fake.calls("graphql")) == MOST_TRIES
    assert unlisted() == {(API, 1)}


def test_what_merely_failed_is_never_given_up(api: LiveRepository) -> None:
    api.open(1).deliver()
    (wanted,) = find_wanted(ACME, most=25)
    for _ in range(2 * MOST_TRIES):
        put_off(wanted, why="HTTP 500")
    row = RefreshFailure.objects.get()
    assert row.not_before is not None
    assert abs(row.not_before - timezone.now() - DAY) < timedelta(seconds=30)


def test_another_head_is_tried_anew_and_its_list_deletes_the_failure(api: LiveRepository, worker: GitHubAccess) -> None:
    api.open(1, ago=5 * MINUTE).deliver()
    RefreshFailure.objects.create(
        repository_id=API, number=1, head_sha=PullRequest.objects.get().head_sha, attempts=MOST_TRIES
    )
    refreshed(worker)
    assert unlisted() == {(API, 1)}
    api.push(1).deliver()
    pass_time(MINUTE)
    refreshed(worker)
    assert (unlisted(), attempts()) == (set(), {})


@pytest.mark.parametrize("others", [(), (2, 3)], ids=["alone", "among others"])
def test_a_repository_that_github_does_not_show_is_refused_for_its_pull_requests_alone(
    fake: FakeGitHub, api: LiveRepository, worker: GitHubAccess, others: tuple[int, ...]
) -> None:
    LiveRepository(fake, "web", WEB).open(1).deliver()
    api.open(*others).deliver()
    del fake.world.repositories[WEB]
    row = refreshed(worker)
    assert unlisted() == {(WEB, 1)}
    assert attempts() == {(WEB, 1): (1, "Could not resolve to a Repository with the name 'acme/web'.")}
    assert (row.reason, row.attempts) == ("", 0)


def test_a_repository_that_took_another_ones_name_is_not_taken_for_it(
    fake: FakeGitHub, api: LiveRepository, worker: GitHubAccess
) -> None:
    api.open(1).deliver()
    del fake.world.repositories[API]
    LiveRepository(fake, "api", WEB).open(1).happen()
    refreshed(worker)
    assert unlisted() == {(API, 1)}
    assert not PullRequest.objects.filter(repository=WEB).exists()
    assert attempts() == {(API, 1): (1, "Another repository is acme/api now.")}


@pytest.mark.parametrize(
    ("name", "value"), [("updatedAt", "yesterday"), ("fullDatabaseId", None), ("commits", None), ("labels", {})]
)
def test_one_that_cannot_be_used_spoils_none_of_those_asked_for_with_it(
    fake: FakeGitHub, api: LiveRepository, worker: GitHubAccess, name: str, value: Any
) -> None:
    api.open(1, 2, 3).deliver()
    fake.spoil(change_node(name, value))
    refreshed(worker)
    assert unlisted() == {(API, 1)}
    ((key, (tried, reason)),) = attempts().items()
    assert (key, tried) == ((API, 1), 1)
    assert reason


def test_a_head_that_github_does_not_know_everywhere_yet_is_read_a_minute_later(
    fake: FakeGitHub, api: LiveRepository, worker: GitHubAccess
) -> None:
    api.open(1, ago=5 * MINUTE).happen()
    before = fake.world.repositories[API].pull_requests.get(1)
    assert before is not None
    api.posted = 0
    api.push(1).deliver()
    now = fake.world.repositories[API].pull_requests.get(1)
    fake.world.repositories[API].pull_requests[1] = before  # type: ignore[index]
    refreshed(worker)
    assert attempts() == {(API, 1): (1, NOT_YET)}
    fake.world.repositories[API].pull_requests[1] = now  # type: ignore[index]
    pass_time(MINUTE)
    refreshed(worker)
    assert attempts() == {}
    assert PullRequest.objects.get().listed_commit_count == 3


def test_what_was_tried_is_forgotten_once_it_no_longer_matters(api: LiveRepository, worker: GitHubAccess) -> None:
    api.open(1, 2, 3, 4).deliver()
    heads = dict(PullRequest.objects.values_list("number", "head_sha"))
    tried = {1: (heads[1], DAY), 2: (heads[2], 91 * DAY), 3: ("another", DAY), 4: (heads[4], DAY)}
    for number, (head_sha, ago) in tried.items():
        RefreshFailure.objects.create(
            repository_id=API, number=number, head_sha=head_sha, attempts=1, tried_at=timezone.now() - ago
        )
    PullRequest.objects.filter(number=4).update(listed_head_sha=heads[4])
    assert prune() == 3
    assert list(attempts()) == [(API, 1)]


def subject() -> str:
    """The name under which the job of ACME waits for the budget."""
    return Job.objects.get(kind=KIND.name, installation=ACME).subject


def all_are_listed() -> bool:
    return not PullRequest.objects.filter(listed_head_sha="").exists()


def asks_for_more_than(most: int) -> faults.Matches:
    def matches(asked: Asked) -> bool:
        return asked.is_graphql and sum(name.startswith("has") for name in asked.document["variables"]) > most

    return matches


def holds(number: int) -> faults.Matches:
    """Whether a query by number asks for this pull request."""

    def matches(asked: Asked) -> bool:
        named = asked.document["variables"].items() if asked.is_graphql else ()
        return any(name.startswith("number") and value == number for name, value in named)

    return matches


@pytest.mark.proof
def test_a_batch_that_is_too_much_is_halved_and_grows_again(
    fake: FakeGitHub, api: LiveRepository, worker: GitHubAccess
) -> None:
    api.open(*range(1, 26)).deliver()
    fake.spoil(Fault(faults.too_heavy(), asks_for_more_than(12), times=None))
    row = refreshed(worker)
    while not all_are_listed():
        pass_time(MINUTE)
        row = refreshed(worker)
    assert 1 < row.page_size < 25
    assert RefreshFailure.objects.count() == 0
    fake.faults.clear()
    for number in range(26, 30):
        pass_time(MINUTE)
        api.open(number).deliver()
        row = refreshed(worker)
    assert row.page_size == 25


def test_one_that_is_too_much_by_itself_is_read_by_rest(
    fake: FakeGitHub, api: LiveRepository, worker: GitHubAccess
) -> None:
    api.open(*range(1, 6)).deliver()
    fake.spoil(Fault(faults.status(502), holds(3), times=None))
    for _ in range(4):
        refreshed(worker)
        pass_time(MINUTE)
    assert all_are_listed()
    assert fake.calls("core", payer=ACME)[0].path == f"/repositories/{API}/pulls/3"
    assert PullRequest.objects.get(number=3).listed_commit_count == 2


def test_longer_lists_that_are_too_much_are_read_by_rest(
    fake: FakeGitHub, api: LiveRepository, worker: GitHubAccess
) -> None:
    api.open(1, commits=60).deliver()
    fake.spoil(Fault(faults.too_heavy(), lambda asked: asked.is_graphql and "id" in asked.document["variables"]))
    refreshed(worker)
    assert PullRequest.objects.get().listed_commit_count == 60


@pytest.mark.proof
def test_longer_lists_that_take_too_long_keep_nobody_waiting(
    fake: FakeGitHub, api: LiveRepository, worker: GitHubAccess
) -> None:
    api.open(1, commits=60).open(2).deliver()
    fake.spoil(Fault(faults.slow(3.2), faults.graphql, times=1, is_instead=False))
    refreshed(worker, seconds=3.0)
    row = RefreshFailure.objects.get()
    assert (row.number, row.reason) == (1, "Its lists take too long to read.")
    assert PullRequest.objects.get(number=2).listed_commit_count == 2
    pass_time(MINUTE)
    refreshed(worker)
    assert all_are_listed()
    assert RefreshFailure.objects.count() == 0


def test_a_spent_limit_is_waited_for_in_the_row_and_costs_nothing(
    fake: FakeGitHub, api: LiveRepository, worker: GitHubAccess, clock: Clock
) -> None:
    api.open(1).deliver()
    fake.limits.leave(ACME, GRAPHQL, remaining=0, resets_in_s=1800)
    assert refreshed(worker).reason == "spent"
    pass_time(20 * MINUTE)
    assert due_installations() == []
    refreshed(worker)
    assert len(fake.calls("graphql")) == 1
    pass_time(11 * MINUTE)
    assert refreshed(worker).reason == "spent", "this process knows it too"
    assert len(fake.calls("graphql")) == 1
    clock.wind(1900)
    pass_time(HOUR)
    refreshed(worker)
    assert all_are_listed()


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        (faults.secondary(retry_after_s=120), ("blocked", 0)),
        (faults.status(500), ("unanswered", 1)),
        (faults.hang_up(), ("unanswered", 1)),
        (faults.graphql_errors({"type": "ODD", "message": "?"}), ("rejected", 0)),
        (faults.status(403, {"message": "Resource not accessible by integration"}), ("forbidden", 0)),
        (faults.status(403, {"message": "This installation has been suspended"}), ("suspended", 0)),
    ],
)
def test_what_is_not_about_the_pull_requests_is_waited_for_and_spends_no_attempt_of_theirs(
    api: LiveRepository, worker: GitHubAccess, clock: Clock, fault: Any, wait: tuple[str, int]
) -> None:
    api.open(1, 2).deliver()
    api.fake.spoil(Fault(fault, faults.graphql))
    row = refreshed(worker)
    assert (row.reason, row.attempts) == wait
    assert row.error
    assert due_installations() == []
    assert RefreshFailure.objects.count() == 0
    clock.wind(HOUR.total_seconds())
    pass_time(HOUR)
    row = refreshed(worker)
    assert all_are_listed()
    assert (row.reason, row.error, row.attempts) == ("", "", 0)


def test_a_refusal_of_its_longer_lists_puts_off_that_one_alone(
    fake: FakeGitHub, api: LiveRepository, worker: GitHubAccess
) -> None:
    api.open(1, commits=60).open(2).deliver()
    fake.spoil(Fault(faults.status(500), lambda asked: asked.is_graphql and "id" in asked.document["variables"]))
    row = refreshed(worker)
    assert (row.reason, row.attempts) == ("unanswered", 1)
    assert list(RefreshFailure.objects.values_list("number", flat=True)) == [1]
    pass_time(MINUTE)
    refreshed(worker)
    assert all_are_listed()


@pytest.mark.proof
def test_a_pull_request_that_fails_again_and_again_does_not_block_others(
    fake: FakeGitHub, api: LiveRepository, worker: GitHubAccess
) -> None:
    api.open(1, 2, 3, ago=2 * MINUTE).open(4).deliver()
    fake.spoil(Fault(faults.status(500), holds(4), times=None))
    for _ in range(8):
        row = refreshed(worker)
        pass_time(row.not_before - timezone.now())
    assert set(PullRequest.objects.filter(listed_head_sha="").values_list("number", flat=True)) == {4}
    assert RefreshFailure.objects.get().not_before is not None, "GitHub did not say that it cannot be shown"


def taken(worker: GitHubAccess) -> Lease:
    lease = worker.client.budget.take(installation_id=ACME, resource=GRAPHQL, purpose=BACKFILL)
    assert isinstance(lease, Lease)
    return lease


def settle(worker: GitHubAccess, lease: Lease) -> str | None:
    return worker.client.budget.settle(lease, result=Result(kind=ResponseKind.OK), limit=None)


def test_while_a_page_of_history_is_read_the_refresh_waits_and_is_then_notified(
    fake: FakeGitHub, api: LiveRepository, worker: GitHubAccess
) -> None:
    api.open(1).deliver()
    lease = taken(worker)
    assert refreshed(worker).reason == BUSY
    assert fake.calls("graphql") == []
    assert settle(worker, lease) == subject(), "live work goes before the next page"
    busy = worker.client.budget.take(installation_id=ACME, resource=GRAPHQL, purpose=BACKFILL)
    assert isinstance(busy, Deferred)
    assert wake_next_waiter(subject()) == 1
    refreshed(worker)
    assert all_are_listed()
    assert wake_next_waiter(subject()) == 0


def test_a_job_without_installation_or_of_another_kind_is_not_notified() -> None:
    assert [wake_next_waiter(subject) for subject in (None, "", "enrichment 7", "listing 7")] == [0, 0, 0, 0]
