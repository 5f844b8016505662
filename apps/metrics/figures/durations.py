"""Durations of rows: of all time, or of the team's working time if the query asks for that."""

from collections.abc import Callable
from typing import Any

from django.db.models import Case, F, FloatField, When
from django.db.models.functions import Cast, Extract, Greatest, Least

from apps.metrics.figures.figure_query import FigureQuery
from apps.metrics.figures.filter_values import Hours
from apps.metrics.figures.sql_expressions import DraftSeconds, WorkingDraftSeconds, WorkingSeconds
from apps.metrics.models.deployments import UNTIL_MERGE


def seconds_between(since: Any, until: Any, *, query: FigureQuery) -> Any:
    """Return the seconds between two instants, or the working seconds if the query is of those."""
    if query.hours is Hours.WORKING:
        return WorkingSeconds(_epoch(since), _epoch(until), calendar=query.calendar)
    return Cast(Extract(until - since, "epoch"), FloatField())


def _epoch(at: Any) -> Any:
    return Cast(Extract(at, "epoch"), FloatField())


def lasting(since: str, until: str, *, stored: str = "") -> Callable[[FigureQuery], Any]:
    """Return the duration of rows between two columns; `stored` is the column that has it in seconds."""

    def value(query: FigureQuery) -> Any:
        is_stored = stored and query.hours is Hours.WALL
        return F(stored) if is_stored else seconds_between(F(since), F(until), query=query)

    return value


def stage(name: str) -> Callable[[FigureQuery], Any]:
    """Return the duration of a stage, whose boundaries lie before the merge by what came after them."""

    def value(query: FigureQuery) -> Any:
        if query.hours is Hours.WALL:
            return F(f"{name}_seconds")
        until = _epoch(F("merged_at"))
        for later in UNTIL_MERGE[UNTIL_MERGE.index(name) + 1 :]:
            until -= F(f"{later}_seconds")
        return WorkingSeconds(until - F(f"{name}_seconds"), until, calendar=query.calendar)

    return value


def queued_seconds(query: FigureQuery) -> Any:
    """Return how long a run waited for its first job."""
    if query.hours is Hours.WALL:
        return F("queued_seconds")
    started = _epoch(F("started_at"))
    return WorkingSeconds(started, started + F("queued_seconds"), calendar=query.calendar)


def merge_queue_seconds(query: FigureQuery) -> Any:
    """Return how long a pull request was in the merge queue; null if it never was."""
    if query.hours is Hours.WALL:
        return F("queue_seconds")
    return WorkingDraftSeconds("queue_starts", "queue_ends", F("merged_at"), calendar=query.calendar)


def lead_seconds(query: FigureQuery) -> Any:
    if query.hours is Hours.WALL:
        return F("lead_seconds")
    deployed = _epoch(F("merged_at")) + F("deploy_seconds")
    return WorkingSeconds(deployed - F("lead_seconds"), deployed, calendar=query.calendar)


def draft_seconds(query: FigureQuery) -> Any:
    seen_at = query.given("as_of")
    if query.hours is Hours.WORKING:
        working = WorkingDraftSeconds("draft_starts", "draft_ends", seen_at, calendar=query.calendar)
        return Case(When(draft_starts=[], then=0.0), default=working, output_field=FloatField())
    once = Extract(Least(F("draft_ends__0"), seen_at) - F("draft_starts__0"), "epoch")  # no end is left out by LEAST
    return Case(
        When(draft_starts=[], then=0.0),  # most never were one
        When(draft_starts__len=1, then=Greatest(Cast(once, FloatField()), 0.0)),  # most others were one once
        default=DraftSeconds("draft_starts", "draft_ends", seen_at),
        output_field=FloatField(),
    )


def age(query: FigureQuery) -> Any:
    return seconds_between(F("ready_at"), query.instant, query=query)
