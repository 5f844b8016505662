"""A run that a person starts looks at everything, also at what changes without a trace, and tells what it left out."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection

from apps.activity.models import IssueComment, PullRequest, ReviewComment
from apps.integrations.reconciliation import run_console
from tests.fake_github.organisations import Busy, Pace
from tests.fake_github.server import FakeGitHub
from tests.fake_github.truth import FoldedPullRequests, RepositoryTruth
from tests.fake_github.world import delete_issue_comment, delete_review_comment, issue_comments_of, review_comments_of
from tests.github.translation import Door
from tests.integrations.backfill.installed import install
from tests.integrations.reconciliation.workers import work_off

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.proof]
ONE = 11
PACE = Pace(pull_requests=4, issues=2, pushes=1, deployments=1, runs=0, releases=1)


@pytest.fixture
def truth(hub: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> RepositoryTruth:
    """A repository of which everything is here, compared today: nothing is due to be read again."""
    monkeypatch.setattr(run_console, "LINE_EVERY_S", 0.05)
    now, busy = datetime.now(UTC), Busy(hub.world)
    busy.add("one", repository_id=ONE, start=now - timedelta(hours=30), end=now - timedelta(hours=20), pace=PACE)
    deliveries = [sent for sent in busy.deliveries if sent.at < now]
    busy.happen(deliveries)
    Door().deliver(deliveries)
    install()
    work_off()
    reconcile("--all")
    return busy.truth(ONE)


def reconcile(*arguments: str) -> str:
    """What `manage.py reconcile --wait` prints, with workers at work."""
    out = io.StringIO()
    with workers():
        call_command("reconcile", *arguments, "--wait", stdout=out)
    return out.getvalue()


@contextmanager
def workers() -> Iterator[None]:
    """Beat and workers in the background."""
    is_over = threading.Event()

    def work() -> None:
        try:
            while not is_over.is_set():
                work_off()
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def delete_two_comments(truth: RepositoryTruth) -> None:
    delete_issue_comment(truth, issue_comments_of(truth)[0]["id"])
    delete_review_comment(truth, review_comments_of(truth)[0]["id"])


def test_comments_deleted_on_github_are_found_by_a_manual_run(truth: RepositoryTruth) -> None:
    delete_two_comments(truth)
    output = reconcile("--repository", "acme/one")
    assert "2 were off: 0 missing, 0 stale, 2 deleted on GitHub" in output
    assert IssueComment.objects.exclude(deleted_at=None).count() == 1
    assert ReviewComment.objects.exclude(deleted_at=None).count() == 1
    assert "Nothing was off." in reconcile("--repository", "acme/one")


def test_an_open_pull_request_that_changed_without_moving_is_read_again(truth: RepositoryTruth) -> None:
    assert isinstance(truth.pull_requests, FoldedPullRequests)
    pull = next(pull for pull in truth.pull_requests.values() if pull.json["state"] == "open")
    pull.json = {**pull.json, "title": "Changed"}
    assert "1 stale" in reconcile("--repository", "acme/one")
    assert PullRequest.objects.get(number=pull.number).title == "Changed"


def test_a_quick_run_says_what_it_did_not_compare_and_the_next_one_finds_it(truth: RepositoryTruth) -> None:
    delete_two_comments(truth)
    output = reconcile("--repository", "acme/one", "--quick")
    assert (
        "Nothing was off.\nIn repositories that were not due (each is, one night in seven), deleted comments," in output
    )
    assert "without --quick" in output
    assert "2 deleted on GitHub" in reconcile("--all")
