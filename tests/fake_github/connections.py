"""GraphQL's lists, page by page."""

from base64 import b64decode, b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo
from graphql.language import FieldNode

MOST = 100
Node = dict[str, Any]


def github_error(kind: str, message: str) -> GraphQLError:
    """An error with GitHub's `type` beside it."""
    error = GraphQLError(message)
    error.extensions = {"type": kind}
    return error


def connection(items: Sequence[Any], node: Callable[[Any], Node]) -> Callable[..., Node]:
    """A resolver for a list that is all there; its cursors are places in it."""

    def resolve(info: GraphQLResolveInfo, *, first: int | None = None, after: str | None = None, **_: Any) -> Node:
        start = int(_read(after, "place")[0]) + 1 if after else 0
        page = items[start : start + _bound(info, first)]
        return {
            "totalCount": len(items),
            "nodes": [node(item) for item in page],
            "pageInfo": _page_info(
                start=start, count=len(page), total=len(items), cursor=_write("place", start + len(page) - 1)
            ),
        }

    return resolve


def keyed_connection(
    keys: Sequence[tuple[str, int]], node: Callable[[int], Node | None], *, is_descending: bool
) -> Any:
    """A resolver for a long list of (time, number), oldest first; its cursors are keys and survive changes."""

    def resolve(info: GraphQLResolveInfo, first: int | None, after: str | None) -> Node:
        count = _bound(info, first)
        at, number = _read(after, "key") if after else ("", "0")
        known = (at, int(number))
        if is_descending:
            end = bisect_left(keys, known) if after else len(keys)
            page = list(reversed(keys[max(0, end - count) : end]))
            is_more = end - count > 0
        else:
            start = bisect_right(keys, known) if after else 0
            page = list(keys[start : start + count])
            is_more = start + count < len(keys)
        last = page[-1] if page else known
        info_of_page = {"hasNextPage": is_more and bool(count), "hasPreviousPage": bool(after), "startCursor": None}
        return {
            "totalCount": len(keys),
            "nodes": [node(number) for _, number in page],
            "pageInfo": {**info_of_page, "endCursor": _write("key", *last) if page else None},
        }

    return resolve


def _bound(info: GraphQLResolveInfo, first: int | None) -> int:
    if first is None:
        if _wants_nodes(info):
            raise github_error(
                "MISSING_PAGINATION_BOUNDARIES",
                f"You must provide a `first` or `last` value to properly paginate the `{info.field_name}` connection.",
            )
        return 0
    if not 0 <= first <= MOST:
        raise github_error(
            "EXCESSIVE_PAGINATION",
            f"Requesting {first} records on the `{info.field_name}` connection exceeds the limit of 100 records.",
        )
    return first


def _wants_nodes(info: GraphQLResolveInfo) -> bool:
    selected = [found for node in info.field_nodes if node.selection_set for found in node.selection_set.selections]
    return any(isinstance(found, FieldNode) and found.name.value == "nodes" for found in selected)


def _page_info(*, start: int, count: int, total: int, cursor: str) -> Node:
    return {
        "hasNextPage": start + count < total,
        "hasPreviousPage": start > 0,
        "startCursor": None,
        "endCursor": cursor if count else None,
    }


def _write(kind: str, *parts: object) -> str:
    return b64encode("|".join(("cursor:v2", kind, *map(str, parts))).encode()).decode()


def _read(cursor: str, kind: str) -> list[str]:
    try:
        version, found, *parts = b64decode(cursor, validate=True).decode().split("|")
    except ValueError:
        version = found = ""
        parts = []
    if (version, found) != ("cursor:v2", kind):
        raise github_error("INVALID_CURSOR_ARGUMENTS", f"`{cursor}` does not appear to be a valid cursor.")
    return parts
