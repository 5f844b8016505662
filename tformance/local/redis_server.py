"""One Redis in a private folder: loopback, with a password, and nothing in it that cannot be rung for again."""

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from tformance.local.console import EmbeddedError
from tformance.local.engine_process import Binaries, becomes_ready, launch, reap
from tformance.local.processes import end_processes_in, is_process_of
from tformance.local.state import EngineState, free_port, is_port_free, last_lines, log_for_append, write_private

STOP_S = 10
PID_FILE = "redis.pid"
DATABASES = 64  # the test suite gives each of its processes one


@dataclass(frozen=True, kw_only=True)
class Redis:
    """Redis of one state."""

    state: EngineState
    binaries: Binaries
    durable: bool = True
    may_move: bool = True  # to another port, if its own is taken

    name: ClassVar[str] = "Redis"

    @property
    def data(self) -> Path:
        return self.state.root / "redis" / self.binaries.redis_version

    @property
    def log(self) -> Path:
        return self.state.log_folder / "redis.log"

    def is_alive(self) -> bool:
        """Whether its process lives, be it ready or not."""
        try:
            pid = int((self.data / PID_FILE).read_text())
        except (OSError, ValueError):
            return self.is_ready()  # started by a version that wrote no such file
        return is_process_of(pid, self.data)

    def is_ready(self) -> bool:
        """Whether it answers, to our password: nobody else knows it."""
        return self._ping() == b"+PONG"

    def start(self) -> EngineState:
        """Make sure that it runs; the state it returns knows the port."""
        if self.is_ready():
            return self.state
        if self._is_loading() and becomes_ready(self):
            return self.state
        end_processes_in(self.data, first=signal.SIGTERM, patience=STOP_S)
        here = self._with_free_port()
        process = here._launch()
        if process.poll() and process.returncode > 0:  # it ended by itself: nobody killed it
            here._set_data_aside()
            process = here._launch()
        if process.poll() is not None:
            raise EmbeddedError(f"Redis did not start. The end of its log, {here.log}:\n{last_lines(here.log)}")
        return here.state

    def stop(self) -> None:
        """Stop it; it writes what it holds first."""
        end_processes_in(self.data, first=signal.SIGTERM, patience=STOP_S)
        reap()

    def _ping(self) -> bytes:
        try:
            with socket.create_connection(("127.0.0.1", self.state.redis_port), timeout=2) as connection:
                connection.sendall(f"AUTH {self.state.redis_password}\r\nPING\r\n".encode())
                answers = connection.makefile("rb")
                answers.readline()
                return answers.readline().strip()
        except OSError:
            return b""

    def _with_free_port(self) -> "Redis":
        if is_port_free(self.state.redis_port):
            return self
        if not self.may_move:
            raise EmbeddedError(f"Port {self.state.redis_port} of Redis is taken by another program.")
        moved = replace(self.state, redis_port=free_port())
        moved.remember()
        return replace(self, state=moved)

    def _launch(self) -> "subprocess.Popen[bytes]":
        """Start it; return when it answers or has ended."""
        command = [str(self.binaries.redis_server), str(self._write_configuration())]
        with log_for_append(self.log) as log:
            process = launch(command, log=log, folder=self.data, account=self.state.account)
        becomes_ready(self, process)
        return process

    def _is_loading(self) -> bool:
        """Whether another start is under way: it reads its data."""
        return self._ping().startswith(b"-LOADING")

    def _write_configuration(self) -> Path:
        lines = {
            "bind": "127.0.0.1",
            "port": self.state.redis_port,
            "requirepass": self.state.redis_password,
            "dir": f'"{self.data}"',
            "daemonize": "no",
            "pidfile": f'"{self.data / PID_FILE}"',
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
        if account := self.state.account:
            for place in (*folders, path):
                os.chown(place, account.uid, account.gid)
        return path

    def _set_data_aside(self) -> None:
        """Start empty rather than not at all: what is lost are doorbells, and the dispatcher rings again."""
        self.data.rename(self.data.with_name(f"unreadable-{self.data.name}-{int(time.time())}"))
