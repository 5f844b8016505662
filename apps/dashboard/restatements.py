"""The page of what changed since a day: figures as they were shown then, and the same period now."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_safe

from apps.metrics.figures import FigureQuery, Window
from apps.metrics.figures.formatting import as_words, unit_beside
from apps.metrics.hourly_figures import DAYS, LATE_DATA, RestatedHour, Restatement
from apps.metrics.models import HourlyFigures
from apps.teams.models import Team

MARGIN = timedelta(days=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRestatement:
    """A figure that is no longer what was shown, in words."""

    restatement: Restatement
    then: str
    now: str
    reason: str


@require_safe
@login_required
def changes(request: HttpRequest, slug: str) -> HttpResponse:
    """Show which figures of a team are no longer what was shown on a day, by default last Monday."""
    team = get_object_or_404(Team.objects.visible_to(request.user), slug=slug)
    today = timezone.now().astimezone(ZoneInfo(team.time_zone)).date()
    asked = request.GET.get("since", "")
    day = day_of(asked) or last_monday(today)
    kept = shown_on(team, day)
    base = FigureQuery(team=team, window=Window.last(DAYS, time_zone=team.time_zone))
    hour = RestatedHour(kept, base) if kept else None
    context: dict[str, Any] = {
        "team": team,
        "day": day,
        "is_unreadable": bool(asked) and day_of(asked) is None,
        "hour": hour,
        "restated": [shown(each) for each in hour.restatements] if hour else (),
        "count": len(kept.figures) if kept else 0,
        "days": DAYS,
    }
    return render(request, "dashboard/changes.html", context)


def day_of(text: str) -> date | None:
    """Return the day of an ISO date; None for anything else, and for the ends of the calendar."""
    try:
        day = parse_date(text)
    except ValueError:
        return None
    # A day has a next one, and its first moment is one in every time zone.
    return day if day and date.min + MARGIN < day < date.max - MARGIN else None


def last_monday(today: date) -> date:
    """Return the latest Monday before today."""
    return today - timedelta(days=today.weekday() or 7)


def shown_on(team: Team, day: date) -> HourlyFigures | None:
    """Return the last figures that were shown on a local day, else the first ones after it."""
    zone = ZoneInfo(team.time_zone)
    start = datetime.combine(day, time.min, tzinfo=zone)
    end = datetime.combine(day + timedelta(days=1), time.min, tzinfo=zone)
    rows = HourlyFigures.objects.filter(team=team)
    found = rows.filter(hour__gte=start, hour__lt=end).order_by("-hour").first()
    found = found or rows.filter(hour__gte=end).order_by("hour").first()
    if found is not None:
        found.last_source = None  # the page names no sources, which take two queries for each kind of rows
    return found


def shown(restatement: Restatement) -> ShownRestatement:
    is_late = restatement.cause == LATE_DATA
    return ShownRestatement(
        restatement=restatement,
        then=in_words(restatement.then.value, unit=restatement.figure.unit),
        now=in_words(restatement.now.value, unit=restatement.figure.unit),
        reason="Late or corrected data, or changed rules" if is_late else "Later activity",
    )


def in_words(value: float | None, *, unit: str) -> str:
    words = as_words(value, unit=unit)
    return words if value is None else f"{words} {unit_beside(unit, value=value)}".rstrip()
