"""Deployments that failed and what remedied them; incidents, and their figures."""

from typing import Any

from django.db.models import Case, Exists, F, FloatField, OuterRef, Q, QuerySet, When

from apps.metrics.completeness.streams import ISSUES
from apps.metrics.figures.durations import lasting
from apps.metrics.figures.figure import BY_REPOSITORY, NO_VALUE, Figure, Measure
from apps.metrics.figures.figure_query import FigureQuery
from apps.metrics.figures.populations import Population, rows_deployments, rows_of
from apps.metrics.models import DerivedFailure, DerivedIncident, DerivedRemediation

INCIDENTS = (
    "Incidents are issues that a rule names by label or title, and those reported over the API. One belongs to the "
    "deployment that it names as its cause, or that shipped the pull request that it names; if it names none, it "
    "belongs to the last deployment of its service before it, if a rule says within how many hours."
)
NO_INCIDENTS = "There is no value if no rule names incidents and none was reported."


def _remediations(query: FigureQuery) -> QuerySet[DerivedRemediation]:
    """Return the remediations that were known; the end of an incident shows one only where nothing better does."""
    better = DerivedRemediation.objects.filter(
        repository_id=OuterRef("repository_id"),
        failing=OuterRef("failing"),
        remediated_at__lte=OuterRef("remediated_at"),
        incident_closed_at__isnull=True,
    )
    had_ended = Q(incident_closed_at__lt=query.as_of) & ~Q(Exists(better))
    return DerivedRemediation.objects.filter(
        Q(incident_closed_at__isnull=True) | had_ended, remediated_at__lt=query.as_of
    )


@rows_of(DerivedIncident)
def rows_incidents(query: FigureQuery) -> QuerySet[Any]:
    return query.happened(DerivedIncident.objects.all(), "opened_at").annotate(at=F("opened_at"))


@rows_of(DerivedIncident)
def rows_ended_incidents(query: FigureQuery) -> QuerySet[Any]:
    return query.happened(DerivedIncident.objects.all(), "closed_at").annotate(at=F("closed_at"))


def has_failed(query: FigureQuery) -> Any:
    """Return 1 if a later deployment remedied it, or it caused an incident."""
    known = {"opened_at__lt": query.as_of, "failing_at__lt": query.as_of}
    caused = DerivedFailure.objects.filter(repository_id=OuterRef("repository_id"), failing=OuterRef("name"), **known)
    remedied = _remediations(query).filter(repository_id=OuterRef("repository_id"), failing=OuterRef("name"))
    return Case(When(Exists(remedied) | Exists(caused), then=1.0), default=0.0, output_field=FloatField())


def is_remediation(query: FigureQuery) -> Any:
    found = _remediations(query).filter(repository_id=OuterRef("repository_id"), remediation=OuterRef("name"))
    return Case(When(Exists(found), then=1.0), default=0.0, output_field=FloatField())


@rows_of(DerivedRemediation, read_in_order=True)
def rows_remediated(query: FigureQuery) -> QuerySet[Any]:
    """Return the first remediation of each failing deployment to production."""
    earlier = _remediations(query).filter(
        Q(remediated_at__lt=OuterRef("remediated_at"))
        | Q(remediated_at=OuterRef("remediated_at"), pk__lt=OuterRef("pk")),
        repository_id=OuterRef("repository_id"),
        failing=OuterRef("failing"),
    )
    rows = _remediations(query).filter(query.is_production(), ~Exists(earlier))
    return query.happened(rows, "remediated_at").annotate(at=F("remediated_at"))


failing = Population(rows=rows_deployments, value=has_failed)
rework = Population(rows=rows_deployments, value=is_remediation)
recoveries = Population(rows=rows_remediated, value=lasting("failing_at", "remediated_at"))
incidents = Population(rows=rows_incidents)
ended_incidents = Population(rows=rows_ended_incidents, value=lasting("opened_at", "closed_at"))

DEFINED = (
    Figure(
        key="incidents",
        title="Incidents",
        unit="incidents",
        measure=Measure.COUNT,
        definition="Incidents opened in the period.",
        rules=(BY_REPOSITORY, INCIDENTS, NO_INCIDENTS),
        population=incidents,
        streams=(ISSUES,),
        needs_source=True,
    ),
    Figure(
        key="incident_recovery_time",
        title="Incident recovery time",
        unit="seconds",
        measure=Measure.DISTRIBUTION,
        definition="Time from the opening of an incident to its close, for those closed in the period.",
        rules=(
            BY_REPOSITORY,
            INCIDENTS,
            "Whatever caused it: the recovery of failed deployments is a figure of its own.",
            "Reopening an incident removes it again, also from past periods.",
            NO_VALUE,
        ),
        population=ended_incidents,
        streams=(ISSUES,),
        needs_source=True,
    ),
)
