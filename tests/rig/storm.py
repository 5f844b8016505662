"""A storm: deliveries at a steady rate, one fault after another, and then the reckoning. One seed, one storm."""

import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from tests.rig.aftermath import check_figures, reckon, settle, unfinished
from tests.rig.faults import Fault, catalogue
from tests.rig.github import Delivery, GitHub, deliveries, delivery
from tests.rig.history import rounds
from tests.rig.machine import Rig
from tests.rig.mischief.apps import POISON
from tests.rig.reckoning import Reckoning

DUPLICATED = 0.04
COPIES = 5
POISON_EVERY = 15  # faults
REMEMBERED = 300
MOST_WAITING = 60
COMPLETE_SECONDS = 120
SETTLE_SECONDS = 300
SHOWN = 6


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that was, and how the door answered meanwhile."""

    name: str
    at_s: float
    lasted_s: float
    posts: int
    refused: int
    slowest_s: float


@dataclass
class Outcome:
    """What a storm did, and what it left."""

    seed: int
    faults: list[Struck] = field(default_factory=list)
    posts: int = 0
    slowest_s: float = 0.0
    settled_s: float = 0.0
    complaints: list[str] = field(default_factory=list)
    reckoning: Reckoning = field(default_factory=Reckoning)
    figures: str = ""

    @property
    def failures(self) -> list[str]:
        """Everything that breaks the promise; empty when nothing does."""
        found = list(self.complaints)
        for name, values in self.reckoning.problems.items():
            found += [f"{name}, {len(values)} in all: {value}" for value in values[:SHOWN]]
        if self.figures:
            found.append(f"figures are not what a rebuild makes: {self.figures}")
        return found


class Weather:
    """Deliveries without end, by seed: shuffled, some at once five times, some again much later, sometimes a poison."""

    def __init__(self, rig: Rig, github: GitHub, *, seed: int) -> None:
        self._rig = rig
        self._github = github
        self._chance = random.Random(f"weather {seed}")  # noqa: S311  a seed makes the run repeatable
        self._rounds = rounds(seed=seed)
        self._past: deque[Delivery] = deque(maxlen=REMEMBERED)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._blow, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def poison(self) -> None:
        """Post a delivery that kills every worker that takes it."""
        guid = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        self._github.deliver(delivery(POISON, {}, guid=guid, secret=self._rig.secret))

    def _blow(self) -> None:
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
        for told in self._rounds:
            made = deliveries(told, secret=self._rig.secret)
            self._chance.shuffle(made)
            yield from made


def rage(
    rig: Rig,
    *,
    seed: int,
    seconds: float,
    rate: float,
    faults: Iterable[Fault] = (),
    pause_s: tuple[float, float] = (1.0, 4.0),
    tell: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Let the storm rage for so long, or through these faults; heal everything, and reckon."""
    outcome = Outcome(seed=seed)
    github = GitHub(rig.port, rate=rate)
    weather = Weather(rig, github, seed=seed)
    try:
        started = time.monotonic()
        for number, fault in enumerate(faults or random_faults(rig, seed=seed)):
            if time.monotonic() - started >= seconds:
                break
            if number % POISON_EVERY == 0:
                weather.poison()
            struck = _strike(fault, github=github, at_s=time.monotonic() - started)
            outcome.faults.append(struck)
            tell(_described(struck, github=github, waiting=_waiting(rig)))
            time.sleep(random.Random(f"pause {seed} {number}").uniform(*pause_s))  # noqa: S311  repeatable by its seed
        weather.end()
        _calm(rig, github, outcome=outcome, tell=tell)
    finally:
        weather.end()
        github.close()
    tell("Reckoning …")
    outcome.posts = github.ledger.posts
    outcome.slowest_s = github.ledger.slowest_s
    outcome.reckoning = reckon(rig, github.ledger)
    outcome.figures = check_figures(rig)
    return outcome


def random_faults(rig: Rig, *, seed: int) -> Iterator[Fault]:
    """Every kind of fault before any comes twice."""
    chance = random.Random(f"faults {seed}")  # noqa: S311  a seed makes the run repeatable
    kinds = catalogue(rig, chance)
    while True:
        chance.shuffle(kinds)
        for make in kinds:
            yield make()


def _strike(fault: Fault, *, github: GitHub, at_s: float) -> Struck:
    github.take_answers()
    started = time.monotonic()
    fault.begin()
    try:
        time.sleep(max(fault.lasts_s, 1.0))
    finally:
        fault.end()
    answers = github.take_answers()
    return Struck(
        name=fault.name,
        at_s=at_s,
        lasted_s=time.monotonic() - started,
        posts=len(answers),
        refused=sum(answer.status != 202 for answer in answers),
        slowest_s=max((answer.seconds for answer in answers), default=0.0),
    )


def _calm(rig: Rig, github: GitHub, *, outcome: Outcome, tell: Callable[[str], None]) -> None:
    """Heal, let GitHub deliver again what was refused, and wait until all is worked off."""
    tell("The storm is over; healing …")
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


def _described(struck: Struck, *, github: GitHub, waiting: str) -> str:
    return (
        f"{struck.at_s:6.0f} s  {struck.name:<46} {struck.lasted_s:5.1f} s  slowest answer {struck.slowest_s:5.2f} s  "
        f"refused {struck.refused:>4}/{struck.posts:<4}  acknowledged {len(github.ledger.acknowledged):>6}  "
        f"waiting {waiting}"
    )
