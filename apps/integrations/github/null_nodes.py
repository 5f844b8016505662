"""A list with a hole in it was not read to its end."""

from collections.abc import Iterator, Mapping, Set
from typing import Any

Path = tuple[str | int, ...]


def has_unexplained_null(data: Any, *, explained: Set[Path]) -> bool:
    """Whether some `nodes` (or the list itself) is null although no error names it or what is in it."""
    return any(not _is_explained(path, explained) for path in null_nodes(data))


def null_nodes(data: Any, *, path: Path = ()) -> Iterator[Path]:
    """The path of every null in a list called `nodes`, and of every such list that is null itself."""
    if isinstance(data, Mapping):
        for name, value in data.items():
            if name == "nodes" and value is None:
                yield (*path, name)
            else:
                yield from null_nodes(value, path=(*path, name))
    elif isinstance(data, list):
        for place, value in enumerate(data):
            if value is None and path[-1:] == ("nodes",):
                yield (*path, place)
            else:
                yield from null_nodes(value, path=(*path, place))


def _is_explained(path: Path, explained: Set[Path]) -> bool:
    """An error below a non-null field empties its parents up to the first that may be null."""
    return any(known[: len(path)] == path for known in explained)
