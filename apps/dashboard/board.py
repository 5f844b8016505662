"""What the front page shows of a team: its figures in groups, beside the period before, and what is missing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from apps.activity.models import Change, Installation
from apps.metrics.completeness import Completeness, Reason, Report
from apps.metrics.completeness.descriptions import advice, gap_briefly, gap_in_words, in_words, moment
from apps.metrics.figures import FIGURES, Figure, FigureQuery, FigureReading, read_figures
from apps.metrics.figures.registry import Measure
from apps.metrics.figures.values import completeness_by_figure, completeness_of
from apps.metrics.models import DerivedDeployment
from apps.teams.models import Team
from apps.webhooks.models import Delivery
from apps.webhooks.overview import latest_received_at

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Flow": ("prs_merged", "cycle_time", "pr_size", "prs_opened", "closed_unmerged", "time_in_draft"),
    "Review": ("time_to_first_review", "review_coverage", "reviews"),
    "Delivery": ("deployments", "deployment_frequency", "commits"),
    "Now": ("wip", "age"),
}
OTHERS = "More"
SHOWN_ENVIRONMENTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A figure in the window, and in as many days before."""

    figure: Figure
    now: FigureReading
    before: FigureReading
    doubt: str
    is_before_known: bool = True

    @property
    def has_percentiles(self) -> bool:
        return self.now.p75 is not None

    @property
    def direction(self) -> str:
        """up, down or same; empty where there is nothing to compare."""
        if self.now.value is None or self.before.value is None or not self.is_before_known:
            return ""
        if self.now.value == self.before.value:
            return "same"
        return "up" if self.now.value > self.before.value else "down"

    @property
    def change(self) -> str:
        """How it grew since the period before: shares in points, all else in percents; empty where nothing can be said.

        A sign is never left out.
        """
        if self.now.value is None or self.before.value is None or not self.is_before_known:
            return ""
        if self.figure.measure is Measure.SHARE:
            return f"{(self.now.value - self.before.value) * 100:+.0f} points"
        if not self.before.value:
            return f"{self.now.n - self.before.n:+d}" if self.figure.measure is Measure.COUNT and self.now.n else ""
        return f"{self.now.value / self.before.value - 1:+.0%}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Cards that are read together."""

    title: str
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One team's figures in one window."""

    team: Team
    query: FigureQuery
    groups: tuple[Group, ...]
    hints: tuple[str, ...]
    complete: Completeness
    is_partly_complete: bool
    last_received_at: datetime | None
    is_recalculating: bool

    @property
    def is_empty(self) -> bool:
        """Whether nothing happened in the window, nor in the one before."""
        return not any(card.now.n or card.before.n for card in self.cards)

    @property
    def cards(self) -> Iterator[Card]:
        return (card for group in self.groups for card in group.cards)

    @property
    def standing(self) -> str:
        """fresh, old, partly (of some figures it is not known) or unknown: up to when all is known to be here."""
        return standing_of(self.complete, is_partly=self.is_partly_complete)

    @property
    def completeness(self) -> str:
        """The same in a sentence, with what keeps it from being so."""
        return in_words(self.complete, report=self.query.report, now=datetime.now(UTC))

    @property
    def gaps(self) -> list[tuple[str, str]]:
        """Where something may be missing, and what to do about it."""
        names = self.query.report.names
        return [(gap_in_words(gap, names=names), advice(gap)) for gap in self.complete.gaps]


def board_of(query: FigureQuery) -> Board:
    """Read a team's figures for the page."""
    now = {reading.figure: reading for reading in read_figures(query)}
    earlier = replace(query, window=query.window.previous())
    before = {reading.figure: reading for reading in read_figures(earlier)}
    complete = completeness_by_figure(query)
    doubts = doubts_about(complete, query=query)
    has_before = any(reading.n for reading in before.values())
    cards = {
        key: Card(
            figure=FIGURES[key],
            now=now[key],
            before=before[key],
            doubt=doubts[key],
            is_before_known=was_read(FIGURES[key], earlier=earlier, report=query.report, has_any=has_before),
        )
        for key in FIGURES
    }
    return Board(
        team=query.team,
        query=query,
        groups=tuple(grouped(cards)),
        hints=tuple(hints_for(query, now)),
        complete=completeness_of(query),
        is_partly_complete=any(told.complete_until for told in complete.values()),
        last_received_at=latest_received_at(query.repositories) or last_of_installation(query.team),
        is_recalculating=Change.objects.exists(),
    )


def was_read(figure: Figure, *, earlier: FigureQuery, report: Report, has_any: bool) -> bool:
    """Return whether the period before was read; where that is not provable, whether anything of it is here."""
    start_at, end_at = earlier.window.start_at, earlier.end_at
    found = report.of_team(start_at=start_at, end_at=end_at, streams=figure.streams)
    if found.complete_until is None:
        return has_any
    return not any(gap.reason is Reason.HISTORY for gap in found.gaps)


def standing_of(complete: Completeness, *, is_partly: bool = False) -> str:
    if complete.complete_until is None:
        return "partly" if is_partly else "unknown"
    return "old" if complete.is_stale(now=datetime.now(UTC)) else "fresh"


def doubts_about(complete: Mapping[str, Completeness], *, query: FigureQuery) -> dict[str, str]:
    """What may be wrong with each figure, in few words; empty where nothing is, or the board says it of all of them."""
    names = query.report.names
    standings = {key: standing_of(told) for key, told in complete.items()}
    are_alike = len(set(standings.values())) == 1
    return {key: doubt_about(told, names=names, is_told=are_alike) for key, told in complete.items()}


def doubt_about(told: Completeness, *, names: Mapping[int, str], is_told: bool) -> str:
    """In few words; whether it is complete at all is left out where the board told."""
    if told.complete_until is None:
        return "" if is_told else "Not complete: not everything was read."
    if len(told.gaps) > 1:
        return f"Something may be missing: {len(told.gaps)} gaps."
    if told.gaps:
        return gap_briefly(told.gaps[0], names=names)
    return "" if is_told or standing_of(told) != "old" else f"Complete only until {moment(told.complete_until)}."


def grouped(cards: Mapping[str, Card]) -> Iterator[Group]:
    """Every card once, in the order of the groups; a figure that no group names comes last."""
    named = {key for keys in GROUPS.values() for key in keys}
    groups = {**GROUPS, OTHERS: tuple(key for key in cards if key not in named)}
    for title, keys in groups.items():
        found = tuple(cards[key] for key in keys if key in cards)
        if found:
            yield Group(title=title, cards=found)


def hints_for(query: FigureQuery, readings: Mapping[str, FigureReading]) -> Iterator[str]:
    """What is missing, by name, and what to do."""
    if not query.repositories:
        yield "No repository yet: add one to the team, or install the GitHub App on its account."
    elif not readings["deployments"].n:
        yield deployments_hint(query)


def deployments_hint(query: FigureQuery) -> str:
    production = ", ".join(query.production_environments) or "none"
    rows = DerivedDeployment.objects.filter(repository_id__in=query.repositories)
    names = rows.order_by("environment").values_list("environment", flat=True).distinct()[:SHOWN_ENVIRONMENTS]
    seen = ", ".join(name for name in names if name) or "none"
    return (
        f"No production deployments in this window. Environments that count as production: {production}; seen: {seen}."
    )


def last_of_installation(team: Team) -> datetime | None:
    """Return when GitHub last posted something about the App on the team's account."""
    if team.account_id is None:
        return None
    own = Installation.objects.filter(account=team.account_id).order_by("-pk").first()
    if own is None:
        return None
    found = Delivery.objects.filter(installation_id=own.pk).order_by("-id")  # by delivery_of_installation
    return found.values_list("received_at", flat=True).first()
