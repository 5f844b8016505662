"""`make run` and the other targets as their user meets them: commands in a folder of their own."""

import http.client
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import psutil

from tformance.local.engines import Engines
from tformance.local.runs import find_runners
from tformance.local.stop_processes import kill_all, tagged_in, wait_until

PROJECT = Path(__file__).resolve().parent.parent.parent
SECONDS = 240
NOT_INHERITED = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "FERNET_KEYS", "GITHUB_WEBHOOK_SECRETS", "PORT")


class Started:
    """A command that was started, and what it says."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: Path) -> None:
        self.process = process
        self.output = output

    def said(self) -> str:
        return self.output.read_text()

    def wait_for(self, *texts: str, times: int = 1) -> None:
        """Wait until it has said each of the texts so many times; it must not end before."""

        def has_said_all() -> bool:
            return all(self.said().count(text) >= times for text in texts)

        wait_until(lambda: self.process.poll() is not None or has_said_all(), seconds=SECONDS)
        assert has_said_all(), self.said()

    def end(self) -> int:
        return self.process.wait(timeout=SECONDS)


class Checkout:
    """A folder of its own, and the commands that run in it."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.started: list[Started] = []

    def environment(self, **more: str) -> dict[str, str]:
        known = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        return known | {"TFORMANCE_VAR": str(self.var)} | more

    def start(self, *command: str, **more: str) -> Started:
        """Start a command in the background; without one, `make run`."""
        output = self.var.with_name(f"output-{len(self.started)}.txt")
        with output.open("wb") as file:
            process = subprocess.Popen(
                command or [sys.executable, "-m", "tformance.local", "run"],
                cwd=PROJECT,
                env=self.environment(**more),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # like a terminal of its own
            )
        self.started.append(Started(process, output))
        return self.started[-1]

    def start_and_wait(self) -> Started:
        """Start `make run` and wait until it has come up."""
        run = self.start()
        run.wait_for("Ctrl-C stops everything.")
        return run

    def call(self, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """The answer of a command of tformance.local."""
        return subprocess.run(
            [sys.executable, "-m", "tformance.local", *arguments],
            cwd=PROJECT,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            check=False,
        )

    def clear(self) -> None:
        """End whatever runs here."""
        kill_all([*find_runners(self.var), *self.left()])
        for one in self.started:
            one.end()
        Engines(var=self.var).remove()

    def status_of(self, path: str) -> int:
        port = json.loads((self.var / "web.json").read_text())["PORT"]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def left(self) -> list[psutil.Process]:
        return [process for process, _, _ in tagged_in(self.var)]


def target(name: str) -> list[str]:
    """The command of a target of the Makefile."""
    recipe = re.search(rf"^{name}:.*\n\t@(.+)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert recipe, name
    return recipe[1].replace("$(BIN)/python", sys.executable).split()
