"""For how long a worker holds what it claimed, whatever kind of row that is."""

from datetime import timedelta

LEASE = timedelta(seconds=75)
"""Longer than a task may run (60 s): whoever holds a lapsed lease is dead."""
