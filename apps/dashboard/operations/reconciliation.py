"""Reconciliation: its runs with what they found and repaired, what is complete by repository, and a start."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.db.models import Case, Count, QuerySet, Sum, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.activity.models import Repository
from apps.common.encryption import UndecryptableError
from apps.dashboard.addresses import query_string
from apps.dashboard.operations.access import for_operators
from apps.dashboard.operations.jobs import part_of
from apps.github.credentials import NoCredentialsError, app_credentials, has_credentials
from apps.integrations.backfill.start import NothingToStartError
from apps.integrations.models import Drift, RepositorySync, SyncLog
from apps.integrations.reconciliation import schedule
from apps.integrations.reconciliation.run_console import Found, found_in, scope_of
from apps.integrations.reconciliation.schedule import next_night
from apps.metrics.completeness import Completeness, report_of
from apps.metrics.completeness.descriptions import advise, explain_completeness, explain_gap

RUNS_PER_PAGE, REPOSITORIES_PER_PAGE = 20, 20
MOST_GAPS = 3
ENDED = (RepositorySync.State.DONE, RepositorySync.State.FAILED, RepositorySync.State.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of reconciliation: how far it is, and how far off our tables were before it repaired them."""

    row: SyncLog
    states: Counter[str]
    missing: int
    stale: int
    deleted: int
    repaired: int

    @property
    def title(self) -> str:
        """Return what was compared, in words."""
        name = self.row.sync_id
        match self.row.cause:
            case SyncLog.Cause.NIGHTLY:
                return f"Nightly, {name.partition(':')[2]}"
            case SyncLog.Cause.SCHEDULED:
                return f"Hourly, team {self.row.team or name.split(':')[1]}"
            case _:
                kind = schedule.parse_scope(self.row.scope).kind if self.row.scope else ""
                return f"Manual: {SCOPES.get(kind, kind or 'everything')}"

    @property
    def total(self) -> int:
        return sum(self.states.values())

    @property
    def ended(self) -> int:
        return sum(self.states[state] for state in ENDED)

    @property
    def off(self) -> int:
        return self.missing + self.stale + self.deleted

    @property
    def took_s(self) -> float | None:
        return (self.row.finished_at - self.row.created_at).total_seconds() if self.row.finished_at else None


SCOPES = {
    schedule.NIGHTLY: "a night",
    schedule.EVERYTHING: "everything",
    schedule.TEAM: "a team",
    schedule.INSTALLATION: "an installation",
    schedule.REPOSITORIES: "named repositories",
}
COUNTS = ("missing", "stale", "deleted", "repaired")


@require_safe
@for_operators
def reconciliation(request: HttpRequest) -> HttpResponse:
    """Show the runs, the latest first."""
    part = part_of(request, SyncLog.objects.select_related("team").order_by("-pk"), name="page", size=RUNS_PER_PAGE)
    runs = runs_of(part.rows)
    context = {
        "part": part,
        "runs": runs,
        "is_live": any(run.row.status in SyncLog.UNFINISHED for run in runs),
        "here": request.get_full_path(),
        "has_credentials": has_credentials(),
        "next_night": next_night(timezone.now()).due_at,
    }
    return render(request, "dashboard/operations/runs.html", context)


def runs_of(rows: Sequence[SyncLog]) -> list[Run]:
    """Return the runs with their counts, in the same order; two statements, however many they are."""
    ids = [row.pk for row in rows]
    states: dict[int, Counter[str]] = defaultdict(Counter)
    counted = RepositorySync.objects.filter(sync__in=ids).order_by().values_list("sync", "state")
    for key, state, count in counted.annotate(count=Count("pk")):
        states[key][state] = count
    sums = Drift.objects.filter(repository_sync__sync__in=ids).order_by().values_list("repository_sync__sync")
    drift = {key: dict(zip(COUNTS, counts, strict=True)) for key, *counts in sums.annotate(*map(Sum, COUNTS))}
    nothing = dict.fromkeys(COUNTS, 0)
    return [
        Run(
            row=row,
            states=states[row.pk],
            **{name: drift.get(row.pk, nothing)[name] for name in COUNTS},
        )
        for row in rows
    ]


@require_safe
@for_operators
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a run: what was off by stream, and its repositories, those that failed first."""
    row = get_object_or_404(SyncLog.objects.select_related("team"), pk=pk)
    repositories = RepositorySync.objects.filter(sync=row)
    failed_first = Case(When(state=RepositorySync.State.FAILED, then=0), default=1)
    listed = repositories.select_related("repository").order_by(failed_first, "repository__full_name")
    part = part_of(request, listed, name="page", size=REPOSITORIES_PER_PAGE)
    drifts: dict[int, list[Drift]] = defaultdict(list)
    for drift in Drift.objects.filter(repository_sync__in=[each.pk for each in part.rows]).order_by("stream"):
        drifts[drift.repository_sync_id].append(drift)
    context = {
        "run": runs_of([row])[0],
        "found": found_in(repositories),
        "counts": Drift.COUNTS,
        "part": part,
        "repositories": [(each, [one for one in drifts[each.pk] if off(one)]) for each in part.rows],
        "teams": row.teams.exclude(error="").select_related("team").order_by("team__slug")[:REPOSITORIES_PER_PAGE],
        "is_live": row.status in SyncLog.UNFINISHED,
        "here": request.get_full_path(),
    }
    return render(request, "dashboard/operations/run.html", context)


def off(drift: Drift | Found) -> int:
    """Return how many entities were not as at GitHub."""
    return drift.missing + drift.stale + drift.deleted


@require_safe
@for_operators
def completeness(request: HttpRequest) -> HttpResponse:
    """Show up to when each repository is complete, and its gaps with what to do."""
    term = request.GET.get("q", "").strip()
    found: QuerySet[Repository] = Repository.objects.filter(deleted_at=None).order_by("full_name", "pk")
    part = part_of(
        request, found.filter(full_name__icontains=term) if term else found, name="page", size=REPOSITORIES_PER_PAGE
    )
    context = {"part": part, "term": term, "repositories": complete(part.rows), "query": query_string(request)}
    return render(request, "dashboard/operations/completeness.html", context)


def complete(repositories: Sequence[Repository]) -> list[dict[str, Any]]:
    """Return each repository with its completeness in words, and its gaps with advice."""
    if not repositories:
        return []
    now = datetime.now(UTC)
    report = report_of([repository.pk for repository in repositories])
    by_id = report.of_each(now=now)
    unknown = Completeness(complete_until=None, gaps=())
    return [
        {
            "repository": repository,
            "is_complete": _is_complete(by_id.get(repository.pk, unknown), now=now),
            "until": by_id.get(repository.pk, unknown).complete_until,
            "sentence": explain_completeness(by_id.get(repository.pk, unknown), report=report, now=now),
            "gaps": [
                (explain_gap(gap, names=report.names), advise(gap))
                for gap in by_id.get(repository.pk, unknown).gaps[:MOST_GAPS]
            ],
        }
        for repository in repositories
    ]


def _is_complete(one: Completeness, *, now: datetime) -> bool:
    return one.complete_until is not None and not one.is_stale(now=now) and not one.gaps


@require_POST
@for_operators
def start(request: HttpRequest) -> HttpResponse:
    """Compare a repository, or all, with GitHub now."""
    name = request.POST.get("repository", "").strip()
    if not name and "everything" not in request.POST:
        messages.warning(request, "Name a repository, or start for all of them.")
        return redirect("reconciliation")
    options = {"team": None, "full_names": [name] if name else [], "installation": None, "all": not name}
    try:
        app_credentials()
        started = schedule.start(scope_of(options), is_thorough=True)
    except (NoCredentialsError, UndecryptableError) as error:
        messages.error(request, f"GitHub cannot be asked: {error}")
    except NothingToStartError as error:
        messages.error(request, str(error))
    else:
        schedule.enqueue_run(started.sync)
        if started.is_new:
            words = f"Comparing {name or 'everything'} with GitHub."
        else:
            words = f"{name or 'Everything'} is already being compared."
        messages.success(request, words)
        return redirect("reconciliation-run", pk=started.sync.pk)
    return redirect("reconciliation")
