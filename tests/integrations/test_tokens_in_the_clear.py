"""A token of GitHub's new form, quoted back by every error there is, is in no log, row, page or key of Redis."""

import logging
from collections.abc import Iterator

import pytest
from celery import current_app
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.urls import reverse

from apps.common.redaction import HIDDEN
from apps.github.auth import GitHubAccess
from apps.github.rate_limit import redis_client
from apps.integrations.listed_installations import list_installation
from apps.jobs.models import Job
from apps.webhooks.models import Delivery
from apps.webhooks.parsing import UnusablePayloadError
from apps.webhooks.registry import Event, scoped_registration, translates
from tests.fake_github.faults import Answered, Asked, Fault
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, good, query, read
from tests.integrations.backfill.installed import backfill, install, reach
from tests.integrations.backfill.workers import BackfillWorkers
from tests.runtime.test_logs import written
from tests.webhooks.conftest import GitHub, drain

pytestmark = pytest.mark.django_db(transaction=True)
QUOTES = (
    "refused: {token}",
    "Authorization: Bearer {token}",
    "token {token} is bad",
    "could not read https://x-access-token:{token}@github.com/acme/api.git?access_token={token}",
)
PAGES = ("integrations_backfill", "webhooks_delivery", "django_celery_results_taskresult")


def quoting(asked: Asked, answer: Answered) -> Answered:
    """A proxy's error page in JSON: it repeats what was sent."""
    _, _, token = asked.headers["authorization"].partition(" ")
    message = " ".join(QUOTES).format(token=token)
    if asked.is_graphql:
        return Answered(200, {"data": None, "errors": [{"type": "INVALID", "message": message}]})
    return Answered(422, {"message": message})


def fail_deliveries(token: str) -> None:
    """Two deliveries whose translators quote the token, each its own way."""
    with scoped_registration():

        @translates("quotes", "breaks")
        def break_with_token(event: Event) -> tuple[()]:
            raise RuntimeError(" ".join(QUOTES).format(token=token))

        @translates("quotes", "is_unusable")
        def refuse_with_token(event: Event) -> tuple[()]:
            raise UnusablePayloadError("made_up_reason", " ".join(QUOTES).format(token=token))

        for action in ("breaks", "is_unusable"):
            GitHub().deliver({"action": action}, event="quotes")
        drain()


def fail_task(token: str) -> None:
    error = RuntimeError(" ".join(QUOTES).format(token=token))
    current_app.backend.mark_as_failure("a task", error, traceback=f"Traceback:\nRuntimeError: {error}")


def log_failures(token: str) -> None:
    logger = logging.getLogger("a.library")
    for quote in QUOTES:
        error = RuntimeError(quote.format(token=token))
        logger.error(
            "failed with %s", error, exc_info=error, extra={"sent": [str(error)], "by": {"header": str(error)}}
        )


def texts_of_rows() -> Iterator[str]:
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT row::text FROM "{table}" AS row')  # noqa: S608  names of our own tables
            yield from (text for (text,) in cursor.fetchall())


def texts_of_redis() -> Iterator[str]:
    redis = redis_client()
    read_as = {"string": redis.get, "hash": redis.hgetall, "set": redis.smembers}
    for name in redis.scan_iter():
        kind = redis.type(name)
        if kind == "list":
            yield str(redis.lrange(name, 0, -1))
        elif kind == "zset":
            yield str(redis.zrange(name, 0, -1))
        else:
            yield f"{name} {read_as[kind](name)}"


def texts_of_admin() -> Iterator[str]:
    operator = Client()
    person = get_user_model().objects.create_superuser("operator")
    operator.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    for page in PAGES:
        listed = operator.get(reverse(f"admin:{page}_changelist"))
        yield listed.content.decode()
        for row in listed.context["cl"].result_list:
            yield operator.get(reverse(f"admin:{page}_change", args=[row.pk])).content.decode()


@pytest.mark.proof
def test_a_token_that_every_error_quotes_is_stored_and_shown_nowhere(fake: FakeGitHub, worker: GitHubAccess) -> None:
    install()
    repository = reach()
    good(read(worker))
    token = worker.tokens.find(ACME)
    assert token is not None
    assert len(token.value) > 500
    assert token.value.startswith("ghs_")
    fake.spoil(Fault(quoting, lambda asked: not asked.path.startswith("/app"), times=None))
    with written("") as log:
        workers = BackfillWorkers(access=worker)
        for stream in ("pull_requests", "commits", "issues"):
            workers.advance(backfill(repository, stream=stream))
        list_installation(ACME, access=worker)
        query(worker)
        fail_deliveries(token.value)
        fail_task(token.value)
        log_failures(token.value)

    errors = [*Job.objects.values_list("error", flat=True), *Delivery.objects.values_list("error", flat=True)]
    assert len(errors) == 6
    assert all(HIDDEN in error for error in errors), errors
    parts = token.value.split(".")
    everything = {
        "log": log.getvalue(),
        "rows": "\n".join(texts_of_rows()),
        "redis": "\n".join(texts_of_redis()),
        "admin": "\n".join(texts_of_admin()),
    }
    for place, text in everything.items():
        assert text, place
        assert not [part for part in parts if part[:40] in text or part[-40:] in text], place
