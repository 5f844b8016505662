"""No answer from GitHub, on real sockets: the message says which of the ways it was."""

import datetime
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from apps.github.client import GitHubClient, Request, Timeouts
from apps.github.credentials import AppCredentials
from apps.github.rate_limit import RateBudget, redis_client
from apps.github.responses import ResponseKind, Result
from tests.fake_github.identities import app_key, app_pem
from tests.fake_github.using import LIVE, forget_everything

TIMEOUTS = Timeouts(connect_s=0.5, read_s=0.5, total_s=1.0)
Address = Callable[[Path], AbstractContextManager[str]]


@contextmanager
def unknown_name(_folder: Path) -> Iterator[str]:
    yield "http://nobody.invalid"


@contextmanager
def closed_port(_folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


@contextmanager
def served(treat: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that treats each connection in its own way."""
    server = socket.create_server(("127.0.0.1", 0))
    accepted: list[socket.socket] = []

    def accept() -> None:
        with server, suppress(OSError):
            while True:
                accepted.append(server.accept()[0])
                treat(accepted[-1])

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}"
    server.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    for taken in accepted:
        taken.close()


def reset(_folder: Path) -> AbstractContextManager[str]:
    def treat(taken: socket.socket) -> None:
        taken.recv(1024)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        taken.close()

    return served(treat)


def hung_up(_folder: Path) -> AbstractContextManager[str]:
    def treat(taken: socket.socket) -> None:
        taken.recv(1024)
        taken.close()

    return served(treat)


def cut_short(_folder: Path) -> AbstractContextManager[str]:
    def treat(taken: socket.socket) -> None:
        taken.recv(65536)
        taken.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
        taken.close()

    return served(treat)


def silent(_folder: Path) -> AbstractContextManager[str]:
    return served(lambda taken: None)


@contextmanager
def full_queue(_folder: Path) -> Iterator[str]:
    """A listener that accepts nobody, and whose queue is full: the next connection is never made."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(server.getsockname())
            waiting.append(client)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        for client in waiting:
            client.close()


@contextmanager
def stranger_by_tls(folder: Path) -> Iterator[str]:
    """A server whose certificate nobody signed."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(app_key().public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(app_key(), SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(app_pem().encode() + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)

    def treat(taken: socket.socket) -> None:
        with taken, suppress(OSError):
            context.wrap_socket(taken, server_side=True).close()

    with served(treat) as url:
        yield url.replace("http:", "https:")


@contextmanager
def plain_instead_of_tls(folder: Path) -> Iterator[str]:
    with served(lambda taken: taken.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as url:
        yield url.replace("http:", "https:")


def ask(url: str, *, is_graphql: bool) -> Result:
    forget_everything()
    client = GitHubClient(
        api_url=url,
        budget=RateBudget(redis=redis_client()),
        credentials=lambda: AppCredentials(7, app_pem()),
        timeouts=TIMEOUTS,
    )
    return client.exchange_as_app(Request(method="GET", path="/app", is_graphql=is_graphql), purpose=LIVE).result


@pytest.mark.parametrize(
    ("address", "words", "of_graphql"),
    [
        (unknown_name, "name not found", ResponseKind.TRANSIENT),
        (closed_port, "connection refused", ResponseKind.TRANSIENT),
        (reset, "connection reset", ResponseKind.TRANSIENT),
        (hung_up, "connection reset", ResponseKind.TRANSIENT),
        (cut_short, "connection reset", ResponseKind.TRANSIENT),
        (full_queue, "connecting timed out", ResponseKind.TRANSIENT),
        (silent, "timed out", ResponseKind.SHRINK),
        (stranger_by_tls, "TLS failed", ResponseKind.TRANSIENT),
        (plain_instead_of_tls, "TLS failed", ResponseKind.TRANSIENT),
    ],
)
def test_the_message_says_why_there_is_no_answer(
    address: Address, words: str, of_graphql: ResponseKind, tmp_path: Path
) -> None:
    with address(tmp_path) as url:
        assert ask(url, is_graphql=False) == Result(kind=ResponseKind.TRANSIENT, message=f"no answer: {words}")
        assert ask(url, is_graphql=True) == Result(kind=of_graphql, message=f"no answer: {words}")
