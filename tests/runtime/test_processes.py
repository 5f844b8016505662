"""`make run`, as its user meets it: started, looked at, stopped, killed, started again."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.runtime.checkout import Checkout, Started
from tests.runtime.test_engines import kill_engine
from tformance.local.engines import Engines
from tformance.local.programs import MOST_ENDINGS, beat, configuration, reserved_port, web, worker
from tformance.local.runs import LOCK_FILE
from tformance.local.state import EngineState, is_port_free, try_exclusive
from tformance.local.stop_processes import tagged_in, wait_until

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("no_servers")]
proof = pytest.mark.proof

OLD_LIMIT_S = 60  # a start was given up after so long, once


@proof
def test_a_run_answers_survives_being_killed_and_leaves_nothing_behind(checkout: Checkout) -> None:
    killed = checkout.start_and_wait()
    assert checkout.status_of("/readyz") == 200
    admin = json.loads((checkout.var / "admin.json").read_text())
    assert f"sign in    {admin['username']} / {admin['password']}" in killed.said()
    second = checkout.call("run")
    assert (second.returncode, second.stderr.split(":")[1]) == (1, " tformance is already running at http")

    status = checkout.call("status")
    assert status.returncode == 0, status.stdout
    assert re.search(r"^web +ready, at http://127\.0\.0\.1:\d+/$", status.stdout, re.MULTILINE)
    assert re.search(r"^workers +2 running$", status.stdout, re.MULTILINE)
    assert re.search(r"^beat +running$", status.stdout, re.MULTILINE)
    assert f"make run (process {killed.process.pid}): web, 2 workers, beat" in status.stdout

    orphans = kill_outright(killed, checkout=checkout)
    assert orphans & {one.pid for one in checkout.left()}
    assert "processes of a killed make run: " in checkout.call("status").stdout

    run = checkout.start_and_wait()
    assert "processes that a killed run had left" in run.said()
    assert not orphans & {one.pid for one in checkout.left()}
    assert checkout.status_of("/readyz") == 200

    run.process.send_signal(signal.SIGINT)
    assert run.end() == 0
    assert "Stopped. Nothing is left running." in run.said()
    assert checkout.left() == []
    assert not Engines(var=checkout.var).running()

    status = checkout.call("status")
    assert status.returncode == 3
    assert [line.split(maxsplit=1)[1] for line in status.stdout.splitlines()[:5]] == ["not running"] * 5


def kill_outright(run: Started, *, checkout: Checkout) -> set[int]:
    """SIGKILL for the run and its supervisor; returns the processes that are orphans now."""
    supervisor = next(one for one in checkout.left() if "supervisor.supervisord" in one.cmdline())
    orphans = {one.pid for one in checkout.left()} - {supervisor.pid}
    supervisor.kill()  # first: it would stop the others when it sees its parent die
    run.process.kill()
    run.process.wait()
    return orphans


@proof
def test_a_start_waits_as_long_as_web_lives_and_says_so(checkout: Checkout) -> None:
    run = checkout.start()
    run.wait_for("web, workers and beat …")
    second = checkout.call("run")
    assert (second.returncode, second.stderr) == (
        1,
        f"error: tformance is already starting (process {run.process.pid}). Stop it with `make stop`.\n",
    )
    resume_at = time.monotonic() + OLD_LIMIT_S + 5

    def web_was_held() -> bool:
        for process in web_processes(checkout):
            process.suspend()
        return time.monotonic() > resume_at or run.process.poll() is not None

    wait_until(web_was_held, seconds=OLD_LIMIT_S * 2)
    assert re.findall(r"web does not answer yet \(\d+ s so far; its log is .*web\.log\)", run.said())
    for process in web_processes(checkout):
        process.resume()
    run.wait_for("Ctrl-C stops everything.")
    assert checkout.status_of("/readyz") == 200


def web_processes(checkout: Checkout) -> list[psutil.Process]:
    return [process for process, _, role in tagged_in(checkout.var) if role == "web"]


@proof
def test_a_web_process_that_ends_again_and_again_ends_the_start_with_the_reason(checkout: Checkout) -> None:
    run = checkout.start(GRANIAN_LOG_LEVEL="nonsense")
    assert run.end() == 1
    assert run.said().count("! web ended unexpectedly. It is restarted") == MOST_ENDINGS
    assert "error: The web process ended repeatedly. The end of its log" in run.said()
    assert "nonsense" in run.said()
    assert checkout.left() == []


@pytest.mark.proof
def test_a_port_that_is_taken_ends_the_start_before_anything_runs(checkout: Checkout) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = checkout.call("run", PORT=str(port))
    assert answer.returncode == 1
    assert f"Port {port} is used by another program" in answer.stderr
    state = EngineState.existing(checkout.var)
    assert state is not None
    assert not (state.root / "postgres").exists()


def test_a_run_changes_nothing_while_another_one_starts(checkout: Checkout) -> None:
    with ExitStack() as stack:
        assert try_exclusive(checkout.var / LOCK_FILE, stack=stack)
        answer = checkout.call("run")
    assert answer.returncode == 1
    assert "tformance is already starting" in answer.stderr
    assert [path.name for path in checkout.var.iterdir()] == [LOCK_FILE]


def test_status_ends_silently_if_its_output_is_closed(checkout: Checkout) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "tformance.local", "status"]
    answer = subprocess.run(
        command, env=checkout.environment(), stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (answer.returncode, answer.stderr) == (3, "")


def test_two_checkouts_that_start_at_once_get_a_port_each(tmp_path: Path) -> None:
    with reserved_port(tmp_path / "one") as one, reserved_port(tmp_path / "other") as other:
        assert one != other
        assert not is_port_free(one)
        with socket.socket() as server:  # the web server itself may listen there
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            server.bind(("127.0.0.1", one))
            server.listen()
    assert is_port_free(one)


@proof
def test_engines_that_are_killed_under_a_run_come_back_and_the_terminal_says_so(checkout: Checkout) -> None:
    run = checkout.start_and_wait()
    engines = Engines(var=checkout.var)
    kills = (("PostgreSQL",), ("Redis",), ("PostgreSQL", "Redis"))
    for names in kills:
        earlier = {name: run.said().count(f"! {name} runs again") for name in names}
        for name in names:
            kill_engine(engines, name)
        for name, times in earlier.items():
            run.wait_for(f"! {name} ended unexpectedly. It is restarted", f"! {name} runs again", times=times + 1)
        assert wait_until(lambda: checkout.status_of("/readyz") == 200, seconds=60)
    assert run.process.poll() is None


def test_a_stop_reaches_main_processes_only_and_leaves_them_time(tmp_path: Path) -> None:
    text = configuration([web(port=8000), worker("worker-live", queues="live", concurrency=2), beat()], var=tmp_path)
    assert text.count("stopsignal=TERM") == text.count("stopasgroup=false") == text.count("killasgroup=true") == 3
    assert "programs=web,worker-live,beat" in text
    assert "SECRET" not in text
