"""Goals: whether a figure of a team was what the team wants, week by week."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from apps.metrics.figures import FIGURES, Asked, FigureQuery, FigureReading, Granularity, Window
from apps.metrics.figures.figure_reader import read_together
from apps.metrics.figures.figure_result import Point
from apps.metrics.figures.windows import DAY, WEEK
from apps.metrics.models import Goal
from apps.teams.models import Team

MOST_WEEKS = 53
MOST_GOALS = 50


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


class TooManyGoalsError(Exception):
    """The team has as many goals as it may have."""


def read_progress(team: Team, goals: Iterable[Goal], *, now: datetime | None = None) -> dict[int, Progress]:
    """Return the progress of goals of the team by their ids, of the last 53 weeks; one statement computes all figures.

    The weeks are those from Monday, in the team's time zone, that lie in the goal's period. A goal that has not begun,
    or whose figure is no longer defined, has none.
    """
    as_of = now or datetime.now(UTC)
    today = Window.last(1, time_zone=team.time_zone, now=as_of)
    return read_progress_together([(FigureQuery(team=team, window=today, as_of=as_of), list(goals))])


def read_progress_together(
    asked: Sequence[tuple[FigureQuery, Sequence[Goal]]], *, weeks: int | None = None
) -> dict[int, Progress]:
    """Return the progress of goals of several teams, each with a query of the team without filters."""
    begun = [(query, own) for query, goals in asked if (own := [one for one in goals if has_begun(one, query=query)])]
    found: dict[int, Progress] = {goal.pk: Progress() for _, goals in asked for goal in goals}
    if not begun:
        return found
    keys = list(dict.fromkeys(goal.figure for _, goals in begun for goal in goals))
    questions = [
        (over_weeks(query, goals, weeks=weeks or MOST_WEEKS), Asked(granularity=Granularity.WEEK))
        for query, goals in begun
    ]
    for (_, goals), readings in zip(begun, read_together(questions, keys=keys), strict=True):
        by_figure = {one.figure: one for one in readings}
        found |= {goal.pk: progress_of(goal, by_figure[goal.figure]) for goal in goals}
    return found


def has_begun(goal: Goal, *, query: FigureQuery) -> bool:
    """Return whether the goal has weeks to measure."""
    return goal.figure in FIGURES and goal.from_day < _today(query).end


def _today(query: FigureQuery) -> Window:
    return Window.last(1, time_zone=query.team.time_zone, now=query.as_of)


def over_weeks(query: FigureQuery, goals: Sequence[Goal], *, weeks: int) -> FigureQuery:
    """Return the query of the weeks in which the goals hold, up to now."""
    today = _today(query)
    earliest = max(min(goal.from_day for goal in goals), today.start - WEEK * (weeks - 1))
    window = Window(start=_monday(earliest), end=today.end, time_zone=query.team.time_zone)
    return query.until(window, query.as_of)


def current_goals(team: Team) -> QuerySet[Goal]:
    """Return the goals of the team that have no end yet."""
    return Goal.objects.filter(team=team, until_day__isnull=True).order_by("from_day", "pk")


def set_goal(team: Team, *, figure: str, direction: str, target: float) -> Goal:
    """Return the new goal of a figure, which replaces the ones without an end from this week on."""
    monday = _monday(Window.last(1, time_zone=team.time_zone).start)
    with transaction.atomic():
        Team.objects.select_for_update(no_key=True).get(pk=team.pk)  # two at once would each leave an open goal
        end_goals(team, figure=figure)
        if team.goals.count() >= MOST_GOALS:
            raise TooManyGoalsError(
                f"A team has at most {MOST_GOALS} goals, including ended ones. Delete an old one with the API first."
            )
        goal = Goal(team=team, figure=figure, direction=direction, target=target, from_day=monday)
        goal.full_clean()
        goal.save()
    return goal


def end_goals(team: Team, *, figure: str) -> None:
    """End the goals of a figure with last week; those that began this week are deleted."""
    monday = _monday(Window.last(1, time_zone=team.time_zone).start)
    own = current_goals(team).filter(figure=figure)
    with transaction.atomic():
        own.filter(from_day__gte=monday).delete()
        own.update(until_day=monday)


def progress_of(goal: Goal, reading: FigureReading) -> Progress:
    """Return the progress of a goal by the series of its figure over the weeks."""
    weeks = tuple(_weeks(goal, reading.series or ()))
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
