"""Links of the navigation, which mark the page that is open, and what else pages ask of the settings."""

from django import template
from django.template.context import RequestContext
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.users.sign_in_limits import has_mail

register = template.Library()


@register.simple_tag(takes_context=True)
def nav_link(context: RequestContext, name: str, title: str) -> SafeString:
    """Return a link to a page, marked as current on that page and on those under it; teams are under the front page."""
    url, here = reverse(name), context.request.path
    is_current = here == url or here.startswith("/teams/" if url == "/" else url)
    return format_html('<a href="{}"{}>{}</a>', url, SafeString(' aria-current="page"') if is_current else "", title)


@register.simple_tag
def has_email() -> bool:
    """Return whether mail can be sent."""
    return has_mail()
