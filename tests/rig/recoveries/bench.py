"""A rig to measure at: what is posted at it, what is waited for, and the rows that come of it."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg

from tests.rig.bad_events.apps import PROBE, SLOW
from tests.rig.github import ACCEPTED, GitHub, delivery, post
from tests.rig.machine import WORKERS, Rig
from tests.rig.proxy import Proxy
from tformance.local.stop_processes import wait_until

LONGEST_S = 180
WARMING = 24  # so many that every worker child has its connections
NOTIFIED_WITHIN_S = 0.5
CHILDREN = 4  # two of each worker
WORKING_AGAIN_S = 30
HELD_S = 40  # below a task's soft limit


@dataclass(frozen=True)
class Row:
    """One measurement and its limit."""

    name: str
    seconds: float
    limit_s: float

    @property
    def is_kept(self) -> bool:
        return self.seconds <= self.limit_s

    def __str__(self) -> str:
        return (
            f"{self.name:<78} {self.seconds:7.2f} s  limit {self.limit_s:5.1f} s  {'' if self.is_kept else 'EXCEEDED'}"
        )


@dataclass
class Bench:
    """A rig, what is posted at it, and what was measured."""

    rig: Rig
    report: Callable[[str], None]
    rows: list[Row] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest_at: str = "nowhere"

    def note(self, name: str, seconds: float, *, limit_s: float) -> None:
        self.rows.append(Row(name, seconds, limit_s))
        self.report(str(self.rows[-1]))

    def deliver(self, event: str = PROBE, *, seconds: float = 0, during: str = "", **payload: object) -> str:
        """Post until it is accepted; the GUID."""
        guid = str(uuid.uuid4())
        one = delivery(event, {"seconds": seconds, **payload}, guid=guid, secret=self.rig.secret)

        def accepted() -> bool:
            answer = post(self.rig.port, one.body, one.headers)
            if answer.seconds > self.slowest_s:
                self.slowest_s, self.slowest_at = answer.seconds, during
            return answer.status == ACCEPTED

        assert wait_until(accepted, seconds=LONGEST_S), "no delivery is accepted"
        return guid

    def deliver_unnotified(self, count: int, *, during: str) -> list[str]:
        """Post deliveries whose wake-ups are lost, in the queue and on their way; return the GUIDs."""
        links = [link for name in WORKERS for link in self.rig.links(process=name, engine="redis")]
        freeze(links)
        guids = [self.deliver(during=during) for _ in range(count)]
        time.sleep(NOTIFIED_WITHIN_S)
        with self.rig.engines.broker() as broker:
            broker.flushall()
        for link in links:
            link.reset()
            link.heal()
        return guids

    def row(self, guid: str) -> tuple[str, int, int]:
        with suppress(psycopg.OperationalError):
            found = self.rig.engines.rows(
                "SELECT state, claim_number, crashes FROM webhooks_delivery WHERE guid = %(guid)s", {"guid": guid}
            )
            if found:
                state, claim_number, crashes = found[0]
                return str(state), int(str(claim_number)), int(str(crashes))
        return "", 0, 0

    def wait(self, guid: str, *, state: str = "processed") -> float:
        """Wait until a delivery is in this state; the moment."""
        assert wait_until(lambda: self.row(guid)[0] == state, seconds=LONGEST_S), (guid, self.row(guid))
        return time.monotonic()

    def wait_for_claim(self, guid: str, *, number: int) -> float:
        assert wait_until(lambda: self.row(guid)[1] >= number, seconds=LONGEST_S), (guid, self.row(guid))
        return time.monotonic()

    def wait_for_all(self, guids: list[str]) -> float:
        """Wait until every one is processed; the moment."""
        assert guids, "nothing was accepted"
        assert wait_until(lambda: not self._waiting(guids), seconds=LONGEST_S), (
            f"{self._waiting(guids)} of {len(guids)} are not processed"
        )
        return time.monotonic()

    def longest_wait_s(self, guids: list[str]) -> float:
        """How long the one that waited longest was in the inbox, once all are processed."""
        return self.wait_percentile_s(guids, share=1)

    def wait_percentile_s(self, guids: list[str], *, share: float) -> float:
        """How long this share of them was in the inbox at most, once all are processed."""
        self.wait_for_all(guids)
        found = self.rig.engines.rows(
            "SELECT percentile_disc(%(share)s) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - received_at)) "
            "FROM webhooks_delivery WHERE guid = ANY(%(guids)s::uuid[])",
            {"guids": guids, "share": share},
        )
        return float(str(found[0][0]))

    def give_up(self, guid: str) -> None:
        """Spare a delivery its further attempts."""
        self.rig.engines.rows(
            "UPDATE webhooks_delivery SET state = 'dead', finished_at = now(), lease_until = NULL "
            "WHERE guid = %(guid)s RETURNING id",
            {"guid": guid},
        )

    def _waiting(self, guids: list[str]) -> int:
        found = self.rig.engines.rows(
            "SELECT count(*) FROM webhooks_delivery WHERE guid = ANY(%(guids)s::uuid[]) AND state <> 'processed'",
            {"guids": guids},
        )
        return int(str(found[0][0]))

    def wait_for_every_child(self) -> float:
        """Wait until each child of both workers has a delivery of its own in hand; the moment."""
        held: list[str] = []
        for _ in range(CHILDREN):
            held.append(self.deliver(SLOW, seconds=HELD_S, during="until every child works"))
            self.wait(held[-1], state="running")
        moment = time.monotonic()
        assert all(self.row(guid)[0] == "running" for guid in held), "one child had two of them in hand"
        self.wait_for_all(held)
        return moment

    def rest(self) -> None:
        """Heal, and wait until everything works at its usual pace."""
        self.rig.heal()
        assert self.rig.is_complete(seconds=LONGEST_S)
        self.wait_for_all([self.deliver(SLOW, seconds=0.2, during="rest") for _ in range(WARMING)])


@contextmanager
def traffic(bench: Bench, during: str) -> Iterator[list[str]]:
    """Ten probes a second while the block lasts; their GUIDs."""
    github = GitHub(bench.rig.port, rate=10)
    posted: list[str] = []
    for _ in range(int(10 * LONGEST_S)):
        guid = str(uuid.uuid4())
        posted.append(guid)
        github.deliver(delivery(PROBE, {}, guid=guid, secret=bench.rig.secret))
    try:
        yield posted
    finally:
        github.drop()
        github.close()
        posted[:] = [key.partition(":")[2] for key in github.ledger.acknowledged]
        if github.ledger.slowest_s > bench.slowest_s:
            bench.slowest_s, bench.slowest_at = github.ledger.slowest_s, during


def freeze(links: list[Proxy]) -> None:
    """Whatever is open stays open and carries nothing."""
    for link in links:
        link.freeze()
