"""The query of figures: team, window and filters, and the attribution of work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any, TypeVar

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.db.models import (
    BigIntegerField,
    Case,
    DateTimeField,
    Exists,
    F,
    Field,
    Model,
    OuterRef,
    Q,
    QuerySet,
    TextField,
    Value,
    When,
)

from apps.activity.models import Change, Repository
from apps.common import db
from apps.metrics.completeness import OF_FIGURES, Report, report_of
from apps.metrics.completeness.providers import Pending, find_pending
from apps.metrics.derivation.deployment_rules import UNCHOSEN
from apps.metrics.figures.filter_values import AI, Account, Attribution, Bots, Hours, Membership
from apps.metrics.figures.sql_expressions import (
    AtInstant,
    Ids,
    IsAnyOf,
    IsLikeAny,
    Parameter,
    array_of,
    compiled,
    like_pattern,
)
from apps.metrics.figures.windows import Window
from apps.metrics.models import DerivedDeployment, DerivedIncident
from apps.teams.models import DeploymentRule, DeploymentSource, IncidentRule, Team, TeamMember, WorkingCalendar
from apps.teams.visibility import repositories_of

Rows = TypeVar("Rows", bound=Model)

AGENT, BOT, HUMAN, NOT_A_MEMBER = "agent", "bot", "human", "not_a_member"
"""Why a row does not count for a team."""


SHARED = frozenset({"calendar", "repositories", "memberships", "pending", "report", "is_recalculating"})
"""What is read once for a query, and holds for any window of the same team and filters."""


def now() -> datetime:
    return datetime.now(UTC)


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
    `origin` is the query that this one was made of. `is_of_oneself` says that `author` is the user who asks.
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
    is_of_oneself: bool = False
    origin: "FigureQuery | None" = field(default=None, repr=False)

    def compared_with(self, window: Window | None = None) -> "FigureQuery":
        """Return the query of another window, by default of the days just before, for as long as this one has lasted.

        A day that has just begun is compared with as much of a day, by local time.
        """
        window = window or self.window.previous()
        days = (window.start - self.window.start).days
        return self._changed(window=window, cut_at=self.window.shift(self.end_at, days=days))

    def knowing(self, **known: Any) -> "FigureQuery":
        """Store in this query what was read for several queries at once, such as `repositories`; return the query."""
        vars(self).update(known)
        return self

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
        return self._scope[0]

    @cached_property
    def memberships(self) -> tuple[Membership, ...]:
        """Return every membership of the team, past ones too."""
        return self._scope[1]

    @cached_property
    def _scope(self) -> tuple[tuple[int, ...], tuple[Membership, ...]]:
        chosen = None if self.repository_ids is None else array_of(self.repository_ids)
        statement = _scope_statement(is_narrowed=chosen is not None)
        [(repositories, *memberships)] = db.run(statement, {"team": self.team.pk, "chosen": chosen})
        return tuple(repositories), tuple(Membership(*one) for one in zip(*memberships, strict=True))

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
    def production_environments(self) -> tuple[str, ...]:
        return tuple(self.team.production_environments)

    @cached_property
    def whole_members(self) -> frozenset[int]:
        """Return those who were members for all of the window."""
        if self.attribution is Attribution.CURRENT:
            return frozenset(one.contributor_id for one in self.memberships if one.holds_at(self.as_of))
        return frozenset(one.contributor_id for one in self.memberships if self._covers(one))

    @cached_property
    def partial_members(self) -> frozenset[int]:
        """Return those who were members for a part of the window: of their work, the time is compared."""
        if self.attribution is Attribution.CURRENT:
            return frozenset()
        return frozenset(one.contributor_id for one in self.memberships) - self.whole_members

    @cached_property
    def shape(self) -> tuple[Any, ...]:
        """Return what the text of a statement depends on: queries alike have one template."""
        kept = (getattr(self, one.name) for one in fields(self) if one.name not in OF_VALUES)
        return (
            *kept,
            self.author and self.author.contributor_id is not None,
            self.calendar if self.hours is Hours.WORKING else None,
            *(bool(one) for one in (self.labels, self.services, self.memberships, self.partial_members)),
            bool(self.production_environments),
        )

    def given(self, name: str) -> Any:
        """Return the expression of a value of `GIVEN`, which a statement is compiled without."""
        given = GIVEN[name]
        return Value(given.value(self), output_field=given.field)

    def is_production(self) -> Q:
        """Return the condition that a deployment is to production: by the team's patterns, else by flag and name."""
        if not self.production_environments:
            return Q(is_production=True)
        matches = Q(IsLikeAny(F("environment"), self.given("patterns")))
        return matches | ~Q(source__in=UNCHOSEN)

    @cached_property
    def sources(self) -> Mapping[str, bool]:
        """Return whether the team has what deployments and incidents follow from.

        It is asked once for a query and all that were made of it.
        """
        if self.origin is not None:
            return self.origin.sources
        statement = sources_statement(has_patterns=bool(self.production_environments))
        asked = {name: GIVEN[name].value(self) for name in ("team", "repositories", "as_of", "patterns")}
        [found] = db.run_with_names(statement, asked)
        return found if self.repositories else dict.fromkeys(found, False)

    @property
    def lack_of_deployments(self) -> str:
        """Return why the deployments of the team cannot be counted; empty if they can."""
        if self.sources["deployment_source"] or self.sources["production"]:
            return ""
        return "no_production" if self.sources["deployment"] else "no_source"

    @property
    def lack_of_incidents(self) -> str:
        """Return why the incidents of the team cannot be counted; empty if they can."""
        return "" if self.sources["incident_rule"] or self.sources["incident"] else "no_source"

    def lack_of(self, table: type[Model]) -> str:
        """Return why the rows of a table cannot be counted; empty if they can."""
        return self.lack_of_incidents if table is DerivedIncident else self.lack_of_deployments

    @cached_property
    def start_at(self) -> datetime:
        """Return the start of the window."""
        return self.window.start_at

    @cached_property
    def end_at(self) -> datetime:
        """Return the end of the window, or where it is cut, or `as_of` if that is earlier."""
        return min(self.window.end_at, self.as_of, self.cut_at or self.as_of)

    def happened(self, rows: QuerySet[Rows], at: str) -> QuerySet[Rows]:
        """Return the rows in the team's repositories within the window."""
        period = {f"{at}__gte": self.start_at, f"{at}__lt": self.end_at}
        return rows.filter(self.is_in_repositories(), **period)

    def is_in_repositories(self) -> IsAnyOf:
        """Return the condition that a row is of one of the repositories."""
        return IsAnyOf(F("repository_id"), Ids(self.given("repositories")))

    @property
    def instant(self) -> Any:
        """Return the end of the query as an expression, or each of the instants that the statement joins."""
        return AtInstant() if self.is_at_each_instant else self.given("end_at")

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
        condition = Q(IsAnyOf(F(f"{account}_id"), Ids(self.given("whole_members"))))
        if self.partial_members:
            is_partly = Q(IsAnyOf(F(f"{account}_id"), Ids(self.given("partial_members"))))
            condition |= is_partly & Q(Exists(self._memberships(account=account, at=at)))
        return condition

    def _covers(self, one: Membership) -> bool:
        has_begun = one.from_at is None or one.from_at <= min(self.start_at, self.end_at)
        return has_begun and (one.until_at is None or one.until_at > self.end_at)

    def _memberships(self, *, account: str, at: Any) -> QuerySet[TeamMember]:
        has_begun = Q(from_at__isnull=True) | Q(from_at__lte=at)
        has_not_ended = Q(until_at__isnull=True) | Q(until_at__gt=at)
        return TeamMember.objects.filter(
            has_begun, has_not_ended, team=self.given("team"), contributor=OuterRef(account)
        )


@dataclass(frozen=True, slots=True)
class GivenValue:
    """A value of a query that its statement is given when it is run, and the field that it is like."""

    field: "Field[Any, Any]"
    value: Callable[[FigureQuery], Any]


TEXTS = ArrayField(TextField())
GIVEN: Mapping[str, GivenValue] = {
    "start_at": GivenValue(DateTimeField(), lambda query: query.start_at),
    "end_at": GivenValue(DateTimeField(), lambda query: query.end_at),
    "as_of": GivenValue(DateTimeField(), lambda query: query.as_of),
    "repositories": GivenValue(TextField(), lambda query: array_of(query.repositories)),
    "team": GivenValue(BigIntegerField(), lambda query: query.team.pk),
    "whole_members": GivenValue(TextField(), lambda query: array_of(query.whole_members)),
    "partial_members": GivenValue(TextField(), lambda query: array_of(query.partial_members)),
    "patterns": GivenValue(TEXTS, lambda query: [like_pattern(one) for one in query.production_environments]),
    "labels": GivenValue(TEXTS, lambda query: list(query.labels)),
    "services": GivenValue(TEXTS, lambda query: list(query.services)),
    "author_id": GivenValue(BigIntegerField(), lambda query: query.author and query.author.contributor_id),
    "author_login": GivenValue(TextField(), lambda query: query.author and query.author.login),
}


def _parameter(name: str) -> Any:
    return Parameter(name, output_field=GIVEN[name].field)


_NAMES = ("team", "window", "repository_ids", "as_of", "cut_at", "author", "labels", "services", "origin")
OF_VALUES = frozenset({*_NAMES, "is_of_oneself"})
"""The fields of a query that the text of a statement does not depend on, but for whether there is anything in them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class QueryTemplate(FigureQuery):
    """What the text of a statement depends on of a query, with parameters for its values; alike ones are equal."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, QueryTemplate) and self.shape == other.shape

    def __hash__(self) -> int:
        return hash(self.shape)

    @classmethod
    def of(cls, query: FigureQuery) -> "QueryTemplate":
        kept = {one.name: getattr(query, one.name) for one in fields(query) if one.name not in OF_VALUES}
        made = cls.with_only(
            memberships=bool(query.memberships),
            partial_members=bool(query.partial_members),
            production_environments=bool(query.production_environments),
            author=query.author and _author(query.author),
            labels=query.labels and _parameter("labels"),
            services=query.services and _parameter("services"),
            **kept,
        )
        if query.hours is Hours.WORKING:
            vars(made)["calendar"] = query.calendar
        return made

    @classmethod
    def with_only(
        cls, *, memberships: bool, partial_members: bool, production_environments: bool, **chosen: Any
    ) -> "QueryTemplate":
        """Return the template of queries that have these, and of the fields what is chosen."""
        nothing: Any = None
        made = cls(team=nothing, window=nothing, as_of=_parameter("as_of"), **chosen)
        vars(made).update(
            start_at=_parameter("start_at"),
            end_at=_parameter("end_at"),
            memberships=memberships,
            partial_members=partial_members,
            production_environments=production_environments,
        )
        return made

    def given(self, name: str) -> Any:
        return _parameter(name)

    def _changed(self, **changes: Any) -> "QueryTemplate":
        other = replace(self, **changes)
        vars(other).update({name: value for name, value in vars(self).items() if name != "shape"} | vars(other))
        return other


@cache
def _scope_statement(*, is_narrowed: bool) -> str:
    """Return the statement that reads the repositories and memberships of a team."""
    team = Team.objects.filter(pk=_parameter("team"))
    repositories = repositories_of(team).order_by("pk")
    if is_narrowed:
        repositories = repositories.filter(IsAnyOf(F("pk"), Ids(Parameter("chosen", output_field=TextField()))))
    members = TeamMember.objects.filter(team=OuterRef("pk")).order_by("contributor_id", "pk")
    columns = (ArraySubquery(members.values(name)) for name in ("contributor_id", "from_at", "until_at"))
    return compiled(team.values_list(ArraySubquery(repositories.values("pk")), *columns))


@cache
def sources_statement(*, has_patterns: bool) -> str:
    """Return the statement that asks what deployments and incidents of a team follow from."""
    query = QueryTemplate.with_only(memberships=False, partial_members=False, production_environments=has_patterns)
    team: Any = Team.objects.filter(pk=_parameter("team"))
    return compiled(team.values(**_source_conditions(query)))


def _source_conditions(query: FigureQuery) -> dict[str, Exists]:
    deployments = DerivedDeployment.objects.filter(query.is_in_repositories(), created_at__lte=query.as_of)
    return {
        "deployment_source": Exists(_rules(DeploymentSource, query)),
        "deployment": Exists(deployments),
        "production": Exists(deployments.filter(query.is_production())),
        "incident_rule": Exists(_rules(IncidentRule, query)),
        "incident": Exists(DerivedIncident.objects.filter(query.is_in_repositories())),
    }


def _rules(kind: type[DeploymentRule], query: FigureQuery) -> QuerySet[Any]:
    """Return the rules of a kind that apply to any of the repositories: to them, to their accounts, or to all."""
    repositories = Ids(query.given("repositories"))
    owners = Repository.objects.filter(IsAnyOf(F("pk"), repositories)).values("owner")
    is_of_account = Q(account__isnull=True) | Q(account__in=owners.filter(owner__isnull=False))
    return kind.objects.filter(
        Q(IsAnyOf(F("repository_id"), repositories)) | Q(repository__isnull=True) & is_of_account
    )


def _author(author: Account) -> Account:
    has_id = author.contributor_id is not None
    return Account(login=_parameter("author_login"), contributor_id=_parameter("author_id") if has_id else None)


def _reason(*cases: When, default: str | None = None) -> Case:
    return Case(*cases, default=Value(default, output_field=TextField()), output_field=TextField())
