"""Both engines of one TFORMANCE_VAR, started together, shared by whoever needs them, stopped by the last."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tformance.embedded.binaries import locate
from tformance.embedded.home import Home
from tformance.embedded.locks import Lease, exclusive
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
            home = Home.ensure(self.var)
            binaries = locate(home.root)
            if needs_postgres():
                home = Postgres(home=home, binaries=binaries, durable=self.durable).start()
            if needs_redis():
                Redis(home=home, binaries=binaries, durable=self.durable).start()

    def stop(self) -> None:
        """Make sure that neither runs; harmless when neither does."""
        with self._alone():
            for engine in self._engines():
                engine.stop()

    def status(self) -> Status:
        """Whether each answers."""
        ready = [engine.is_ready() for engine in self._engines()] or [False, False]
        return Status(postgres=ready[0], redis=ready[1])

    def remove(self) -> None:
        """Stop both and delete their data."""
        self.stop()
        if (home := Home.existing(self.var)) is not None:
            home.remove()

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Run both for as long as somebody borrows them; whoever leaves last, however it leaves, stops them."""
        lease = Lease(self.var / "engines.lease")
        try:
            self.start()
            yield
        finally:
            if lease.is_last():
                self.stop()
            lease.give_back()

    def _engines(self) -> tuple[Postgres, Redis] | tuple[()]:
        home = Home.existing(self.var)
        if home is None or not home.root.is_dir():
            return ()
        binaries = locate(home.root)
        return Postgres(home=home, binaries=binaries), Redis(home=home, binaries=binaries)

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
