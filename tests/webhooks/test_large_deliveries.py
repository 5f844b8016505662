"""Deliveries with more facts than one transaction should have, up to the largest that GitHub sends."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from apps.activity.facts import Evidence, RepositoryName, Stamp
from apps.activity.models import Commit, CommitTrailer, Repository, RepositoryAccess
from apps.demo.shapes import accounts, git, repositories
from apps.demo.shapes.accounts import Account
from apps.demo.shapes.repositories import RepositoryIdentity
from apps.webhooks import worker
from apps.webhooks.models import Delivery, DeliveryBody
from apps.webhooks.registry import Event
from tests.webhooks.conftest import GitHub, MadeUpEvent, drain, make_due, only
from tests.webhooks.test_claiming import keep

pytestmark = pytest.mark.django_db(transaction=True)


def named_repositories(event: Event) -> tuple[RepositoryName, ...]:
    stamp = Stamp(source_updated_at=datetime(2026, 1, 1, tzinfo=UTC), translator_version=1)
    first, count = event.payload["first"], event.payload["count"]
    return tuple(
        RepositoryName(stamp=stamp, github_id=number, full_name=f"acme/{number}", is_private=False)
        for number in range(first, first + count)
    )


@pytest.fixture
def recorded(made_up_event: MadeUpEvent, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many facts each transaction recorded, where ten are many."""
    counts: list[int] = []
    record = worker.record

    def note(evidence: Sequence[Evidence]) -> None:
        counts.append(sum(len(piece.facts) for piece in evidence))
        record(evidence)

    made_up_event.make_facts = named_repositories
    monkeypatch.setattr(worker, "MOST_FACTS", 10)
    monkeypatch.setattr(worker, "record", note)
    return counts


def deliver(github: GitHub, *, first: int, count: int) -> None:
    github.deliver({"action": "happened", "first": first, "count": count})


def test_deliveries_share_a_transaction_up_to_its_number_of_facts(github: GitHub, recorded: list[int]) -> None:
    for place in range(5):
        deliver(github, first=10 * place, count=4)
    assert drain() == 5
    assert recorded == [8, 8, 4]
    assert set(Delivery.objects.values_list("state", "attempts")) == {("processed", 1)}


def test_one_with_too_many_facts_is_recorded_part_by_part(github: GitHub, recorded: list[int]) -> None:
    deliver(github, first=1, count=25)
    drain()
    assert recorded == [10, 10, 5]
    assert (only().state, Repository.objects.count()) == ("processed", 25)


def test_an_attempt_that_fails_half_way_is_made_good_by_the_next(
    github: GitHub, recorded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(github, first=1, count=25)
    with monkeypatch.context() as broken:
        broken.setattr(worker, "record", fails_after(2, worker.record))
        drain()
    assert (only().state, Repository.objects.count()) == ("failed", 20)
    Delivery.objects.update(is_slow=False)
    make_due()
    drain()
    assert (only().state, only().attempts, Repository.objects.count()) == ("processed", 2, 25)


def test_a_worker_that_lost_its_claim_records_no_further_part(
    github: GitHub, recorded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = worker.record

    def lose_the_claim(evidence: Sequence[Evidence]) -> None:
        record(evidence)
        if len(recorded) == 2:
            Delivery.objects.update(claim_number=7)

    monkeypatch.setattr(worker, "record", lose_the_claim)
    deliver(github, first=1, count=25)
    drain()
    assert recorded == [10, 10]
    assert (only().state, Repository.objects.count()) == ("running", 10)


def fails_after(count: int, record: Callable[[Sequence[Evidence]], None]) -> Callable[[Sequence[Evidence]], None]:
    calls: list[None] = []

    def record_or_fail(evidence: Sequence[Evidence]) -> None:
        calls.append(None)
        if len(calls) > count:
            raise RuntimeError("on purpose")
        record(evidence)

    return record_or_fail


def post(event: str, payload: Any) -> int:
    """Put a large delivery into the inbox; its size."""
    body = json.dumps(payload, separators=(",", ":")).encode()
    [row_id] = keep(event=event, size=len(body))
    DeliveryBody.objects.filter(delivery_id=row_id).update(content=body)
    return len(body)


ACME = Account(5, "acme", "Organization")
ANA = Account(6, "ana")
THEN = datetime(2026, 1, 1, tzinfo=UTC)


def identity(number: int) -> RepositoryIdentity:
    return RepositoryIdentity(number, f"repository-{number}", ACME, created_at=THEN, updated_at=THEN, pushed_at=THEN)


@pytest.mark.proof
@pytest.mark.timeout(400)
def test_an_installation_with_150_000_repositories_takes_effect_at_its_first_attempt() -> None:
    count = 150_000
    described = accounts.installation(99, account=ACME, created_at=THEN)
    reached = [repositories.shortened_repository(identity(number)) for number in range(1, count + 1)]
    payload = {"action": "created", "installation": described, "repositories": reached, "sender": accounts.user(ANA)}
    assert post("installation", payload) > 17_000_000
    drain()
    assert (only().state, only().reason, only().attempts) == ("processed", "", 1)
    assert (Repository.objects.count(), RepositoryAccess.objects.filter(has_access=True).count()) == (count, count)


@pytest.mark.proof
@pytest.mark.timeout(400)
def test_a_push_of_2048_commits_with_long_messages_takes_effect_at_its_first_attempt() -> None:
    count, reviewers = 2048, 99
    reviewed = [
        f"Reviewed-by: Reviewer {number} <r{number}@example.com>, {'who looked at it ' * 3}"
        for number in range(reviewers)
    ]
    commits = tuple(
        git.Commit(git.fake_sha(number), ANA, "\n".join([f"Change {number}", "", *reviewed]), THEN, THEN)
        for number in range(count)
    )
    ends = {"before": git.fake_sha("before"), "after": commits[-1].sha}
    payload = git.push(identity(1), ref="refs/heads/main", commits=commits, pusher=ANA, **ends)
    assert 17_000_000 < post("push", {**payload, "sender": accounts.user(ANA)}) < 25 * 1024 * 1024
    drain()
    assert (only().state, only().reason, only().attempts) == ("processed", "", 1)
    assert (Commit.objects.count(), CommitTrailer.objects.count()) == (count, count * reviewers)
