"""Where every webhook arrived, nothing has drifted: the score of a path that lost nothing is zero."""

import random

import pytest

from apps.activity.models import Repository
from apps.integrations.models import Drift, RepositorySync
from tests.fake_github.server import FakeGitHub
from tests.integrations.backfill.crew import Crew
from tests.integrations.reconciliation.comparing import STREAMS, begin_sync, deliver, drift_of, drifted, told_of, walk

pytestmark = pytest.mark.django_db(transaction=True)


def reconciled(crew: Crew, repository: Repository) -> RepositorySync:
    sync = begin_sync(repository)
    assert [row.state for row in walk(crew, sync)] == ["done"] * len(STREAMS)
    return sync


@pytest.mark.proof
def test_after_a_story_that_lost_nothing_nothing_is_missing_or_stale(
    fake: FakeGitHub, crew: Crew, either: Repository
) -> None:
    repository = either
    story = told_of(fake, repository.pk)
    random.Random(7).shuffle(story)  # noqa: S311  a repeatable order
    deliver(story)
    sync = reconciled(crew, repository)
    assert drifted(sync) == set()
    assert set(drift_of(sync).values()) == {(0, 0)}
    assert all(row.checked for row in Drift.objects.filter(repository_sync=sync))
    assert set(drift_of(sync)) >= {
        "pull_requests",
        "issues",
        "issue_comments",
        "review_comments",
        "commits",
        "releases",
    }
