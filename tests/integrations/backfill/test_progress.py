"""How far walks have come together, and when they will be done."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.activity.models import Repository
from apps.integrations.backfill.status import Progress, progress_of
from apps.integrations.models import Backfill
from tests.integrations.backfill.installed import backfill, install, reach

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> Repository:
    install()
    return reach()


def ago(seconds: float) -> datetime:
    return timezone.now() - timedelta(seconds=seconds)


def now() -> Progress:
    return progress_of(Backfill.objects.all())


def running(**about: Any) -> dict[str, Any]:
    return {"state": "running", "lease_until": timezone.now() + timedelta(minutes=1), **about}


def test_before_anything_is_read_nothing_is_foretold(api: Repository) -> None:
    backfill(api)
    found = now()
    assert (found.done, found.total, found.unsized) == (0, 0, 1)
    assert (found.items_per_s, found.eta_s, found.waits_until) == (None, None, None)


def test_the_rate_is_that_of_the_whole_time_and_tells_the_end(api: Repository) -> None:
    backfill(api, **running(items=300, total=900, started_at=ago(100)))
    backfill(api, stream="issues", state="done", items=100, started_at=ago(60), finished_at=ago(10))
    found = now()
    assert (found.done, found.total, found.unsized) == (400, 1000, 0)
    assert found.items_per_s == pytest.approx(4, rel=0.05)
    assert found.eta_s == pytest.approx(150, rel=0.05)


def test_what_is_done_took_as_long_as_it_took(api: Repository) -> None:
    backfill(api, state="done", items=100, total=120, started_at=ago(1000), finished_at=ago(980))
    found = now()
    assert (round(found.items_per_s or 0), found.eta_s, found.total) == (5, 0, 100)


def test_a_wait_that_all_share_is_part_of_the_time(api: Repository) -> None:
    later = timezone.now() + timedelta(seconds=600)
    backfill(api, items=100, total=200, started_at=ago(50), not_before=later, reason="spent")
    backfill(api, stream="issues", not_before=later + timedelta(seconds=60), reason="spent")
    found = now()
    assert found.waits_until == later
    assert found.eta_s == pytest.approx(650, rel=0.05)


def test_nothing_is_waited_for_while_anything_may_be_read(api: Repository) -> None:
    backfill(api, not_before=timezone.now() + timedelta(seconds=600), reason="spent")
    backfill(api, stream="issues")
    assert now().waits_until is None


def test_what_somebody_paused_has_no_end(api: Repository) -> None:
    backfill(api, state="paused", items=100, total=200, started_at=ago(50))
    found = now()
    assert (found.eta_s, found.waits_until) == (None, None)


def test_more_than_github_said_is_not_more_than_all(api: Repository) -> None:
    backfill(api, **running(items=130, total=120, started_at=ago(10)))
    found = now()
    assert (found.done, found.total) == (130, 130)
