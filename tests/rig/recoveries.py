"""python -m tests.rig.recoveries: break one thing at a time and measure how long it shows; `make recovery` calls it.

Each row is measured from the moment named until the last delivery concerned has taken effect, or is claimed anew, and
has an upper limit. Exit code 1: a limit was exceeded.
"""

import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import psycopg

from tests.rig.github import ACCEPTED, GitHub, delivery, post
from tests.rig.machine import BEATS, WEB, WORKERS, Rig, rig
from tests.rig.mischief.apps import DAWDLE, POISON, PROBE
from tests.rig.proxy import Proxy
from tformance.embedded.occupants import wait_until
from tformance.embedded.remembered import var_folder

LONGEST_S = 180
LONGEST_ANSWER_S = 5.0
DOWN_S = 8.0
WARMING = 24  # so many that every worker child has its connections


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
    tell: Callable[[str], None]
    rows: list[Row] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest_at: str = "nowhere"

    def note(self, name: str, seconds: float, *, limit_s: float) -> None:
        self.rows.append(Row(name, seconds, limit_s))
        self.tell(str(self.rows[-1]))

    def deliver(self, event: str = PROBE, *, seconds: float = 0, during: str = "") -> str:
        """Post until it is accepted; the GUID."""
        guid = str(uuid.uuid4())
        one = delivery(event, {"seconds": seconds}, guid=guid, secret=self.rig.secret)

        def accepted() -> bool:
            answer = post(self.rig.port, one.body, one.headers)
            if answer.seconds > self.slowest_s:
                self.slowest_s, self.slowest_at = answer.seconds, during
            return answer.status == ACCEPTED

        assert wait_until(accepted, seconds=LONGEST_S), "the door does not accept anything"
        return guid

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

    def rest(self) -> None:
        """Heal, and wait until everything works at its usual pace."""
        self.rig.heal()
        assert self.rig.is_complete(seconds=LONGEST_S)
        _all_processed(self, [self.deliver(DAWDLE, seconds=0.2, during="rest") for _ in range(WARMING)])


def measure(bench: Bench, *, only: Sequence[str] = ()) -> None:
    """Every measurement, or those whose functions are named; one fault at a time."""
    for act in (
        child_killed,
        worker_killed,
        redis_restarted,
        redis_away,
        redis_blackholed,
        redis_flushed,
        postgres_restarted,
        postgres_down,
        *half_open(bench.rig),
        frozen_in_mid_flight,
        web_killed,
        beats_killed,
        poisoned,
    ):
        if only and getattr(act, "func", act).__name__ not in only:
            continue
        bench.rest()
        act(bench)
    bench.rest()
    bench.note(f"slowest answer of the door at all ({bench.slowest_at})", bench.slowest_s, limit_s=LONGEST_ANSWER_S)


def child_killed(bench: Bench) -> None:
    guid = bench.deliver(DAWDLE, seconds=3)
    bench.wait(guid, state="running")
    started = time.monotonic()
    for name in WORKERS:
        bench.rig.kill(bench.rig.children(name))
    bench.note(
        "every worker child killed: delivery in flight claimed anew",
        bench.wait_for_claim(guid, number=2) - started,
        limit_s=5,
    )
    bench.wait(guid)


def worker_killed(bench: Bench) -> None:
    guid = bench.deliver(DAWDLE, seconds=3)
    bench.wait(guid, state="running")
    started = time.monotonic()
    for name in WORKERS:
        bench.rig.kill(bench.rig.group(name))
    bench.note(
        "both workers killed: delivery in flight claimed anew",
        bench.wait_for_claim(guid, number=2) - started,
        limit_s=75,
    )
    bench.wait(guid)


def redis_restarted(bench: Bench) -> None:
    bench.rig.engines.kill_redis()
    guid = bench.deliver(during="Redis killed")
    bench.rig.engines.start_redis()
    started = time.monotonic()
    other = bench.deliver(during="Redis back")
    bench.note(
        "Redis killed and started: deliveries of meanwhile and after",
        max(map(bench.wait, (guid, other))) - started,
        limit_s=10,
    )


def redis_away(bench: Bench) -> None:
    bench.rig.engines.redis.stop()
    with traffic(bench, "Redis stopped") as posted:
        time.sleep(DOWN_S)
    bench.rig.engines.start_redis()
    started = time.monotonic()
    bench.note(
        f"Redis stopped for {DOWN_S:.0f} s: everything of meanwhile processed",
        _all_processed(bench, posted) - started,
        limit_s=60,
    )


def redis_blackholed(bench: Bench) -> None:
    links = bench.rig.links(engine="redis")
    for link in links:
        link.blackhole()
    with traffic(bench, "Redis blackholed") as posted:
        time.sleep(DOWN_S)
    for link in links:
        link.heal()
    started = time.monotonic()
    bench.note(
        f"Redis blackholed for {DOWN_S:.0f} s: everything of meanwhile processed",
        _all_processed(bench, posted) - started,
        limit_s=60,
    )


def redis_flushed(bench: Bench) -> None:
    for name in WORKERS:
        bench.rig.kill(bench.rig.group(name), signal.SIGSTOP)
    posted = [bench.deliver(during="workers stopped") for _ in range(20)]
    with bench.rig.engines.broker() as broker:
        broker.flushall()
    for name in WORKERS:
        bench.rig.kill(bench.rig.group(name), signal.SIGCONT)
    started = time.monotonic()
    bench.note("FLUSHALL with 20 messages waiting: all processed", _all_processed(bench, posted) - started, limit_s=30)


def postgres_restarted(bench: Bench) -> None:
    bench.rig.engines.crash_postgres()
    bench.rig.engines.start_postgres()
    started = time.monotonic()
    guid = bench.deliver(during="PostgreSQL back")
    bench.note("PostgreSQL stopped at once and started: accepted", time.monotonic() - started, limit_s=5)
    bench.note("PostgreSQL stopped at once and started: and processed", bench.wait(guid) - started, limit_s=5)


def postgres_down(bench: Bench) -> None:
    bench.rig.engines.crash_postgres()
    one = delivery(PROBE, {}, guid=str(uuid.uuid4()), secret=bench.rig.secret)
    answers = [post(bench.rig.port, one.body, one.headers) for _ in range(5)]
    bench.rig.engines.start_postgres()
    assert {answer.status for answer in answers} == {503}, answers
    bench.note("PostgreSQL down: slowest 503", max(answer.seconds for answer in answers), limit_s=2.5)


def half_open(made: Rig) -> list[Callable[[Bench], None]]:
    """For each kind of process and each engine: its connections freeze, new ones work."""

    def half_open(name: str, links: list[Proxy], bench: Bench) -> None:
        for link in links:
            link.freeze()
        started = time.monotonic()
        guid = bench.deliver(during=f"half-open: {name}")
        bench.note(f"half-open connections, {name}: next delivery processed", bench.wait(guid) - started, limit_s=15)

    kinds = {"web": (WEB,), "workers": WORKERS, "beats": BEATS}
    return [
        partial(
            half_open,
            f"{kind} to {engine}",
            [link for name in names for link in made.links(process=name, engine=engine)],
        )
        for kind, names in kinds.items()
        for engine in ("postgres", "redis")
        if (kind, engine) != ("beats", "postgres")  # beat asks nothing of the database
    ]


def frozen_in_mid_flight(bench: Bench) -> None:
    """The worker that is at work loses its database without a word, in the middle of a delivery."""
    guid = bench.deliver(DAWDLE, seconds=2)
    bench.wait(guid, state="running")
    started = time.monotonic()
    for name in WORKERS:
        for link in bench.rig.links(process=name, engine="postgres"):
            link.freeze()
    other = bench.deliver(during="worker frozen in mid-delivery")
    bench.note(
        "workers' database frozen in mid-delivery: next delivery processed", bench.wait(other) - started, limit_s=15
    )
    bench.note(
        "workers' database frozen in mid-delivery: claimed anew",
        bench.wait_for_claim(guid, number=2) - started,
        limit_s=60,
    )


def web_killed(bench: Bench) -> None:
    bench.rig.kill(bench.rig.group(WEB))
    started = time.monotonic()
    guid = bench.deliver(during="web killed")
    bench.note("web killed: accepted again", time.monotonic() - started, limit_s=15)
    bench.wait(guid)


def beats_killed(bench: Bench) -> None:
    for name in BEATS:
        bench.rig.kill(bench.rig.group(name))
    with bench.rig.engines.broker() as broker:
        broker.flushall()
    started = time.monotonic()
    guid = bench.deliver(during="beats killed")
    bench.note("both beats killed, and FLUSHALL: next delivery processed", bench.wait(guid) - started, limit_s=30)


def poisoned(bench: Bench) -> None:
    started = time.monotonic()
    with traffic(bench, "poison") as posted:
        guid = bench.deliver(POISON)
        bench.wait(guid, state="dead")
    dead_s = time.monotonic() - started
    _, _, crashes = bench.row(guid)
    assert crashes <= 3, crashes
    bench.note(f"poison: dead after {crashes} crashes of its own", dead_s, limit_s=LONGEST_S)
    bench.note("poison: the neighbour that waited longest", _longest_wait(bench, posted), limit_s=75)


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


def _all_processed(bench: Bench, guids: list[str]) -> float:
    def waiting() -> int:
        found = bench.rig.engines.rows(
            "SELECT count(*) FROM webhooks_delivery WHERE guid = ANY(%(guids)s::uuid[]) AND state <> 'processed'",
            {"guids": guids},
        )
        return int(str(found[0][0]))

    assert guids, "nothing was accepted"
    assert wait_until(lambda: not waiting(), seconds=LONGEST_S), f"{waiting()} of {len(guids)} are not processed"
    return time.monotonic()


def _longest_wait(bench: Bench, guids: list[str]) -> float:
    _all_processed(bench, guids)
    found = bench.rig.engines.rows(
        "SELECT extract(epoch FROM max(finished_at - received_at))::float8 FROM webhooks_delivery "
        "WHERE guid = ANY(%(guids)s::uuid[])",
        {"guids": guids},
    )
    return float(str(found[0][0]))


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    say("Starting a rig …")
    logs = var_folder() / "recoveries"
    with rig(logs=logs) as made:
        bench = Bench(rig=made, tell=say)
        measure(bench, only=sys.argv[1:])
    exceeded = [row for row in bench.rows if not row.is_kept]
    say(f"{'FAILED' if exceeded else 'KEPT'}: {len(bench.rows) - len(exceeded)} of {len(bench.rows)} limits were kept.")
    return 1 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
