"""Whom the engines run as when we are root: PostgreSQL refuses to be root, and Redis has no need to be."""

import os
import pwd
from dataclasses import dataclass
from typing import Any

from tformance.embedded.errors import EmbeddedError

CANDIDATES = ("nobody", "daemon")


@dataclass(frozen=True, kw_only=True)
class Account:
    """An unprivileged user of this machine."""

    name: str
    uid: int
    gid: int


def engine_account() -> Account | None:
    """The user the engines run as, or None when that is simply whoever we are."""
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise EmbeddedError(
        f"PostgreSQL refuses to run as root and this machine has no user called {' or '.join(CANDIDATES)}. "
        "Run this as an ordinary user, or set DATABASE_URL and REDIS_URL."
    )


def identity(account: Account | None) -> dict[str, Any]:
    """The arguments that make subprocess start a program as this user."""
    if account is None:
        return {"umask": 0o077}
    return {"user": account.uid, "group": account.gid, "extra_groups": [], "umask": 0o077}
