"""Both engines of one TFORMANCE_VAR, started together, shared by whoever needs them, stopped by the last."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path

import psutil

from tformance.embedded.binaries import locate
from tformance.embedded.errors import EmbeddedError
from tformance.embedded.home import Home
from tformance.embedded.locks import Lease, exclusive, holders
from tformance.embedded.occupants import wait_until
from tformance.embedded.postgres import Postgres
from tformance.embedded.redis_server import Redis

LOCK_FILE = "engines.lock"


@dataclass(frozen=True, kw_only=True)
class Status:
    """Whether each engine answers."""

    postgres: bool
    redis: bool


@dataclass(frozen=True, kw_only=True)
class Engines:
    """PostgreSQL and Redis under a folder; each only as far as the environment does not name a server of its own."""

    var: Path
    durable: bool = True

    def start(self) -> None:
        """Make sure that both run; harmless when they do."""
        with self._alone():
            home = self._settled()
            binaries = locate(home.root)
            if needs_postgres():
                home = Postgres(home=home, binaries=binaries, durable=self.durable).start()
            if needs_redis():
                Redis(home=home, binaries=binaries, durable=self.durable).start()

    def settle(self) -> None:
        """Choose where they listen and as whom they run, without starting them."""
        with self._alone():
            self._settled()

    def _settled(self) -> Home:
        if (known := Home.existing(self.var)) is not None and known.shares_account:
            self._stop_for_another_owner()
        return Home.ensure(self.var)

    def _stop_for_another_owner(self) -> None:
        """Stop them, because their data is about to change its owner; never under somebody who uses them."""
        users = [process for process in self.borrowers() if self.running()]
        if users:
            numbers = ", ".join(str(process.pid) for process in users)
            raise EmbeddedError(
                f"The engines run as a user of an earlier version, and are in use (by process {numbers}). "
                "`make stop` ends whatever uses them; then start again."
            )
        for engine in self._engines():
            engine.stop()

    def stop(self) -> None:
        """Make sure that neither runs; harmless when neither does."""
        with self._alone():
            for engine in self._engines():
                engine.stop()

    def status(self) -> Status:
        """Whether each answers."""
        ready = [engine.is_ready() for engine in self._engines()] or [False, False]
        return Status(postgres=ready[0], redis=ready[1])

    def running(self) -> list[str]:
        """The names of those that live, be they ready or not."""
        return [engine.name for engine in self._engines() if engine.is_alive()]

    def remove(self) -> None:
        """Stop both and delete their data."""
        self.stop()
        if (home := Home.existing(self.var)) is not None:
            home.remove()

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Run both for as long as somebody borrows them; whoever leaves last, however it leaves, stops them."""
        lease = Lease(self._lease_file)
        try:
            self.start()
            yield
        finally:
            if lease.is_last():
                self.stop()
            lease.give_back()

    def borrowers(self) -> list[psutil.Process]:
        """Every other process that borrows them now."""
        return holders(self._lease_file)

    def stop_unborrowed(self, *, patience: float = 0) -> bool:
        """Stop both once nobody else borrows them; return whether that came to be in time."""
        lease = Lease(self._lease_file)
        try:
            if not wait_until(lease.is_last, seconds=patience):
                return False
            self.stop()
            return True
        finally:
            lease.give_back()

    def ours(self) -> list[Postgres | Redis]:
        """The engines that the environment leaves to us, bound to the ports where their users look for them."""
        redis_first = reversed(self._engines())  # PostgreSQL may have to recover, which takes longer
        needed = compress(redis_first, (needs_redis(), needs_postgres()))
        return [replace(engine, may_move=False) for engine in needed]

    def start_again(self, engine: Postgres | Redis) -> None:
        """Make sure that one of them runs where it ran."""
        with self._alone():
            engine.start()

    @property
    def _lease_file(self) -> Path:
        return self.var / "engines.lease"

    def _engines(self) -> tuple[Postgres, Redis] | tuple[()]:
        home = Home.existing(self.var)
        if home is None or not home.root.is_dir():
            return ()
        binaries = locate(home.root)
        return (
            Postgres(home=home, binaries=binaries, durable=self.durable),
            Redis(home=home, binaries=binaries, durable=self.durable),
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with exclusive(self.var / LOCK_FILE):
            yield


def needs_postgres() -> bool:
    """Whether the environment leaves the database to us."""
    return not os.environ.get("DATABASE_URL")


def needs_redis() -> bool:
    """Whether the environment leaves the broker to us."""
    return not os.environ.get("REDIS_URL")
