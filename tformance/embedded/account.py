"""The user that the engines run as when we are root: PostgreSQL refuses to be root, and Redis has no need to be.

Each installation has a number of its own, which no other program of the machine has: a shared account like `nobody`
would let every other process of that account read the engines' passwords and data. The kernel needs no entry in
/etc/passwd for that, so the machine's list of users stays as it is.
"""

import grp
import os
import pwd
import random
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tformance.embedded.errors import EmbeddedError

# Unused in systemd's table (https://systemd.io/UIDS-GIDS/), and low enough to exist in a container of 65,536 users.
NUMBERS = range(60706, 61184)
WITH_NAMES = ("nobody", "daemon")


@dataclass(frozen=True, kw_only=True)
class Account:
    """An unprivileged user of this machine, by its numbers."""

    uid: int
    gid: int


def needs_account() -> bool:
    """Return whether the engines must run as another user than we do."""
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
        if place.lstat().st_uid == owner:  # a hard link to a file of somebody else stays theirs
            os.chown(place, account.uid, account.gid, follow_symlinks=False)
