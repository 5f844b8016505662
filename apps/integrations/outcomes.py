"""What follows a stored page, and a failed one. Pure: from an answer and the progress of reading to an outcome."""

from dataclasses import dataclass, replace

from apps.github.responses import SECONDARY_S, Answer, ResponseKind, Standing
from apps.github.token_refusals import TOKEN_REFUSED
from apps.jobs.outcomes import Backoff

BUSY, BLOCKED, SPENT = "busy", "blocked", "spent"
"""Why no request may be sent now: others come first, a secondary limit holds, the hourly limit is spent."""
FOR_ALL = {BLOCKED, TOKEN_REFUSED}
"""Reasons to wait that hold for all jobs of an installation."""

CLEAN_PAGES, GROWTH = 10, 5
BACKOFF = Backoff(first_s=5.0, longest_s=750.0)
MOST_ATTEMPTS = 12  # the last one comes about an hour after the first
SUSPECT_ATTEMPTS, GUILTY_ATTEMPTS = 3, 8
SUSPENDED_S, REFUSED_S = 900.0, 300.0
SHORTEST_WAIT_S = 1.0
MOST_RESTARTS = 1
INVALID_CURSOR = "INVALID_CURSOR_ARGUMENTS"
SUSPENDED_WORDS = "has been suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress at a cursor: how much is requested at once, and what has failed since the last page.

    `skips_item`: the one item at the cursor is too much and is skipped. `restarts` counts void cursors.
    """

    page_size: int
    clean_pages: int = 0
    attempts: int = 0
    skips_item: bool = False
    restarts: int = 0

    def after_page(self, *, most: int) -> "Progress":
        """Return the progress after a good page; after ten of them more is requested at once, up to `most`."""
        clean = replace(self, attempts=0, skips_item=False, clean_pages=self.clean_pages + 1)
        if clean.clean_pages < CLEAN_PAGES:
            return clean
        return replace(clean, page_size=max(self.page_size, min(self.page_size + GROWTH, most)), clean_pages=0)


@dataclass(frozen=True, slots=True)
class GoOn:
    """Ask again at once, as this says."""

    progress: Progress


@dataclass(frozen=True, slots=True)
class StartOver:
    """The cursor is void: begin again at the top."""

    progress: Progress


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing failed: due again after so many seconds."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class TryAgain:
    """An attempt is spent: due again after so many seconds."""

    seconds: float
    reason: str
    progress: Progress


@dataclass(frozen=True, slots=True)
class FindAgain:
    """The repository is not where it was: look it up by its id."""


@dataclass(frozen=True, slots=True)
class Fail:
    """It ends until an operator retries it."""

    reason: str
    is_cursor_void: bool = False
    """A retry begins at the top."""


Settled = GoOn | StartOver | Wait | TryAgain | Fail
Outcome = Settled | FindAgain


def decide(answer: Answer, *, progress: Progress, now: float, chance: float) -> Outcome:
    """Return what follows an answer without the page; `now` is our clock, `chance` in 0…1 spreads the waits."""
    match answer.kind:
        case ResponseKind.SHRINK:
            return _ask_for_less(progress, chance=chance)
        case ResponseKind.PRIMARY | ResponseKind.SECONDARY | ResponseKind.DEFERRED:
            return Wait(_wait_s(answer, now=now) or SECONDARY_S, reason_of_wait(answer))
        case ResponseKind.AUTH:
            return _decide_by_standing(answer, progress=progress, now=now, chance=chance)
        case ResponseKind.FORBIDDEN | ResponseKind.GONE | ResponseKind.REJECTED:
            return _decide_refused(answer, progress=progress)
    return _try_again_with_less(progress, chance=chance, at_least_s=_wait_s(answer, now=now) or 0.0)


def try_again(
    progress: Progress, *, chance: float, at_least_s: float = 0.0, reason: str = "unanswered"
) -> TryAgain | Fail:
    """Return another attempt, each time later; after the twelfth it fails."""
    attempts = progress.attempts + 1
    if attempts >= MOST_ATTEMPTS:
        return Fail(reason)
    wait_s = BACKOFF.wait_s(progress.attempts, chance=chance)
    return TryAgain(max(wait_s, at_least_s), reason, replace(progress, attempts=attempts))


def isolate_item(progress: Progress, *, reason: str) -> GoOn | Fail:
    """Return smaller pages to find the item that can never be used, and skip it alone."""
    if progress.page_size > 1:
        return GoOn(_halve(progress))
    return Fail(reason) if progress.skips_item else GoOn(replace(progress, skips_item=True))


def shrink_after_crash(progress: Progress) -> GoOn | Fail:
    """Return what follows a crashed worker: from the third crash on, smaller pages.

    Workers also die for other reasons, so a single item is skipped only after the eighth crash at one cursor.
    """
    if progress.attempts >= MOST_ATTEMPTS:
        return Fail("crashed")
    enough = SUSPECT_ATTEMPTS if progress.page_size > 1 else GUILTY_ATTEMPTS
    return GoOn(progress if progress.skips_item or progress.attempts < enough else _shrink(progress))


def run_out_of_time(progress: Progress, *, chance: float) -> GoOn | TryAgain | Fail:
    """Return what follows a page that took longer than a task may."""
    if progress.skips_item:
        return try_again(progress, chance=chance, reason="timed_out")
    return isolate_item(progress, reason="timed_out")


def _ask_for_less(progress: Progress, *, chance: float) -> Outcome:
    """Return half the page size. A single item may be too much only for a moment, so it is requested twice."""
    if progress.page_size > 1:
        return GoOn(_halve(progress))
    if progress.attempts == 0 or progress.skips_item:
        return try_again(progress, chance=chance)
    return GoOn(replace(progress, skips_item=True))


def _try_again_with_less(progress: Progress, *, chance: float, at_least_s: float) -> GoOn | TryAgain | Fail:
    """Return another attempt, with less where it failed repeatedly, because REST does not say that it is too much.

    A single item is skipped before anything fails; nothing is skipped if GitHub does not show the repository.
    """
    again = try_again(progress, chance=chance, at_least_s=at_least_s)
    if isinstance(again, Fail):
        return again if progress.page_size > 1 or progress.skips_item else GoOn(_shrink(progress))
    return again if again.progress.attempts < SUSPECT_ATTEMPTS else replace(again, progress=_shrink(again.progress))


def _shrink(progress: Progress) -> Progress:
    return _halve(progress) if progress.page_size > 1 else replace(progress, skips_item=True)


def _halve(progress: Progress) -> Progress:
    return replace(progress, page_size=progress.page_size // 2, clean_pages=0)


def _wait_s(answer: Answer, *, now: float) -> float | None:
    return None if answer.not_before is None else max(SHORTEST_WAIT_S, answer.not_before - now)


def reason_of_wait(answer: Answer) -> str:
    """Return why no request may be sent now, as one word."""
    if answer.kind is ResponseKind.DEFERRED:
        return answer.message
    return SPENT if answer.kind is ResponseKind.PRIMARY else BLOCKED


def _decide_by_standing(answer: Answer, *, progress: Progress, now: float, chance: float) -> Outcome:
    match answer.standing:
        case Standing.SUSPENDED:
            return Wait(SUSPENDED_S, "suspended")
        case Standing.REMOVED:
            return Fail("removed")
        case Standing.REFUSED:
            return Wait(REFUSED_S, "app_refused")
    return try_again(progress, chance=chance, at_least_s=_wait_s(answer, now=now) or 0.0)


def _decide_refused(answer: Answer, *, progress: Progress) -> Outcome:
    if answer.kind is ResponseKind.GONE:
        return FindAgain()
    if answer.kind is ResponseKind.FORBIDDEN:
        is_suspended = SUSPENDED_WORDS in answer.message.lower()
        return Wait(SUSPENDED_S, "suspended") if is_suspended else Fail("forbidden")
    if INVALID_CURSOR not in {error.type for error in answer.errors}:
        return Fail("rejected")
    if progress.restarts >= MOST_RESTARTS:
        return Fail("cursor_refused", is_cursor_void=True)
    return StartOver(replace(progress, restarts=progress.restarts + 1))
