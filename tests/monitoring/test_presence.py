"""A beat reports itself while the broker accepts its messages."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings

from apps.monitoring import presence
from tests.webhooks.conftest import eventually
from tformance.celery_settings import QUEUES

pytestmark = pytest.mark.proof


@pytest.fixture
def broker() -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(settings.CELERY_BROKER_URL) as client:
        client.delete(presence.KEY, *QUEUES)
        yield client
        client.delete(presence.KEY, *QUEUES)


def test_a_beat_reports_itself(broker: "redis.Redis", tmp_path: Path) -> None:
    command = [sys.executable, "-m", "celery", "--app", "tformance", "beat", "--pidfile=", "--loglevel", "ERROR"]
    environment = {**os.environ, "TFORMANCE_ROLE": "beat", "DJANGO_SETTINGS_MODULE": "tformance.settings"}
    process = subprocess.Popen([*command, "--schedule", str(tmp_path / "schedule")], env=environment)
    try:
        eventually(lambda: presence.present(broker).get(presence.BEAT))
    finally:
        process.terminate()
        process.wait(20)
    assert presence.present(broker)[presence.BEAT][0].endswith(f":{process.pid}")


def test_without_redis_a_report_neither_blocks_nor_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    away = redis.Redis(port=1)
    monkeypatch.setattr(presence, "_redis", lambda: away)
    presence.report(["live worker@here"])
    presence.remove(["live worker@here"])
