"""The pages on which a team is made and changed: name, working hours, production, repositories and members."""

from datetime import datetime, time
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db import IntegrityError
from django.db.models import F, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.text import slugify
from django.views.decorators.http import require_http_methods, require_POST

from apps.activity.models import Repository
from apps.dashboard.team_access import administered_team, id_in
from apps.teams.models import SLUG_LENGTH, Team, TeamMember, TeamRepository, time_zones
from apps.teams.visibility import contributors_addable_to, repositories_addable_to, repositories_of
from apps.teams.working_time import FIRST_YEAR
from apps.users.access import is_operator

MEMBERS_PER_PAGE = 50
MOST_SUGGESTED = 500
"""Names that a field suggests, where any other may be typed, and rows of a list without pages."""
LAST_YEAR = 2100
WEEKDAYS = ((1, "Mon"), (2, "Tue"), (3, "Wed"), (4, "Thu"), (5, "Fri"), (6, "Sat"), (7, "Sun"))


class NewTeamForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    """The name of a new team, of which its address is made."""

    class Meta:
        model = Team
        fields = ("name",)

    def clean_name(self) -> str:
        """Reject a name whose address another team has, or that no address can be made of."""
        name: str = self.cleaned_data["name"]
        self.instance.slug = slugify(name)[:SLUG_LENGTH]
        if not self.instance.slug:
            raise forms.ValidationError("Use a name with at least one letter from A to Z, or a digit.")
        if Team.objects.filter(slug=self.instance.slug).exists():
            raise forms.ValidationError(f"There is already a team at /teams/{self.instance.slug}/. Use another name.")
        return name


class TeamForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    """What is set of a team; the rest is read from GitHub."""

    time_zone = forms.ChoiceField(choices=lambda: [(name, name) for name in sorted(time_zones())])
    working_days = forms.TypedMultipleChoiceField(
        choices=WEEKDAYS,
        coerce=int,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose one or more working days."},
    )

    class Meta:
        model = Team
        fields = (
            "name",
            "time_zone",
            "working_days",
            "working_from",
            "working_until",
            "holidays_of",
            "production_environments",
            "sync_frequency",
        )
        hours = forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
        widgets = {"working_from": hours, "working_until": hours}  # noqa: RUF012  Django's own shape
        labels = {  # noqa: RUF012
            "holidays_of": "Public holidays of",
            "working_from": "Working hours from",
            "working_until": "Working hours until",
            "sync_frequency": "Compared with GitHub",
        }
        help_texts = {  # noqa: RUF012
            "working_from": "Local time. 00:00 as the end is the end of the day.",
            "working_until": "",
            "production_environments": "Names or patterns, separated by commas; * stands for any text. Empty: those "
            "that GitHub or their name calls production, prod or live.",
            "sync_frequency": "How often deliveries that were missed are looked for: every full hour, or at 02:00 UTC.",
        }


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new_team(request: HttpRequest) -> HttpResponse:
    """Make a team by its name; for operators."""
    if not is_operator(request.user):
        raise Http404("There is no such page.")
    form = NewTeamForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            team = form.save()
        except IntegrityError:  # another was made meanwhile, which the form now finds
            form.full_clean()
        else:
            messages.success(request, f"{team} was created. Choose its repositories.")
            return redirect("team-settings", team.slug)
    return render(request, "dashboard/new_team.html", {"form": form}, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def team_settings(request: HttpRequest, slug: str) -> HttpResponse:
    """Show and store the settings of a team; for its admins and operators."""
    team = administered_team(request, slug)
    title = team.name  # is_valid() writes what was typed into the team
    form = TeamForm(request.POST or None, instance=team)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, f"Saved. The figures of {team} are being computed again.")
        return redirect("team-settings", team.slug)
    tracked = repositories_of(Team.objects.filter(pk=team.pk))
    members = team.members.select_related("contributor").order_by("contributor__login", "from_at", "pk")
    addable = repositories_addable_to(team, by=request.user)
    own = tracked.filter(pk__in=team.tracked.values("repository"))
    context = {
        "team": team,
        "title": title,
        "form": form,
        "tracked_count": tracked.count(),
        "added": own.order_by("full_name", "github_id")[:MOST_SUGGESTED],
        "added_count": own.count(),
        "addable": addable.exclude(pk__in=tracked.order_by().values("pk")).order_by("full_name")[:MOST_SUGGESTED],
        "page": Paginator(members, MEMBERS_PER_PAGE).get_page(request.GET.get("page")),
        "people": contributors_addable_to(team, by=request.user).exclude(login="").order_by("login")[:MOST_SUGGESTED],
    }
    return render(request, "dashboard/team_settings.html", context, status=422 if form.errors else 200)


@require_POST
@login_required
def change_repositories(request: HttpRequest, slug: str) -> HttpResponse:
    """Add a repository to a team, or remove one that was added."""
    team = administered_team(request, slug)
    if "remove" in request.POST:
        tracked = get_object_or_404(TeamRepository, team=team, repository=id_in(request, "remove"))
        tracked.delete()
        messages.success(request, f"{team} no longer counts {tracked.repository}.")
        return redirect("team-settings", team.slug)
    name = request.POST.get("repository", "").strip()
    named = repositories_addable_to(team, by=request.user).filter(full_name__iexact=name)
    # A repository that was deleted keeps its name, which a later one may have.
    found: Repository | None = named.order_by(F("deleted_at").desc(nulls_first=True), "-pk").first()
    if found is None:
        messages.error(request, f"You can add no repository named {name!r}. Write it as on GitHub: owner/name.")
    else:
        _tracked, is_new = TeamRepository.objects.get_or_create(team=team, repository=found)
        counts = f"{team} counts {found}." if is_new else f"{team} counted {found} already."
        messages.success(request, counts)
    return redirect("team-settings", team.slug)


@require_POST
@login_required
def change_members(request: HttpRequest, slug: str) -> HttpResponse:
    """Add a member to a team, end a membership now, or delete it with the work that counted because of it."""
    team = administered_team(request, slug)
    if "leave" in request.POST:
        end_membership(request, team)
    elif "remove" in request.POST:
        remove_membership(request, team)
    else:
        add_member(request, team)
    return redirect("team-settings", team.slug)


def add_member(request: HttpRequest, team: Team) -> None:
    """Have the work of an account count for the team, from a day or always."""
    login, since = request.POST.get("login", "").strip(), request.POST.get("since", "")
    found = contributors_addable_to(team, by=request.user).filter(login__iexact=login).exclude(login="").first()
    try:
        from_at = start_of(since, team)
    except ValueError as error:
        messages.error(request, str(error))
        return
    if found is None:
        messages.error(request, f"No account named {login!r} is known to this team.")
    else:
        _member, is_new = TeamMember.objects.get_or_create(team=team, contributor=found, from_at=from_at)
        counts = f"{found} is a member of {team}." if is_new else f"{found} was added with this start already."
        messages.success(request, counts)


def end_membership(request: HttpRequest, team: Team) -> None:
    """Let a member leave now, with all memberships that have begun and are open."""
    member = get_object_or_404(TeamMember, team=team, pk=id_in(request, "leave"))
    now = timezone.now()
    if member.until_at is not None or (member.from_at and member.from_at >= now):
        messages.error(request, f"This membership of {member.contributor} has ended, or has not begun yet.")
        return
    begun = team.members.filter(Q(from_at=None) | Q(from_at__lt=now), contributor=member.contributor)
    begun.filter(Q(until_at=None) | Q(until_at__gt=now)).update(until_at=now, is_from_github=False)
    messages.success(request, f"{member.contributor} left {team} now. Work until now still counts.")


def remove_membership(request: HttpRequest, team: Team) -> None:
    """Delete a membership with the work that counted because of it."""
    member = get_object_or_404(TeamMember, team=team, pk=id_in(request, "remove"))
    if member.would_come_back:
        again = f"{team} follows {team.github_team} on GitHub, which would add {member.contributor} again."
        messages.error(request, f"{again} Press “No longer follow it” under Who has access first.")
        return
    member.delete()
    messages.success(request, f"The membership of {member.contributor} was removed, as if it had never been.")


def start_of(text: str, team: Team) -> datetime | None:
    """Return when the day begins for the team; None without a day. ValueError if the text is no such day."""
    if not text:
        return None
    try:
        day = parse_date(text)
    except ValueError:  # such as 30 February
        day = None
    if day is None or not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(
            f"{text!r} is not a day from {FIRST_YEAR} to {LAST_YEAR}. Use a date such as 2026-03-02, or leave it empty."
        )
    return datetime.combine(day, time.min, ZoneInfo(team.time_zone))
