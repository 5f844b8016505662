"""GitHub's published list of events and actions, as githubkit's generated models have it."""

import importlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_args

from githubkit_schemas.latest.webhooks import WebhookNamespace
from pydantic import TypeAdapter

namespace = importlib.import_module(WebhookNamespace.__module__)

EXAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "github" / "payloads"


class Example(NamedTuple):
    """One of GitHub's example payloads."""

    event: str
    action: str | None
    file: str
    payload: dict[str, Any]


EVENTS = namespace.VALID_EVENT_NAMES
"""Every event that GitHub publishes."""
ENTERPRISE_EVENTS = {
    "bypass_request_secret_scanning",
    "cache_sync",
    "dismissal_request_code_scanning",
    "dismissal_request_dependabot",
    "dismissal_request_secret_scanning",
    "enterprise",
    "exemption_request_push_ruleset",
    "organization_custom_property",
    "organization_custom_property_values",
    "user",
}
"""What only Enterprise Cloud or Enterprise Server sends, by GitHub's documentation; githubkit has no models of it."""
ENTERPRISE_ACTIONS = {("repository", "anonymous_access_enabled"), ("repository", "anonymous_access_disabled")}


@cache
def models_of(event: str) -> dict[str | None, TypeAdapter[Any]]:
    """The model of each action; an event whose payloads name no action has its model under None."""
    types = importlib.import_module(f"{namespace.__package__}.{event}").action_types
    if not isinstance(types, dict):
        action = types.model_fields.get("action")
        types = dict.fromkeys(get_args(action.annotation) if action else (None,), types)
    return {action: TypeAdapter(model) for action, model in types.items()}


def examples() -> Iterator[Example]:
    """GitHub's example payloads, where the reference folder lies beside the repository."""
    manifest = EXAMPLES / "MANIFEST.json"
    for entry in json.loads(manifest.read_bytes()) if manifest.exists() else ():
        payload = json.loads((EXAMPLES / entry["file"]).read_bytes())
        yield Example(entry["event"], payload.get("action"), entry["file"], payload)
