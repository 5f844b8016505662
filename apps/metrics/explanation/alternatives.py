"""Alternatives of the boundaries of one pull request, as an explanation shows them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db.models import QuerySet

from apps.activity.models import Change, Contributor, Review
from apps.common import db
from apps.metrics.derivation.commits import CommitCandidate
from apps.metrics.derivation.commits import asking_candidates as asking_commits
from apps.metrics.derivation.pull_request_facts import Facts
from apps.metrics.derivation.shipments import CANDIDATE
from apps.metrics.derivation.shipments import asking_candidates as asking_deployments
from apps.metrics.explanation.boundaries import LeftOutReview, Row
from apps.metrics.explanation.life import reverts_of

LEFT_OUT = ("pk", "author_id", "submitted_at", "verdict", "deleted_at")
READ_SUCCESSES = """
    SELECT one.name, 'deployment_status', status.github_id::text
    FROM metrics_deriveddeployment AS one
    JOIN activity_deploymentstatus AS status ON status.deployment_id = one.last_deployment_id
    WHERE one.repository_id = %(repository)s AND one.name = ANY(%(names)s) AND one.source = 'deployments'
      AND status.state = 'success'
    UNION ALL
    SELECT one.name, 'workflow_run', run.run_id || ':' || run.attempt
    FROM metrics_deriveddeployment AS one JOIN activity_workflowrun AS run ON run.run_id = one.last_deployment_id
    WHERE one.repository_id = %(repository)s AND one.name = ANY(%(names)s) AND one.source = 'workflow_runs'
"""
"""The names of deployments, and the kinds and keys of the entities that report their success."""


def asking_successes(facts: Facts, *, shipments: Iterable[Row]) -> db.Statement:
    """Return the statement of what reports the success of the deployments that shipped the pull request."""
    return READ_SUCCESSES, {
        "repository": facts.state.repository_id,
        "names": [row["deployment"] for row in shipments],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternatives:
    """The commits, deployments and reviews that a boundary was chosen from, or that do not count, and their sources."""

    commits: Sequence[CommitCandidate]
    deployments: Sequence[Mapping[str, Any]]
    successes: Sequence[tuple[Any, ...]]
    left_out: Sequence[LeftOutReview]
    logins: Mapping[int, str]
    reverted_by: int | None
    is_recalculating: bool


def read_alternatives(facts: Facts, *, shipments: Sequence[Mapping[str, Any]]) -> Alternatives:
    """Read them in one statement."""
    repository_id, number = facts.scope
    known = [each.review_id for each in facts.reviews]
    left_out = Review.objects.filter(repository_id=repository_id, number=number).exclude(pk__in=known)
    ids = {facts.state.author_id, *(one.reviewer_id for one in facts.reviews), *(one.actor_id for one in facts.history)}
    accounts = Contributor.objects.filter(pk__in=[each for each in ids if each is not None])
    commits, deployments, successes, reviews, logins, reverts, changes = db.run_as_one(
        [
            asking_commits(facts.scope),
            asking_deployments(facts.scope, place=facts.place),
            asking_successes(facts, shipments=shipments),
            statement_of(left_out.order_by("submitted_at", "pk"), "author__login", *LEFT_OUT),
            statement_of(accounts, "pk", "login"),
            statement_of(reverts_of(facts.scope)[:1], "number"),
            statement_of(Change.objects.all()[:1], "pk"),
        ]
    )
    others = [(LeftOutReview(*columns), login) for login, *columns in reviews]
    return Alternatives(
        commits=[CommitCandidate(*row) for row in commits],
        deployments=[dict(zip(CANDIDATE, row, strict=True)) for row in deployments],
        successes=successes,
        left_out=[review for review, _ in others],
        logins=dict(logins) | {review.author_id: login for review, login in others if review.author_id},
        reverted_by=reverts[0][0] if reverts else None,
        is_recalculating=bool(changes),
    )


def statement_of(rows: QuerySet[Any], *columns: str) -> db.Statement:
    """Return the statement that reads these columns of the rows, or none where there can be none."""
    try:
        return rows.values_list(*columns).query.sql_with_params()
    except EmptyResultSet:
        return "SELECT NULL WHERE false", ()
