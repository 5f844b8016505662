"""How GitHub posts a delivery: body, headers, signature."""

import hashlib
import hmac
import json
from collections.abc import Mapping

from apps.integrations.story.shapes import Json
from apps.integrations.story.shapes.accounts import APP_ID

HOOK_ID = 482_911_003


def body_of(payload: Json) -> bytes:
    """The payload as GitHub writes it: compact, UTF-8."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def sign(body: bytes, *, secret: str) -> str:
    """The signature of a body, as the header carries it."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def signed_headers(
    body: bytes, *, secret: str, event: str, guid: str, hook_id: int = HOOK_ID, app_id: int = APP_ID
) -> Mapping[str, str]:
    """The headers of a delivery of a GitHub App, signed over the body's bytes."""
    return {
        "Accept": "*/*",
        "User-Agent": "GitHub-Hookshot/0a1b2c3",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": guid,
        "X-GitHub-Hook-ID": str(hook_id),
        "X-GitHub-Hook-Installation-Target-ID": str(app_id),
        "X-GitHub-Hook-Installation-Target-Type": "integration",
        "X-Hub-Signature-256": sign(body, secret=secret),
    }
