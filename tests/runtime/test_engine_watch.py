"""An engine that dies while programs use it: it runs again, and the terminal says so."""

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.runtime.test_engines import kill_engine, postgres_of, query, redis_of
from tformance.local.console import EmbeddedError
from tformance.local.engines import MOST_FAILURES, Engines, EngineWatch
from tformance.local.stop_processes import wait_until

pytestmark = [pytest.mark.usefixtures("no_servers"), pytest.mark.proof]

LONGEST_S = 100


@pytest.fixture
def watched(engines: Engines) -> Iterator[EngineWatch]:
    """A watch over running engines."""
    engines.start()
    yield EngineWatch(engines)
    engines.stop()


def look_until_both_answer(watch: EngineWatch, engines: Engines) -> None:
    def both_answer() -> bool:
        watch.look()
        status = engines.status()
        return status.postgres and status.redis

    assert wait_until(both_answer, seconds=LONGEST_S)


@pytest.mark.parametrize("names", [("PostgreSQL",), ("Redis",), ("PostgreSQL", "Redis")], ids=" and ".join)
def test_an_engine_that_was_killed_runs_again_at_its_address_and_both_are_said(
    names: tuple[str, ...], engines: Engines, watched: EngineWatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = postgres_of(engines).state
    for name in names:
        kill_engine(engines, name)

    look_until_both_answer(watched, engines)
    assert postgres_of(engines).state == before
    assert query(engines, "SELECT 1") == 1
    said = capsys.readouterr().err
    for name in ("PostgreSQL", "Redis"):
        assert said.count(f"! {name} ended unexpectedly. It is restarted; its log is ") == (name in names), said
        assert said.count(f"! {name} runs again after ") == (name in names), said


def test_an_engine_that_lives_is_left_alone(
    engines: Engines, watched: EngineWatch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tformance.local.engines.LOOK_EVERY_S", 0)
    before = postgres_of(engines).postmaster()
    for _ in range(3):
        watched.look()
    assert postgres_of(engines).postmaster() == before
    assert capsys.readouterr().err == ""


def test_of_two_runs_that_share_an_engine_one_starts_it_and_both_go_on(engines: Engines, watched: EngineWatch) -> None:
    other = EngineWatch(engines)
    kill_engine(engines, "PostgreSQL")
    look_until_both_answer(watched, engines)
    postmaster = postgres_of(engines).postmaster()
    look_until_both_answer(other, engines)
    assert postgres_of(engines).postmaster() == postmaster


def taken(port: int) -> socket.socket:
    """Listen at the port, as soon as the killed engine has let go of it."""
    found: list[socket.socket] = []

    def listen() -> bool:
        with suppress(OSError):
            found.append(socket.create_server(("127.0.0.1", port)))
        return bool(found)

    wait_until(listen, seconds=LONGEST_S)
    return found[0]


def test_an_engine_that_cannot_start_is_tried_with_pauses_and_given_up_with_an_error(
    engines: Engines, watched: EngineWatch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tformance.local.engines.LONGEST_PAUSE_S", 0.01)
    monkeypatch.setattr("tformance.local.engines.LOOK_EVERY_S", 0)
    port = redis_of(engines).state.redis_port
    kill_engine(engines, "Redis")
    with taken(port), pytest.raises(EmbeddedError) as given_up:
        wait_until(lambda: bool(watched.look()), seconds=LONGEST_S)
    assert f"Port {port} of Redis is used by another program." in str(given_up.value)
    assert f"restarted {MOST_FAILURES} times and is not restarted again" in str(given_up.value)
    said = capsys.readouterr().err
    assert said.count("It is restarted in ") == MOST_FAILURES - 1
    assert redis_of(engines).state.redis_port == port
