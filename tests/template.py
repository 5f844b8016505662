"""A migrated database that each process of the tests copies: to migrate takes ten seconds, to copy less than one."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

from django.db import connection

from tformance.local.state import CHECKOUT

PREFIX = "tformance_template_"
LOCK = 7_392_118
MADE_OF = ("apps/*/migrations/*.py", "apps/*/models.py", "apps/*/models/*.py", "requirements/dev.lock")
EXISTING = "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY oid DESC"
MOST_KEPT = 4
"""Others are kept for a while: tests of another state of the tree may be about to copy theirs."""


def use_template() -> None:
    """Have Django copy this process's database from the template of what the migrations say today."""
    own: dict[str, Any] = connection.settings_dict
    name = PREFIX + digest()
    with connection._nodb_cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])  # until the connection is closed
        cursor.execute(EXISTING, [PREFIX])
        existing = [name for (name,) in cursor.fetchall()]
        if name not in existing:
            for outdated in existing[MOST_KEPT:]:
                cursor.execute(f'DROP DATABASE IF EXISTS "{outdated}"')
            with _migrated(own, f"{name}_unfinished"):
                cursor.execute(f'ALTER DATABASE "{name}_unfinished" RENAME TO "{name}"')
    own["TEST"]["TEMPLATE"] = name


def digest() -> str:
    """Return what changes with the tables, their rows and their columns."""
    files = sorted(path for pattern in MADE_OF for path in CHECKOUT.glob(pattern))
    return sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:16]


@contextmanager
def _migrated(own: dict[str, Any], name: str) -> Iterator[None]:
    before, test = own["NAME"], own["TEST"]["NAME"]
    own["TEST"]["NAME"] = name
    try:
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        connection.close()
        yield
    finally:
        own["NAME"], own["TEST"]["NAME"] = before, test
