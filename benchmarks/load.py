"""A client that posts deliveries over keep-alive connections with as little work of its own as it can."""

import selectors
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from apps.demo.deliveries import sign


@dataclass(frozen=True, kw_only=True)
class Body:
    """A signed body with its event."""

    event: str
    content: bytes
    signature: str


@dataclass(frozen=True, kw_only=True)
class Answers:
    """How a load was answered: latencies in seconds, sorted; statuses counted."""

    seconds: float
    latencies: tuple[float, ...]
    statuses: dict[int, int]

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    def quantile_ms(self, share: float) -> float:
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * share))] * 1000


def signed(event: str, content: bytes, *, secret: str) -> Body:
    return Body(event=event, content=content, signature=sign(content, secret=secret))


def request(body: Body, *, path: str = "/webhooks/github/") -> bytes:
    """The bytes of one POST, with a delivery id of its own."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: GitHub-Hookshot/0a1b2c3\r\nAccept: */*\r\n"
        f"Content-Type: application/json\r\nX-GitHub-Event: {body.event}\r\nX-GitHub-Delivery: {uuid.uuid4()}\r\n"
        f"X-GitHub-Hook-ID: 292430182\r\nX-Hub-Signature-256: {body.signature}\r\n"
        f"Content-Length: {len(body.content)}\r\n\r\n"
    )
    return head.encode() + body.content


class Connection:
    """One keep-alive connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.started = 0.0
        self.received = b""

    def send(self, data: bytes) -> None:
        self.received = b""
        self.started = time.perf_counter()
        self.socket.sendall(data)

    def status(self) -> int | None:
        """Read what is there; the status once the whole answer has come."""
        self.received += self.socket.recv(65536)
        head, separator, rest = self.received.partition(b"\r\n\r\n")
        if not separator:
            return None
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return int(head[9:12]) if len(rest) >= length else None


def post(
    bodies: Sequence[Body], *, port: int, count: int, connections: int = 32, path: str = "/webhooks/github/"
) -> Answers:
    """Post `count` deliveries, each connection sending its next as soon as its last is answered."""
    requests = (request(bodies[index % len(bodies)], path=path) for index in range(count))
    selector = selectors.DefaultSelector()
    latencies: list[float] = []
    statuses: dict[int, int] = {}
    started = time.perf_counter()
    for connection, data in zip([Connection(port) for _ in range(connections)], requests, strict=False):
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send(data)
    while selector.get_map():
        for key, _ in selector.select():
            _advance(key.data, selector=selector, requests=requests, latencies=latencies, statuses=statuses)
    return Answers(
        seconds=time.perf_counter() - started,
        latencies=tuple(sorted(latencies)),
        statuses=dict(sorted(statuses.items())),
    )


def _advance(
    connection: Connection,
    *,
    selector: selectors.BaseSelector,
    requests: Iterator[bytes],
    latencies: list[float],
    statuses: dict[int, int],
) -> None:
    status = connection.status()
    if status is None:
        return
    latencies.append(time.perf_counter() - connection.started)
    statuses[status] = statuses.get(status, 0) + 1
    data = next(requests, None)
    if data is None:
        selector.unregister(connection.socket)
        connection.socket.close()
    else:
        connection.send(data)
