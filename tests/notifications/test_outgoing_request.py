"""Requests to addresses that users entered reach the public Internet and nothing else."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from apps.notifications import outgoing_request
from apps.notifications.outgoing_request import AddressRefusedError, UnreachableError, ensure_usable, post
from tests.notifications.receiver import Receiver, receiving

PRIVATE = (
    "127.0.0.1",
    "127.8.8.8",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104  nothing is bound to it
    "224.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[::]",
    "[fe80::1]",
    "[fd00::1]",
    "[ff02::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "localhost",
)


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    with receiving() as found:
        settings.OUTGOING_WEBHOOK_ORIGINS = [found.url]
        yield found


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Have each look-up of a name return the next of the addresses, and the last one from then on."""
    asked: list[str] = []
    known = socket.getaddrinfo

    def look_up(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if str(host).replace(".", "").isdigit():
            return known(host, port, *args, **options)
        asked.append(str(host))
        address = addresses[min(len(asked), len(addresses)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 443))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.mark.parametrize("host", PRIVATE)
def test_nothing_is_sent_into_a_private_network_however_the_address_is_written(host: str) -> None:
    with pytest.raises(AddressRefusedError, match="private or reserved"):
        post(f"https://{host}/hook", b"{}", headers={})


def test_nothing_is_sent_to_a_name_that_resolves_to_a_private_address(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "10.0.0.5")
    with pytest.raises(AddressRefusedError, match=r"hooks\.example\.com is in a private"):
        post("https://hooks.example.com/hook", b"{}", headers={})


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that resolves to a public address when it is checked, and to a private one a moment later."""
    resolve_to(monkeypatch, "93.184.215.14", "127.0.0.1")
    connected: list[Any] = []

    def connect(self: socket.socket, address: Any) -> None:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(UnreachableError):
        post("https://hooks.example.com/hook", b"{}", headers={})
    assert set(connected) == {"93.184.215.14"}


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://hooks.example.com/hook", "https"),
        ("ftp://hooks.example.com/hook", "not an address"),
        ("https://", "not an address"),
        ("https://[::1/hook", "not an address"),
        ("https://host:99999/", "not an address"),
        ("https://hooks.example.com/\r\nX: y", "not an address"),
        ("https://user:password@hooks.example.com/", "user or a password"),
        ("https://hooks.example.com\\@127.0.0.1/", "user or a password"),
        ("https://hooks.example.com/" + "a" * 2000, "not an address"),
        ("hooks.example.com", "not an address"),
    ],
)
def test_only_plain_https_addresses_are_taken(url: str, words: str) -> None:
    with pytest.raises(AddressRefusedError, match=words):
        ensure_usable(url)


def test_an_origin_that_the_operator_names_is_reached_also_in_a_private_network(receiver: Receiver) -> None:
    answer = post(f"{receiver.url}/hook", b"{}", headers={"X-Test": "1"})
    assert (answer.status, answer.body, receiver.bodies) == (200, "ok", [b"{}"])
    assert receiver.headers[0]["X-Test"] == "1"


def test_another_port_of_a_named_host_is_not_reached(receiver: Receiver) -> None:
    with pytest.raises(AddressRefusedError):
        post("http://127.0.0.1:1/hook", b"{}", headers={})


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answers = [(302, {"Location": f"{receiver.url}/elsewhere"})]
    assert post(f"{receiver.url}/hook", b"{}", headers={}).status == 302
    assert len(receiver.bodies) == 1


def test_only_the_beginning_of_an_answer_is_read(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing_request, "LONGEST_ANSWER", 1)
    assert post(f"{receiver.url}/hook", b"{}", headers={}).body == "o"


@pytest.mark.parametrize("is_kept_open", [True, False], ids=["stalls", "breaks off"])
@pytest.mark.parametrize(
    "begun",
    [b"Content-Length: 9\r\n\r\nok", b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"],
    ids=["plain", "chunked"],
)
def test_an_answer_whose_body_does_not_end_is_one(
    settings: Any, monkeypatch: pytest.MonkeyPatch, begun: bytes, is_kept_open: bool
) -> None:
    monkeypatch.setattr(outgoing_request, "READ_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        origin = f"http://127.0.0.1:{server.getsockname()[1]}"
        settings.OUTGOING_WEBHOOK_ORIGINS = [origin]
        answer = pool.submit(post, f"{origin}/", b"{}", headers={})
        with server.accept()[0] as accepted:
            accepted.recv(65536)
            accepted.sendall(b"HTTP/1.1 200 OK\r\n" + begun)
            if not is_kept_open:
                accepted.shutdown(socket.SHUT_WR)
            assert (answer.result().status, answer.result().body) == (200, "ok")


def test_a_receiver_that_is_not_there_is_said_to_be_unreachable_without_its_address(settings: Any) -> None:
    settings.OUTGOING_WEBHOOK_ORIGINS = ["http://127.0.0.1:9"]
    with pytest.raises(UnreachableError, match="could not be reached") as error:
        post("http://127.0.0.1:9/secret-token", b"{}", headers={})
    assert "secret-token" not in str(error.value)


def test_a_receiver_that_is_silent_costs_seconds(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing_request, "READ_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        origin = f"http://127.0.0.1:{server.getsockname()[1]}"
        settings.OUTGOING_WEBHOOK_ORIGINS = [origin]
        with pytest.raises(UnreachableError, match="did not answer within"):
            post(f"{origin}/", b"{}", headers={})
