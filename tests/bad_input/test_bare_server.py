"""What the bundled server does with broken HTTP when nothing stands before it: rows 21 to 31 of the catalogue."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import socket

import pytest

from apps.webhooks.models import Delivery
from apps.webhooks.request_body import LARGEST_BODY
from tests.bad_input.server import Server, head, read_answer, status_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.proof]
BODY = b'{"zen":"Keep it logically awesome."}'
LENGTH = f"Content-Length: {len(BODY)}\r\n".encode()
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


def refused(server: Server, request: bytes) -> int | None:
    """The status of the answer; nothing may have been kept."""
    status = server.status_of(request)
    assert not Delivery.objects.exists()
    return status


def test_an_honest_delivery_is_kept(server: Server) -> None:
    assert server.status_of(head(BODY) + BODY) == 202
    assert bytes(Delivery.objects.get().body.content) == BODY


def test_row_21_a_body_over_the_limit_is_413_from_its_announced_length_alone(server: Server) -> None:
    for length in (LARGEST_BODY + 1, 30_000_000, 10**17):
        assert refused(server, head(BODY, Content_Length=str(length))) == 413


def test_row_22_a_body_in_chunks_is_411(server: Server) -> None:
    chunked = head(BODY, without=("Content-Length",), Transfer_Encoding="chunked")
    assert refused(server, chunked + CHUNKS) == 411


@pytest.mark.parametrize("first", ["length", "chunks"])
def test_row_23_a_length_together_with_chunks_is_refused_and_the_connection_ended(server: Server, first: str) -> None:
    request = head(BODY, Transfer_Encoding="chunked")
    if first == "chunks":
        request = request.replace(LENGTH, b"").replace(b"chunked\r\n", b"chunked\r\n" + LENGTH)
    with server.connect() as connection:
        connection.sendall(request + CHUNKS + b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert status_in(read_answer(connection)) == 411
        with suppress(ConnectionError):
            assert connection.recv(1) == b"", "what was smuggled behind it must not be answered"
    assert not Delivery.objects.exists()


def test_row_24_a_length_short_of_the_body_is_401_and_what_is_left_is_no_request(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(head(BODY, Content_Length="3") + BODY)
        assert status_in(read_answer(connection)) == 401
        with suppress(ConnectionError):
            while rest := connection.recv(65536):
                assert b" 20" not in rest[:20]
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("length", ["-1", "+5", "1e3", "36, 3", "0x24", "", " ", "3 6", "36;", "9" * 40])
def test_row_26_a_malformed_length_is_400(server: Server, length: str) -> None:
    assert refused(server, head(BODY, Content_Length=length) + BODY) == 400


def test_row_26_two_lengths_that_differ_are_400_and_the_same_one_twice_is_one(server: Server) -> None:
    assert refused(server, head(BODY).replace(LENGTH, LENGTH + b"Content-Length: 3\r\n") + BODY) == 400
    assert server.status_of(head(BODY).replace(LENGTH, 2 * LENGTH) + BODY) == 202
    assert bytes(Delivery.objects.get().body.content) == BODY


def test_row_27_no_more_is_read_than_was_announced(server: Server) -> None:
    before = server.memory()
    with server.connect() as connection, suppress(ConnectionError):
        connection.sendall(head(BODY, Content_Length="2") + b"{}")
        for _ in range(64):
            connection.sendall(b" " * 2**20)
    assert server.memory() - before < 2**25
    assert not Delivery.objects.exists()


def test_row_29_a_compressed_body_is_415_and_never_unpacked(server: Server) -> None:
    for encoding in ("gzip", "deflate", "br", "gzip, identity"):
        assert refused(server, head(BODY, Content_Encoding=encoding) + BODY) == 415


def test_row_30_too_many_or_too_long_headers_are_431(server: Server) -> None:
    many = {f"X_Filler_{number}": "x" for number in range(200)}
    assert refused(server, head(BODY, **many) + BODY) == 431
    assert refused(server, head(BODY, X_Filler="x" * 20_000) + BODY) == 431
    assert server.status_of(head(BODY, X_Filler="x" * 8_000) + BODY) == 202


def test_row_31_bare_line_feeds_end_lines_and_excuse_nothing(server: Server) -> None:
    unsigned = head(BODY, without=("X-Hub-Signature-256",), line_end="\n")
    assert refused(server, unsigned + BODY) == 401
    assert refused(server, head(BODY, line_end="\r") + BODY) == 400
    assert server.status_of(head(BODY, line_end="\n") + BODY) == 202


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        (b"X-GitHub-Event: ping", b"X-GitHub-Event: pi\x00ng"),
        (b"X-GitHub-Event: ping", b"X-GitHub-Event: ping\r\n folded"),
        (b"X-GitHub-Event: ping", b"X-GitHub-Event : ping"),
        (b"HTTP/1.1", b"HTTP/9.9"),
        (b"POST ", b"PO ST "),
    ],
    ids=["NUL in a value", "folded", "space before the colon", "no such version", "no such method"],
)
def test_a_head_that_is_no_http_is_400(server: Server, broken: bytes, mended: bytes) -> None:
    assert refused(server, head(BODY).replace(broken, mended, 1) + BODY) == 400


def test_row_05_two_signatures_are_401_even_if_one_is_right(server: Server) -> None:
    twice = head(BODY).replace(b"X-GitHub-Event", b"X-Hub-Signature-256: sha256=" + b"0" * 64 + b"\r\nX-GitHub-Event")
    assert refused(server, twice + BODY) == 401


def test_row_15_an_underscored_signature_must_be_as_right_as_any(server: Server) -> None:
    """The server writes both spellings as one; nginx drops it (test_edge.py)."""
    underscored = head(BODY).replace(b"X-Hub-Signature-256", b"X_Hub_Signature_256")
    assert refused(server, underscored + BODY.upper()) == 401
    assert (
        refused(server, head(BODY).replace(b"X-Hub-Signature", b"X_Hub_Signature_256: \r\nX-Hub-Signature") + BODY)
        == 401
    )


HELD = {
    21: head(BODY, Content_Length="30000000"),
    22: head(BODY, without=("Content-Length",), Transfer_Encoding="chunked") + b"24\r\n",
    23: head(BODY, Transfer_Encoding="chunked") + b"24\r\n",
    24: head(BODY, Content_Length="3") + BODY,
    25: head(BODY, Content_Length="100") + BODY,
    26: head(BODY, Content_Length="-1") + BODY,
    27: head(BODY, Content_Length="2") + BODY,
    28: head(BODY, Content_Length="100") + b"{",
    29: head(BODY, Content_Encoding="gzip"),
    30: head(BODY, X_Filler="x" * 20_000),
    31: head(BODY, line_end="\n")[:-1],
}


@pytest.mark.parametrize("row", HELD)
def test_64_such_connections_are_in_nobodys_way(server: Server, row: int) -> None:
    with server.holding(HELD[row], times=64):
        assert server.get("/livez") == 200
        assert server.status_of(head(BODY) + BODY) == 202
    assert Delivery.objects.count() == 1


def test_rows_25_and_28_bodies_that_do_not_come_in_time_end_with_their_connections(server: Server) -> None:
    """300 of them, thrice as many as there are threads: some go quiet, some send a byte now and then."""
    with server.holding(HELD[25], times=300) as connections, dribbling(connections[::2]):
        assert server.get("/readyz") == 200
        assert {ends(connection) for connection in connections} == {True}
    assert not Delivery.objects.exists()
    assert server.status_of(head(BODY) + BODY) == 202


@contextmanager
def dribbling(connections: list[socket]) -> Iterator[None]:
    """Each sends a byte every half second until the block ends, which at this rate no body does."""
    is_over = threading.Event()

    def dribble() -> None:
        while not is_over.wait(0.5):
            for connection in connections:
                with suppress(OSError):
                    connection.send(b" ")

    thread = threading.Thread(target=dribble)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def ends(connection: socket) -> bool:
    """Whether the server ends this connection while its client still waits."""
    with suppress(ConnectionError):
        while connection.recv(65536):
            pass
    return True
