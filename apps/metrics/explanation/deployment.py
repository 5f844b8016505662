"""Explanation of one deployment: what it shipped, its attempts, what it repaired, and what it broke."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Window

from apps.activity.models import DeploymentStatus
from apps.metrics.figures.dimensions import pull_request_of_row
from apps.metrics.models import (
    DerivedDeployment,
    DerivedFailure,
    DerivedIncident,
    DerivedRemediation,
    DerivedShipment,
)

MOST_CHANGES = 100


class Outcome(StrEnum):
    """What became of a deployment."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"  # it never succeeded
    REPAIRED = "repaired"  # it succeeded, and a later one had to undo or repair it
    BROKE = "broke"  # it succeeded, caused an incident, and nothing is known to have repaired it
    UNFINISHED = "unfinished"


@dataclass(frozen=True, kw_only=True)
class DeploymentExplanation:
    """A deployment with what it shipped for the first time, and what came of it.

    `changes` are pull requests, the latest merge first, of `total`. `repaired` are earlier deployments that it undid or
    repaired; `repairs` are later ones that did so with it. `incidents` are those that it caused.
    """

    deployment: DerivedDeployment
    changes: Sequence[Any]
    total: int
    attempts: Sequence[DeploymentStatus]
    repaired: Sequence[Any]
    repairs: Sequence[Any]
    incidents: Sequence[Any]
    previous: DerivedDeployment | None
    following: DerivedDeployment | None

    @property
    def at(self) -> datetime | None:
        row = self.deployment
        found: datetime | None = row.succeeded_at or row.failed_at or row.created_at
        return found

    @property
    def outcome(self) -> Outcome:
        if self.deployment.succeeded_at is None:
            return Outcome.FAILED if self.deployment.failed_at else Outcome.UNFINISHED
        if self.repairs:
            return Outcome.REPAIRED
        return Outcome.BROKE if self.incidents else Outcome.SUCCEEDED

    @property
    def recovery_seconds(self) -> int | None:
        """Return how long it took until a later deployment had repaired it."""
        if not self.repairs:
            return None
        first = min(self.repairs, key=lambda each: each.remediated_at)
        return int((first.remediated_at - first.failing_at).total_seconds())

    @property
    def left(self) -> int:
        return self.total - len(self.changes)


def explain_deployment(deployment: DerivedDeployment) -> DeploymentExplanation:
    changes = list(_changes(deployment)[:MOST_CHANGES])
    remediations = list(_remediations(deployment))
    return DeploymentExplanation(
        deployment=deployment,
        changes=changes,
        total=changes[0].total if changes else 0,
        attempts=list(
            DeploymentStatus.objects.filter(deployment_id__in=deployment.deployment_ids).order_by("created_at", "pk")
        ),
        repaired=[each for each in remediations if each.remediation == deployment.name],
        repairs=[each for each in remediations if each.failing == deployment.name],
        incidents=list(_incidents(deployment)),
        previous=_neighbour(deployment, is_earlier=True),
        following=_neighbour(deployment, is_earlier=False),
    )


def _changes(deployment: DerivedDeployment) -> QuerySet[Any]:
    named = pull_request_of_row()
    rows = DerivedShipment.objects.filter(repository_id=deployment.repository_id, deployment=deployment.name)
    found: QuerySet[Any] = (
        rows.annotate(
            total=Window(Count("*")),
            title=Subquery(named.values("title")[:1]),
            pull_request_id=Subquery(named.values("pk")[:1]),
        )
        .select_related("author")
        .order_by("-merged_at", "-number")
    )
    return found


def _remediations(deployment: DerivedDeployment) -> QuerySet[Any]:
    """Return the rows of what it repaired and of what repaired it, with the ids of both deployments."""
    others = DerivedDeployment.objects.filter(repository_id=OuterRef("repository_id"))
    found: QuerySet[Any] = (
        DerivedRemediation.objects.filter(
            Q(remediation=deployment.name) | Q(failing=deployment.name), repository_id=deployment.repository_id
        )
        .annotate(
            remediation_id=Subquery(others.filter(name=OuterRef("remediation")).values("pk")[:1]),
            failing_id=Subquery(others.filter(name=OuterRef("failing")).values("pk")[:1]),
        )
        .order_by("remediated_at", "pk")
    )
    return found


def _incidents(deployment: DerivedDeployment) -> QuerySet[Any]:
    known = DerivedIncident.objects.filter(repository_id=OuterRef("repository_id"), name=OuterRef("incident"))
    found: QuerySet[Any] = (
        DerivedFailure.objects.filter(repository_id=deployment.repository_id, failing=deployment.name)
        .annotate(
            title=Subquery(known.values("title")[:1]),
            issue_number=Subquery(known.values("issue_number")[:1]),
        )
        .order_by("opened_at", "pk")
    )
    return found


def _neighbour(deployment: DerivedDeployment, *, is_earlier: bool) -> DerivedDeployment | None:
    """Return the success of the same service and environment that came just before or after it."""
    at = deployment.succeeded_at or deployment.failed_at
    if at is None:
        return None
    rows = DerivedDeployment.objects.filter(
        repository_id=deployment.repository_id,
        service=deployment.service,
        environment=deployment.environment,
        succeeded_at__isnull=False,
    ).exclude(pk=deployment.pk)
    if is_earlier:
        return rows.filter(succeeded_at__lt=at).order_by(F("succeeded_at").desc()).first()
    return rows.filter(succeeded_at__gt=at).order_by("succeeded_at").first()
