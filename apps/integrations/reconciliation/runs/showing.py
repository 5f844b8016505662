"""Runs as a terminal of 80 columns shows them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from apps.integrations.models import Drift, RepositorySync, SyncLog
from apps.integrations.reconciliation.runs.progress import Found, Progress, found_in

SHOWN_FIRST = ("running", "walking", "waiting", "failed", "done")
WORDS = {
    "running": "being compared",
    "walking": "being read",
    "waiting": "waiting",
    "failed": "failed",
    "done": "done",
}
STYLES = {"completed": "green", "failed": "bold red", "running": "yellow"}
MOST_NAMED = 20
NOT_LOOKED_AT = (
    "Where it was not their turn (one night in seven), deleted comments, open pull requests, and deployments and"
    " workflow runs of the last month were not looked at. `manage.py reconcile` without --quick looks at them."
)


def progress_view(progress: Progress) -> RenderableType:
    """A bar, and what the repositories are at."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_row(
        ProgressBar(total=progress.total or 1, completed=progress.ended, width=30),
        f"{progress.ended:,} of {progress.total:,} repositories",
    )
    return Group(Text(str(progress.sync), style="bold"), grid, Text(state_words(progress)))


def progress_line(progress: Progress, *, now: datetime) -> str:
    """All of it as one plain line."""
    return f"{now:%H:%M:%S}  {progress.ended:,} of {progress.total:,} repositories; {state_words(progress)}"


def state_words(progress: Progress) -> str:
    """Such as: 3 being read, 37 done; 3 differ, 250 items read."""
    if not progress.sync.is_spread and not progress.total:
        return "waiting for a worker"
    told = [f"{progress.states[state]:,} {WORDS[state]}" for state in SHOWN_FIRST if progress.states.get(state)]
    differing = f"; {progress.differing:,} differ, {progress.items:,} items read" if progress.differing else ""
    return (", ".join(told) or "nothing to compare") + differing


def outcome_lines(progress: Progress) -> list[str]:
    """What was compared, and what could not be."""
    rows = RepositorySync.objects.filter(sync=progress.sync)
    quiet = rows.filter(state="done", differs=[]).count()
    differed = progress.states.get("done", 0) - quiet
    failed = rows.filter(state="failed").select_related("repository").order_by("repository__full_name")
    count = progress.states.get("failed", 0)
    lines = [f"{progress.total:,} repositories: {quiet:,} equal at first sight, {differed:,} read, {count:,} failed."]
    lines += [f"{row.repository}: {row.error or row.reason.replace('_', ' ')}" for row in failed[:MOST_NAMED]]
    if count > MOST_NAMED:
        lines.append(f"… and {count - MOST_NAMED:,} more; the admin lists all of them under Reconciliation.")
    lines += [f"Team {part.team.slug}: {part.error}" for part in _unreached_parts(progress.sync)]
    return [*lines, off_line(found_in(rows))]


def off_line(found: Sequence[Found]) -> str:
    """What our tables were off by, all streams together."""
    off, repaired = sum(one.off for one in found), sum(one.repaired for one in found)
    if not off:
        return "Nothing was off."
    missing, stale, deleted = (sum(getattr(one, name) for one in found) for name in ("missing", "stale", "deleted"))
    words = f"{off:,} were off: {missing:,} missing, {stale:,} stale, {deleted:,} deleted on GitHub"
    return f"{words}; {repaired:,} repaired."


def found_table(found: Sequence[Found]) -> RenderableType:
    """What was off, stream by stream."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("stream", min_width=17)
    for name in Drift.COUNTS:
        table.add_column(name, justify="right", min_width=8)
    for one in found:
        table.add_row(one.stream, *(f"{getattr(one, name):,}" for name in Drift.COUNTS))
    return table


def run_table(progresses: Sequence[Progress]) -> RenderableType:
    """Run by run, the latest first."""
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
    """A run for machines; times in ISO 8601, UTC."""
    sync = progress.sync
    found = found_in(RepositorySync.objects.filter(sync=sync))
    times = ("created_at", "started_at", "finished_at")
    return {
        **{name: getattr(sync, name) for name in ("sync_id", "cause", "scope", "status", "error", "is_spread")},
        **{name: at.isoformat() if (at := getattr(sync, name)) else None for name in times},
        "repositories": dict(progress.states),
        "drift": {one.stream: {name: getattr(one, name) for name in Drift.COUNTS} for one in found},
    }


def _took(sync: SyncLog) -> str:
    if sync.finished_at is None:
        return ""
    seconds = round((sync.finished_at - sync.created_at).total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"  # noqa: PLR2004  two minutes


def _unreached_parts(sync: SyncLog) -> Any:
    """Teams that failed as a whole: of none of their repositories is there a row."""
    return sync.teams.filter(status="failed", repository_ids=[]).select_related("team").order_by("team__slug")
