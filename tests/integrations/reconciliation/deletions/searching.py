"""Looking for what was deleted, as a task does it, and how it stands afterwards."""

import time
from typing import Any

from apps.activity.models import Issue, IssueComment, Release, Repository, ReviewComment
from apps.github.auth import GitHubAccess
from apps.integrations.models import RepositorySync, StreamCount
from apps.integrations.reconciliation.deletions import Found, find_deleted
from apps.integrations.reconciliation.probe import reader_of
from tests.fake_github.truth import RepositoryTruth
from tests.fake_github.using import ACME
from tests.fake_github.world import issue_comments_of, review_comments_of

LONG_S = 60.0


def search(sync: RepositorySync, worker: GitHubAccess, *, seconds: float = LONG_S, **about: Any) -> Found:
    """What one task does, or as much of it as the time allows."""
    reader = reader_of(RepositorySync(installation_id=ACME), access=worker)
    return find_deleted(sync, reader=reader, deadline_s=time.monotonic() + seconds, **about)


def outcomes(sync: RepositorySync) -> dict[str, str]:
    return dict(StreamCount.objects.filter(repository_sync=sync).values_list("stream", "outcome"))


def ours(repository: Repository) -> dict[str, set[int]]:
    """What is here and not deleted."""
    issues = Issue.objects.filter(repository=repository, deleted_at=None)
    return {
        "issues": set(issues.values_list("number", flat=True)),
        **{
            name: set(model.objects.filter(repository=repository, deleted_at=None).values_list("pk", flat=True))
            for name, model in (
                ("releases", Release),
                ("issue_comments", IssueComment),
                ("review_comments", ReviewComment),
            )
        },
    }


def theirs(truth: RepositoryTruth) -> dict[str, set[int]]:
    """What GitHub has."""
    return {
        "issues": set(truth.issues),
        "releases": set(truth.releases),
        "issue_comments": {comment["id"] for comment in issue_comments_of(truth)},
        "review_comments": {comment["id"] for comment in review_comments_of(truth)},
    }
