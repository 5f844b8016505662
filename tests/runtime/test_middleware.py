"""X-Forwarded-* is believed from our own proxies only."""

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from tformance.middleware import TrustedProxyMiddleware


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
