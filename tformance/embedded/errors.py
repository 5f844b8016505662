"""What can go wrong with the embedded engines, in words for the person who started them."""


class EmbeddedError(Exception):
    """An embedded engine cannot do what was asked; the message says what happened and what to do."""
