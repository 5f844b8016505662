"""Pages of the weekly digest: its preview, the subscription to it, and the link that ends one without signing in."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.metrics.digest import last_week, read_digest, read_stuck_sections
from apps.metrics.figures import Window
from apps.metrics.figures.windows import WEEK
from apps.notifications import mail_job
from apps.notifications.digests import context_of, due_in_week_of, message_of, shown_stuck
from apps.notifications.models import Subscription, Topic
from apps.teams.models import Team
from apps.teams.working_time import FIRST_YEAR
from apps.users.sign_in_limits import has_mail


@require_safe
@login_required
def digest(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the digest of the last week, or of an earlier one, as it is sent, and whether the user gets it."""
    own = Subscription.objects.filter(user=request.user.pk, team=OuterRef("pk"), topic=Topic.DIGEST, by_mail=True)
    team: Any = get_object_or_404(Team.objects.visible_to(request.user).annotate(is_subscribed=Exists(own)), slug=slug)
    last = last_week(team)
    week = week_in(request.GET.get("week", ""), last=last)
    shown = context_of(read_digest(team, week=week, has_stuck=False))
    context = {
        **shown,
        "earlier": week.previous().start,
        "later": week.end if week.start < last.start else None,
        "is_subscribed": team.is_subscribed,
        "next_at": next_digest_at(team, now=datetime.now(UTC)),
        "has_mail": has_mail(),
        "shown": week,
    }
    return render(request, "dashboard/digest.html", context)


@require_safe
@login_required
def digest_text(request: HttpRequest, slug: str) -> HttpResponse:
    """Return the text of the mail, which also says how complete the figures are."""
    team = get_object_or_404(Team.objects.visible_to(request.user), slug=slug)
    week = week_in(request.GET.get("week", ""), last=last_week(team))
    text = message_of(read_digest(team, week=week)).text
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


@require_safe
@login_required
def digest_stuck(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what is stuck, as the digest does; its page asks for it when it is open, since it takes longest."""
    team = get_object_or_404(Team.objects.visible_to(request.user), slug=slug)
    return render(
        request, "dashboard/digest_stuck.html", {"team": team, "stuck": shown_stuck(read_stuck_sections(team))}
    )


def week_in(text: str, *, last: Window) -> Window:
    """Return the week of a day like 2026-03-02, not later than the last one; Http404 for another text."""
    if not text:
        return last
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise Http404("This is not a day like 2026-03-02.") from error
    if day.year < FIRST_YEAR:
        raise Http404("Choose a later week: GitHub did not exist then.")
    monday = min(day - timedelta(days=day.weekday()), last.start)
    return replace(last, start=monday, end=monday + WEEK)


def next_digest_at(team: Team, *, now: datetime) -> datetime:
    """Return when the next digest is due, in the team's time zone."""
    due_at = due_in_week_of(now, team=team)
    return due_at if due_at > now else due_at + WEEK


@require_POST
@login_required
def subscribe(request: HttpRequest, slug: str) -> HttpResponse:
    """Have the digest sent to the user by mail every week, or no longer."""
    team = get_object_or_404(Team.objects.visible_to(request.user), slug=slug)
    is_wanted = request.POST.get("subscribe") == "yes"
    Subscription.choose(request.user, team, Topic.DIGEST, by_note=False, by_mail=is_wanted)
    words = "You get the weekly digest" if is_wanted else "You no longer get the weekly digest"
    messages.success(request, f"{words} of {team.name}.")
    return redirect("digest", slug)


@csrf_exempt  # mail programs post here by themselves, without a cookie (RFC 8058): the signed link is the permission
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Ask whether the mails of a link's topic shall end, and end them when it is posted; nobody need sign in."""
    subscription = mail_job.subscription_of(token)
    if subscription is None:
        raise Http404("This link is not valid, or what it is about is gone.")
    if request.method == "POST":
        mail_job.unsubscribe(subscription)
    context = {"subscription": subscription, "is_over": request.method == "POST" or not subscription.by_mail}
    return render(request, "dashboard/unsubscribe.html", context)
