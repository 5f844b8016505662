"""Large bodies share a budget of bytes: they wait for a place in it or are refused, and small ones are not affected."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from apps.webhooks import views
from apps.webhooks.models import Delivery, Refusal
from apps.webhooks.request_body import SMALL, BodyBudget, TooManyBytesError
from tests.webhooks.conftest import GitHub, eventually, sign

LARGE = b" " * (SMALL + 1)


@pytest.fixture
def budget(monkeypatch: pytest.MonkeyPatch) -> BodyBudget:
    """A budget for one large body at a time, in which nobody may wait."""
    budget = BodyBudget(most_bytes=len(LARGE), most_waiting=0)
    monkeypatch.setattr(views, "budget", budget)
    return budget


@pytest.mark.django_db
def test_a_large_body_beyond_the_budget_is_503_with_a_time_to_try_again(github: GitHub, budget: BodyBudget) -> None:
    budget.take(len(LARGE))
    answer = github.post(LARGE)
    assert (answer.status_code, answer["Retry-After"]) == (503, "10")
    assert not Delivery.objects.exists()
    assert (Refusal.objects.get().status, Refusal.objects.get().reason) == (503, "no_place")


@pytest.mark.django_db
def test_small_bodies_need_no_place(github: GitHub, budget: BodyBudget) -> None:
    budget.take(len(LARGE))
    assert github.post(b" " * SMALL).status_code == 202


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (202, {}),
        (401, {"headers": {"X-Hub-Signature-256": sign(b"other")}}),
        (400, {"headers": {"X-GitHub-Delivery": "no GUID"}}),
    ],
    ids=["kept", "wrong signature", "malformed header"],
)
def test_a_place_is_free_again_however_the_post_was_answered(
    github: GitHub, budget: BodyBudget, status: int, changes: dict[str, Any]
) -> None:
    for _ in range(2):
        assert github.post(LARGE, **changes).status_code == status


def test_a_large_body_waits_for_its_place() -> None:
    budget = BodyBudget(most_bytes=3 * SMALL)
    first = budget.take(2 * SMALL)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(budget.take, 2 * SMALL)
        eventually(lambda: budget._waiting)
        assert not second.done()
        budget.release(first)
        assert second.result() == 2 * SMALL


@pytest.mark.proof
def test_a_body_that_waits_is_not_overtaken_by_smaller_ones() -> None:
    budget = BodyBudget(most_bytes=4 * SMALL, most_waiting=1)
    first, second = budget.take(2 * SMALL), budget.take(2 * SMALL)
    with ThreadPoolExecutor(1) as pool:
        large = pool.submit(budget.take, 4 * SMALL)
        eventually(lambda: budget._waiting)
        budget.release(first)
        with pytest.raises(TooManyBytesError):
            budget.take(2 * SMALL)
        budget.release(second)
        assert large.result() == 4 * SMALL


def test_the_next_one_does_not_wait_for_one_that_gave_up() -> None:
    budget = BodyBudget(most_bytes=4 * SMALL, longest_wait_s=0.5)
    budget.take(2 * SMALL)
    with ThreadPoolExecutor(1) as pool:
        large = pool.submit(budget.take, 4 * SMALL)
        eventually(lambda: large.done() or budget._waiting)
        budget._longest_wait_s = 60
        assert budget.take(2 * SMALL) == 2 * SMALL
        with pytest.raises(TooManyBytesError):
            large.result()


def test_a_wait_ends_and_no_more_wait_than_may() -> None:
    impatient = BodyBudget(most_bytes=0, longest_wait_s=0.01)
    with pytest.raises(TooManyBytesError):
        impatient.take(2 * SMALL)
    budget = BodyBudget(most_bytes=2 * SMALL, most_waiting=1)
    first = budget.take(2 * SMALL)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(budget.take, 2 * SMALL)
        eventually(lambda: budget._waiting)
        with pytest.raises(TooManyBytesError):
            budget.take(2 * SMALL)
        budget.release(first)
        assert waiting.result()
