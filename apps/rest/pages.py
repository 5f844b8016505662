"""Pages of the API."""

from rest_framework.pagination import LimitOffsetPagination


class Pages(LimitOffsetPagination):
    """`limit` and `offset`, with the count of everything that matches."""

    default_limit = 50
    max_limit = 500
