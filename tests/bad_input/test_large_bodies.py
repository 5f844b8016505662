"""Large bodies, many at once: what they cost the web processes, signed or not."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from apps.webhooks.models import Delivery
from tests.bad_input.server import Server, head, read_answer, serving, status_in
from tests.webhooks.conftest import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.proof, pytest.mark.timeout(600)]
MEGABYTE = 1024 * 1024
CONNECTIONS, TIMES = 96, 2
SIGNED_AT_ONCE = 16
LARGEST = b'{"zen":"' + b"x" * (25 * MEGABYTE - 100) + b'"}'
WRONG = "sha256=" + 64 * "0"
SMALL = b'{"zen":"Keep it logically awesome."}'


@pytest.fixture(scope="module")
def server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose memory no other test has used."""
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


def status_of(server: Server, body: bytes, *, signature: str = "") -> int | None:
    """The status of the answer; None where the connection ended before the body was sent."""
    more = {"X_Hub_Signature_256": signature} if signature else {}
    with server.connect() as connection:
        connection.settimeout(None)
        try:
            connection.sendall(head(body, X_GitHub_Delivery=str(uuid.uuid4()), **more) + body)
        except ConnectionError:  # refused unread
            return None
        return status_in(read_answer(connection))


def at_once(times: int, act: Callable[[], int | None]) -> Counter[int | None]:
    with ThreadPoolExecutor(times) as pool:
        return Counter(one.result() for one in [pool.submit(act) for _ in range(times)])


@contextmanager
def repeating(act: Callable[[], None]) -> Iterator[None]:
    """Act again and again on a thread of its own until the block ends."""
    is_over = Event()

    def repeat() -> None:
        while not is_over.wait(0.05):
            act()

    thread = Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def test_96_wrongly_signed_bodies_of_25_mb_cost_little_memory_and_no_signed_delivery(server: Server) -> None:
    held: list[int] = []
    signed: list[int | None] = []
    with repeating(lambda: held.append(server.memory())), repeating(lambda: signed.append(status_of(server, SMALL))):
        for _ in range(TIMES):
            answers = at_once(CONNECTIONS, lambda: status_of(server, LARGEST, signature=WRONG))
            assert set(answers) <= {401, 503, None}
            assert answers[401]
    assert max(held) < 1000 * MEGABYTE
    eventually(lambda: server.memory() < 500 * MEGABYTE, within_s=60)
    assert set(signed) == {202}
    assert Delivery.objects.count() == len(signed)


def test_16_signed_bodies_of_25_mb_at_once_are_all_kept(server: Server) -> None:
    held: list[int] = []
    with repeating(lambda: held.append(server.memory())):
        assert at_once(SIGNED_AT_ONCE, lambda: status_of(server, LARGEST)) == {202: SIGNED_AT_ONCE}
    assert max(held) < 1000 * MEGABYTE
    eventually(lambda: server.memory() < 500 * MEGABYTE, within_s=60)
    assert Delivery.objects.filter(size=len(LARGEST)).count() == SIGNED_AT_ONCE
