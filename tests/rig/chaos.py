"""python -m tests.rig.chaos: deliveries at a steady rate, one fault after another, then an audit (`make chaos`).

One seed gives one run. Exit code 0: every acknowledged delivery took effect exactly once, and every figure is right.
1: something is wrong.
"""

import argparse
import json
import random
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.rig.audit import Audit
from tests.rig.bad_events.apps import POISON
from tests.rig.engines import REFERENCE
from tests.rig.faults import Fault, catalogue
from tests.rig.github import Delivery, GitHub, Ledger, deliveries, delivery
from tests.rig.history import rounds
from tests.rig.machine import Rig, rig
from tformance.local.state import CHECKOUT, var_folder
from tformance.local.stop_processes import wait_until

UNFINISHED = """
SELECT (SELECT count(*) FROM webhooks_delivery WHERE state IN ('received', 'running', 'failed'))
     + (SELECT count(*) FROM activity_change)
"""
DUPLICATED = 0.04
COPIES = 5
POISON_EVERY = 15  # faults
KEPT = 300
MOST_WAITING = 60
COMPLETE_SECONDS = 120
SETTLE_SECONDS = 300
SHOWN = 6


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """A fault that happened, and the answers of the receiver meanwhile."""

    name: str
    at_s: float
    lasted_s: float
    posts: int
    refused: int
    slowest_s: float


@dataclass
class Outcome:
    """The faults of a run, and the result of the audit."""

    seed: int
    faults: list[FaultRecord] = field(default_factory=list)
    posts: int = 0
    slowest_s: float = 0.0
    settled_s: float = 0.0
    complaints: list[str] = field(default_factory=list)
    audit: Audit = field(default_factory=Audit)
    figures: str = ""

    @property
    def failures(self) -> list[str]:
        """Return everything that breaks the guarantees; empty if nothing does."""
        found = list(self.complaints)
        for name, values in self.audit.problems.items():
            found += [f"{name}, {len(values)} in all: {value}" for value in values[:SHOWN]]
        if self.figures:
            found.append(f"figures are not what a rebuild makes: {self.figures}")
        return found


class Traffic:
    """Endless deliveries, by seed: shuffled, some five times at once, some again much later, sometimes a poison."""

    def __init__(self, rig: Rig, github: GitHub, *, seed: int) -> None:
        self._rig = rig
        self._github = github
        self._chance = random.Random(f"traffic {seed}")  # noqa: S311  a seed makes the run repeatable
        self._rounds = rounds(seed=seed)
        self._past: deque[Delivery] = deque(maxlen=KEPT)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._post_all, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def poison(self) -> None:
        """Post a delivery that kills every worker that takes it."""
        guid = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        self._github.deliver(delivery(POISON, {}, guid=guid, secret=self._rig.secret))

    def _post_all(self) -> None:
        for one in self._deliveries():
            while self._github.backlog > MOST_WAITING and not self._over.is_set():
                self._github.ask_again()
                self._over.wait(0.05)
            if self._over.is_set():
                return
            if self._chance.random() < DUPLICATED:
                self._github.deliver_at_once(one, times=COPIES)
            else:
                self._github.deliver(one)
            if self._past and self._chance.random() < DUPLICATED:
                self._github.deliver(self._chance.choice(self._past))
            self._past.append(one)

    def _deliveries(self) -> Iterator[Delivery]:
        for batch in self._rounds:
            made = deliveries(batch, secret=self._rig.secret)
            self._chance.shuffle(made)
            yield from made


def run_chaos(
    rig: Rig,
    *,
    seed: int,
    seconds: float,
    rate: float,
    faults: Iterable[Fault] = (),
    pause_s: tuple[float, float] = (1.0, 4.0),
    report: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Cause faults for so many seconds, or these faults; then repair everything and audit the deliveries."""
    outcome = Outcome(seed=seed)
    github = GitHub(rig.port, rate=rate)
    traffic = Traffic(rig, github, seed=seed)
    try:
        started = time.monotonic()
        for number, fault in enumerate(faults or random_faults(rig, seed=seed)):
            if time.monotonic() - started >= seconds:
                break
            if number % POISON_EVERY == 0:
                traffic.poison()
            record = _apply(fault, github=github, at_s=time.monotonic() - started)
            outcome.faults.append(record)
            report(_described(record, github=github, waiting=_waiting(rig)))
            time.sleep(random.Random(f"pause {seed} {number}").uniform(*pause_s))  # noqa: S311  repeatable by its seed
        traffic.end()
        _recover(rig, github, outcome=outcome, report=report)
    finally:
        traffic.end()
        github.close()
    report("Auditing the deliveries …")
    outcome.posts = github.ledger.posts
    outcome.slowest_s = github.ledger.slowest_s
    outcome.audit = audit_deliveries(rig, github.ledger)
    outcome.figures = check_figures(rig)
    return outcome


def random_faults(rig: Rig, *, seed: int) -> Iterator[Fault]:
    """Yield random faults: every kind once before any comes twice."""
    chance = random.Random(f"faults {seed}")  # noqa: S311  a seed makes the run repeatable
    kinds = catalogue(rig, chance)
    while True:
        chance.shuffle(kinds)
        for make in kinds:
            yield make()


def _apply(fault: Fault, *, github: GitHub, at_s: float) -> FaultRecord:
    github.take_answers()
    started = time.monotonic()
    fault.begin()
    try:
        time.sleep(max(fault.lasts_s, 1.0))
    finally:
        fault.end()
    answers = github.take_answers()
    return FaultRecord(
        name=fault.name,
        at_s=at_s,
        lasted_s=time.monotonic() - started,
        posts=len(answers),
        refused=sum(answer.status != 202 for answer in answers),
        slowest_s=max((answer.seconds for answer in answers), default=0.0),
    )


def _recover(rig: Rig, github: GitHub, *, outcome: Outcome, report: Callable[[str], None]) -> None:
    """Repair, let GitHub deliver again what was refused, and wait until everything is processed."""
    report("No more faults; repairing …")
    rig.heal()
    started = time.monotonic()
    if not rig.is_complete(seconds=COMPLETE_SECONDS):
        outcome.complaints.append(f"not every process is back after {COMPLETE_SECONDS} s")
    if not github.finish(seconds=COMPLETE_SECONDS):
        outcome.complaints.append("GitHub is still refused")
    if not settle(rig, seconds=SETTLE_SECONDS):
        outcome.complaints.append(f"{unfinished(rig)} deliveries or changes are not worked off")
    outcome.settled_s = time.monotonic() - started


def _waiting(rig: Rig) -> str:
    try:
        return str(unfinished(rig))
    except Exception:
        return "?"


def _described(record: FaultRecord, *, github: GitHub, waiting: str) -> str:
    return (
        f"{record.at_s:6.0f} s  {record.name:<46} {record.lasted_s:5.1f} s  slowest answer {record.slowest_s:5.2f} s  "
        f"refused {record.refused:>4}/{record.posts:<4}  acknowledged {len(github.ledger.acknowledged):>6}  "
        f"waiting {waiting}"
    )


def unfinished(rig: Rig) -> int:
    """Return how many deliveries and changes are unfinished."""
    return int(str(rig.engines.rows(UNFINISHED)[0][0]))


def settle(rig: Rig, *, seconds: float) -> bool:
    """Return whether all deliveries and changes are processed within so many seconds."""
    return wait_until(lambda: unfinished(rig) == 0, seconds=seconds)


def audit_deliveries(rig: Rig, ledger: Ledger) -> Audit:
    """Compare the ledger with the rig's database."""
    rig.engines.make_reference()
    path = rig.var / "ledger.json"
    path.write_text(json.dumps(ledger.acknowledged))
    environment = rig.engines.environment(database=REFERENCE) | {"RIG_DATABASE_URL": rig.engines.dsn()}
    command = [sys.executable, "-m", "tests.rig.audit", str(path)]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout, f"The audit failed:\n{done.stderr}"
    return Audit(**json.loads(done.stdout))


def check_figures(rig: Rig) -> str:
    """Return what a rebuild would change in derived rows; empty for nothing."""
    command = [sys.executable, str(CHECKOUT / "manage.py"), "rebuild_figures", "--check"]
    done = subprocess.run(
        command, cwd=CHECKOUT, env=rig.engines.environment(), capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.rig.chaos",
        description="Cause random faults while deliveries arrive, then account for every delivery.",
    )
    parser.add_argument("--seconds", type=float, default=600, help="how long faults are caused (default 600)")
    parser.add_argument("--seed", type=int, help="repeats a run; by default one is chosen and printed")
    parser.add_argument("--rate", type=float, default=40, help="deliveries a second at most (default 40)")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    say(f"Faults for {options.seconds:.0f} s, seed {seed} (SEED={seed} repeats it). Starting a rig …")
    started = time.monotonic()
    logs = var_folder() / "chaos" / f"seed-{seed}"
    with rig(logs=logs) as made:
        say(f"The rig is up after {time.monotonic() - started:.0f} s.")
        if made.clocks is None:
            say("There is no C compiler (cc), so all clocks stay right.")
        outcome = run_chaos(made, seed=seed, seconds=options.seconds, rate=options.rate, report=say)
    print_outcome(outcome, logs=logs)
    return 1 if outcome.failures else 0


def print_outcome(outcome: Outcome, *, logs: Path) -> None:
    """Print every failure, and the result in one line."""
    for failure in outcome.failures:
        say(f"! {failure[:2000]}")
    if outcome.failures:
        say(f"! The logs of the rig are in {logs}")
    found = outcome.audit
    say(
        f"{'FAILED' if outcome.failures else 'KEPT'}: seed {outcome.seed}, {found.acknowledged} acknowledged, "
        f"{found.effects} effects, {len(outcome.faults)} faults; lost {len(found.lost)}, doubled {len(found.doubled)}, "
        f"unfinished {len(found.unfinished)}, leases left {len(found.leases)}, "
        f"different from the fold {len(found.different)} of {found.rows_compared} rows; "
        f"slowest answer {outcome.slowest_s:.2f} s, settled {outcome.settled_s:.0f} s after the last fault"
    )


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
