"""The page of what is stuck now: what waits for a review, a merge or a deployment, and whose checks fail."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.activity.models import Repository
from apps.dashboard.addresses import link, on_github
from apps.dashboard.visible_teams import named
from apps.metrics.figures import Bots
from apps.metrics.stuck import LOOKS_BACK_DAYS, TITLES, Filters, Reason, Section, StuckPullRequest, read_stuck
from apps.teams.models import Team
from apps.teams.visibility import repositories_of

SHOWN = {"stuck": "Stuck", "all": "Everything waiting"}
MOST_REPOSITORIES, MOST_REVIEWERS = 200, 20
DEFINITIONS: Mapping[Reason, str] = {
    Reason.REVIEW: "Open, not a draft, not approved: a requested reviewer has not answered, or nobody has reviewed it "
    "yet. Counted from the request, or from when it became ready for review.",
    Reason.MERGE: "Approved, and no reviewer's latest review asks for changes. Counted from the last approval.",
    Reason.DEPLOYMENT: f"Merged in the last {LOOKS_BACK_DAYS} days and not yet in production, in repositories that "
    "deploy to production.",
    Reason.CHECKS: "Open, not a draft: the latest run of a workflow failed on the latest commit.",
}
COLUMNS: Mapping[Reason, str] = {Reason.REVIEW: "Waiting for", Reason.CHECKS: "Failing checks"}
NOTHING: Mapping[Reason, str] = {
    Reason.REVIEW: "Nothing is waiting for review.",
    Reason.MERGE: "Nothing approved is waiting to be merged.",
    Reason.DEPLOYMENT: "Nothing merged is waiting for production.",
    Reason.CHECKS: "No checks are failing.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRow:
    """A pull request of a section, as a line of its table."""

    stuck: StuckPullRequest
    age_seconds: float
    working_hours: int
    github_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSection:
    """A section with its words; `waited_for`: reviewers, with how many of the rows wait for each, and their link."""

    section: Section
    title: str
    definition: str
    column: str
    nothing: str
    rows: Sequence[ShownRow]
    waited_for: Sequence[tuple[str, int, str]]


@require_safe
@login_required
def now(request: HttpRequest) -> HttpResponse:
    """Show what is stuck, of all teams that the user may see or of one."""
    show = request.GET.get("show", "stuck")
    if show not in SHOWN:
        raise Http404(f"There is no list {show!r}.")
    teams = list(Team.objects.visible_to(request.user).order_by("name", "pk"))
    team = named(teams, slug=request.GET.get("team", "")) or (teams[0] if len(teams) == 1 else None)
    chosen = [team] if team else teams
    repositories = repositories_by_name(chosen)
    repository = request.GET.get("repository", "").strip()
    filters = Filters(
        is_everything=show == "all",
        bots=Bots.INCLUDE if request.GET.get("bots") == "include" else Bots.EXCLUDE,
        repository_ids=ids_of(repository, teams=chosen, known=repositories) if repository else None,
        reviewer=request.GET.get("reviewer", ""),
    )
    reasons = (Reason.REVIEW,) if filters.reviewer else tuple(Reason)
    seen_at = timezone.now()
    sections = read_stuck(chosen, filters=filters, reasons=reasons, now=seen_at)
    context = {
        "sections": [shown_section(each, request=request, seen_at=seen_at) for each in sections],
        "seen_at": seen_at,
        "show": show,
        "shows": [(name, title, link(request, show=name)) for name, title in SHOWN.items()],
        "team": team,
        "teams": [(each, link(request, team=each.slug)) for each in teams],
        "all_teams": link(request, team=""),
        "repository": repository,
        "repositories": repositories,
        "is_unknown": bool(repository) and not filters.repository_ids,
        "without_repository": link(request, repository=""),
        "bots": filters.bots,
        "with_bots": link(request, bots="include"),
        "without_bots": link(request, bots=""),
        "reviewer": filters.reviewer,
        "without_reviewer": link(request, reviewer=""),
        "kept": [(name, value) for name, value in request.GET.items() if name not in ("repository", "page")],
    }
    return render(request, "dashboard/now.html", context)


def repositories_by_name(teams: Sequence[Team]) -> dict[str, int]:
    """Return the repositories of these teams, to choose one of; of very many, the first ones."""
    return dict(tracked_by(teams).order_by("full_name").values_list("full_name", "pk")[:MOST_REPOSITORIES])


def tracked_by(teams: Sequence[Team]) -> QuerySet[Repository]:
    return repositories_of(Team.objects.filter(pk__in=[each.pk for each in teams]))


def ids_of(name: str, *, teams: Sequence[Team], known: Mapping[str, int]) -> list[int]:
    """Return the repository of a name, in upper or lower case; none if the teams track none."""
    found = [pk for each, pk in known.items() if each.lower() == name.lower()]
    if found or len(known) < MOST_REPOSITORIES or "\0" in name:
        return found
    return list(tracked_by(teams).filter(full_name__iexact=name).values_list("pk", flat=True))


def shown_section(section: Section, *, request: HttpRequest, seen_at: datetime) -> ShownSection:
    reason = section.reason
    names = Counter(name for row in section.rows for name in row.waits_for) if reason is Reason.REVIEW else Counter()
    return ShownSection(
        section=section,
        title=TITLES[reason],
        definition=DEFINITIONS[reason],
        column=COLUMNS.get(reason, ""),
        nothing=NOTHING[reason],
        rows=[shown_row(each, seen_at=seen_at) for each in section.rows],
        waited_for=[
            (name, count, "" if name.startswith("@") else link(request, reviewer=name))
            for name, count in names.most_common(MOST_REVIEWERS)
        ],
    )


def shown_row(row: StuckPullRequest, *, seen_at: datetime) -> ShownRow:
    return ShownRow(
        stuck=row,
        age_seconds=(seen_at - row.since).total_seconds(),
        working_hours=int(row.working_seconds // 3600),
        github_url=on_github(row.repository, f"pull/{row.number}"),
    )
