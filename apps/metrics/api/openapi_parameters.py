"""Filters of pull requests, and the parameters of figures."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from apps.activity.models import PullRequest
from apps.common.api import InstantFilter, TruthFilter
from apps.common.db import is_id
from apps.metrics.figures import AI, FIGURES, Attribution, Granularity, Hours
from apps.metrics.figures.dimensions import DIMENSIONS
from apps.metrics.figures.entities import ORDERINGS
from apps.metrics.figures.registry import VARIANTS
from apps.teams.models import Team
from apps.teams.visibility import repositories_of

STATES = (("open", "open"), ("merged", "merged"), ("closed", "closed, not merged"))


class PullRequestFilter(django_filters.FilterSet):  # type: ignore[misc]  # it comes without types
    """Filters by team, repository, author, state and time."""

    team = django_filters.CharFilter(method="of_team", help_text="Slug: only repositories of the team.")
    repository = django_filters.CharFilter(method="in_repository", help_text="GitHub's id, or a name like acme/api.")
    number = django_filters.NumberFilter()
    state = django_filters.ChoiceFilter(choices=STATES, method="in_state")
    author = django_filters.CharFilter(field_name="author__login", lookup_expr="iexact", help_text="Login.")
    is_draft = TruthFilter()
    label = django_filters.CharFilter(field_name="labels", lookup_expr="contains", method="with_label")
    search = django_filters.CharFilter(field_name="title", lookup_expr="icontains", help_text="Part of the title.")
    created_after = InstantFilter(field_name="created_at", lookup_expr="gte")
    created_before = InstantFilter(field_name="created_at", lookup_expr="lt")
    merged_after = InstantFilter(field_name="merged_at", lookup_expr="gte")
    merged_before = InstantFilter(field_name="merged_at", lookup_expr="lt")
    ordering = django_filters.OrderingFilter(
        fields=("updated_at", "created_at", "merged_at", "number"), help_text="Prefix with - for descending."
    )

    class Meta:
        model = PullRequest
        fields = ("team", "repository", "number", "state", "author", "is_draft", "label", "search")

    def of_team(self, rows: QuerySet[PullRequest], name: str, slug: str) -> QuerySet[PullRequest]:
        """Return the pull requests of the team; none if the user may not see it or it does not exist."""
        teams: Any = Team.objects.visible_to(self.request.user).filter(slug=slug)
        return rows.filter(repository__in=repositories_of(Team.objects.filter(pk__in=teams.values("pk"))))

    def in_repository(self, rows: QuerySet[PullRequest], name: str, value: str) -> QuerySet[PullRequest]:
        if is_id(value):
            return rows.filter(repository=int(value))
        return rows.filter(repository__full_name__iexact=value)

    def in_state(self, rows: QuerySet[PullRequest], name: str, value: str) -> QuerySet[PullRequest]:
        if value == "merged":
            return rows.filter(merged_at__isnull=False)
        return rows.filter(state=value, merged_at__isnull=True)

    def with_label(self, rows: QuerySet[PullRequest], name: str, value: str) -> QuerySet[PullRequest]:
        return rows.filter(labels__contains=[value])


QUERY = [
    OpenApiParameter("window", str, description="The last days, including today: `7d`, `30d` (default), `90d`, …"),
    OpenApiParameter("from", OpenApiTypes.DATE, description="Instead of `window`: the first day, in the team's zone."),
    OpenApiParameter("to", OpenApiTypes.DATE, description="With `from`: the day after the last one."),
    OpenApiParameter("bots", str, enum=["exclude", "include", "only"], description="Whether the work of bots counts."),
    OpenApiParameter(
        "agents",
        str,
        enum=["exclude", "include", "only"],
        description="Whether pull requests of agents count, for the person they are attributed to; default: as `bots`.",
    ),
    OpenApiParameter(
        "ai",
        str,
        enum=list(AI),
        description="Only pull requests with this evidence of AI tools, as far as it is known now; `none`: without.",
    ),
    OpenApiParameter(
        "repository", str, many=True, description="GitHub's id or the full name; repeat the parameter for several."
    ),
    OpenApiParameter(
        "author", str, description="Login: only the work of this account; your own, or as an admin of the team any."
    ),
    OpenApiParameter(
        "label", str, many=True, description="Only pull requests that have the label now; repeated, all of them."
    ),
    OpenApiParameter(
        "hours",
        str,
        enum=list(Hours),
        description="Whether durations count all time or the team's working time.",
    ),
    OpenApiParameter(
        "service",
        str,
        many=True,
        description="Only deployments of the service, by the name of its group (`group_by=service`); repeated, of any.",
    ),
    OpenApiParameter(
        "attribution",
        str,
        enum=list(Attribution),
        description="Whose work counts: of those who were in the team at the time (default), or who are in it now.",
    ),
    OpenApiParameter("variant", str, enum=list(VARIANTS), description="Another definition of figures that have it."),
    OpenApiParameter(
        "as_of", OpenApiTypes.DATETIME, description="Compute as of this time, with time zone; default: now."
    ),
]
"""Which rows count: figures and the lists behind them have the same."""
READING = [
    OpenApiParameter(
        "granularity", str, enum=list(Granularity), description="Also return a series of days, weeks or months."
    ),
    OpenApiParameter(
        "group_by", str, enum=list(DIMENSIONS), description="Also return the figure by group; by author for admins."
    ),
    OpenApiParameter("quantiles", str, description="Also return these quantiles of distributions, like `0.5,0.9`."),
    OpenApiParameter(
        "compare",
        str,
        description="Also return the previous period (`previous`) or another (`2026-01-05..2026-01-12`), for as long "
        "as this one has lasted.",
    ),
    OpenApiParameter("previous", bool, description="The same as `compare=previous`."),
]
LISTING = [
    OpenApiParameter(
        "ordering", str, enum=list(ORDERINGS), description="By time, value, repository or account; - for descending."
    ),
    OpenApiParameter("search", str, description="Only what has this in its title, or this number."),
    OpenApiParameter("least", float, description="Only values of at least this, in the figure's unit."),
    OpenApiParameter("below", float, description="Only values of less than this."),
    OpenApiParameter("excluded", str, description="Instead of what counts: what is left out for this reason."),
]
DETAIL = OpenApiParameter("detail", bool, description="Also histograms and what is left out, as for a single figure.")
FIGURE = OpenApiParameter("figure", str, many=True, enum=list(FIGURES), description="Only these figures; default: all.")
KEY = OpenApiParameter("key", str, OpenApiParameter.PATH, enum=list(FIGURES), description="The key of the figure.")
FORMAT = OpenApiParameter("format", str, enum=["json", "csv"], description="CSV has the whole list, JSON a page.")


def names(*parameters: OpenApiParameter) -> tuple[str, ...]:
    """Return the names of the parameters."""
    return tuple(parameter.name for parameter in parameters)
