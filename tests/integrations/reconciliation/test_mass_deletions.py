"""A mass of deletions fails the run, until an operator accepts it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command

from apps.activity.models import IssueComment
from apps.integrations.models import SyncLog
from tests.fake_github.organisations import Busy, Pace
from tests.fake_github.server import FakeGitHub
from tests.fake_github.world import delete_issue_comment
from tests.github.translation import Door
from tests.integrations.backfill.installed import install
from tests.integrations.reconciliation.workers import work_off

pytestmark = pytest.mark.django_db(transaction=True)
ONE = 11
PACE = Pace(pull_requests=2, issues=30, pushes=1, deployments=1, runs=1, releases=1)


@pytest.fixture
def delete_most(hub: FakeGitHub) -> Callable[[], None]:
    """A repository with a comment on each of 30 issues, of which somebody deletes most."""
    now, busy = datetime.now(UTC), Busy(hub.world)
    busy.add("one", repository_id=ONE, start=now - timedelta(hours=30), end=now - timedelta(hours=20), pace=PACE)
    deliveries = [sent for sent in busy.deliveries if sent.at < now]
    busy.happen(deliveries)
    Door().deliver(deliveries)
    install()
    work_off()
    truth = busy.truth(ONE)

    def delete() -> None:
        for comments in list(truth.issue_comments.values())[:20]:
            delete_issue_comment(truth, comments[0]["id"])

    return delete


def deleted() -> int:
    return IssueComment.objects.exclude(deleted_at=None).count()


@pytest.mark.proof
def test_many_deletions_at_once_fail_the_run_until_an_operator_accepts_them(delete_most: Callable[[], None]) -> None:
    call_command("reconcile", "--all")
    work_off()
    assert SyncLog.objects.get().status == SyncLog.Status.COMPLETED
    delete_most()
    call_command("reconcile", "--all")
    work_off()
    run = SyncLog.objects.first()
    assert run is not None
    assert (run.status, deleted()) == (SyncLog.Status.FAILED, 0)
    assert "not accepted" in run.repositories.get().error
    call_command("reconcile", "--repository", "acme/one", "--accept-mass-deletions")
    work_off()
    assert deleted() == 20
    latest = SyncLog.objects.first()
    assert latest is not None
    assert latest.status == SyncLog.Status.COMPLETED


def test_accepting_deletions_needs_the_name_of_the_repository(hub: FakeGitHub) -> None:
    with pytest.raises(CommandError, match="goes with --repository"):
        call_command("reconcile", "--all", "--accept-mass-deletions")
