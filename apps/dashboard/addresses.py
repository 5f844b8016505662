"""Addresses of pages: what of the query string is kept, and pages on GitHub."""

from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest


def query_string(request: HttpRequest, **changed: str | None) -> str:
    """Return the query string of the address without what is empty, some parameters changed; None removes one."""
    kept = request.GET.copy()
    for name, value in changed.items():
        kept[name] = value or ""
    for name in [name for name, value in kept.items() if not value]:
        del kept[name]
    return kept.urlencode()


def link(request: HttpRequest, **changed: str | None) -> str:
    """Return the link to this page with some parameters changed."""
    return f"?{query_string(request, **changed)}"


def on_github(repository: str, path: str = "") -> str:
    """Return the URL on GitHub of a repository, or of a path in it."""
    return f"{settings.GITHUB_URL}/{quote(repository)}{f'/{path}' if path else ''}"
