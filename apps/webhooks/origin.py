"""The headers of a delivery, which are not signed and therefore checked, and the routing columns found in its body."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes
from uuid import UUID

from apps.common.github_host import GitHubHost

KEPT_HEADERS = (
    "content-type",
    "user-agent",
    "x-github-event",
    "x-github-delivery",
    "x-github-hook-id",
    "x-github-hook-installation-target-id",
    "x-github-hook-installation-target-type",
    "x-github-enterprise-host",
    "x-github-enterprise-version",
    "x-github-tenant",
    "x-github-tenant-id",
)
LONGEST_KEPT_VALUE = 200
SENDER_ADDRESS = "sender-address"
"""The key, next to those headers, of the address of a signed delivery: the doctor compares it with GitHub's list."""
_ENVIRON_NAMES = tuple(
    (name, "CONTENT_TYPE" if name == "content-type" else "HTTP_" + name.upper().replace("-", "_"))
    for name in KEPT_HEADERS
)

_EVENT = re.compile(r"[a-z][a-z0-9_]{0,63}")
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HOOK_ID = re.compile(r"[0-9]{1,18}")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


class MalformedHeaderError(ValueError):
    """A header that names the delivery is missing or is not what GitHub sends."""


@dataclass(frozen=True, slots=True)
class GitHubHook:
    """The webhook that delivers, the delivery and its event."""

    hook_id: int
    guid: UUID
    event: str
    headers: Mapping[str, str] = field(repr=False)

    is_authenticated = True  # to Django REST Framework this is who asks

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "GitHubHook":
        """Read the headers of a WSGI request; MalformedHeaderError names the first that is not as it must be."""
        event = _matching(environ, "HTTP_X_GITHUB_EVENT", _EVENT)
        guid = _matching(environ, "HTTP_X_GITHUB_DELIVERY", _GUID)
        hook_id = _matching(environ, "HTTP_X_GITHUB_HOOK_ID", _HOOK_ID)
        address = environ.get("REMOTE_ADDR", "")
        headers, sender = stored_headers(environ), {SENDER_ADDRESS: address} if address else {}
        return cls(hook_id=int(hook_id), guid=UUID(guid), event=event, headers=headers | sender)


def stored_headers(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the headers on the allow-list, short and printable. Never all: GitHub once sent a secret in one."""
    kept = {}
    for name, environ_name in _ENVIRON_NAMES:
        value = environ.get(environ_name)
        if value:
            kept[name] = _UNPRINTABLE.sub("?", value[:LONGEST_KEPT_VALUE])
    return kept


def is_of_host(environ: Mapping[str, str], *, api_url: str) -> bool:
    """Return whether a delivery comes from the GitHub whose API is configured: ids mean nothing across hosts.

    Enterprise Server names itself in one header, a tenant of GHE.com in another, and github.com in none.
    """
    github = GitHubHost(api_url)
    sender = environ.get("HTTP_X_GITHUB_ENTERPRISE_HOST", "").lower().partition(":")[0]
    return (sender, environ.get("HTTP_X_GITHUB_TENANT", "").lower()) == (github.server, github.tenant)


def _matching(environ: Mapping[str, str], name: str, pattern: re.Pattern[str]) -> str:
    value = environ.get(name, "")
    if pattern.fullmatch(value) is None:
        header = name.removeprefix("HTTP_").replace("_", "-").lower()
        raise MalformedHeaderError(f"The header {header} is missing or malformed.")
    return value


WINDOW = 128 * 1024
_BIGGEST_ID = 2**63 - 1
# Inside a JSON string the quotes are escaped, so text that people write never matches.
_ACTION = re.compile(rb'\A\s{0,8}\{\s{0,8}"action"\s{0,8}:\s{0,8}"([a-z][a-z0-9_]{0,63})"')
_INSTALLATION = re.compile(rb'"installation"\s{0,8}:\s{0,8}\{\s{0,8}"id"\s{0,8}:\s{0,8}([0-9]{1,19})\b')
_REPOSITORY = re.compile(rb'"repository"\s{0,8}:\s{0,8}\{\s{0,8}"id"\s{0,8}:\s{0,8}([0-9]{1,19})\b')


@dataclass(frozen=True, slots=True)
class Routing:
    """The columns by which deliveries are claimed fairly and found; `action` is empty where there is none."""

    action: str
    installation_id: int | None
    repository_id: int | None


def find_routing(content: bytes, *, is_form: bool) -> Routing:
    """Return what the first and the last bytes of a body suggest; never fails."""
    window = content if len(content) <= 2 * WINDOW else content[:WINDOW] + b" " + content[-WINDOW:]
    if is_form:
        window = unquote_to_bytes(window.removeprefix(b"payload=").replace(b"+", b" "))
    action = _ACTION.search(window)
    return Routing(
        action=action[1].decode("ascii") if action else "",
        installation_id=_find_id(_INSTALLATION, window),
        repository_id=_find_id(_REPOSITORY, window),
    )


def _find_id(pattern: re.Pattern[bytes], window: bytes) -> int | None:
    match = pattern.search(window)
    if match is None:
        return None
    number = int(match[1])
    return number if number <= _BIGGEST_ID else None
