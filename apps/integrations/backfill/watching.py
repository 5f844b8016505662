"""Watching walks at the terminal until none of them goes on by itself."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from django.utils import timezone
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from apps.integrations.backfill.progress import Progress, progress_of
from apps.integrations.backfill.showing import progress_line, progress_view
from apps.integrations.models import Backfill

LOOK_EVERY_S = 1.0
LOOK_AT_MANY_EVERY_S = 5.0
MANY = 200
LINE_EVERY_S = 5.0
UNTOUCHED_S = 30.0
NO_WORKER = "Nobody has taken any of this for 30 s: does a worker serve the queue `backfill`?"
GOING_ON = {Backfill.State.WAITING, Backfill.State.RUNNING}


def watch(ids: Sequence[int], *, console: Console) -> list[Backfill]:
    """Show the walks until each is done, failed, cancelled or paused; how they stand then.

    A live table on a terminal; elsewhere a plain line every few seconds.
    """
    return _watch_live(ids, console=console) if console.is_terminal else _watch_plainly(ids, console=console)


def _watch_live(ids: Sequence[int], *, console: Console) -> list[Backfill]:
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:

        def show(rows: list[Backfill], progress: Progress, now: datetime, note: str) -> None:
            view = progress_view(rows, progress, now=now, height=console.height)
            live.update(Group(view, Text(note, style="bold yellow")) if note else view, refresh=True)

        return _look(ids, show=show, every_s=LOOK_EVERY_S)


def _watch_plainly(ids: Sequence[int], *, console: Console) -> list[Backfill]:
    def show(rows: list[Backfill], progress: Progress, now: datetime, note: str) -> None:
        console.print(progress_line(progress, now=now), soft_wrap=True)
        if note:
            console.print(note, soft_wrap=True)

    return _look(ids, show=show, every_s=LINE_EVERY_S)


Show = Callable[[list[Backfill], Progress, datetime, str], None]


def _look(ids: Sequence[int], *, show: Show, every_s: float) -> list[Backfill]:
    touched: object = None
    touched_at_s = time.monotonic()
    while True:
        rows = list(Backfill.objects.filter(pk__in=ids).select_related("repository").order_by("pk"))
        progress = progress_of(rows)
        if touched != (touched := [(row.claim_number, row.pages) for row in rows]) or progress.waits_until:
            touched_at_s = time.monotonic()
        is_untouched = time.monotonic() - touched_at_s > UNTOUCHED_S
        show(rows, progress, timezone.now(), NO_WORKER if is_untouched else "")
        if not any(row.state in GOING_ON for row in rows):
            return rows
        time.sleep(max(every_s, LOOK_AT_MANY_EVERY_S) if len(rows) > MANY else every_s)
