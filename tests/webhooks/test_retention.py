"""Bodies expire by whole days and rows stay; the migration to bodies by day goes back with those that are there."""

import time
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.monitoring.status import retention_problems
from apps.webhooks import retention
from apps.webhooks.models import KEPT_DAY, Delivery, DeliveryBody
from apps.webhooks.retention import BATCH, DAYS_AHEAD, create_days, find_days, measure_delay_s, prune_bodies
from tests.plans import explaining
from tests.webhooks.conftest import GitHub, MadeUpEvent, drain, only
from tests.webhooks.test_claiming import keep
from tests.webhooks.test_replay import meanwhile

pytestmark = pytest.mark.django_db
OLD_DAY = date(2020, 1, 1)
OLD = datetime(2020, 1, 1, tzinfo=UTC)
STATES = [
    ("processed", False),
    ("ignored", False),
    ("quarantined", True),
    ("dead", True),
    ("failed", True),
    ("received", True),
]


@pytest.fixture
def old_partition() -> None:
    create_days(today=OLD_DAY)


def keep_old(state: str = "processed", *, count: int = 1, received_at: datetime = OLD) -> None:
    keep(count, state=state, received_at=received_at, finished_at=None if state in ("failed", "received") else OLD)


def today() -> date:
    return timezone.now().astimezone(UTC).date()


@pytest.mark.parametrize(("state", "is_kept"), STATES)
@pytest.mark.usefixtures("old_partition")
def test_a_day_is_dropped_and_what_somebody_may_need_of_it_stays(state: str, is_kept: bool) -> None:
    keep_old(state)
    expired = prune_bodies()
    assert expired.days == [OLD_DAY + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)]
    assert expired.saved == is_kept
    assert list(DeliveryBody.objects.values_list("day", flat=True)) == [KEPT_DAY] * is_kept
    assert (only().state, Delivery.objects.replayable().count()) == (state, is_kept)


@pytest.mark.parametrize(("state", "is_kept"), STATES)
def test_a_body_whose_day_has_no_partition_expires_alone(state: str, is_kept: bool) -> None:
    keep_old(state)
    assert prune_bodies().rows == (not is_kept)
    assert DeliveryBody.objects.exists() is is_kept
    assert only().state == state


@pytest.mark.usefixtures("old_partition")
def test_a_kept_body_is_processed_and_expires_afterwards(made_up_event: MadeUpEvent) -> None:
    keep_old("received")
    prune_bodies()
    drain()
    assert (only().state, len(made_up_event.seen)) == ("processed", 1)
    assert prune_bodies().rows == 1
    assert not DeliveryBody.objects.exists()


def test_young_bodies_stay(settings: Any) -> None:
    keep(state="processed", finished_at=OLD)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    create_days(today=yesterday.date())
    keep_old(received_at=yesterday)
    settings.BODY_RETENTION_DAYS = 1
    assert (prune_bodies().days, DeliveryBody.objects.count()) == ([], 2)


@pytest.mark.usefixtures("old_partition")
def test_retention_of_0_days_keeps_everything_and_goes_on_making_days(settings: Any) -> None:
    settings.BODY_RETENTION_DAYS = 0
    keep_old()
    assert prune_bodies() == retention.Expired()
    assert DeliveryBody.objects.exists()
    assert today() + timedelta(days=DAYS_AHEAD) in find_days()
    assert measure_delay_s() == 0


@pytest.mark.usefixtures("old_partition")
def test_more_than_one_batch_outlives_its_day() -> None:
    keep_old("dead", count=BATCH + 7)
    keep_old(count=3)
    expired = prune_bodies()
    assert (OLD_DAY in expired.days, expired.saved) == (True, BATCH + 7)
    assert DeliveryBody.objects.filter(day=KEPT_DAY).count() == BATCH + 7


@pytest.mark.usefixtures("old_partition")
def test_a_long_outage_is_searched_once_for_many_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each search reads all that is without effect, so one a batch would be quadratic in it."""
    monkeypatch.setattr(retention, "BATCH", 3)
    keep_old("received", count=100)
    with CaptureQueriesContext(connection) as statements:
        assert prune_bodies().saved == 100
    searches = [each for each in statements if "without_effect AS" in each["sql"] and "'2020-01-01'" in each["sql"]]
    assert len(searches) == 3, "to find them, to find no more, and under the lock"


@pytest.mark.proof
def test_more_than_one_batch_expires_row_by_row_beside_what_stays() -> None:
    keep_old("dead", count=BATCH + 7)
    keep_old(count=2 * BATCH + 7)
    assert prune_bodies().rows == 2 * BATCH + 7
    assert DeliveryBody.objects.count() == BATCH + 7


def test_a_run_makes_the_days_ahead_and_a_delivery_lies_in_its_own(github: GitHub) -> None:
    last = today() + timedelta(days=DAYS_AHEAD)
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS webhooks_deliverybody_{last:%Y%m%d}")
    prune_bodies()
    assert last in find_days()
    github.deliver()
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM webhooks_deliverybody")
        assert cursor.fetchall() == [(f"webhooks_deliverybody_{today():%Y%m%d}",)]


def test_a_delivery_is_stored_and_processed_though_its_day_has_no_partition(
    github: GitHub, made_up_event: MadeUpEvent
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE webhooks_deliverybody_{today():%Y%m%d}")
    assert github.deliver().status_code == 202
    prune_bodies()
    assert today() not in find_days(), "its body already lies elsewhere"
    drain()
    assert (only().state, len(made_up_event.seen)) == ("processed", 1)


@pytest.mark.django_db(transaction=True)
def test_a_body_that_comes_while_its_day_is_made_stops_no_run(github: GitHub, settings: Any) -> None:
    """It lies in the default partition by then, so its day gets no partition; the other days do."""
    settings.BODY_RETENTION_DAYS = 0
    days = {today(), today() + timedelta(days=DAYS_AHEAD)}
    with connection.cursor() as cursor:
        for day in days:
            cursor.execute(f"DROP TABLE webhooks_deliverybody_{day:%Y%m%d}")
    answers: list[int] = []

    def deliver_meanwhile(execute: Any, sql: Any, parameters: Any, many: bool, context: Any) -> Any:
        if "CREATE TABLE" in str(sql) and not answers:
            answers.append(meanwhile(lambda: github.deliver().status_code))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(deliver_meanwhile):
        prune_bodies()
    assert answers == [202]
    assert days & set(find_days()) == {today() + timedelta(days=DAYS_AHEAD)}
    DeliveryBody.objects.all().delete()
    prune_bodies()
    assert today() in find_days()


@pytest.mark.django_db(transaction=True)
def test_no_delivery_waits_behind_retention_that_waits(github: GitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup reads the bodies for hours: retention gives up each time, and goes on when the backup is over."""
    monkeypatch.setattr(retention, "MOST_TRIES", 3)
    create_days(today=OLD_DAY)
    keep_old()
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor}) as backup:
        backup.execute("SELECT count(*) FROM webhooks_deliverybody")
        answers: list[int] = []
        paused = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: answers.append(github.deliver().status_code))
        monkeypatch.setattr(retention, "time", paused)
        assert meanwhile(prune_bodies).days == []
    assert answers == [202, 202]
    assert OLD_DAY in prune_bodies().days


@pytest.mark.usefixtures("old_partition")
def test_late_retention_is_measured_and_found_by_the_watch() -> None:
    assert measure_delay_s() > 365 * 86_400
    assert list(retention_problems()) == ["retention_is_behind"]
    prune_bodies()
    assert (measure_delay_s(), retention_problems()) == (0, {})


def test_a_body_that_expires_alone_is_late_from_when_its_delivery_took_effect() -> None:
    keep_old()
    assert measure_delay_s() > 365 * 86_400
    Delivery.objects.update(finished_at=timezone.now())
    assert measure_delay_s() < 3600


@pytest.mark.usefixtures("old_partition")
def test_retention_and_readers_go_by_index_and_open_no_other_day() -> None:
    keep_old(count=300)
    keep_old("dead")
    Delivery.objects.update(repository_id=F("id"))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE webhooks_delivery, webhooks_deliverybody")
    plans: list[str] = []
    with connection.execute_wrapper(explaining(plans)):
        assert len(list(retention._find_needed(connection.cursor(), OLD_DAY))) == 1
        assert DeliveryBody.objects.of(Delivery.objects.filter(state="dead")).count() == 1
    saving, *_, reading = plans
    assert "delivery_without_effect" in saving
    assert "webhooks_deliverybody_20200101" in reading
    assert f"webhooks_deliverybody_{today():%Y%m%d}" not in reading
