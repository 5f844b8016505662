"""How one walk stands, for people: how far it is, when it goes on, and whether somebody has to do something."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from apps.integrations.backfill.progress import eta_s_of, waits_until_of
from apps.integrations.models import Backfill

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
    known = {State.WAITING: WAITS, State.FAILED: FAILS, State.PAUSED: PAUSED}.get(State(row.state), {})
    if row.reason in known:
        return known[row.reason]
    if State(row.state) in {State.WAITING, State.FAILED}:
        return row.reason.replace("_", " "), LOOK_AND_RETRY if row.state == State.FAILED else ""
    return known.get("", ("", ""))


LOOK_AND_RETRY = "Look at what GitHub said, then retry: it goes on where it stopped."

Told = Mapping[str, tuple[str, str]]
"""By the one word that a row keeps as its reason: why, and what to do."""

PAUSED: Told = {"": ("Somebody paused it.", "Resume it, and it goes on where it is.")}

WAITS: Told = {
    "": ("", ""),
    "busy": ("Others of its installation have their turn.", ""),
    "spent": ("GitHub's hourly limit is spent, but for what is kept for live work.", ""),
    "blocked": ("GitHub asked us to slow down.", ""),
    "unanswered": ("GitHub did not answer; it is asked again, each time a little later.", ""),
    "timed_out": ("A page took too long; it is asked for again.", ""),
    "suspended": (
        "The App is suspended on the account.",
        "Unsuspend it in the account's settings on GitHub; this goes on by itself within 15 minutes.",
    ),
    "app_refused": (
        "GitHub refuses the App's own key.",
        "Check GITHUB_APP_ID and the App's private key; this goes on by itself within 5 minutes.",
    ),
}

FAILS: Told = {
    "unanswered": ("GitHub did not answer for about an hour.", "Retry when githubstatus.com has nothing to report."),
    "timed_out": ("It took too long every time.", "Retry when GitHub is quicker; it goes on where it stopped."),
    "crashed": ("Its worker died every time.", "Look at the memory and the log of the workers, then retry."),
    "removed": ("The App was removed from the account.", "Install it there again, then start this anew."),
    "no_installation": (
        "No installation of the App reaches the repository.",
        "Install the App on the account that owns it, give it the repository there, then start this anew.",
    ),
    "forbidden": (
        "GitHub does not let the App read this.",
        "Give the App the permission that GitHub's words name, accept it on the account, then retry.",
    ),
    "rejected": ("GitHub does not understand what it is asked.", "Retry after an upgrade; report it if it stays so."),
    "cursor_refused": ("GitHub lost the place where it stood.", "Retry: it begins again, and counts nothing twice."),
}
