"""A whole tformance of its own for a measurement: engines, web, workers and beat in a folder that is thrown away."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tformance.local import programs
from tformance.local.engines import Engines
from tformance.local.programs import Program, wait_until_ready
from tformance.local.state import CHECKOUT, ensure_secrets, free_port, last_lines, local_settings


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Where everything is."""

    var: Path
    environment: dict[str, str]
    process_ids: dict[str, int] = field(default_factory=dict)
    """Of the programs that run now."""

    @property
    def secret(self) -> str:
        return self.environment["GITHUB_WEBHOOK_SECRETS"]

    def manage(self, *arguments: str) -> str:
        """Run a management command; its output."""
        command = [sys.executable, str(CHECKOUT / "manage.py"), *arguments]
        environment = self.environment | {"TFORMANCE_ROLE": "command"}
        return subprocess.run(command, cwd=CHECKOUT, env=environment, check=True, capture_output=True, text=True).stdout

    @contextmanager
    def running(self, *chosen: Program, **more: str) -> Iterator[list["subprocess.Popen[bytes]"]]:
        """Run programs until the block ends."""
        with ExitStack() as stack:
            yield [stack.enter_context(self._one(program, more)) for program in chosen]

    @contextmanager
    def web(self, *, settings: str = "tformance.settings", port: int | None = None) -> Iterator[int]:
        """The web process as `make run` starts it; its port. Other settings serve another door with the same server."""
        port = port or free_port()
        program = programs.web(port=port, counters=self.var / "counters" / str(port))
        served = f"{settings.rpartition('.')[0]}.wsgi:application"
        program = replace(program, command=(*program.command[:-1], served))
        with self.running(program, PORT=str(port), DJANGO_SETTINGS_MODULE=settings) as (process,):
            log = self.var / "log" / "web.log"
            if not wait_until_ready(port, is_alive=lambda: process.poll() is None, log=log):
                raise RuntimeError(f"The web process is not ready. The end of its log:\n{last_lines(log)}")
            yield port

    @contextmanager
    def _one(self, program: Program, more: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
        with (self.var / "log" / f"{program.name}.log").open("ab") as log:
            process = subprocess.Popen(
                program.command,
                cwd=CHECKOUT,
                env=self.environment | {"TFORMANCE_ROLE": program.role, **program.environment} | more,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.process_ids[program.name] = process.pid
        try:
            yield process
        finally:
            del self.process_ids[program.name]
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@contextmanager
def stack(*, apply_migrations: bool = True) -> Iterator[Stack]:
    """Durable engines, as in production, with an empty database; everything is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tformance-bench-") as folder:
        var = Path(folder)
        ensure_secrets(var)
        (var / "log").mkdir()
        own = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
        for name in ("DATABASE_URL", "REDIS_URL"):
            os.environ.pop(name, None)
        engines = Engines(var=var)
        try:
            engines.start()
            known = local_settings(var)
            chosen = {"TFORMANCE_VAR": str(var), "TFORMANCE_ENV_FILE": os.devnull}
            found = Stack(var=var, environment=own | known | chosen)
            if apply_migrations:
                found.manage("migrate", "--verbosity", "0")
            yield found
        finally:
            engines.remove()


def live_workers(*, concurrency: int = 2) -> Sequence[Program]:
    """The workers that deliveries and figures need."""
    return (programs.worker("worker-live", queues="live,figures", concurrency=concurrency),)
