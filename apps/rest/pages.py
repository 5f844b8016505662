"""Pages of the API."""

from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination, LimitOffsetPagination
from rest_framework.request import Request


class Pages(LimitOffsetPagination):
    """`limit` and `offset`, with the count of everything that matches."""

    default_limit = 50
    max_limit = 500


class NewestFirst(CursorPagination):
    """Pages that stay put while rows come in; nobody counts a table of millions for a page."""

    page_size = 50
    max_page_size = 500
    page_size_query_param = "limit"
    ordering = "-id"

    def decode_cursor(self, request: Request) -> Any:
        """A cursor that was not made here is 404, as one that cannot be decoded."""
        cursor = super().decode_cursor(request)
        try:
            int((cursor and cursor.position) or 0)
        except ValueError as error:
            raise NotFound(self.invalid_cursor_message) from error
        return cursor
