"""Whatever fails, wherever it is logged: the line tells what and where, and nothing of what was being read."""

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

from tformance.celery import app
from tformance.log_format import PlainFailures, logging_configuration

PRIVATE = "a title that only the team may read"
STATEMENTS = {
    "a detail": "INSERT INTO webhooks_refusal (status, headers, reason) VALUES (401, '{}', %s)",
    "a value of another type": "SELECT %s::text::integer",
    "an instant that is none": "SELECT %s::text::timestamptz",
    "a broken document": "SELECT %s::text::jsonb",
    "a statement that is none": "SELECT * FROM %s_nowhere",
}
pytestmark = pytest.mark.django_db


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


def test_a_request_that_fails_tells_nothing_of_rows() -> None:
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


def test_a_task_that_fails_tells_neither_rows_nor_arguments() -> None:
    with written("celery.app.trace") as stream:
        result = refused_task.apply(args=(f"{PRIVATE}, as argument",))
    assert result.failed()
    line = json.loads(stream.getvalue())
    assert (line["event"], line["task"], line["task_id"]) == ("task_failed", "tests.refused_task", result.id)
    assert "23502" in line["exception"]
    assert PRIVATE not in stream.getvalue()


def test_the_errors_behind_an_error_are_told_too() -> None:
    def fail() -> None:
        try:
            refused_by_the_database()
        except Error as error:
            raise RuntimeError("the week could not be told") from error

    with written("any.library") as stream:
        try:
            fail()
        except RuntimeError:
            logging.getLogger("any.library").exception("something_failed")
    told = json.loads(stream.getvalue())["exception"]
    assert told.index("NotNullViolation") < told.index("IntegrityError") < told.index("the week could not be told")
    assert PRIVATE not in told


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
