"""What may be said of an error of the database: what it was, and nothing of the rows it was about."""

import psycopg
from django.db.utils import Error

# Classes whose main line names constraints, columns and causes. Others quote what they refuse: `syntax for type: "…"`.
_WITHOUT_VALUES = ("08", "23", "25", "40", "53", "54", "55", "57", "58")


def is_of_database(error: BaseException) -> bool:
    """Whether this is an error of Django's or of the driver's."""
    return isinstance(error, Error | psycopg.Error)


def words_of(error: BaseException) -> str:
    """The server's code and, where it quotes no value, its main line; never details, hints and contexts."""
    told = error if isinstance(error, psycopg.Error) else error.__cause__
    if not isinstance(told, psycopg.Error) or not told.sqlstate:
        return str(error).partition("\n")[0]  # the driver's own words, such as that nobody answers
    if not told.sqlstate.startswith(_WITHOUT_VALUES):
        return told.sqlstate
    return f"{told.sqlstate} {told.diag.message_primary or ''}".rstrip()
