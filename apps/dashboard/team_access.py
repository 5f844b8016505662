"""The page of people: who has access to which team and as what, invitations, and teams on GitHub; and of all users."""

from collections.abc import Mapping
from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import OuterRef, Prefetch, Q, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.activity.models import GitHubTeam
from apps.common.db import is_id
from apps.dashboard.addresses import query_string
from apps.dashboard.visible_teams import named
from apps.notifications.invitations import Issued, invite
from apps.teams.github_teams import ProposalRefusedError, create_team, members_of, proposed_to
from apps.teams.models import Invitation, Team, TeamAccess
from apps.teams.team_roles import ROLES, AccessRefusedError, change_role, remove, set_active
from apps.users.access import is_operator
from apps.users.models import CustomUser
from apps.users.sign_in_limits import has_mail

PEOPLE_PER_PAGE = 50
MOST_PROPOSALS = 50
ONLY_ADMINS = "Only admins of the team and operators may change it."


@require_safe
@login_required
@never_cache  # it shows the link of a new invitation, once
def people(request: HttpRequest) -> HttpResponse:
    """Show who has access to a team of the user's; its admins change that and invite others."""
    teams = list(Team.objects.visible_to(request.user).order_by("name", "pk"))
    team = named(teams, slug=request.GET.get("team", "")) or (teams[0] if teams else None)
    context: dict[str, Any] = {"teams": teams, "team": team, "roles": ROLES, "is_operator": is_operator(request.user)}
    if team is not None:
        may_change = Team.objects.administered_by(request.user).filter(pk=team.pk).exists()
        accesses = with_providers(TeamAccess.objects.filter(team=team)).select_related("user")
        page = Paginator(accesses.order_by("user__username"), PEOPLE_PER_PAGE).get_page(request.GET.get("page"))
        context |= {"page": page, "kept": f"team={team.slug}", "may_change": may_change}
        if may_change:
            open_ones = Invitation.objects.open().filter(team=team).select_related("invited_by")
            context |= {"invitations": list(open_ones), "has_email": has_mail()}
            context |= {"proposals": proposals_of(team, user=request.user)}
    return render(request, "dashboard/people.html", context)


def with_providers(accesses: QuerySet[TeamAccess]) -> QuerySet[TeamAccess]:
    """Return the accesses with the provider that each user signs in with; null for a password."""
    accounts = SocialAccount.objects.filter(user=OuterRef("user")).order_by("pk").values("provider")[:1]
    return accesses.annotate(provider=Subquery(accounts))


def proposals_of(team: Team, *, user: Any) -> list[tuple[GitHubTeam, list[str]]]:
    """Return the teams on GitHub of the team's account that no team was made of, each with its known members."""
    if team.account_id is None:
        return []
    free = proposed_to(user).filter(organization=team.account_id, team=None).order_by("name", "github_id")
    found = list(free[:MOST_PROPOSALS])
    members = members_of(found)
    return [(one, [str(member) for member in members[one.pk]]) for one in found]


def administered_team(request: HttpRequest, slug: str) -> Team:
    """Return the team if the user administers it; 404 if they may not see it, else 403."""
    team: Team = get_object_or_404(Team.objects.visible_to(request.user), slug=slug)
    if not Team.objects.administered_by(request.user).filter(pk=team.pk).exists():
        raise PermissionDenied(ONLY_ADMINS)
    return team


def back_to(team: Team) -> HttpResponse:
    return redirect(f"{reverse('people')}?team={team.slug}")


@require_POST
@login_required
def approve_team(request: HttpRequest, slug: str) -> HttpResponse:
    """Approve a team that came with an installation, which its people then see; for operators."""
    if not is_operator(request.user):
        raise Http404("There is no such page.")
    team = get_object_or_404(Team, slug=slug)
    team.is_approved = True
    team.save(update_fields=["is_approved"])
    messages.success(request, f"{team} is approved: people with access to it see it now.")
    return back_to(team)


@require_POST
@login_required
def invite_person(request: HttpRequest, slug: str) -> HttpResponse:
    """Create an invitation, and show its link once or say that it was sent."""
    team = administered_team(request, slug)
    email = request.POST.get("email", "").strip()
    by: Any = request.user
    try:
        issued = invite(team, role=request.POST.get("role", ""), email=email, by=by)
    except AccessRefusedError as error:
        messages.error(request, str(error))
        return back_to(team)
    say_issued(request, issued)
    return back_to(team)


def say_issued(request: HttpRequest, issued: Issued) -> None:
    email, link = issued.invitation.email, format_html('<code class="secret">{}</code>', issued.url)
    if issued.is_repeated:
        again = f"{email} was invited less than a minute ago. If no mail arrives, revoke that and invite again."
        messages.info(request, again)
    elif issued.is_mailed:
        messages.success(request, f"The invitation was sent to {email}.")
    elif email:
        words = format_html(
            "The email to {} could not be sent. Send this link yourself; it works once: {}", email, link
        )
        messages.warning(request, words)
    else:
        messages.success(request, format_html("Send this link to one person. It works once, for 7 days: {}", link))
    if issued.replaced:
        messages.info(request, "The link that you made for this role less than a minute ago no longer works.")


@require_POST
@login_required
def revoke_invitation(request: HttpRequest, slug: str) -> HttpResponse:
    """End an open invitation, whose link then no longer works."""
    team = administered_team(request, slug)
    if Invitation.objects.filter(team=team, pk=id_in(request, "invitation")).revoke():
        messages.success(request, "The invitation was revoked. Its link no longer works.")
    else:
        messages.warning(request, "This invitation was already accepted, revoked or expired.")
    return back_to(team)


@require_POST
@login_required
def change_access(request: HttpRequest, slug: str) -> HttpResponse:
    """Change the role of somebody in the team, or take their access."""
    team = administered_team(request, slug)
    found = TeamAccess.objects.select_related("team", "user").filter(team=team)
    access = get_object_or_404(found, pk=id_in(request, "access"))
    try:
        if "remove" in request.POST:
            remove(access, by=request.user)
            done = f"{access.user} no longer has access to {team}."
        else:
            role = request.POST.get("role", "")
            change_role(access, role=role, by=request.user)
            done = f"{access.user} is now {role} of {team}."
    except AccessRefusedError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, done)
    still_sees = Team.objects.visible_to(request.user).filter(pk=team.pk).exists()
    return back_to(team) if still_sees else redirect("people")


@require_POST
@login_required
def make_team(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a team of one that the team's account has on GitHub."""
    team = administered_team(request, slug)
    proposed = proposed_to(request.user).filter(organization=team.account_id)
    github_team = get_object_or_404(proposed, pk=id_in(request, "github_team"))
    try:
        made = create_team(github_team, is_kept_in_step="is_kept_in_step" in request.POST, by=request.user)
    except ProposalRefusedError as error:
        messages.error(request, str(error))
        return back_to(team)
    messages.success(request, f"Team {made} was created. Its figures are being computed.")
    return back_to(made)


@require_POST
@login_required
def change_step(request: HttpRequest, slug: str) -> HttpResponse:
    """Keep the members of a team in step with the team on GitHub that it was made of, or no longer."""
    team = administered_team(request, slug)
    if team.github_team is None:
        raise Http404("It was not made of a team on GitHub.")
    team.is_kept_in_step = request.POST.get("is_kept_in_step") == "yes"
    team.save(update_fields=["is_kept_in_step"])
    kept = f"Everyone who joins or leaves {team.github_team} on GitHub joins or leaves {team}."
    messages.success(request, kept if team.is_kept_in_step else f"{team} no longer follows {team.github_team}.")
    return back_to(team)


def id_in(request: HttpRequest, name: str) -> int:
    """Return the id that the form names; 404 if it is none."""
    text = request.POST.get(name, "")
    if not is_id(text):
        raise Http404(f"There is no {name} {text!r}.")
    return int(text)


SHOWN_USERS: Mapping[str, Q] = {
    "all": Q(),
    "operators": Q(is_superuser=True, is_active=True),
    "without a team": Q(team_accesses=None, is_superuser=False),
    "deactivated": Q(is_active=False),
}


@require_safe
@login_required
def users(request: HttpRequest) -> HttpResponse:
    """Show all users to operators."""
    show, search = request.GET.get("show", "all"), request.GET.get("search", "").strip()
    if not is_operator(request.user) or show not in SHOWN_USERS:
        raise Http404("There is no such page.")
    accounts = SocialAccount.objects.filter(user=OuterRef("pk")).order_by("pk").values("provider")[:1]
    found = CustomUser.objects.filter(SHOWN_USERS[show]).annotate(provider=Subquery(accounts))
    if search:
        found = found.filter(Q(username__icontains=search) | Q(email__icontains=search))
    accesses = Prefetch("team_accesses", TeamAccess.objects.select_related("team").order_by("team__name"))
    page = Paginator(found.prefetch_related(accesses).order_by("username"), PEOPLE_PER_PAGE).get_page(
        request.GET.get("page")
    )
    kept = query_string(request, page=None)
    context = {"page": page, "show": show, "switch": list(SHOWN_USERS), "search": search, "kept": kept}
    return render(request, "dashboard/users.html", context)


@require_POST
@login_required
def change_user(request: HttpRequest) -> HttpResponse:
    """Deactivate a user, whose sessions and API tokens then end, or activate them again; for operators."""
    if not is_operator(request.user):
        raise Http404("There is no such page.")
    user = get_object_or_404(CustomUser, pk=id_in(request, "user"))
    is_active = request.POST.get("change") == "activate"
    ended = "is deactivated: they are signed out everywhere and their API tokens no longer work."
    try:
        if set_active(user, is_active=is_active, by=request.user):
            messages.success(request, f"{user} {'can sign in again.' if is_active else ended}")
    except AccessRefusedError as error:
        messages.error(request, str(error))
    return redirect(f"{reverse('users')}?{request.GET.urlencode()}")
