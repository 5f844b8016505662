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
class _State:
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
        self._states = [_State(engine=engine, started_at=now - STEADY_S) for engine in engines.ours()]
        self._looked_at = now

    def look(self) -> None:
        """Look after every engine, at most twice a second; whoever waits for something calls this all the time."""
        if time.monotonic() - self._looked_at < LOOK_EVERY_S:
            return
        for state in self._states:
            if state.due_at is None and not state.engine.is_alive():
                self._plan(state, f"{state.engine.name} ended by itself.")
        for state in self._states:
            if state.due_at is not None and time.monotonic() >= state.due_at:
                self._start(state)
        self._looked_at = time.monotonic()

    def _plan(self, state: _State, happened: str) -> None:
        """Say what happened, and set the time of the next start."""
        now = time.monotonic()
        state.failures = 1 if now - state.started_at >= STEADY_S else state.failures + 1
        log = state.engine.log
        if state.failures > MOST_FAILURES:
            raise EmbeddedError(
                f"{happened} It was started again {MOST_FAILURES} times and is given up. "
                f"The end of its log, {log}:\n{last_lines(log)}"
            )
        pause = 0 if state.failures == 1 else min(2 ** (state.failures - 1), LONGEST_PAUSE_S)
        state.due_at = now + pause
        say(f"! {happened} It is started again{f' in {pause} s' if pause else ''}; see {log}", error=True)

    def _start(self, state: _State) -> None:
        begin = time.monotonic()
        problem = ""
        try:
            self._engines.start_again(state.engine)
        except EmbeddedError as error:
            problem = str(error).partition("\n")[0].partition(" The end of its log")[0]
        state.started_at = time.monotonic()
        if problem:
            self._plan(state, problem)
        else:
            state.due_at = None
            say(f"! {state.engine.name} runs again after {state.started_at - begin:.1f} s.", error=True)
