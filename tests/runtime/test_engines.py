"""The embedded PostgreSQL and Redis, as a person meets them who starts, kills, moves and copies things."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from tformance.local.console import EmbeddedError
from tformance.local.engine_binaries import locate
from tformance.local.engines import Engines
from tformance.local.postgres import SETTINGS, Postgres
from tformance.local.redis_server import Redis
from tformance.local.state import LONGEST_SOCKET_PATH, EngineState, abandoned_folders
from tformance.local.stop_processes import kill_all, processes_in

pytestmark = [pytest.mark.usefixtures("no_servers"), pytest.mark.proof]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="about running as root")


def postgres_of(engines: Engines) -> Postgres:
    state = EngineState.existing(engines.var)
    assert state is not None
    return Postgres(state=state, binaries=locate(state.root), durable=False)


def redis_of(engines: Engines) -> Redis:
    state = EngineState.existing(engines.var)
    assert state is not None
    return Redis(state=state, binaries=locate(state.root), durable=False)


def living(engines: Engines) -> list[psutil.Process]:
    return processes_in(postgres_of(engines).data) + processes_in(redis_of(engines).data)


def query(engines: Engines, statement: str) -> object:
    with psycopg.connect(postgres_of(engines).state.database_url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def kill_outright(engines: Engines) -> None:
    for process in living(engines):
        process.kill()
    psutil.wait_procs(living(engines), timeout=10)


def kill_engine(engines: Engines, name: str) -> None:
    """SIGKILL: PostgreSQL's main process alone, as somebody would who looks for it by name; Redis has only one."""
    if name == "PostgreSQL":
        postmaster = postgres_of(engines).postmaster()
        assert postmaster
        kill_all([psutil.Process(postmaster)])
    else:
        kill_all(processes_in(redis_of(engines).data))


def test_both_answer_after_a_start_and_nothing_is_left_after_a_stop(engines: Engines) -> None:
    engines.start()
    assert query(engines, "SELECT 1") == 1
    with redis.Redis.from_url(redis_of(engines).state.redis_url) as client:
        assert client.ping()

    engines.stop()
    assert living(engines) == []
    assert (engines.status().postgres, engines.status().redis) == (False, False)


def test_a_second_start_and_a_second_stop_change_nothing(engines: Engines) -> None:
    engines.start()
    before = {process.pid for process in living(engines) if process.ppid() not in {1, os.getpid()}}
    addresses = replace(postgres_of(engines).state)
    engines.start()
    assert postgres_of(engines).state == addresses
    assert before <= {process.pid for process in living(engines)}
    engines.stop()
    engines.stop()


def test_a_killed_run_does_not_block_the_next_start_nor_lose_what_was_committed(engines: Engines) -> None:
    engines.start()
    query(engines, "CREATE TABLE kept AS SELECT 42 AS answer")
    kill_outright(engines)

    engines.start()
    assert query(engines, "SELECT answer FROM kept") == 42


def test_a_postmaster_that_died_alone_is_replaced_when_its_backends_have_gone(engines: Engines) -> None:
    engines.start()
    postmaster = postgres_of(engines).postmaster()
    assert postmaster is not None
    os.kill(postmaster, signal.SIGKILL)

    engines.start()
    assert postgres_of(engines).postmaster() not in {None, postmaster}


def test_a_pid_file_with_the_number_of_another_process_is_ignored(engines: Engines) -> None:
    engines.start()
    kill_outright(engines)
    pid_file = postgres_of(engines).data / "postmaster.pid"
    pid_file.write_text("\n".join([str(os.getpid()), *pid_file.read_text().splitlines()[1:]]))

    engines.start()
    assert engines.status().postgres


def test_a_cluster_that_was_half_made_is_made_again(fresh_engines: Engines) -> None:
    fresh_engines.start()
    fresh_engines.stop()
    data = postgres_of(fresh_engines).data
    data.rename(data.with_name("draft"))

    fresh_engines.start()
    assert query(fresh_engines, "SELECT current_database()") == "tformance"


def test_redis_data_that_cannot_be_read_is_set_aside(fresh_engines: Engines) -> None:
    fresh_engines.start()
    fresh_engines.stop()
    server = replace(redis_of(fresh_engines), durable=True)
    (server.data / "appendonly.aof").write_bytes(b"this is no command\r\n" * 9)
    (server.data / "appendonlydir").mkdir()
    (server.data / "appendonlydir" / "appendonly.aof.manifest").write_bytes(b"garbage")

    server.start()
    assert server.is_ready()
    assert list(server.data.parent.glob("unreadable-*"))


def test_two_checkouts_run_side_by_side(engines: Engines, tmp_path: Path) -> None:
    other = Engines(var=tmp_path / "other", durable=False)
    try:
        engines.start()
        other.start()
        query(engines, "CREATE TABLE mine (id int)")
        assert query(other, "SELECT to_regclass('mine')") is None
        other.stop()
        assert engines.status().postgres
    finally:
        other.remove()


def test_a_port_that_another_program_took_meanwhile_is_replaced(engines: Engines) -> None:
    engines.start()
    engines.stop()
    state = postgres_of(engines).state
    with (
        socket.create_server(("127.0.0.1", state.postgres_port)),
        socket.create_server(("127.0.0.1", state.redis_port)),
    ):
        engines.start()
        moved = postgres_of(engines).state
        assert engines.status().postgres
        assert engines.status().redis
    assert not {moved.postgres_port, moved.redis_port} & {state.postgres_port, state.redis_port}


def test_a_folder_whose_path_is_too_long_for_a_socket_is_fine(no_servers: None, tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-folder-with-quite-a-long-name"] * 5)
    engines = Engines(var=deep, durable=False)
    try:
        engines.start()
        state = postgres_of(engines).state
        assert len(f"{state.sockets}/.s.PGSQL.{state.postgres_port}.lock") <= LONGEST_SOCKET_PATH
        assert query(engines, "SELECT 1") == 1
    finally:
        engines.remove()


def test_a_copied_checkout_gets_engines_of_its_own(fresh_engines: Engines, tmp_path: Path) -> None:
    fresh_engines.start()
    copy = Engines(var=tmp_path / "copy", durable=False)
    copy.var.mkdir()
    shutil.copy(fresh_engines.var / "engines.json", copy.var)
    try:
        copy.start()
        assert postgres_of(copy).data != postgres_of(fresh_engines).data
        assert fresh_engines.status().postgres
    finally:
        copy.remove()


def test_a_moved_checkout_keeps_its_data(fresh_engines: Engines, tmp_path: Path) -> None:
    fresh_engines.start()
    query(fresh_engines, "CREATE TABLE kept (id int)")
    fresh_engines.stop()
    moved = Engines(var=fresh_engines.var.rename(tmp_path / "moved"), durable=False)
    try:
        moved.start()
        assert query(moved, "SELECT to_regclass('kept')") == "kept"
    finally:
        moved.remove()


def test_the_last_user_stops_the_engines(engines: Engines) -> None:
    with engines.in_use():
        with Engines(var=engines.var, durable=False).in_use():
            assert engines.status().postgres
        assert engines.status().postgres
    assert living(engines) == []


def test_a_server_that_the_environment_names_is_not_started(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere")
    engines.stop()
    engines.start()
    assert (engines.status().postgres, engines.status().redis) == (True, False)


def test_both_ask_for_a_password_and_listen_on_loopback_only(engines: Engines) -> None:
    engines.start()
    state = postgres_of(engines).state
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgres://tformance:wrong@127.0.0.1:{state.postgres_port}/tformance")
    with redis.Redis(port=state.redis_port) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    for process in living(engines):
        listening = [one.laddr for one in process.net_connections() if one.status == psutil.CONN_LISTEN]
        assert {address.ip for address in listening} <= {"127.0.0.1"}


def test_production_keeps_what_it_commits(fresh_engines: Engines) -> None:
    durable = Engines(var=fresh_engines.var)
    durable.start()
    assert [query(durable, f"SHOW {name}") for name in ("fsync", "full_page_writes", "synchronous_commit")] == [
        "on"
    ] * 3
    assert query(durable, "SHOW data_checksums") == "on"
    assert query(durable, "SHOW password_encryption") == SETTINGS["password_encryption"]


def owners(engines: Engines) -> set[int]:
    """The users of the engines' processes and of everything in their data folders."""
    data = (postgres_of(engines).data.parent, redis_of(engines).data.parent, Path(postgres_of(engines).state.sockets))
    places = [place for folder in data for place in (folder, *folder.rglob("*"))]
    return {place.lstat().st_uid for place in places} | {process.uids().effective for process in living(engines)}


@needs_root
def test_as_root_they_run_as_a_user_of_their_own_whose_data_only_they_can_read(
    engines: Engines, fresh_engines: Engines
) -> None:
    engines.start()
    fresh_engines.start()
    own = postgres_of(engines).state.uid
    assert owners(engines) == {own}
    assert owners(fresh_engines).isdisjoint({own, os.geteuid()})
    with pytest.raises(KeyError):
        pwd.getpwuid(own)
    for data in (postgres_of(engines).data, redis_of(engines).data):
        assert (data.stat().st_uid, data.stat().st_mode & 0o777) == (own, 0o700)


@needs_root
def test_data_of_a_shared_user_is_kept_and_given_to_one_of_their_own_even_while_they_run(
    fresh_engines: Engines,
) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    state = EngineState.ensure(fresh_engines.var)
    replace(state, uid=nobody).save()
    fresh_engines.start()
    query(fresh_engines, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert owners(fresh_engines) == {nobody}
    forget_uid(fresh_engines.var)

    fresh_engines.start()
    assert query(fresh_engines, "SELECT answer FROM kept") == 42
    assert owners(fresh_engines) == {postgres_of(fresh_engines).state.uid}
    assert nobody not in owners(fresh_engines)


@needs_root
def test_engines_of_a_shared_user_are_left_alone_while_somebody_uses_them(
    fresh_engines: Engines, tmp_path: Path
) -> None:
    state = EngineState.ensure(fresh_engines.var)
    replace(state, uid=pwd.getpwnam("nobody").pw_uid).save()
    fresh_engines.start()
    forget_uid(fresh_engines.var)
    before = {process.pid for process in living(fresh_engines)}
    with (fresh_engines.var / "engines.lease").open("a"):  # as an earlier run has it open
        answer = subprocess.run(
            [sys.executable, "-m", "tformance.local", "engines", "start"],
            env=os.environ | {"TFORMANCE_VAR": str(fresh_engines.var)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert answer.returncode == 1
    assert f"are in use (by process {os.getpid()}). Run `make stop`, which ends whatever uses them" in answer.stderr
    assert before <= {process.pid for process in living(fresh_engines)}


def forget_uid(var: Path) -> None:
    """Leave engines.json as the version wrote it that ran the engines as `nobody`."""
    known = json.loads((var / "engines.json").read_text())
    del known["uid"]
    (var / "engines.json").write_text(json.dumps(known))


@needs_root
def test_as_root_their_environment_holds_no_secret_of_ours(
    fresh_engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "a secret of ours")
    fresh_engines.start()
    assert all("SECRET_KEY" not in process.environ() for process in living(fresh_engines))


def test_no_folder_of_anybody_changes_its_permissions(fresh_engines: Engines, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    watched = [tmp_path, *tmp_path.parents, Path("/var/lib"), Path(os.__file__).parent]
    before = [(place.stat().st_mode, place.stat().st_uid) for place in watched]
    fresh_engines.start()
    assert [(place.stat().st_mode, place.stat().st_uid) for place in watched] == before


def test_a_folder_that_another_user_prepared_is_refused(fresh_engines: Engines, tmp_path: Path) -> None:
    fresh_engines.start()
    fresh_engines.stop()
    state = postgres_of(fresh_engines).state
    trap = tmp_path / "trap"
    trap.mkdir(mode=0o777)
    trap.chmod(0o777)
    state.root.rename(tmp_path / "away")
    state.root.symlink_to(trap)
    with pytest.raises(EmbeddedError, match="not a private folder of this user"):
        fresh_engines.start()
    state.root.unlink()
    (tmp_path / "away").rename(state.root)


@needs_root
def test_data_whose_checkout_is_gone_is_named_and_kept(fresh_engines: Engines) -> None:
    fresh_engines.start()
    fresh_engines.stop()
    state = postgres_of(fresh_engines).state
    assert state.root not in abandoned_folders()
    memory = fresh_engines.var / "engines.json"
    kept = memory.read_text()
    memory.unlink()
    assert state.root in abandoned_folders()
    assert state.root.is_dir()
    memory.write_text("damaged")
    assert state.root not in abandoned_folders()
    memory.write_text(kept)


@needs_root
def test_a_folder_whose_engines_still_run_is_named_with_them_and_never_advised_to_be_deleted(
    fresh_engines: Engines, tmp_path: Path
) -> None:
    fresh_engines.start()
    memory = fresh_engines.var / "engines.json"
    kept, folder, processes = memory.read_text(), postgres_of(fresh_engines).state.root, living(fresh_engines)
    memory.unlink()
    line = status_line_of(folder, var=tmp_path / "other")
    memory.write_text(kept)
    assert line.startswith(
        f"note: {folder} has the data of a checkout that no longer exists and is still in use by process "
    )
    assert {str(one.pid) for one in processes} <= set(line.split())
    assert "delete" not in line


def status_line_of(folder: Path, *, var: Path) -> str:
    """Return the line of `status` about a folder of engines, as the user of another checkout reads it."""
    command = [sys.executable, "-m", "tformance.local", "status"]
    answer = subprocess.run(command, env=os.environ | {"TFORMANCE_VAR": str(var)}, capture_output=True, check=False)
    (line,) = (line for line in answer.stdout.decode().splitlines() if str(folder) in line)
    return line
