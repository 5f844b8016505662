"""`make celery-worker`, `celery-beat`, `celery-dev`, and `make stop`, tried as processes."""

import re
import signal
import sys
from collections import Counter

import psutil
import pytest

from tests.runtime.checkout import Checkout, target
from tformance.local.engines import Engines
from tformance.local.runs import count_by_role
from tformance.local.stop_processes import tagged_in, wait_until

pytestmark = [pytest.mark.proof, pytest.mark.timeout(900), pytest.mark.usefixtures("no_servers")]

WORKERS_ARE_READY = (" worker-live@", " worker-backfill@")
BEAT_IS_READY = ("celery beat v",)
TARGETS = {
    "celery-beat": ({"beat": 1}, BEAT_IS_READY),
    "celery-worker": ({"worker": 2}, WORKERS_ARE_READY),
    "celery-dev": ({"beat": 1, "worker": 2}, (*BEAT_IS_READY, *WORKERS_ARE_READY)),
}


def programs(checkout: Checkout) -> Counter[str]:
    """The main processes by what they are: `celery … beat` is beat, whatever its role is called."""
    found = [(process, role) for process, _, role in tagged_in(checkout.var)]
    roles = count_by_role(found)
    commands = Counter(word for process, _ in found for word in ("beat", "worker") if is_celery(process, word))
    assert {role for role in roles if commands[role]} == set(roles), (roles, commands)
    return roles


def is_celery(process: psutil.Process, word: str) -> bool:
    try:
        command = process.cmdline()
    except psutil.Error:
        return False
    return "celery" in command and word in command


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_runs_the_programs_that_it_is_named_after_and_no_others(name: str, checkout: Checkout) -> None:
    expected, words = TARGETS[name]
    started = checkout.start(*target(name))
    started.wait_for(*words)
    assert programs(checkout) == expected
    assert f"make {name} (process {started.process.pid}): " in checkout.call("status").stdout

    started.process.send_signal(signal.SIGINT)
    assert started.end() == 0
    assert checkout.left() == []
    assert not Engines(var=checkout.var).running()


def test_a_stop_ends_every_process_of_the_checkout_and_says_what_it_was(checkout: Checkout) -> None:
    dev, beat, killed = (checkout.start(*target(f"celery-{name}")) for name in ("dev", "beat", "beat"))
    shell = checkout.start(sys.executable, "-m", "tformance.local", "with", "--", "sleep", "600")
    dev.wait_for(*TARGETS["celery-dev"][1])
    for one in (beat, killed):
        one.wait_for(*BEAT_IS_READY)
    assert wait_until(lambda: "sleep 600" in checkout.call("status").stdout, seconds=60)
    killed.process.kill()
    killed.end()

    stop = checkout.call("stop")
    assert (stop.returncode, stop.stderr) == (0, "")
    assert checkout.left() == []
    assert [one.end() for one in (dev, beat)] == [0, 0]
    assert shell.end() != 0
    assert not Engines(var=checkout.var).running()
    assert sorted(re.sub(r" \(process \d+\)", "", line) for line in stop.stdout.splitlines()) == [
        "Nothing of this checkout is left running.",
        "Stopped PostgreSQL and Redis.",
        "Stopped make celery-beat: beat.",
        "Stopped make celery-dev: 2 workers, beat.",
        "Stopped processes of a killed make celery-beat: beat.",
        "Stopped sleep 600: command.",
    ]
    assert checkout.call("stop").stdout == "Nothing was running.\n"
