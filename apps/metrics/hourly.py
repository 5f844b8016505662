"""Each team's figures as they stood, hour by hour: what was shown then, whatever is learned of that time later."""

from datetime import timedelta
from typing import Any

from django.db.models import Exists, OuterRef
from django.db.models.functions import Now, TruncDay

from apps.metrics.figures import FigureQuery
from apps.metrics.figures.document import as_document
from apps.metrics.models import HourlyFigures

EVERY_HOUR_FOR = timedelta(days=35)
"""For comparing a month hour by hour; of earlier days the last row is enough."""


def keep_figures(query: FigureQuery) -> dict[str, Any]:
    """Compute the team's figures, keep them for the hour, and return the document that the API would show."""
    document = as_document(query)
    figures = {figure["figure"]: {"value": figure["value"], "n": figure["n"]} for figure in document["figures"]}
    HourlyFigures.objects.update_or_create(
        team=query.team,
        hour=query.as_of.replace(minute=0, second=0, microsecond=0),
        defaults={
            "computed_at": query.as_of,
            "complete_until": document["complete_until"],
            "figures": figures,
        },
    )
    return document


def thin_out() -> int:
    """Leave the last row of each day (UTC) of those older than 35 days; how many were deleted."""
    day = TruncDay("hour")
    later = HourlyFigures.objects.alias(day=day).filter(
        team=OuterRef("team"), day=OuterRef("day"), hour__gt=OuterRef("hour")
    )
    old = HourlyFigures.objects.filter(hour__lt=Now() - EVERY_HOUR_FOR).alias(day=day)
    return old.filter(Exists(later)).delete()[0]
