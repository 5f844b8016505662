"""Refused tokens: stored per installation in Redis, so that all of its jobs wait for one retry.

GitHub refuses a token, or returns none, to the installation and not to a single job. So the refusal is stored once,
with a wait that doubles; when it is over, one job retries while the others wait.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from redis import Redis
from redis.exceptions import RedisError

from apps.github.rate_limit import key
from apps.github.responses import Answer, ResponseKind, Result, Standing

TOKEN_REFUSED = "token_refused"  # noqa: S105  the name of a reason
"""The reason, as rows keep it, for which a request was not sent."""
FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 900.0
LONGEST_WAIT_FOR_THE_APP_S = 300.0
"""The longest wait after the App's key was fixed until it is tried again."""
ASK_AGAIN_S = 1.0
KEPT_S = 2 * 3600
TRYING_S = 60
"""A job that died during its retry blocks others for at most this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefusal:
    """GitHub's latest refusal: its message, the state of the installation, and when one job may retry.

    `is_of_token`: a token was given but not accepted; otherwise none was given, and an older one may still serve.
    """

    kind: str
    standing: str | None
    message: str
    is_of_token: bool
    attempts: int
    until: float

    def answer(self, *, now: float) -> Answer:
        """Return the answer for a job that must not retry: the final refusal, or when to ask again."""
        until = max(self.until, now + ASK_AGAIN_S)
        if self.kind == ResponseKind.AUTH.name:
            result = Result(kind=ResponseKind.AUTH, message=self.message)
            standing = Standing[self.standing] if self.standing else None
            return Answer(result=result, standing=standing, not_before=until)
        return Answer(result=Result(kind=ResponseKind.DEFERRED, message=TOKEN_REFUSED), not_before=until)


@dataclass(slots=True)
class TokenRefusals:
    """The refusals that all workers share through Redis; if it is away, each process has its own."""

    redis: Redis
    clock: Callable[[], float] = time.time
    _own: dict[int, TokenRefusal] = field(default_factory=dict)

    def find(self, installation_id: int) -> TokenRefusal | None:
        """Return the latest refusal, also after its wait; None once a token was accepted again."""
        try:
            kept = self.redis.get(_name(installation_id))
        except RedisError:
            return self._own.get(installation_id)
        return TokenRefusal(**json.loads(str(kept))) if kept else None

    def may_try(self, installation_id: int, refusal: TokenRefusal) -> bool:
        """Return whether this job is the one that retries: the wait is over and no other job retries now."""
        if self.clock() < refusal.until:
            return False
        try:
            return bool(self.redis.set(_name_of_attempt(installation_id), 1, nx=True, ex=TRYING_S))
        except RedisError:
            return True

    def keep(self, installation_id: int, answer: Answer, *, is_of_token: bool) -> TokenRefusal:
        """Store a refusal; each in a row doubles the wait."""
        before = self.find(installation_id)
        attempts = before.attempts + 1 if before else 1
        longest_s = LONGEST_WAIT_FOR_THE_APP_S if answer.standing is Standing.REFUSED else LONGEST_WAIT_S
        refusal = TokenRefusal(
            kind=answer.kind.name,
            standing=answer.standing.name if answer.standing else None,
            message=answer.message,
            is_of_token=is_of_token,
            attempts=attempts,
            until=self.clock() + min(FIRST_WAIT_S * 2 ** (min(attempts, 16) - 1), longest_s),
        )
        self._own[installation_id] = refusal
        with suppress(RedisError):  # this process knows it
            self.redis.set(_name(installation_id), json.dumps(asdict(refusal)), ex=KEPT_S)
        return refusal

    def end_attempt(self, installation_id: int) -> None:
        """Let the next job retry as soon as the wait is over."""
        self._delete(_name_of_attempt(installation_id))

    def forget(self, installation_id: int) -> None:
        """Delete the refusal: a token was accepted, or GitHub says that the installation can be read again."""
        self._own.pop(installation_id, None)
        self._delete(_name(installation_id))

    def _delete(self, name: str) -> None:
        with suppress(RedisError):  # it expires by itself
            self.redis.delete(name)


def _name(installation_id: int) -> str:
    return key(installation_id, "token:refused")


def _name_of_attempt(installation_id: int) -> str:
    return key(installation_id, "token:tried")
