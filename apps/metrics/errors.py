"""Whose fault a recalculation that failed is: that of the changes it worked off, or of the hour it ran in. Pure."""

from apps.common.database_errors import OUT_OF_MEMORY, QUERY_CANCELED, blames_the_server, is_of_database, sqlstate_of

_SERIALIZATION_FAILURE, _DEADLOCK, _LOCK_TIMEOUT = "40001", "40P01", "55P03"
_BUSY_WITH_OTHERS = frozenset({_SERIALIZATION_FAILURE, _DEADLOCK, _LOCK_TIMEOUT})
# Memory and time run out when one change makes too much stale.
_OWN_FAULT = frozenset({OUT_OF_MEMORY, QUERY_CANCELED})


def will_pass(error: BaseException) -> bool:
    """Whether the same changes may well succeed later: the database is away, read-only or busy with others."""
    is_busy = is_of_database(error) and sqlstate_of(error) in _BUSY_WITH_OTHERS
    return is_busy or blames_the_server(error, but_for=_OWN_FAULT)
