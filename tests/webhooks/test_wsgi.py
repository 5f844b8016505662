"""The receiver as the server calls it: before Django's middleware, and without its signals."""

import io
import threading
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection

from apps.demo.deliveries import HOOK_ID, body_of, signed_headers
from apps.webhooks import intake, signature
from apps.webhooks.models import Delivery
from apps.webhooks.wsgi_middleware import WebhookMiddleware

pytestmark = pytest.mark.django_db(transaction=True)
BODY = body_of({"zen": "Keep it simple.", "hook_id": HOOK_ID})


@pytest.fixture
def receiver() -> WebhookMiddleware:
    return WebhookMiddleware(get_wsgi_application())


def send(receiver: WebhookMiddleware, **changes: Any) -> tuple[str, bytes]:
    """Post a delivery; the status line and the body of the answer."""
    secret = settings.GITHUB_WEBHOOK_SECRETS[0]
    headers = signed_headers(BODY, secret=secret, event="ping", guid=str(uuid4()), hook_id=HOOK_ID)
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/webhooks/github/",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "HTTP_HOST": "testserver",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(BODY)),
        "wsgi.input": io.BytesIO(BODY),
        "wsgi.url_scheme": "http",
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
        **changes,
    }
    status: list[str] = []
    body = b"".join(receiver(environ, lambda line, headers: status.append(line)))
    return status[0], body


def test_a_delivery_is_stored_and_answered(receiver: WebhookMiddleware) -> None:
    status, body = send(receiver)
    assert (status, b'"outcome":"stored"' in body) == ("202 Accepted", True)
    assert Delivery.objects.count() == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT"])
def test_nothing_but_a_post_is_taken(receiver: WebhookMiddleware, method: str) -> None:
    assert send(receiver, REQUEST_METHOD=method)[0] == "405 Method Not Allowed"


def test_a_host_that_is_not_ours_is_refused(receiver: WebhookMiddleware) -> None:
    assert send(receiver, HTTP_HOST="evil.example")[0] == "400 Bad Request"


def test_what_goes_wrong_is_an_answer_too(receiver: WebhookMiddleware, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object, **__: object) -> None:
        raise ValueError

    monkeypatch.setattr(intake, "receive", break_down)
    assert send(receiver)[0] == "500 Internal Server Error"


def test_every_other_page_is_djangos(receiver: WebhookMiddleware) -> None:
    assert send(receiver, PATH_INFO="/livez", REQUEST_METHOD="GET")[0] == "200 OK"


def test_a_connection_that_ended_between_two_deliveries_costs_none_of_them(receiver: WebhookMiddleware) -> None:
    answers: list[str] = []

    def of_one_thread() -> None:
        try:
            for number in range(4):
                signature.forget_secrets()  # a while has passed: the stored secrets are read again first
                answers.append(send(receiver)[0])
                if number == 1:
                    end_this_connection()
        finally:
            connection.close()

    thread = threading.Thread(target=of_one_thread)
    thread.start()
    thread.join()
    assert answers == ["202 Accepted"] * 4


def end_this_connection() -> None:
    """As a restart of the server does, seen from a thread that rests."""
    pid = connection.connection.info.backend_pid
    known = {name: value for name, value in connection.get_connection_params().items() if name in ADDRESS}
    with psycopg.connect(**known) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


ADDRESS = ("dbname", "user", "password", "host", "port")
