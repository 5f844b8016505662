"""Who may ask GitHub now: one budget per installation and resource, shared by all workers through Redis.

Nothing here waits. A request that may not go out is told when to ask again: the `not_before` of some row.
Redis holds only what GitHub's next answer tells anew: when it is lost, the budget is learned again.
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

from apps.github.responses import GRAPHQL, SECONDARY_S, Kind, RateLimit, Verdict

PREFIX = "tformance:github"


@cache
def shared_memory() -> Redis:
    """A client for this process; its pool survives a fork."""
    return Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=1.0,
        socket_connect_timeout=0.5,
        retry=Retry(NoBackoff(), retries=1),  # a connection that Redis closed while nobody used it
        decode_responses=True,
    )


SCRIPTS = Path(__file__).parent / "lua"
THE_APP = 0
"""Stands for an installation where the App itself asks: GitHub counts that apart."""

IN_FLIGHT = {GRAPHQL: 1}
IN_FLIGHT_OTHERWISE = 3
"""GraphQL is limited by the time it takes (60 s a minute), so a second request at once gains nothing; REST by 900 a
minute and endpoint."""

LEASE_S = 60.0
"""The longest that a request takes; a worker that dies with one in flight holds the place no longer."""
ASK_AGAIN_S = 1.0
PATIENCE_S = 10.0
"""Whoever waits and does not come back for so long has lost their turn."""
KEPT_S = 2 * 3600
logger = logging.getLogger(__name__)


class Priority(enum.IntEnum):
    """Who goes first."""

    LIVE = 0
    RECONCILIATION = 1
    BACKFILL = 2


RESERVES = {Priority.LIVE: 0.0, Priority.RECONCILIATION: 0.1, Priority.BACKFILL: 0.2}
"""The share of the hourly limit that each leaves to those before it, and to the account's other Apps' patience."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """Why a request is made: how urgent it is, for whom (turns are fair between subjects), and its points at most.

    One that `goes_on` with what the subject's last request began needs no new turn.
    """

    priority: Priority
    subject: str
    cost: int = 1
    goes_on: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Leave to make one request; settle it whatever came of it."""

    id: str
    installation_id: int
    resource: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """No request may go out before `until` (seconds since 1970): `blocked`, `spent` or `busy`."""

    reason: str
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetNow:
    """What is known of one resource's budget."""

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
    """What this process knows by itself, for when Redis is away."""

    def take(self, *, installation_id: int, resource: str, purpose: Purpose) -> Lease | Parked:
        """Leave to make one request now, or when to ask again."""
        now = self.clock()
        lease = Lease(id=f"{resource}|{purpose.cost}|{uuid4().hex}", installation_id=installation_id, resource=resource)
        try:
            answer = self._run_take(lease, purpose=purpose, now=now)
        except RedisError as error:
            return self._take_without_redis(lease, now=now, error=error)
        if answer[0] == "taken":
            return lease
        return Parked(reason=answer[0], until=max(float(answer[1]), now + ASK_AGAIN_S))

    def settle(self, lease: Lease, *, verdict: Verdict, limit: RateLimit | None) -> str | None:
        """Learn from an answer and free the place; the subject that waits for its turn, if one does."""
        now = self.clock()
        self._remember(lease, verdict=verdict, now=now)
        try:
            waiting = self._run_settle(lease, verdict=verdict, limit=limit, now=now)
        except RedisError as error:
            logger.warning("github_budget_not_shared", extra={"error": type(error).__name__})
            return None
        return waiting or None

    def read(self, installation_id: int) -> list[BudgetNow]:
        """What is known now of each resource, for people; nothing where Redis is away."""
        try:
            told = self.redis.hgetall(key(installation_id, "budget"))
        except RedisError:
            return []
        known = {str(name): str(value) for name, value in told.items()}
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
        rules: list[str | float] = [most, reserve, ASK_AGAIN_S, PATIENCE_S, KEPT_S, int(purpose.goes_on)]
        answer: list[str] = script(keys=_keys(lease), args=[*asked, *rules])
        return answer

    def _run_settle(self, lease: Lease, *, verdict: Verdict, limit: RateLimit | None, now: float) -> str:
        script = self.redis.register_script((SCRIPTS / "settle.lua").read_text())
        told: list[str | float] = [limit.limit, limit.remaining, now + limit.resets_in_s] if limit else [0, 0, 0]
        waits = "" if verdict.wait_s is None else verdict.wait_s
        about: list[str | float] = [now, lease.id, limit.resource if limit else lease.resource, _told(verdict, limit)]
        answer: str = script(keys=_keys(lease), args=[*about, *told, _outcome(verdict), waits, KEPT_S])
        return answer

    def _take_without_redis(self, lease: Lease, *, now: float, error: RedisError) -> Lease | Parked:
        """Work goes on by what this process knows; GitHub's headers tell the rest."""
        logger.warning("github_budget_not_shared", extra={"error": type(error).__name__})
        owner = lease.installation_id
        until = max(self._blocked.get((owner, resource), 0.0) for resource in (lease.resource, ""))
        return Parked(reason="blocked", until=until) if now < until else lease

    def _remember(self, lease: Lease, *, verdict: Verdict, now: float) -> None:
        if verdict.kind in {Kind.PRIMARY, Kind.SECONDARY}:
            resource = lease.resource if verdict.kind is Kind.PRIMARY else ""
            self._blocked[lease.installation_id, resource] = now + (verdict.wait_s or SECONDARY_S)


def key(installation_id: int, name: str) -> str:
    """The keys of one installation lie on one node of a cluster."""
    return f"{PREFIX}:{{{installation_id}}}:{name}"


def _keys(lease: Lease) -> list[str]:
    named = ("budget", "leases", f"waiting:{lease.resource}", f"served:{lease.resource}")
    return [key(lease.installation_id, name) for name in named]


def _told(verdict: Verdict, limit: RateLimit | None) -> str:
    """An answer without a limit tells that there is none, if it is GitHub's; a proxy's error page tells nothing."""
    if limit is not None:
        return "limit"
    return "unlimited" if verdict.kind in {Kind.OK, Kind.PARTIAL} else "nothing"


def _outcome(verdict: Verdict) -> str:
    if verdict.kind in {Kind.OK, Kind.PARTIAL}:
        return "good"
    return verdict.kind.name.lower() if verdict.kind in {Kind.PRIMARY, Kind.SECONDARY} else "other"


def _budget_now(resource: str, known: dict[str, str]) -> BudgetNow:
    return BudgetNow(
        resource=resource,
        limit=int(float(known[f"{resource}.limit"])),
        remaining=int(float(known.get(f"{resource}.remaining", 0))),
        resets_at=float(known.get(f"{resource}.resets_at", 0)),
    )
