"""Behind a real PgBouncer: everything works and is bounded, or nothing starts; never a green light over lost posts."""

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from tests.rig.github import ACCEPTED, delivery, post
from tformance.environment import SESSION_TIMEOUTS
from tformance.local.engines import Engines
from tformance.local.programs import ask_readiness
from tformance.local.state import EngineState, ensure_secrets, free_port, is_port_free, local_settings
from tformance.local.stop_processes import wait_until

PROJECT = Path(__file__).resolve().parent.parent.parent
PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
SECONDS = 240

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed (apt-get install pgbouncer)"),
    pytest.mark.usefixtures("no_servers"),
    pytest.mark.timeout(600),
]

DEFAULT: dict[str, object] = {}
IGNORING = {"ignore_startup_parameters": "options"}
OF_TRANSACTIONS = {"ignore_startup_parameters": "options", "pool_mode": "transaction"}
ENTRIES = {
    "prepare": ("manage.py", "prepare"),
    "web": ("-m", "tformance.local", "only", "web"),
    "worker": ("-m", "tformance.local", "only", "worker", "--queues", "live"),
    "beat": ("-m", "tformance.local", "only", "beat"),
}


class Site:
    """A PostgreSQL and Redis of a test's own, and poolers in front of them."""

    def __init__(self, engines: Engines, stack: ExitStack, folder: Path) -> None:
        self.var = engines.var
        ensure_secrets(self.var)
        self.known = local_settings(self.var)
        self.postgres_port = EngineState.ensure(self.var).postgres_port
        self._stack = stack
        self._folder = folder

    def environment(self, url: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        own = {"TFORMANCE_VAR": str(self.var), "TFORMANCE_ENV_FILE": os.devnull, "DATABASE_URL": url}
        return kept | self.known | own

    def run(self, command: tuple[str, ...], url: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, *command],
            cwd=PROJECT,
            env=self.environment(url),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def bound_the_role(self, *, is_bound: bool) -> None:
        """Have the server itself give each session the bounds that web asks for, or no more."""
        with psycopg.connect(self.url_at(self.postgres_port), autocommit=True) as connection:
            connection.execute("ALTER ROLE CURRENT_USER RESET ALL")
            for name, value in SESSION_TIMEOUTS["web"].items() if is_bound else ():
                connection.execute(f"ALTER ROLE CURRENT_USER SET {name} = {value}".encode())

    def url_at(self, port: int) -> str:
        server = urlsplit(self.known["DATABASE_URL"])
        return f"postgres://{server.username}:{server.password}@127.0.0.1:{port}/{server.path.lstrip('/')}"

    def pooler(self, **options: object) -> str:
        """Start a PgBouncer; the DATABASE_URL that goes through it."""
        server = urlsplit(self.known["DATABASE_URL"])
        port = free_port()
        folder = self._folder / str(port)
        folder.mkdir()
        (folder / "users.txt").write_text(f'"{server.username}" "{unquote(server.password or "")}"\n')
        values = {
            "listen_addr": "127.0.0.1", "listen_port": port, "unix_socket_dir": "", "auth_type": "plain",
            "auth_file": folder / "users.txt", "logfile": folder / "log", "default_pool_size": 60,
        } | options  # fmt: skip
        path = folder / "pgbouncer.ini"
        where = f"host=127.0.0.1 port={self.postgres_port}"
        lines = ["[databases]", f"* = {where}", "[pgbouncer]", *(f"{name} = {value}" for name, value in values.items())]
        path.write_text("\n".join(lines) + "\n")
        for place in (self._folder, folder, *folder.iterdir()):
            place.chmod(0o777 if place.is_dir() else 0o644)
        command = [str(PGBOUNCER), *(["-u", "nobody"] if os.geteuid() == 0 else []), str(path)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        assert wait_until(lambda: not is_port_free(port), seconds=20), (folder / "log").read_text()
        return self.url_at(port)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    own = Engines(var=tmp_path_factory.mktemp("pooled") / "var", durable=False)
    try:
        with pytest.MonkeyPatch.context() as starting:
            for name in ("DATABASE_URL", "REDIS_URL"):
                starting.delenv(name, raising=False)
            own.start()
        with ExitStack() as stack:
            # not below pytest's own folder, which is closed to the user whom PgBouncer runs as
            folder = stack.enter_context(TemporaryDirectory(prefix="tformance-poolers-"))
            yield Site(own, stack, Path(folder))
    finally:
        own.remove()


@pytest.mark.parametrize("options", [DEFAULT, IGNORING], ids=["that refuses options", "that ignores options"])
@pytest.mark.parametrize("entry", ENTRIES)
def test_a_pooler_without_bounds_is_refused_at_start_in_words(
    site: Site, options: dict[str, object], entry: str
) -> None:
    site.bound_the_role(is_bound=False)
    answer = site.run(ENTRIES[entry], site.pooler(**options))
    assert answer.returncode == 1, answer.stdout + answer.stderr
    (line,) = [line for line in answer.stderr.splitlines() if line.startswith("error: ")]
    assert "options" in line
    assert "Point DATABASE_URL at PostgreSQL itself, or at a pooler in session mode" in line
    assert "Traceback" not in answer.stderr


def test_a_pooler_that_mixes_statements_is_refused_though_the_bounds_are_in_force(site: Site) -> None:
    site.bound_the_role(is_bound=True)
    answer = site.run(ENTRIES["prepare"], site.pooler(**OF_TRANSACTIONS))
    assert answer.returncode == 1
    assert "statement" in answer.stderr
    assert "Point DATABASE_URL at PostgreSQL itself" in answer.stderr


def test_doctor_says_it_too(site: Site) -> None:
    site.run(ENTRIES["prepare"], site.known["DATABASE_URL"])
    site.bound_the_role(is_bound=True)
    answer = site.run(("manage.py", "doctor", "--json"), site.pooler(**OF_TRANSACTIONS))
    (check,) = [one for one in json.loads(answer.stdout)["checks"] if one["name"] == "sessions"]
    assert check["result"] == "failed"
    assert "statement" in check["found"]


def test_a_database_that_is_away_is_no_reason_to_refuse(site: Site) -> None:
    code = "from apps.common.connections import find_fault; import django; django.setup(); print(repr(find_fault()))"
    url = f"postgres://u:p@127.0.0.1:{free_port()}/none"
    answer = site.run(("-c", f"import tformance; {code}"), url)
    assert answer.stdout.strip() == "''", answer.stderr


@pytest.mark.parametrize("pool_size", [120, 4], ids=["large enough", "too small"])
def test_in_session_mode_every_post_is_kept_or_it_says_that_it_is_not_ready(site: Site, pool_size: int) -> None:
    site.bound_the_role(is_bound=True)
    assert site.run(ENTRIES["prepare"], site.url_at(site.postgres_port)).returncode == 0
    url = site.pooler(**IGNORING, default_pool_size=pool_size)
    with web(site, url) as port:
        statuses = post_at_once(site, port, count=200)
        ready, _ = ask_readiness(port)
    with psycopg.connect(site.url_at(site.postgres_port)) as connection:
        found = connection.execute(STORED).fetchone()
    assert found is not None
    assert found[1] == 0, "the content of a row is not what was posted"
    if pool_size > 100:
        assert (statuses, ready) == ([ACCEPTED] * 200, 200)
    else:
        assert statuses.count(ACCEPTED) == 200 or ready == 503


STORED = """
SELECT count(*), count(*) FILTER (WHERE sha256(body.content) <> delivery.body_sha256)
FROM webhooks_delivery delivery JOIN webhooks_deliverybody body ON body.delivery_id = delivery.id
"""


@contextmanager
def web(site: Site, url: str) -> Iterator[int]:
    """The web process alone, behind this address of the database; its port."""
    port = free_port()
    command = (*ENTRIES["web"], "--port", str(port))
    process = subprocess.Popen([sys.executable, *command], cwd=PROJECT, env=site.environment(url))
    try:
        assert wait_until(lambda: process.poll() is not None or ask_readiness(port)[0] == 200, seconds=SECONDS)
        assert process.poll() is None
        yield port
    finally:
        process.terminate()
        process.wait(timeout=60)


def post_at_once(site: Site, port: int, *, count: int) -> list[int]:
    """Post so many different deliveries, 32 at a time; the statuses."""
    secret = site.known["GITHUB_WEBHOOK_SECRETS"]

    def post_one(number: int) -> int:
        one = delivery("ping", {"number": number, "hook_id": 1}, guid=str(uuid.uuid4()), secret=secret)
        return post(port, one.body, one.headers).status

    with ThreadPoolExecutor(32) as threads:
        return list(threads.map(post_one, range(count)))
