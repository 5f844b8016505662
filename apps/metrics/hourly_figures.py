"""Hourly figures of teams: what was shown then, unchanged by later data, and how it differs from now."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from math import isclose
from typing import Any

from django.db.models import Exists, Max, OuterRef, QuerySet
from django.db.models.functions import Coalesce, Now, TruncDay

from apps.activity.models import Provenance
from apps.common import db
from apps.metrics.explanation.pull_request import MOST_SOURCES, Source, grouped
from apps.metrics.figures import FIGURES, Figure, FigureQuery, FigureReading, Window
from apps.metrics.figures.document import as_document
from apps.metrics.figures.figure_reader import VALUE_ONLY, read_together
from apps.metrics.figures.windows import DAY
from apps.metrics.models import (
    RULES_VERSION,
    DerivedClosing,
    DerivedCommit,
    DerivedDeployment,
    DerivedFailure,
    DerivedIncident,
    DerivedPullRequest,
    DerivedRemediation,
    DerivedReview,
    DerivedReviewRequest,
    DerivedShipment,
    DerivedWorkflowRun,
    HourlyFigures,
    TeamFreshness,
)
from apps.teams.models import Team

STORED = ("value", "n", "version")
EVERY_HOUR_FOR = timedelta(days=35)
"""Rows of every hour are stored for this long; of earlier days only the last row."""


def keep_figures(query: FigureQuery) -> dict[str, Any]:
    """Compute the team's figures, store them for the hour, and return the JSON document."""
    last_source = Provenance.objects.aggregate(last=Coalesce(Max("pk"), 0))["last"]
    document = as_document(query)
    figures = {one["figure"]: {name: one[name] for name in STORED} for one in document["figures"]}
    HourlyFigures.objects.update_or_create(
        team=query.team,
        hour=query.as_of.replace(minute=0, second=0, microsecond=0),
        defaults={
            "computed_at": query.as_of,
            "complete_until": document["complete_until"],
            "figures": figures,
            "start": query.window.start,
            "time_zone": query.window.time_zone,
            "rules_version": RULES_VERSION,
            "last_source": last_source,
        },
    )
    return document


def thin_out() -> int:
    """Delete all but the last row of each day (UTC) that is more than 35 days ago; return how many."""
    old = HourlyFigures.objects.filter(hour__lt=Now() - EVERY_HOUR_FOR).alias(day=TruncDay("hour"))
    return old.filter(Exists(_later_that_day())).delete()[0]


def _later_that_day() -> QuerySet[HourlyFigures]:
    """Return the later hours of the `day` of a row.

    Both ends are compared with the column itself, so that the index of team and hour finds a day's rows alone.
    """
    return HourlyFigures.objects.filter(
        team=OuterRef("team"), hour__gt=OuterRef("hour"), hour__lt=OuterRef("day") + DAY
    )


IN_WINDOW = "repository_id = ANY(%(repositories)s::bigint[]) AND {at} >= %(start)s AND {at} < %(end)s"
# What was open at any time of the window.
ALIVE = """
    SELECT repository_id, number FROM metrics_derivedpullrequest
    WHERE repository_id = ANY(%(repositories)s::bigint[])
      AND coalesce(closed_at, 'infinity'::timestamptz) >= %(start)s AND opened_at < %(end)s
"""
SHIPPED = f"""
    SELECT repository_id, number FROM metrics_derivedshipment WHERE {IN_WINDOW.format(at="deployed_at")}
"""  # noqa: S608  names of our own
DEPLOYED = f"""
    SELECT unnest(deployment_ids) AS deployment_id FROM metrics_deriveddeployment
    WHERE {IN_WINDOW.format(at="succeeded_at")}
    UNION
    SELECT unnest(deployment_ids) FROM metrics_deriveddeployment WHERE {IN_WINDOW.format(at="failed_at")}
"""  # noqa: S608  names of our own
PULL_REQUESTS = f"SELECT 'pull_request' AS entity, repository_id || ':' || number AS key FROM ({ALIVE}) AS alive"  # noqa: S608
SHIPMENTS = f"SELECT 'pull_request' AS entity, repository_id || ':' || number AS key FROM ({SHIPPED}) AS shipped"  # noqa: S608
REVIEWS = f"""
    SELECT 'review' AS entity, github_id::text AS key
    FROM ({ALIVE}) AS alive JOIN activity_review USING (repository_id, number)
"""  # noqa: S608  names of our own
DEPLOYMENTS = f"""
    SELECT 'deployment' AS entity, deployment_id::text AS key FROM ({DEPLOYED}) AS deployed
    UNION ALL
    SELECT 'deployment_status', github_id::text
    FROM ({DEPLOYED}) AS deployed JOIN activity_deploymentstatus USING (deployment_id)
"""  # noqa: S608  names of our own
COMMITS = f"""
    SELECT 'commit' AS entity, repository_id || ':' || sha AS key
    FROM metrics_derivedcommit WHERE {IN_WINDOW.format(at="landed_at")}
"""  # noqa: S608  names of our own
RUNS = f"""
    SELECT 'workflow_run' AS entity, run_id || ':' || attempt AS key
    FROM metrics_derivedworkflowrun WHERE {IN_WINDOW.format(at="concluded_at")}
"""  # noqa: S608  names of our own
ISSUES = f"""
    SELECT 'issue' AS entity, repository_id || ':' || issue_number AS key
    FROM metrics_derivedincident WHERE issue_number IS NOT NULL AND {IN_WINDOW.format(at="opened_at")}
"""  # noqa: S608  names of our own
OF_PULL_REQUESTS = (PULL_REQUESTS, REVIEWS)
KINDS: dict[type[Any], tuple[str, ...]] = {
    DerivedPullRequest: OF_PULL_REQUESTS,
    DerivedClosing: OF_PULL_REQUESTS,
    DerivedReview: OF_PULL_REQUESTS,
    DerivedReviewRequest: OF_PULL_REQUESTS,
    DerivedShipment: (SHIPMENTS, DEPLOYMENTS),
    DerivedDeployment: (DEPLOYMENTS, ISSUES),
    DerivedRemediation: (SHIPMENTS, DEPLOYMENTS, ISSUES),
    DerivedFailure: (DEPLOYMENTS, ISSUES),
    DerivedIncident: (ISSUES,),
    DerivedCommit: (COMMITS,),
    DerivedWorkflowRun: (RUNS,),
}
"""By the table of a figure's rows, what its value can follow from."""

READ_LATER = """
    SELECT known.id, entity, key, source, source_key
    FROM ({kinds}) AS concerned JOIN activity_provenance AS known USING (entity, key)
    WHERE known.id > %(mark)s ORDER BY known.id DESC LIMIT %(most)s
"""


@dataclass
class LaterSources:
    """The sources of a query's window that were recorded after `mark`, the newest source of that time."""

    query: FigureQuery
    mark: int | None
    found: dict[tuple[str, ...], tuple[list[Source], bool]] = field(default_factory=dict)

    def of_table(self, table: type[Any]) -> tuple[list[Source], bool]:
        """Return the latest sources of what such rows follow from, and whether there are more; none without a mark."""
        kinds = KINDS[table]
        if self.mark is None:
            return [], False
        if kinds not in self.found:
            self.found[kinds] = self._read(kinds)
        return self.found[kinds]

    def _read(self, kinds: tuple[str, ...]) -> tuple[list[Source], bool]:
        asked = {
            "repositories": list(self.query.repositories),
            "start": self.query.window.start_at,
            "end": self.query.end_at,
            "mark": self.mark,
            "most": MOST_SOURCES + 1,
        }
        names = ("id", "entity", "key", "source", "source_key")
        statement = READ_LATER.format(kinds=" UNION ".join(f"({kind})" for kind in kinds))
        rows = [Provenance(**dict(zip(names, row, strict=True))) for row in db.run(statement, asked)]
        by_entity = grouped(rows[:MOST_SOURCES])
        sources = {(one.entity, one.kind, one.key): one for own in by_entity.values() for one in own}
        ordered = dict.fromkeys((row.entity, row.source, row.source_key) for row in rows[:MOST_SOURCES])
        return [sources[name] for name in ordered], len(rows) > MOST_SOURCES


DAYS = 30
LATER_EVENTS, LATE_DATA = "later_events", "late_data"
"""Why a figure differs: something happened after the hour that the figure looks at, or what is stored of it changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """The value of a figure, and the number of rows behind it."""

    value: float | None
    n: int

    def equals(self, other: "Value") -> bool:
        """Return whether they are the same, but for the order in which numbers were added up."""
        if self.n != other.n or self.value is None or other.value is None:
            return (self.n, self.value) == (other.n, other.value)
        return isclose(self.value, other.value, rel_tol=1e-9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restatement:
    """A figure that is no longer what was shown.

    `then` is what was shown, `now` the same window up to the same instant, computed now, and `as_of` what should have
    been shown at that instant, by all that is known now. `version_then` is that of the definition; None if it was not
    stored.
    """

    figure: Figure
    then: Value
    now: Value
    as_of: Value
    version_then: int | None
    sources: Sequence[Source]
    has_more_sources: bool

    @property
    def cause(self) -> str:
        return LATER_EVENTS if self.as_of.equals(self.then) else LATE_DATA

    @property
    def difference(self) -> float | None:
        return None if self.now.value is None or self.then.value is None else self.now.value - self.then.value


@dataclass(frozen=True)
class RestatedHour:
    """The stored figures of an hour, compared with what they are now. `base` is a query of the team as of now."""

    kept: HourlyFigures
    base: FigureQuery

    @cached_property
    def window(self) -> Window:
        """Return the window of the hour; of one stored without it, that of the team's current time zone."""
        zone = self.kept.time_zone or self.base.team.time_zone
        window = Window.last(DAYS, time_zone=zone, now=self.kept.computed_at)
        return replace(window, start=self.kept.start) if self.kept.start else window

    @property
    def are_rules_changed(self) -> bool | None:
        """Return whether the rules of derivations changed since; None if theirs were not stored."""
        return None if self.kept.rules_version is None else self.kept.rules_version != RULES_VERSION

    @cached_property
    def settings_changed_at(self) -> datetime | None:
        """Return when settings of the team last changed, if that was since."""
        known = TeamFreshness.objects.filter(team=self.kept.team_id, changed_at__gt=self.kept.computed_at)
        return known.values_list("changed_at", flat=True).first()

    @cached_property
    def restatements(self) -> list[Restatement]:
        """Return the figures that differ, in the order of the registry."""
        query = self.base.until(self.window, self.kept.computed_at)
        seen_then = replace(query, as_of=self.kept.computed_at)
        vars(seen_then).update(repositories=query.repositories, memberships=query.memberships)  # read once for both
        keys = [key for key in FIGURES if key in self.kept.figures]
        if not keys:
            return []
        now, as_of = read_together([(query, VALUE_ONLY), (seen_then, VALUE_ONLY)], keys=keys)
        later = LaterSources(query, mark=self.kept.last_source)
        return list(self._differing(now, as_of, later=later))

    def _differing(
        self, now: Sequence[FigureReading], as_of: Sequence[FigureReading], *, later: LaterSources
    ) -> Iterator[Restatement]:
        for one, other in zip(now, as_of, strict=True):
            kept: Mapping[str, Any] = self.kept.figures[one.figure]
            then, current = Value(value=kept["value"], n=kept["n"]), Value(value=one.value, n=one.n)
            if not current.equals(then):
                figure = FIGURES[one.figure]
                sources, has_more = later.of_table(figure.population.rows.table)
                yield Restatement(
                    figure=figure,
                    then=then,
                    now=current,
                    as_of=Value(value=other.value, n=other.n),
                    version_then=kept.get("version"),
                    sources=sources,
                    has_more_sources=has_more,
                )


def stored_hours(team: Team, *, since: datetime, is_every_hour: bool) -> QuerySet[HourlyFigures]:
    """Return the stored hours since then, the latest first: every one, or the last of each day (UTC)."""
    rows = HourlyFigures.objects.filter(team=team, hour__gte=since).order_by("-hour")
    if is_every_hour:
        return rows
    return rows.alias(day=TruncDay("hour")).filter(~Exists(_later_that_day()))
