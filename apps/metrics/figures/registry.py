"""The registry of figures: one definition each, from which page, API, command, documentation and tests are made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from zoneinfo import ZoneInfo

from django.db.models import Aggregate, Count, Q
from django.db.models.functions import TruncDate

from apps.metrics.completeness.streams import Stream
from apps.metrics.figures import populations
from apps.metrics.figures.expressions import count_rows
from apps.metrics.figures.populations import Population
from apps.metrics.figures.query import FigureQuery

Remark = Callable[[FigureQuery], Aggregate]


class Measure(StrEnum):
    """How rows become a figure."""

    COUNT = "count"
    DISTRIBUTION = "distribution"  # the value is the median
    PER_DAY = "per_day"  # rows over the local days that have begun
    SHARE = "share"  # rows whose value is 1 over all rows


class UnknownFigureError(LookupError):
    """There is no figure of that name."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One definition: what counts, how, and the rules at its edges. `remarks` are counts that belong beside it.

    `streams`: what it is read from, so that it has a hole where one of them has. `looks_back`: it counts what is
    left of the time before the window too, so that a hole back there is one of its own.
    """

    key: str
    title: str
    unit: str
    measure: Measure
    definition: str
    rules: tuple[str, ...]
    population: Population
    streams: tuple[Stream, ...]
    remarks: Mapping[str, Remark] = field(default_factory=dict)
    looks_back: bool = False


BY_AUTHOR = "Counts for the teams whose member the author was at that time; a team without members counts everybody."
BY_REPOSITORY = "Counts for every team that tracks the repository, whoever deployed; bots are never left out."
NO_VALUE = "Without any there is no value, which is not 0."
PRODUCTION = "Production is what the team's list of environments says, in upper or lower case."
ONE_PER_RUN = (
    "One per workflow run and environment, however many attempts it took: the last attempt counts."
    " Outside a run, one per deployment."
)
SUCCESS = "It succeeded with its first `success` status; a later `inactive` does not undo it."


def deployment_days(query: FigureQuery) -> Aggregate:
    return Count(TruncDate("at", tzinfo=ZoneInfo(query.window.time_zone)), distinct=True)


DEFINED = (
    Figure(
        key="commits",
        title="Commits",
        unit="commits",
        measure=Measure.COUNT,
        definition="Distinct commits that arrived on the default branch, dated by their arrival.",
        rules=(
            BY_AUTHOR,
            "Merges do not count. A push of several commits does not always say which of them are merges: until the "
            "history is read those count, and are shown beside the figure.",
            "A commit of the branch's history without a known push, as from before the App came, is dated by its "
            "committer's date.",
        ),
        population=populations.commits,
        streams=(Stream.COMMITS,),
        remarks={"merges_not_known": lambda _: count_rows(filter=Q(is_merge__isnull=True))},
    ),
    Figure(
        key="prs_opened",
        title="Pull requests opened",
        unit="pull requests",
        measure=Measure.COUNT,
        definition="Pull requests opened in the window.",
        rules=(BY_AUTHOR, "Drafts count as opened, and are shown beside it."),
        population=populations.opened,
        streams=(Stream.PULL_REQUESTS,),
        remarks={"opened_as_draft": lambda _: count_rows(filter=Q(is_opened_as_draft=True))},
    ),
    Figure(
        key="prs_merged",
        title="Pull requests merged",
        unit="pull requests",
        measure=Measure.COUNT,
        definition="Pull requests merged in the window.",
        rules=(BY_AUTHOR,),
        population=populations.merged,
        streams=(Stream.PULL_REQUESTS,),
    ),
    Figure(
        key="closed_unmerged",
        title="Pull requests closed unmerged",
        unit="pull requests",
        measure=Measure.COUNT,
        definition="Pull requests closed in the window without being merged, and still closed at the time of asking.",
        rules=(BY_AUTHOR, "Reopening one takes it out again, also in hindsight."),
        population=populations.closed_unmerged,
        streams=(Stream.PULL_REQUESTS,),
    ),
    Figure(
        key="cycle_time",
        title="Cycle time",
        unit="seconds",
        measure=Measure.DISTRIBUTION,
        definition="From ready for review to merged, of the pull requests merged in the window.",
        rules=(
            BY_AUTHOR,
            "Ready is the opening, or the first time that a draft was marked ready.",
            "Later drafts and closings are part of it.",
            NO_VALUE,
        ),
        population=populations.cycle_times,
        streams=(Stream.PULL_REQUESTS,),
    ),
    Figure(
        key="time_to_first_review",
        title="Time to first review",
        unit="seconds",
        measure=Measure.DISTRIBUTION,
        definition="From ready for review to the first review by a human other than the author, dated by that review.",
        rules=(
            BY_AUTHOR,
            "A review while it still was a draft took no time, and is shown beside it; it is dated by the readiness.",
            "Comments outside a review, reviews after the end and reviews that were deleted do not count;"
            " a dismissed one does.",
            "A pull request that nobody reviewed has no value, which is not 0.",
        ),
        population=populations.first_reviews,
        streams=(Stream.PULL_REQUESTS,),
        remarks={"reviewed_in_draft": lambda _: count_rows(filter=Q(is_reviewed_in_draft=True))},
    ),
    Figure(
        key="time_in_draft",
        title="Time in draft",
        unit="seconds",
        measure=Measure.DISTRIBUTION,
        definition="The time spent as a draft until the end or the time of asking, of those opened in the window.",
        rules=(BY_AUTHOR, "Becoming a draft again counts. One that never was a draft is 0, which is a value."),
        population=populations.draft_times,
        streams=(Stream.PULL_REQUESTS,),
    ),
    Figure(
        key="pr_size",
        title="Pull request size",
        unit="lines",
        measure=Measure.DISTRIBUTION,
        definition="Additions and deletions together, of the pull requests merged in the window.",
        rules=(BY_AUTHOR, "One whose size is not known has no value; an empty one is 0, which is a value."),
        population=populations.sizes,
        streams=(Stream.PULL_REQUESTS,),
    ),
    Figure(
        key="review_coverage",
        title="Review coverage",
        unit="share",
        measure=Measure.SHARE,
        definition="The share of the pull requests merged in the window that a human other than the author reviewed.",
        rules=(BY_AUTHOR, NO_VALUE),
        population=populations.reviewed,
        streams=(Stream.PULL_REQUESTS,),
    ),
    Figure(
        key="wip",
        title="Work in progress",
        unit="pull requests",
        measure=Measure.COUNT,
        definition="Pull requests open and no draft at the end of the window, or now if that is earlier.",
        rules=(
            "Counts for the teams whose member the author is then; a team without members counts everybody.",
            "One that was last touched before what was read of the history begins is not known, and does not count.",
        ),
        population=populations.in_progress,
        streams=(Stream.PULL_REQUESTS,),
        looks_back=True,
    ),
    Figure(
        key="age",
        title="Age of open pull requests",
        unit="seconds",
        measure=Measure.DISTRIBUTION,
        definition="The time since they were ready for review, of the pull requests that are work in progress.",
        rules=("Counts as work in progress does.", NO_VALUE),
        population=populations.in_progress,
        streams=(Stream.PULL_REQUESTS,),
        looks_back=True,
    ),
    Figure(
        key="reviews",
        title="Reviews",
        unit="reviews",
        measure=Measure.COUNT,
        definition="Reviews submitted in the window by humans other than the author.",
        rules=(
            "Counts for the teams whose member the reviewer was at that time; a team without members counts everybody.",
            "Dismissed reviews count, deleted ones do not.",
        ),
        population=populations.reviews,
        streams=(Stream.PULL_REQUESTS,),
    ),
    Figure(
        key="deployments",
        title="Deployments",
        unit="deployments",
        measure=Measure.COUNT,
        definition="Successful deployments to production in the window, dated by their success.",
        rules=(BY_REPOSITORY, PRODUCTION, ONE_PER_RUN, SUCCESS, "Deploying the same commit again counts."),
        population=populations.deployments,
        streams=(Stream.DEPLOYMENTS,),
    ),
    Figure(
        key="deployment_frequency",
        title="Deployment frequency",
        unit="deployments per day",
        measure=Measure.PER_DAY,
        definition="Successful deployments to production per local day of the window that has begun.",
        rules=(BY_REPOSITORY, PRODUCTION, ONE_PER_RUN, SUCCESS, "Never rounded down: count and days are shown."),
        population=populations.deployments,
        streams=(Stream.DEPLOYMENTS,),
        remarks={"deployment_days": deployment_days},
    ),
)
FIGURES: Mapping[str, Figure] = MappingProxyType({figure.key: figure for figure in DEFINED})


def figure_of(key: str) -> Figure:
    """The figure of that name."""
    try:
        return FIGURES[key]
    except KeyError:
        raise UnknownFigureError(f"There is no figure {key!r}; there are {', '.join(FIGURES)}.") from None
