"""The list behind a figure: exactly the rows that it counts."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Value

from apps.activity.models import Contributor
from apps.metrics.derivation.deployment_rules import Kind
from apps.metrics.derivation.reported_deployments import PREFIX
from apps.metrics.figures.dimensions import pull_request_of_row
from apps.metrics.figures.figure_query import FigureQuery
from apps.metrics.figures.registry import figure_of
from apps.metrics.models import (
    DerivedClosing,
    DerivedCommit,
    DerivedDeployment,
    DerivedIncident,
    DerivedPullRequest,
    DerivedRemediation,
    DerivedReview,
    DerivedReviewRequest,
    DerivedShipment,
    DerivedWorkflowRun,
)

FLAGS: dict[type[Any], dict[str, str]] = {
    DerivedPullRequest: {
        "is_bot_author": "bot",
        "is_opened_as_draft": "opened_as_draft",
        "is_reviewed_in_draft": "reviewed_in_draft",
        "is_reopened": "reopened",
        "is_force_pushed": "force_pushed",
        "is_cherry_picked": "cherry_picked",
        "is_auto_merged": "auto_merged",
        "is_hotfix": "hotfix",
        "is_ai_assisted": "ai_assisted",
        "is_ai_reviewed": "ai_reviewed",
        "is_first_commit_adjusted": "first_commit_adjusted",
    },
    DerivedClosing: {"is_bot_author": "bot"},
    DerivedReview: {"is_by_bot": "bot"},
    DerivedReviewRequest: {"is_bot_reviewer": "bot"},
    DerivedCommit: {"is_by_bot": "bot"},
    DerivedDeployment: {},
    DerivedShipment: {"is_bot_author": "bot", "is_hotfix": "hotfix"},
    DerivedRemediation: {},
    DerivedWorkflowRun: {"is_by_bot": "bot", "is_flaky": "flaky"},
    DerivedIncident: {},
}
KINDS = {
    DerivedPullRequest: "pull_request",
    DerivedClosing: "pull_request",
    DerivedReview: "review",
    DerivedReviewRequest: "review_request",
    DerivedCommit: "commit",
    DerivedDeployment: "deployment",
    DerivedShipment: "pull_request",
    DerivedRemediation: "deployment",
    DerivedWorkflowRun: "workflow_run",
    DerivedIncident: "incident",
}

NAMED_BY: dict[type[Any], str] = {
    DerivedReview: "review_id",
    DerivedReviewRequest: "name",
    DerivedCommit: "sha",
    DerivedDeployment: "last_deployment_id",
    DerivedRemediation: "failing",
    DerivedWorkflowRun: "name",
}
"""The field that identifies a row within its repository and kind; else its number does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """An entity that a figure counts: its time and its measured value.

    `name` identifies it within its repository and kind: a pull request's number, a review's or deployment's id, a SHA,
    a workflow run's id and attempt, of a review request the number, of whom it was requested and when. `title` is that
    of a pull request, the environment of a deployment, the workflow of a run; `run_id` the workflow run that it is or
    that deployed.
    `reported_sha` is the commit of a deployment of which GitHub knows nothing; `issue_number` the issue of an incident;
    `pull_request_id` and `deployment_id` the keys of the pull request that it is or belongs to, and of the deployment.
    """

    kind: str
    repository_id: int
    repository: str
    name: str
    number: int | None
    run_id: int | None
    title: str
    account: str
    at: datetime
    value: float | None
    flags: tuple[str, ...]
    reported_sha: str = ""
    issue_number: int | None = None
    pull_request_id: int | None = None
    deployment_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Which rows are listed, and in what order: those that count, or those that are left out for a reason.

    `search` leaves those whose title or number has it; `least` and `below` those whose value is at least the one and
    less than the other.
    """

    excluded: str = ""
    ordering: str = "-at"
    search: str = ""
    least: float | None = None
    below: float | None = None


COUNTED = Listing()
ORDERINGS = ("-at", "at", "-value", "value", "repository", "-repository", "account", "-account")
SEARCHED = ("title", "environment", "workflow", "sha")
LARGEST_NUMBER = 2**31 - 1
LONGEST_NUMBER = len(str(LARGEST_NUMBER))  # Python refuses to read a number of thousands of digits


def rows_of_figure(key: str, query: FigureQuery, *, listing: Listing = COUNTED) -> QuerySet[Any]:
    """Return the rows that the figure counts, or that it leaves out for a reason."""
    figure = figure_of(key, variant=query.variant)
    if not listing.excluded:
        return figure.population(query)
    if other := figure.also_excluded.get(listing.excluded):
        return other(query)
    return figure.population.excluded(query, listing.excluded)


def count_entities(key: str, query: FigureQuery, *, listing: Listing = COUNTED) -> int:
    """Return the number of rows in the list."""
    return _listed(key, query, listing=listing).count()


def list_entities(
    key: str, query: FigureQuery, *, limit: int | None = None, offset: int = 0, listing: Listing = COUNTED
) -> list[Entity]:
    """Return the entities of the figure, by default the latest first."""
    if limit is None:
        return list(iterate_entities(key, query, listing=listing))[offset:]
    part = _part_of(_listed(key, query, listing=listing), ordering=listing.ordering, limit=limit, offset=offset)
    rows = rows_of_figure(key, query, listing=listing).filter(pk__in=part)
    return [_entity(row) for row in _described(rows, ordering=listing.ordering)]


def _part_of(rows: QuerySet[Any], *, ordering: str, limit: int, offset: int) -> QuerySet[Any]:
    """Return the keys of a part of the list: of all its other rows, no more is sorted than what orders them."""
    if ordering.removeprefix("-") == "account":
        rows = _with_account(rows)
    return rows.order_by(*_order(rows, ordering)).values("pk")[offset : offset + limit]


def iterate_entities(key: str, query: FigureQuery, *, listing: Listing = COUNTED) -> Iterator[Entity]:
    """Yield the same list in chunks, for an export of any length."""
    rows = _described(_listed(key, query, listing=listing), ordering=listing.ordering)
    for row in rows.iterator(chunk_size=2000):
        yield _entity(row)


def _listed(key: str, query: FigureQuery, *, listing: Listing) -> QuerySet[Any]:
    """Return the rows of the list, narrowed by what is searched for and by value."""
    rows = rows_of_figure(key, query, listing=listing)
    if listing.least is not None:
        rows = rows.filter(value__gte=listing.least)
    if listing.below is not None:
        rows = rows.filter(value__lt=listing.below)
    return _matching(rows, listing.search) if listing.search else rows


def _matching(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    is_numbered = hasattr(rows.model, "number")
    if is_numbered:
        rows = rows.alias(title=_of_pull_request("title"))
    names = ("title",) if is_numbered else (name for name in SEARCHED if hasattr(rows.model, name))
    condition = Q(*((f"{name}__icontains", text) for name in names), _connector=Q.OR) or Q(pk=None)
    digits = text.strip().removeprefix("#")
    if is_numbered and digits.isdecimal() and len(digits) <= LONGEST_NUMBER and int(digits) <= LARGEST_NUMBER:
        condition |= Q(number=int(digits))
    return rows.filter(condition)


def _of_pull_request(column: str) -> Subquery:
    return Subquery(pull_request_of_row().values(column)[:1])


def _described(rows: QuerySet[Any], *, ordering: str) -> QuerySet[Any]:
    if hasattr(rows.model, "number"):
        rows = rows.annotate(title=_of_pull_request("title"), pull_request_id=_of_pull_request("pk"))
    if rows.model is DerivedDeployment:
        rows = rows.annotate(deployment_id=F("pk"))
    elif hasattr(rows.model, "failing"):
        failing = DerivedDeployment.objects.filter(repository_id=OuterRef("repository_id"), name=OuterRef("failing"))
        rows = rows.annotate(deployment_id=Subquery(failing.values("pk")[:1]))
    return _with_account(rows).select_related("repository").order_by(*_order(rows, ordering))


def _with_account(rows: QuerySet[Any]) -> QuerySet[Any]:
    account = _account_field(rows.model)
    if account is None:
        return rows
    logins = Contributor.objects.filter(pk=OuterRef(f"{account}_id")).values("login")[:1]
    named: QuerySet[Any] = rows.annotate(account=Subquery(logins))
    return named


def _order(rows: QuerySet[Any], ordering: str) -> tuple[Any, ...]:
    name, is_descending = ordering.removeprefix("-"), ordering.startswith("-")
    match name:
        case "repository":
            names = ["repository__full_name", *(["number"] if hasattr(rows.model, "number") else [])]
            return *(f"-{each}" if is_descending else each for each in names), "-at", "pk"
        case "account" if _account_field(rows.model) is None:
            return "-at", "pk"
        case "value" if isinstance(rows.query.annotations["value"], Value):  # the same for all
            return "-at", "pk"
        case "value" | "account":
            column = F(name)
            ordered = column.desc(nulls_last=True) if is_descending else column.asc(nulls_last=True)
            return ordered, "-at", "pk"
        case _:
            return ordering, "pk"


def _account_field(model: type[Any]) -> str | None:
    return next((name for name in ("author", "reviewer", "actor") if hasattr(model, name)), None)


def _entity(row: Any) -> Entity:
    model = type(row)
    return Entity(
        kind=KINDS[model],
        repository_id=row.repository_id,
        repository=row.repository.full_name,
        name=_name(row),
        number=getattr(row, "number", None),
        run_id=getattr(row, "run_id", None),
        title=_title(row),
        account=str(getattr(row, "account", None) or getattr(row, "author_login", "")),
        at=row.at,
        value=None if row.value is None else float(row.value),
        flags=tuple(flag for name, flag in FLAGS[model].items() if getattr(row, name)),
        issue_number=getattr(row, "issue_number", None),
        pull_request_id=getattr(row, "pull_request_id", None),
        deployment_id=getattr(row, "deployment_id", None),
        reported_sha=row.sha if getattr(row, "source", "") == Kind.REPORTS and hasattr(row, "sha") else "",
    )


def _title(row: Any) -> str:
    names = ("title", "environment", "workflow")
    return next((str(title) for name in names if (title := getattr(row, name, None))), "")


def _name(row: Any) -> str:
    if isinstance(row, DerivedDeployment) and row.source == Kind.REPORTS:
        return row.group_key.removeprefix(PREFIX)
    if isinstance(row, DerivedIncident):
        return str(row.issue_number or row.name.removeprefix(PREFIX))
    return str(getattr(row, NAMED_BY.get(type(row), "number")))


def github_url(entity: Entity) -> str:
    """Return the entity's URL on GitHub; empty if the repository's name is unknown, or there is no page of it.

    GitHub has no page for one deployment: it is the page of the workflow run that deployed, else of the environment,
    at the address that GitHub itself gives as its `html_url`; of a reported one, that of its commit.
    """
    if not entity.repository or (entity.kind == "incident" and entity.issue_number is None):
        return ""
    return f"{settings.GITHUB_URL}/{quote(entity.repository)}/{_page(entity)}"


def _page(entity: Entity) -> str:
    match entity.kind:
        case "pull_request" | "review_request":
            return f"pull/{entity.number}"
        case "review":
            return f"pull/{entity.number}#pullrequestreview-{entity.name}"
        case "incident":
            return f"issues/{entity.issue_number}"
        case "commit":
            return f"commit/{quote(entity.name)}"
        case "workflow_run":
            return f"actions/runs/{entity.name}"
        case _:
            return _page_of_deployment(entity)


def _page_of_deployment(entity: Entity) -> str:
    if entity.reported_sha:
        return f"commit/{quote(entity.reported_sha)}"
    if entity.run_id:
        return f"actions/runs/{entity.run_id}"
    return f"deployments/activity_log?environments_filter={quote(entity.title, safe='')}"
