"""GitHub, as the rig has it: posts deliveries, writes down every answer, and asks again when there was none."""

import contextlib
import hashlib
import http.client
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from apps.demo.deliveries import HOOK_ID, body_of, signed_headers
from apps.demo.scenario import Sent
from apps.demo.shapes import Json

PATH = "/webhooks/github/"
PATIENCE_S = 10.0  # GitHub's own
NO_ANSWER = 0
ACCEPTED = 202


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, 0 when nothing did, and how long it took."""

    status: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery, ready to be posted any number of times."""

    key: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


def delivery(event: str, payload: Json, *, guid: str, secret: str) -> Delivery:
    body = body_of(payload)
    headers = {**signed_headers(body, secret=secret, event=event, guid=guid), "Content-Type": "application/json"}
    return Delivery(key=f"{HOOK_ID}:{guid}", body=body, headers=headers)


def deliveries(sent: Iterable[Sent], *, secret: str) -> list[Delivery]:
    return [delivery(one.event, one.payload, guid=one.guid, secret=secret) for one in sent]


def post(port: int, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Post once on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    started = time.monotonic()
    try:
        connection.request("POST", PATH, body=body, headers=dict(headers))
        response = connection.getresponse()
        response.read()
        status = response.status
    except (OSError, http.client.HTTPException):
        status = NO_ANSWER
    finally:
        connection.close()
    return Answer(status, time.monotonic() - started)


@dataclass
class Ledger:
    """What GitHub knows: which deliveries were acknowledged, with which content, and how every post was answered."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    slowest_s: float = 0.0

    @property
    def posts(self) -> int:
        return self.statuses.total()

    def write_down(self, one: Delivery, answer: Answer) -> None:
        self.statuses[answer.status] += 1
        self.slowest_s = max(self.slowest_s, answer.seconds)
        if answer.status == ACCEPTED:
            self.acknowledged[one.key] = one.digest


class GitHub:
    """Posts in the background at a steady rate; what is not acknowledged is posted again, as a scan requests."""

    def __init__(self, port: int, *, rate: float, threads: int = 8) -> None:
        self.ledger = Ledger()
        self._port = port
        self._pause_s = 1 / rate
        self._lock = threading.Lock()
        self._open: dict[str, Delivery] = {}  # handed over and not acknowledged
        self._refused: list[Delivery] = []
        self._answers: list[Answer] = []
        self._waiting: queue.Queue[Delivery | None] = queue.Queue()
        self._paced: queue.Queue[Delivery | None] = queue.Queue(maxsize=threads)
        self._threads = [threading.Thread(target=self._post_all, daemon=True) for _ in range(threads)]
        for thread in (*self._threads, threading.Thread(target=self._pace, daemon=True)):
            thread.start()

    @property
    def backlog(self) -> int:
        """How many wait for their turn."""
        return self._waiting.qsize() + self._paced.qsize()

    def deliver(self, one: Delivery) -> None:
        """Have a delivery posted when its turn comes."""
        with self._lock:
            self._open[one.key] = one
        self._waiting.put(one)

    def deliver_at_once(self, one: Delivery, *, times: int) -> None:
        """Post the same delivery several times at the same moment."""
        with self._lock:
            self._open[one.key] = one
        for _ in range(times):
            threading.Thread(target=self._post, args=(one,), daemon=True).start()

    def take_answers(self) -> list[Answer]:
        """The answers since the last look."""
        with self._lock:
            taken, self._answers = self._answers, []
        return taken

    def ask_again(self) -> None:
        """Put what was refused or not answered into the queue once more."""
        with self._lock:
            again, self._refused = self._refused, []
        for one in again:
            self._waiting.put(one)

    def finish(self, *, seconds: float) -> bool:
        """Post until everything handed over is acknowledged; whether it was, in time."""
        self._pause_s = 0.002
        deadline = time.monotonic() + seconds
        while self._open and time.monotonic() < deadline:
            self.ask_again()
            time.sleep(0.2)
        return not self._open

    def drop(self) -> None:
        """Forget what was not posted yet."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()

    def close(self) -> None:
        """Post no more than what is in the queue."""
        self._waiting.put(None)
        for thread in self._threads:
            thread.join(timeout=PATIENCE_S * 2)

    def _pace(self) -> None:
        while (one := self._waiting.get()) is not None:
            self._paced.put(one)
            time.sleep(self._pause_s)
        for _ in self._threads:
            self._paced.put(None)

    def _post_all(self) -> None:
        while (one := self._paced.get()) is not None:
            self._post(one)

    def _post(self, one: Delivery) -> None:
        answer = post(self._port, one.body, one.headers)
        with self._lock:
            self.ledger.write_down(one, answer)
            self._answers.append(answer)
            if answer.status == ACCEPTED:
                self._open.pop(one.key, None)
            else:
                self._refused.append(one)
