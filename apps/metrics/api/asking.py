"""The parameters of figures, as the OpenAPI description tells them."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from apps.metrics.figures import FIGURES

WINDOW = [
    OpenApiParameter("window", str, description="The last days, today included: `7d`, `30d` (default), `90d`, …"),
    OpenApiParameter("from", OpenApiTypes.DATE, description="Instead of `window`: the first day, in the team's zone."),
    OpenApiParameter("to", OpenApiTypes.DATE, description="With `from`: the first day that no longer counts."),
    OpenApiParameter("bots", str, enum=["exclude", "include", "only"], description="Whether bots' work counts."),
    OpenApiParameter(
        "repository", str, many=True, description="Only these: GitHub's id or the full name; repeat it for several."
    ),
    OpenApiParameter(
        "as_of", OpenApiTypes.DATETIME, description="Seen from this instant, with its zone; now unless given."
    ),
]
FIGURE = OpenApiParameter("figure", str, many=True, enum=list(FIGURES), description="Only these; all unless given.")
KEY = OpenApiParameter("key", str, OpenApiParameter.PATH, enum=list(FIGURES), description="Which figure.")
PREVIOUS = OpenApiParameter("previous", bool, description="Also read as many days just before the window.")
FORMAT = OpenApiParameter("format", str, enum=["json", "csv"], description="CSV holds the whole list, not a page.")


def names(*parameters: OpenApiParameter) -> tuple[str, ...]:
    """What the parameters are called in an address."""
    return tuple(parameter.name for parameter in parameters)
