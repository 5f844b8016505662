"""An error of the database: whose fault it is, and what may be said of it without a word of the rows it was about."""

from collections.abc import Collection

import psycopg
from django.db.utils import Error, InterfaceError, OperationalError

READ_ONLY, DISK_FULL, OUT_OF_MEMORY, QUERY_CANCELED = "25006", "53100", "53200", "57014"
LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED = "55P03", "40P01"
# Connection, resources, operator, system.
_CLASSES_OF_THE_SERVER = ("08", "53", "57", "58")

# Classes whose main line names constraints, columns and causes. Others quote what they refuse: `syntax for type: "…"`.
_WITHOUT_VALUES = ("08", "23", "25", "40", "53", "54", "55", "57", "58")


def is_of_database(error: BaseException) -> bool:
    """Whether this is an error of Django's or of the driver's."""
    return isinstance(error, Error | psycopg.Error)


def sqlstate_of(error: BaseException) -> str | None:
    """What the server called it; None if it said nothing, or if this is no error of a database."""
    code: str | None = getattr(error.__cause__, "sqlstate", None)
    return code


def blames_the_server(error: BaseException, *, but_for: Collection[str] = ()) -> bool:
    """Whether any statement would have met this: the database is away, read-only or out of something.

    `but_for` names codes that the caller rather takes for the fault of what it asked.
    """
    if not isinstance(error, Error):
        return False
    code = sqlstate_of(error)
    if code is None:
        return isinstance(error, OperationalError | InterfaceError)
    return code == READ_ONLY or (code.startswith(_CLASSES_OF_THE_SERVER) and code not in but_for)


def words_of(error: BaseException) -> str:
    """The server's code and, where it quotes no value, its main line; never details, hints and contexts."""
    told = error if isinstance(error, psycopg.Error) else error.__cause__
    if not isinstance(told, psycopg.Error) or not told.sqlstate:
        return str(error).partition("\n")[0]  # the driver's own words, such as that nobody answers
    if not told.sqlstate.startswith(_WITHOUT_VALUES):
        return told.sqlstate
    return f"{told.sqlstate} {told.diag.message_primary or ''}".rstrip()
