"""Ids and names as people type them."""

from django.db.models import Q

LARGEST_ID = 2**63 - 1
LONGEST_ID = len(str(LARGEST_ID))  # Python refuses to read a number of thousands of digits


def is_id(text: str) -> bool:
    """Whether the text is a number that a column of ids can hold."""
    return len(text) <= LONGEST_ID and text.isascii() and text.isdigit() and int(text) <= LARGEST_ID


def is_called(text: str) -> Q:
    """Return the condition that a repository has this id, or this name in any case."""
    return Q(pk=int(text)) if is_id(text) else Q(full_name__iexact=text)
