"""A backup can be restored, wholly or not at all."""

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tformance.backup import backup, new_file, restore
from tformance.local.console import EmbeddedError

pytestmark = pytest.mark.proof


@pytest.fixture
def url() -> Iterator[str]:
    """A database of this test's own on the suite's PostgreSQL, with something in it."""
    server, _, name = os.environ["DATABASE_URL"].rpartition("/")
    own = f"{name.split('?')[0]}_backup"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {own} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {own}")
        execute(f"{server}/{own}", "CREATE TABLE kept AS SELECT 42 AS answer")
        yield f"{server}/{own}"
        connection.execute(f"DROP DATABASE {own} WITH (FORCE)")


def execute(url: str, statement: str) -> list[object]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return [row[0] for row in cursor.fetchall()] if cursor.description else []


def test_what_was_backed_up_comes_back_and_what_came_later_goes(url: str, tmp_path: Path) -> None:
    file = new_file(tmp_path)
    backup(url, file)
    execute(url, "UPDATE kept SET answer = 0; CREATE TABLE later (id int)")

    restore(url, file, var=tmp_path)

    assert execute(url, "SELECT answer FROM kept") == [42]
    assert execute(url, "SELECT to_regclass('later')::text") == [None]
    assert execute(url, "SELECT count(*) > 0 FROM django_migrations") == [True]  # brought up to date
    backup(url, file)  # and can be backed up again
    restore(url, file, var=tmp_path)
    assert execute(url, "SELECT answer FROM kept") == [42]


def test_a_backup_is_for_its_owner_only_and_leaves_no_draft(url: str, tmp_path: Path) -> None:
    file = tmp_path / "file.dump"
    backup(url, file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_no_backup_changes_nothing(url: str, tmp_path: Path) -> None:
    file = tmp_path / "file.dump"
    file.write_bytes(b"PGDMP and then nothing of use")
    with pytest.raises(EmbeddedError, match="nothing was changed"):
        restore(url, file, var=tmp_path)
    assert execute(url, "SELECT answer FROM kept") == [42]


def test_a_file_that_is_not_there_is_named(url: str, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"nothing was changed(.|\n)*nothing\.dump"):
        restore(url, tmp_path / "nothing.dump", var=tmp_path)
    assert execute(url, "SELECT answer FROM kept") == [42]
