"""The rig: web, two workers and two beats under production's supervisor, each with proxies of its own to them."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from tests.rig.clocks import Clocks
from tests.rig.engines import Engines
from tests.rig.proxy import Proxy
from tformance.local import programs
from tformance.local.console import follow_parent
from tformance.local.programs import STOP_SECONDS, Program, configuration
from tformance.local.state import CHECKOUT, free_port, write_private
from tformance.local.stop_processes import RUN_VARIABLE, end_tagged, tag_of, tagged, wait_until

WEB = "web"
WORKERS = ("worker-a", "worker-b")
BEATS = ("beat-a", "beat-b")
PROCESSES = (WEB, *WORKERS, *BEATS)
ENGINES = ("postgres", "redis")
NAME = "RIG_PROCESS"
ALL_QUEUES = "live,figures,backfill,maintenance"
START_SECONDS = 180  # on a machine that is busy with other tests


@dataclass
class Rig:
    """A whole tformance; its methods cause faults."""

    var: Path
    engines: Engines
    port: int
    tag: str
    supervisor: "subprocess.Popen[bytes] | None" = None
    proxies: dict[tuple[str, str], Proxy] = field(default_factory=dict)
    clocks: Clocks | None = None  # where there is a C compiler

    @property
    def secret(self) -> str:
        return self.engines.environment()["GITHUB_WEBHOOK_SECRETS"].split(",")[0]

    @property
    def crash_folder(self) -> Path:
        return self.var / "crash"

    def links(self, *, process: str | None = None, engine: str | None = None) -> list[Proxy]:
        """The proxies between these processes and these engines; without a name, all of them."""
        return [
            proxy
            for (of_process, of_engine), proxy in self.proxies.items()
            if process in {None, of_process} and engine in {None, of_engine}
        ]

    def crash_at(self, point: str) -> None:
        """Let the next process that reaches this failpoint crash there."""
        (self.crash_folder / point).touch()

    def has_crashed(self, point: str) -> bool:
        """Return whether a process crashed at this failpoint since `crash_at`."""
        return not (self.crash_folder / point).exists()

    def disarm(self) -> None:
        """Remove all failpoints."""
        for point in self.crash_folder.iterdir():
            point.unlink(missing_ok=True)

    def set_clock(self, name: str, *, ahead_s: int) -> None:
        """Let the wall clock of a program run so far ahead, or behind."""
        if self.clocks is not None:
            self.clocks.set(name, ahead_s=ahead_s)

    def group(self, name: str) -> list[psutil.Process]:
        """Every living process of a program, the main one first."""
        return sorted(
            (process for process in tagged(self.tag) if _name_of(process) == name),
            key=lambda process: (not self._is_main(process), process.pid),
        )

    def _is_main(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            return self.supervisor is not None and process.ppid() == self.supervisor.pid
        return False

    def main(self, name: str) -> psutil.Process | None:
        return next((process for process in self.group(name) if self._is_main(process)), None)

    def children(self, name: str) -> list[psutil.Process]:
        return [process for process in self.group(name) if not self._is_main(process)]

    def kill(self, processes: Iterable[psutil.Process], signal_number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to processes of the rig; return to how many."""
        count = 0
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal_number)
                count += 1
        return count

    def start(self) -> None:
        """Start everything; return when the receiver and both workers are ready."""
        for process in PROCESSES:
            self.proxies[process, "postgres"] = Proxy(lambda: self.engines.state.postgres_port)
            self.proxies[process, "redis"] = Proxy(lambda: self.engines.state.redis_port)
        for folder in (self.crash_folder, self.var / "log"):
            folder.mkdir(mode=0o700, exist_ok=True)
        self.clocks = Clocks.make(self.var / "clocks")
        path = self.var / "supervisord.conf"
        write_private(path, configuration([self._program(name) for name in PROCESSES], var=self.var))
        self.supervisor = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(path)],
            cwd=CHECKOUT,
            env=self.engines.environment() | {RUN_VARIABLE: self.tag, "PYTHONDONTWRITEBYTECODE": ""},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=follow_parent,  # noqa: PLW1509  it only asks the kernel for a signal
        )
        assert self.is_complete(seconds=START_SECONDS), f"The rig does not start; its logs are in {self.var / 'log'}"

    def is_complete(self, *, seconds: float) -> bool:
        """Return whether the receiver answers and each worker has its children, within so many seconds."""
        return wait_until(
            lambda: self._receiver_answers() and all(len(self.children(name)) >= 2 for name in WORKERS), seconds=seconds
        )

    def _receiver_answers(self) -> bool:
        from tests.rig.github import post  # noqa: PLC0415  it needs the rig's types

        return post(self.port, b"{}", {}).status == 415

    def _program(self, name: str) -> Program:
        program = self._command(name)
        environment = {
            NAME: name,
            "DATABASE_URL": self.engines.dsn(port=self.proxies[name, "postgres"].port),
            "REDIS_URL": self.engines.redis_url(self.proxies[name, "redis"].port),
            "CRASH_AT": str(self.crash_folder),
            **(self.clocks.environment(name) if self.clocks else {}),
        }
        prefix = ("/usr/bin/env", *(f"{key}={value}" for key, value in environment.items()))
        return replace(program, name=name, command=(*prefix, *program.command))

    def _command(self, name: str) -> Program:
        if name == WEB:
            return programs.web(port=self.port)
        if name in WORKERS:
            return programs.worker(name, queues=ALL_QUEUES, concurrency=2)
        beat = programs.beat()
        return replace(beat, command=(*beat.command, "--schedule", str(self.var / name)))

    def stop(self) -> None:
        """Stop everything; no process is left."""
        try:
            if self.supervisor is not None and self.supervisor.poll() is None:
                self.kill(tagged(self.tag), signal.SIGCONT)
                self.supervisor.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.supervisor.wait(timeout=STOP_SECONDS + 10)
        finally:
            end_tagged(self.tag, patience=5)
            for proxy in self.proxies.values():
                proxy.close()
            if self.supervisor is not None:
                self.supervisor.poll()

    def heal(self) -> None:
        """Repair everything."""
        self.disarm()
        self.kill(tagged(self.tag), signal.SIGCONT)
        for name in PROCESSES:
            self.set_clock(name, ahead_s=0)
        for proxy in self.proxies.values():
            proxy.heal()
        if not self.engines.postgres.is_ready():
            self.engines.start_postgres()
        if not self.engines.redis.is_ready():
            self.engines.start_redis()


def _name_of(process: psutil.Process) -> str:
    try:
        return str(process.environ().get(NAME, ""))
    except (psutil.Error, OSError):
        return ""


@contextmanager
def rig(*, logs: Path | None = None) -> Iterator[Rig]:
    """A rig in a folder of its own, gone afterwards like every process of it; `logs` gets a copy of its logs."""
    with tempfile.TemporaryDirectory(prefix="tformance-rig-") as folder:
        var = Path(folder)
        kept = {name: os.environ.pop(name) for name in ("DATABASE_URL", "REDIS_URL") if name in os.environ}
        try:
            engines = Engines.start(var)
        finally:
            os.environ |= kept
        try:
            made = Rig(var=var, engines=engines, port=free_port(), tag=tag_of(var, run="rig"))
            try:
                made.start()
                yield made
            finally:
                made.stop()
                if logs is not None:
                    shutil.copytree(var / "log", logs, dirs_exist_ok=True)
        finally:
            engines.remove()
