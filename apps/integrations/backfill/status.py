"""How far walks have come, and when they will be done."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from apps.github.rate_limit import BudgetNow, RateBudget, shared_memory
from apps.integrations.models import Backfill


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far some walks have come together.

    `total` is what they will have read at the end, as far as is known; of `unsized` walks it is not, before their first
    page and where GitHub does not say, so the end may be further away than `eta_s`. `waits_until` is set where nothing
    may be read before then.
    """

    states: Mapping[str, int]
    """How many walks are in each state; states without any are left out."""
    done: int
    total: int
    unsized: int
    items_per_s: float | None
    eta_s: float | None
    calls: int
    points: int
    waits_until: datetime | None
    budgets: Mapping[int, tuple[BudgetNow, ...]]
    """What is left of each installation's hourly limits; nothing where Redis is away or nothing was asked yet."""


def progress_of(backfills: Iterable[Backfill], *, budget: RateBudget | None = None) -> Progress:
    """How far these walks have come together."""
    rows = list(backfills)
    now = timezone.now()
    done = sum(row.items for row in rows)
    total = sum(row.items if (size := size_of(row)) is None else size for row in rows)
    unfinished = [row for row in rows if row.state in Backfill.UNFINISHED]
    rate = _items_per_s(rows, now=now)
    waits_until = _waits_until(unfinished, now=now)
    return Progress(
        states=Counter(row.state for row in rows),
        done=done,
        total=total,
        unsized=sum(size_of(row) is None for row in unfinished),
        items_per_s=rate,
        eta_s=_eta_s(unfinished, rate=rate, waits_until=waits_until, now=now),
        calls=sum(row.calls for row in rows),
        points=sum(row.points for row in rows),
        waits_until=waits_until,
        budgets=budgets_of(rows, budget=budget),
    )


def budgets_of(rows: Iterable[Backfill], *, budget: RateBudget | None = None) -> Mapping[int, tuple[BudgetNow, ...]]:
    """What is left of the hourly limits of each installation that reads these; nothing where Redis is away."""
    ids = sorted({row.installation_id for row in rows if row.installation_id is not None})
    asked = budget or RateBudget(redis=shared_memory())
    return {installation_id: tuple(asked.read(installation_id)) for installation_id in ids}


def eta_s_of(rows: Sequence[Backfill], *, now: datetime) -> float | None:
    """Seconds until these walks are done, if they go on as before; None where that cannot be told."""
    unfinished = [row for row in rows if row.state in Backfill.UNFINISHED]
    if not unfinished:
        return None
    rate, waits_until = _items_per_s(rows, now=now), _waits_until(unfinished, now=now)
    return _eta_s(unfinished, rate=rate, waits_until=waits_until, now=now)


def waits_until_of(row: Backfill, *, now: datetime) -> datetime | None:
    """Before when the walk does not go on; None where it does not wait for a time."""
    return row.not_before if row.state == Backfill.State.WAITING and row.not_before > now else None


def size_of(row: Backfill) -> int | None:
    """How many items the walk will have read at its end, as far as is known."""
    if row.state not in Backfill.UNFINISHED:
        return row.items
    return None if row.total is None else max(row.total, row.items)


def _items_per_s(rows: Sequence[Backfill], *, now: datetime) -> float | None:
    """Over the time since the first of them left its start; None before anything was read."""
    begun = [row.started_at for row in rows if row.started_at is not None]
    read = sum(row.items for row in rows if row.started_at is not None)
    if not begun or not read:
        return None
    ends = [row.finished_at for row in rows]
    end = now if None in ends else max(moment for moment in ends if moment is not None)
    return read / max(1.0, (end - min(begun)).total_seconds())


def _eta_s(
    unfinished: Sequence[Backfill], *, rate: float | None, waits_until: datetime | None, now: datetime
) -> float | None:
    """Seconds until the walks whose size is known are done, if they go on as before."""
    if not unfinished:
        return 0.0
    sized = [row for row in unfinished if row.state != Backfill.State.PAUSED and size_of(row) is not None]
    if rate is None or not sized:
        return None
    left = sum((size_of(row) or 0) - row.items for row in sized)
    wait_s = (waits_until - now).total_seconds() if waits_until else 0.0
    return wait_s + left / rate


def _waits_until(unfinished: Sequence[Backfill], *, now: datetime) -> datetime | None:
    """When the first of them may go on, if none may now."""
    active = [row for row in unfinished if row.state != Backfill.State.PAUSED]
    if not active or any(row.state == Backfill.State.RUNNING or row.not_before <= now for row in active):
        return None
    return min(row.not_before for row in active)


State = Backfill.State
ALMOST = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """How a walk stands.

    `percent` is below 100 until it is done, None while GitHub has not said how much there is; `why` says what it waits
    for or why it ended, `advice` what to do: both are empty where nothing is to be said.
    """

    percent: int | None
    eta_s: float | None
    waits_until: datetime | None
    why: str
    advice: str


def outlook_of(row: Backfill, *, now: datetime) -> Outlook:
    """How this walk stands now."""
    why, advice = _told(row)
    return Outlook(
        percent=percent_of(row),
        eta_s=eta_s_of([row], now=now),
        waits_until=waits_until_of(row, now=now),
        why=why,
        advice=advice,
    )


def percent_of(row: Backfill) -> int | None:
    """How much of what there is was read, in whole percents."""
    if row.state == State.DONE:
        return 100
    if row.total is None:
        return None
    return min(ALMOST, 100 * row.items // max(row.total, row.items, 1))


def _told(row: Backfill) -> tuple[str, str]:
    match State(row.state):
        case State.WAITING:
            return WAITS.get(row.reason) or (_spaced(row.reason), "")
        case State.FAILED:
            return FAILS.get(row.reason) or (_spaced(row.reason), LOOK_AND_RETRY)
        case State.PAUSED:
            return PAUSED
        case _:
            return "", ""


def _spaced(reason: str) -> str:
    return reason.replace("_", " ")


LOOK_AND_RETRY = "Check GitHub's message, then retry: it continues where it stopped."

PAUSED = ("Paused.", "Resume it to continue where it stopped.")

Told = Mapping[str, tuple[str, str]]
"""By the one word that a row keeps as its reason: why, and what to do."""

WAITS: Told = {
    "": ("", ""),
    "busy": ("Other backfills of the installation are running.", ""),
    "spent": ("GitHub's hourly rate limit is used up, except for a reserve for live work.", ""),
    "blocked": ("GitHub asked us to slow down.", ""),
    "token_refused": (
        "GitHub refuses the installation's token, or returns none; retrying with increasing waits.",
        "`manage.py doctor` shows GitHub's message.",
    ),
    "unanswered": ("GitHub did not answer; retrying with increasing waits.", ""),
    "timed_out": ("A page took too long; retrying.", ""),
    "gone": ("GitHub says that the repository does not exist; retrying.", ""),
    "not_recorded": ("A page could not be stored; retrying.", ""),
    "database": ("The database was briefly unavailable.", ""),
    "no_credentials": (
        "The App ID and private key are not configured.",
        "Set GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_FILE; this continues automatically within 5 minutes.",
    ),
    "suspended": (
        "The App is suspended on the account.",
        "Unsuspend it in the account's settings on GitHub; this continues automatically within 15 minutes.",
    ),
    "app_refused": (
        "GitHub refuses the App's own key.",
        "Check GITHUB_APP_ID and the App's private key; this continues automatically within 5 minutes.",
    ),
}

FAILS: Told = {
    "unanswered": ("GitHub did not answer for about an hour.", "Retry when githubstatus.com has nothing to report."),
    "timed_out": ("It took too long every time.", "Retry when GitHub is faster; it continues where it stopped."),
    "crashed": ("Its worker crashed every time.", "Check the memory and the log of the workers, then retry."),
    "removed": ("The App was removed from the account.", "Install it there again, then retry."),
    "no_installation": (
        "No installation of the App has access to the repository.",
        "Give the App access to it on GitHub, then retry.",
    ),
    "gone": ("GitHub says that the repository does not exist.", "If it does, retry."),
    "not_recorded": ("A page could not be stored after all attempts.", "Check the log of the workers, then retry."),
    "unusable": (
        "GitHub's answer cannot be used, even for a single item.",
        "Retry after an upgrade; report it if it stays so.",
    ),
    "forbidden": (
        "GitHub does not let the App read this.",
        "Give the App the permission in GitHub's message, accept it on the account, then retry.",
    ),
    "rejected": ("GitHub rejects the request.", "Retry after an upgrade; report it if it stays so."),
    "unknown_stream": (
        "This version of tformance does not know the stream.",
        "Upgrade to the version that started it, then retry.",
    ),
    "unknown_kind": (
        "This version of tformance does not know the kind of job.",
        "Upgrade to the version that started it, then retry.",
    ),
    "cursor_refused": ("GitHub no longer accepts the cursor.", "Retry: it starts again, and nothing is counted twice."),
}
