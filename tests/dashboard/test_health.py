"""Health on its pages: problems, the last day, workers and beat, retention, and doctor's checks, for operators."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from redis import RedisError

from apps.dashboard.operations import health
from apps.monitoring.doctor.checks import Check, Result
from apps.monitoring.models import StatusCheck
from apps.webhooks.inbox_overview import read_hours
from tests.api.conftest import Cast, make_delivery
from tests.dashboard.test_pages import read, signed_in
from tests.plans import explaining

pytestmark = pytest.mark.django_db
PAGE, CHECKS = "/operations/health/", "/operations/health/checks/"
NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize("address", [PAGE, CHECKS])
def test_for_anyone_but_operators_there_is_no_health(cast: Cast, address: str) -> None:
    for user in (cast.viewer, cast.admin):
        assert signed_in(user).get(address).status_code == 404


def test_problems_come_first_with_what_to_do(cast: Cast) -> None:
    client = signed_in(cast.operator)
    page = read(client, PAGE)
    assert "Not checked yet" in page
    assert "No delivery arrived." in page
    StatusCheck.objects.create()
    assert "No problem found" in read(client, PAGE)
    StatusCheck.objects.create(problems=["broker_down"], explanations={"broker_down": "The broker is <down>."})
    page = read(client, PAGE)
    assert "1 problem" in page
    assert "The broker is &lt;down&gt;." in page


def test_each_hour_has_its_outcomes_and_how_long_deliveries_took(cast: Cast) -> None:
    times = [(9, "processed", 1), (9, "processed", 3), (10, "dead", 60), (11, "ignored", 2)]
    for number, (hour, state, took_s) in enumerate(times):
        at = datetime(2026, 3, 2, hour, 15, tzinfo=UTC)
        make_delivery(number, state=state, received_at=at, finished_at=at + timedelta(seconds=took_s))
    make_delivery(9, received_at=NOW)
    make_delivery(10, received_at=NOW - timedelta(hours=24))
    make_delivery(11, state="processed", source=2, received_at=NOW - timedelta(hours=2), finished_at=NOW)
    hours = read_hours(now=NOW)
    assert len(hours) == 24
    assert [
        (each.begins_at.hour, each.processed, each.ignored, each.failed, each.unfinished) for each in hours[-4:]
    ] == [
        (9, 2, 0, 0, 0),
        (10, 1, 0, 1, 0),
        (11, 0, 1, 0, 0),
        (12, 0, 0, 0, 1),
    ]
    assert (hours[-4].median_s, hours[-3].p95_s, hours[-1].median_s) == (2.0, 60.0, None)
    assert sum(each.count for each in hours) == 6


def test_the_charts_say_in_words_what_they_show(cast: Cast) -> None:
    at = timezone.now()
    make_delivery(1, state="processed", received_at=at, finished_at=at + timedelta(seconds=1.5))
    make_delivery(2, state="dead", received_at=at, finished_at=at + timedelta(seconds=1.5))
    page = read(signed_in(cast.operator), PAGE)
    for shown in (
        *("<b>2 deliveries</b>", "1 failed", "1 processed, 1 failed</title>", 'fill="url(#rate-hatch)"'),
        *("half within 1.50 s, 95% within 1.50 s", "As a table", '<td class="number">1.500 s</td>'),
    ):
        assert shown in page, shown
    assert " style=" not in page


def test_workers_and_beat_are_present_or_absent(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "present", lambda redis: {"live": ["worker@one"]})
    page = read(signed_in(cast.operator), PAGE)
    assert 'Queue live</th><td data-label="State"><span class="badge done">present' in page
    assert "worker@one" in page
    assert "scheduled work does not run without it" in page

    def away(redis: Any) -> Any:
        raise RedisError

    monkeypatch.setattr(health, "present", away)
    assert "Redis is not responding" in read(signed_in(cast.operator), PAGE)


def test_retention_says_how_long_bodies_are_kept(cast: Cast, settings: Any) -> None:
    settings.BODY_RETENTION_DAYS = 30
    page = read(signed_in(cast.operator), PAGE)
    assert "30 days" in page
    assert "on time" in page
    settings.BODY_RETENTION_DAYS = 0
    assert "forever" in read(signed_in(cast.operator), PAGE)


def test_a_day_that_takes_too_long_is_left_out(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    canceled = type("Canceled", (Exception,), {"sqlstate": "57014"})

    def cancelled(**_: Any) -> Any:
        raise OperationalError from canceled()

    monkeypatch.setattr("apps.webhooks.inbox_overview.read_hours", cancelled)
    assert "counting them took too long" in read(signed_in(cast.operator), PAGE)


def test_the_page_is_bounded_and_reads_the_day_by_its_index(cast: Cast) -> None:
    for number in range(50):
        make_delivery(number, state="dead", error="e" * 500, finished_at=timezone.now())
    client, plans = signed_in(cast.operator), list[str]()
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(PAGE)
    assert len(queries) <= 12, [query["sql"] for query in queries]
    assert len(answer.content) <= 150_000
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    with connection.execute_wrapper(explaining(plans)):
        read_hours(now=NOW)
    assert all("delivery_by_time" in plan for plan in plans)


def test_the_checks_are_those_of_doctor_the_failed_ones_first(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        Check("database", Result.OK, "PostgreSQL 17", "Nothing"),
        Check("redis", Result.FAILED, "No <answer>.", "Start it."),
    ]
    monkeypatch.setattr(health, "run_families", lambda families: iter(found))
    page = read(signed_in(cast.operator), CHECKS)
    assert page.index("Redis") < page.index("Database")
    assert "No &lt;answer&gt;. <strong>Start it.</strong>" in page
    assert "Nothing</strong>" not in page
    assert "1 failed" in page
