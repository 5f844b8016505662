"""The command `manage.py doctor`: table, JSON and exit codes."""

import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings as known
from django.core.management import call_command

from apps.monitoring.doctor.checks import redact
from apps.monitoring.doctor.families import all_families
from apps.monitoring.doctor.github import impatient_access
from apps.webhooks import signature
from tests.fake_github.server import FakeGitHub
from tformance.local.state import CHECKOUT

pytestmark = pytest.mark.proof

EVERY_CHECK = 40


@pytest.fixture
def silence() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield server.getsockname()[1]


def doctor(*arguments: str) -> tuple[int, str]:
    signature.forget_secrets()
    out = io.StringIO()
    try:
        call_command("doctor", *arguments, stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("credentials")
def test_a_table_and_a_document_of_every_check(fake: FakeGitHub) -> None:
    code, table = doctor()
    assert code == 1, "no worker runs in a test"
    for words in ("github credentials", "App tformance (412233) of acme.", "No worker is running", "Problems found: "):
        assert words in table
    assert max(map(len, table.splitlines())) <= 80
    code, text = doctor("--json")
    document = json.loads(text)
    assert (code, document["is_ok"], len(document["checks"])) == (1, False, EVERY_CHECK)
    assert {check["result"] for check in document["checks"]} <= {"ok", "warning", "failed", "not checked"}
    assert "Bug in this check" not in text


def test_every_check_has_a_name_of_its_own() -> None:
    names = [name for family in all_families(impatient_access()) for name in family.names]
    assert len(names) == len(set(names)) == EVERY_CHECK
    assert {need for family in all_families(impatient_access()) for need in family.needs} <= set(names)


def test_no_secret_is_shown(settings: Any) -> None:
    settings.GITHUB_CLIENT_SECRET = "hunter2hunter2"
    for secret in ("hunter2hunter2", known.SECRET_KEY, *known.FERNET_KEYS, *known.GITHUB_WEBHOOK_SECRETS):
        assert redact(f"it said {secret}!") == "it said [hidden]!"
    assert redact("red \x1b[31m\nand a second line") == "red  [31m and a second line"


def test_doctor_ends_in_time_when_nothing_answers(silence: int) -> None:
    environment = {
        **os.environ,
        "DATABASE_URL": f"postgres://u:hunter2hunter2@127.0.0.1:{silence}/x",
        "REDIS_URL": f"redis://:hunter2hunter2@127.0.0.1:{silence}/0",
        "GITHUB_API_URL": f"http://127.0.0.1:{silence}",
        "DJANGO_SETTINGS_MODULE": "tformance.settings",
        "TFORMANCE_ROLE": "command",
    }
    command = [sys.executable, str(CHECKOUT / "manage.py"), "doctor", "--json"]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    document = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert (done.returncode, done.stderr) == (1, "")
    assert (document["database"]["result"], document["redis"]["result"]) == ("failed", "failed")
    assert len(document) == EVERY_CHECK
    assert "hunter2" not in done.stdout


@pytest.mark.parametrize(
    ("name", "value", "named", "others"),
    [
        ("PORT", "eighty", "settings", ("database", "redis", "migrations")),
        ("PUBLIC_URL", "tf.example.com", "settings", ("database", "redis")),
        ("SECRET_KEY", "weak", "secret key", ("database", "redis")),
        ("DATABASE_URL", "mysql://ana:hunter2hunter2@h/x", "database", ("redis",)),
        ("REDIS_URL", "http://ana:hunter2hunter2@h", "redis", ("database", "migrations")),
        ("GITHUB_API_URL", "github", "github credentials", ("database", "redis")),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_an_invalid_setting_is_named_and_the_other_checks_run(
    name: str, value: str, named: str, others: tuple[str, ...]
) -> None:
    parts = known.DATABASES["default"]
    address = f"postgres://{parts['USER']}:{parts['PASSWORD']}@{quote(parts['HOST'], safe='')}:{parts['PORT']}"
    environment = {
        **os.environ,
        "DATABASE_URL": f"{address}/{parts['NAME']}",
        "REDIS_URL": known.REDIS_URL,
        "DJANGO_SETTINGS_MODULE": "tformance.settings",
        name: value,
    }
    command = [sys.executable, str(CHECKOUT / "manage.py"), "doctor", "--json"]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    document = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert (done.returncode, done.stderr, len(document)) == (1, "", EVERY_CHECK)
    assert document["settings"]["found"].startswith(name)
    assert (document[named]["result"], document[named]["found"][: len(name)]) == ("failed", name)
    assert {document[other]["result"] for other in others} <= {"ok", "warning"}
    assert "hunter2" not in done.stdout
