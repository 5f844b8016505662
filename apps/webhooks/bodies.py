"""Display of bodies: untrusted text, so it is escaped and cut."""

import json

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.webhooks.models import Delivery
from apps.webhooks.parsing import UnusablePayloadError, read_document

LONGEST_SHOWN = 200_000


def readable_body(delivery: Delivery) -> str | None:
    """Return the body, indented if it is JSON; None if it has expired."""
    body = delivery.body
    if body is None:
        return None
    content = bytes(body.content)
    try:
        document = read_document(content, content_type=body.headers.get("content-type", ""))
    except UnusablePayloadError:
        return content.decode("utf-8", "backslashreplace")[:LONGEST_SHOWN]
    return json.dumps(document.payload, indent=2, ensure_ascii=False)[:LONGEST_SHOWN]


def body_as_html(delivery: Delivery) -> SafeString:
    """Return the body as escaped HTML."""
    text = readable_body(delivery)
    if text is None:
        return format_html("<em>{}</em>", "The body has expired.")
    return format_html('<pre style="white-space: pre-wrap; overflow-wrap: anywhere">{}</pre>', text)


def link_to_body(delivery: Delivery) -> SafeString:
    """Return a link that shows the body in the admin."""
    url = reverse("admin:webhooks_delivery_change", args=[delivery.pk])
    return format_html('<a href="{}?body=1">Show ({} bytes)</a>', url, delivery.size)


def headers_as_text(delivery: Delivery) -> str:
    """Return the stored headers, one per line."""
    body = delivery.body
    return "\n".join(f"{name}: {value}" for name, value in sorted(body.headers.items())) if body else ""
