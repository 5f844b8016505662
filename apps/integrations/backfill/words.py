"""Words for people in a form that a row can keep."""

LONGEST = 500


def storable(words: str) -> str:
    """The beginning of a text of GitHub's, in characters that PostgreSQL takes."""
    return words[:LONGEST].replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
