"""What the API says where there is nothing: its errors are JSON everywhere."""

from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.views import APIView


class NothingThere(APIView):
    """404 for every method at every address that no view of the API answers."""

    schema = None
    permission_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound("There is nothing at this address. The addresses are listed at /api/v1/docs/.")
