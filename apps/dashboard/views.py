"""Pages of figures, notes and the API."""

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.views.decorators.http import require_POST, require_safe
from drf_spectacular.generators import SchemaGenerator
from rest_framework.exceptions import ValidationError

from apps.common import db
from apps.dashboard.board import board_of
from apps.dashboard.described_api import operations_by_tag
from apps.metrics.completeness.descriptions import advise, explain_gap
from apps.metrics.figures import FIGURES, Asked, FigureQuery, figure_of, list_entities, read_figure
from apps.metrics.figures.entities import Listing, count_entities
from apps.metrics.figures.values import completeness_by_figure
from apps.metrics.parameters import ensure_fitting, listing_in, narrowed, query_of
from apps.notifications.models import Notification
from apps.teams.models import Team
from apps.webhooks.models import Delivery

TEAMS_PER_PAGE = 5
ENTITIES_PER_PAGE = 50
NOTES_PER_PAGE = 50
WINDOWS = ("7d", "30d", "90d")


@require_safe
@login_required
def front(request: HttpRequest) -> HttpResponse:
    """Show each team that the user may see, with its figures in the window of the URL."""
    visible = _visible_teams(request)
    teams: Any = visible
    if "repository" in request.GET:  # where no team tracks any of them, the first one says so
        teams = [team for team in visible if narrowed(request.GET, team=team)] or visible
    page = Paginator(teams, TEAMS_PER_PAGE).get_page(request.GET.get("page"))
    try:
        boards = [
            board_of(query_of(team, narrowed(request.GET, team=team) or request.GET, user=request.user))
            for team in page
        ]
    except ValidationError as error:
        return invalid_filter(request, error)
    context = {"boards": boards, "page": page, **chosen(request), **set_up()}
    return render(request, "dashboard/front.html", context)


@require_safe
@login_required
def team(request: HttpRequest, slug: str) -> HttpResponse:
    """Redirect to the team on the front page."""
    for number, (other, pk) in enumerate(_visible_teams(request).values_list("slug", "pk")):
        if other == slug:
            return redirect(f"{reverse('front')}?page={number // TEAMS_PER_PAGE + 1}#team-{pk}")
    raise Http404(f"There is no team {slug!r}.")


def _visible_teams(request: HttpRequest) -> QuerySet[Team]:
    """Return the teams in the order of the front page."""
    return Team.objects.visible_to(request.user).order_by("name", "pk")


@require_safe
@login_required
def entities(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Show the entities that a figure counts."""
    team = get_object_or_404(Team.objects.visible_to(request.user), slug=slug)
    if key not in FIGURES:
        raise Http404(f"There is no figure {key!r}.")
    try:
        query = query_of(team, request.GET, user=request.user)
        ensure_fitting([key], query=query)
        shown = listing_in(request.GET, figure=FIGURES[key])
    except ValidationError as error:
        return invalid_filter(request, error)
    context = {**listing(request, key=key, query=query, shown=shown), **chosen(request)}
    return render(request, "dashboard/entities.html", context)


@require_safe
@login_required
def api_description(request: HttpRequest) -> HttpResponse:
    """Show the OpenAPI description as a page."""
    schema = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    context = {"info": schema["info"], "tags": operations_by_tag(schema), "public_url": settings.PUBLIC_URL}
    return render(request, "dashboard/api.html", context)


def listing(request: HttpRequest, *, key: str, query: FigureQuery, shown: Listing) -> dict[str, Any]:
    count = count_entities(key, query, listing=shown)
    paginator = Paginator(range(count), ENTITIES_PER_PAGE)
    page = paginator.get_page(request.GET.get("page"))
    offset = max(page.start_index() - 1, 0)
    reading = read_figure(key, query, asked=Asked(has_exclusions=True))
    return {
        "figure": figure_of(key, variant=query.variant),
        "query": query,
        "reading": reading,
        "excluded": shown.excluded,
        "left_out": [(one, n, f"?{parameters(request, excluded=one)}") for one, n in (reading.excluded or {}).items()],
        "counted_url": f"?{parameters(request, excluded='')}",
        "gaps": gaps_of(key, query=query),
        "page": page,
        "entities": list_entities(key, query, limit=ENTITIES_PER_PAGE, offset=offset, listing=shown),
        "csv_url": f"{reverse('figure-entities', args=[query.team.slug, key])}?{parameters(request, format='csv')}",
    }


def gaps_of(key: str, *, query: FigureQuery) -> list[tuple[str, str]]:
    """Return a sentence and an advice for each gap of the figure."""
    names = query.report.names
    gaps = completeness_by_figure(query, keys=[key])[key].gaps
    return [(explain_gap(gap, names=names), advise(gap)) for gap in gaps]


def invalid_filter(request: HttpRequest, error: ValidationError) -> HttpResponse:
    found = error.detail if isinstance(error.detail, dict) else {"address": error.detail}
    problems = [message for messages in found.values() for message in messages]
    return render(request, "dashboard/invalid_filter.html", {"problems": problems, **chosen(request)}, status=400)


def chosen(request: HttpRequest) -> dict[str, Any]:
    """Return the window of the URL, and links to the others that keep the rest of the URL."""
    is_custom = "from" in request.GET or "to" in request.GET
    window = "" if is_custom else request.GET.get("window") or "30d"
    return {
        "window": window,
        "windows": [(name, f"?{parameters(request, window=name)}") for name in WINDOWS],
        "bots": request.GET.get("bots", "exclude"),
        "with_bots": f"?{parameters(request, bots='include')}",
        "without_bots": f"?{parameters(request, bots='exclude')}",
        "kept": parameters(request),
        "kept_filters": filters(request),
    }


def parameters(request: HttpRequest, **changed: str) -> str:
    """Return the query string of the URL with some parameters changed, without the page."""
    kept = request.GET.copy()
    kept.pop("page", None)
    if "window" in changed:
        kept.pop("from", None)
        kept.pop("to", None)
    for name, value in changed.items():
        kept[name] = value
    return kept.urlencode()


def filters(request: HttpRequest) -> str:
    """Return the query string of the URL without the page and the period."""
    kept = request.GET.copy()
    for name in ("page", "window", "from", "to"):
        kept.pop(name, None)
    return kept.urlencode()


def set_up() -> dict[str, Any]:
    """Return what the page of a new instance shows to operators."""
    has_received = Delivery.objects.exists()
    return {"has_received": has_received, "webhook_url": f"{settings.PUBLIC_URL}{reverse('webhooks:github')}"}


@require_safe
@login_required
def notes(request: HttpRequest) -> HttpResponse:
    """Show the notes of the user, the latest first."""
    own = Notification.objects.visible_to(request.user)
    page = Paginator(own, NOTES_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "dashboard/notes.html", {"page": page})


@require_POST
@login_required
def mark_notes_read(request: HttpRequest) -> HttpResponse:
    """Mark one of the user's notes as read, or all of them when none is named."""
    own = Notification.objects.visible_to(request.user)
    named = request.POST.get("note", "")
    if named:
        own = own.filter(pk=int(named)) if db.is_id(named) else own.none()
    own.mark_read()
    return redirect("notes")


def unread_count(request: HttpRequest) -> dict[str, Any]:
    """Context processor for `unread_notes`, counted only by pages that show it."""

    def count() -> int:
        user = getattr(request, "user", None)
        return Notification.objects.visible_to(user).unread().count() if user and user.is_authenticated else 0

    return {"unread_notes": SimpleLazyObject(count)}
