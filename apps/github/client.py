"""The only module that uses the network: one host, own timeouts, and a classified answer instead of an exception.

PyGithub makes the requests and signs for the App. What it does by itself (wait for limits, repeat, follow redirects to
wherever they lead, dropping their query) is switched off or kept from it. Nothing is fetched whose address came from a
payload: callers give paths built from ids and names, and links in answers must lead to the same host.
"""

import json
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import IncompleteRead
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from github import Auth, GithubException
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester
from urllib3.exceptions import NameResolutionError

from apps.github.credentials import AppCredentials, app_credentials
from apps.github.rate_limit import NOBODY, THE_APP, Deferred, Lease, Purpose, RateBudget
from apps.github.responses import (
    CORE,
    GRAPHQL,
    SECONDARY_S,
    Answer,
    Received,
    ResponseKind,
    Result,
    Silence,
    answered_at,
    classify_response,
    rate_limit,
)
from apps.webhooks.parsing import storable

HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
USER_AGENT = "tformance"
LOCATION = "x-location"
REDIRECTS = {301, 302, 307, 308}
MOST_REDIRECTS = 3
MOST_BYTES = 32 * 1024 * 1024
CHUNK = 64 * 1024
LONGEST_CHAIN = 10
SIGNED_FOR_S = 60
"""A signature is reused for this long, because reading the key can take longer than GitHub's answer."""
MOST_LISTED = 200_000
"""No list has more items; a `Link` beyond them would be followed forever."""
USUAL_PER_PAGE = 30
_NEXT = re.compile(r'<([^<>]*)>\s*;[^,<]*\brel="?next"?')
_LAST = re.compile(r'<[^<>]*[?&]page=(\d{1,9})\b[^<>]*>\s*;[^,<]*\brel="?last"?')
logger = logging.getLogger(__name__)


class EndlessListError(ValueError):
    """GitHub's list is longer than any list can be."""


class OtherHostError(ValueError):
    """A link in GitHub's answer leads to another host and is not followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """The timeouts of a request; GitHub itself stops a query after ten seconds."""

    connect_s: float = 5.0
    read_s: float = 15.0
    total_s: float = 30.0


class _TooLarge(requests.RequestException):
    """The body is larger than allowed."""


class _TooSlow(requests.Timeout):
    """The body took longer than allowed."""


class _Bounded:
    """A response as PyGithub reads it: bounded in size and time, its redirect hidden from PyGithub."""

    def __init__(self, response: requests.Response, *, deadline_s: float) -> None:
        self.response = response
        self.status = response.status_code
        self._deadline_s = deadline_s

    def getheaders(self) -> list[tuple[str, str]]:
        return [
            (LOCATION if name.lower() == "location" else name, value) for name, value in self.response.headers.items()
        ]

    def read(self) -> str:
        body = bytearray()
        for chunk in self.response.iter_content(CHUNK):
            body += chunk
            if len(body) > MOST_BYTES:
                raise _TooLarge
            if time.monotonic() > self._deadline_s:
                raise _TooSlow
        return body.decode(errors="replace")


class _Bounding:
    """The common part of PyGithub's connection classes; `timeout` is a Timeouts."""

    def getresponse(self) -> _Bounded:
        timeouts: Timeouts = self.timeout  # type: ignore[attr-defined]
        session: requests.Session = self.session  # type: ignore[attr-defined]
        response = session.request(
            self.verb,  # type: ignore[attr-defined]
            f"{self.protocol}://{self.host}:{self.port}{self.url}",  # type: ignore[attr-defined]
            headers=self.headers,  # type: ignore[attr-defined]
            data=self.input,  # type: ignore[attr-defined]
            timeout=(timeouts.connect_s, timeouts.read_s),
            allow_redirects=False,
            stream=True,
        )
        if response.status_code == HTTPStatus.ACCEPTED and self.verb == "GET":  # type: ignore[attr-defined]
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE  # PyGithub would sleep and ask again, forever
        return _Bounded(response, deadline_s=time.monotonic() + timeouts.total_s)


class _BoundedHTTP(_Bounding, HTTPRequestsConnectionClass):  # type: ignore[misc]  # answers with less than all of it
    pass


class _BoundedHTTPS(_Bounding, HTTPSRequestsConnectionClass):  # type: ignore[misc]
    pass


Requester.injectConnectionClasses(_BoundedHTTP, _BoundedHTTPS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to GitHub; `path` is below the API's URL, GraphQL has its own path."""

    method: str
    path: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    is_graphql: bool = False

    @property
    def resource(self) -> str:
        return GRAPHQL if self.is_graphql else CORE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    """A signed token of the App, and when it was signed."""

    by: AppCredentials
    at: int
    token: str = field(repr=False)


@dataclass(slots=True, kw_only=True)
class GitHubClient:
    """GitHub's API for one process. Every exchange ends in an Answer; only missing credentials raise."""

    api_url: str
    budget: RateBudget
    credentials: Callable[[], AppCredentials] = app_credentials
    clock: Callable[[], float] = time.time
    timeouts: Timeouts = field(default_factory=Timeouts)
    _of_thread: threading.local = field(default_factory=threading.local)
    _signed: "_Signed | None" = None

    def exchange_as_app(self, request: Request, *, purpose: Purpose) -> Answer:
        """Send a request as the App; raises NoCredentialsError without credentials."""
        return self.exchange(request, bearer=self._sign(), payer=THE_APP, purpose=purpose)

    def exchange_without_token(self, request: Request, *, purpose: Purpose) -> Answer:
        """Send a request that needs no credentials, such as the one that brings the App's."""
        return self.exchange(request, bearer="", payer=NOBODY, purpose=purpose)

    def exchange(self, request: Request, *, bearer: str, payer: int, purpose: Purpose) -> Answer:
        """Send a request on a budget, and follow redirects of reads on this host."""
        for _ in range(MOST_REDIRECTS):
            lease = self.budget.take(installation_id=payer, resource=request.resource, purpose=purpose)
            if isinstance(lease, Deferred):
                return Answer(result=Result(kind=ResponseKind.DEFERRED, message=lease.reason), not_before=lease.until)
            received, answer = self._exchange_under(lease, request, bearer=bearer)
            moved_to = _moved_to(request, received)
            if moved_to is None:
                return answer
            try:
                path = path_below(moved_to, api_url=self.api_url)
            except OtherHostError as error:
                return _rejected(answer, f"redirected: {error}")
            request = replace(request, path=path, parameters={})
        return _rejected(answer, "redirected too often")

    def _sign(self) -> str:
        """Return the App's JSON web token, dated a minute back in case the local clock is ahead."""
        known, now, signed = self.credentials(), int(self.clock()), self._signed
        if signed is not None and signed.by == known and 0 <= now - signed.at < SIGNED_FOR_S:
            return signed.token
        sign = Auth.AppAuth.create_jwt_sign(known.private_key, "RS256")
        token = str(sign({"iat": now - 60, "exp": now + 300, "iss": str(known.app_id)}))
        self._signed = _Signed(by=known, at=now, token=token)
        return token

    def _exchange_under(self, lease: Lease, request: Request, *, bearer: str) -> tuple[Received | Silence, Answer]:
        started_s = time.monotonic()
        received: Received | Silence = Silence.CONNECTION
        try:
            received = self._send(request, bearer=bearer)
        finally:  # also when the task is out of time: the place in the queue is freed
            now = datetime.fromtimestamp(self.clock(), UTC)
            headers = received.headers if isinstance(received, Received) else {}
            result = classify_response(received, is_graphql=request.is_graphql, now=now)
            limit = rate_limit(headers, resource=request.resource, now=now)
            up_next = self.budget.settle(lease, result=result, limit=limit)
        answer = Answer(
            result=result,
            data=_data(received, result=result, is_graphql=request.is_graphql),
            observed_at=answered_at(headers),
            limit=limit,
            not_before=self._not_before(result),
            up_next=up_next,
            took_s=time.monotonic() - started_s,
        )
        self._log(request, answer, payer=lease.installation_id)
        return received, self._with_next_page(answer, headers=headers)

    def _not_before(self, result: Result) -> float | None:
        wait_s = result.wait_s
        if wait_s is None and result.kind is ResponseKind.SECONDARY:
            wait_s = SECONDARY_S
        return None if wait_s is None else self.clock() + wait_s

    def _with_next_page(self, answer: Answer, *, headers: Mapping[str, str]) -> Answer:
        try:
            return replace(answer, next_path=next_path(headers, api_url=self.api_url), last_page=last_page(headers))
        except (OtherHostError, EndlessListError) as error:
            return _rejected(answer, f"next page: {error}")

    def _send(self, request: Request, *, bearer: str) -> Received | Silence:
        requester = self._requester()
        headers = {**HEADERS, **({"Authorization": f"Bearer {bearer}"} if bearer else {})}
        # PyGithub takes no more than the path of an address, so the host is always ours.
        url = requester.graphql_url if request.is_graphql else request.path
        try:
            status, named, text = requester.requestJson(
                request.method, url, dict(request.parameters), headers, request.body
            )
        except (requests.RequestException, GithubException, OSError, ValueError) as error:
            return _silence(error)
        return Received(status=status, headers=named, document=_document(text))

    def _requester(self) -> Requester:
        """Return this thread's requester, because PyGithub keeps state of a request on it."""
        if not hasattr(self._of_thread, "requester"):
            self._of_thread.requester = Requester(
                auth=None,  # each request brings its own
                base_url=self.api_url,
                timeout=self.timeouts,  # type: ignore[arg-type]  # read by _Bounding alone
                user_agent=USER_AGENT,
                per_page=100,
                verify=True,
                retry=None,
                pool_size=None,
            )
        requester: Requester = self._of_thread.requester
        return requester

    def _log(self, request: Request, answer: Answer, *, payer: int) -> None:
        if answer.kind not in {ResponseKind.OK, ResponseKind.PARTIAL}:
            details = {"kind": answer.kind.name.lower(), "installation": payer, "resource": request.resource}
            logger.warning("github_refused", extra={**details, "words": answer.message})


def _moved_to(request: Request, received: Received | Silence) -> str | None:
    """Return the redirect of a read, as of a renamed or transferred repository."""
    if request.method != "GET" or isinstance(received, Silence) or received.status not in REDIRECTS:
        return None
    return received.headers.get(LOCATION)


def _rejected(answer: Answer, message: str) -> Answer:
    return replace(answer, result=Result(kind=ResponseKind.REJECTED, message=message), data=None, next_path=None)


def _data(received: Received | Silence, *, result: Result, is_graphql: bool) -> Any:
    """Return the data of a good answer; an error is never an empty result."""
    if isinstance(received, Silence) or result.kind not in {ResponseKind.OK, ResponseKind.PARTIAL}:
        return None
    return received.document["data"] if is_graphql else received.document


def _document(text: str) -> Any:
    try:
        return storable(json.loads(text), written=text)
    except (ValueError, RecursionError):
        return None


def _silence(error: Exception) -> Silence:
    """Return why there is no answer: the first of _SILENCES that the error is, or that is behind it."""
    causes = list(_causes(error))
    for silence, kinds in _SILENCES:
        if any(isinstance(cause, kinds) for cause in causes):
            return silence
    if isinstance(error, requests.ConnectionError) and "timed out" in str(error).lower():
        return Silence.TIMEOUT  # while the body was read
    return Silence.CONNECTION if isinstance(error, OSError) else Silence.GARBLED


_SILENCES: tuple[tuple[Silence, tuple[type[BaseException], ...]], ...] = (
    (Silence.TOO_LARGE, (_TooLarge,)),
    (Silence.CONNECT_TIMEOUT, (requests.ConnectTimeout,)),
    (Silence.TIMEOUT, (requests.Timeout,)),
    (Silence.TLS, (requests.exceptions.SSLError, ssl.SSLError)),
    (Silence.NAME_NOT_FOUND, (socket.gaierror, NameResolutionError)),
    (Silence.REFUSED, (ConnectionRefusedError,)),
    (Silence.RESET, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, IncompleteRead)),
)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the exception and those behind it; libraries hide some of them in arguments."""
    for _ in range(LONGEST_CHAIN):
        if error is None:
            return
        yield error
        yield from (argument for argument in error.args if isinstance(argument, BaseException))
        error = error.__cause__ or error.__context__


def next_path(headers: Mapping[str, str], *, api_url: str) -> str | None:
    """Return the next page, below the API's address.

    OtherHostError if the header leads to another host, EndlessListError if the list is too long.
    """
    found = _NEXT.search(headers.get("link", ""))
    if found is None:
        return None
    asked = dict(parse_qsl(urlsplit(found[1]).query))
    page, size = _whole(asked.get("page"), 1), _whole(asked.get("per_page"), USUAL_PER_PAGE)
    if (page - 1) * size >= MOST_LISTED:
        raise EndlessListError(f"the list continues after {MOST_LISTED:,} items")
    return path_below(found[1], api_url=api_url)


def _whole(text: str | None, otherwise: int) -> int:
    return int(text[:9]) if text and text.isascii() and text.isdigit() else otherwise


def last_page(headers: Mapping[str, str]) -> int | None:
    """Return the number of the last page, if there are several; with one item a page, the number of items."""
    found = _LAST.search(headers.get("link", ""))
    return int(found[1]) if found else None


def path_below(url: str, *, api_url: str) -> str:
    """Return the path and query of an API URL; OtherHostError for any other URL."""
    there, home = urlsplit(url), urlsplit(api_url)
    prefix = home.path.rstrip("/")
    same_host = (there.scheme, there.netloc.lower()) == (home.scheme, home.netloc.lower())
    if not same_host or not there.path.startswith(f"{prefix}/") or "/../" in f"{there.path}/":
        raise OtherHostError(f"{there.scheme}://{there.hostname} is not {home.scheme}://{home.hostname}{prefix}")
    below = there.path[len(prefix) :]
    return f"{below}?{there.query}" if there.query else below
