"""The bundled server, bare: a real process on the test's own database, and raw bytes to throw at it."""

import os
import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import psutil
from django.conf import settings

from tests.webhooks.conftest import HOOK_ID, RECEIVER, sign
from tformance.local.programs import wait_until_ready, web
from tformance.local.state import CHECKOUT, free_port

PATIENCE_S = 60


@dataclass(frozen=True)
class Server:
    """Where it listens."""

    port: int
    process_id: int

    def connect(self, *, client: str = "127.0.0.1") -> socket.socket:
        """A connection that waits for an answer no longer than a test may."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S, source_address=(client, 0))

    def answer_to(self, request: bytes, *, client: str = "127.0.0.1") -> bytes:
        """What the server says to these bytes until a whole answer is there or it ends the connection."""
        with self.connect(client=client) as connection:
            connection.sendall(request)
            return read_answer(connection)

    def status_of(self, request: bytes) -> int | None:
        """The status of the answer to these bytes; None where the connection was closed without one."""
        return status_in(self.answer_to(request))

    def get(self, path: str) -> int:
        """An ordinary request of somebody else, who has another address."""
        asking = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S, source_address=("127.0.0.2", 0))
        try:
            asking.request("GET", path)
            return asking.getresponse().status
        finally:
            asking.close()

    def memory(self) -> int:
        """Bytes that its processes hold."""
        main = psutil.Process(self.process_id)
        return sum(one.memory_info().rss for one in [main, *main.children(recursive=True)])

    @contextmanager
    def holding(self, request: bytes, *, times: int) -> Iterator[list[socket.socket]]:
        """So many connections that have sent these bytes and then go quiet."""
        with ExitStack() as stack:
            connections = [stack.enter_context(self.connect()) for _ in range(times)]
            for connection in connections:
                connection.sendall(request)
            yield connections


def head(body: bytes = b"{}", *, without: tuple[str, ...] = (), line_end: str = "\r\n", **more: str) -> bytes:
    """The head of a signed delivery of this body; headers are given with underscores, and may be left out."""
    headers = {
        "Host": "127.0.0.1",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "X-GitHub-Event": "ping",
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-GitHub-Hook-ID": str(HOOK_ID),
        "X-Hub-Signature-256": sign(body),
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    lines = [f"POST {RECEIVER} HTTP/1.1", *(f"{name}: {headers[name]}" for name in headers if name not in without)]
    return (line_end.join(lines) + 2 * line_end).encode("latin-1")


def read_answer(connection: socket.socket) -> bytes:
    """What comes until the connection ends or its Content-Length is reached."""
    answer = b""
    while not _is_whole(answer):
        try:
            part = connection.recv(65536)
        except ConnectionError:
            return answer
        if not part:
            return answer
        answer += part
    return answer


def _is_whole(answer: bytes) -> bool:
    top, found, body = answer.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in top.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(found) and len(body) >= (int(lengths[0]) if lengths else 0)


def status_in(answer: bytes) -> int | None:
    return int(answer.split(b" ", 2)[1]) if answer else None


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """The web process of `make run`, over the database of this pytest process, until the block ends."""
    port = free_port()
    database = settings.DATABASES["default"]["NAME"]
    program = web(port=port)
    environment = (
        os.environ
        | dict(program.environment)
        | {
            "DATABASE_URL": f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{database}",
            "TFORMANCE_ROLE": "web",
            "PORT": str(port),
            "DJANGO_SETTINGS_MODULE": "tformance.settings",
        }
    )
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(
            program.command, cwd=CHECKOUT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        log = folder / "web.log"
        assert wait_until_ready(port, is_alive=lambda: process.poll() is None, log=log), log.read_text()
        yield Server(port=port, process_id=process.pid)
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)
