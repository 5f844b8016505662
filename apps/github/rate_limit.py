"""Rate limits: one budget per installation and resource, shared by all workers through Redis.

Nothing here waits. A request that may not be sent gets the time to ask again: the `not_before` of some row. Redis has
only what GitHub's next answer repeats: if it is lost, the budget is learned again.
"""

import enum
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from apps.github.responses import GRAPHQL, SECONDARY_S, RateLimit, ResponseKind, Result

PREFIX = "tformance:github"


@cache
def redis_client() -> Redis:
    """Return the Redis client of this process; its pool survives a fork."""
    return Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=1.0,
        socket_connect_timeout=0.5,
        retry=Retry(NoBackoff(), retries=1),  # a connection that Redis closed while it was idle
        decode_responses=True,
    )


SCRIPTS = Path(__file__).parent / "lua"
THE_APP = 0
"""Stands for an installation in requests of the App itself, which GitHub counts separately."""
NOBODY = -1
"""Stands for an installation in requests without a token, which GitHub counts by our address."""

IN_FLIGHT = {GRAPHQL: 1}
IN_FLIGHT_OTHERWISE = 3
"""GraphQL is limited by the time it takes (60 s a minute), so a second request at once gains nothing; REST by 900 a
minute and endpoint."""

LEASE_S = 60.0
"""The longest that a request takes; a worker that dies with a request frees its place after this time."""
ASK_AGAIN_S = 1.0
PATIENCE_S = 10.0
"""A subject that does not ask again for this long loses its place in the queue."""
KEPT_S = 2 * 3600
logger = logging.getLogger(__name__)


class Priority(enum.IntEnum):
    """The order of requests."""

    LIVE = 0
    RECONCILIATION = 1
    BACKFILL = 2


RESERVES = {Priority.LIVE: 0.0, Priority.RECONCILIATION: 0.1, Priority.BACKFILL: 0.2}
"""The share of the hourly limit that each leaves to those before it and to other Apps of the account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """The purpose of a request: its urgency, its subject (requests are fair between subjects), and its maximal points.

    One that `continues` continues the subject's last request and does not queue again.
    """

    priority: Priority
    subject: str
    cost: int = 1
    continues: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Permission to make one request; it must be settled whatever the result."""

    id: str
    installation_id: int
    resource: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """No request may go out before `until` (seconds since 1970): `blocked`, `spent` or `busy`."""

    reason: str
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetNow:
    """The known budget of a resource."""

    resource: str
    limit: int
    remaining: int
    resets_at: float


@dataclass(slots=True)
class RateBudget:
    """The budget of every installation."""

    redis: Redis
    clock: Callable[[], float] = time.time
    _blocked: dict[tuple[int, str], float] = field(default_factory=dict)
    """The limits that this process knows itself, for when Redis is away."""

    def take(self, *, installation_id: int, resource: str, purpose: Purpose) -> Lease | Deferred:
        """Return permission to make one request now, or when to ask again."""
        now = self.clock()
        lease = Lease(id=f"{resource}|{purpose.cost}|{uuid4().hex}", installation_id=installation_id, resource=resource)
        try:
            answer = self._run_take(lease, purpose=purpose, now=now)
        except RedisError as error:
            return self._take_without_redis(lease, now=now, error=error)
        if answer[0] == "taken":
            return lease
        return Deferred(reason=answer[0], until=max(float(answer[1]), now + ASK_AGAIN_S))

    def settle(self, lease: Lease, *, result: Result, limit: RateLimit | None) -> str | None:
        """Learn from an answer and free the place; return the subject that waits next, if any."""
        now = self.clock()
        self._remember(lease, result=result, now=now)
        try:
            waiting = self._run_settle(lease, result=result, limit=limit, now=now)
        except RedisError as error:
            logger.warning("github_budget_not_shared", extra={"error": type(error).__name__})
            return None
        return waiting or None

    def read(self, installation_id: int) -> list[BudgetNow]:
        """Return the known budgets of all resources, for display; empty if Redis is away."""
        try:
            reported = self.redis.hgetall(key(installation_id, "budget"))
        except RedisError:
            return []
        known = {str(name): str(value) for name, value in reported.items()}
        resources = sorted({name.removesuffix(".limit") for name in known if name.endswith(".limit")})
        budgets = [_budget_now(resource, known) for resource in resources]
        return [budget for budget in budgets if budget.resets_at > self.clock()]

    def _run_take(self, lease: Lease, *, purpose: Purpose, now: float) -> list[str]:
        script = self.redis.register_script((SCRIPTS / "take.lua").read_text())
        most = IN_FLIGHT.get(lease.resource, IN_FLIGHT_OTHERWISE)
        asked: list[str | float] = [
            now,
            lease.resource,
            int(purpose.priority),
            purpose.subject,
            purpose.cost,
            lease.id,
            LEASE_S,
        ]
        reserve = RESERVES[purpose.priority]
        rules: list[str | float] = [most, reserve, ASK_AGAIN_S, PATIENCE_S, KEPT_S, int(purpose.continues)]
        answer: list[str] = script(keys=_keys(lease), args=[*asked, *rules])
        return answer

    def _run_settle(self, lease: Lease, *, result: Result, limit: RateLimit | None, now: float) -> str:
        script = self.redis.register_script((SCRIPTS / "settle.lua").read_text())
        reported: list[str | float] = [limit.limit, limit.remaining, now + limit.resets_in_s] if limit else [0, 0, 0]
        waits = "" if result.wait_s is None else result.wait_s
        about: list[str | float] = [
            now,
            lease.id,
            limit.resource if limit else lease.resource,
            _reported(result, limit),
        ]
        answer: str = script(keys=_keys(lease), args=[*about, *reported, _outcome(result), waits, KEPT_S])
        return answer

    def _take_without_redis(self, lease: Lease, *, now: float, error: RedisError) -> Lease | Deferred:
        """Decide by what this process knows, while Redis is away."""
        logger.warning("github_budget_not_shared", extra={"error": type(error).__name__})
        owner = lease.installation_id
        until = max(self._blocked.get((owner, resource), 0.0) for resource in (lease.resource, ""))
        return Deferred(reason="blocked", until=until) if now < until else lease

    def _remember(self, lease: Lease, *, result: Result, now: float) -> None:
        if result.kind in {ResponseKind.PRIMARY, ResponseKind.SECONDARY}:
            resource = lease.resource if result.kind is ResponseKind.PRIMARY else ""
            self._blocked[lease.installation_id, resource] = now + (result.wait_s or SECONDARY_S)


def key(installation_id: int, name: str) -> str:
    """Return a key; all keys of an installation are on one node of a cluster."""
    return f"{PREFIX}:{{{installation_id}}}:{name}"


def _keys(lease: Lease) -> list[str]:
    named = ("budget", "leases", f"waiting:{lease.resource}", f"served:{lease.resource}")
    return [key(lease.installation_id, name) for name in named]


def _reported(result: Result, limit: RateLimit | None) -> str:
    """Return what the answer says about limits: a proxy's error page says nothing."""
    if limit is not None:
        return "limit"
    return "unlimited" if result.kind in {ResponseKind.OK, ResponseKind.PARTIAL} else "nothing"


def _outcome(result: Result) -> str:
    if result.kind in {ResponseKind.OK, ResponseKind.PARTIAL}:
        return "good"
    return result.kind.name.lower() if result.kind in {ResponseKind.PRIMARY, ResponseKind.SECONDARY} else "other"


def _budget_now(resource: str, known: dict[str, str]) -> BudgetNow:
    return BudgetNow(
        resource=resource,
        limit=int(float(known[f"{resource}.limit"])),
        remaining=int(float(known.get(f"{resource}.remaining", 0))),
        resets_at=float(known.get(f"{resource}.resets_at", 0)),
    )
