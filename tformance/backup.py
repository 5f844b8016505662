"""python -m tformance.backup: back up the database to a file and restore it, without the secrets of TFORMANCE_VAR."""

import argparse
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from tformance.local.console import EmbeddedError
from tformance.local.engine_binaries import client_program
from tformance.local.runs import LOCK_FILE
from tformance.local.state import CHECKOUT, local_settings, try_exclusive, var_folder
from tformance.settings_files import load_settings_files

EMPTY_SCHEMA = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tformance.backup", description="Back the database up, or restore it."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    backup_command = commands.add_parser("backup", help="write the database to a file")
    backup_command.add_argument("file", type=Path, nargs="?", help="default: a new one in TFORMANCE_VAR/backups/")
    restore_command = commands.add_parser(
        "restore", help="replace the database with the content of a file, completely or not at all"
    )
    restore_command.add_argument("file", type=existing_file)
    return parser.parse_args()


def existing_file(text: str) -> Path:
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return Path(text)


def main() -> int:
    options = arguments()
    try:
        load_settings_files()
        var = var_folder()
        url = os.environ.get("DATABASE_URL") or local_settings(var)["DATABASE_URL"]
        if options.command == "backup":
            backup(url, options.file or new_file(var))
        else:
            restore(url, options.file, var=var)
    except (EmbeddedError, psycopg.OperationalError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def new_file(var: Path) -> Path:
    """Return a name that sorts by time."""
    return var / "backups" / f"tformance-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.dump"


def backup(url: str, file: Path) -> None:
    """Write the database to a file readable only by its owner; replace an old file only when complete."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_name(f".{file.name}.draft")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    _run("pg_dump", f"--file={draft}", "--format=custom", "--no-owner", "--no-privileges", url=url)
    draft.replace(file)
    sys.stdout.write(
        f"Wrote {file} ({file.stat().st_size:,} bytes). The keys to its secrets are in secrets.json: keep both.\n"
    )


def restore(url: str, file: Path, *, var: Path) -> None:
    """Replace the database in one transaction, then migrate it."""
    with ExitStack() as stack:
        if not try_exclusive(var / LOCK_FILE, stack=stack):
            raise EmbeddedError("tformance is running. Stop it first: make stop")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))  # 0700
        script = folder / "restore.sql"
        _run("pg_restore", f"--file={script}", "--no-owner", "--no-privileges", str(file), url=url)
        (folder / "empty.sql").write_text(EMPTY_SCHEMA)
        files = (f"--file={folder / 'empty.sql'}", f"--file={script}")
        _run("psql", "--quiet", "--no-psqlrc", "--single-transaction", "--set=ON_ERROR_STOP=1", *files, url=url)
        environment = os.environ | {"DATABASE_URL": url}
        subprocess.run(
            [sys.executable, CHECKOUT / "manage.py", "migrate", "--verbosity", "0"], env=environment, check=True
        )
    sys.stdout.write(f"Restored {file}. Start tformance with: make run\n")


def _run(program: str, *options: str, url: str) -> None:
    """Run a client program of the server's version; the password is passed in the environment."""
    environment = os.environ | {"PGDATABASE": ""} | _connection(url)
    command = [str(client_program(program, server_major=_server_major(url))), *options]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise EmbeddedError(f"{program} failed; nothing was changed:\n{result.stderr.strip()}")


def _connection(url: str) -> dict[str, str]:
    known = psycopg.conninfo.conninfo_to_dict(url)
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    return {names[name]: str(value) for name, value in known.items() if name in names} | (
        {"PGSSLMODE": str(known["sslmode"])} if "sslmode" in known else {}
    )


def _server_major(url: str) -> int:
    with psycopg.connect(url, connect_timeout=10) as connection:
        return connection.info.server_version // 10000


if __name__ == "__main__":
    sys.exit(main())
