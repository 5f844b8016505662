"""Metrics for Prometheus, and who may read them."""

import re
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection
from django.test import Client, override_settings
from django.utils import timezone

from apps.activity.models import Change, Repository
from apps.integrations.models import SyncLog
from apps.monitoring.models import StatusCheck
from tests.api.conftest import API, make_delivery, make_drift

pytestmark = pytest.mark.django_db


def value_of(text: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found, name
    return float(found[1])


def test_the_gauges_of_tables_and_the_counters_of_webhooks() -> None:
    Client().post("/webhooks/github/", data=b"{}", content_type="application/json")  # refused, and counted
    make_delivery(1)
    Change.objects.create(kind="team", key="1")
    text = Client().get("/metrics").content.decode()
    assert value_of(text, "tformance_database_up") == 1
    assert value_of(text, 'tformance_deliveries_by_state{state="received"}') == 1
    assert value_of(text, 'tformance_deliveries_by_state{state="dead"}') == 0
    assert value_of(text, "tformance_oldest_waiting_seconds") >= 0
    assert value_of(text, "tformance_delivery_lag_seconds") >= 0
    assert value_of(text, "tformance_changes_waiting") == 1
    assert "tformance_webhook_responses_total" in text


def test_the_drift_of_the_last_run_that_is_over() -> None:
    Repository.objects.create(github_id=API, full_name="acme/api")
    make_drift(missing=9)
    over = make_drift(checked=50, missing=2)
    SyncLog.objects.update(status="completed", finished_at=timezone.now())
    make_drift(missing=7)
    text = Client().get("/metrics").content.decode()
    assert value_of(text, 'tformance_drift{count="missing",stream="pull_requests"}') == over.missing
    assert value_of(text, 'tformance_drift{count="checked",stream="pull_requests"}') == over.checked


def test_problems_and_ages_for_alerts_are_exposed() -> None:
    StatusCheck.objects.create(problems=["deliveries_wait"])
    hour = timezone.now() - timedelta(hours=1)
    SyncLog.objects.create(sync_id="nightly:2026-03-02", cause="nightly", status="completed", finished_at=hour)
    text = Client().get("/metrics").content.decode()
    assert value_of(text, 'tformance_problem{problem="deliveries_wait"}') == 1
    assert 3600 <= value_of(text, "tformance_nightly_run_age_seconds") < 3700
    assert "tformance_log_scan_age_seconds " not in text, "it was never scanned"


def test_a_database_that_is_down_is_a_metric_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise DatabaseError

    monkeypatch.setattr(connection, "cursor", refuse)
    answer = Client().get("/metrics")
    assert (answer.status_code, value_of(answer.content.decode(), "tformance_database_up")) == (200, 0)


@pytest.mark.parametrize(
    ("address", "headers", "expected"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("10.0.0.7", {}, 401),
        ("127.0.0.1", {"HTTP_X_FORWARDED_FOR": "203.0.113.9"}, 401),
        ("127.0.0.1", {"HTTP_FORWARDED": "for=203.0.113.9"}, 401),
    ],
)
def test_without_a_token_only_this_machine_may_read_metrics(
    address: str, headers: dict[str, str], expected: int
) -> None:
    assert Client(REMOTE_ADDR=address).get("/metrics", **headers).status_code == expected


@pytest.mark.parametrize(
    ("given", "expected"), [("Bearer correct horse", 200), ("Bearer wrong", 401), ("", 401), ("Bearer ü", 401)]
)
def test_with_a_token_only_its_bearer_may_read_metrics(given: str, expected: int) -> None:
    with override_settings(METRICS_TOKEN="correct horse"):
        assert Client().get("/metrics", HTTP_AUTHORIZATION=given).status_code == expected
