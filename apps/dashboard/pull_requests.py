"""The page of a pull request: its life, the sources of its instants, and the figures it counts in."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from apps.activity.models import PullRequest
from apps.dashboard.addresses import link, on_github
from apps.dashboard.timelines import FAILED, WORDS, timeline_of
from apps.dashboard.visible_teams import named, unread_of
from apps.metrics.explanation.boundaries import WORDS as REJECTED
from apps.metrics.explanation.boundaries import Boundary, Candidate, Shipping
from apps.metrics.explanation.life import Life, Moment, Stage, life_of
from apps.metrics.explanation.pull_request import (
    NOT_APPLICABLE,
    Counted,
    Explanation,
    Source,
    chosen,
    counted,
    explain,
    explain_reason,
    query_for,
)
from apps.metrics.figures import Bots, FigureQuery, Hours
from apps.metrics.figures.figure import Measure
from apps.metrics.figures.formatting import as_words, unit_beside
from apps.teams.models import Team
from apps.teams.visibility import repositories_visible_to, teams_tracking
from apps.users.access import is_operator

TABS = {"overview": "Overview", "sources": "Sources", "figures": "Figures"}
MOST_TEAMS = 20
MOST_REJECTED = 20
FLAGS = {
    "agent": "An agent opened it",
    "ai_assisted": "A person opened it, and a tool took part",
    "ai_reviewed": "A tool reviewed it",
    "auto_merged": "Auto-merge was on when it was merged",
    "bot": "A bot opened it",
    "cherry_picked": "One of its commits copies an earlier one",
    "draft": "It is a draft now",
    "first_commit_adjusted": "The date of its first commit was implausible and was corrected",
    "force_pushed": "Commits already pushed were replaced",
    "hotfix": "Its branch, label or title marks it as a hotfix",
    "opened_as_draft": "It was opened as a draft",
    "queued": "It was in the merge queue",
    "reopened": "It was closed, and opened again",
    "revert": "It undoes another pull request",
    "reverted": "Another pull request has undone it",
    "reviewed_in_draft": "A review came while it was a draft",
}
"""What each flag says."""
BOUNDARIES = {
    "first_commit": "First commit",
    "opened": "Opened",
    "ready": "Ready for review",
    "first_review": "First review",
    "first_approval": "First approval",
    "merged": "Merged",
    "landed": "On the default branch",
}


@require_safe
@login_required
def pull_request(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a part of the page of a pull request in a repository that the user may see."""
    show = request.GET.get("show", "overview")
    if show not in TABS:
        raise Http404(f"There is no part {show!r}.")
    repositories = repositories_visible_to(request.user).order_by().values("pk")
    known = PullRequest.objects.filter(repository__in=repositories).annotate(unread_count=unread_of(request.user))
    found: Any = get_object_or_404(known.select_related("repository", "author", "merged_by"), pk=pk)
    teams, team = ([], None) if show == "sources" else teams_of(found, request)
    context = {
        "pull_request": found,
        "github_url": on_github(found.repository.full_name, f"pull/{found.number}"),
        "show": show,
        "tabs": [
            (name, title, link(request, show=None if name == "overview" else name)) for name, title in TABS.items()
        ],
        "team": team,
        "teams": [(each, link(request, team=each.slug)) for each in teams],
        "unread_notes": found.unread_count or 0,
        **PARTS[show](found, team, request),
    }
    return render(request, f"dashboard/pull_request/{show}.html", context)


def teams_of(found: PullRequest, request: HttpRequest) -> tuple[list[Team], Team | None]:
    """Return the user's teams that track the repository, and the chosen one of them."""
    tracking = teams_tracking(found.repository, teams=Team.objects.visible_to(request.user))
    teams = list(tracking.order_by("name", "pk")[:MOST_TEAMS])
    return teams, named(teams, slug=request.GET.get("team", "")) or (teams[0] if teams else None)


def query_of_life(found: PullRequest, team: Team | None) -> FigureQuery | None:
    """Return the query of its whole life; None without a team, or while only its number is known."""
    if team is None or found.created_at is None:
        return None
    return query_for(team, opened_at=found.created_at, bots=Bots.EXCLUDE, hours=Hours.WALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownStage:
    """A stage with its share of the whole, in percent."""

    stage: Stage
    percent: int


def overview(found: PullRequest, team: Team | None, _: HttpRequest) -> dict[str, Any]:
    life = life_of(found, query=query_of_life(found, team))
    total = life.total_seconds
    return {
        "life": life,
        "state": state_of(found, life),
        "timeline": timeline_of(life),
        "stages": [
            ShownStage(stage=each, percent=round(100 * each.seconds / total) if total else 0) for each in life.stages
        ],
        "flags": [(flag, FLAGS.get(flag, "")) for flag in life.flags],
        "moments": [(title_of_moment(each), each) for each in life.moments],
        "runs": [(each, on_github(found.repository.full_name, f"actions/runs/{each.run_id}")) for each in life.runs],
        "failed": FAILED,
    }


def title_of_moment(moment: Moment) -> str:
    """Return what happened; of a deployment to production, also to which environment if that has another name."""
    title = WORDS.get(moment.kind, moment.kind)
    is_named = moment.kind == "deployed_to_production" and moment.detail not in ("", "production")
    return f"{title} ({moment.detail})" if is_named else title


def state_of(found: PullRequest, life: Life) -> str:
    """Return its state in a word or two."""
    if found.merged_at:
        return "deployed" if life.shipped else "merged"
    if found.state == PullRequest.State.CLOSED:
        return "closed"
    return "draft" if found.is_draft else "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSource:
    """Where an instant comes from: a delivery, a read of the API, or a report; `url` is for operators."""

    source: Source
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownBoundary:
    """An instant with its rule, its sources, and what was rejected and why."""

    title: str
    boundary: Boundary
    sources: Sequence[ShownSource]
    rejected: Sequence[tuple[Candidate, str, str]]
    left: int

    @property
    def count(self) -> int:
        return len(self.rejected) + self.left


def sources(found: PullRequest, _: Team | None, request: HttpRequest) -> dict[str, Any]:
    explanation = explain(found)
    if explanation is None:
        return {"boundaries": ()}
    titled = [(each, title_of(each)) for each in (*explanation.boundaries, *explanation.deployments)]
    may_open = is_operator(request.user)
    return {
        "explanation": explanation,
        "boundaries": [
            shown_boundary(each, title=title, explanation=explanation, may_open=may_open) for each, title in titled
        ],
    }


def title_of(boundary: Boundary) -> str:
    if not isinstance(boundary, Shipping):
        return BOUNDARIES[boundary.name]
    where = " of ".join(part for part in (boundary.environment, boundary.service) if part)
    return f"Deployed to {where}" if where else "Deployed"


def shown_boundary(boundary: Boundary, *, title: str, explanation: Explanation, may_open: bool) -> ShownBoundary:
    entities = boundary.chosen.entities if boundary.chosen else ()
    rejected = [each for each in boundary.candidates if each.reason]
    return ShownBoundary(
        title=title,
        boundary=boundary,
        sources=[
            ShownSource(source=each, url=delivery_url(each) if may_open else "")
            for each in chosen(explanation.sources, entities)
        ],
        rejected=[
            (each, explanation.logins.get(each.account_id or 0, ""), REJECTED.get(each.reason, each.reason))
            for each in rejected[:MOST_REJECTED]
        ],
        left=max(len(rejected) - MOST_REJECTED, 0),
    )


def delivery_url(source: Source) -> str:
    """Return the page of a delivery; empty for what is none, or is not stored any more."""
    return "" if source.delivery is None else reverse("delivery", args=[source.key])


def figures(found: PullRequest, team: Team | None, _: HttpRequest) -> dict[str, Any]:
    query = query_of_life(found, team)
    every = counted((found.repository_id, found.number), query) if query else []
    return {
        "query": query,
        "counts": [(each, value_of(each)) for each in every if not each.reason],
        "left_out": list(grouped(every)),
        "others": [each for each in every if each.reason == NOT_APPLICABLE],
    }


def value_of(one: Counted) -> str:
    """Return what a figure takes of it, in words."""
    if one.value is None:
        return "counts"
    if one.figure.measure is Measure.SHARE:
        return "yes" if one.value else "no"
    words = as_words(one.value, unit=one.figure.unit)
    return f"{words} {unit_beside(one.figure.unit, value=one.value)}".rstrip()


def grouped(every: Sequence[Counted]) -> Iterator[tuple[str, list[Counted]]]:
    """Yield each reason in a sentence, and the figures that leave it out for that."""
    by_reason: Mapping[str, list[Counted]] = defaultdict(list)
    for each in every:
        if each.reason and each.reason != NOT_APPLICABLE:
            by_reason[each.reason].append(each)
    for reason, own in by_reason.items():
        yield explain_reason(reason), own


PARTS: Mapping[str, Callable[[PullRequest, Team | None, HttpRequest], dict[str, Any]]] = {
    "overview": overview,
    "sources": sources,
    "figures": figures,
}
