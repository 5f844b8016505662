"""What may stand in the query of an address: a misspelt filter must not quietly filter nothing."""

from collections.abc import Iterable, Mapping
from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.views import APIView

EVERYWHERE = ("format",)  # DRF's own, for whoever cannot send an Accept header
TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_OF_PAGES = ("limit_query_param", "offset_query_param", "cursor_query_param", "page_size_query_param")


class OnlyKnownParameters(APIView):
    """Answers 400 to a parameter that it does not know, and names those it does.

    Known are those of the filters and pages of a view and those it declares; only reading has any.
    """

    declared_parameters: Iterable[str] = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        known = self.known_parameters() if request.method in ("GET", "HEAD") else frozenset(EVERYWHERE)
        if unknown := sorted(set(request.query_params) - known):
            words = f"There is no such parameter here; there are {', '.join(sorted(known))}."
            raise ValidationError({name: [words] for name in unknown})

    def known_parameters(self) -> frozenset[str]:
        """The names that a reader may give."""
        filters = getattr(getattr(self, "filterset_class", None), "base_filters", {})
        pages = getattr(self, "pagination_class", None) if isinstance(self, ListModelMixin) else None
        of_pages = (getattr(pages, attribute, None) for attribute in _OF_PAGES)
        return frozenset([*EVERYWHERE, *self.declared_parameters, *filters, *(name for name in of_pages if name)])


def truth_in(parameters: Mapping[str, str], name: str) -> bool:
    """Return whether the parameter is true; False where it is missing, ValidationError where it is neither."""
    try:
        return parse_truth(parameters.get(name, "")) or False
    except ValueError as error:
        raise ValidationError({name: [str(error)]}) from error


def parse_truth(text: str) -> bool | None:
    """Return what the text says; None for an empty one, ValueError for one that is neither true nor false."""
    if text and text.lower() not in TRUTHS:
        raise ValueError(f"{text!r} is neither true nor false.")
    return TRUTHS.get(text.lower())
