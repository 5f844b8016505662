"""The rows that figures count: with `at`, the time of each, and `value`, what is measured of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import (
    Case,
    Exists,
    F,
    FloatField,
    Model,
    OuterRef,
    Q,
    QuerySet,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from apps.metrics.figures.dimensions import narrowed
from apps.metrics.figures.durations import (
    age,
    draft_seconds,
    lasting,
    lead_seconds,
    merge_queue_seconds,
    queued_seconds,
    stage,
)
from apps.metrics.figures.figure_query import AGENT, FigureQuery
from apps.metrics.figures.sql_expressions import WasDraft
from apps.metrics.models import (
    ENDED_AT,
    DerivedClosing,
    DerivedCommit,
    DerivedDeployment,
    DerivedPullRequest,
    DerivedReview,
    DerivedReviewRequest,
    DerivedShipment,
    DerivedWorkflowRun,
)
from apps.metrics.models.deployments import UNTIL_MERGE

Read = Callable[[FigureQuery], QuerySet[Any]]

NOTHING = Value(None, output_field=FloatField())
NOT_EXCLUDED = Value(None, output_field=TextField())


def no_value(_: FigureQuery) -> Any:
    """Return the value of rows that are only counted."""
    return NOTHING


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows of a table in a window, with `at`, the time of each, and `excluded`, why it does not count, or null.

    Those that `is_level` are counted at an instant, the end of the window, and not through the window. `reasons` are
    those for which rows of this kind may not count, beside those of their account. Those that are `read_in_order` have
    subqueries that PostgreSQL does not run in its parallel workers.
    """

    table: type[Model]
    read: Read
    is_level: bool = False
    reasons: tuple[str, ...] = ()
    read_in_order: bool = False

    def __call__(self, query: FigureQuery) -> QuerySet[Any]:
        rows = narrowed(self.read(query), query=query)
        return rows if "excluded" in rows.query.annotations else rows.annotate(excluded=NOT_EXCLUDED)


def rows_of(table: type[Model], **options: Any) -> Callable[[Read], Rows]:
    """Declare that the function returns rows of the table; the options are those of `Rows`."""
    return lambda read: Rows(table=table, read=read, **options)


@dataclass(frozen=True, kw_only=True, eq=False)
class Population:
    """The rows of a figure, and what is measured of each. It is equal to none but itself.

    Figures that have the same `rows` are computed in one statement. `only` says which of the rows count, and `left_out`
    why the others do not.
    """

    rows: Rows
    value: Callable[[FigureQuery], Any] = no_value
    only: Q | None = None
    left_out: str = ""

    def __call__(self, query: FigureQuery) -> QuerySet[Any]:
        """Return the rows that count."""
        rows: QuerySet[Any] = self.rows(query).filter(excluded__isnull=True).annotate(value=self.value(query))
        return rows if self.only is None else rows.filter(self.only)

    def judged(self, query: FigureQuery) -> QuerySet[Any]:
        """Return all rows, with `excluded` for every reason: also why the figure leaves out what counts otherwise."""
        rows: QuerySet[Any] = self.rows(query)
        if self.only is not None:
            reason = Case(
                When(excluded__isnull=False, then=F("excluded")),
                When(self.only, then=NOT_EXCLUDED),
                default=Value(self.left_out),
                output_field=TextField(),
            )
            rows = rows.annotate(excluded=reason)
        judged: QuerySet[Any] = rows.annotate(value=self.value(query))
        return judged

    def excluded(self, query: FigureQuery, reason: str) -> QuerySet[Any]:
        """Return the rows that do not count for the reason."""
        rows: QuerySet[Any] = self.rows(query).annotate(value=NOTHING)
        if self.only is not None and reason == self.left_out:
            return rows.filter(excluded__isnull=True).exclude(self.only)
        return rows.filter(excluded=reason)


@dataclass(frozen=True, kw_only=True)
class Remark:
    """An additional count: of the rows that meet a condition, or of the local days of the rows."""

    only: Q | None = None
    counts_days: bool = False


@rows_of(DerivedPullRequest, read_in_order=True)
def rows_opened(query: FigureQuery) -> QuerySet[Any]:
    return _pull_requests(query, at="opened_at")


@rows_of(DerivedPullRequest)
def rows_merged(query: FigureQuery) -> QuerySet[Any]:
    return _pull_requests(query, at="merged_at")


@rows_of(DerivedPullRequest)
def rows_merged_by_agents(query: FigureQuery) -> QuerySet[Any]:
    """Return what agents opened and was merged, whether or not they count elsewhere."""
    return _pull_requests(query.counting_agents(), at="merged_at").filter(author_class=AGENT)


@rows_of(DerivedPullRequest)
def rows_first_reviewed(query: FigureQuery) -> QuerySet[Any]:
    return _pull_requests(query, at="review_wait_ended_at")


@rows_of(DerivedPullRequest)
def rows_first_responded(query: FigureQuery) -> QuerySet[Any]:
    return _pull_requests(query, at="response_wait_ended_at")


@rows_of(DerivedClosing)
def rows_closed_unmerged(query: FigureQuery) -> QuerySet[Any]:
    """Return closings; a pull request that was closed several times counts once, by the closing that holds."""
    still_closed = Q(reopened_at__isnull=True) | Q(reopened_at__gt=query.as_of)
    rows = query.happened(DerivedClosing.objects.filter(still_closed), "closed_at")
    rows = query.attributed(rows, account="author", is_bot="is_bot_author", at=OuterRef("closed_at"))
    return rows.annotate(at=F("closed_at"))


@rows_of(DerivedPullRequest, is_level=True, read_in_order=True)
def rows_in_progress(query: FigureQuery) -> QuerySet[Any]:
    """Return pull requests that are open and not drafts at the end of the window, or now if that is earlier."""
    instant = query.instant
    closed_then = DerivedClosing.objects.filter(
        Q(reopened_at__isnull=True) | Q(reopened_at__gt=instant),
        repository_id=OuterRef("repository_id"),
        number=OuterRef("number"),
        closed_at__lte=instant,
    )
    rows = DerivedPullRequest.objects.alias(ended_at=ENDED_AT).filter(
        query.is_in_repositories(),
        ~Exists(closed_then),
        ended_at__gt=instant,
        opened_at__lte=instant,
        ready_at__lte=instant,
    )
    rows = rows.alias(was_draft=WasDraft("draft_starts", "draft_ends", instant))
    rows = rows.filter(Q(draft_starts=[]) | Q(was_draft=False))
    rows = query.attributed(rows, account="author", is_bot="is_bot_author", at=instant)
    return rows.annotate(at=F("ready_at"))


@rows_of(DerivedReview)
def rows_reviews(query: FigureQuery) -> QuerySet[Any]:
    rows = query.happened(DerivedReview.objects.filter(is_by_author=False), "submitted_at")
    rows = query.attributed(rows, account="reviewer", is_bot="is_by_bot", at=OuterRef("submitted_at"))
    return rows.annotate(at=F("submitted_at"))


@rows_of(DerivedReviewRequest)
def rows_answered(query: FigureQuery) -> QuerySet[Any]:
    return _requests(query, at="answered_at")


@rows_of(DerivedReviewRequest)
def rows_unanswered(query: FigureQuery) -> QuerySet[Any]:
    """Return requests of accounts that had no answer then and were not withdrawn."""
    is_open = ~_had_happened(query, "answered_at") & ~_had_happened(query, "withdrawn_at")
    return _requests(query, at="requested_at").filter(is_open)


@rows_of(DerivedReviewRequest)
def rows_withdrawn(query: FigureQuery) -> QuerySet[Any]:
    """Return requests of accounts that had been withdrawn before there was an answer."""
    return _requests(query, at="requested_at").filter(_had_happened(query, "withdrawn_at"))


@rows_of(DerivedReviewRequest)
def rows_requested_of_teams(query: FigureQuery) -> QuerySet[Any]:
    """Return requests of teams of GitHub in the repositories: no single account has to answer them."""
    rows = DerivedReviewRequest.objects.filter(reviewer_id__isnull=True)
    return query.happened(rows, "requested_at").annotate(at=F("requested_at"))


def _requests(query: FigureQuery, *, at: str) -> QuerySet[Any]:
    rows = query.happened(DerivedReviewRequest.objects.filter(reviewer_id__isnull=False), at)
    rows = query.attributed(rows, account="reviewer", is_bot="is_bot_reviewer", at=OuterRef(at))
    return rows.annotate(at=F(at))


def _had_happened(query: FigureQuery, at: str) -> Q:
    return Q(**{f"{at}__isnull": False, f"{at}__lt": query.as_of})


@rows_of(DerivedCommit)
def rows_commits(query: FigureQuery) -> QuerySet[Any]:
    """Return commits without known merges; not every push says which are merges."""
    rows = query.happened(DerivedCommit.objects.exclude(is_merge=True), "landed_at")
    rows = query.attributed(rows, account="author", is_bot="is_by_bot", at=OuterRef("landed_at"))
    return rows.annotate(at=F("landed_at"))


@rows_of(DerivedDeployment, read_in_order=True)
def rows_deployments(query: FigureQuery) -> QuerySet[Any]:
    """Return deployments of the team's repositories, by any account including bots."""
    rows = query.happened(DerivedDeployment.objects.filter(query.is_production()), "succeeded_at")
    return rows.annotate(at=F("succeeded_at"))


@rows_of(DerivedDeployment)
def rows_failed_deployments(query: FigureQuery) -> QuerySet[Any]:
    """Return deployments to production that failed and had not succeeded by then."""
    has_not_succeeded = Q(succeeded_at__isnull=True) | Q(succeeded_at__gt=query.as_of)
    rows = query.happened(DerivedDeployment.objects.filter(query.is_production(), has_not_succeeded), "failed_at")
    return rows.annotate(at=F("failed_at"))


@rows_of(DerivedShipment)
def rows_shipped(query: FigureQuery) -> QuerySet[Any]:
    """Return pull requests by the first deployment to production that had them, of whichever service."""
    earlier = DerivedShipment.objects.filter(
        Q(deployed_at__lt=OuterRef("deployed_at")) | Q(deployed_at=OuterRef("deployed_at"), pk__lt=OuterRef("pk")),
        query.is_production(),
        repository_id=OuterRef("repository_id"),
        number=OuterRef("number"),
    )
    rows = query.happened(DerivedShipment.objects.filter(query.is_production(), ~Exists(earlier)), "deployed_at")
    rows = query.attributed(rows, account="author", is_bot="is_bot_author", at=OuterRef("deployed_at"))
    return rows.annotate(at=F("deployed_at"))


@rows_of(DerivedPullRequest)
def rows_not_deployed(query: FigureQuery) -> QuerySet[Any]:
    """Return merged pull requests that no deployment to production had yet, not even the first known one."""
    return _not_shipped(query).filter(~Exists(_baselines(query)))


@rows_of(DerivedPullRequest)
def rows_baseline_unknown(query: FigureQuery) -> QuerySet[Any]:
    """Return merged pull requests that were there already at the first known deployment to production."""
    return _not_shipped(query).filter(Exists(_baselines(query)))


def _not_shipped(query: FigureQuery) -> QuerySet[Any]:
    shipments = DerivedShipment.objects.filter(
        query.is_production(),
        repository_id=OuterRef("repository_id"),
        number=OuterRef("number"),
        deployed_at__lt=query.as_of,
    )
    return _pull_requests(query, at="merged_at").filter(~Exists(shipments))


def _baselines(query: FigureQuery) -> QuerySet[Any]:
    is_after = Q(order_at__gte=OuterRef("landed_at")) | Q(
        order_at__isnull=True, succeeded_at__gte=OuterRef("landed_at")
    )
    rows = DerivedDeployment.objects.filter(query.is_production(), is_after, repository_id=OuterRef("repository_id"))
    return rows.filter(succeeded_at__lt=query.as_of)


RUN_AGAIN, CANCELLED, SKIPPED, INCONCLUSIVE = "run_again", "cancelled", "skipped", "inconclusive"
SUCCEEDED, FAILED = ("success",), ("failure", "timed_out", "startup_failure")


@rows_of(DerivedWorkflowRun, reasons=(RUN_AGAIN, CANCELLED, SKIPPED, INCONCLUSIVE))
def rows_workflow_runs(query: FigureQuery) -> QuerySet[Any]:
    """Return attempts of workflow runs: the last that had concluded by then counts, if it succeeded or failed."""
    rows = query.happened(DerivedWorkflowRun.objects.all(), "concluded_at")
    rows = query.attributed(rows, account="actor", is_bot="is_by_bot", at=OuterRef("concluded_at"))
    reason = Case(
        When(run_again_at__lt=query.as_of, then=Value(RUN_AGAIN)),
        When(conclusion__in=(*SUCCEEDED, *FAILED), then=NOT_EXCLUDED),
        When(conclusion__in=(CANCELLED, SKIPPED), then=F("conclusion")),
        default=Value(INCONCLUSIVE),
        output_field=TextField(),
    )
    return rows.annotate(excluded=Coalesce(F("excluded"), reason), at=F("concluded_at"))


def is_success(_: FigureQuery) -> Any:
    return Case(When(conclusion__in=SUCCEEDED, then=1.0), default=0.0, output_field=FloatField())


def was_flaky(_: FigureQuery) -> Any:
    return Case(When(is_flaky=True, then=1.0), default=0.0, output_field=FloatField())


def was_reviewed(_: FigureQuery) -> Any:
    return Case(When(first_review_at__isnull=False, then=1.0), default=0.0, output_field=FloatField())


def has(flag: str) -> Callable[[FigureQuery], Any]:
    """Return the value of rows with a flag: 1 if it is set, else 0."""
    return lambda _: Case(When(**{flag: True}, then=1.0), default=0.0, output_field=FloatField())


def _pull_requests(query: FigureQuery, *, at: str) -> QuerySet[Any]:
    rows = query.happened(DerivedPullRequest.objects.all(), at)
    rows = query.attributed(rows, account="author", is_bot="is_bot_author", at=OuterRef(at))
    return rows.annotate(at=F(at))


def measured(column: str) -> Callable[[FigureQuery], Any]:
    """Return the value of rows that have it in a column."""
    return lambda _: F(column)


opened = Population(rows=rows_opened)
draft_times = Population(rows=rows_opened, value=draft_seconds)
merged = Population(rows=rows_merged)
merged_by_agents = Population(rows=rows_merged_by_agents)
merged_by_others = Population(rows=rows_merged, only=~Q(author_class=AGENT))
ai_assisted = Population(rows=rows_merged, value=has("is_ai_assisted"))
ai_reviewed = Population(rows=rows_merged, value=has("is_ai_reviewed"))
cycle_times = Population(
    rows=rows_merged,
    value=lasting("ready_at", "merged_at", stored="cycle_seconds"),
    only=Q(cycle_seconds__isnull=False),
    left_out="never_ready",
)
coding, pickup, review, merging = (
    Population(rows=rows_merged, value=stage(name), only=Q(**{f"{name}_seconds__isnull": False}))
    for name in UNTIL_MERGE
)
in_queue = Population(
    rows=rows_merged,
    value=merge_queue_seconds,
    only=Q(queue_seconds__isnull=False),
    left_out="never_queued",
)
created_to_merged = Population(rows=rows_merged, value=lasting("opened_at", "merged_at"))
sizes = Population(rows=rows_merged, value=measured("size"), only=Q(size__isnull=False), left_out="size_unknown")
rounds = Population(
    rows=rows_merged,
    value=measured("review_rounds"),
    only=Q(review_rounds__isnull=False),
    left_out="rounds_unknown",
)
reviewed = Population(rows=rows_merged, value=was_reviewed)
never_reviewed = Population(rows=rows_merged, only=Q(first_review_at__isnull=True))
never_responded = Population(rows=rows_merged, only=Q(first_response_at__isnull=True))
first_responses = Population(
    rows=rows_first_responded, value=lasting("ready_at", "response_wait_ended_at", stored="first_response_seconds")
)
first_reviews = Population(
    rows=rows_first_reviewed, value=lasting("ready_at", "review_wait_ended_at", stored="first_review_seconds")
)
closed_unmerged = Population(rows=rows_closed_unmerged)
in_progress = Population(rows=rows_in_progress, value=age)
reviews = Population(rows=rows_reviews)
turnarounds = Population(rows=rows_answered, value=lasting("requested_at", "answered_at", stored="answer_seconds"))
unanswered = Population(rows=rows_unanswered)
withdrawn = Population(rows=rows_withdrawn)
requested_of_teams = Population(rows=rows_requested_of_teams)
commits = Population(rows=rows_commits)
deployments = Population(rows=rows_deployments)
failed_deployments = Population(rows=rows_failed_deployments)
lead_times = Population(
    rows=rows_shipped,
    value=lead_seconds,
    only=Q(lead_seconds__isnull=False),
    left_out="order_unknown",
)
deploying = Population(
    rows=rows_shipped,
    value=lasting("merged_at", "deployed_at", stored="deploy_seconds"),
    only=Q(deploy_seconds__isnull=False),
    left_out="order_unknown",
)
not_deployed = Population(rows=rows_not_deployed)
baseline_unknown = Population(rows=rows_baseline_unknown)
ci_successes = Population(rows=rows_workflow_runs, value=is_success)
ci_durations = Population(
    rows=rows_workflow_runs,
    value=lasting("started_at", "concluded_at", stored="duration_seconds"),
    only=Q(duration_seconds__isnull=False),
    left_out="duration_time_unknown",
)
ci_queue_times = Population(
    rows=rows_workflow_runs,
    value=queued_seconds,
    only=Q(queued_seconds__isnull=False),
    left_out="queued_time_unknown",
)
ci_attempts = Population(rows=rows_workflow_runs, value=measured("attempt"))
ci_flaky = Population(
    rows=rows_workflow_runs, value=was_flaky, only=Q(is_flaky__isnull=False), left_out="attempts_unknown"
)
