"""Bodies as people read them. They are strangers' text: shown escaped, and only so much of them."""

import json

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.webhooks.models import Delivery
from apps.webhooks.parsing import UnusablePayloadError, read_document

LONGEST_SHOWN = 200_000


def readable_body(delivery: Delivery) -> str | None:
    """The body, indented where it is JSON; None when it has expired."""
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
    """The body escaped, for a page."""
    text = readable_body(delivery)
    if text is None:
        return format_html("<em>{}</em>", "The body has expired.")
    return format_html('<pre style="white-space: pre-wrap; overflow-wrap: anywhere">{}</pre>', text)


def link_to_body(delivery: Delivery) -> SafeString:
    """A link that shows the body in the admin."""
    url = reverse("admin:webhooks_delivery_change", args=[delivery.pk])
    return format_html('<a href="{}?body=1">Show ({} bytes)</a>', url, delivery.size)


def headers_as_text(delivery: Delivery) -> str:
    """The headers that were kept, one a line."""
    body = delivery.body
    return "\n".join(f"{name}: {value}" for name, value in sorted(body.headers.items())) if body else ""
