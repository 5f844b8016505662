"""The embedded PostgreSQL in a private folder: created, started and stopped, also after a run was killed."""

import os
import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import psycopg

from tformance.local.console import EmbeddedError
from tformance.local.engine_binaries import (
    ENVIRONMENT,
    Account,
    Binaries,
    becomes_ready,
    give,
    identity,
    launch,
    reap,
    with_name,
)
from tformance.local.state import NAME, EngineState, free_port, is_port_free, last_lines, log_for_append
from tformance.local.stop_processes import end_processes_in, is_process_of

STOP_S = 30
CONNECT_S = 60

# For a small machine; docs/operations.md says why. Durability is PostgreSQL's default and is not changed.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "max_connections": "200",  # more than all web processes have threads: each may hold one
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_lock_waits": "on",
    "log_min_duration_statement": "2s",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "autovacuum_naptime": "20s",
}
# Only for the test suite, whose data needs no flush to disk.
FLEETING = {"fsync": "off", "full_page_writes": "off", "autovacuum_naptime": "1h"}


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """The PostgreSQL of a TFORMANCE_VAR."""

    state: EngineState
    binaries: Binaries
    durable: bool = True
    may_move: bool = True  # to another port, if its own is taken

    name: ClassVar[str] = "PostgreSQL"

    @property
    def data(self) -> Path:
        return self.state.root / "postgres" / self.binaries.postgres_major

    @property
    def log(self) -> Path:
        return self.state.log_folder / "postgres.log"

    def postmaster(self) -> int | None:
        """Return the process id of the postmaster; None if it does not run."""
        first = "".join(self._pid_file_lines()[0:1])
        return int(first) if first.isdigit() and is_process_of(int(first), self.data) else None

    def is_alive(self) -> bool:
        """Return whether its main process runs, ready or not."""
        return self.postmaster() is not None

    def is_ready(self) -> bool:
        """Return whether it accepts connections; the postmaster writes so into its PID file."""
        return self._pid_file_lines()[7:8] == ["ready"] and self.postmaster() is not None

    def start(self) -> EngineState:
        """Start it if it does not run; return the state with its port."""
        if self.is_ready():
            return self.state
        self._initialise()
        self._clear_remains()
        if self.is_ready():
            return self.state
        here = self._with_free_port()
        here._launch()
        here._ensure_database()
        return here.state

    def stop(self) -> None:
        """Stop it: connections are closed, and the next start needs no recovery."""
        end_processes_in(self.data, first=signal.SIGINT, patience=STOP_S, leader=self.postmaster())
        reap()

    def _pid_file_lines(self) -> list[str]:
        try:
            return [line.strip() for line in (self.data / "postmaster.pid").read_text().splitlines()]
        except OSError:
            return []

    def _initialise(self) -> None:
        """Create the cluster in a draft folder and rename it, so that an interrupted initdb leaves no cluster."""
        if (self.data / "PG_VERSION").exists():
            return
        parent, draft = self.data.parent, self.data.with_name("draft")
        parent.mkdir(mode=0o700, exist_ok=True)
        shutil.rmtree(draft, ignore_errors=True)
        account = self.state.account
        if account is None:
            self._run_initdb(draft, user=None)
        else:
            os.chown(parent, os.geteuid(), account.gid)
            parent.chmod(0o770)  # only initdb has this group: other programs of its user have no access
            self._run_initdb(draft, user=with_name(account))
            give(draft, account)
            os.chown(parent, account.uid, account.gid)
            parent.chmod(0o700)
        draft.replace(self.data)

    def _run_initdb(self, draft: Path, *, user: Account | None) -> None:
        password_file = self.data.parent / f"password-{secrets.token_hex(4)}"
        password_file.touch(mode=0o600)
        if user:
            os.chown(password_file, user.uid, user.gid)
        password_file.write_text(self.state.postgres_password)
        command = [str(self.binaries.initdb), "-D", str(draft), "-U", NAME, f"--pwfile={password_file}"]
        options = [
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--data-checksums",
            *([] if self.durable else ["--no-sync"]),
        ]
        try:
            result = subprocess.run(
                [*command, *options],
                capture_output=True,
                text=True,
                cwd="/",
                env=ENVIRONMENT,
                check=False,
                **identity(user),
            )
        finally:
            password_file.unlink()
        if result.returncode:
            raise EmbeddedError(f"PostgreSQL could not create its data folder {draft}:\n{result.stderr.strip()}")

    def _clear_remains(self) -> None:
        """Wait for processes that a killed postmaster left, end them, then delete its PID file and sockets."""
        if self.is_alive() and becomes_ready(self):  # another start is under way, or a stop
            return
        end_processes_in(self.data, first=signal.SIGQUIT, patience=10)
        for leftover in (self.data / "postmaster.pid", *Path(self.state.sockets).glob(".s.PGSQL.*")):
            leftover.unlink(missing_ok=True)

    def _with_free_port(self) -> "Postgres":
        if is_port_free(self.state.postgres_port):
            return self
        if not self.may_move:
            raise EmbeddedError(f"Port {self.state.postgres_port} of PostgreSQL is used by another program.")
        moved = replace(self.state, postgres_port=free_port())
        moved.save()
        return replace(self, state=moved)

    def _launch(self) -> None:
        settings = SETTINGS | ({} if self.durable else FLEETING)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        place = ["-D", str(self.data), "-k", self.state.sockets, "-p", str(self.state.postgres_port)]
        command = [str(self.binaries.postgres), *place, *options]
        with log_for_append(self.log) as log:
            process = launch(command, log=log, folder=self.data, account=self.state.account)
        if not becomes_ready(self, process):
            raise EmbeddedError(f"PostgreSQL did not start. The end of its log, {self.log}:\n{last_lines(self.log)}")

    def _ensure_database(self) -> None:
        try:
            with psycopg.connect(
                self.state.database_url, dbname="postgres", autocommit=True, connect_timeout=CONNECT_S
            ) as connection:
                if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone() is None:
                    connection.execute(f"CREATE DATABASE {NAME}")
        except psycopg.OperationalError as error:
            raise EmbeddedError(f"PostgreSQL started and does not answer ({error}). Its log is {self.log}") from error
