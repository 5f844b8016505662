"""The list behind a number, a column or a bar: exactly what it counts, or what it leaves out for a reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Page, Paginator
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe
from rest_framework.exceptions import ValidationError

from apps.dashboard.cards import reason_in_words
from apps.dashboard.charts import days_of, short_words
from apps.dashboard.figure_filters import (
    DEFAULTS,
    OF_LISTS,
    FilterBar,
    address,
    canonical,
    changed,
    in_bucket,
    invalid_filter,
    redirect_to_canonical,
    without,
)
from apps.metrics.api.openapi_parameters import LISTING, QUERY, names
from apps.metrics.completeness.descriptions import advise, explain_gap
from apps.metrics.figures import FIGURES, Asked, Entity, Figure, FigureQuery, FigureReading, list_entities, read_figure
from apps.metrics.figures.entities import COUNTED, Listing, count_entities
from apps.metrics.figures.figure import Measure
from apps.metrics.figures.figure_reader import completeness_by_figure
from apps.metrics.figures.registry import figure_of
from apps.metrics.figures.suppression import is_list_suppressed, least_of, words_of
from apps.metrics.query_parameters import ensure_fitting, listing_in, query_of
from apps.teams.models import Team

ENTITIES_PER_PAGE = 50
OF_API = frozenset(names(*QUERY, *LISTING))


@require_safe
@login_required
def entities(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Show the entities that a figure counts."""
    team = get_object_or_404(Team.objects.visible_to(request.user), slug=slug)
    if key not in FIGURES:
        raise Http404(f"There is no figure {key!r}.")
    if moved := redirect_to_canonical(request):
        return moved
    try:
        found = list_of(team, key, canonical(request.GET), user=request.user, path=request.path)
    except ValidationError as error:
        return invalid_filter(request, error)
    return render(request, "dashboard/entities.html", {"list": found, "page": found.page, "kept": found.kept})


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """The heading of a column: where it leads, and how the list is sorted by it now (empty if it is not)."""

    title: str
    url: str
    sorted: str
    is_number: bool = False


@dataclass(frozen=True, kw_only=True)
class FigureList:
    """A page of the list behind a figure."""

    figure: Figure
    query: FigureQuery
    reading: FigureReading
    listing: Listing
    parameters: QueryDict
    path: str
    page: Page[Any]
    entities: Sequence[Entity]
    gaps: Sequence[tuple[str, str]]
    suppressed: str
    """Why the list is not shown; else empty."""

    @property
    def kept(self) -> str:
        """Return the query string without the page, for the links to other pages."""
        return without(self.parameters).urlencode()

    @property
    def count(self) -> int:
        return self.page.paginator.count

    @property
    def back(self) -> str:
        """Return the URL of the team with the filters that the user came with."""
        return address(reverse("team", args=[self.query.team.slug]), without(self.parameters, *OF_LISTS))

    @property
    def headings(self) -> list[Heading]:
        columns = [("Item", "repository"), ("By", "account"), ("At (UTC)", "-at")]
        shown = [self._heading(title, ordering) for title, ordering in columns]
        if self.has_values:
            shown.append(self._heading(self.figure.title, "-value", is_number=True))
        return shown

    def _heading(self, title: str, ordering: str, *, is_number: bool = False) -> Heading:
        now, name = self.listing.ordering, ordering.removeprefix("-")
        direction = {name: "ascending", f"-{name}": "descending"}.get(now, "")
        opposite = name if now == f"-{name}" else f"-{name}" if now == name else ordering
        return Heading(title=title, url=self.link(ordering=opposite), sorted=direction, is_number=is_number)

    @property
    def has_values(self) -> bool:
        return self.figure.measure is Measure.DISTRIBUTION

    @property
    def reasons(self) -> list[tuple[str, str, bool]]:
        """Return what is left out: how many and why, where the list of them is, and whether it is this one."""
        found = (self.reading.excluded or {}).items()
        return [
            (f"{n:,} {reason_in_words(one)}", self.link(excluded=one), one == self.listing.excluded) for one, n in found
        ]

    @property
    def counted_url(self) -> str:
        return self.link(excluded="")

    @property
    def excluded(self) -> str:
        return reason_in_words(self.listing.excluded) if self.listing.excluded else ""

    @property
    def chips(self) -> list[tuple[str, str]]:
        """Return what narrows the list, with the URL without it."""
        bar = FilterBar(parameters=self.parameters, path=self.path, query=self.query, repositories={})
        chips = bar.chips
        if self.parameters.get("bucket"):
            chips.insert(0, (days_of(self.query.window.start, self.query.window.end), self.link(bucket="")))
        if self.listing.least is not None or self.listing.below is not None:
            chips.append((self._range, address(self.path, without(self.parameters, "least", "below"))))
        return chips

    @property
    def _range(self) -> str:
        low, high = (
            None if bound is None else short_words(bound, unit=self.figure.unit)
            for bound in (self.listing.least, self.listing.below)
        )
        if high is None:
            return f"{self.figure.title}: {low} or more"
        return f"{self.figure.title}: {low or 0} to {high}"

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """Return the parameters that the search form keeps."""
        return [(name, value) for name, values in without(self.parameters, "search").lists() for value in values]

    @property
    def without_search(self) -> str:
        return self.link(search="")

    @property
    def csv_url(self) -> str:
        """Return the URL of the whole list as CSV, from the API."""
        kept = in_bucket(self.parameters)
        kept = without(kept, *(name for name in kept if name not in OF_API))
        kept["format"] = "csv"
        return f"{reverse('figure-entities', args=[self.query.team.slug, self.figure.key])}?{kept.urlencode()}"

    def link(self, **values: str) -> str:
        return address(self.path, changed(self.parameters, **values))


def list_of(team: Team, key: str, parameters: QueryDict, *, user: Any, path: str) -> FigureList:
    """Read one page of the list."""
    query = query_of(team, in_bucket(parameters), user=user)
    ensure_fitting([key], query=query)
    listing = listing_in(parameters, figure=FIGURES[key])
    reading = read_figure(key, query, asked=Asked(has_exclusions=True))
    is_suppressed = is_list_suppressed(reading, query, listing=listing)
    count = reading.n if listing == _only_ordered(listing) else count_entities(key, query, listing=listing)
    paginator = Paginator(range(0 if is_suppressed else count), ENTITIES_PER_PAGE)
    page = paginator.get_page(parameters.get("page") or DEFAULTS["page"])
    offset = max(page.start_index() - 1, 0)
    report = query.report
    found = completeness_by_figure(query, keys=[key])[key]
    return FigureList(
        figure=figure_of(key, variant=query.variant),
        query=query,
        reading=reading,
        listing=listing,
        parameters=parameters,
        path=path,
        page=page,
        entities=list_entities(key, query, limit=ENTITIES_PER_PAGE, offset=offset, listing=listing)
        if paginator.count
        else [],
        suppressed=words_of(least_of(query)) if is_suppressed else "",
        gaps=[(explain_gap(gap, names=report.names), advise(gap)) for gap in found.gaps],
    )


def _only_ordered(listing: Listing) -> Listing:
    """Return the list of all that counts, in the same order."""
    return Listing(ordering=listing.ordering) if listing != COUNTED else COUNTED
