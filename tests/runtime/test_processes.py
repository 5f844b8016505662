"""`make run`, as its user meets it: started, looked at, stopped, killed, started again."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tformance.embedded.engines import Engines
from tformance.embedded.occupants import wait_until
from tformance.processes.marks import mark_of, marked
from tformance.processes.programs import beat, web, worker
from tformance.processes.supervision import configuration

PROJECT = Path(__file__).resolve().parent.parent.parent
SECONDS = 150

pytestmark = [pytest.mark.timeout(400), pytest.mark.usefixtures("no_servers")]


class Run:
    """One `python -m tformance.processes run` in a folder of its own."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.mark = mark_of(var, run="run")
        self.starts = 0

    def start(self) -> "subprocess.Popen[bytes]":
        self.starts += 1
        chosen = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "FERNET_KEYS", "GITHUB_WEBHOOK_SECRETS", "PORT")
        environment = {name: value for name, value in os.environ.items() if name not in chosen}
        with self.output.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "tformance.processes", "run"],
                cwd=PROJECT,
                env=environment | {"TFORMANCE_VAR": str(self.var)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def start_and_wait(self) -> "subprocess.Popen[bytes]":
        process = self.start()
        wait_until(lambda: process.poll() is not None or "Ctrl-C stops" in self.said(), seconds=SECONDS)
        assert process.poll() is None, self.said()
        assert "Ctrl-C stops everything." in self.said()
        return process

    @property
    def output(self) -> Path:
        return self.var.with_name(f"output-{self.starts}.txt")

    def said(self) -> str:
        return self.output.read_text()

    def status_of(self, path: str) -> int:
        port = json.loads((self.var / "web.json").read_text())["PORT"]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path)
        status = connection.getresponse().status
        connection.close()
        return status

    def refusal_of_a_second(self) -> str:
        answer = subprocess.run(
            [sys.executable, "-m", "tformance.processes", "run"],
            cwd=PROJECT,
            env=os.environ | {"TFORMANCE_VAR": str(self.var)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 1
        return answer.stderr

    def status(self) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "tformance.processes", "status"],
            cwd=PROJECT,
            env=os.environ | {"TFORMANCE_VAR": str(self.var)},
            capture_output=True,
            text=True,
            check=False,
        )

    def left(self) -> list[psutil.Process]:
        return marked(self.mark)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    one = Run(tmp_path / "var")
    yield one
    for process in one.left():
        process.kill()
    Engines(var=one.var).remove()


def test_a_run_answers_survives_being_killed_and_leaves_nothing_behind(run: Run) -> None:
    killed = run.start_and_wait()
    assert run.status_of("/readyz") == 200
    admin = json.loads((run.var / "admin.json").read_text())
    assert f"sign in    {admin['username']} / {admin['password']}" in run.said()
    assert "tformance runs already, at http://127.0.0.1:" in run.refusal_of_a_second()

    status = run.status()
    assert status.returncode == 0, status.stdout
    assert re.search(r"^web +ready, at http://127\.0\.0\.1:\d+/$", status.stdout, re.MULTILINE)
    assert re.search(r"^workers +2 running$", status.stdout, re.MULTILINE)
    assert re.search(r"^beat +running$", status.stdout, re.MULTILINE)

    orphans = kill_outright(killed, run=run)
    assert orphans & {one.pid for one in run.left()}

    process = run.start_and_wait()
    assert "of a run that was killed" in run.said()
    assert not orphans & {one.pid for one in run.left()}
    assert run.status_of("/readyz") == 200

    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=SECONDS) == 0
    assert "Stopped. Nothing is left running." in run.said()
    assert run.left() == []
    assert not Engines(var=run.var).status().postgres

    status = run.status()
    assert status.returncode == 3
    assert [line.split(maxsplit=1)[1] for line in status.stdout.splitlines()[:5]] == ["not running"] * 5


def kill_outright(process: "subprocess.Popen[bytes]", *, run: Run) -> set[int]:
    """SIGKILL for the run and its supervisor; returns the processes that are orphans now."""
    supervisor = next(one for one in run.left() if "supervisor.supervisord" in one.cmdline())
    orphans = {one.pid for one in run.left()} - {supervisor.pid}
    supervisor.kill()  # first: it would stop the others when it sees its parent die
    process.kill()
    process.wait()
    return orphans


def test_a_stop_reaches_main_processes_only_and_leaves_them_time(tmp_path: Path) -> None:
    text = configuration([web(port=8000), worker("worker-live", queues="live", concurrency=2), beat()], var=tmp_path)
    assert text.count("stopsignal=TERM") == text.count("stopasgroup=false") == text.count("killasgroup=true") == 3
    assert "programs=web,worker-live,beat" in text
    assert "SECRET" not in text
