"""The status check, metrics for Prometheus and who may read them, and what is deleted when it expires."""

import re
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from axes.models import AccessLog
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection
from django.test import Client, override_settings
from django.utils import timezone

from apps.activity.models import Change, Contributor, Installation, Repository
from apps.github.auth import GitHubAccess
from apps.github.rate_limit import PREFIX, redis_client
from apps.integrations.models import StreamCount, SyncLog
from apps.metrics.recalculation import drain
from apps.monitoring import presence, tasks
from apps.monitoring.models import StatusCheck
from apps.monitoring.tasks import check_status, clean_up, delete_expired
from apps.notifications.models import Notification
from apps.users.models import ApiToken, CustomUser
from apps.webhooks import signature
from apps.webhooks.models import Delivery, WebhookSecret
from apps.webhooks.signature import store_secret
from tests.api.conftest import API, make_delivery, make_drift
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import good, query, read
from tests.integrations.backfill.installed import backfill

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"


def test_an_instance_without_problems_is_healthy() -> None:
    make_delivery(1)
    assert check_status() == []
    assert str(StatusCheck.objects.get()) == "healthy"


def test_the_admin_explains_the_problems() -> None:
    StatusCheck.objects.create()
    StatusCheck.objects.create(problems=["broker_down"], explanations={"broker_down": "The broker is <down>."})
    client = Client()
    client.force_login(CustomUser.objects.create_superuser("operator"), backend=BACKEND)
    page = client.get("/admin/monitoring/statuscheck/").content.decode()
    assert "The broker is &lt;down&gt;." in page
    assert page.count("problems found") == 1


def wait_long() -> None:
    make_delivery(1)
    Delivery.objects.update(not_before=timezone.now() - timedelta(minutes=5))


def die() -> None:
    make_delivery(1, state="dead", finished_at=timezone.now())


def go_stale() -> None:
    Change.objects.create(kind="team", key="1")
    Change.objects.update(recorded_at=timezone.now() - timedelta(minutes=10))


def fail_alone() -> None:
    Change.objects.create(kind="pull_request", key="not a key")
    drain(seconds=60)


def lose_much() -> None:
    Repository.objects.create(github_id=API, full_name="acme/api")
    sync = make_drift().repository_sync
    StreamCount.objects.create(repository_sync=sync, stream="issues", outcome="mass", theirs=0, ours=40)


@pytest.mark.parametrize(
    ("break_it", "problem"),
    [
        (wait_long, "deliveries_wait"),
        (die, "deliveries_need_attention"),
        (go_stale, "figures_are_stale"),
        (fail_alone, "changes_fail"),
        (lose_much, "mass_deletions"),
    ],
)
def test_a_problem_is_found(break_it: Any, problem: str) -> None:
    break_it()
    assert check_status() == [problem]


def lack_permissions() -> None:
    Contributor.objects.create(github_id=500, login="acme", kind="organization")
    Installation.objects.create(github_id=7, account_id=500, permissions={"contents": "read"}, events=["push"])


def leave_backfills() -> None:
    Contributor.objects.create(github_id=500, login="acme", kind="organization")
    backfill(Repository.objects.create(github_id=11), not_before=timezone.now() - timedelta(minutes=20))


def leave_a_lease() -> None:
    expired = timezone.now() - timedelta(minutes=20)
    backfill(Repository.objects.create(github_id=11), state="running", lease_until=expired)


@pytest.mark.parametrize(
    ("break_it", "problem", "words"),
    [
        (lack_permissions, "permissions_missing", "On acme the App lacks permissions Actions, Deployments"),
        (leave_backfills, "backfills_wait", "Is a worker of the queue backfill running?"),
        (leave_a_lease, "leases_expired", "no worker picked them up"),
    ],
)
def test_problems_with_reading_github_are_found_and_explained(break_it: Any, problem: str, words: str) -> None:
    break_it()
    assert check_status() == [problem]
    assert words in StatusCheck.objects.get().explanations[problem]


def test_permissions_of_unapproved_deleted_and_unlisted_accounts_are_ignored(settings: Any) -> None:
    settings.ALLOWED_ACCOUNTS = ["acme"]
    for identity, login in ((500, "acme"), (501, "stranger")):
        Contributor.objects.create(github_id=identity, login=login, kind="organization")
    lacking = {"permissions": {}, "events": []}
    Installation.objects.create(github_id=7, account_id=501, **lacking)
    Installation.objects.create(github_id=8, account_id=500, deleted_at=timezone.now(), **lacking)
    Installation.objects.create(github_id=9, account_id=500, suspended_at=timezone.now(), **lacking)
    Installation.objects.create(github_id=10, account_id=500)
    assert check_status() == []


def test_missing_secrets_and_a_dead_broker_are_found() -> None:
    signature.forget_secrets()
    with override_settings(GITHUB_WEBHOOK_SECRETS=[], REDIS_URL="redis://127.0.0.1:1/0"):
        assert check_status() == ["broker_down", "no_webhook_secret"]


def test_operators_get_one_note_for_each_problem() -> None:
    CustomUser.objects.create_user("viewer")
    operator = CustomUser.objects.create_superuser("operator")
    die()
    check_status()
    check_status()
    note = Notification.objects.get()
    assert (note.user, "dead or quarantined" in note.message) == (operator, True)
    Delivery.objects.update(state="processed")
    check_status()
    Delivery.objects.update(state="dead")
    check_status()
    assert Notification.objects.count() == 2


def test_old_status_checks_are_deleted() -> None:
    StatusCheck.objects.create(checked_at=timezone.now() - timedelta(days=8))
    check_status()
    assert StatusCheck.objects.count() == 1


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


NOW = timezone.now()
LONG_AGO, LATELY, SOON = NOW - timedelta(days=31), NOW - timedelta(days=29), NOW + timedelta(days=1)


def test_tokens_are_deleted_a_month_after_they_expire() -> None:
    user = CustomUser.objects.create_user("ana")
    for label, expires_at in (("gone", LONG_AGO), ("lately", LATELY), ("valid", SOON), ("forever", None)):
        ApiToken.objects.issue(user=user, label=label, expires_at=expires_at)
    assert delete_expired()["api_tokens"] == 1
    assert set(ApiToken.objects.values_list("label", flat=True)) == {"lately", "valid", "forever"}


def test_webhook_secrets_are_deleted_a_month_after_they_expire() -> None:
    for label, not_after in (("gone", LONG_AGO), ("lately", LATELY), ("active", None)):
        secret = store_secret(f"a long and random secret: {label}", label=label)
        WebhookSecret.objects.filter(pk=secret.pk).update(not_after=not_after)
    assert delete_expired()["webhook_secrets"] == 1
    assert set(WebhookSecret.objects.values_list("label", flat=True)) == {"lately", "active"}


def test_sessions_are_deleted_when_they_expire_and_sign_in_records_after_three_months() -> None:
    for key, expire_date in (("ended", NOW - timedelta(minutes=1)), ("open", SOON)):
        Session.objects.create(session_key=key, session_data="", expire_date=expire_date)
    for days in (91, 89):
        AccessLog.objects.create(username=str(days))
        AccessLog.objects.filter(username=str(days)).update(attempt_time=NOW - timedelta(days=days))
    found = delete_expired()
    assert (found["sessions"], found["sign_ins"]) == (1, 1)
    assert [session.session_key for session in Session.objects.all()] == ["open"]
    assert [row.username for row in AccessLog.objects.all()] == ["89"]


def test_what_cannot_be_deleted_stops_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    ApiToken.objects.issue(user=CustomUser.objects.create_user("ana"), expires_at=LONG_AGO)
    broken = {"bodies": Mock(side_effect=ValueError), "refreshes": Mock(side_effect=KeyError)}
    monkeypatch.setattr(tasks, "CLEAN_UPS", tasks.CLEAN_UPS | broken)
    with pytest.raises(ExceptionGroup) as failed:
        clean_up()
    assert [type(error) for error in failed.value.exceptions] == [ValueError, KeyError]
    assert not ApiToken.objects.exists()


def test_keys_in_redis_of_reading_github_expire(fake: FakeGitHub, worker: GitHubAccess) -> None:
    good(read(worker))
    good(query(worker))
    keys = list(redis_client().scan_iter(f"{PREFIX}:*"))
    assert len(keys) >= 3, "a token, and budgets of the App and of an installation"
    assert [key for key in keys if not 0 < redis_client().ttl(key) <= 2 * 3600] == []


def test_a_silent_process_is_no_longer_present() -> None:
    redis_client().delete(presence.KEY)
    presence.report(["live worker@here"])
    assert presence.present(redis_client()) == {"live": ["worker@here"]}
    redis_client().zincrby(presence.KEY, -presence.GONE_AFTER_S - 2, "live worker@here")
    assert presence.present(redis_client()) == {}
    presence.report(["live worker@here", "beat there"])
    presence.remove(["live worker@here"])
    assert presence.present(redis_client()) == {"beat": ["there"]}
    redis_client().delete(presence.KEY)
