"""What was deleted on GitHub without a webhook is marked as deleted here, and nothing else is."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from apps.activity.models import Issue, IssueComment, Provenance, Release, ReviewComment
from apps.demo.shapes import moment
from apps.github.auth import GitHubAccess
from apps.integrations.models import Drift, StreamCount
from tests.fake_github.generated import Size
from tests.fake_github.server import FakeGitHub
from tests.fake_github.truth import RepositoryTruth
from tests.fake_github.using import ACME, API
from tests.fake_github.world import (
    delete_issue,
    delete_issue_comment,
    delete_release,
    delete_review_comment,
    issue_comments_of,
    review_comments_of,
    transfer_issue,
)
from tests.integrations.reconciliation.deletions.conftest import Whole
from tests.integrations.reconciliation.deletions.searching import ours, outcomes, search, theirs
from tests.integrations.reconciliation.workers import drift_of, drifted

pytestmark = pytest.mark.django_db(transaction=True)
ALL = ("issues", "releases", "issue_comments", "review_comments")


def issue_numbers(truth: RepositoryTruth) -> list[int]:
    return sorted(truth.issues)


def lose_some(truth: RepositoryTruth) -> dict[str, int]:
    """Of each kind something is deleted; how many of each."""
    numbers = issue_numbers(truth)
    before = {name: len(keys) for name, keys in theirs(truth).items()}
    delete_issue(truth, numbers[3])
    on_pull_request = next(pull for pull in map(truth.pull_requests.get, range(1, 13)) if pull and pull.comments)
    delete_issue_comment(truth, truth.issue_comments[numbers[5]][0]["id"])
    delete_issue_comment(truth, on_pull_request.comments[0]["id"])
    for comment in review_comments_of(truth)[:1]:
        delete_review_comment(truth, comment["id"])
    delete_release(truth, list(truth.releases)[2])
    return {name: before[name] - len(keys) for name, keys in theirs(truth).items()}


def test_counts_agree_after_a_few_requests_if_nothing_was_deleted(
    fake: FakeGitHub, worker: GitHubAccess, whole: Whole
) -> None:
    assert ours(whole.repository) == theirs(whole.truth)
    sync = whole.sync()
    found = search(sync, worker)
    assert (found.is_complete, found.short) == (True, ())
    assert outcomes(sync) == dict.fromkeys(ALL, "agrees")
    assert len(fake.calls("core", payer=ACME)) + len(fake.calls("graphql")) == 5
    assert not Drift.objects.exists()


@pytest.mark.proof
def test_comments_issues_and_releases_that_were_deleted_end_as_they_are_on_github(
    fake: FakeGitHub, worker: GitHubAccess, whole: Whole
) -> None:
    lost = lose_some(whole.truth)
    assert lost == {"issues": 1, "releases": 1, "issue_comments": 3, "review_comments": 1}
    sync = whole.sync()
    assert search(sync, worker).is_complete
    assert ours(whole.repository) == theirs(whole.truth)
    assert outcomes(sync) == dict.fromkeys(ALL, "settled")
    assert drift_of(sync, "deleted", "missing", "stale") == {name: (count, 0, 0) for name, count in lost.items()}
    assert {finding for _, _, finding in drifted(sync)} == {"deleted"}
    assert Provenance.objects.filter(source="api", source_key=f"sync {sync.pk}").count() == sum(lost.values())
    row = ReviewComment.objects.exclude(deleted_at=None)[0]
    assert row.deleted_at is not None
    assert datetime.now(UTC) - row.deleted_at < timedelta(minutes=5)
    again = whole.sync()
    assert search(again, worker).is_complete
    assert outcomes(again) == dict.fromkeys(ALL, "agrees")


@pytest.mark.proof
def test_a_transferred_issue_is_gone_here_and_another_one_there(
    fake: FakeGitHub, worker: GitHubAccess, whole: Whole
) -> None:
    there = fake.world.repositories[API]
    number = issue_numbers(whole.truth)[4]
    transfer_issue(whole.truth, number, to=there, as_number=777)
    sync = whole.sync()
    assert search(sync, worker).is_complete
    assert ours(whole.repository) == theirs(whole.truth)
    assert Issue.objects.get(repository=whole.repository, number=number).deleted_at is not None
    assert whole.truth.gone[number] == (there, 777)


@pytest.mark.proof
def test_an_issue_that_was_transferred_out_of_reach_is_deleted_here(
    fake: FakeGitHub, worker: GitHubAccess, whole: Whole
) -> None:
    elsewhere = fake.world.add("far", installation_id=ACME, repository_id=19, size=Size(pull_requests=1))
    del fake.world.reached[19]
    transfer_issue(whole.truth, issue_numbers(whole.truth)[4], to=elsewhere, as_number=5)
    sync = whole.sync()
    assert search(sync, worker).is_complete
    assert ours(whole.repository) == theirs(whole.truth)


@pytest.mark.proof
def test_another_task_continues_the_search_for_deletions(fake: FakeGitHub, worker: GitHubAccess, whole: Whole) -> None:
    lost = lose_some(whole.truth)
    sync, tasks = whole.sync(), 1
    while not search(sync, worker, seconds=0.0).is_complete:
        tasks += 1
        assert tasks < 50
    assert tasks > len(ALL)
    assert ours(whole.repository) == theirs(whole.truth)
    assert drift_of(sync, "deleted") == {name: (count,) for name, count in lost.items()}
    assert set(StreamCount.objects.values_list("outcome", flat=True)) == {"settled"}


def test_a_row_that_a_webhook_marked_as_deleted_is_not_counted(worker: GitHubAccess, whole: Whole) -> None:
    first, second = [comment["id"] for comment in issue_comments_of(whole.truth)[:2]]
    delete_issue_comment(whole.truth, first)
    delete_issue_comment(whole.truth, second)
    IssueComment.objects.filter(pk=first).update(deleted_at=datetime(2026, 3, 1, tzinfo=UTC))
    sync = whole.sync()
    search(sync, worker)
    assert drift_of(sync, "deleted") == {"issue_comments": (1,)}
    assert IssueComment.objects.get(pk=first).deleted_at == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.proof
def test_a_row_that_was_created_a_moment_ago_is_neither_counted_nor_suspected(
    worker: GitHubAccess, whole: Whole
) -> None:
    """Here already, while GitHub's lists do not show it yet; and the other way round."""
    now = datetime.now(UTC)
    release = Release.objects.all()[0]
    Release.objects.create(
        github_id=1, repository=whole.repository, tag_name="v9", published_at=now, created_at=now, stamp=release.stamp
    )
    said = issue_comments_of(whole.truth)[0]
    number = issue_numbers(whole.truth)[0]
    whole.truth.issue_comments[number].append({**said, "id": 2, "created_at": moment(now), "updated_at": moment(now)})
    sync = whole.sync()
    assert search(sync, worker).short == ()
    assert outcomes(sync) == dict.fromkeys(ALL, "agrees")


@pytest.mark.proof
def test_a_draft_that_github_hides_is_not_deleted(worker: GitHubAccess, whole: Whole) -> None:
    hidden = next(iter(whole.truth.releases))
    Release.objects.filter(pk=hidden).update(is_draft=True, published_at=None)
    delete_release(whole.truth, hidden)
    delete_release(whole.truth, next(iter(whole.truth.releases)))
    sync = whole.sync()
    search(sync, worker)
    assert drift_of(sync, "deleted") == {"releases": (1,)}
    assert Release.objects.get(pk=hidden).deleted_at is None


def forget_an_issue(whole: Whole) -> None:
    Issue.objects.filter(number=issue_numbers(whole.truth)[0]).delete()


def forget_a_comment(whole: Whole) -> None:
    IssueComment.objects.filter(pk=issue_comments_of(whole.truth)[0]["id"]).delete()


def forget_a_release(whole: Whole) -> None:
    Release.objects.filter(pk=next(iter(whole.truth.releases))).delete()


@pytest.mark.proof
@pytest.mark.parametrize(
    ("forget", "stream"),
    [(forget_an_issue, "issues"), (forget_a_comment, "issue_comments"), (forget_a_release, "releases")],
)
def test_a_stream_of_which_github_has_more_is_read_again(
    worker: GitHubAccess, whole: Whole, forget: Callable[[Whole], None], stream: str
) -> None:
    forget(whole)
    sync = whole.sync()
    found = search(sync, worker)
    assert (found.is_complete, found.short) == (True, (stream,))
    assert outcomes(sync)[stream] == "short"


def test_nothing_is_deleted_before_the_rows_that_github_has_are_here(worker: GitHubAccess, whole: Whole) -> None:
    forget_a_comment(whole)
    for comment in issue_comments_of(whole.truth)[1:3]:
        delete_issue_comment(whole.truth, comment["id"])
    sync = whole.sync()
    assert search(sync, worker).short == ("issue_comments",)
    assert not IssueComment.objects.exclude(deleted_at=None).exists()
