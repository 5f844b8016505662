"""The budget that all workers share: what may go out, when, and in whose turn."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.github.rate_limit import (
    KEPT_S,
    LEASE_S,
    PATIENCE_S,
    PREFIX,
    THE_APP,
    Deferred,
    Lease,
    Priority,
    Purpose,
    RateBudget,
    redis_client,
)
from apps.github.responses import CORE, GRAPHQL, RateLimit, ResponseKind, Result
from tests.fake_github.using import StoppedClock as Clock
from tests.fake_github.using import forget_everything
from tests.webhooks.proxies import refused_port

ACME, OTHER = 7, 8
BACKFILL, RECONCILIATION, LIVE = Priority.BACKFILL, Priority.RECONCILIATION, Priority.LIVE
OK = Result(kind=ResponseKind.OK)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def budget(clock: Clock) -> Iterator[RateBudget]:
    forget_everything()
    yield RateBudget(redis=redis_client(), clock=clock)
    forget_everything()


def reported(*, remaining: int, resets_in_s: float = 1000, limit: int = 5000, resource: str = GRAPHQL) -> RateLimit:
    return RateLimit(resource=resource, limit=limit, remaining=remaining, resets_in_s=resets_in_s)


def ask(
    budget: RateBudget,
    priority: Priority = BACKFILL,
    *,
    subject: str = "1",
    resource: str = GRAPHQL,
    installation_id: int = ACME,
    cost: int = 1,
) -> Lease | Deferred:
    purpose = Purpose(priority=priority, subject=subject, cost=cost)
    return budget.take(installation_id=installation_id, resource=resource, purpose=purpose)


def granted(answer: Lease | Deferred) -> Lease:
    assert isinstance(answer, Lease), answer
    return answer


def refused(answer: Lease | Deferred) -> Deferred:
    assert isinstance(answer, Deferred), answer
    return answer


def exchange(budget: RateBudget, limit: RateLimit | None, result: Result = OK, **asked: Any) -> str | None:
    return budget.settle(granted(ask(budget, **asked)), result=result, limit=limit)


def test_an_unknown_budget_lets_the_first_request_learn_it(budget: RateBudget) -> None:
    exchange(budget, reported(remaining=4999))
    (known,) = budget.read(ACME)
    assert (known.resource, known.limit, known.remaining) == (GRAPHQL, 5000, 4999)


def test_nothing_goes_out_while_the_limit_is_spent_and_everything_does_after_the_reset(
    budget: RateBudget, clock: Clock
) -> None:
    exchange(budget, reported(remaining=0, resets_in_s=20))
    for priority in Priority:
        assert refused(ask(budget, priority)) == Deferred(reason="spent", until=clock.now + 20)
    clock.now += 20
    granted(ask(budget))


def test_a_refused_request_spends_the_limit_too(budget: RateBudget, clock: Clock) -> None:
    exchange(budget, None, Result(kind=ResponseKind.PRIMARY, wait_s=300))
    assert refused(ask(budget, LIVE)).until == clock.now + 300


def test_a_limit_binds_its_own_resource_and_installation_only(budget: RateBudget) -> None:
    exchange(budget, reported(remaining=0))
    granted(ask(budget, resource=CORE))
    granted(ask(budget, installation_id=OTHER))
    granted(ask(budget, installation_id=THE_APP))


def test_a_limit_is_kept_under_the_resource_that_the_answer_names(budget: RateBudget) -> None:
    exchange(budget, reported(remaining=0, resource="search"), resource=CORE)
    granted(ask(budget, resource=CORE))
    assert refused(ask(budget, LIVE, resource="search")).reason == "spent"


@pytest.mark.parametrize(
    ("remaining", "allowed"),
    [(1001, {LIVE, RECONCILIATION, BACKFILL}), (1000, {LIVE, RECONCILIATION}), (500, {LIVE}), (1, {LIVE}), (0, set())],
)
def test_the_rest_of_a_limit_is_kept_for_what_is_more_urgent(
    budget: RateBudget, remaining: int, allowed: set[Priority]
) -> None:
    exchange(budget, reported(remaining=remaining))
    answers = {priority: ask(budget, priority, subject=priority.name) for priority in reversed(Priority)}
    reasons = {priority: getattr(answer, "reason", "taken") for priority, answer in answers.items()}
    assert {priority for priority, reason in reasons.items() if reason != "spent"} == allowed


def test_a_missing_limit_is_none(budget: RateBudget) -> None:
    exchange(budget, reported(remaining=0, resets_in_s=1))
    budget.settle(granted(ask(budget, installation_id=OTHER)), result=OK, limit=None)
    for _ in range(3):
        exchange(budget, None, installation_id=OTHER)
    assert budget.read(OTHER) == []


def test_a_limit_that_is_switched_off_is_forgotten(budget: RateBudget, clock: Clock) -> None:
    lease = granted(ask(budget))
    exchange(budget, reported(remaining=0, resource=CORE), resource=CORE)
    budget.settle(Lease(id=lease.id, installation_id=ACME, resource=CORE), result=OK, limit=None)
    granted(ask(budget, resource=CORE))


def test_an_error_page_says_nothing_about_limits(budget: RateBudget) -> None:
    exchange(budget, reported(remaining=4000))
    exchange(budget, None, Result(kind=ResponseKind.SHRINK))
    assert [known.remaining for known in budget.read(ACME)] == [4000]


def test_within_a_window_what_is_left_only_falls(budget: RateBudget, clock: Clock) -> None:
    leases = [granted(ask(budget, resource=CORE)) for _ in range(3)]
    for lease, remaining in zip(leases, (4990, 4992, 4991), strict=True):
        budget.settle(lease, result=OK, limit=reported(remaining=remaining, resource=CORE))
    assert [known.remaining for known in budget.read(ACME)] == [4990]
    clock.now += 1000
    exchange(budget, reported(remaining=4999, resets_in_s=3600, resource=CORE), resource=CORE)
    assert [known.remaining for known in budget.read(ACME)] == [4999]


def test_a_late_answer_of_the_window_before_changes_nothing(budget: RateBudget) -> None:
    late = granted(ask(budget, resource=CORE))
    exchange(budget, reported(remaining=4999, resets_in_s=3600, resource=CORE), resource=CORE)
    budget.settle(late, result=OK, limit=reported(remaining=3, resets_in_s=5, resource=CORE))
    assert [known.remaining for known in budget.read(ACME)] == [4999]


def test_one_graphql_request_of_an_installation_is_in_flight_and_three_of_rest(budget: RateBudget) -> None:
    first = granted(ask(budget))
    assert refused(ask(budget)).reason == "busy"
    for _ in range(3):
        granted(ask(budget, resource=CORE))
    assert refused(ask(budget, resource=CORE)).reason == "busy"
    budget.settle(first, result=OK, limit=None)
    granted(ask(budget))


def test_many_workers_at_once_get_one_lease(budget: RateBudget) -> None:
    with ThreadPoolExecutor(16) as workers:
        answers = list(workers.map(lambda number: ask(budget, subject=str(number)), range(64)))
    assert len([answer for answer in answers if isinstance(answer, Lease)]) == 1


def test_points_of_requests_in_flight_are_spent_already(budget: RateBudget) -> None:
    exchange(budget, reported(remaining=10, resource=CORE), resource=CORE, cost=1)
    granted(ask(budget, LIVE, resource=CORE, cost=8))
    assert refused(ask(budget, LIVE, resource=CORE, cost=3)).reason == "spent"
    granted(ask(budget, LIVE, resource=CORE, cost=2))


def test_a_dead_workers_place_is_free_after_its_lease(budget: RateBudget, clock: Clock) -> None:
    granted(ask(budget))
    clock.now += LEASE_S - 1
    refused(ask(budget))
    clock.now += 1
    granted(ask(budget))


def test_what_is_urgent_goes_before_what_waited_longer(budget: RateBudget) -> None:
    running = granted(ask(budget, subject="a"))
    refused(ask(budget, BACKFILL, subject="b"))
    refused(ask(budget, RECONCILIATION, subject="c"))
    refused(ask(budget, LIVE, subject="d"))
    assert budget.settle(running, result=OK, limit=None) == "d"
    assert refused(ask(budget, BACKFILL, subject="b")).reason == "busy"
    assert refused(ask(budget, RECONCILIATION, subject="c")).reason == "busy"
    live = granted(ask(budget, LIVE, subject="d"))
    assert budget.settle(live, result=OK, limit=None) == "c"


def test_a_subject_that_continues_comes_before_others_that_wait(budget: RateBudget, clock: Clock) -> None:
    running = granted(ask(budget, subject="a"))
    clock.now += 1
    refused(ask(budget, subject="b"))
    budget.settle(running, result=OK, limit=None)
    assert refused(ask(budget, subject="a")).reason == "busy"
    going_on = granted(go_on(budget, subject="a"))
    refused(ask(budget, LIVE, subject="c"))
    budget.settle(going_on, result=OK, limit=None)
    assert refused(go_on(budget, subject="a")).reason == "busy", "not before what is more urgent"


def go_on(budget: RateBudget, *, subject: str) -> Lease | Deferred:
    purpose = Purpose(priority=BACKFILL, subject=subject, continues=True)
    return budget.take(installation_id=ACME, resource=GRAPHQL, purpose=purpose)


def test_requests_are_fair_between_repositories(budget: RateBudget, clock: Clock) -> None:
    turns = []
    for _ in range(9):
        clock.now += 1
        for subject in ("big", "small", "other"):
            answer = ask(budget, subject=subject)
            if isinstance(answer, Lease):
                turns.append(subject)
                refused(ask(budget, subject="big"))
                for waiting in ("small", "other"):
                    refused(ask(budget, subject=waiting))
                budget.settle(answer, result=OK, limit=None)
                break
    assert turns == ["big", "small", "other"] * 3


def test_who_does_not_come_back_loses_the_turn(budget: RateBudget, clock: Clock) -> None:
    running = granted(ask(budget, subject="a"))
    refused(ask(budget, LIVE, subject="killed meanwhile"))
    budget.settle(running, result=OK, limit=None)
    refused(ask(budget, subject="a"))
    clock.now += PATIENCE_S
    granted(ask(budget, subject="a"))


def test_a_secondary_limit_stops_the_whole_installation_for_as_long_as_github_says(
    budget: RateBudget, clock: Clock
) -> None:
    exchange(budget, reported(remaining=4000), Result(kind=ResponseKind.SECONDARY, wait_s=90))
    for resource in (CORE, GRAPHQL):
        assert refused(ask(budget, LIVE, resource=resource)) == Deferred(reason="blocked", until=clock.now + 90)
    granted(ask(budget, installation_id=OTHER))
    clock.now += 90
    granted(ask(budget))


def test_after_a_secondary_limit_one_request_goes_first(budget: RateBudget, clock: Clock) -> None:
    exchange(budget, None, Result(kind=ResponseKind.SECONDARY, wait_s=90), resource=CORE)
    clock.now += 90
    scout = granted(ask(budget, resource=CORE))
    assert refused(ask(budget, LIVE, resource=CORE, subject="2")).reason == "busy"
    assert refused(ask(budget, LIVE, subject="2")).reason == "busy"
    budget.settle(scout, result=OK, limit=None)
    for number in range(2, 5):
        granted(ask(budget, LIVE, resource=CORE, subject=str(number)))


def test_a_secondary_limit_without_a_time_doubles_from_a_minute_to_an_hour(budget: RateBudget, clock: Clock) -> None:
    waits = []
    for _ in range(8):
        exchange(budget, None, Result(kind=ResponseKind.SECONDARY))
        waits.append(refused(ask(budget)).until - clock.now)
        clock.now += waits[-1]
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    exchange(budget, None)
    exchange(budget, None, Result(kind=ResponseKind.SECONDARY))
    assert refused(ask(budget)).until - clock.now == 60


def test_when_redis_forgets_the_budget_is_learned_again(budget: RateBudget) -> None:
    exchange(budget, reported(remaining=0))
    redis_client().flushdb()
    redis_client().script_flush()
    lease = granted(ask(budget))
    assert budget.read(ACME) == []
    budget.settle(lease, result=OK, limit=reported(remaining=17))
    assert [known.remaining for known in budget.read(ACME)] == [17]


def test_without_redis_work_goes_on_by_what_this_process_knows(clock: Clock) -> None:
    away = redis.Redis(port=refused_port(), retry=Retry(NoBackoff(), retries=0))
    lonely = RateBudget(redis=away, clock=clock)
    exchange(lonely, reported(remaining=4000))
    exchange(lonely, None, Result(kind=ResponseKind.PRIMARY, wait_s=30))
    assert refused(ask(lonely)) == Deferred(reason="blocked", until=clock.now + 30)
    granted(ask(lonely, resource=CORE))
    exchange(lonely, None, Result(kind=ResponseKind.SECONDARY), resource=CORE)
    assert refused(ask(lonely, resource=CORE)).until == clock.now + 60
    assert lonely.read(ACME) == []
    clock.now += 60
    granted(ask(lonely))


def test_nothing_is_kept_for_ever(budget: RateBudget) -> None:
    exchange(budget, reported(remaining=4000))
    granted(ask(budget))
    refused(ask(budget))
    found = list(redis_client().scan_iter(f"{PREFIX}:*"))
    assert len(found) == 4
    assert all(0 < redis_client().ttl(name) <= KEPT_S for name in found)
