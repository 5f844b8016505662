"""Liveness and readiness, what they show to strangers, and beats that report themselves."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings

from apps.monitoring import presence
from apps.users.models import CustomUser
from apps.webhooks import intake, signature
from tests.webhooks.conftest import eventually
from tformance.celery_settings import QUEUES

READY = {"status": "ready", "database": "up", "migrations": "applied", "secret": "present", "broker": "up"}


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    signature.forget_secrets()
    intake.forget_outcomes()
    yield
    intake.forget_outcomes()
    signature.forget_secrets()


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def ask(client: Client | None = None) -> tuple[int, dict[str, Any]]:
    answer = (client or Client()).get("/readyz")
    return answer.status_code, answer.json()


def test_liveness_needs_no_database() -> None:
    answer = Client().get("/livez")  # without the database mark: a query would fail
    assert (answer.status_code, answer.content) == (200, b"alive\n")


@pytest.mark.django_db
def test_an_instance_is_ready_when_a_delivery_would_be_stored() -> None:
    with CaptureQueriesContext(connection) as queries:
        assert ask() == (200, READY)
    assert len(queries) <= 5


@pytest.mark.django_db
@pytest.mark.parametrize("port", ["closed_port", "silent_port"])
def test_without_the_broker_it_is_ready_and_says_so(request: pytest.FixtureRequest, port: str) -> None:
    with override_settings(REDIS_URL=f"redis://:secret@127.0.0.1:{request.getfixturevalue(port)}/0"):
        assert ask() == (200, READY | {"broker": "down"})


@pytest.mark.django_db
def test_without_a_secret_it_is_not_ready() -> None:
    with override_settings(GITHUB_WEBHOOK_SECRETS=[]):
        assert ask() == (503, READY | {"status": "not ready", "secret": "missing"})


@pytest.mark.django_db
def test_with_a_migration_to_apply_it_is_not_ready() -> None:
    MigrationRecorder(connection).record_unapplied("webhooks", "0001_squashed_initial")
    assert ask() == (503, READY | {"status": "not ready", "migrations": "pending"})


@pytest.mark.django_db
def test_without_the_database_it_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise DatabaseError("connection to server at 10.0.0.7 failed: password is hunter2")

    monkeypatch.setattr(connection, "cursor", refuse)
    status, data = ask()
    assert (status, data) == (503, {"status": "not ready", "database": "down", "broker": "up"})


@pytest.mark.django_db
def test_on_a_read_only_server_it_is_not_ready() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL transaction_read_only = on")
        assert ask() == (503, {"status": "not ready", "database": "read-only", "broker": "up"})


@pytest.mark.django_db
@pytest.mark.parametrize(("kept", "failed", "status"), [(0, 3, 503), (9, 3, 503), (10, 3, 200), (0, 2, 200)])
def test_while_deliveries_cannot_be_stored_it_is_not_ready(kept: int, failed: int, status: int) -> None:
    for is_kept in [*[True] * kept, *[False] * failed]:
        intake.note_outcome(is_stored=is_kept)
    assert ask()[0] == status
    intake.forget_outcomes()
    assert ask() == (200, READY)


@pytest.mark.django_db
def test_explanations_are_for_operators(client: Client) -> None:
    operator = CustomUser.objects.create_superuser("operator")
    for user, is_told in ((CustomUser.objects.create_user("viewer"), False), (operator, True)):
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        with override_settings(GITHUB_WEBHOOK_SECRETS=[]):
            signature.forget_secrets()
            _, data = ask(client)
        assert ("GITHUB_WEBHOOK_SECRETS" in str(data)) is is_told


@pytest.fixture
def broker() -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(settings.CELERY_BROKER_URL) as client:
        client.delete(presence.KEY, *QUEUES)
        yield client
        client.delete(presence.KEY, *QUEUES)


@pytest.mark.proof
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


@pytest.mark.proof
def test_without_redis_a_report_neither_blocks_nor_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    away = redis.Redis(port=1)
    monkeypatch.setattr(presence, "_redis", lambda: away)
    presence.report(["live worker@here"])
    presence.remove(["live worker@here"])
