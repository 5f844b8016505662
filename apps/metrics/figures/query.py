"""The query of figures: team, window and filters, and the attribution of work."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeVar

from django.contrib.postgres.fields import ArrayField
from django.db.models import (
    Case,
    DateTimeField,
    Exists,
    F,
    Model,
    OuterRef,
    Q,
    QuerySet,
    TextField,
    Value,
    When,
)

from apps.activity.models import Change
from apps.metrics.completeness import OF_FIGURES, Report, report_of
from apps.metrics.completeness.providers import Pending, find_pending
from apps.metrics.derivation.deployment_rules import UNCHOSEN, has_source
from apps.metrics.derivation.incidents import has_incident_rule
from apps.metrics.figures.expressions import AtInstant, Ids, IsAnyOf, IsLikeAny
from apps.metrics.figures.windows import Window
from apps.metrics.models import DerivedDeployment, DerivedIncident
from apps.teams.models import Team, TeamMember, WorkingCalendar
from apps.teams.visibility import repositories_of

Rows = TypeVar("Rows", bound=Model)

AGENT, BOT, HUMAN, NOT_A_MEMBER = "agent", "bot", "human", "not_a_member"
"""Why a row does not count for a team."""


class Bots(StrEnum):
    """The inclusion of bots, or of agents."""

    EXCLUDE = "exclude"
    INCLUDE = "include"
    ONLY = "only"


class Attribution(StrEnum):
    """The members of a team whose work counts: those of the time of each event, or those of now."""

    AT_EVENT = "at_event"
    CURRENT = "current"


class AI(StrEnum):
    """The evidence of a tool that a pull request must have."""

    AUTHORED = "authored"
    ASSISTED = "assisted"
    REVIEWED = "reviewed"
    ANY = "any"
    NONE = "none"


class Hours(StrEnum):
    """The time that durations count."""

    WALL = "wall"
    WORKING = "working"


SHARED = frozenset({"calendar", "repositories", "memberships", "pending", "report", "is_recalculating"})
"""What is read once for a query, and holds for any window of the same team and filters."""


def now() -> datetime:
    return datetime.now(UTC)


def _like(pattern: str) -> str:
    """Return a pattern with * for any text as one of LIKE."""
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account, by whose rows figures are filtered; without an id, it is known by its login alone."""

    login: str
    contributor_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A contributor in a team, from when until when; None is unlimited."""

    contributor_id: int
    from_at: datetime | None
    until_at: datetime | None

    def holds_at(self, at: datetime) -> bool:
        return (self.from_at is None or self.from_at <= at) and (self.until_at is None or self.until_at > at)


@dataclass(frozen=True, kw_only=True)
class FigureQuery:
    """A team, a window and filters, for figures and for the lists behind them.

    `as_of` is the instant from which it is seen: what came later has not happened yet. `repository_ids` narrows the
    team's repositories; ids of others are left out. `cut_at` ends the window earlier than its last day.
    With `hours` of `WORKING`, durations count the team's working time alone.
    `author`, `labels`, `ai` and `services` leave only the rows of an account, of pull requests with all of the labels
    and with such evidence, and of deployments of any of the services, named as groups are. `agents` says whether pull
    requests of agents count; by default those count where bots do. With
    `is_at_each_instant`, rows that are counted at an instant are so at each instant that a statement joins to them.
    `origin` is the query that this one was made of.
    """

    team: Team
    window: Window
    bots: Bots = Bots.EXCLUDE
    agents: Bots | None = None
    repository_ids: tuple[int, ...] | None = None
    as_of: datetime = field(default_factory=now)
    cut_at: datetime | None = None
    author: Account | None = None
    labels: tuple[str, ...] = ()
    ai: AI | None = None
    services: tuple[str, ...] = ()
    attribution: Attribution = Attribution.AT_EVENT
    variant: str = ""
    hours: Hours = Hours.WALL
    is_at_each_instant: bool = False
    origin: "FigureQuery | None" = field(default=None, repr=False)

    def compared_with(self, window: Window | None = None) -> "FigureQuery":
        """Return the query of another window, by default of the days just before, for as long as this one has lasted.

        A day that has just begun is compared with as much of a day, by local time.
        """
        window = window or self.window.previous()
        days = (window.start - self.window.start).days
        return self._changed(window=window, cut_at=self.window.shift(self.end_at, days=days))

    def counting_agents(self) -> "FigureQuery":
        """Return the query in which pull requests of agents count."""
        return self._changed(agents=Bots.INCLUDE)

    def until(self, window: Window, at: datetime) -> "FigureQuery":
        """Return the query of another window, which ends at the instant."""
        return self._changed(window=window, cut_at=at)

    def at_each_instant(self) -> "FigureQuery":
        """Return the query of what is counted at an instant, for each of those that a statement joins."""
        return self._changed(is_at_each_instant=True)

    def _changed(self, **changes: Any) -> "FigureQuery":
        other = replace(self, origin=self, **changes)
        needed = {"repositories": self.repositories, "memberships": self.memberships}
        vars(other).update({name: value for name, value in vars(self).items() if name in SHARED} | needed)
        return other

    @cached_property
    def repositories(self) -> tuple[int, ...]:
        """Return the repositories whose work counts."""
        tracked = repositories_of(Team.objects.filter(pk=self.team.pk))
        if self.repository_ids is not None:
            tracked = tracked.filter(pk__in=self.repository_ids)
        return tuple(sorted(tracked.values_list("pk", flat=True)))

    @cached_property
    def calendar(self) -> int:
        """Return the key of the stored working time of the team, which is made now if it was not yet."""
        WorkingCalendar.ensure(self.team)
        return self.team.pk

    @cached_property
    def report(self) -> Report:
        """Return the completeness of these repositories, for the streams of figures."""
        return report_of(self.repositories, streams=OF_FIGURES, pending=self.pending)

    @cached_property
    def pending(self) -> Pending:
        """Return what is known of unprocessed deliveries of these repositories."""
        return find_pending(self.repositories)

    @cached_property
    def is_recalculating(self) -> bool:
        """Return whether changes wait to be recalculated."""
        return Change.objects.exists()

    @cached_property
    def memberships(self) -> tuple[Membership, ...]:
        """Return every membership of the team, past ones too."""
        rows = TeamMember.objects.filter(team=self.team).order_by("contributor_id", "pk")
        found = rows.values("contributor_id", "from_at", "until_at")
        return tuple(Membership(**row) for row in found)

    @cached_property
    def production_environments(self) -> tuple[str, ...]:
        return tuple(self.team.production_environments)

    def is_production(self) -> Q:
        """Return the condition that a deployment is to production: by the team's patterns, else by flag and name."""
        if not self.production_environments:
            return Q(is_production=True)
        patterns = [_like(pattern) for pattern in self.production_environments]
        matches = Q(IsLikeAny(F("environment"), Value(patterns, output_field=ArrayField(TextField()))))
        return matches | ~Q(source__in=UNCHOSEN)

    @cached_property
    def lack_of_deployments(self) -> str:
        """Return why the deployments of the team cannot be counted; empty if they can.

        It is asked once for a query and all that were made of it.
        """
        if self.origin is not None:
            return self.origin.lack_of_deployments
        known = DerivedDeployment.objects.filter(self.is_in_repositories(), created_at__lte=self.as_of)
        if has_source(self.repositories) or known.filter(self.is_production()).exists():
            return ""
        return "no_production" if known.exists() else "no_source"

    @cached_property
    def lack_of_incidents(self) -> str:
        """Return why the incidents of the team cannot be counted; empty if they can."""
        if self.origin is not None:
            return self.origin.lack_of_incidents
        known = DerivedIncident.objects.filter(self.is_in_repositories())
        return "" if has_incident_rule(self.repositories) or known.exists() else "no_source"

    def lack_of(self, table: type[Model]) -> str:
        """Return why the rows of a table cannot be counted; empty if they can."""
        return self.lack_of_incidents if table is DerivedIncident else self.lack_of_deployments

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
        return IsAnyOf(F("repository_id"), Ids(self.repositories))

    @property
    def instant(self) -> Any:
        """Return the end of the query as an expression, or each of the instants that the statement joins."""
        return AtInstant() if self.is_at_each_instant else Value(self.end_at, output_field=DateTimeField())

    def attributed(self, rows: QuerySet[Any], *, account: str, is_bot: str, at: Any) -> QuerySet[Any]:
        """Return the rows with `excluded`: why a row does not count for the team, null if it does.

        A row counts if its account was a member of the team at the time of the event. A team without members counts
        everybody in its repositories. A bot is nobody's member: where bots count, they count for every team that tracks
        the repository. So does an agent, unless its pull request is attributed to somebody: then as that person's.
        """
        cases = list[When]()
        if hasattr(rows.model, "attributed_to"):
            cases += self._agents(at=at)
        cases.append(When(**{is_bot: True}, then=Value(BOT) if self.bots is Bots.EXCLUDE else None))
        if Bots.ONLY in (self.bots, self.agents):
            reason = _reason(*cases, default=HUMAN)
        elif not self.memberships:
            reason = _reason(*cases)
        else:
            reason = _reason(*cases, When(self._is_member(account=account, at=at), then=None), default=NOT_A_MEMBER)
        annotated: QuerySet[Any] = rows.annotate(excluded=reason)
        return annotated

    def _agents(self, *, at: Any) -> list[When]:
        """Return why the pull requests of agents do not count, which only tables of pull requests know."""
        is_by_agent = Q(author_class=AGENT)
        if (self.agents or self.bots) is Bots.EXCLUDE:
            return [When(is_by_agent, then=Value(AGENT))]
        if not self.memberships:
            return [When(is_by_agent, then=None)]
        is_member = self._is_member(account="attributed_to", at=at)
        return [
            When(is_by_agent & (Q(attributed_to__isnull=True) | is_member), then=None),
            When(is_by_agent, then=Value(NOT_A_MEMBER)),
        ]

    def _is_member(self, *, account: str, at: Any) -> Q:
        """Return the condition; only of those who were members for a part of the window, the time is compared."""
        if self.attribution is Attribution.CURRENT:
            members = {one.contributor_id for one in self.memberships if one.holds_at(self.as_of)}
            return Q(IsAnyOf(F(f"{account}_id"), Ids(members)))
        whole = {one.contributor_id for one in self.memberships if self._covers(one)}
        partly = {one.contributor_id for one in self.memberships} - whole
        condition = Q(IsAnyOf(F(f"{account}_id"), Ids(whole)))
        if partly:
            is_partly = Q(IsAnyOf(F(f"{account}_id"), Ids(partly)))
            condition |= is_partly & Q(Exists(self._memberships(account=account, at=at)))
        return condition

    def _covers(self, one: Membership) -> bool:
        has_begun = one.from_at is None or one.from_at <= min(self.window.start_at, self.end_at)
        return has_begun and (one.until_at is None or one.until_at > self.end_at)

    def _memberships(self, *, account: str, at: Any) -> QuerySet[TeamMember]:
        has_begun = Q(from_at__isnull=True) | Q(from_at__lte=at)
        has_not_ended = Q(until_at__isnull=True) | Q(until_at__gt=at)
        return TeamMember.objects.filter(has_begun, has_not_ended, team=self.team, contributor=OuterRef(account))


def _reason(*cases: When, default: str | None = None) -> Case:
    return Case(*cases, default=Value(default, output_field=TextField()), output_field=TextField())
