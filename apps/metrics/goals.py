"""Goals: whether a figure of a team was what the team wants, week by week."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from apps.metrics.figures import FIGURES, Asked, FigureQuery, FigureReading, Granularity, Window, read_figures
from apps.metrics.figures.readings import Point
from apps.metrics.figures.windows import DAY, WEEK
from apps.metrics.models import Goal
from apps.teams.models import Team

MOST_WEEKS = 53


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalWeek:
    """A figure in one week of its goal; `is_met` is None without a value, or if not everything of it is stored."""

    start: date
    end: date
    n: int
    value: float | None
    partial: bool
    complete: bool | None
    is_met: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The weeks of a goal, the current one last. `value` and `is_met` are those of the last one that has ended."""

    value: float | None = None
    is_met: bool | None = None
    weeks: tuple[GoalWeek, ...] = ()


def read_progress(team: Team, goals: Iterable[Goal], *, now: datetime | None = None) -> dict[int, Progress]:
    """Return the progress of goals of the team by their ids, of the last 53 weeks; one statement computes all figures.

    The weeks are those from Monday, in the team's time zone, that lie in the goal's period. A goal that has not begun,
    or whose figure is no longer defined, has none.
    """
    goals = list(goals)
    as_of = now or datetime.now(UTC)
    today = Window.last(1, time_zone=team.time_zone, now=as_of)
    begun = [goal for goal in goals if goal.figure in FIGURES and goal.from_day < today.end]
    if not begun:
        return {goal.pk: Progress() for goal in goals}
    earliest = max(min(goal.from_day for goal in begun), today.start - WEEK * (MOST_WEEKS - 1))
    window = Window(start=_monday(earliest), end=today.end, time_zone=team.time_zone)
    query = FigureQuery(team=team, window=window, as_of=as_of)
    keys = list(dict.fromkeys(goal.figure for goal in begun))
    readings = {one.figure: one for one in read_figures(query, keys=keys, asked=Asked(granularity=Granularity.WEEK))}
    return {goal.pk: _progress(goal, readings.get(goal.figure)) for goal in goals}


def _progress(goal: Goal, reading: FigureReading | None) -> Progress:
    points = (reading.series if reading else None) or ()
    weeks = tuple(_weeks(goal, points))
    ended = [week for week in weeks if not week.partial]
    if not ended:
        return Progress(weeks=weeks)
    return Progress(value=ended[-1].value, is_met=ended[-1].is_met, weeks=weeks)


def _weeks(goal: Goal, points: Iterable[Point]) -> Iterator[GoalWeek]:
    for point in points:
        has_ended = goal.until_day is not None and goal.until_day - point.start < timedelta(weeks=1)
        if point.start < goal.from_day or has_ended:
            continue
        yield GoalWeek(
            start=point.start,
            end=point.end,
            n=point.n,
            value=point.value,
            partial=point.partial,
            complete=point.complete,
            is_met=None if point.complete is False and not point.partial else is_met(goal, point.value),
        )


def is_met(goal: Goal, value: float | None) -> bool | None:
    """Return whether the value is as good as the target or better; None without a value."""
    if value is None:
        return None
    return value <= goal.target if goal.direction == Goal.Direction.AT_MOST else value >= goal.target


def _monday(day: date) -> date:
    return day - DAY * day.weekday()
