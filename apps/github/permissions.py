"""What the App must be allowed and told, so that everything we handle arrives: README's list is held against this."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from apps.webhooks.registry import routes

UNASKED = frozenset({"ping", "installation", "installation_repositories", "installation_target"})
"""Every App is told of these; none can subscribe to them, or not."""

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
"""Permissions that an account of a person does not give, as it has nothing of the kind."""
TOLD_TO_MEMBERS = frozenset({"member", "membership", "organization", "team"})
"""The events that need these permissions."""

LEVELS = ("none", "read", "write", "admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """What is missing of the permissions and events that we need, by GitHub's names, sorted."""

    permissions: tuple[str, ...] = ()
    events: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.permissions or self.events)

    def __str__(self) -> str:
        parts = (("permission", self.permissions), ("event", self.events))
        return "; ".join(f"{noun}{'s' * (len(names) > 1)} {listed(names)}" for noun, names in parts if names)


def needed_events() -> frozenset[str]:
    """The events that the App must subscribe to: those that have a translator, and that are not sent unasked."""
    return frozenset(name for name, _ in routes()) - UNASKED


def lack_of(permissions: Mapping[str, str], events: Collection[str], *, is_person: bool = False) -> Lack:
    """What these permissions and events leave out of what we need; less is needed of an account of a person."""
    wanted = {name: level for name, level in PERMISSIONS.items() if not (is_person and name in OF_ORGANIZATIONS)}
    told = needed_events() - (TOLD_TO_MEMBERS if is_person else frozenset())
    return Lack(
        permissions=tuple(sorted(name for name, level in wanted.items() if not allows(permissions, name, level=level))),
        events=tuple(sorted(told - set(events))),
    )


def allows(permissions: Mapping[str, str], name: str, *, level: str) -> bool:
    """Whether the permission is there at this level or above; a level that is new to us is above none."""
    given = permissions.get(name, "none")
    return given not in LEVELS or LEVELS.index(given) >= LEVELS.index(level)


def listed(names: Collection[str]) -> str:
    """GitHub's names as its pages write them: `pull_requests` is Pull requests."""
    return ", ".join(name.replace("_", " ").capitalize() for name in names)
