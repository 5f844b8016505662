"""What removes a safety."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """One piece of text that must be there exactly once, and what is put in its place."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """A safety, the edits that remove it, and the test that shows that it is gone."""

    safety: str
    edits: tuple[Edit, ...]
    test: str
    waits_for_ever: bool = False  # how the test fails without the safety


def mutation(safety: str, path: str, old: str, new: str, *, test: str, waits_for_ever: bool = False) -> Mutation:
    """A safety that one edit removes."""
    return Mutation(safety, (Edit(path, old, new),), test, waits_for_ever)
