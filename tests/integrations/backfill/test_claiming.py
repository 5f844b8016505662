"""Claims of backfills: one worker at a time, and the one after a worker that died."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from apps.activity.models import Installation, Repository, RepositoryAccess
from apps.integrations.backfill.claimed_stream import Claimed, resolve
from apps.integrations.models import Backfill
from apps.jobs.claims import claim
from tests.fake_github.using import ACME, BETA
from tests.integrations.backfill.installed import backfill, install, reach

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
OVER = timedelta(seconds=-1)


def take(row: Backfill) -> Claimed | None:
    job = claim(row.pk, task_id="mine")
    assert job is not None
    claimed = resolve(job)
    row.refresh_from_db()
    return claimed


def test_a_claim_says_what_is_read_and_from_where(api: Repository) -> None:
    row = backfill(api, cursor="further")
    claimed = take(row)
    assert claimed is not None
    assert (claimed.full_name, claimed.installation_id, claimed.cursor) == ("acme/api", ACME, "further")
    assert (claimed.claim_number, claimed.started_at, claimed.was_dropped) == (1, row.started_at, False)


def test_a_stream_whose_worker_died_is_taken_over_with_what_it_learned(api: Repository) -> None:
    over = {"state": "running", "lease_until": timezone.now() - MINUTE, "claim_number": 3, "attempts": 2}
    claimed = take(backfill(api, **over))
    assert claimed is not None
    assert (claimed.was_dropped, claimed.progress.attempts, claimed.claim_number) == (True, 3, 4)


def test_the_installation_is_the_one_that_reaches_the_repository_now(api: Repository) -> None:
    row = backfill(api, installation_id=ACME)
    install(BETA, login="beta", account_id=600)
    RepositoryAccess.objects.update(has_access=False)
    reach(installation_id=BETA, owner_id=600)
    claimed = take(row)
    assert claimed is not None
    assert claimed.installation_id == row.installation_id == BETA


def test_without_an_installation_a_backfill_fails_and_says_what_to_do(api: Repository) -> None:
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


def test_while_its_installation_is_suspended_a_backfill_waits(api: Repository) -> None:
    Installation.objects.update(suspended_at=Now())
    row = backfill(api)
    assert take(row) is None
    assert (row.state, row.reason) == ("waiting", "suspended")
    assert timedelta(minutes=14) < row.not_before - timezone.now() <= timedelta(minutes=15)
