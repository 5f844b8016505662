"""Watching the engines while programs use them: one that died is started again, and the terminal says so."""

import time
from dataclasses import dataclass

from tformance.embedded.engines import Engines
from tformance.embedded.errors import EmbeddedError
from tformance.embedded.logs import last_lines
from tformance.embedded.postgres import Postgres
from tformance.embedded.redis_server import Redis
from tformance.embedded.telling import say

LOOK_EVERY_S = 0.5
LONGEST_PAUSE_S = 30
MOST_FAILURES = 10
STEADY_S = 60  # an engine that lived this long has recovered


@dataclass
class _Life:
    """When an engine was last started, how often it has died since it was steady, and when to start it again."""

    engine: Postgres | Redis
    started_at: float
    failures: int = 0
    due_at: float | None = None


class EngineWatch:
    """Starts engines again that ended by themselves, with growing pauses, and gives up with an error in the end."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        now = time.monotonic()
        self._lives = [_Life(engine=engine, started_at=now - STEADY_S) for engine in engines.ours()]
        self._looked_at = now

    def look(self) -> None:
        """Look after every engine, at most twice a second; whoever waits for something calls this all the time."""
        if time.monotonic() - self._looked_at < LOOK_EVERY_S:
            return
        for life in self._lives:
            if life.due_at is None and not life.engine.is_alive():
                self._plan(life, f"{life.engine.name} ended by itself.")
        for life in self._lives:
            if life.due_at is not None and time.monotonic() >= life.due_at:
                self._start(life)
        self._looked_at = time.monotonic()

    def _plan(self, life: _Life, happened: str) -> None:
        """Say what happened, and set the time of the next start."""
        now = time.monotonic()
        life.failures = 1 if now - life.started_at >= STEADY_S else life.failures + 1
        log = life.engine.log
        if life.failures > MOST_FAILURES:
            raise EmbeddedError(
                f"{happened} It was started again {MOST_FAILURES} times and is given up. "
                f"The end of its log, {log}:\n{last_lines(log)}"
            )
        pause = 0 if life.failures == 1 else min(2 ** (life.failures - 1), LONGEST_PAUSE_S)
        life.due_at = now + pause
        say(f"! {happened} It is started again{f' in {pause} s' if pause else ''}; see {log}", error=True)

    def _start(self, life: _Life) -> None:
        begin = time.monotonic()
        problem = ""
        try:
            self._engines.start_again(life.engine)
        except EmbeddedError as error:
            problem = str(error)
        life.started_at = time.monotonic()
        if problem:
            self._plan(life, problem)
        else:
            life.due_at = None
            say(f"! {life.engine.name} runs again after {life.started_at - begin:.1f} s.", error=True)
