"""Confirming suspects: GitHub is asked for each by itself, and what it has no more is marked as deleted."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.activity.comparison import Entity
from apps.activity.facts import Fact, IssueCommentDeleted, IssueDeleted, ReleaseDeleted, ReviewCommentDeleted, evidence
from apps.activity.models import Issue, IssueComment, Release, ReviewComment
from apps.activity.record import entity_key, record
from apps.common import db
from apps.integrations.drift import add, find
from apps.integrations.models import Backfill, DriftedEntity, StreamCount
from apps.integrations.reconciliation.deletions.lookup import Countable, StreamLookup
from apps.integrations.reconciliation.provenance import source_of

Stream = Backfill.Stream


def _issue_deleted(row: Issue, at: datetime) -> Fact:
    return IssueDeleted(repository_id=row.repository_id, number=row.number, deleted_at=at)


def _issue_comment_deleted(row: IssueComment, at: datetime) -> Fact:
    return IssueCommentDeleted(
        github_id=row.github_id, repository_id=row.repository_id, number=row.number, deleted_at=at
    )


def _review_comment_deleted(row: ReviewComment, at: datetime) -> Fact:
    return ReviewCommentDeleted(
        github_id=row.github_id, repository_id=row.repository_id, number=row.number, deleted_at=at
    )


def _release_deleted(row: Release, at: datetime) -> Fact:
    return ReleaseDeleted(github_id=row.github_id, repository_id=row.repository_id, deleted_at=at)


_BY_CREATION = {"sort": "created"}
COUNTABLES: Mapping[str, Countable] = {
    Stream.ISSUES.value: Countable(
        noun="issue",
        entity="issue",
        model=Issue,
        path="/issues",
        permission="issues",
        tombstone=_issue_deleted,
        key="number",
        needs_issues=True,
    ),
    Stream.RELEASES.value: Countable(
        noun="release",
        entity="release",
        model=Release,
        path="/releases",
        permission="contents",
        tombstone=_release_deleted,
        made="published_at",
        excluded={"is_draft": True},  # GitHub hides drafts from whoever may not write: they would all seem deleted
        most_pages=100,
    ),
    Stream.ISSUE_COMMENTS.value: Countable(
        noun="issue comment",
        entity="issue_comment",
        model=IssueComment,
        path="/issues/comments",
        permission="issues",
        tombstone=_issue_comment_deleted,
        order=_BY_CREATION,
        needs_issues=True,
    ),
    Stream.REVIEW_COMMENTS.value: Countable(
        noun="review comment",
        entity="review_comment",
        model=ReviewComment,
        path="/pulls/comments",
        permission="pull_requests",
        tombstone=_review_comment_deleted,
        order=_BY_CREATION,
    ),
}
"""In the order in which they are counted: who deletes an issue deletes what was said on it.

Nobody deletes a pull request or a commit. Deployments and runs can be deleted; no fact says so, and no webhook.
"""

MOST_AT_ONCE = 10
LONGEST_WAIT_S = 6.0


def confirm_some(count: StreamCount, of: Countable, *, looking: StreamLookup, deadline_s: float) -> None:
    """Ask for the next suspects, one by one, and mark those as deleted that are gone; at least one of them.

    Only if GitHub still shows the repository afterwards. Marks and progress are kept in one transaction.
    """
    suspects: list[int] = count.place["suspects"]
    asked, gone = list[int](), list[int]()
    for key, row in _rows(of, suspects[:MOST_AT_ONCE], repository_id=looking.repository_id):
        asked.append(key)
        if row is not None and looking.is_gone(of, row):
            gone.append(row.pk)
        if time.monotonic() >= deadline_s:
            break
    at = looking.confirm_repository() if gone else None
    then = {**count.place, "suspects": suspects[len(asked) :]}
    with db.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        if at is not None:
            _mark(count, of, gone, at=at)
        StreamCount.objects.filter(pk=count.pk).update(place=then)
    count.place = then


def _rows(of: Countable, keys: Sequence[int], *, repository_id: int) -> list[tuple[int, Any]]:
    """Each key with its row, None where a webhook told of its deletion meanwhile."""
    found = of.here(repository_id).filter(**{f"{of.key}__in": keys})
    by_key = {getattr(row, of.key): row for row in found}
    return [(key, by_key.get(key)) for key in keys]


def _mark(count: StreamCount, of: Countable, gone: Sequence[int], *, at: datetime) -> None:
    """Nobody says when it was deleted: by now. What is marked already, by a webhook, does not count again."""
    repository_id, sync_id = count.repository_sync.repository_id, count.repository_sync_id
    rows = of.here(repository_id).filter(pk__in=gone).order_by("pk").select_for_update()
    told = [of.tombstone(row, at) for row in rows]
    entities = [Entity(fact.entity, entity_key(fact)) for fact in told]
    find(dict.fromkeys(entities, DriftedEntity.Finding.DELETED), repository_sync_id=sync_id)
    add({count.stream: {"deleted": len(told)}}, repository_sync_id=sync_id)
    record([evidence(source_of(sync_id), told)])
