"""Expired rows are deleted, useful ones stay, and keys in Redis expire."""

from datetime import timedelta

import pytest
from axes.models import AccessLog
from django.contrib.sessions.models import Session
from django.utils import timezone

from apps.github.auth import GitHubAccess
from apps.github.rate_limit import PREFIX, redis_client
from apps.monitoring import presence
from apps.monitoring.tasks import clean_up
from apps.users.models import ApiToken, CustomUser
from apps.webhooks.models import WebhookSecret
from apps.webhooks.signature import store_secret
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import good, query, read

pytestmark = pytest.mark.django_db
NOW = timezone.now()
LONG_AGO, LATELY, SOON = NOW - timedelta(days=31), NOW - timedelta(days=29), NOW + timedelta(days=1)


def test_tokens_are_deleted_a_month_after_they_expire() -> None:
    user = CustomUser.objects.create_user("ana")
    for label, expires_at in (("gone", LONG_AGO), ("lately", LATELY), ("valid", SOON), ("for ever", None)):
        ApiToken.objects.issue(user=user, label=label, expires_at=expires_at)
    assert clean_up()["api_tokens"] == 1
    assert set(ApiToken.objects.values_list("label", flat=True)) == {"lately", "valid", "for ever"}


def test_webhook_secrets_are_deleted_a_month_after_they_expire() -> None:
    for label, not_after in (("gone", LONG_AGO), ("lately", LATELY), ("active", None)):
        secret = store_secret(f"a long and random secret: {label}", label=label)
        WebhookSecret.objects.filter(pk=secret.pk).update(not_after=not_after)
    assert clean_up()["webhook_secrets"] == 1
    assert set(WebhookSecret.objects.values_list("label", flat=True)) == {"lately", "active"}


def test_sessions_are_deleted_when_they_expire_and_sign_in_records_after_three_months() -> None:
    for key, expire_date in (("ended", NOW - timedelta(minutes=1)), ("open", SOON)):
        Session.objects.create(session_key=key, session_data="", expire_date=expire_date)
    for days in (91, 89):
        AccessLog.objects.create(username=str(days))
        AccessLog.objects.filter(username=str(days)).update(attempt_time=NOW - timedelta(days=days))
    found = clean_up()
    assert (found["sessions"], found["sign_ins"]) == (1, 1)
    assert [session.session_key for session in Session.objects.all()] == ["open"]
    assert [row.username for row in AccessLog.objects.all()] == ["89"]


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
