"""PostgreSQL that stops."""

import time
import uuid

from tests.rig.bad_events.apps import PROBE
from tests.rig.github import delivery, post
from tests.rig.recoveries.bench import LONGEST_S, Bench
from tformance.local.programs import ask_readiness
from tformance.local.stop_processes import wait_until


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


def postgres_read_only(bench: Bench) -> None:
    """The server takes no writes, as after it was demoted: whoever asks for readiness must not send posts here."""
    for is_read_only, status in ((True, 503), (False, 200)):
        bench.rig.engines.be_read_only(is_read_only=is_read_only)
        started = time.monotonic()
        assert wait_until(lambda: ask_readiness(bench.rig.port)[0] == status, seconds=LONGEST_S)  # noqa: B023  at once
        words = "takes no writes: /readyz is" if is_read_only else "takes writes again: /readyz is"
        bench.note(f"PostgreSQL {words} {status}", time.monotonic() - started, limit_s=5)
