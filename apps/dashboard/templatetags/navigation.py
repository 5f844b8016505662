"""Links of the navigation, which mark the page that is open."""

from django import template
from django.template.context import RequestContext
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag(takes_context=True)
def nav_link(context: RequestContext, name: str, title: str) -> SafeString:
    """Return a link to a page, marked as current on that page and on those under it."""
    url, here = reverse(name), context.request.path
    is_current = here == url or (url != "/" and here.startswith(url))
    return format_html('<a href="{}"{}>{}</a>', url, SafeString(' aria-current="page"') if is_current else "", title)
