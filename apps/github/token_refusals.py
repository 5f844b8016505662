"""Refused tokens: a fact of the installation, kept in Redis, so that all of its jobs wait for one attempt.

GitHub refuses a token, or gives none, to the installation and not to the job that happened to ask. So the refusal is
kept once, with a wait that doubles, and when that is over one job tries again while the others go on waiting.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from redis import Redis
from redis.exceptions import RedisError

from apps.github.answers import Answer, Standing
from apps.github.rate_limit import key
from apps.github.responses import Kind, Verdict

TOKEN_REFUSED = "token_refused"  # noqa: S105  the name of a reason
"""The reason, as rows keep it, for which a request was not sent."""
FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 900.0
LONGEST_WAIT_FOR_THE_APP_S = 300.0
"""Somebody who corrects the App's key waits at most this long to see that it is right."""
ASK_AGAIN_S = 1.0
KEPT_S = 2 * 3600
TRYING_S = 60
"""A job that died during its attempt keeps the others from trying for at most this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefusal:
    """GitHub's latest refusal: its words, how the installation stands by them, and when one job may try again.

    `is_of_token`: a token was given but not accepted; otherwise none was given, and an older one may still serve.
    """

    kind: str
    standing: str | None
    message: str
    is_of_token: bool
    attempts: int
    until: float

    def answer(self, *, now: float) -> Answer:
        """Return the answer for a job that must not ask: GitHub's last word if there is one, else when to ask again."""
        until = max(self.until, now + ASK_AGAIN_S)
        if self.kind == Kind.AUTH.name:
            verdict = Verdict(kind=Kind.AUTH, message=self.message)
            standing = Standing[self.standing] if self.standing else None
            return Answer(verdict=verdict, standing=standing, not_before=until)
        return Answer(verdict=Verdict(kind=Kind.PARKED, message=TOKEN_REFUSED), not_before=until)


@dataclass(slots=True)
class TokenRefusals:
    """The refusals that all workers share through Redis; while that is away, each process knows its own."""

    redis: Redis
    clock: Callable[[], float] = time.time
    _own: dict[int, TokenRefusal] = field(default_factory=dict)

    def find(self, installation_id: int) -> TokenRefusal | None:
        """Return the latest refusal, whether its wait is over or not; None once a token was accepted again."""
        try:
            kept = self.redis.get(_name(installation_id))
        except RedisError:
            return self._own.get(installation_id)
        return TokenRefusal(**json.loads(str(kept))) if kept else None

    def may_try(self, installation_id: int, refusal: TokenRefusal) -> bool:
        """Tell whether this job is the one that tries again: the wait is over, and no other job tries now."""
        if self.clock() < refusal.until:
            return False
        try:
            return bool(self.redis.set(_name_of_attempt(installation_id), 1, nx=True, ex=TRYING_S))
        except RedisError:
            return True

    def keep(self, installation_id: int, answer: Answer, *, is_of_token: bool) -> TokenRefusal:
        """Keep a refusal; every one in a row doubles the wait."""
        before = self.find(installation_id)
        attempts = before.attempts + 1 if before else 1
        longest_s = LONGEST_WAIT_FOR_THE_APP_S if answer.standing is Standing.REFUSED else LONGEST_WAIT_S
        refusal = TokenRefusal(
            kind=answer.kind.name,
            standing=answer.standing.name if answer.standing else None,
            message=answer.verdict.message,
            is_of_token=is_of_token,
            attempts=attempts,
            until=self.clock() + min(FIRST_WAIT_S * 2 ** (min(attempts, 16) - 1), longest_s),
        )
        self._own[installation_id] = refusal
        with suppress(RedisError):  # this process knows it
            self.redis.set(_name(installation_id), json.dumps(asdict(refusal)), ex=KEPT_S)
        return refusal

    def end_attempt(self, installation_id: int) -> None:
        """Let the next job try as soon as the wait is over."""
        self._delete(_name_of_attempt(installation_id))

    def forget(self, installation_id: int) -> None:
        """Forget the refusal: a token was accepted, or GitHub says that the installation may be read again."""
        self._own.pop(installation_id, None)
        self._delete(_name(installation_id))

    def _delete(self, name: str) -> None:
        with suppress(RedisError):  # it expires by itself
            self.redis.delete(name)


def _name(installation_id: int) -> str:
    return key(installation_id, "token:refused")


def _name_of_attempt(installation_id: int) -> str:
    return key(installation_id, "token:tried")
