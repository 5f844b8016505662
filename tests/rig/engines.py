"""PostgreSQL and Redis of the rig, durable as in production, and what can happen to them."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import redis
from psycopg import sql

from tformance.local.engine_binaries import locate
from tformance.local.postgres import Postgres
from tformance.local.redis_server import Redis
from tformance.local.state import CHECKOUT, NAME, EngineState, ensure_secrets, local_settings
from tformance.local.stop_processes import kill_all, processes_in, wait_until

REFERENCE = "reference"
EMPTY = "empty"

# How often a delivery took effect, and how often it was armed again after its end, as PostgreSQL itself saw it.
WITNESS = """
CREATE TABLE rig_witness (delivery_id bigint, what text, claim_number int, at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION rig_witness() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO rig_witness (delivery_id, what, claim_number) VALUES (NEW.id,
        CASE WHEN NEW.state = 'processed' THEN 'effect' ELSE 'rearmed' END, NEW.claim_number);
    RETURN NULL;
END $$;
CREATE TRIGGER rig_witness AFTER UPDATE OF state ON webhooks_delivery FOR EACH ROW
WHEN ((NEW.state = 'processed' AND OLD.state <> 'processed')
      OR (NEW.state = 'received' AND OLD.state IN ('processed', 'ignored', 'quarantined', 'dead')))
EXECUTE FUNCTION rig_witness();
"""


@dataclass
class Engines:
    """Both engines of one folder."""

    var: Path
    postgres: Postgres
    redis: Redis

    @classmethod
    def start(cls, var: Path) -> "Engines":
        """Make them, migrate, and keep an empty copy of the schema."""
        ensure_secrets(var)
        state = EngineState.ensure(var)
        binaries = locate(state.root)
        engines = cls(
            var=var, postgres=Postgres(state=state, binaries=binaries), redis=Redis(state=state, binaries=binaries)
        )
        try:
            state = engines.postgres.start()
            engines.redis = replace(engines.redis, state=engines.redis.start())
            engines.postgres = replace(
                engines.postgres, state=replace(state, redis_port=engines.redis.state.redis_port)
            )
            engines._prepare()
        except BaseException:
            engines.remove()
            raise
        return engines

    def _prepare(self) -> None:
        command = [sys.executable, str(CHECKOUT / "manage.py"), "migrate", "--verbosity", "0"]
        subprocess.run(command, cwd=CHECKOUT, env=self.environment(), check=True)
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {EMPTY} TEMPLATE {NAME}")
        with self.connect() as connection:
            connection.execute(WITNESS)

    def make_reference(self) -> None:
        """An empty copy of the schema, to fold events in."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {REFERENCE} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {REFERENCE} TEMPLATE {EMPTY}")

    @property
    def state(self) -> EngineState:
        return self.postgres.state

    def environment(self, *, database: str = NAME) -> dict[str, str]:
        """For a program that goes to the engines directly, not through a proxy."""
        inherited = {name: value for name, value in os.environ.items() if name not in {"PORT", "CRASH_AT"}}
        return inherited | local_settings(self.var) | {
            "TFORMANCE_VAR": str(self.var),
            "TFORMANCE_ENV_FILE": os.devnull,
            "TFORMANCE_ROLE": "command",
            "DATABASE_URL": self.dsn(database),
            "REDIS_URL": self.redis_url(self.state.redis_port),
            "DJANGO_SETTINGS_MODULE": "tests.rig.settings",
        }  # fmt: skip

    def dsn(self, database: str = NAME, *, port: int | None = None) -> str:
        port = port or self.state.postgres_port
        return f"postgres://{NAME}:{self.state.postgres_password}@127.0.0.1:{port}/{database}"

    def redis_url(self, port: int) -> str:
        return urlsplit(self.state.redis_url)._replace(netloc=f":{self.state.redis_password}@127.0.0.1:{port}").geturl()

    def connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        """A connection of ours, past every proxy, that sees each commit at once."""
        return psycopg.connect(self.dsn(), autocommit=True, connect_timeout=5)

    def broker(self) -> "redis.Redis":
        return redis.Redis.from_url(self.redis_url(self.state.redis_port), socket_timeout=5)

    def rows(self, statement: str, parameters: Mapping[str, object] | None = None) -> list[tuple[object, ...]]:
        with self.connect() as connection:
            return connection.execute(statement, parameters).fetchall()

    def crash_postgres(self) -> None:
        """What `pg_ctl stop -m immediate` does: no checkpoint, every session gone, recovery at the next start."""
        postmaster = self.postgres.postmaster()
        assert postmaster is not None, "PostgreSQL does not run"
        os.kill(postmaster, signal.SIGQUIT)
        assert wait_until(lambda: self.postgres.postmaster() is None, seconds=30)

    def be_read_only(self, *, is_read_only: bool) -> None:
        """Have PostgreSQL refuse whatever is written, in open sessions too, or take it again."""
        with self.connect() as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(
                sql.SQL("ALTER SYSTEM SET default_transaction_read_only = {}").format(sql.Literal(is_read_only))
            )
            connection.execute("SELECT pg_reload_conf()")

    def start_postgres(self) -> None:
        assert self.postgres.start().postgres_port == self.state.postgres_port

    def kill_redis(self) -> None:
        """SIGKILL: what was not on disk is lost."""
        servers = processes_in(self.redis.data)
        assert servers, "Redis does not run"
        kill_all(servers)
        assert wait_until(lambda: not self.redis.is_ready(), seconds=10)

    def start_redis(self) -> None:
        assert self.redis.start().redis_port == self.state.redis_port

    def remove(self) -> None:
        """Stop both and delete everything."""
        self.postgres.stop()
        self.redis.stop()
        self.state.remove()
