"""Backfills and forecasts as a terminal of 80 columns shows them."""

import time
from argparse import ArgumentTypeError
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from django.core.management.base import CommandParser
from django.utils import timezone
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from apps.github.rate_limit import BudgetNow
from apps.integrations.backfill.github_item_counts import Uncounted
from apps.integrations.backfill.start_forecast import Cost, Forecast
from apps.integrations.backfill.status import Progress, progress_of
from apps.integrations.models import Backfill
from apps.integrations.streams import STREAM_NAMES
from apps.jobs.status import size_of
from apps.metrics.figures.formatting import NO_VALUE, duration

State = Backfill.State
FEWEST_ROWS = 5
BESIDE_ROWS = 10
"""Lines of a live display that show no backfill."""
SOON_S = 3.0
STYLES = {State.RUNNING: "green", State.FAILED: "bold red", State.PAUSED: "yellow", State.DONE: "dim"}
FIRST_SHOWN = (State.RUNNING, State.FAILED, State.WAITING, State.PAUSED, State.CANCELLED, State.DONE)
WORDS = {
    "spent": "limit is spent",
    "blocked": "GitHub: slow down",
    "busy": "other requests",
    "token_refused": "token refused",
}
"""Reasons for which a backfill waits, where the one word in its row would be too short."""


def progress_view(rows: Sequence[Backfill], progress: Progress, *, now: datetime, height: int) -> RenderableType:
    """Backfills as far as the height allows, and all of them together below."""
    return Group(
        backfill_table(rows, now=now, most=max(FEWEST_ROWS, height - BESIDE_ROWS)),
        Text(),
        _all_together(progress),
        *(Text(line, style="dim") for line in budget_lines(progress)),
        *([Text(waiting_line(progress, now=now), style="yellow")] if progress.waits_until else []),
    )


def backfill_table(rows: Sequence[Backfill], *, now: datetime, most: int) -> RenderableType:
    """Repository by repository, a line for each stream; those come first in which something happens."""
    by_repository: dict[int, list[Backfill]] = defaultdict(list)
    for row in rows:
        by_repository[row.repository_id].append(row)
    groups = sorted(by_repository.values(), key=lambda group: (min(map(_place, group)), str(group[0].repository)))
    shown, lines = 0, list[RenderableType]()
    for group in groups:
        if lines and shown + len(group) + 1 > most:
            break
        shown += len(group) + 1
        lines += [Text(str(group[0].repository), style="bold", no_wrap=True, overflow="ellipsis"), _streams(group, now)]
    hidden = len(groups) - len(lines) // 2
    if hidden:
        lines.append(Text(f"… and {hidden:,} more {'repository' if hidden == 1 else 'repositories'}", style="dim"))
    return Group(*lines)


def _streams(group: Sequence[Backfill], now: datetime) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(width=17, no_wrap=True)
    table.add_column(width=19, no_wrap=True, justify="right")
    table.add_column(width=8)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for row in sorted(group, key=lambda row: STREAM_NAMES.index(row.stream)):
        style = STYLES.get(State(row.state), "")
        table.add_row(f"  {row.stream}", _read(row), _bar(row), standing(row, now=now), style=style)
    return table


def _place(row: Backfill) -> int:
    return FIRST_SHOWN.index(State(row.state))


def standing(row: Backfill, *, now: datetime) -> str:
    """Return what the backfill does, or what it waits for and for how long."""
    match State(row.state):
        case State.RUNNING:
            return "reading"
        case State.WAITING:
            wait_s = (row.not_before - now).total_seconds()
            why = WORDS.get(row.reason, row.reason.replace("_", " "))
            return f"{why or 'waits'}, {duration(wait_s)}" if wait_s > SOON_S else "waits"
        case State.FAILED:
            return f"failed: {row.error or row.reason}"
        case state:
            return str(state)


def progress_line(progress: Progress, *, now: datetime) -> str:
    """Return all of it as one plain line."""
    parts = [states_words(progress), read_words(progress), f"{progress.points:,} points"]
    if progress.waits_until:
        parts.append(waiting_line(progress, now=now))
    return f"{now:%H:%M:%S}  " + "; ".join(parts)


def states_words(progress: Progress) -> str:
    """Such as: 3 running, 4 waiting, 1 done."""
    words = [f"{progress.states[state]:,} {state}" for state in FIRST_SHOWN if progress.states.get(state)]
    return ", ".join(words) + (f" ({progress.unsized:,} of unknown size)" if progress.unsized else "")


def read_words(progress: Progress) -> str:
    """Such as: 1,250 of 4,000 items, 12/s, about 4 m 00 s left."""
    size = f"{progress.done:,} of {progress.total:,} items" if progress.total else f"{progress.done:,} items"
    rate = f", {progress.items_per_s:,.1f}/s" if progress.items_per_s else ""
    about = "at least" if progress.unsized else "about"
    eta = f", {about} {duration(progress.eta_s)} left" if progress.eta_s else ""
    return f"{size}{rate}{eta}"


def waiting_line(progress: Progress, *, now: datetime) -> str:
    until = progress.waits_until or now
    return f"nothing may be read for {duration((until - now).total_seconds())}, until {clock(until)}"


def budget_lines(progress: Progress) -> list[str]:
    """Return what was spent, and what is left of each limit."""
    spent = f"{progress.points:,} points spent in {progress.calls:,} calls"
    return [spent, *(f"installation {key}: {budget_words(budgets)}" for key, budgets in progress.budgets.items())]


def budget_words(budgets: Iterable[BudgetNow]) -> str:
    """Such as: 4,900 of 5,000 graphql left until 14:02 UTC."""
    words = [
        f"{one.remaining:,} of {one.limit:,} {one.resource} left until {clock(_moment(one.resets_at))}"
        for one in budgets
    ]
    return ", ".join(words) or "no limit is known"


def forecast_view(forecast: Forecast) -> RenderableType:
    """Return a dry run's answer."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for name in ("stream", "items", "calls", "points", "work"):
        table.add_column(name, justify="left" if name == "stream" else "right", min_width=9)
    for each in forecast.streams:
        about = "~" if each.is_estimate else ""
        table.add_row(each.stream, f"{about}{each.items:,}", *_cost_cells(about, each.cost))
    table.add_section()
    table.add_row("in all", f"{sum(each.items for each in forecast.streams):,}", *_cost_cells("", forecast.cost))
    return Group(table, Text(), *(Text(line) for line in forecast_lines(forecast)))


def forecast_lines(forecast: Forecast) -> list[str]:
    """Return how long it would take, what is left of the limits, and what the numbers leave out."""
    took = forecast.duration
    wait = ", waiting for a limit's reset included" if took.is_waiting else ", without waiting for any limit"
    lines = [f"About {duration(took.seconds)}{wait}."]
    for one in forecast.installations:
        lines.append(f"Installation {one.installation_id}: {budget_words(one.budgets)}.")
    if any(each.is_estimate for each in forecast.streams):
        lines.append("~ is an estimate; all other numbers are GitHub's counts.")
    if forecast.under_way:
        lines.append(f"{forecast.under_way:,} of these backfills are already running.")
    return [*lines, *uncounted_lines(forecast.uncounted), *unreachable_lines(str(one) for one in forecast.unreachable)]


def uncounted_lines(uncounted: Sequence[Uncounted]) -> list[str]:
    return [f"Not counted: {each.what}: {each.why}" for each in uncounted]


def unreachable_lines(names: Iterable[str]) -> list[str]:
    return [f"Not reached by any installation: {name}. Give the App access to it on GitHub." for name in names]


def clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%H:%M} UTC"


def _moment(since_1970_s: float) -> datetime:
    return datetime.fromtimestamp(since_1970_s, UTC)


def _cost_cells(about: str, cost: Cost) -> tuple[str, str, str]:
    return (f"{about}{cost.calls:,}", f"{about}{cost.points:,}", duration(cost.seconds))


def _all_together(progress: Progress) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_row(ProgressBar(total=progress.total or 1, completed=progress.done, width=17), read_words(progress))
    return Group(Text(states_words(progress)), grid)


def _read(row: Backfill) -> str:
    size = size_of(row)
    if size is None or row.state not in Backfill.UNFINISHED:
        return f"{row.items:,}" if row.started_at or row.items else NO_VALUE
    return f"{row.items:,} of {size:,}"


def _bar(row: Backfill) -> RenderableType:
    size = size_of(row)
    return ProgressBar(total=max(size, 1), completed=row.items, width=8) if size else ""


LOOK_EVERY_S = 1.0
LOOK_AT_MANY_EVERY_S = 5.0
MANY = 200
LINE_EVERY_S = 5.0
UNTOUCHED_S = 30.0
NO_WORKER = "No worker has taken any of this for 30 s: does a worker serve the queue `backfill`?"
GOING_ON = {Backfill.State.WAITING, Backfill.State.RUNNING}


def watch(ids: Sequence[int], *, console: Console) -> list[Backfill]:
    """Show the backfills until each is done, failed, cancelled or paused, and return them as they are then.

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


EXAMPLES = f"""\
examples:
  manage.py backfill acme/api --since 90d --wait    the last 90 days, and watch
  manage.py backfill --installation 7 --dry-run     what would it take?
  manage.py backfill --all --streams pull_requests  whatever we reach
  manage.py backfill --list                         show its state
  manage.py backfill --pause acme/api               until --resume acme/api

streams: {", ".join(STREAM_NAMES[:4])},
         {", ".join(STREAM_NAMES[4:])}

Exit code: 0 done, 1 something failed or cannot be done, 2 usage,
130 interrupted while watching."""


def moment(text: str) -> datetime:
    """Return a day, a time, or so many days ago; UTC unless it says otherwise."""
    if text[-1:] == "d" and text[:-1].isdecimal():
        return timezone.now() - timedelta(days=int(text[:-1]))
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(
            f"{text!r} is no day like 2026-03-02, no time, and no number of days like 90d"
        ) from error
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def streams(text: str) -> tuple[str, ...]:
    named = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in named if name not in STREAM_NAMES]
    if unknown or not named:
        raise ArgumentTypeError(
            f"there is no stream {', '.join(unknown) or text!r}; there are {', '.join(STREAM_NAMES)}"
        )
    return named


def full_name(text: str) -> str:
    owner, slash, name = text.strip().partition("/")
    if not owner or not slash or not name or "/" in name:
        raise ArgumentTypeError(f"{text!r} is not OWNER/REPO")
    return text.strip()


def add_arguments(parser: CommandParser) -> None:
    """Add options: which repositories, what of them, and what to do instead of starting."""
    which = parser.add_argument_group("which repositories (any of these together)")
    which.add_argument("full_names", nargs="*", type=full_name, metavar="OWNER/REPO")
    which.add_argument("--installation", type=int, metavar="ID", help="all that the installation reaches")
    which.add_argument("--team", metavar="SLUG", help="all that the team tracks")
    which.add_argument("--all", action="store_true", help="all that any installation reaches")
    what = parser.add_argument_group("what of them")
    what.add_argument(
        "--since", type=moment, metavar="WHEN", help="what was updated since: 2026-03-02, 90d (ago), a time"
    )
    what.add_argument("--until", type=moment, metavar="WHEN", help="nothing that was created later")
    what.add_argument("--streams", type=streams, default=None, metavar="A,B", help="only these streams")
    what.add_argument("--wait", action="store_true", help="watch until all of it is done; Ctrl-C only stops watching")
    instead = parser.add_argument_group("instead of a start").add_mutually_exclusive_group()
    instead.add_argument("--dry-run", action="store_true", help="ask GitHub how much there is, and say what it takes")
    instead.add_argument("--list", action="store_true", help="show the state of backfills")
    instead.add_argument("--pause", action="store_true", help="pause backfills")
    instead.add_argument("--resume", action="store_true", help="continue paused backfills")
    instead.add_argument("--cancel", action="store_true", help="end backfills for good; what was read stays")
    instead.add_argument("--retry", action="store_true", help="continue failed backfills where they stopped")
    parser.add_argument("--json", action="store_true", help="with --list: for machines")
