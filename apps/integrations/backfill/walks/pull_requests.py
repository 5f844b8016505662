"""The walk through pull requests, with reviews, commits, labels and timelines."""

from apps.integrations.backfill.walking import Errand, Page, Reader
from apps.integrations.backfill.walks.pull_request_debts import go_around, pay
from apps.integrations.backfill.walks.pull_request_nodes import Found
from apps.integrations.backfill.walks.pull_request_place import Place, read_place
from apps.integrations.backfill.walks.pull_request_sweeps import first_place, read_nodes, read_numbers

PAGE_SIZE = 25
"""126 connections: one point. A second one would begin at 30."""


class PullRequestWalk:
    """Through all pull requests by creation; with `since` by update, from the latest down to it, until nothing moved.

    One page is one request. What a page leaves unfinished of a pull request is owed, and paid for request by request
    before the next page: whoever is told to wait for their turn in between has lost nothing.
    """

    page_size = PAGE_SIZE
    most = PAGE_SIZE

    def read(self, errand: Errand, reader: Reader) -> Page:
        """What is owed, else the next page."""
        place = read_place(errand.cursor) if errand.cursor else first_place(errand)
        if place.owed:
            found = pay(place.owed[0], place=place, errand=errand, reader=reader)
            return _page(place.paid(*found.owed), found)
        found, place, total = read_nodes(place, errand=errand, reader=reader)
        return _page(place, found, total=total)

    def step_over(self, errand: Errand, reader: Reader) -> Page:
        """Leave the one pull request at the cursor to REST; where REST cannot be used either, leave it out."""
        place = read_place(errand.cursor) if errand.cursor else first_place(errand)
        if place.owed:
            found = go_around(place.owed[0])
            return _page(place.paid(*found.owed), found)
        found, place = read_numbers(place, errand=errand, reader=reader)
        return _page(place, found)


def _page(place: Place, found: Found, *, total: int | None = None) -> Page:
    return Page(facts=found.facts, cursor=place.cursor(), items=found.items, total=total, skipped=found.skipped)
