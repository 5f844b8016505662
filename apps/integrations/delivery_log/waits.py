"""For how long the whole sweep waits after an answer that is none, and how it calls that. Pure."""

from dataclasses import dataclass

from apps.github.responses import SECONDARY_S, Answer, ResponseKind
from apps.integrations.outcomes import BLOCKED, REFUSED_S, SHORTEST_WAIT_S, SPENT
from apps.jobs.outcomes import Backoff

BACKOFF = Backoff(first_s=5.0, longest_s=900.0)
LIMITS = {ResponseKind.DEFERRED, ResponseKind.PRIMARY, ResponseKind.SECONDARY}
REASONS = {
    ResponseKind.AUTH: "app_refused",
    ResponseKind.FORBIDDEN: "forbidden",
    ResponseKind.GONE: "gone",
    ResponseKind.REJECTED: "rejected",
}


@dataclass(frozen=True, slots=True)
class Wait:
    """Due again after so many seconds; a failure is one that GitHub's limits do not explain."""

    seconds: float
    reason: str
    is_failure: bool = True


def wait_after(answer: Answer, *, attempts: int, now: float, chance: float) -> Wait:
    """What follows on an answer without what was asked for; `chance` in 0…1 spreads the waits."""
    told_s = 0.0 if answer.not_before is None else max(SHORTEST_WAIT_S, answer.not_before - now)
    if answer.kind in LIMITS:
        reason = {ResponseKind.DEFERRED: answer.message, ResponseKind.PRIMARY: SPENT}.get(answer.kind, BLOCKED)
        return Wait(told_s or SECONDARY_S, reason, is_failure=False)
    wait = wait_after_failure(REASONS.get(answer.kind, "unanswered"), attempts=attempts, chance=chance)
    at_least_s = REFUSED_S if answer.kind in REASONS else 0.0
    return Wait(max(wait.seconds, told_s, at_least_s), wait.reason)


def wait_after_failure(reason: str, *, attempts: int, chance: float) -> Wait:
    """The same once more, each time later."""
    return Wait(BACKOFF.wait_s(attempts, chance=chance), reason)
