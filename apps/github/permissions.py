"""Permissions and events that the App needs; a test compares README's list with them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from apps.webhooks.registry import routes

ALWAYS_SENT = frozenset({"ping", "installation", "installation_repositories", "installation_target"})
"""Events that every App receives; none can subscribe to them."""

PERMISSIONS: Mapping[str, str] = {
    "actions": "read",
    "contents": "read",
    "deployments": "read",
    "issues": "read",
    "members": "read",
    "metadata": "read",
    "pull_requests": "read",
}
OF_ORGANIZATIONS = frozenset({"members"})
"""Permissions that personal accounts do not have."""
MEMBER_EVENTS = frozenset({"member", "membership", "organization", "team"})
"""The events that need these permissions."""

LEVELS = ("none", "read", "write", "admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """Missing permissions and events, by GitHub's names, sorted."""

    permissions: tuple[str, ...] = ()
    events: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.permissions or self.events)

    def __str__(self) -> str:
        parts = (("permission", self.permissions), ("event", self.events))
        return "; ".join(f"{noun}{'s' * (len(names) > 1)} {listed(names)}" for noun, names in parts if names)


def needed_events() -> frozenset[str]:
    """Return the events that the App must subscribe to: those with a translator that are not sent anyway."""
    return frozenset(name for name, _ in routes()) - ALWAYS_SENT


def lack_of(permissions: Mapping[str, str], events: Collection[str], *, is_person: bool = False) -> Lack:
    """Return what is missing in these permissions and events; personal accounts need less."""
    wanted = {name: level for name, level in PERMISSIONS.items() if not (is_person and name in OF_ORGANIZATIONS)}
    subscribed = needed_events() - (MEMBER_EVENTS if is_person else frozenset())
    return Lack(
        permissions=tuple(sorted(name for name, level in wanted.items() if not allows(permissions, name, level=level))),
        events=tuple(sorted(subscribed - set(events))),
    )


def allows(permissions: Mapping[str, str], name: str, *, level: str) -> bool:
    """Return whether the permission is granted at this level or above; unknown levels count as none."""
    given = permissions.get(name, "none")
    return given not in LEVELS or LEVELS.index(given) >= LEVELS.index(level)


def listed(names: Collection[str]) -> str:
    """Return GitHub's names as its pages show them: `pull_requests` is Pull requests."""
    return ", ".join(name.replace("_", " ").capitalize() for name in names)
