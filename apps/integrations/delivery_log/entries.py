"""Pages and single deliveries of GitHub's delivery log, as GitHub writes them. Pure.

The list is newest first and holds an entry for each attempt, without payload and without the hook's id; all attempts at
one event share its GUID.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.github.payload import PayloadReader
from apps.webhooks.parsing import UnusablePayloadError
from apps.webhooks.request_body import JSON, LARGEST_BODY
from apps.webhooks.signature import GitHubHook, MalformedHeaderError

FIRST_PAGE = "/app/hook/deliveries?per_page=100"
HOOK_ID = "x-github-hook-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One attempt at a delivery."""

    log_id: int
    guid: UUID
    delivered_at: datetime
    status_code: int
    event: str
    action: str
    installation_id: int | None
    repository_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedDelivery:
    """A delivery as the receiver would have taken it; its bytes are written here, from what GitHub shows."""

    hook: GitHubHook
    content: bytes = field(repr=False)


class NotRecoverableError(Exception):
    """GitHub lists the delivery, but it cannot be stored in the inbox; `reason` is one word."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason


def address_of(log_id: int) -> str:
    """Return the path of one attempt with its payload."""
    return f"/app/hook/deliveries/{log_id}"


def read_entries(listed: object, *, as_of: datetime) -> list[Entry]:
    """Return the attempts on a page that GitHub answered at `as_of`. UnusablePayloadError for anything else."""
    if not isinstance(listed, list):
        raise UnusablePayloadError("shape_mismatch", "the log of deliveries is no list")
    return [
        _read_entry(PayloadReader(described, path=f"deliveries[{place}]", arrived_at=as_of))
        for place, described in enumerate(listed)
    ]


def _read_entry(entry: PayloadReader) -> Entry:
    return Entry(
        log_id=entry.id(),
        guid=_guid(entry),
        delivered_at=entry.time("delivered_at"),
        status_code=_status_code(entry),
        event=entry.text("event"),
        action=entry.text_or_none("action") or "",
        installation_id=entry.id_or_none("installation_id"),
        repository_id=entry.id_or_none("repository_id"),
    )


def _guid(entry: PayloadReader) -> UUID:
    try:
        return UUID(entry.text("guid"))
    except ValueError as error:
        raise entry.mismatch("guid", "is not a GUID") from error


def _status_code(entry: PayloadReader) -> int:
    """Return the status of the answer, 0 if there was none."""
    code = entry.id_or_none("status_code") or 0
    return code if code < 1000 else 0  # noqa: PLR2004  HTTP has three digits


def by_guid(entries: Iterable[Entry]) -> dict[UUID, list[Entry]]:
    """Group the attempts by event, newest first as they are listed."""
    found: dict[UUID, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.guid, []).append(entry)
    return found


def newest(attempts: Sequence[Entry]) -> Entry:
    """Return the attempt that GitHub made last."""
    return max(attempts, key=lambda entry: entry.log_id)


def hook_id_of(detail: object) -> int | None:
    """Return the hook that a delivery went to, None if GitHub does not say."""
    shown = _headers(detail).get(HOOK_ID, "")
    return int(shown) if shown.isascii() and shown.isdigit() and len(shown) < 19 else None  # noqa: PLR2004  bigint


def read_delivery(detail: object, *, guid: UUID, event: str, hook_id: int) -> FetchedDelivery:
    """Return the delivery as the receiver would have taken it, or raise NotRecoverableError.

    Headers that GitHub does not show are taken from the list's entry.
    """
    payload = _request(detail).get("payload")
    if not isinstance(payload, Mapping) or not payload:
        raise NotRecoverableError("no_payload", "GitHub shows no payload.")
    listed = {"x-github-delivery": str(guid), "x-github-event": event, HOOK_ID: str(hook_id)}
    shown = {**listed, **_headers(detail), "content-type": JSON}
    try:
        hook = GitHubHook.from_environ({_environ_name(name): value for name, value in shown.items()})
    except MalformedHeaderError as error:
        raise NotRecoverableError("malformed_header", str(error)) from error
    if hook.guid != guid:
        raise NotRecoverableError("other_delivery", f"GitHub shows {hook.guid} instead.")
    return FetchedDelivery(hook=hook, content=_written(payload))


def _written(payload: Mapping[str, Any]) -> bytes:
    """Return the payload as GitHub writes it: compact, UTF-8."""
    try:
        text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise NotRecoverableError("not_json", str(error)) from error
    content = text.encode()
    if len(content) > LARGEST_BODY:
        raise NotRecoverableError("too_large", f"It has {len(content)} bytes.")
    return content


def _request(detail: object) -> Mapping[str, Any]:
    request = detail.get("request") if isinstance(detail, Mapping) else None
    return request if isinstance(request, Mapping) else {}


def _headers(detail: object) -> dict[str, str]:
    headers = _request(detail).get("headers")
    pairs = headers.items() if isinstance(headers, Mapping) else ()
    return {str(name).lower(): value for name, value in pairs if isinstance(value, str)}


def _environ_name(header: str) -> str:
    return "CONTENT_TYPE" if header == "content-type" else f"HTTP_{header.upper().replace('-', '_')}"
