"""Teams as the pages of figures need them: with their members, their goals, and what the user may do, read at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import BigIntegerField, Count, Exists, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import JSONObject, Lower
from django.http import Http404

from apps.common import db
from apps.metrics.figures import FigureQuery
from apps.metrics.figures.figure_query import GIVEN, sources_statement
from apps.metrics.figures.filter_values import Membership
from apps.metrics.figures.sql_expressions import of_asked
from apps.metrics.models import Goal
from apps.notifications.models import Notification
from apps.teams.models import Team, TeamMember, TeamRepository
from apps.teams.visibility import repositories_of
from apps.webhooks.inbox_overview import LATEST

RECENT = 500
LABELS = """
    SELECT array_agg(DISTINCT label) FROM unnest(asked.repositories::bigint[]) AS one (id)
    CROSS JOIN LATERAL (
        SELECT labels FROM activity_pullrequest WHERE repository_id = one.id ORDER BY updated_at DESC LIMIT asked.recent
    ) AS recent CROSS JOIN LATERAL unnest(recent.labels) AS label
"""
OF_ACCOUNT = """
    SELECT received_at FROM webhooks_delivery WHERE installation_id = (
        SELECT github_id FROM activity_installation WHERE account_id = asked.account ORDER BY github_id DESC LIMIT 1
    ) ORDER BY id DESC LIMIT 1
"""
SERVICES = """
    SELECT array_agg(DISTINCT service) FROM metrics_deriveddeployment
    WHERE repository_id = ANY(asked.repositories::bigint[]) AND service > '' AND order_at IS NOT NULL
"""
# Each team is a row of what is asked, so that the text is the same for any number of them.
STATES = f"""
    SELECT sources.*, asked.team AS team, EXISTS (SELECT FROM activity_change) AS is_recalculating,
           coalesce(({LATEST.replace("%s", "asked.repositories")}), ({OF_ACCOUNT})) AS received_at,
           {{options}}
    FROM json_to_recordset(%(asked)s) AS asked
        (team bigint, repositories text, as_of timestamptz, patterns text[], account bigint, recent int)
    CROSS JOIN LATERAL ({{sources}}) AS sources
"""  # noqa: S608  our own tables


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTeam:
    """A team that the user may see. `may_edit`: the user leads or administers it, or is an operator.

    `unread_notes` is the user's own, which every page shows.
    """

    team: Team
    memberships: tuple[Membership, ...]
    goals: tuple[Goal, ...]
    may_edit: bool
    unread_notes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamState:
    """What is known of a team beside its figures: when GitHub last sent something, labels and services to choose."""

    last_received_at: datetime | None
    options: Mapping[str, list[str]]


def teams_of(user: Any) -> QuerySet[Team]:
    """Return the teams that the user may see, by name, ready for `known`."""
    members = TeamMember.objects.filter(team=OuterRef("pk")).order_by("contributor_id", "pk")
    goals = Goal.objects.filter(team=OuterRef("pk"), until_day__isnull=True).order_by("from_day", "pk")
    led = Team.objects.led_by(user).filter(pk=OuterRef("pk"))
    rows = Team.objects.visible_to(user).annotate(
        members_found=ArraySubquery(members.values(row=_row("contributor_id", "from_at", "until_at"))),
        goals_found=ArraySubquery(goals.values(row=_row("pk", "figure", "direction", "target", "from_day"))),
        may_edit=Exists(led),
        unread_count=unread_of(user),
    )
    teams: QuerySet[Team] = rows.order_by(Lower("name"), "pk")
    return teams


def unread_of(user: Any) -> Subquery:
    """Return the number of the user's unread notes, null for none, to be read with what a page shows."""
    unread = Notification.objects.visible_to(user).unread().order_by().values("user").annotate(n=Count("pk"))
    return Subquery(unread.values("n"))


def _row(*names: str) -> JSONObject:
    return JSONObject(**{name: name for name in names})


def known(team: Any) -> KnownTeam:
    """Return a team of `teams_of` with what was read with it."""
    return KnownTeam(
        team=team,
        memberships=tuple(
            Membership(contributor_id=row["contributor_id"], from_at=_at(row["from_at"]), until_at=_at(row["until_at"]))
            for row in team.members_found
        ),
        goals=tuple(
            Goal(team=team, **{**row, "from_day": date.fromisoformat(row["from_day"])}) for row in team.goals_found
        ),
        may_edit=team.may_edit,
        unread_notes=team.unread_count or 0,
    )


def _at(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def named(teams: Sequence[Team], *, slug: str) -> Team | None:
    """Return the one of the teams with the slug, None for an empty one; 404 if it is not among them."""
    if not slug:
        return None
    for team in teams:
        if team.slug == slug:
            return team
    raise Http404(f"There is no team {slug!r}.")


def read_states(queries: Iterable[FigureQuery], *, has_options: bool = False) -> dict[int, TeamState]:
    """Return the state of each query's team, by its key, and make the queries know what else was read."""
    queries = list(queries)
    found: dict[int, TeamState] = {}
    for has_patterns in (False, True):  # the text is another
        alike = {query.team.pk: query for query in queries if bool(query.production_environments) is has_patterns}
        for row in _read_states(alike.values(), has_patterns=has_patterns, has_options=has_options) if alike else ():
            query = alike[row.pop("team")]
            last_received_at, is_recalculating = row.pop("received_at"), row.pop("is_recalculating")
            options = {"label": row.pop("labels") or [], "service": row.pop("services") or []}
            sources = {name: has_any and bool(query.repositories) for name, has_any in row.items()}
            query.knowing(is_recalculating=is_recalculating, sources=sources)
            found[query.team.pk] = TeamState(last_received_at=last_received_at, options=options)
    return found


def _read_states(queries: Iterable[FigureQuery], *, has_patterns: bool, has_options: bool) -> list[dict[str, Any]]:
    rows = (
        {
            **{name: GIVEN[name].value(query) for name in ("team", "repositories", "as_of", "patterns")},
            "account": query.team.account_id,
            "recent": max(1, RECENT // max(1, len(query.repositories))),
        }
        for query in queries
    )
    sources = of_asked(sources_statement(has_patterns=has_patterns))
    options = f"({LABELS}) AS labels, ({SERVICES}) AS services" if has_options else "NULL AS labels, NULL AS services"
    return db.run_with_names(STATES.format(sources=sources, options=options), {"asked": db.as_json(rows)})


def tracked_by(teams: Iterable[Team]) -> dict[int, dict[int, str]]:
    """Return the names of the repositories that each team tracks, by team and id, in their order."""
    teams = list(teams)
    added = TeamRepository.objects.filter(team__in=[team.pk for team in teams if team.account_id is None])
    # An account brings repositories in several ways; few teams have one, and each costs a part of the statement.
    rows: list[Any] = [
        added.order_by().values_list("team", "repository", "repository__full_name"),
        *(_tracked(team) for team in teams if team.account_id is not None),
    ]
    found: dict[int, dict[int, str]] = {}
    for team, pk, name in rows[0].union(*rows[1:], all=True):
        found.setdefault(team, {})[pk] = name
    return {team: dict(sorted(names.items(), key=lambda one: one[1])) for team, names in found.items()}


def _tracked(team: Team) -> Any:
    own = Team.objects.filter(pk=team.pk)
    rows = repositories_of(own).order_by().annotate(team=Value(team.pk, output_field=BigIntegerField()))
    return rows.values_list("team", "pk", "full_name")
