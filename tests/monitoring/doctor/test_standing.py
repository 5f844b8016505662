"""How the work stands, by the tables and by Redis."""

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
    return found_by(work.examine_standing)


def test_a_quiet_house() -> None:
    found = look()
    assert tuple(found) == work.NAMES
    assert {check.verdict for check in found.values()} == {"ok", "not checked"}


def test_deliveries_that_wait_or_need_somebody() -> None:
    make_delivery(1, state="dead", finished_at=timezone.now())
    assert look()["deliveries"].verdict == "warning"
    make_delivery(2)
    Delivery.objects.filter(state="received").update(not_before=timezone.now() - timedelta(minutes=5))
    assert look()["deliveries"].verdict == "wrong"


def test_what_signed_the_last_delivery() -> None:
    signature.forget_slots()
    Refusal.objects.create(status=401, reason="bad_signature", count=3, headers={})
    assert look()["signatures"].verdict == "wrong", "none was ever accepted"
    make_delivery(1, signed_by=active_secrets()[0].name, state="processed", finished_at=timezone.now())
    assert look()["signatures"].verdict == "warning", "some are refused"
    Refusal.objects.all().delete()
    assert look()["signatures"].verdict == "ok"
    make_delivery(2, signed_by="a slot that was taken out", state="processed", finished_at=timezone.now())
    assert look()["signatures"].verdict == "warning"


def test_walks_that_nobody_walks() -> None:
    install()
    walk = backfill(reach(), state="waiting")
    assert look()["waiting work"].verdict == "ok", "it was started just now"
    Backfill.objects.update(not_before=timezone.now() - timedelta(minutes=20))
    check = look()["waiting work"]
    assert (check.verdict, "walks through history (1)" in check.found) == ("wrong", True)
    other = backfill(
        walk.repository, stream="issues", state="waiting", advanced_at=timezone.now() - timedelta(minutes=1)
    )
    assert look()["waiting work"].verdict == "ok", "others go on: it waits for its turn"
    Backfill.objects.filter(pk=other.pk).update(
        advanced_at=None, not_before=timezone.now() + timedelta(minutes=5), reason="spent"
    )
    assert look()["waiting work"].verdict == "ok", "a worker put another off"
    Backfill.objects.all().delete()
    backfill(walk.repository, state="running", lease_until=timezone.now() - timedelta(minutes=20))
    assert "what dead workers held (1)" in look()["waiting work"].found


def test_walks_that_failed_are_told_until_they_are_read() -> None:
    install()
    backfill(reach(), state="failed")
    assert look()["history"].verdict == "warning"


def test_the_database_of_the_tests_is_well() -> None:
    signature.forget_slots()
    found = found_by(services.examine_database)
    assert tuple(found) == services.DATABASE_NAMES
    wrong = {name for name, check in found.items() if check.verdict not in {"ok", "warning"}}
    assert wrong <= {"durability"}, "the engines of the tests flush nothing"


def test_a_stored_secret_whose_key_was_lost(settings: Any) -> None:
    AppPrivateKey.objects.create(app_id=1, encrypted_pem=encrypt("pem"), stored_at=timezone.now())
    assert services.look_at_stored_secrets().verdict == "ok"
    settings.FERNET_KEYS = ["0" * 43 + "="]
    assert services.look_at_stored_secrets().verdict == "wrong"


def test_a_replica_is_not_written_to() -> None:
    server = services.Server(160000, "16", "on", "on", "on", True, 100, 1, 0.0)
    assert services.try_to_write(server).verdict == "wrong"


def test_redis_and_who_listens() -> None:
    with services.redis() as client:
        client.delete(presence.KEY)
        presence.say(["live worker@here", "beat there:1"])
        found = found_by(services.examine_presence)
        client.delete(presence.KEY)
    verdicts = {name: check.verdict for name, check in found.items()}
    assert verdicts == {
        "queue live": "ok",
        "queue figures": "wrong",
        "queue backfill": "wrong",
        "queue maintenance": "wrong",
        "beat": "ok",
    }
    assert tuple(found_by(services.examine_redis)) == services.REDIS_NAMES


def test_redis_away(settings: Any) -> None:
    settings.REDIS_URL = "redis://:hunter2hunter2@127.0.0.1:1/0"
    found = found_by(services.examine_redis)
    assert found["redis"].verdict == "wrong"
    assert "redis://127.0.0.1:1/0" in found["redis"].found
    assert "hunter2" not in str(found)


def test_settings_that_contradict_themselves(settings: Any) -> None:
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = 7, ""
    settings.FERNET_KEYS = ["no key"]
    settings.SECRET_KEY = "short and guessed"
    found = found_by(configuration.examine_configuration)
    assert tuple(found) == configuration.NAMES
    assert "Set both or neither" in found["settings"].found
    assert {name for name, check in found.items() if check.verdict == "wrong"} == {"settings", "encryption keys"}
    assert found["secret key"].verdict == "warning"
