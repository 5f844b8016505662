"""One Redis in a private folder: loopback, with a password, and nothing in it that cannot be rung for again."""

import os
import signal
import socket
import time
from dataclasses import dataclass, replace
from pathlib import Path

from tformance.embedded.account import engine_account
from tformance.embedded.binaries import Binaries
from tformance.embedded.errors import EmbeddedError
from tformance.embedded.home import Home, free_port, is_port_free
from tformance.embedded.launching import launch, reap
from tformance.embedded.logs import last_lines, log_for_append
from tformance.embedded.occupants import evict, wait_until
from tformance.embedded.private_files import write_private

START_S = 30
STOP_S = 10
DATABASES = 64  # the test suite gives each of its processes one


@dataclass(frozen=True, kw_only=True)
class Redis:
    """Redis of one home."""

    home: Home
    binaries: Binaries
    durable: bool = True

    @property
    def data(self) -> Path:
        return self.home.root / "redis" / self.binaries.redis_version

    @property
    def log(self) -> Path:
        return self.home.log_folder / "redis.log"

    def is_ready(self) -> bool:
        """Whether it answers, to our password: nobody else knows it."""
        return self._ping() == b"+PONG"

    def start(self) -> Home:
        """Make sure that it runs; the home it returns knows the port."""
        if self.is_ready():
            return self.home
        evict(self.data, first=signal.SIGTERM, patience=STOP_S)
        here = self._with_free_port()
        if not here._launch():
            here._set_data_aside()
            if not here._launch():
                raise EmbeddedError(f"Redis did not start. The end of its log, {here.log}:\n{last_lines(here.log)}")
        return here.home

    def stop(self) -> None:
        """Stop it; it writes what it holds first."""
        evict(self.data, first=signal.SIGTERM, patience=STOP_S)
        reap()

    def _ping(self) -> bytes:
        try:
            with socket.create_connection(("127.0.0.1", self.home.redis_port), timeout=2) as connection:
                connection.sendall(f"AUTH {self.home.redis_password}\r\nPING\r\n".encode())
                answers = connection.makefile("rb")
                answers.readline()
                return answers.readline().strip()
        except OSError:
            return b""

    def _with_free_port(self) -> "Redis":
        if is_port_free(self.home.redis_port):
            return self
        moved = replace(self.home, redis_port=free_port())
        moved.remember()
        return replace(self, home=moved)

    def _launch(self) -> bool:
        configuration = self._write_configuration()
        with log_for_append(self.log) as log:
            process = launch([str(self.binaries.redis_server), str(configuration)], log=log, folder=self.data)
        wait_until(lambda: process.poll() is not None or self.is_ready(), seconds=START_S)
        return self.is_ready()

    def _write_configuration(self) -> Path:
        lines = {
            "bind": "127.0.0.1",
            "port": self.home.redis_port,
            "requirepass": self.home.redis_password,
            "dir": f'"{self.data}"',
            "daemonize": "no",
            "databases": DATABASES,
            "maxmemory": "256mb",
            "maxmemory-policy": "noeviction",  # a queue that forgets silently is worse than one that says it is full
            "appendonly": "yes" if self.durable else "no",
            "appendfsync": "everysec",
            "save": '""',
        }
        folders = (self.data.parent, self.data)
        for folder in folders:
            folder.mkdir(mode=0o700, exist_ok=True)
        path = self.data / "redis.conf"
        write_private(path, "".join(f"{name} {value}\n" for name, value in lines.items()))
        if account := engine_account():
            for place in (*folders, path):
                os.chown(place, account.uid, account.gid)
        return path

    def _set_data_aside(self) -> None:
        """Start empty rather than not at all: what is lost are doorbells, and the dispatcher rings again."""
        self.data.rename(self.data.with_name(f"unreadable-{self.data.name}-{int(time.time())}"))
