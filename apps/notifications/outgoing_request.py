"""One request to an address that a user entered: guarded, so that it reaches nothing of our own network.

Only https, and only public addresses, checked when the connection is made: it goes to the very address that was
checked, so a name that resolves to another one meanwhile changes nothing. Redirects are not followed. Origins of
OUTGOING_WEBHOOK_ORIGINS are exempt from the checks of scheme and address, and of nothing else.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
from django.conf import settings
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter import InvalidIPAddress
from urllib3.exceptions import HTTPError

CONNECT_S, READ_S = 3.0, 8.0
LONGEST_ANSWER = 2048
LONGEST_ANSWER_S = 10.0
LONGEST_URL, LONGEST_NUMBER = 2000, 7


class AddressRefusedError(Exception):
    """The address may not be used; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to a request: its status, the beginning of its body, and how long it asks us to wait."""

    status: int
    body: str = ""
    retry_after_s: float = 0.0


class UnreachableError(Exception):
    """No answer came; the message says why."""


def ensure_usable(url: str) -> None:
    """Raise AddressRefusedError for an address that is never sent to; what its name resolves to is checked later."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise AddressRefusedError("This is not an address. Use one like https://hooks.example.com/…") from error
    if parts.scheme not in {"http", "https"} or not host or len(url) > LONGEST_URL or not url.isprintable():
        raise AddressRefusedError("This is not an address. Use one like https://hooks.example.com/…")
    if "@" in parts.netloc:
        raise AddressRefusedError("The address holds a user or a password; leave them out.")
    if parts.scheme != "https" and not is_exempt(url):
        raise AddressRefusedError("The address must begin with https://")


def is_exempt(url: str) -> bool:
    """Return whether the operator allows this origin, wherever it is."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower() in settings.OUTGOING_WEBHOOK_ORIGINS


def post(url: str, body: bytes, *, headers: Mapping[str, str]) -> Answer:
    """Send the body; AddressRefusedError where it may not go, UnreachableError without an answer."""
    ensure_usable(url)
    guarded = Config(
        ip_filter_enable=not is_exempt(url),
        ip_filter_allow_loopback_ips=False,
        never_redirect=True,
        default_timeout=(CONNECT_S, READ_S),
    )
    with HTTPSession(guarded) as session:
        session.auth = _send_no_login
        try:
            with session.post(url, data=body, headers=dict(headers), stream=True) as answer:
                return Answer(
                    status=answer.status_code, body=_beginning_of(answer), retry_after_s=_retry_after_s(answer)
                )
        except InvalidIPAddress as error:
            words = f"{urlsplit(url).hostname} is in a private or reserved network, where nothing is sent to."
            raise AddressRefusedError(words) from error
        except (requests.RequestException, OSError, UnicodeError, ValueError) as error:
            raise UnreachableError(_explain(error)) from error


def _send_no_login(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave the request as it is: without this, a password of .netrc would be added."""
    return request


def _beginning_of(answer: requests.Response) -> str:
    """Return the first bytes of the body as text, as far as it comes; the rest is not read."""
    found, deadline_s = b"", time.monotonic() + LONGEST_ANSWER_S
    while len(found) < LONGEST_ANSWER and time.monotonic() < deadline_s:
        try:
            part = answer.raw.read1(LONGEST_ANSWER - len(found))
        except HTTPError:  # it stalls or breaks off; the status, which says what became of the message, is known
            break
        if not part:
            break
        found += part
    return found.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _retry_after_s(answer: requests.Response) -> float:
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() and len(value) < LONGEST_NUMBER else 0.0


def _explain(error: Exception) -> str:
    """Return in words why there was no answer, without the address, which may hold a secret."""
    match error:
        case requests.exceptions.SSLError():
            return "Its TLS certificate is not valid, or it does not speak TLS."
        case requests.ConnectTimeout():
            return f"It did not accept a connection within {CONNECT_S:.0f} seconds."
        case requests.Timeout():
            return f"It did not answer within {READ_S:.0f} seconds."
        case requests.ConnectionError():
            return "It could not be reached: its name is unknown, or it refuses connections."
    return "It gave no valid answer."
