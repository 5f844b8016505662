"""The query of figures: team, window and filters, and the attribution of work."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeVar

from django.contrib.postgres.fields import ArrayField
from django.db.models import BigIntegerField, Exists, F, Model, OuterRef, Q, QuerySet, TextField, Value

from apps.metrics.completeness import OF_FIGURES, Report, report_of
from apps.metrics.derivation.deployment_rules import has_source
from apps.metrics.figures.expressions import IsAnyOf, IsLikeAny
from apps.metrics.figures.windows import Window
from apps.metrics.models import DerivedDeployment
from apps.teams.models import DeploymentSource, Team, TeamMember
from apps.teams.visibility import repositories_of

Rows = TypeVar("Rows", bound=Model)


class Bots(StrEnum):
    """The inclusion of bots."""

    EXCLUDE = "exclude"
    INCLUDE = "include"
    ONLY = "only"


SHARED = frozenset({"repositories", "has_members", "report", "production_environments"})
"""What was read for a query and holds for any window of the same team and filters."""


def now() -> datetime:
    return datetime.now(UTC)


def _like(pattern: str) -> str:
    """Return a pattern with * for any text as one of LIKE."""
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%")


@dataclass(frozen=True, kw_only=True)
class FigureQuery:
    """A team, a window and filters, for figures and for the lists behind them.

    `as_of` is the instant from which it is seen: what came later has not happened yet. `repository_ids` narrows the
    team's repositories; ids of others are left out. `cut_at` ends the window earlier than its last day.
    """

    team: Team
    window: Window
    bots: Bots = Bots.EXCLUDE
    repository_ids: tuple[int, ...] | None = None
    as_of: datetime = field(default_factory=now)
    cut_at: datetime | None = None

    def compared_with(self, window: Window | None = None) -> "FigureQuery":
        """Return the query of another window, by default of the days just before, for as long as this one has lasted.

        A day that has just begun is compared with as much of a day, by local time.
        """
        window = window or self.window.previous()
        days = (window.start - self.window.start).days
        other = replace(self, window=window, cut_at=self.window.shift(self.end_at, days=days))
        vars(other).update({name: value for name, value in vars(self).items() if name in SHARED})
        return other

    @cached_property
    def repositories(self) -> tuple[int, ...]:
        """Return the repositories whose work counts."""
        tracked = repositories_of(Team.objects.filter(pk=self.team.pk))
        if self.repository_ids is not None:
            tracked = tracked.filter(pk__in=self.repository_ids)
        return tuple(sorted(tracked.values_list("pk", flat=True)))

    @cached_property
    def report(self) -> Report:
        """Return the completeness of these repositories, for the streams of figures."""
        return report_of(self.repositories, streams=OF_FIGURES)

    @cached_property
    def has_members(self) -> bool:
        return TeamMember.objects.filter(team=self.team).exists()

    @cached_property
    def production_environments(self) -> tuple[str, ...]:
        return tuple(self.team.production_environments)

    def is_production(self) -> Q:
        """Return the condition that a deployment is to production: by the team's patterns, else by flag and name."""
        if not self.production_environments:
            return Q(is_production=True)
        patterns = [_like(pattern) for pattern in self.production_environments]
        matches = Q(IsLikeAny(F("environment"), Value(patterns, output_field=ArrayField(TextField()))))
        return matches | ~Q(source=DeploymentSource.Kind.DEPLOYMENTS)

    def lack_of_deployments(self) -> str:
        """Return why the deployments of the team cannot be counted; empty if they can."""
        known = DerivedDeployment.objects.filter(self.is_in_repositories(), created_at__lte=self.as_of)
        if has_source(self.repositories) or known.filter(self.is_production()).exists():
            return ""
        return "no_production" if known.exists() else "no_source"

    @property
    def end_at(self) -> datetime:
        """Return the end of the window, or where it is cut, or `as_of` if that is earlier."""
        return min(self.window.end_at, self.as_of, self.cut_at or self.as_of)

    def happened(self, rows: QuerySet[Rows], at: str) -> QuerySet[Rows]:
        """Return the rows in the team's repositories within the window."""
        period = {f"{at}__gte": self.window.start_at, f"{at}__lt": self.end_at}
        return rows.filter(self.is_in_repositories(), **period)

    def is_in_repositories(self) -> IsAnyOf:
        """Return the condition that a row is of one of the repositories."""
        ids = Value(list(self.repositories), output_field=ArrayField(BigIntegerField()))
        return IsAnyOf(F("repository_id"), ids)

    def attributed(self, rows: QuerySet[Rows], *, account: str, is_bot: str, at: Any) -> QuerySet[Rows]:
        """Return the rows whose account was a member of the team at the time of the event.

        A team without members counts everybody in its repositories. A bot is nobody's member: where bots count, they
        count for every team that tracks the repository.
        """
        is_by_bot = Q(**{is_bot: True})
        if self.bots is Bots.ONLY:
            return rows.filter(is_by_bot)
        if not self.has_members:
            return rows if self.bots is Bots.INCLUDE else rows.exclude(is_by_bot)
        is_members = Q(Exists(self._memberships(account=account, at=at)))
        if self.bots is Bots.INCLUDE:
            return rows.filter(is_by_bot | is_members)
        return rows.filter(~is_by_bot & is_members)

    def _memberships(self, *, account: str, at: Any) -> QuerySet[TeamMember]:
        has_begun = Q(from_at__isnull=True) | Q(from_at__lte=at)
        has_not_ended = Q(until_at__isnull=True) | Q(until_at__gt=at)
        return TeamMember.objects.filter(has_begun, has_not_ended, team=self.team, contributor=OuterRef(account))
