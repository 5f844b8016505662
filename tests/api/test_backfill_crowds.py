"""Starts and changes of backfills over the API while others are at it."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from django.db import connection, transaction
from django.utils import timezone

from apps.activity.models import Repository
from apps.jobs.changes import _ONE_AT_A_TIME
from tests.api.backfills import LIST, PULLS, fail
from tests.api.conftest import API, Cast
from tests.dashboard.test_pages import signed_in
from tests.integrations.backfill.crossing import breaking_off_a_start_of
from tests.integrations.backfill.installed import backfill

pytestmark = pytest.mark.django_db


@pytest.fixture
def elsewhere(reached: Cast) -> Iterator[Cast]:
    """Somebody else's start takes long; a request waits 100 ms for it (web processes: longer)."""
    other = connection.copy()
    with transaction.atomic(), connection.cursor() as cursor, other.cursor() as holding:
        holding.execute("SELECT pg_advisory_lock(%s)", [_ONE_AT_A_TIME])
        cursor.execute("SET LOCAL lock_timeout = '100ms'")
        yield reached
    other.close()


@pytest.mark.django_db(transaction=True)
def test_a_concurrent_start_does_not_block_others_for_long(elsewhere: Cast) -> None:
    client = elsewhere.client(elsewhere.admin)
    failed = backfill(Repository.objects.get(pk=API), stream="issues")
    fail(failed)
    answers = [client.post(LIST, PULLS), client.post(f"{LIST}{failed.pk}/retry/")]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(409, "busy")] * 2
    page = signed_in(elsewhere.admin).post("/backfills/change/", {"repository": API, "change": "retry"}, follow=True)
    assert "Others start jobs at the moment." in page.content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("change", "state"), [("pause", "waiting"), ("resume", "paused"), ("cancel", "waiting"), ("retry", "failed")]
)
def test_a_start_that_locks_the_row_does_not_block_others_for_long(reached: Cast, change: str, state: str) -> None:
    ended = timezone.now() if state == "failed" else None
    row = backfill(Repository.objects.get(pk=API), stream="issues", state=state, finished_at=ended)
    client, asked = reached.client(reached.admin), {"repository": API, "change": change}
    with closing(connection.copy()) as other, transaction.atomic(), connection.cursor() as cursor:
        other.set_autocommit(False)
        other.cursor().execute("SELECT id FROM jobs_job WHERE id = %s FOR UPDATE", [row.pk])
        cursor.execute("SET LOCAL lock_timeout = '100ms'")
        answer = client.post(f"{LIST}{row.pk}/{change}/")
        page = signed_in(reached.admin).post("/backfills/change/", asked, follow=True)
    assert (answer.status_code, answer.json()["code"]) == (409, "busy")
    assert "Others start jobs at the moment." in page.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_start_that_was_broken_off_for_a_deadlock_is_begun_once_more(reached: Cast) -> None:
    asked = {"repository": "acme/api", "streams": ["issues", "releases"]}
    with breaking_off_a_start_of("issues", "releases", repository_id=API):
        answer = reached.client(reached.admin).post(LIST, asked)
    assert (answer.status_code, answer.json()["new"]) == (202, 2)
