"""`manage.py doctor` as a person and a machine use it."""

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

from apps.monitoring.doctor.checks import safe
from apps.monitoring.doctor.examination import all_families
from apps.monitoring.doctor.github import hasty_access
from apps.webhooks import signature
from tests.fake_github.server import FakeGitHub
from tformance.local.home import CHECKOUT

pytestmark = pytest.mark.proof

EVERY_CHECK = 40


@pytest.fixture
def silence() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield server.getsockname()[1]


def doctor(*arguments: str) -> tuple[int, str]:
    signature.forget_slots()
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
    assert code == 1, "nobody listens in a test"
    for words in ("github credentials", "App tformance (412233) of acme.", "No worker listens", "Something is wrong: "):
        assert words in table
    assert max(map(len, table.splitlines())) <= 80
    code, text = doctor("--json")
    told = json.loads(text)
    assert (code, told["is_well"], len(told["checks"])) == (1, False, EVERY_CHECK)
    assert {check["verdict"] for check in told["checks"]} <= {"ok", "warning", "wrong", "not checked"}
    assert "mistake of doctor's own" not in text


def test_every_check_has_a_name_of_its_own() -> None:
    names = [name for family in all_families(hasty_access()) for name in family.names]
    assert len(names) == len(set(names)) == EVERY_CHECK
    assert {need for family in all_families(hasty_access()) for need in family.needs} <= set(names)


def test_no_secret_is_shown(settings: Any) -> None:
    settings.GITHUB_CLIENT_SECRET = "hunter2hunter2"
    for secret in ("hunter2hunter2", known.SECRET_KEY, *known.FERNET_KEYS, *known.GITHUB_WEBHOOK_SECRETS):
        assert safe(f"it said {secret}!") == "it said [hidden]!"
    assert safe("red \x1b[31m\nand a second line") == "red  [31m and a second line"


def test_with_everything_silent_it_ends_and_in_words(silence: int) -> None:
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
    told = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert (done.returncode, done.stderr) == (1, "")
    assert (told["database"]["verdict"], told["redis"]["verdict"]) == ("wrong", "wrong")
    assert len(told) == EVERY_CHECK
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
def test_a_mistaken_setting_is_named_and_the_others_are_looked_at(
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
    told = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert (done.returncode, done.stderr, len(told)) == (1, "", EVERY_CHECK)
    assert told["settings"]["found"].startswith(name)
    assert (told[named]["verdict"], told[named]["found"][: len(name)]) == ("wrong", name)
    assert {told[other]["verdict"] for other in others} <= {"ok", "warning"}
    assert "hunter2" not in done.stdout
