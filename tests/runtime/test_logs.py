"""A log line is one line, tells what failed and where, and holds no secret and nothing of what was being read."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import structlog
from django.core.handlers.exception import response_for_exception
from django.db import DatabaseError, Error, connection, transaction
from django.test import RequestFactory
from structlog.typing import EventDict

from apps.common.redaction import HIDDEN, redact
from tests.fake_github.identities import stateless_token
from tformance.celery import app
from tformance.log_format import PlainFailures, escape_control_characters, hide_secrets, logging_configuration

pytestmark = pytest.mark.django_db

TOKEN = "ghs_" + "a1B2" * 9
NEW_TOKEN = stateless_token(412233, installation_id=7, expires_at=1_800_000_000)


def event_of(**event: object) -> EventDict:
    return escape_control_characters(None, "info", hide_secrets(None, "info", event))


@pytest.mark.parametrize(
    "secret",
    [
        TOKEN,
        NEW_TOKEN,
        "github_pat_11ABCDEFG0123456789_abcdef",
        "sha256=" + "0f" * 32,
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxIn0.c2lnbmF0dXJl",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIEow",
    ],
)
def test_what_looks_like_a_secret_is_hidden_wherever_it_stands(secret: str) -> None:
    assert redact(f"before {secret} after").startswith(f"before {HIDDEN}")
    assert secret not in json.dumps(event_of(event=f"got {secret}", nested={"list": [secret]}))


@pytest.mark.parametrize(
    "written",
    [
        "{token}",
        "Bearer {token}",
        "bearer {token}",
        "token {token}",
        "Authorization: token {token}",
        "https://x-access-token:{token}@github.com/acme/api.git",
        "https://api.github.com/?access_token={token}&page=2",
        "token='{token}', other",
        '{{"token": "{token}"}}',
        "({token})",
        "{token}.",
        "\n{token}\n",
    ],
)
def test_no_part_of_a_token_of_the_new_form_is_left_wherever_it_stands(written: str) -> None:
    shown = redact(written.format(token=NEW_TOKEN))
    assert HIDDEN in shown
    assert not [part for part in NEW_TOKEN.split(".") if part[:12] in shown or part[-12:] in shown]


def test_a_token_of_the_new_form_that_was_cut_off_is_hidden_too() -> None:
    for length in range(12, len(NEW_TOKEN)):
        assert redact(f"said {NEW_TOKEN[:length]}") == f"said {HIDDEN}"


@pytest.mark.parametrize(
    ("path", "secret"),
    [
        ("/invitations/{}/", "jZ8_Qx-3vN0aRk5tYw7LmB2cD4eF6gH1iJ9oPqSuTzX"),
        ("/unsubscribe/{}/", "WzEsMSwiZGlnZXN0Il0:1abcde:signature"),
        ("/accounts/password/reset/key/{}/", "1f-cx8k3v-0a1b2c3d4e5f"),
    ],
)
def test_links_that_are_a_permission_are_hidden_in_paths(path: str, secret: str) -> None:
    for text in (path, f"Internal Server Error: {path}", f"https://t.example{path}?a=1", f"'{path.rstrip('/')}'"):
        assert redact(text.format(secret)) == text.format(HIDDEN)
    for kept in ("/people/acme/invitations/revoke/", "/accounts/password/reset/key/done/"):
        assert redact(kept) == kept


def test_passwords_in_addresses_are_hidden() -> None:
    assert redact("redis://:hunter2@127.0.0.1/0 postgres://u:hunter2@h/n") == (
        f"redis://{HIDDEN}@127.0.0.1/0 postgres://{HIDDEN}@h/n"
    )


@pytest.mark.parametrize("name", ["password", "client_secret", "Authorization", "private_key", "installation_token"])
def test_a_value_under_a_name_that_says_so_is_hidden(name: str) -> None:
    assert event_of(**{name: "hunter2"}) == {name: HIDDEN}
    assert event_of(context={name: "hunter2"}) == {"context": {name: HIDDEN}}


def test_ids_and_counts_are_left_alone() -> None:
    assert event_of(event="finished", delivery_id=7, is_new=True, nothing=None) == {
        "event": "finished",
        "delivery_id": 7,
        "is_new": True,
        "nothing": None,
    }


@pytest.mark.parametrize("control", ["\n", "\r", "\x1b[31m", "\x00", "\x9b", "\u2028", "\u202e"])
def test_a_client_can_neither_start_a_line_nor_steer_a_terminal(control: str) -> None:
    written = event_of(event=f"branch {control} name")["event"]
    assert control not in written
    assert written.isprintable()


def test_a_line_of_any_library_is_one_json_object_without_secrets() -> None:
    configuration = logging_configuration(role="web")["formatters"]["structured"]
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=configuration["processors"], foreign_pre_chain=configuration["foreign_pre_chain"]
    )
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger = logging.Logger("a.library")
    logger.addHandler(handler)

    logger.warning("refused %s\nfor %s", TOKEN, "somebody", extra={"attempt": 3})

    (line,) = stream.getvalue().splitlines()
    assert json.loads(line).items() >= {"role": "web", "level": "warning", "logger": "a.library", "attempt": 3}.items()
    assert TOKEN not in line


@pytest.mark.proof
def test_only_a_refused_sign_in_is_a_warning_in_the_log() -> None:
    program = (
        "import django, logging; django.setup(); axes = logging.getLogger('axes.handlers.database');"
        "axes.info('signed in'); axes.warning('locked out'); logging.getLogger('apps.webhooks').info('kept')"
    )
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=os.environ | {"TFORMANCE_ROLE": "web", "DJANGO_SETTINGS_MODULE": "tformance.settings"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [json.loads(line)["event"] for line in answer.stderr.splitlines()] == ["locked out", "kept"]


PRIVATE = "a title that only the team may read"
STATEMENTS = {
    "a detail": "INSERT INTO webhooks_refusal (status, headers, reason) VALUES (401, '{}', %s)",
    "a value of another type": "SELECT %s::text::integer",
    "an instant that is none": "SELECT %s::text::timestamptz",
    "a broken document": "SELECT %s::text::jsonb",
    "a statement that is none": "SELECT * FROM %s_nowhere",
}


@contextmanager
def written(name: str) -> Iterator[io.StringIO]:
    """What a process writes of this logger."""
    configuration = logging_configuration(role="worker")
    assert configuration["handlers"]["stderr"]["filters"] == ["plain_failures"]
    form = configuration["formatters"]["structured"]
    handler = logging.StreamHandler(stream := io.StringIO())
    handler.addFilter(PlainFailures())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=form["processors"], foreign_pre_chain=form["foreign_pre_chain"])
    )
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


def refused_by_the_database(statement: str = STATEMENTS["a detail"]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, [PRIVATE])


def fails(act: Callable[[], None]) -> Error:
    with pytest.raises(DatabaseError) as failed:
        act()
    return failed.value


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_an_error_of_the_database_is_its_code_and_its_place(statement: str) -> None:
    error = fails(lambda: refused_by_the_database(statement))
    with written("any.library") as stream:
        logging.getLogger("any.library").error("something_failed", exc_info=error)
    line = json.loads(stream.getvalue())
    assert PRIVATE not in stream.getvalue()
    assert str(getattr(error.__cause__, "sqlstate", None)) in line["exception"]
    assert "refused_by_the_database" in line["exception"]
    assert type(error).__name__ in line["exception"]


def test_a_failed_request_logs_no_values_of_rows() -> None:
    error = fails(refused_by_the_database)
    with written("django.request") as stream:
        try:
            raise error
        except Error as raised:
            response_for_exception(RequestFactory(raise_request_exception=False).get("/"), raised)
    assert "django.db.utils.IntegrityError: 23502 null value" in stream.getvalue()
    assert PRIVATE not in stream.getvalue()


@app.task(name="tests.refused_task")
def refused_task(argument: str) -> None:
    refused_by_the_database()


def test_a_failed_task_logs_neither_rows_nor_arguments() -> None:
    with written("celery.app.trace") as stream:
        result = refused_task.apply(args=(f"{PRIVATE}, as argument",))
    assert result.failed()
    line = json.loads(stream.getvalue())
    assert (line["event"], line["task"], line["task_id"]) == ("task_failed", "tests.refused_task", result.id)
    assert "23502" in line["exception"]
    assert PRIVATE not in stream.getvalue()


def test_the_causes_of_an_error_are_logged_too() -> None:
    def fail() -> None:
        try:
            refused_by_the_database()
        except Error as error:
            raise RuntimeError("the week failed") from error

    with written("any.library") as stream:
        try:
            fail()
        except RuntimeError:
            logging.getLogger("any.library").exception("something_failed")
    found = json.loads(stream.getvalue())["exception"]
    assert found.index("NotNullViolation") < found.index("IntegrityError") < found.index("the week failed")
    assert PRIVATE not in found


@pytest.mark.proof
def test_what_beat_cannot_send_while_redis_is_away_is_one_line_and_no_stack() -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            "import django; django.setup()\n"
            "from celery.beat import Scheduler\n"
            "from tformance.celery import app\n"
            "scheduler = Scheduler(app, lazy=True)\n"
            "for entry in list(app.conf.beat_schedule)[:3]:\n"
            "    scheduler.apply_entry(scheduler._maybe_entry(entry, app.conf.beat_schedule[entry]))\n",
        ],
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "tformance.settings",
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "TFORMANCE_ROLE": "beat",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in ended.stderr.splitlines() if "celery.beat" in line]
    assert len(lines) == 1, ended.stderr
    assert "beat_cannot_send" in lines[0]
    assert "Traceback" not in ended.stderr
    assert "File " not in ended.stderr
