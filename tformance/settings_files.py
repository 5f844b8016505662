"""The files that settings are read from: .env in the checkout and settings.env in TFORMANCE_VAR.

Where several of these give a name, the first counts: the environment of the process, .env, settings.env, and what
`make run` generated.
Whatever the files say becomes part of the environment of the process, so that all code and all children see the same.
"""

import os
import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from pathlib import Path

from dotenv.parser import parse_stream

from tformance.local.console import EmbeddedError
from tformance.local.state import CHECKOUT, var_folder

FILE_IN_VAR = "settings.env"
READABLE_BY_OTHERS = 0o044
ALSO_KNOWN = {  # next to what tformance/settings.py reads
    *("TFORMANCE_VAR", "TFORMANCE_ENV_FILE", "PROMETHEUS_MULTIPROC_DIR", "WORKER_HEARTBEAT_FILE"),
    *("POSTGRES_PASSWORD", "REDIS_PASSWORD", "COMPOSE_FILE"),  # docker compose reads the same .env
}
OF_OTHER_PROGRAMS = re.compile(
    r"(PG|GRANIAN_|CELERY_|COMPOSE_|DOCKER_|PYTHON|MALLOC_|SSL_|REQUESTS_|CURL_|LC_)|(TZ|LANG|PATH|HOME|\w+_PROXY)$",
    re.IGNORECASE,
)


def load_settings_files() -> None:
    """Complete the environment of this process from the files; EmbeddedError for an invalid line."""
    for path in _paths():
        for name, value in read_settings_file(path).items():
            if not os.environ.get(name):  # a variable that is set and empty is one that is not set
                os.environ[name] = value


def read_settings_file(path: Path) -> dict[str, str]:
    """Return the settings in a file; empty if there is no such file."""
    try:
        with path.open(encoding="utf-8-sig") as lines:
            bindings = list(parse_stream(lines))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise EmbeddedError(f"{path} cannot be read ({reason}). It holds settings, one NAME=value a line.") from error
    found = {}
    for one in bindings:
        if one.error or (one.key is not None and one.value is None):
            raise EmbeddedError(f"{path}, line {one.original.line}, is not NAME=value.")
        if one.key is not None:
            found[one.key] = one.value or ""
    return found


def names_in_settings_files() -> list[str]:
    """Return the names that the files set."""
    return list(dict.fromkeys(name for path in _paths() for name in read_settings_file(path)))


def place_of(name: str) -> str:
    """Return the file that a setting comes from, else "the environment"; "" where it is not set."""
    value = os.environ.get(name)
    if not value:
        return ""
    files = (str(path) for path in _paths() if read_settings_file(path).get(name) == value)
    return next(files, "the environment")


def warnings_of_settings_files(known: Collection[str]) -> Iterator[str]:
    """Yield warnings about the files: readable by others, or unknown names."""
    for path in _paths():
        if path.is_file() and path.stat().st_mode & READABLE_BY_OTHERS:
            yield f"Other users of this machine can read {path}, which may hold secrets. Run: chmod 600 {path}"
        for name in read_settings_file(path):
            if name not in {*known, *ALSO_KNOWN} and not OF_OTHER_PROGRAMS.match(name):
                near = get_close_matches(name.upper(), {*known, *ALSO_KNOWN}, n=1)
                hint = f" Did you mean {near[0]}?" if near else ""
                yield f"{path} sets {name}, which tformance does not know.{hint}"


def _paths() -> Iterator[Path]:
    """Yield both files, the one with precedence first."""
    yield Path(os.environ.get("TFORMANCE_ENV_FILE") or CHECKOUT / ".env")
    yield var_folder() / FILE_IN_VAR
