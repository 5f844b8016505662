"""Who may walk: one worker at a time, and the one after a worker that died."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from apps.activity.models import Installation, Repository, RepositoryAccess
from apps.integrations.backfill.claims import Claimed, claim
from apps.integrations.models import Backfill
from apps.integrations.models.backfills import LEASE
from tests.fake_github.using import ACME, BETA
from tests.integrations.backfill.installed import backfill, install, reach
from tests.integrations.backfill.side_by_side import side_by_side

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
OVER = timedelta(seconds=-1)


def take(row: Backfill, *, task_id: str = "mine", is_redelivered: bool = False) -> Claimed | None:
    claimed = claim(row.pk, task_id=task_id, is_redelivered=is_redelivered)
    row.refresh_from_db()
    return claimed


def held(repository: Repository, *, lease: timedelta = MINUTE, **about: Any) -> Backfill:
    """A walk that a task named `theirs` holds, or held."""
    about = {"leased_by": "theirs", "claim_number": 3, **about}
    return backfill(repository, state="running", lease_until=timezone.now() + lease, **about)


def test_a_walk_that_is_due_is_claimed_with_a_lease(api: Repository) -> None:
    row = backfill(api, rung_at=timezone.now(), reason="busy")
    claimed = take(row)
    assert claimed is not None
    assert (row.state, row.leased_by, row.claim_number, row.reason) == ("running", "mine", 1, "")
    assert row.rung_at is None, "it may be told of again once it is given up"
    assert row.lease_until is not None
    assert abs(row.lease_until - timezone.now() - LEASE) < timedelta(seconds=5)
    assert (claimed.full_name, claimed.installation_id, claimed.cursor) == ("acme/api", ACME, "")
    assert (claimed.claim_number, claimed.started_at, claimed.was_dropped) == (1, row.started_at, False)


def test_the_walk_began_when_it_was_first_claimed(api: Repository) -> None:
    row = backfill(api)
    assert take(row) is not None
    began_at = row.started_at
    Backfill.objects.update(state="waiting", lease_until=None)
    assert take(row) is not None
    assert began_at is not None
    assert row.started_at == began_at


@pytest.mark.parametrize("state", ["paused", "done", "cancelled", "failed"])
def test_what_is_not_to_be_walked_is_not_claimed(api: Repository, state: str) -> None:
    assert take(backfill(api, state=state)) is None


def test_a_walk_is_not_claimed_before_its_time(api: Repository) -> None:
    row = backfill(api, not_before=timezone.now() + MINUTE)
    assert take(row) is None
    Backfill.objects.update(not_before=Now())
    assert take(row) is not None


def test_a_message_about_a_walk_that_is_no_more_does_no_harm(db: None) -> None:
    assert claim(1, task_id="mine", is_redelivered=False) is None


def test_a_walk_that_a_worker_holds_is_left_to_it(api: Repository) -> None:
    assert take(held(api)) is None


def test_a_walk_whose_lease_ran_out_is_taken_over_and_that_is_a_failure(api: Repository) -> None:
    row = held(api, lease=OVER)
    claimed = take(row)
    assert claimed is not None
    assert (claimed.was_dropped, claimed.progress.attempts, claimed.claim_number) == (True, 1, 4)


@pytest.mark.parametrize(
    ("task_id", "is_redelivered", "is_taken"),
    [("theirs", True, True), ("theirs", False, False), ("mine", True, False)],
)
def test_only_its_own_message_redelivered_takes_a_walk_over_before_the_lease_runs_out(
    api: Repository, task_id: str, is_redelivered: bool, is_taken: bool
) -> None:
    row = held(api)
    assert (take(row, task_id=task_id, is_redelivered=is_redelivered) is not None) == is_taken


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_gets_it(api: Repository) -> None:
    row = backfill(api)
    claims = side_by_side(*[lambda: claim(row.pk, task_id="one of them", is_redelivered=False)] * 6)
    assert len([claimed for claimed in claims if claimed is not None]) == 1
    row.refresh_from_db()
    assert row.claim_number == 1


def test_the_installation_is_the_one_that_reaches_the_repository_now(api: Repository) -> None:
    row = backfill(api, installation_id=ACME)
    install(BETA, login="beta", account_id=600)
    RepositoryAccess.objects.update(has_access=False)
    reach(installation_id=BETA, owner_id=600)
    claimed = take(row)
    assert claimed is not None
    assert claimed.installation_id == row.installation_id == BETA


def test_without_an_installation_a_walk_fails_and_says_what_to_do(api: Repository) -> None:
    RepositoryAccess.objects.update(has_access=False)
    row = backfill(api)
    assert take(row) is None
    assert (row.state, row.reason) == ("failed", "no_installation")
    assert "acme/api: install it" in row.error


def test_a_removed_installation_is_none(api: Repository) -> None:
    Installation.objects.update(deleted_at=Now())
    row = backfill(api)
    assert take(row) is None
    assert (row.state, row.reason) == ("failed", "no_installation")


def test_while_its_installation_is_suspended_a_walk_waits(api: Repository) -> None:
    Installation.objects.update(suspended_at=Now())
    row = backfill(api)
    assert take(row) is None
    assert (row.state, row.reason) == ("waiting", "suspended")
    assert timedelta(minutes=14) < row.not_before - timezone.now() <= timedelta(minutes=15)
