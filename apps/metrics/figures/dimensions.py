"""Dimensions: what rows can be filtered and grouped by, as far as their table has it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import Case, Exists, F, Model, OuterRef, Q, QuerySet, Subquery, TextField, Value, When
from django.db.models.functions import Cast, Coalesce, Collate, Concat, NullIf

from apps.activity.models import Contributor, PullRequest, Repository
from apps.metrics.figures.figure_query import AGENT, BOT, HUMAN, FigureQuery
from apps.metrics.figures.filter_values import AI
from apps.metrics.figures.sql_expressions import IsAnyOf, Present
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

Table = type[Model]
Names = Callable[[list[str]], Mapping[str, str]]

ACCOUNTS: Mapping[Table, tuple[str, str]] = {
    DerivedPullRequest: ("author", "is_bot_author"),
    DerivedClosing: ("author", "is_bot_author"),
    DerivedReview: ("reviewer", "is_by_bot"),
    DerivedReviewRequest: ("reviewer", "is_bot_reviewer"),
    DerivedCommit: ("author", "is_by_bot"),
    DerivedShipment: ("author", "is_bot_author"),
    DerivedWorkflowRun: ("actor", "is_by_bot"),
}
"""The field of the account that a row is attributed to, and the one that says whether it is a bot."""
OF_SERVICES: tuple[Table, ...] = (DerivedDeployment, DerivedShipment, DerivedRemediation, DerivedIncident)
TABLES: tuple[Table, ...] = tuple(dict.fromkeys((*ACCOUNTS, *OF_SERVICES)))
OF_REPOSITORY = "repository:"
OF_PULL_REQUESTS: tuple[Table, ...] = (
    *(DerivedPullRequest, DerivedClosing, DerivedReview, DerivedReviewRequest, DerivedShipment),
)
OF_AUTHORS: tuple[Table, ...] = (DerivedPullRequest, DerivedClosing, DerivedShipment)
"""The tables that distinguish agents from other bots, and have the person to whom such a row is attributed."""
EVIDENCE: Mapping[AI, Q] = {
    AI.AUTHORED: Q(author_class=AGENT),
    AI.ASSISTED: Q(is_ai_assisted=True),
    AI.REVIEWED: Q(is_ai_reviewed=True),
}
"""The condition of each kind of evidence."""


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """A dimension: the expression by which rows of each table are grouped, as text, and the names of its groups."""

    name: str
    expressions: Mapping[Table, Any]
    names: Names = lambda keys: {key: key for key in keys}
    has_many: bool = False
    """A row may be in several groups: the expression is an array."""


def text_of(field: str) -> Cast:
    return Cast(F(field), TextField())


def account_of(table: Table) -> Any:
    """Return the account of a row as text; of a commit whose author is no contributor, the login that it names."""
    by_id = text_of(f"{ACCOUNTS[table][0]}_id")
    if table in OF_AUTHORS:
        return Coalesce(text_of("attributed_to_id"), by_id)
    if table is not DerivedCommit:
        return by_id
    return Coalesce(by_id, NullIf(F("author_login"), Value("", output_field=TextField())))


def distinct_account_of(table: Table) -> Any:
    """Return what distinguishes the accounts of rows: their numbers, which cost less to compare than texts."""
    if table is DerivedCommit:
        return Collate(account_of(table), "C")  # in any order
    by_id = F(f"{ACCOUNTS[table][0]}_id")
    return Coalesce(F("attributed_to_id"), by_id) if table in OF_AUTHORS else by_id


def class_of(table: Table) -> Any:
    """Return the class of the account; reviews and commits do not distinguish agents from other bots."""
    if table in OF_AUTHORS:
        return F("author_class")
    is_bot = Q(**{ACCOUNTS[table][1]: True})
    return Case(When(is_bot, then=Value(BOT)), default=Value(HUMAN), output_field=TextField())


def evidence_of(table: Table) -> Any:
    """Return the kinds of evidence about the pull request of a row."""
    kinds = Present(*(Case(When(condition, then=Value(kind)), default=None) for kind, condition in EVIDENCE.items()))
    if table is DerivedPullRequest:
        return kinds
    return Subquery(_derived_pull_request().annotate(kinds=kinds).values("kinds")[:1])


def _derived_pull_request() -> QuerySet[DerivedPullRequest]:
    return DerivedPullRequest.objects.filter(repository_id=OuterRef("repository_id"), number=OuterRef("number"))


def pull_request_of_row() -> QuerySet[PullRequest]:
    """Return the pull request that an outer row names by repository and number."""
    return PullRequest.objects.filter(repository_id=OuterRef("repository_id"), number=OuterRef("number"))


def labels_of_pull_request() -> Subquery:
    return Subquery(pull_request_of_row().values("labels")[:1], output_field=ArrayField(TextField()))


def service_of_deployment() -> Coalesce:
    """Return the service of a deployment; that of a repository, which has no name of its own, by the repository."""
    own = NullIf(F("service"), Value("", output_field=TextField()))
    return Coalesce(own, Concat(Value(OF_REPOSITORY), text_of("repository_id"), output_field=TextField()))


def name_services(keys: list[str]) -> Mapping[str, str]:
    of_repositories = {key: key.removeprefix(OF_REPOSITORY) for key in keys if key.startswith(OF_REPOSITORY)}
    names = name_repositories(list(of_repositories.values()))
    return {key: names[repository] for key, repository in of_repositories.items() if repository in names}


def name_repositories(keys: list[str]) -> Mapping[str, str]:
    rows = Repository.objects.filter(pk__in=[int(key) for key in keys]).values_list("pk", "full_name")
    return {str(pk): name for pk, name in rows if name}


def workflow_of_run() -> Concat:
    """Return a repository and the name of a workflow in it: many repositories have one of the same name."""
    return Concat(text_of("repository_id"), Value(" "), F("workflow"), output_field=TextField())


def name_workflows(keys: list[str]) -> Mapping[str, str]:
    parts = {key: key.partition(" ") for key in keys}
    names = name_repositories(list({repository for repository, _, _ in parts.values()}))
    return {key: f"{names.get(repository, repository)}: {name}" for key, (repository, _, name) in parts.items()}


def name_accounts(keys: list[str]) -> Mapping[str, str]:
    rows = Contributor.objects.filter(pk__in=[int(key) for key in keys if key.isdecimal()]).values_list("pk", "login")
    return {str(pk): login for pk, login in rows if login}


DIMENSIONS: Mapping[str, Dimension] = {
    one.name: one
    for one in (
        Dimension(
            name="repository",
            expressions={table: text_of("repository_id") for table in TABLES},
            names=name_repositories,
        ),
        Dimension(
            name="service",
            expressions={table: service_of_deployment() for table in OF_SERVICES},
            names=name_services,
        ),
        Dimension(name="author", expressions={table: account_of(table) for table in ACCOUNTS}, names=name_accounts),
        Dimension(name="class", expressions={table: class_of(table) for table in ACCOUNTS}),
        Dimension(
            name="label",
            expressions={table: labels_of_pull_request() for table in OF_PULL_REQUESTS},
            has_many=True,
        ),
        Dimension(
            name="ai",
            expressions={table: evidence_of(table) for table in OF_PULL_REQUESTS},
            has_many=True,
        ),
        Dimension(name="workflow", expressions={DerivedWorkflowRun: workflow_of_run()}, names=name_workflows),
    )
}


def dimensions_of(table: Table) -> tuple[str, ...]:
    """Return the names of the dimensions that the rows of a table have."""
    return tuple(name for name, dimension in DIMENSIONS.items() if table in dimension.expressions)


def filters_of(query: FigureQuery) -> tuple[str, ...]:
    """Return the dimensions that the query filters by; only figures that have them can be read."""
    chosen = {
        "author": query.author is not None,
        "label": bool(query.labels),
        "ai": query.ai is not None,
        "service": bool(query.services),
    }
    return tuple(name for name, is_chosen in chosen.items() if is_chosen)


def narrowed(rows: QuerySet[Any], *, query: FigureQuery) -> QuerySet[Any]:
    """Return the rows of the query's author, labels, evidence and services."""
    if query.author is not None:
        rows = rows.filter(_is_by(query, table=rows.model))
    if query.labels:
        rows = rows.filter(Exists(pull_request_of_row().filter(labels__contains=query.given("labels"))))
    if query.services:
        rows = rows.filter(IsAnyOf(service_of_deployment(), query.given("services")))
    if query.ai is not None:
        has = _has_evidence(query.ai)
        rows = rows.filter(has if rows.model is DerivedPullRequest else Exists(_derived_pull_request().filter(has)))
    return rows


def _has_evidence(ai: AI) -> Q:
    if ai in EVIDENCE:
        return EVIDENCE[ai]
    has_any = EVIDENCE[AI.AUTHORED] | EVIDENCE[AI.ASSISTED] | EVIDENCE[AI.REVIEWED]
    return has_any if ai is AI.ANY else ~has_any


def _is_by(query: FigureQuery, *, table: Table) -> Q:
    author = query.author
    if author is None:
        return Q()
    condition = Q(**{f"{ACCOUNTS[table][0]}_id": author.contributor_id}) if author.contributor_id else Q(pk=None)
    if table is DerivedCommit:
        condition |= Q(author_id__isnull=True, author_login__iexact=author.login)
    if table in OF_AUTHORS and author.contributor_id:
        condition |= Q(attributed_to_id=author.contributor_id)
    return condition
