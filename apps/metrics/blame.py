"""Whose fault a recalculation that failed is: that of the changes it worked off, or of the hour it ran in. Pure."""

from django.db import Error, InterfaceError, OperationalError

# Classes of SQLSTATE that any change would meet: connection, resources, operator, system.
_PASSING_CLASSES = ("08", "53", "57", "58")
_READ_ONLY = "25006"
_SERIALIZATION_FAILURE, _DEADLOCK, _LOCK_TIMEOUT = "40001", "40P01", "55P03"
_PASSING = frozenset({_READ_ONLY, _SERIALIZATION_FAILURE, _DEADLOCK, _LOCK_TIMEOUT})
# Memory, locks and time run out when one change makes too much stale.
_OUT_OF_MEMORY, _QUERY_CANCELED = "53200", "57014"
_OWN_FAULT = frozenset({_OUT_OF_MEMORY, _QUERY_CANCELED})


def will_pass(error: BaseException) -> bool:
    """Whether the same changes may well succeed later: the database is away, read-only or busy with others."""
    if not isinstance(error, Error):
        return False
    code = getattr(error.__cause__, "sqlstate", None)
    if code is None:
        return isinstance(error, OperationalError | InterfaceError)
    return code in _PASSING or (code[:2] in _PASSING_CLASSES and code not in _OWN_FAULT)
