"""Watching a run at the terminal until it is over."""

import time
from collections.abc import Callable

from django.utils import timezone
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from apps.integrations.models import SyncLog
from apps.integrations.reconciliation.runs.progress import Progress, progress_of
from apps.integrations.reconciliation.runs.showing import progress_line, progress_view

LOOK_EVERY_S, LINE_EVERY_S = 1.0, 5.0
UNTOUCHED_S = 90.0
NO_WORKER = "Nothing has happened for 90 s: do beat and workers for `maintenance` and `backfill` run?"
Show = Callable[[Progress, str], None]


def watch(sync: SyncLog, *, console: Console) -> Progress:
    """Show the run until it has succeeded or failed; how it stands then.

    A live bar on a terminal; elsewhere a plain line every few seconds.
    """
    if not console.is_terminal:
        return _look(sync, show=_printer(console), every_s=LINE_EVERY_S)
    with Live(console=console, auto_refresh=False) as live:

        def show(progress: Progress, note: str) -> None:
            view = progress_view(progress)
            live.update(Group(view, Text(note, style="bold yellow")) if note else view, refresh=True)

        return _look(sync, show=show, every_s=LOOK_EVERY_S)


def _printer(console: Console) -> Show:
    def show(progress: Progress, note: str) -> None:
        console.print(progress_line(progress, now=timezone.now()), soft_wrap=True)
        if note:
            console.print(note, soft_wrap=True)

    return show


def _look(sync: SyncLog, *, show: Show, every_s: float) -> Progress:
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
