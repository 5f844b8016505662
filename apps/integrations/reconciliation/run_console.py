"""Runs on a terminal of 80 columns: progress, results, lists, and the arguments of the command."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Count, QuerySet, Sum
from django.utils import timezone
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from apps.activity.models import Repository
from apps.integrations.backfill.console import full_name
from apps.integrations.backfill.start import CannotBeReadError, NothingToStartError, chosen
from apps.integrations.models import Backfill, Drift, RepositorySync, SyncLog
from apps.integrations.readable_installations import installation_reaching
from apps.integrations.reconciliation.schedule import (
    EVERYTHING,
    MOST_REPOSITORIES,
    Scope,
    of_installation,
    of_repositories,
    of_team,
)
from apps.teams.models import Team

SHOWN_FIRST = ("running", "waiting", "paused", "failed", "cancelled", "done")
WORDS = {
    "running": "being compared",
    "waiting": "waiting",
    "failed": "failed",
    "done": "done",
}
STYLES = {"completed": "green", "failed": "bold red", "running": "yellow"}
MOST_NAMED = 20
NOT_COMPARED = (
    "In repositories that were not due (each is, one night in seven), deleted comments, open pull requests, and"
    " deployments and workflow runs of the last month were not compared. `manage.py reconcile` without --quick"
    " compares them."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A run at one moment. `items` is what was read for it so far."""

    sync: SyncLog
    states: Mapping[str, int]
    differing: int
    items: int
    touched: object
    """A value that changes whenever a worker did something for the run."""

    @property
    def total(self) -> int:
        return sum(self.states.values())

    @property
    def ended(self) -> int:
        """Return how many of its repositories have ended."""
        return self.states.get("done", 0) + self.states.get("failed", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """How far our tables were off in one stream, in all repositories of a run together."""

    stream: str
    checked: int
    missing: int
    stale: int
    repaired: int
    deleted: int

    @property
    def off(self) -> int:
        return self.missing + self.stale + self.deleted


def progress_of(sync: SyncLog) -> Progress:
    """Return the progress of the run, its row read anew."""
    sync.refresh_from_db()
    rows = RepositorySync.objects.filter(sync=sync)
    states = dict(rows.order_by().values_list("state").annotate(count=Count("pk")))
    backfills = Backfill.objects.filter(sync__sync=sync)
    read = backfills.aggregate(items=Sum("items", default=0), pages=Sum("pages", default=0))
    claims = rows.aggregate(claims=Sum("claim_number", default=0))["claims"]
    return Progress(
        sync=sync,
        states=states,
        differing=rows.exclude(differs=[]).count(),
        items=read["items"],
        touched=(sync.status, sync.is_fanned_out, states, claims, read["pages"]),
    )


def found_in(rows: QuerySet[RepositorySync]) -> list[Found]:
    """Return what was off in these, stream by stream."""
    drifts = Drift.objects.filter(repository_sync__in=rows.order_by().values("pk"))
    sums = {name: Sum(name) for name in Drift.COUNTS}
    summed: Iterable[Any] = drifts.order_by("stream").values("stream").annotate(**sums)
    return [Found(**one) for one in summed]


def progress_view(progress: Progress) -> RenderableType:
    """Return a bar and the states of the repositories."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_row(
        ProgressBar(total=progress.total or 1, completed=progress.ended, width=30),
        f"{progress.ended:,} of {progress.total:,} repositories",
    )
    return Group(Text(str(progress.sync), style="bold"), grid, Text(state_words(progress)))


def progress_line(progress: Progress, *, now: datetime) -> str:
    """Return the progress as one plain line."""
    return f"{now:%H:%M:%S}  {progress.ended:,} of {progress.total:,} repositories; {state_words(progress)}"


def state_words(progress: Progress) -> str:
    """Return words such as: 3 being compared, 37 done; 3 differ, 250 items read."""
    if not progress.sync.is_fanned_out and not progress.total:
        return "waiting for a worker"
    counts = [f"{progress.states[state]:,} {WORDS[state]}" for state in SHOWN_FIRST if progress.states.get(state)]
    differing = f"; {progress.differing:,} differ, {progress.items:,} items read" if progress.differing else ""
    return (", ".join(counts) or "nothing to compare") + differing


def outcome_lines(progress: Progress) -> list[str]:
    """Return lines about what was compared, and what could not be."""
    rows = RepositorySync.objects.filter(sync=progress.sync)
    unchanged = rows.filter(state="done", differs=[]).count()
    differed = progress.states.get("done", 0) - unchanged
    failed = rows.filter(state="failed").select_related("repository").order_by("repository__full_name")
    count = progress.states.get("failed", 0)
    lines = [
        f"{progress.total:,} repositories: {unchanged:,} equal at first sight, {differed:,} read, {count:,} failed."
    ]
    lines += [f"{row.repository}: {row.error or row.reason.replace('_', ' ')}" for row in failed[:MOST_NAMED]]
    if count > MOST_NAMED:
        lines.append(f"… and {count - MOST_NAMED:,} more; the admin lists all of them under Reconciliation.")
    lines += [f"Team {team_run.team.slug}: {team_run.error}" for team_run in _unreached_team_runs(progress.sync)]
    return [*lines, off_line(found_in(rows))]


def off_line(found: Sequence[Found]) -> str:
    """Return what was off in all streams together, in words."""
    off, repaired = sum(one.off for one in found), sum(one.repaired for one in found)
    if not off:
        return "Nothing was off."
    missing, stale, deleted = (sum(getattr(one, name) for one in found) for name in ("missing", "stale", "deleted"))
    words = f"{off:,} were off: {missing:,} missing, {stale:,} stale, {deleted:,} deleted on GitHub"
    return f"{words}; {repaired:,} repaired."


def found_table(found: Sequence[Found]) -> RenderableType:
    """Return a table of what was off, stream by stream."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("stream", min_width=17)
    for name in Drift.COUNTS:
        table.add_column(name, justify="right", min_width=8)
    for one in found:
        table.add_row(one.stream, *(f"{getattr(one, name):,}" for name in Drift.COUNTS))
    return table


def run_table(progresses: Sequence[Progress]) -> RenderableType:
    """Return a table of runs, the latest first."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("run", overflow="ellipsis", no_wrap=True, max_width=30)
    for name in ("status", "started", "took", "repositories"):
        table.add_column(name, no_wrap=True)
    table.add_column("off", justify="right")
    for one in progresses:
        sync = one.sync
        off = sum(found.off for found in found_in(RepositorySync.objects.filter(sync=sync)))
        table.add_row(
            sync.sync_id,
            Text(sync.status, style=STYLES.get(sync.status, "")),
            f"{sync.created_at.astimezone(UTC):%m-%d %H:%M}",
            _took(sync),
            f"{one.ended:,} of {one.total:,}",
            f"{off:,}",
        )
    return table


def as_document(progress: Progress) -> dict[str, Any]:
    """Return a run for machines; times in ISO 8601, UTC."""
    sync = progress.sync
    found = found_in(RepositorySync.objects.filter(sync=sync))
    times = ("created_at", "started_at", "finished_at")
    return {
        **{name: getattr(sync, name) for name in ("sync_id", "cause", "scope", "status", "error", "is_fanned_out")},
        **{name: at.isoformat() if (at := getattr(sync, name)) else None for name in times},
        "repositories": dict(progress.states),
        "drift": {one.stream: {name: getattr(one, name) for name in Drift.COUNTS} for one in found},
    }


def _took(sync: SyncLog) -> str:
    if sync.finished_at is None:
        return ""
    seconds = round((sync.finished_at - sync.created_at).total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"  # noqa: PLR2004  two minutes


def _unreached_team_runs(sync: SyncLog) -> Any:
    """Return the teams of which no repository could be compared."""
    return sync.teams.filter(status="failed", repository_ids=[]).select_related("team").order_by("team__slug")


POLL_EVERY_S, LINE_EVERY_S = 1.0, 5.0
UNTOUCHED_S = 90.0
NO_WORKER = "Nothing has happened for 90 s: do beat and workers for `maintenance` and `backfill` run?"
Show = Callable[[Progress, str], None]


def watch(sync: SyncLog, *, console: Console) -> Progress:
    """Show the run until it has succeeded or failed; return its progress then.

    A live bar on a terminal; elsewhere a plain line every few seconds.
    """
    if not console.is_terminal:
        return _poll(sync, show=_printer(console), every_s=LINE_EVERY_S)
    with Live(console=console, auto_refresh=False) as live:

        def show(progress: Progress, note: str) -> None:
            view = progress_view(progress)
            live.update(Group(view, Text(note, style="bold yellow")) if note else view, refresh=True)

        return _poll(sync, show=show, every_s=POLL_EVERY_S)


def _printer(console: Console) -> Show:
    def show(progress: Progress, note: str) -> None:
        console.print(progress_line(progress, now=timezone.now()), soft_wrap=True)
        if note:
            console.print(note, soft_wrap=True)

    return show


def _poll(sync: SyncLog, *, show: Show, every_s: float) -> Progress:
    touched: object = None
    touched_at_s = time.monotonic()
    while True:
        progress = progress_of(sync)
        if progress.touched != touched:
            touched, touched_at_s = progress.touched, time.monotonic()
        show(progress, NO_WORKER if time.monotonic() - touched_at_s > UNTOUCHED_S else "")
        if progress.sync.status not in SyncLog.UNFINISHED:
            return progress
        time.sleep(every_s)


EXAMPLES = """\
examples:
  manage.py reconcile --all --wait               everything we reach, and watch
  manage.py reconcile --team acme                what a team tracks
  manage.py reconcile --repository acme/api --wait
  manage.py reconcile --all --quick              only what changed, as at night
  manage.py reconcile --repository acme/api --accept-mass-deletions
                                                 after mass_deletions
  manage.py reconcile --installation 7
  manage.py reconcile --list                     the latest runs

Exit code: 0 done, 1 something could not be compared or cannot be done,
2 usage, 130 interrupted while watching."""


def add_arguments(parser: CommandParser) -> None:
    """Add the arguments that choose what to compare, or what to show instead."""
    which = parser.add_argument_group("what to compare (one of these), or to show")
    which.add_argument("--team", metavar="SLUG", help="all that the team tracks")
    which.add_argument(
        "--repository",
        type=full_name,
        action="append",
        metavar="OWNER/REPO",
        dest="full_names",
        help="this repository; repeat it for several",
    )
    which.add_argument("--installation", type=int, metavar="ID", help="all that the installation reaches")
    which.add_argument("--all", action="store_true", help="all that any installation reaches, as at night")
    which.add_argument("--list", action="store_true", help="show the latest runs instead of starting one")
    parser.add_argument(
        "--accept-mass-deletions",
        action="store_true",
        help="with --repository: mark as deleted what GitHub has no more, however much it is",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="as at night: what changes without a trace (deleted comments, open pull requests, deployments and"
        " workflow runs of the last month) is compared only in repositories that are due, one night in seven",
    )
    parser.add_argument("--wait", action="store_true", help="watch until it is over; Ctrl-C only stops watching")
    parser.add_argument("--json", action="store_true", help="with --list: for machines")


def choices_in(options: dict[str, Any]) -> int:
    """Count the selections, of which there may be one."""
    named = [options[name] for name in ("team", "full_names", "all", "list")]
    return sum(map(bool, named)) + (options["installation"] is not None)


def scope_of(options: dict[str, Any]) -> Scope:
    """Return the scope that was named; NothingToStartError if it cannot be compared."""
    if options["team"]:
        return of_team(_team(options["team"]).pk)
    if options["full_names"]:
        return of_repositories(_repositories(options["full_names"]))
    if options["installation"] is not None:
        chosen(installation_id=options["installation"])
        return of_installation(options["installation"])
    chosen(everything=True)
    return Scope(EVERYTHING)


def _team(slug: str) -> Team:
    team: Team | None = Team.objects.filter(slug=slug).first()
    if team is None:
        slugs = ", ".join(Team.objects.order_by("slug").values_list("slug", flat=True))
        raise NothingToStartError(f"There is no team {slug!r}; there are {slugs or 'none yet'}.")
    if not team.is_approved:
        raise CannotBeReadError(
            f"Team {slug} waits for approval: approve it in the admin, or name it in ALLOWED_ACCOUNTS."
        )
    _require_reached(chosen(team=team).values_list("pk", flat=True), what=f"what team {slug} tracks")
    return team


def _repositories(full_names: list[str]) -> list[int]:
    ids = [repository.pk for repository in chosen(full_names=full_names)]
    if len(ids) > MOST_REPOSITORIES:
        raise NothingToStartError(f"Name at most {MOST_REPOSITORIES} repositories, or a team, or an installation.")
    reached = installation_reaching(ids)
    lost = Repository.objects.filter(pk__in=set(ids) - set(reached)).order_by("full_name")
    if lost:
        names = ", ".join(map(str, lost))
        raise CannotBeReadError(f"No installation of the App reaches {names}: give it access there on GitHub.")
    return ids


def _require_reached(repository_ids: Any, *, what: str) -> None:
    if not installation_reaching(list(repository_ids)):
        raise CannotBeReadError(f"No installation of the App reaches {what}: give it access there on GitHub.")
