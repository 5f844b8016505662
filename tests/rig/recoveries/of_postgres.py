"""PostgreSQL that stops."""

import time
import uuid

from tests.rig.github import delivery, post
from tests.rig.mischief.apps import PROBE
from tests.rig.recoveries.bench import Bench


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
