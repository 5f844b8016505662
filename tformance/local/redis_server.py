"""The embedded Redis in a private folder: on loopback, with a password. Its messages may be lost without harm."""

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from tformance.local.console import EmbeddedError
from tformance.local.engine_binaries import Binaries, becomes_ready, launch, reap
from tformance.local.state import EngineState, free_port, is_port_free, last_lines, log_for_append, write_private
from tformance.local.stop_processes import end_processes_in, is_process_of

STOP_S = 10
PID_FILE = "redis.pid"
DATABASES = 64  # the test suite gives each of its processes one


@dataclass(frozen=True, kw_only=True)
class Redis:
    """The Redis of a TFORMANCE_VAR."""

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
        """Return whether its process runs, ready or not."""
        try:
            pid = int((self.data / PID_FILE).read_text())
        except (OSError, ValueError):
            return self.is_ready()  # started by a version that wrote no such file
        return is_process_of(pid, self.data)

    def is_ready(self) -> bool:
        """Return whether it answers to our password, which no other server has."""
        return self._ping() == b"+PONG"

    def start(self) -> EngineState:
        """Start it if it does not run; return the state with its port."""
        if self.is_ready():
            return self.state
        if self._is_loading() and becomes_ready(self):
            return self.state
        end_processes_in(self.data, first=signal.SIGTERM, patience=STOP_S)
        here = self._with_free_port()
        process = here._launch()
        if process.poll() and process.returncode > 0:  # it ended with an error and was not killed
            here._set_data_aside()
            process = here._launch()
        if process.poll() is not None:
            raise EmbeddedError(f"Redis did not start. The end of its log, {here.log}:\n{last_lines(here.log)}")
        return here.state

    def stop(self) -> None:
        """Stop it; it writes its data to disk first."""
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
            raise EmbeddedError(f"Port {self.state.redis_port} of Redis is used by another program.")
        moved = replace(self.state, redis_port=free_port())
        moved.save()
        return replace(self, state=moved)

    def _launch(self) -> "subprocess.Popen[bytes]":
        """Start it, and return when it answers or has ended."""
        command = [str(self.binaries.redis_server), str(self._write_configuration())]
        with log_for_append(self.log) as log:
            process = launch(command, log=log, folder=self.data, account=self.state.account)
        becomes_ready(self, process)
        return process

    def _is_loading(self) -> bool:
        """Return whether it is still loading its data after another start."""
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
            "maxmemory-policy": "noeviction",  # better an error when it is full than lost messages
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
        """Move unreadable data away, so that it starts empty: the dispatcher sends lost wake-ups again."""
        self.data.rename(self.data.with_name(f"unreadable-{self.data.name}-{int(time.time())}"))
