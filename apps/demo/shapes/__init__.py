"""GitHub's objects as its payloads nest them, complete with the members that are not used."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

Json = dict[str, Any]

HOST = "https://github.com"
API = "https://api.github.com"


def moment(at: datetime) -> str:
    """Return an instant as GitHub writes it: UTC, whole seconds."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_or_none(at: datetime | None) -> str | None:
    return None if at is None else moment(at)


def node_id(kind: str, number: int) -> str:
    """Return an opaque id in the style of GitHub's."""
    return f"{kind}_kwDO{number:010d}"


def links(root: str, templates: Mapping[str, str]) -> Json:
    """Return every link of an object, each below its root."""
    return {name: f"{root}{path}" for name, path in templates.items()}
