"""Only quiet connections of those who are late are ended; X-Forwarded-* is believed from our own proxies only.

With a real server: tests/bad_input/test_bare_server.py."""

import io
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from tformance.local.stop_processes import wait_until
from tformance.middleware import TrustedProxyMiddleware
from tformance.slow_upload_guard import SlowBodiesCut, TimedInput, _seconds_since_sent, end_quiet

LATE, OTHER = "127.0.0.2", "127.0.0.3"


class Acceptor:
    """Somebody who listens and accepts in this process."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

    def accept(self, *, client: str) -> tuple[socket.socket, socket.socket]:
        """Both ends of a connection from this address: the client's and ours."""
        theirs = socket.create_connection(self._listening.getsockname(), source_address=(client, 0), timeout=20)
        ours, _ = self._listening.accept()
        return self._stack.enter_context(theirs), self._stack.enter_context(ours)


@pytest.fixture
def acceptor() -> Iterator[Acceptor]:
    with ExitStack() as stack:
        yield Acceptor(stack)


def test_only_what_was_quiet_for_so_long_and_of_these_addresses_is_ended(acceptor: Acceptor) -> None:
    late, kept_by_us = acceptor.accept(client=LATE)
    other, ours_with_other = acceptor.accept(client=OTHER)
    answered, ours_answered = acceptor.accept(client=LATE)
    assert wait_until(lambda: _seconds_since_sent(ours_answered) >= 1, seconds=20)
    ours_answered.send(b"here")
    assert end_quiet(addresses={LATE}, seconds=1) == 1
    assert (late.recv(9), answered.recv(9)) == (b"", b"here")
    ours_with_other.send(b"fine")
    assert other.recv(9) == b"fine"
    assert kept_by_us.recv(9) == b""


def test_connections_of_our_own_to_the_same_address_are_left_alone(acceptor: Acceptor) -> None:
    """Such as those to a database on this machine: they were opened here, not accepted."""
    theirs, ours = acceptor.accept(client=LATE)
    acceptor._listening.close()
    assert end_quiet(addresses={LATE, "127.0.0.1"}, seconds=0) == 0
    theirs.send(b"alive")
    assert ours.recv(9) == b"alive"


def body_of(environ: dict[str, Any]) -> Any:
    """What the application finds as the body."""
    seen: list[Any] = []

    def application(environ: dict[str, Any], _: Any) -> list[bytes]:
        seen.append(environ["wsgi.input"])
        return []

    SlowBodiesCut(application)({"REMOTE_ADDR": LATE, **environ}, None)  # type: ignore[arg-type]
    return seen[0]


def test_a_body_is_read_in_every_way_as_it_came() -> None:
    def body() -> Any:
        return body_of({"CONTENT_LENGTH": "7", "wsgi.input": io.BytesIO(b"one\ntwo")})

    assert isinstance(body(), TimedInput)
    assert (body().read(), body().read(3), body().readline()) == (b"one\ntwo", b"one", b"one\n")
    assert list(body()) == body().readlines() == [b"one\n", b"two"]


def test_a_request_without_a_body_costs_nothing() -> None:
    nothing = io.BytesIO()
    assert body_of({"wsgi.input": nothing}) is nothing
    assert body_of({"wsgi.input": nothing, "CONTENT_LENGTH": "0"}) is nothing


@pytest.fixture(autouse=True)
def proxies(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = ["127.0.0.1", "10.0.0.0/8"]


def seen(remote: str, **headers: str) -> HttpRequest:
    request = RequestFactory().get("/", REMOTE_ADDR=remote, **headers)
    TrustedProxyMiddleware(lambda _: HttpResponse())(request)
    return request


@pytest.mark.parametrize(
    ("remote", "chain", "client"),
    [
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.9, 10.2.3.4", "203.0.113.9"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "not an address", "127.0.0.1"),
        ("203.0.113.9", "127.0.0.1", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
    ],
)
def test_the_client_is_the_last_address_that_is_not_ours(remote: str, chain: str, client: str) -> None:
    assert seen(remote, HTTP_X_FORWARDED_FOR=chain).META["REMOTE_ADDR"] == client


def test_a_trusted_proxy_says_whether_it_was_https() -> None:
    assert seen("10.1.1.1", HTTP_X_FORWARDED_PROTO="https", HTTP_X_FORWARDED_FOR="203.0.113.9").is_secure()
    assert not seen("203.0.113.9", HTTP_X_FORWARDED_PROTO="https").is_secure()


def test_nobody_else_sees_what_was_claimed() -> None:
    request = seen(
        "203.0.113.9", HTTP_X_FORWARDED_FOR="127.0.0.1", HTTP_X_FORWARDED_HOST="evil.example", HTTP_FORWARDED="for=x"
    )
    assert not [name for name in request.META if "FORWARDED" in name]
