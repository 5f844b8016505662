"""The promise on the whole system: real processes, broken one after another; then every delivery is accounted for.

`make storm` runs this; `make chaos` lets the same storm rage for as long as one likes, with faults by chance.
"""

import signal
import time
import uuid

import pytest

from apps.crash_points import POINTS
from tests.rig.aftermath import check_figures, reckon, settle
from tests.rig.faults import Fault
from tests.rig.github import ACCEPTED, Delivery, GitHub, Ledger, deliveries, delivery, post
from tests.rig.history import rounds
from tests.rig.machine import WEB, WORKERS, Rig
from tests.rig.mischief.apps import PROBE
from tests.rig.proxy import Proxy
from tests.rig.storm import rage
from tformance.embedded.occupants import wait_until

pytestmark = [pytest.mark.storm, pytest.mark.timeout(600)]
PATIENCE_S = 120


def chosen_faults(rig: Rig) -> list[Fault]:
    """One of each family; the issue's own: Redis stopped, silent and emptied, PostgreSQL restarted, a child killed."""
    engines, to_redis = rig.engines, rig.links(engine="redis")
    web_to_postgres = rig.links(process=WEB, engine="postgres")

    def flush() -> None:
        with engines.broker() as broker:
            broker.flushall()

    def on(links: list[Proxy], act: str) -> None:
        for link in links:
            getattr(link, act)()

    return [
        Fault(name="Redis stopped", begin=engines.redis.stop, end=engines.start_redis, lasts_s=2),
        Fault(
            name="Redis silent",
            begin=lambda: on(to_redis, "blackhole"),
            end=lambda: on(to_redis, "heal"),
            lasts_s=2,
        ),
        Fault(name="Redis emptied", begin=flush),
        Fault(name="PostgreSQL crashed", begin=engines.crash_postgres, end=engines.start_postgres),
        Fault(name="worker child killed", begin=lambda: rig.kill(rig.children(WORKERS[0])[:1])),
        Fault(
            name="web's database frozen",
            begin=lambda: on(web_to_postgres, "freeze"),
            end=lambda: on(web_to_postgres, "heal"),
            lasts_s=5,
        ),
        Fault(name="worker killed", begin=lambda: rig.kill(rig.group(WORKERS[1]), signal.SIGKILL)),
    ]


def test_no_fault_loses_or_doubles_a_delivery(rig: Rig) -> None:
    outcome = rage(rig, seed=1, seconds=120, rate=25, faults=chosen_faults(rig))
    assert not outcome.failures
    assert outcome.reckoning.effects > 100
    assert outcome.reckoning.rows_compared > 100
    assert outcome.reckoning.states["dead"] == 1  # the poison, and nothing else


def test_a_process_that_dies_anywhere_is_recovered(rig: Rig) -> None:
    """At every named point somebody dies, once; whatever was begun there is finished by somebody else."""
    ledger = Ledger()
    told = iter(deliveries(next(rounds(seed=77)), secret=rig.secret))
    at_dispatch = {"dispatch.after_mark"}
    for point in POINTS - at_dispatch:
        rig.crash_at(point)
    while any(map(rig.is_crash_pending, POINTS - at_dispatch)):
        keep(next(told, None) or probe(rig), rig=rig, ledger=ledger)
        time.sleep(0.1)
    rig.crash_at("dispatch.after_mark")
    for link in rig.links(process=WEB, engine="redis"):
        link.refuse()  # nobody rings, so the dispatcher must
    while any(map(rig.is_crash_pending, at_dispatch)):
        keep(next(told, None) or probe(rig), rig=rig, ledger=ledger)
        time.sleep(0.5)
    rig.heal()
    for one in told:
        keep(one, rig=rig, ledger=ledger)
    assert settle(rig, seconds=PATIENCE_S)
    assert not reckon(rig, ledger).problems
    assert not check_figures(rig)


def probe(rig: Rig) -> Delivery:
    return delivery(PROBE, {}, guid=str(uuid.uuid4()), secret=rig.secret)


def keep(one: Delivery, *, rig: Rig, ledger: Ledger) -> None:
    """Post until it is acknowledged."""

    def is_kept() -> bool:
        answer = post(rig.port, one.body, one.headers)
        ledger.write_down(one, answer)
        return answer.status == ACCEPTED

    assert wait_until(is_kept, seconds=PATIENCE_S), "the door stays closed"


def test_while_postgresql_is_away_nothing_is_acknowledged(rig: Rig) -> None:
    rig.engines.crash_postgres()
    try:
        one = probe(rig)
        answers = [post(rig.port, one.body, one.headers) for _ in range(3)]
    finally:
        rig.engines.start_postgres()
    assert [answer.status for answer in answers] == [503] * 3
    github = GitHub(rig.port, rate=50)
    github.deliver(one)
    assert github.finish(seconds=PATIENCE_S)
    github.close()
    assert settle(rig, seconds=PATIENCE_S)
