"""The figures of rework: what was merged to undo or repair something, and what was undone."""

from typing import Any

from django.db.models import Case, F, FloatField, Subquery, When

from apps.metrics.completeness.streams import PULL_REQUESTS
from apps.metrics.figures.figure import BY_AUTHOR, NO_VALUE, Figure, Measure
from apps.metrics.figures.figure_query import FigureQuery
from apps.metrics.figures.populations import Population, has, rows_merged
from apps.metrics.figures.sql_expressions import IsAmong, Pair
from apps.metrics.models import DerivedPullRequest

REVERTS = "A pull request reverts another one of its repository that its description, title or branch names."


def is_revert(_: FigureQuery) -> Any:
    return Case(When(reverts_number__isnull=False, then=1.0), default=0.0, output_field=FloatField())


def was_reverted(query: FigureQuery) -> Any:
    """Return 1 if a pull request that reverts it was merged by then."""
    reverts = DerivedPullRequest.objects.filter(
        query.is_in_repositories(), reverts_number__isnull=False, merged_at__lt=query.as_of
    )
    reverted = Subquery(reverts.values("repository_id", "reverts_number"))
    is_one = IsAmong(Pair(F("repository_id"), F("number")), reverted)
    return Case(When(is_one, then=1.0), default=0.0, output_field=FloatField())


def _share(key: str, title: str, definition: str, rule: str, value: Any) -> Figure:
    return Figure(
        key=key,
        title=title,
        unit="share",
        measure=Measure.SHARE,
        definition=definition,
        rules=(BY_AUTHOR, rule, NO_VALUE),
        population=Population(rows=rows_merged, value=value),
        streams=(PULL_REQUESTS,),
    )


DEFINED = (
    _share(
        "revert_rate",
        "Reverts",
        "Share of the pull requests merged in the period that revert another one.",
        REVERTS,
        is_revert,
    ),
    _share(
        "reverted_rate",
        "Reverted",
        "Share of the pull requests merged in the period that another pull request has reverted since.",
        f"{REVERTS} The revert counts once it is merged.",
        was_reverted,
    ),
    _share(
        "hotfix_rate",
        "Hotfixes",
        "Share of the pull requests merged in the period that are hotfixes.",
        "A hotfix has a branch that begins with hotfix, the label hotfix, or what a rule names.",
        has("is_hotfix"),
    ),
)
