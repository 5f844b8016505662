"""The fake GitHub: a real HTTP server on loopback, with tokens, limits, faults and a world behind it."""

import json
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from apps.demo.shapes import Json
from tests.fake_github import graphql_api
from tests.fake_github.app_api import AppApi
from tests.fake_github.faults import Answered, Asked, Fault, Refusal
from tests.fake_github.identities import Identities
from tests.fake_github.limiting import Limits
from tests.fake_github.manifests import Manifests
from tests.fake_github.points import Points
from tests.fake_github.rest_api import RestApi
from tests.fake_github.world import World

THE_APP, NOBODY = 0, -1
SPENT = "API rate limit exceeded for installation ID {payer}."


@dataclass(frozen=True, slots=True)
class Logged:
    """One request as it was answered."""

    method: str
    path: str
    resource: str
    payer: int
    status: int
    cost: int
    document: Any


@dataclass(slots=True)
class FakeGitHub:
    """GitHub, as far as an App reads it. Use it as a context; `url` is what GITHUB_API_URL would be."""

    clock: Callable[[], float] = time.time
    prefix: str = ""
    world: World = field(default_factory=World)
    faults: list[Fault] = field(default_factory=list)
    log: list[Logged] = field(default_factory=list)
    most_at_once: Counter[tuple[int, str]] = field(default_factory=Counter)
    """The most requests that were ever in flight, by payer and resource."""
    identities: Identities = field(init=False)
    limits: Limits = field(init=False)
    app: AppApi = field(init=False)
    rest: RestApi = field(init=False)
    manifests: Manifests = field(init=False)
    bugs: list[str] = field(default_factory=list)
    """What went wrong in the fake itself."""
    _now: Counter[tuple[int, str]] = field(default_factory=Counter)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _server: ThreadingHTTPServer | None = None

    def __post_init__(self) -> None:
        self.identities = Identities(self.world, self.clock)
        self.limits = Limits(self.clock)
        self.app = AppApi(self.world, self.identities)
        self.rest = RestApi(self.world, address=lambda: self.url)
        self.manifests = Manifests(self.clock, address=lambda: self.url)

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}{self.prefix}"

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"github": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def spoil(self, fault: Fault) -> None:
        """Let something go wrong from now on."""
        self.faults.append(fault)

    def calls(self, resource: str, *, payer: int | None = None) -> list[Logged]:
        """The requests that were answered, whatever with."""
        return [one for one in self.log if one.resource == resource and payer in {None, one.payer}]

    def answer(self, asked: Asked) -> Answered | None:
        """What a client gets; None is a connection that breaks."""
        if (page := self.manifests.answer(asked)) is not None:
            return page
        payer, cost = THE_APP, 1
        try:
            payer = self._payer(asked)
            with self._in_flight(payer, asked.resource):
                spoilt, answer, cost = self._answer(asked, payer)
        except Refusal as refusal:
            spoilt = answer = refusal.answer
        except Exception:
            self.bugs.append(traceback.format_exc())
            raise
        logged = Logged(asked.method, asked.path, asked.resource, payer, answer.status, cost, asked.document)
        self.log.append(logged)
        if spoilt is not None:
            spoilt.headers.setdefault("date", formatdate(self.clock(), usegmt=True))
        return spoilt

    def _payer(self, asked: Asked) -> int:
        if asked.path.startswith("/app-manifests/"):
            return NOBODY
        if asked.path.startswith("/app"):
            self.identities.app(asked)
            return THE_APP
        return self.identities.installation(asked).id

    def _answer(self, asked: Asked, payer: int) -> tuple[Answered | None, Answered, int]:
        fault = self._fault_for(asked)
        if fault is not None and fault.is_instead:
            answer, cost = Answered(500), 0
        else:
            with self._lock:
                answer, cost = self._answer_within_limits(asked, payer)
        return (fault.change(asked, answer) if fault else answer), answer, cost

    def _fault_for(self, asked: Asked) -> Fault | None:
        with self._lock:
            found = next((fault for fault in self.faults if fault.times != 0 and fault.matches(asked)), None)
            if found is not None and found.times is not None:
                found.times -= 1
        return found

    def _answer_within_limits(self, asked: Asked, payer: int) -> tuple[Answered, int]:
        if asked.path == "/rate_limit":
            return self.limits.shown(payer), 0
        points = graphql_api.price(asked.document) if asked.is_graphql else None
        cost = points.cost if isinstance(points, Points) else 1
        if not self.limits.spend(payer, asked.resource, cost=cost):
            answer = self._spent(asked, payer)
        elif isinstance(points, Points):
            answer = Answered(200, self._run(asked, payer, points=points))
        elif points is not None:
            answer = Answered(200, graphql_api.invalid(points))
        else:
            answer = self._rest(asked, payer)
        answer.headers |= self.limits.headers(payer, asked.resource)
        return answer, cost

    def _spent(self, asked: Asked, payer: int) -> Answered:
        message = SPENT.format(payer=payer)
        if asked.is_graphql:
            return Answered(200, {"errors": [{"type": "RATE_LIMITED", "message": message}]})
        return Answered(403, {"message": message})

    def _run(self, asked: Asked, payer: int, *, points: Any) -> Json:
        window = self.limits.window(payer, "graphql")
        limit = {"limit": 0, "remaining": 0, "used": 0, "resetAt": "2038-01-01T00:00:00Z"}
        if window is not None:
            limit = {name: getattr(window, name) for name in ("limit", "remaining", "used")}
            limit["resetAt"] = moment_of(window.resets_at)
        return graphql_api.run(asked.document, world=self.world, installation_id=payer, points=points, rate_limit=limit)

    def _rest(self, asked: Asked, payer: int) -> Answered:
        try:
            if payer == NOBODY:
                return self.manifests.convert(asked)
            if payer == THE_APP:
                return self.app.answer(asked)
            return self.rest.answer(asked, self.identities.known(payer))
        except Refusal as refusal:
            return refusal.answer

    @contextmanager
    def _in_flight(self, payer: int, resource: str) -> Iterator[None]:
        with self._lock:
            self._now[payer, resource] += 1
            self.most_at_once[payer, resource] = max(self.most_at_once[payer, resource], self._now[payer, resource])
        try:
            yield
        finally:
            with self._lock:
                self._now[payer, resource] -= 1


def moment_of(at: float) -> str:
    """Seconds since 1970, as GitHub writes an instant."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def document_of(body: bytes, *, content_type: str) -> Any:
    """The JSON of a program's request, or the fields of a form that a browser sent."""
    if content_type.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(body.decode(), keep_blank_values=True))
    return json.loads(body) if body else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is none of a test's business; a bug in the fake shows as a dropped connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    github: FakeGitHub

    def _handle(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size) if size else b""
        address = urlsplit(self.path)
        prefix = self.github.prefix
        is_graphql = address.path == f"{prefix.removesuffix('/v3')}/graphql"
        path = "/graphql" if is_graphql else address.path.removeprefix(prefix)
        answer = self.github.answer(
            Asked(
                method=self.command,
                path=path,
                query=dict(parse_qsl(address.query)),
                headers={name.lower(): value for name, value in self.headers.items()},
                document=document_of(body, content_type=self.headers.get("Content-Type", "")),
            )
        )
        if answer is None:
            self.close_connection = True
            return
        self._send(answer)

    do_GET = do_POST = do_PATCH = _handle  # noqa: N815  http.server's names

    def _send(self, answer: Answered) -> None:
        encoded = answer.encoded()
        self.send_response_only(answer.status)
        for name, value in {"content-type": answer.content_type, **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server's name
        """FakeGitHub.log has it."""
