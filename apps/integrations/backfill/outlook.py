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


LOOK_AND_RETRY = "Look at what GitHub said, then retry: it goes on where it stopped."

PAUSED = ("Somebody paused it.", "Resume it, and it goes on where it is.")

Told = Mapping[str, tuple[str, str]]
"""By the one word that a row keeps as its reason: why, and what to do."""

WAITS: Told = {
    "": ("", ""),
    "busy": ("Others of its installation have their turn.", ""),
    "spent": ("GitHub's hourly limit is spent, but for what is kept for live work.", ""),
    "blocked": ("GitHub asked us to slow down.", ""),
    "token_refused": (
        "GitHub refuses the installation's token, or gives none; one job tries again for all, each time later.",
        "`manage.py doctor` shows GitHub's words.",
    ),
    "unanswered": ("GitHub did not answer; it is asked again, each time a little later.", ""),
    "timed_out": ("A page took too long; it is asked for again.", ""),
    "gone": ("GitHub says that the repository is not there; it is asked again.", ""),
    "not_recorded": ("A page could not be kept; it is read again.", ""),
    "database": ("The database was away for a moment.", ""),
    "no_credentials": (
        "Nobody told us the App's id and private key.",
        "Set GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_FILE; this goes on by itself within 5 minutes.",
    ),
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
    "removed": ("The App was removed from the account.", "Install it there again, then retry."),
    "no_installation": (
        "No installation of the App reaches the repository.",
        "Give the App access to it on GitHub, then retry.",
    ),
    "gone": ("The repository is not there any more, as far as GitHub tells the App.", "If it is, retry."),
    "not_recorded": ("A page could not be kept, however often.", "Look at the log of the workers, then retry."),
    "unusable": (
        "GitHub's answer cannot be used, not even for one item at a time.",
        "Retry after an upgrade; report it if it stays so.",
    ),
    "forbidden": (
        "GitHub does not let the App read this.",
        "Give the App the permission that GitHub's words name, accept it on the account, then retry.",
    ),
    "rejected": ("GitHub does not understand what it is asked.", "Retry after an upgrade; report it if it stays so."),
    "unknown_stream": (
        "This version of tformance does not know the stream.",
        "Upgrade to the version that started it, then retry.",
    ),
    "cursor_refused": ("GitHub lost the place where it stood.", "Retry: it begins again, and counts nothing twice."),
}
