"""A beat says that it beats, while the broker takes its messages."""

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
from tformance.broker import QUEUES

pytestmark = pytest.mark.proof


@pytest.fixture
def broker() -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(settings.CELERY_BROKER_URL) as client:
        client.delete(presence.KEY, *QUEUES)
        yield client
        client.delete(presence.KEY, *QUEUES)


def test_a_beat_says_that_it_beats(broker: "redis.Redis", tmp_path: Path) -> None:
    command = [sys.executable, "-m", "celery", "--app", "tformance", "beat", "--pidfile=", "--loglevel", "ERROR"]
    environment = {**os.environ, "TFORMANCE_ROLE": "beat", "DJANGO_SETTINGS_MODULE": "tformance.settings"}
    process = subprocess.Popen([*command, "--schedule", str(tmp_path / "schedule")], env=environment)
    try:
        eventually(lambda: presence.present(broker).get(presence.BEAT))
    finally:
        process.terminate()
        process.wait(20)
    assert presence.present(broker)[presence.BEAT][0].endswith(f":{process.pid}")


def test_without_redis_nobody_waits_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    away = redis.Redis(port=1)
    monkeypatch.setattr(presence, "_redis", lambda: away)
    presence.say(["live worker@here"])
    presence.take_back(["live worker@here"])
