"""The registry of figures: one definition each, from which page, API, command, documentation and tests are made."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from django.db.models import Q

from apps.metrics.completeness.streams import COMMITS, DEPLOYMENTS, ISSUES, PULL_REQUESTS
from apps.metrics.figures import ai, ci, incidents_and_failures, merge_queue, populations, reviews, rework
from apps.metrics.figures.figure import BY_AUTHOR, BY_REPOSITORY, NO_VALUE, Figure, Measure, Variant
from apps.metrics.figures.incidents_and_failures import INCIDENTS
from apps.metrics.figures.populations import Remark

PRODUCTION = (
    "Production environments are those that the team's patterns name, in upper or lower case. Without patterns, they "
    "are those that GitHub marks as production, or whose name begins with prod, production or live, also after its "
    "last slash or dash."
)
ONE_PER_RUN = (
    "One per success of a service, environment and workflow run; attempts that failed before it belong to it, and what "
    "comes after it is another deployment. Outside a workflow run, each deployment counts."
)
SERVICE = (
    "The service is the repository, unless a rule names it or several jobs of a workflow run deploy to one "
    "environment: then each job is a service."
)
COPIES = (
    "A commit with the author date of one that had landed on the default branch before is cherry-picked: it counts by "
    "its committer date."
)
REMEDIES = (
    "A deployment remedies an earlier one of its service and environment if it ships a pull request that reverts one "
    "of that, if it goes back to an earlier commit, or if it ships a hotfix (then it remedies the one before it). "
    "Where nothing of that is known and it caused an incident, the last one before the incident was closed remedied it."
)
SOURCE = (
    "Without any deployment to production or chosen source of deployments (workflow runs, releases, merges, reports), "
    "there is no value."
)
SUCCESS = "Dated by its first `success` status; a later `inactive` does not undo it."


DEFINED = (
    Figure(
        key="commits",
        title="Commits",
        unit="commits",
        measure=Measure.COUNT,
        definition="Distinct commits that reached the default branch, dated by when they reached it.",
        rules=(
            BY_AUTHOR,
            "Merge commits do not count. A push does not always say which of its commits are merges: merge commits not "
            "yet identified count until the history is loaded.",
            "A commit without a known push, such as one from before the App was installed, is dated by its committer "
            "date.",
        ),
        population=populations.commits,
        streams=(COMMITS,),
        remarks={"merges_not_known": Remark(only=Q(is_merge__isnull=True))},
    ),
    Figure(
        key="prs_opened",
        title="Pull requests opened",
        unit="pull requests",
        measure=Measure.COUNT,
        definition="Pull requests opened in the period.",
        rules=(BY_AUTHOR, "Drafts count as opened and are also shown separately."),
        population=populations.opened,
        streams=(PULL_REQUESTS,),
        remarks={"opened_as_draft": Remark(only=Q(is_opened_as_draft=True))},
    ),
    Figure(
        key="prs_merged",
        title="Pull requests merged",
        unit="pull requests",
        measure=Measure.COUNT,
        definition="Pull requests merged in the period.",
        rules=(BY_AUTHOR,),
        population=populations.merged,
        streams=(PULL_REQUESTS,),
    ),
    Figure(
        key="throughput",
        title="Throughput",
        unit="pull requests per week",
        measure=Measure.PER_WEEK,
        definition="Pull requests merged per week of the period, counting the days that have begun.",
        rules=(BY_AUTHOR, "The days are divided by seven; they need not be whole weeks."),
        population=populations.merged,
        streams=(PULL_REQUESTS,),
    ),
    Figure(
        key="closed_unmerged",
        title="Pull requests closed unmerged",
        unit="pull requests",
        measure=Measure.COUNT,
        definition="Pull requests closed in the period without being merged, and still closed now.",
        rules=(BY_AUTHOR, "Reopening a pull request removes it again, also from past periods."),
        population=populations.closed_unmerged,
        streams=(PULL_REQUESTS,),
    ),
    Figure(
        key="flow_ratio",
        title="Flow ratio",
        unit="ratio",
        measure=Measure.RATIO,
        definition="Pull requests opened per pull request that was merged or closed in the period.",
        rules=(BY_AUTHOR, "Above 1, work piles up. Shown as \N{EN DASH} when none was merged or closed."),
        population=populations.opened,
        over=(populations.merged, populations.closed_unmerged),
        streams=(PULL_REQUESTS,),
    ),
    Figure(
        key="cycle_time",
        title="Cycle time",
        unit="seconds",
        measure=Measure.DISTRIBUTION,
        definition="Time from ready for review to merged, for pull requests merged in the period.",
        rules=(
            BY_AUTHOR,
            "Starts when the pull request is opened, or first marked ready if it was a draft.",
            "Time spent back in draft or closed is included.",
            NO_VALUE,
        ),
        population=populations.cycle_times,
        streams=(PULL_REQUESTS,),
        variants={
            "gh_compatible": Variant(
                definition="Time from created to merged, drafts included, as `median_minutes_to_merge` of GitHub.",
                population=populations.created_to_merged,
            )
        },
    ),
    Figure(
        key="time_to_first_review",
        title="Time to first review",
        unit="seconds",
        measure=Measure.DISTRIBUTION,
        definition="Time from ready for review to the first review by a human other than the author.",
        rules=(
            BY_AUTHOR,
            "A review given while still a draft counts as 0 on the day it became ready, and is listed separately.",
            "Comments outside a review, reviews after the close or merge, and deleted reviews do not count; dismissed "
            "reviews do.",
            "Pull requests without a review are left out, not counted as 0.",
        ),
        population=populations.first_reviews,
        streams=(PULL_REQUESTS,),
        also_excluded={"merged_without_review": populations.never_reviewed},
        remarks={"reviewed_in_draft": Remark(only=Q(is_reviewed_in_draft=True))},
    ),
    Figure(
        key="time_in_draft",
        title="Time in draft",
        unit="seconds",
        measure=Measure.DISTRIBUTION,
        definition="Time spent as a draft up to the close, the merge or now, for pull requests opened in the period.",
        rules=(BY_AUTHOR, "Time back in draft counts. A pull request that never was a draft counts as 0."),
        population=populations.draft_times,
        streams=(PULL_REQUESTS,),
    ),
    Figure(
        key="pr_size",
        title="Pull request size",
        unit="lines",
        measure=Measure.DISTRIBUTION,
        definition="Lines added plus lines deleted, for pull requests merged in the period.",
        rules=(BY_AUTHOR, "Pull requests of unknown size are left out; an empty one counts as 0."),
        population=populations.sizes,
        streams=(PULL_REQUESTS,),
    ),
    Figure(
        key="review_coverage",
        title="Review coverage",
        unit="share",
        measure=Measure.SHARE,
        definition="Share of the pull requests merged in the period that a human other than the author reviewed.",
        rules=(BY_AUTHOR, "Those that were merged while auto-merge was on are also shown separately.", NO_VALUE),
        population=populations.reviewed,
        streams=(PULL_REQUESTS,),
        remarks={"auto_merged": Remark(only=Q(is_auto_merged=True))},
    ),
    Figure(
        key="review_rounds",
        title="Review rounds",
        unit="rounds",
        measure=Measure.DISTRIBUTION,
        definition="Reviews that asked for changes or commented and were answered by a push, of what was merged in the "
        "period.",
        rules=(
            BY_AUTHOR,
            "Only reviews by humans other than the author, up to the first approval, open a round.",
            "Pull requests whose pushes after a review are unknown are left out; without any round it is 0.",
        ),
        population=populations.rounds,
        streams=(PULL_REQUESTS,),
    ),
    *ai.DEFINED,
    Figure(
        key="wip",
        title="Work in progress",
        unit="pull requests",
        measure=Measure.COUNT,
        definition="Pull requests that are open and not drafts at the end of the period, or now if that is earlier.",
        rules=(
            "Attributed to the team the author belongs to then. Teams with no members listed include everyone.",
            "Pull requests last updated before the loaded history begins are not known and do not count.",
        ),
        population=populations.in_progress,
        streams=(PULL_REQUESTS,),
        looks_back=True,
    ),
    Figure(
        key="age",
        title="Age of open pull requests",
        unit="seconds",
        measure=Measure.DISTRIBUTION,
        definition="Time since ready for review, for the pull requests in progress.",
        rules=("Counts the same pull requests as work in progress.", NO_VALUE),
        population=populations.in_progress,
        streams=(PULL_REQUESTS,),
        looks_back=True,
    ),
    *reviews.DEFINED,
    Figure(
        key="deployments",
        title="Deployments",
        unit="deployments",
        measure=Measure.COUNT,
        definition="Successful deployments to production in the period, dated by their success.",
        rules=(
            BY_REPOSITORY,
            PRODUCTION,
            ONE_PER_RUN,
            SERVICE,
            SUCCESS,
            "Deploying the same commit again counts.",
            SOURCE,
        ),
        population=populations.deployments,
        streams=(DEPLOYMENTS,),
        needs_source=True,
    ),
    Figure(
        key="failed_deployments",
        title="Failed deployments",
        unit="deployments",
        measure=Measure.COUNT,
        definition="Deployments to production that failed in the period and have not succeeded since.",
        rules=(
            BY_REPOSITORY,
            PRODUCTION,
            "A workflow run that failed and succeeded at a later attempt is no failed deployment.",
            "A failure after a success is a failed deployment, and the success stays.",
            SOURCE,
        ),
        population=populations.failed_deployments,
        streams=(DEPLOYMENTS,),
        needs_source=True,
    ),
    Figure(
        key="deployment_frequency",
        title="Deployment frequency",
        unit="deployments per day",
        measure=Measure.PER_DAY,
        definition="Successful deployments to production per day of the period, counting the days that have begun.",
        rules=(
            BY_REPOSITORY,
            PRODUCTION,
            ONE_PER_RUN,
            SUCCESS,
            "Shown with the number of days.",
            SOURCE,
        ),
        population=populations.deployments,
        streams=(DEPLOYMENTS,),
        remarks={"deployment_days": Remark(counts_days=True)},
        needs_source=True,
    ),
    Figure(
        key="deployment_days_per_week",
        title="Deployment days per week",
        unit="days per week",
        measure=Measure.DAYS_PER_WEEK,
        definition="Days of a week with a successful deployment to production: the median of the weeks in the period.",
        rules=(
            BY_REPOSITORY,
            PRODUCTION,
            ONE_PER_RUN,
            SUCCESS,
            "Only weeks from Monday to Sunday that lie in the period and have ended; one without deployments is 0.",
        ),
        population=populations.deployments,
        streams=(DEPLOYMENTS,),
        needs_source=True,
    ),
    Figure(
        key="lead_time",
        title="Lead time for changes",
        unit="seconds",
        measure=Measure.DISTRIBUTION,
        definition="Time from the first commit to the first deployment to production, for pull requests first deployed "
        "in the period.",
        rules=(
            BY_AUTHOR,
            PRODUCTION,
            "A pull request ships with the first success whose commit stands at or after its merge on the default "
            "branch. One merged into the branch of another ships with that one.",
            "The first known deployment of a service to an environment is its baseline: what was merged before it has "
            "no lead time.",
            "Nor has what an earlier deployment of a commit outside the default branch may have shipped.",
            "Where the commits are not known, it starts when the pull request is ready for review.",
            COPIES,
            NO_VALUE,
        ),
        population=populations.lead_times,
        streams=(PULL_REQUESTS, COMMITS, DEPLOYMENTS),
        version=2,
        also_excluded={"not_deployed": populations.not_deployed, "baseline_unknown": populations.baseline_unknown},
        needs_source=True,
    ),
    *(
        Figure(
            key=f"{stage}_time",
            title=f"{stage.capitalize()} time",
            unit="seconds",
            measure=Measure.DISTRIBUTION,
            definition=f"Time from {definition}, for pull requests merged in the period.",
            rules=(
                BY_AUTHOR,
                "One of five stages that sum to the lead time: coding, pickup, review, merge, deploy.",
                "Where a boundary is missing, the stage before it lasts until the next known one.",
                *([COPIES] if COMMITS in streams else []),
                NO_VALUE,
            ),
            population=population,
            streams=streams,
            version=2 if COMMITS in streams else 1,
        )
        for stage, population, streams, definition in (
            ("coding", populations.coding, (PULL_REQUESTS, COMMITS), "the first commit to ready for review"),
            ("pickup", populations.pickup, (PULL_REQUESTS,), "ready for review to the first review"),
            ("review", populations.review, (PULL_REQUESTS,), "the first review to the first approval"),
            ("merge", populations.merging, (PULL_REQUESTS,), "the first approval to the merge"),
        )
    ),
    *merge_queue.DEFINED,
    Figure(
        key="deploy_time",
        title="Deploy time",
        unit="seconds",
        measure=Measure.DISTRIBUTION,
        definition="Time from the merge to the first deployment to production, for those first deployed in the period.",
        rules=(
            BY_AUTHOR,
            PRODUCTION,
            "The last of five stages that sum to the lead time: coding, pickup, review, merge, deploy.",
            NO_VALUE,
        ),
        population=populations.deploying,
        streams=(PULL_REQUESTS, COMMITS, DEPLOYMENTS),
        needs_source=True,
    ),
    Figure(
        key="change_failure_rate",
        title="Change failure rate",
        unit="share",
        measure=Measure.SHARE,
        definition="Share of the successful deployments to production in the period that a later one had to remedy, or "
        "that caused an incident.",
        rules=(
            BY_REPOSITORY,
            PRODUCTION,
            REMEDIES,
            INCIDENTS,
            "A deployment fails once, whatever remedied it and however many incidents it caused.",
            NO_VALUE,
        ),
        population=incidents_and_failures.failing,
        streams=(PULL_REQUESTS, COMMITS, DEPLOYMENTS, ISSUES),
        needs_source=True,
    ),
    Figure(
        key="failed_deployment_recovery_time",
        title="Failed deployment recovery time",
        unit="seconds",
        measure=Measure.DISTRIBUTION,
        definition="Time from a failing deployment to the first one that remedied it, by the day of the remedy.",
        rules=(BY_REPOSITORY, PRODUCTION, REMEDIES, NO_VALUE),
        population=incidents_and_failures.recoveries,
        streams=(PULL_REQUESTS, COMMITS, DEPLOYMENTS, ISSUES),
        needs_source=True,
    ),
    Figure(
        key="deployment_rework_rate",
        title="Deployment rework rate",
        unit="share",
        measure=Measure.SHARE,
        definition="Share of the successful deployments to production in the period that remedied an earlier one.",
        rules=(BY_REPOSITORY, PRODUCTION, REMEDIES, NO_VALUE),
        population=incidents_and_failures.rework,
        streams=(PULL_REQUESTS, COMMITS, DEPLOYMENTS, ISSUES),
        needs_source=True,
    ),
    *rework.DEFINED,
    *ci.DEFINED,
    *incidents_and_failures.DEFINED,
)
FIGURES: Mapping[str, Figure] = MappingProxyType({figure.key: figure for figure in DEFINED})
VARIANTS = tuple(dict.fromkeys(name for figure in DEFINED for name in figure.variants))


class UnknownFigureError(LookupError):
    """There is no figure of that name."""


def figure_of(key: str, *, variant: str = "") -> Figure:
    """Return the figure of that key, or a variant of it."""
    try:
        figure = FIGURES[key]
    except KeyError:
        raise UnknownFigureError(f"There is no figure {key!r}. Figures: {', '.join(FIGURES)}.") from None
    if not variant:
        return figure
    try:
        chosen = figure.variants[variant]
    except KeyError:
        known = ", ".join(figure.variants) or "none"
        raise UnknownFigureError(f"{key} has no variant {variant!r}. Variants: {known}.") from None
    return replace(figure, definition=chosen.definition, population=chosen.population)
