"""A pull request that GitHub does not show is in no other's way: it is tried again, each time later, then given up."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.activity.models import PullRequest
from apps.github.auth import GitHubAccess
from apps.integrations.models import RefreshFailure
from apps.integrations.refresh import MOST_TRIES, NOT_YET, PAUSES, prune, put_off
from apps.integrations.refresh_queries import find_wanted
from tests.fake_github import faults
from tests.fake_github.answering import Answered, Asked
from tests.fake_github.faults import Fault
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API, WEB
from tests.integrations.refresh.live_repository import DAY, MINUTE, LiveRepository, pass_time, refreshed

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
