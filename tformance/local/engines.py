"""The engines of one TFORMANCE_VAR: started together, shared by several processes, stopped by the last of them."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path

import psutil

from tformance.local.console import EmbeddedError, say
from tformance.local.engine_binaries import locate
from tformance.local.postgres import Postgres
from tformance.local.redis_server import Redis
from tformance.local.state import EngineState, SharedLock, exclusive, holders, last_lines
from tformance.local.stop_processes import wait_until

LOCK_FILE = "engines.lock"


@dataclass(frozen=True, kw_only=True)
class Status:
    """Whether each engine answers."""

    postgres: bool
    redis: bool


@dataclass(frozen=True, kw_only=True)
class Engines:
    """The embedded PostgreSQL and Redis of a folder; one is not started if the environment names another server."""

    var: Path
    durable: bool = True

    def start(self) -> None:
        """Start those that do not run."""
        with self._alone():
            state = self._configured()
            binaries = locate(state.root)
            if needs_postgres():
                state = Postgres(state=state, binaries=binaries, durable=self.durable).start()
            if needs_redis():
                Redis(state=state, binaries=binaries, durable=self.durable).start()

    def configure(self) -> None:
        """Choose their ports and their user, without starting them."""
        with self._alone():
            self._configured()

    def _configured(self) -> EngineState:
        if (known := EngineState.existing(self.var)) is not None and known.shares_account:
            self._stop_for_another_owner()
        return EngineState.ensure(self.var)

    def _stop_for_another_owner(self) -> None:
        """Stop them before their data changes its owner; EmbeddedError if a process uses them."""
        users = [process for process in self.users() if self.running()]
        if users:
            numbers = ", ".join(str(process.pid) for process in users)
            raise EmbeddedError(
                f"The engines run as the user of an earlier version and are in use (by process {numbers}). "
                "Run `make stop`, which ends whatever uses them, then start again."
            )
        for engine in self._engines():
            engine.stop()

    def stop(self) -> None:
        """Stop those that run."""
        with self._alone():
            for engine in self._engines():
                engine.stop()

    def status(self) -> Status:
        """Return whether each answers."""
        ready = [engine.is_ready() for engine in self._engines()] or [False, False]
        return Status(postgres=ready[0], redis=ready[1])

    def running(self) -> list[str]:
        """Return the names of those that run, ready or not."""
        return [engine.name for engine in self._engines() if engine.is_alive()]

    def remove(self) -> None:
        """Stop both and delete their data."""
        self.stop()
        if (state := EngineState.existing(self.var)) is not None:
            state.remove()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Run both inside the block; the last process that leaves it stops them, also after an error."""
        lock = SharedLock(self._users_file)
        try:
            self.start()
            yield
        finally:
            if lock.is_only_holder():
                self.stop()
            lock.release()

    def users(self) -> list[psutil.Process]:
        """Return every other process that uses them now."""
        return holders(self._users_file)

    def stop_if_last(self, *, patience: float = 0) -> bool:
        """Stop both once no other process uses them; return False if that takes longer than `patience` seconds."""
        lock = SharedLock(self._users_file)
        try:
            if not wait_until(lock.is_only_holder, seconds=patience):
                return False
            self.stop()
            return True
        finally:
            lock.release()

    def stop_if_unused(self) -> None:
        """Stop both; EmbeddedError with the processes that use them, if there are any."""
        if not self.stop_if_last():
            users = ", ".join(str(process.pid) for process in self.users())
            raise EmbeddedError(f"The engines are in use (by process {users}). Run `make stop` to end what uses them.")

    def managed(self) -> list[Postgres | Redis]:
        """Return the engines that are not external, bound to the ports that their users know."""
        redis_first = reversed(self._engines())  # PostgreSQL may have to recover, which takes longer
        needed = compress(redis_first, (needs_redis(), needs_postgres()))
        return [replace(engine, may_move=False) for engine in needed]

    def start_again(self, engine: Postgres | Redis) -> None:
        """Start one of them again at its address."""
        with self._alone():
            engine.start()

    @property
    def _users_file(self) -> Path:
        return self.var / "engines.lease"

    def _engines(self) -> tuple[Postgres, Redis] | tuple[()]:
        state = EngineState.existing(self.var)
        if state is None or not state.root.is_dir():
            return ()
        binaries = locate(state.root)
        return (
            Postgres(state=state, binaries=binaries, durable=self.durable),
            Redis(state=state, binaries=binaries, durable=self.durable),
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with exclusive(self.var / LOCK_FILE):
            yield


def needs_postgres() -> bool:
    """Return whether the database is the embedded one."""
    return not os.environ.get("DATABASE_URL")


def needs_redis() -> bool:
    """Return whether the broker is the embedded one."""
    return not os.environ.get("REDIS_URL")


LOOK_EVERY_S = 0.5
LONGEST_PAUSE_S = 30
MOST_FAILURES = 10
STEADY_S = 60  # an engine that ran this long has recovered


@dataclass
class _State:
    """An engine, when it was last started, its failures since it was steady, and when to start it again."""

    engine: Postgres | Redis
    started_at: float
    failures: int = 0
    due_at: float | None = None


class EngineWatch:
    """Restart of engines that end unexpectedly, with growing pauses; EmbeddedError after too many failures."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        now = time.monotonic()
        self._states = [_State(engine=engine, started_at=now - STEADY_S) for engine in engines.managed()]
        self._looked_at = now

    def look(self) -> None:
        """Check every engine, at most twice a second; called often by code that waits for something."""
        if time.monotonic() - self._looked_at < LOOK_EVERY_S:
            return
        for state in self._states:
            if state.due_at is None and not state.engine.is_alive():
                self._plan(state, f"{state.engine.name} ended unexpectedly.")
        for state in self._states:
            if state.due_at is not None and time.monotonic() >= state.due_at:
                self._start(state)
        self._looked_at = time.monotonic()

    def _plan(self, state: _State, happened: str) -> None:
        """Print what happened, and set the time of the next start."""
        now = time.monotonic()
        state.failures = 1 if now - state.started_at >= STEADY_S else state.failures + 1
        log = state.engine.log
        if state.failures > MOST_FAILURES:
            raise EmbeddedError(
                f"{happened} It was restarted {MOST_FAILURES} times and is not restarted again. "
                f"The end of its log, {log}:\n{last_lines(log)}"
            )
        pause = 0 if state.failures == 1 else min(2 ** (state.failures - 1), LONGEST_PAUSE_S)
        state.due_at = now + pause
        say(f"! {happened} It is restarted{f' in {pause} s' if pause else ''}; its log is {log}", error=True)

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
