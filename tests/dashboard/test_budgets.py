"""Every page, and every part of one that htmx loads: at most 12 queries and 150 kB."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, reverse

from apps.dashboard.urls import urlpatterns
from tests.api.conftest import Cast
from tests.dashboard.every_page import ELSEWHERE, PAGES, every_address, world
from tests.dashboard.test_pages import signed_in

__all__ = ["world"]

pytestmark = pytest.mark.django_db
MOST_QUERIES, MOST_BYTES = 12, 150_000


@pytest.mark.parametrize("who", ["operator", "admin"])
def test_no_page_takes_many_queries_or_is_large(week: Cast, world: dict[str, Any], who: str) -> None:
    """All pages share one world, which takes longest to make."""
    client = signed_in(getattr(week, who))
    costs = {address: cost_of(client, address) for address in every_address(world)}
    assert {address: cost for address, cost in costs.items() if cost[0] > MOST_QUERIES or cost[1] > MOST_BYTES} == {}


def cost_of(client: Client, address: str) -> tuple[int, int]:
    """Return the queries and bytes of a page that was opened before."""
    client.get(address)
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(address)
    assert answer.status_code in (200, 302, 404), address
    return len(queries), len(answer.content)


def test_every_page_is_held_to_this(week: Cast) -> None:
    """Whatever else has an address only takes what is posted."""
    client = signed_in(week.operator)
    known = {**PAGES, **ELSEWHERE}
    for name, pattern in named(urlpatterns):
        if name not in known:
            values = {"slug": "acme", "pk": 1, "token": "x", "secret": "x"}
            own = {key: values[key] for key in pattern.pattern.converters}
            assert client.get(reverse(name, kwargs=own)).status_code == 405, name


def named(patterns: list[URLPattern | URLResolver]) -> Iterator[tuple[str, URLPattern]]:
    for each in patterns:
        if isinstance(each, URLResolver):
            yield from named(each.url_patterns)
        else:
            yield str(each.name), each
