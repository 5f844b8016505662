"""Ids as people type them."""

LARGEST_ID = 2**63 - 1
LONGEST_ID = len(str(LARGEST_ID))  # Python refuses to read a number of thousands of digits


def is_id(text: str) -> bool:
    """Whether the text is a number that a column of ids can hold."""
    return len(text) <= LONGEST_ID and text.isascii() and text.isdigit() and int(text) <= LARGEST_ID
