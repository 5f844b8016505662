"""Doctor's checks of the work, the database and Redis."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.common.encryption import encrypt
from apps.github.models import AppPrivateKey
from apps.integrations.models import Backfill
from apps.monitoring import presence
from apps.monitoring.doctor import configuration, services, work
from apps.webhooks import signature
from apps.webhooks.models import Delivery, Refusal
from apps.webhooks.signature import active_secrets
from tests.api.conftest import make_delivery
from tests.integrations.backfill.installed import backfill, install, reach
from tests.monitoring.doctor.conftest import found_by

pytestmark = pytest.mark.django_db


def look() -> dict[str, Any]:
    return found_by(work.check_work)


def test_an_idle_instance_has_no_failures() -> None:
    found = look()
    assert tuple(found) == work.NAMES
    assert {check.result for check in found.values()} == {"ok", "not checked"}


def test_deliveries_that_wait_or_need_attention() -> None:
    make_delivery(1, state="dead", finished_at=timezone.now())
    assert look()["deliveries"].result == "warning"
    make_delivery(2)
    Delivery.objects.filter(state="received").update(not_before=timezone.now() - timedelta(minutes=5))
    assert look()["deliveries"].result == "failed"


def test_the_secret_of_the_last_delivery() -> None:
    signature.forget_secrets()
    Refusal.objects.create(status=401, reason="bad_signature", count=3, headers={})
    assert look()["signatures"].result == "failed", "none was ever accepted"
    make_delivery(1, signed_by=active_secrets()[0].name, state="processed", finished_at=timezone.now())
    assert look()["signatures"].result == "warning", "some are refused"
    Refusal.objects.all().delete()
    assert look()["signatures"].result == "ok"
    make_delivery(2, signed_by="a secret that was removed", state="processed", finished_at=timezone.now())
    assert look()["signatures"].result == "warning"


def test_overdue_backfills_and_leases() -> None:
    install()
    walk = backfill(reach(), state="waiting")
    assert look()["waiting work"].result == "ok", "it was started just now"
    Backfill.objects.update(not_before=timezone.now() - timedelta(minutes=20))
    check = look()["waiting work"]
    assert (check.result, "backfills (1)" in check.found) == ("failed", True)
    other = backfill(
        walk.repository, stream="issues", state="waiting", advanced_at=timezone.now() - timedelta(minutes=1)
    )
    assert look()["waiting work"].result == "ok", "others go on: it waits for its turn"
    Backfill.objects.filter(pk=other.pk).update(
        advanced_at=None, not_before=timezone.now() + timedelta(minutes=5), reason="spent"
    )
    assert look()["waiting work"].result == "ok", "a worker put another off"
    Backfill.objects.all().delete()
    backfill(walk.repository, state="running", lease_until=timezone.now() - timedelta(minutes=20))
    assert "expired leases (1)" in look()["waiting work"].found


def test_failed_backfills_are_a_warning() -> None:
    install()
    backfill(reach(), state="failed")
    assert look()["history"].result == "warning"


def test_the_database_of_the_tests_has_no_failures() -> None:
    signature.forget_secrets()
    found = found_by(services.check_database)
    assert tuple(found) == services.DATABASE_NAMES
    failed = {name for name, check in found.items() if check.result not in {"ok", "warning"}}
    assert failed <= {"durability"}, "the engines of the tests flush nothing"


def test_a_stored_secret_whose_key_was_lost(settings: Any) -> None:
    AppPrivateKey.objects.create(app_id=1, encrypted_pem=encrypt("pem"), stored_at=timezone.now())
    assert services.check_stored_secrets().result == "ok"
    settings.FERNET_KEYS = ["0" * 43 + "="]
    assert services.check_stored_secrets().result == "failed"


def test_a_read_only_server_fails_the_writing_check() -> None:
    server = services.Server(160000, "16", "on", "on", "on", True, 100, 1, 0.0)
    assert services.check_writing(server).result == "failed"


def test_present_workers_and_beat() -> None:
    with services.redis() as client:
        client.delete(presence.KEY)
        presence.report(["live worker@here", "beat there:1"])
        found = found_by(services.check_presence)
        client.delete(presence.KEY)
    results = {name: check.result for name, check in found.items()}
    assert results == {
        "queue live": "ok",
        "queue figures": "failed",
        "queue backfill": "failed",
        "queue maintenance": "failed",
        "beat": "ok",
    }
    assert tuple(found_by(services.check_redis)) == services.REDIS_NAMES


def test_redis_that_does_not_answer(settings: Any) -> None:
    settings.REDIS_URL = "redis://:hunter2hunter2@127.0.0.1:1/0"
    found = found_by(services.check_redis)
    assert found["redis"].result == "failed"
    assert "redis://127.0.0.1:1/0" in found["redis"].found
    assert "hunter2" not in str(found)


def test_contradictory_settings(settings: Any) -> None:
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = 7, ""
    settings.FERNET_KEYS = ["no key"]
    settings.SECRET_KEY = "short and guessed"
    found = found_by(configuration.check_configuration)
    assert tuple(found) == configuration.NAMES
    assert "Set both or neither" in found["settings"].found
    assert {name for name, check in found.items() if check.result == "failed"} == {"settings", "encryption keys"}
    assert found["secret key"].result == "warning"
