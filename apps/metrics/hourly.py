"""Hourly figures of teams: what was shown then, whatever is learned later."""

from datetime import timedelta
from typing import Any

from django.db.models import Exists, OuterRef
from django.db.models.functions import Now, TruncDay

from apps.metrics.figures import FigureQuery
from apps.metrics.figures.document import as_document
from apps.metrics.models import HourlyFigures

EVERY_HOUR_FOR = timedelta(days=35)
"""Rows of every hour are stored for this long; of earlier days only the last row."""


def keep_figures(query: FigureQuery) -> dict[str, Any]:
    """Compute the team's figures, store them for the hour, and return the JSON document."""
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
    """Delete all but the last row of each day (UTC) that is more than 35 days ago; return how many."""
    # Both ends are compared with the column itself, so that the index of team and hour finds a day's rows alone.
    later_that_day = HourlyFigures.objects.filter(
        team=OuterRef("team"), hour__gt=OuterRef("hour"), hour__lt=OuterRef("day") + timedelta(days=1)
    )
    old = HourlyFigures.objects.filter(hour__lt=Now() - EVERY_HOUR_FOR).alias(day=TruncDay("hour"))
    return old.filter(Exists(later_that_day)).delete()[0]
