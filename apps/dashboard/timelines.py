"""Drawing of a pull request's life to scale: stages as bands, and below them what happened, in lanes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.formats import date_format

from apps.metrics.explanation.life import Life, Moment
from apps.metrics.figures.formatting import duration

WIDTH, LEFT, RIGHT = 960.0, 84.0, 16.0
BAND_TOP, BAND_HEIGHT, NAME_TOP = 26.0, 24.0, 62.0
LANE_TOP, LANE_HEIGHT = 78.0, 30.0
EDGE = 40.0
"""How near to an end the name of an instant would leave the drawing."""
LEAST_WIDTH, LABEL_WIDTH = 2.0, 58.0
MOST_TICKS = 8
STEPS = (
    *(timedelta(minutes=minutes) for minutes in (1, 5, 10, 30)),
    *(timedelta(hours=hours) for hours in (1, 3, 6, 12)),
    *(timedelta(days=days) for days in (1, 2, 7, 14, 28, 91, 182, 364)),
)
AUTHOR, REVIEW, CHECKS, STATE = "Author", "Review", "Checks", "State"
LANES = (AUTHOR, REVIEW, CHECKS, STATE)
LANE_OF: Mapping[str, str] = {
    **dict.fromkeys(("first_commit", "head_moved", "force_pushed", "base_changed"), AUTHOR),
    **dict.fromkeys(("approved", "changes_requested", "commented", "reviewed"), REVIEW),
    **dict.fromkeys(("review_requested", "review_request_removed", "review_dismissed"), REVIEW),
}
SHAPES: Mapping[str, str] = {
    **dict.fromkeys(("first_commit", "head_moved", "force_pushed", "commented", "reviewed"), "circle"),
    **dict.fromkeys(("approved", "merged", "deployed_to_production"), "filled"),
    "changes_requested": "cross",
}
WORDS: Mapping[str, str] = {
    "first_commit": "First commit",
    "opened": "Opened",
    "opened_as_draft": "Opened as a draft",
    "ready_for_review": "Ready for review",
    "converted_to_draft": "Back to draft",
    "head_moved": "Pushed",
    "force_pushed": "Force-pushed",
    "base_changed": "Base branch changed",
    "review_requested": "Review requested",
    "review_request_removed": "Review request withdrawn",
    "review_dismissed": "Review dismissed",
    "approved": "Approved",
    "changes_requested": "Changes requested",
    "commented": "Reviewed with comments",
    "reviewed": "Reviewed",
    "enqueued": "Into the merge queue",
    "dequeued": "Out of the merge queue",
    "auto_merge_enabled": "Auto-merge on",
    "auto_merge_disabled": "Auto-merge off",
    "closed": "Closed",
    "reopened": "Reopened",
    "merged": "Merged",
    "landed": "On the default branch",
    "deployed": "Deployed",
    "deployed_to_production": "Deployed to production",
}
FAILED = ("failure", "timed_out", "startup_failure")


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A stage, or a bar of a lane."""

    name: str
    x: float
    y: float
    width: float
    height: float
    words: str

    @property
    def has_label(self) -> bool:
        return self.width >= LABEL_WIDTH

    @property
    def middle(self) -> float:
        return round(self.x + self.width / 2, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happened, in its lane."""

    kind: str
    shape: str
    x: float
    y: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """An instant that is named on the axis."""

    x: float
    words: str

    @property
    def anchor(self) -> str:
        return "end" if self.x > WIDTH - RIGHT - EDGE else "middle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The drawing: everything has its place, in the units of the drawing."""

    start_at: datetime
    end_at: datetime
    lanes: tuple[tuple[str, float], ...]
    stages: tuple[Band, ...]
    bars: tuple[Band, ...]
    marks: tuple[Mark, ...]
    ticks: tuple[Tick, ...]
    width: float = WIDTH
    left: float = LEFT

    @property
    def height(self) -> float:
        return LANE_TOP + LANE_HEIGHT * len(self.lanes)

    @property
    def right(self) -> float:
        return self.width - RIGHT

    @property
    def names_y(self) -> float:
        """Return the height of the stages' names, below their bands."""
        return NAME_TOP


def timeline_of(life: Life) -> Timeline | None:
    """Return the drawing; None while nothing is known that could be drawn."""
    instants = [each.at for each in life.moments] + [at for each in life.stages for at in (each.start_at, each.end_at)]
    if not instants:
        return None
    scale = Scale(min(instants), max(instants))
    names = _lanes(life)
    places = {name: round(LANE_TOP + LANE_HEIGHT * (place + 0.5), 1) for place, name in enumerate(names)}
    return Timeline(
        start_at=scale.start_at,
        end_at=scale.end_at,
        lanes=tuple(places.items()),
        stages=tuple(_stages(life, scale=scale)),
        bars=tuple(_bars(life, scale=scale, places=places)),
        marks=tuple(_mark(each, scale=scale, places=places) for each in life.moments),
        ticks=tuple(scale.ticks()),
    )


class Scale:
    """The place of instants between the first and the last."""

    def __init__(self, start_at: datetime, end_at: datetime) -> None:
        self.start_at, self.end_at = start_at, max(end_at, start_at + timedelta(minutes=1))

    def place(self, at: datetime) -> float:
        share = (at - self.start_at) / (self.end_at - self.start_at)
        return round(LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT), 1)

    def ticks(self) -> Iterator[Tick]:
        """Yield round instants that are few enough to be read."""
        lasted = self.end_at - self.start_at
        step = next((one for one in STEPS if lasted / one <= MOST_TICKS), lasted / MOST_TICKS)
        midnight = self.start_at.replace(hour=0, minute=0, second=0, microsecond=0)
        at = midnight + step * ((self.start_at - midnight) // step + 1)
        shape = "j M" if step >= timedelta(days=1) else "j M H:i"
        while at <= self.end_at:
            yield Tick(x=self.place(at), words=date_format(at, shape))
            at += step


def _lanes(life: Life) -> list[str]:
    used = {LANE_OF.get(each.kind, STATE) for each in life.moments} | ({CHECKS} if life.runs else set())
    return [name for name in LANES if name in used]


def _stages(life: Life, *, scale: Scale) -> Iterator[Band]:
    for each in life.stages:
        x, end = scale.place(each.start_at), scale.place(each.end_at)
        yield Band(
            name=each.name,
            x=x,
            y=BAND_TOP,
            width=round(max(end - x, 0.0), 1),
            height=BAND_HEIGHT,
            words=f"{each.name.capitalize()}: {duration(each.seconds)}{'' if each.is_over else ' so far'}",
        )


def _bars(life: Life, *, scale: Scale, places: Mapping[str, float]) -> Iterator[Band]:
    """Yield how long reviewers were waited for, it was a draft or in the merge queue, and checks ran."""
    end_at = life.ended_at or life.now
    for request in life.requests:
        until = request.ended_at or end_at
        took = duration((until - request.requested_at).total_seconds())
        words = f"{request.reviewer} was asked to review: {took}{'' if request.ended_at else ', no answer'}"
        yield _bar("waiting", scale, request.requested_at, until, y=places[REVIEW], words=words)
    if life.row:
        for since, to in zip(life.row.draft_starts, life.row.draft_ends, strict=True):
            took = duration(((to or end_at) - since).total_seconds())
            yield _bar("draft", scale, since, to or end_at, y=places[STATE], words=f"Draft: {took}")
        for since, to in zip(life.row.queue_starts or (), life.row.queue_ends or (), strict=True):
            took = duration((to - since).total_seconds())
            yield _bar("queue", scale, since, to, y=places[STATE], words=f"In the merge queue: {took}")
    for run in life.runs:
        started_at = run.started_at or run.created_at
        if started_at is not None:
            failed = run.conclusion in FAILED
            state = (run.conclusion or run.status or "unknown").replace("_", " ")
            words = f"{run.name or 'Checks'}: {state}"
            name = "failed" if failed else "checks"
            until = run.concluded_at or min(scale.end_at, life.now)
            yield _bar(name, scale, started_at, until, y=places[CHECKS], words=words)


def _bar(name: str, scale: Scale, since: datetime, until: datetime, *, y: float, words: str) -> Band:
    x = scale.place(since)
    width = max(round(scale.place(until) - x, 1), LEAST_WIDTH)
    return Band(name=name, x=x, y=y - 4, width=width, height=8, words=words)


def _mark(moment: Moment, *, scale: Scale, places: Mapping[str, float]) -> Mark:
    who = moment.account or (moment.detail if moment.kind.startswith("review_request") else "")
    by = f" by {who}" if moment.account else f" of {who}" if who else ""
    return Mark(
        kind=moment.kind,
        shape=SHAPES.get(moment.kind, "ring"),
        x=scale.place(moment.at),
        y=places[LANE_OF.get(moment.kind, STATE)],
        words=f"{WORDS.get(moment.kind, moment.kind)}{by}, {date_format(moment.at, 'j M Y H:i')} UTC",
    )
