"""The page of what a user is notified of, and of a team's webhooks; the same for operators about the instance."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.common.encryption import can_encrypt
from apps.jobs.models import Job
from apps.jobs.wakeups import enqueue_jobs
from apps.notifications.alerts import open_alerts
from apps.notifications.channels import ChannelError, add_channel
from apps.notifications.message_fan_out import queue_test
from apps.notifications.models import (
    ALERTS_OF_OPERATORS,
    AlertThreshold,
    Channel,
    Subscription,
    Topic,
    WebhookMessage,
)
from apps.teams.models import Team
from apps.users.access import is_operator
from apps.users.sign_in_limits import has_mail

EXPLANATIONS = {
    Topic.DIGEST: "Every Monday morning: the week's figures, what changed, what is stuck.",
    Topic.SILENCE: "No delivery has arrived for much longer than usual.",
    Topic.FAILED_NIGHTS: "A reconciliation with GitHub failed. Team admins are always notified when this begins.",
    Topic.STUCK: "An open pull request has made no progress for too long.",
}
MOST_STUCK_DAYS = AlertThreshold.MOST_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRow:
    """A topic, and how the user is notified of it."""

    topic: Topic
    explanation: str
    by_note: bool
    by_mail: bool

    @property
    def has_note(self) -> bool:
        """Return whether notes are sent of it; a digest is too long for one."""
        return self.topic != Topic.DIGEST


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownChannel:
    """A channel and the last message that it was sent."""

    channel: Channel
    last: WebhookMessage | None

    @property
    def state(self) -> str:
        """Return sent, sending, waiting or failed; empty before the first message."""
        match self.last and self.last.state:
            case None:
                return ""
            case Job.State.DONE:
                return "sent"
            case Job.State.FAILED | Job.State.CANCELLED:
                return "failed"
        return "waiting" if self.last and self.last.error else "sending"

    @property
    def topics(self) -> list[tuple[Topic, bool]]:
        """Return each topic of the channel's team, and whether it is sent."""
        return [(topic, topic in self.channel.topics) for topic in topics_of(self.channel.team)]


class ChannelForm(forms.Form):
    """A new channel."""

    name = forms.CharField(max_length=100)
    kind = forms.ChoiceField(choices=Channel.Kind.choices)
    url = forms.CharField(max_length=2000)
    topics = forms.MultipleChoiceField(choices=Topic.choices, required=False)


class ThresholdForm(forms.Form):
    """After how many days a pull request counts as stuck."""

    stuck_days = forms.IntegerField(min_value=1, max_value=MOST_STUCK_DAYS)


def topics_of(team: Team | None) -> tuple[Topic, ...]:
    """Return what a user may be notified of, of a team or of the instance."""
    return tuple(Topic) if team else ALERTS_OF_OPERATORS


def may_lead(user: Any, team: Team | None) -> bool:
    """Return whether the user may change the team's channels: its admins and leads, and operators."""
    if team is None:
        return is_operator(user)
    return Team.objects.led_by(user).filter(pk=team.pk).exists()


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache  # it shows the signing secret of a new channel, once
def team_notifications(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what the user is notified of and the team's channels, and store the user's choice."""
    return _page(request, get_object_or_404(Team.objects.visible_to(request.user), slug=slug))


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def notifications(request: HttpRequest) -> HttpResponse:
    """Show the teams whose notifications the user may choose; to operators, also those of the instance."""
    if is_operator(request.user):
        return _page(request, None)
    if request.method == "POST":
        raise PermissionDenied
    return render(request, "dashboard/notifications.html", {"teams": _teams_of(request)})


def _page(request: HttpRequest, team: Team | None) -> HttpResponse:
    if request.method == "POST":
        store_choice(request, team)
        return _back(team)
    is_leading = may_lead(request.user, team)
    context = {
        "team": team,
        "teams": [] if team else _teams_of(request),
        "rows": rows_of(request.user, team),
        "alerts": list(open_alerts(team)[:20]),
        "is_leading": is_leading,
        "channels": shown_channels(Channel.objects.filter(team=team)) if is_leading else [],
        "kinds": Channel.Kind.choices,
        "topics": topics_of(team),
        "stuck_days": AlertThreshold.days_of(team) if team else None,
        "has_mail": has_mail(),
        "can_encrypt": can_encrypt(),
    }
    return render(request, "dashboard/notifications.html", context)


def _teams_of(request: HttpRequest) -> QuerySet[Team]:
    teams: QuerySet[Team] = Team.objects.visible_to(request.user).order_by("name", "pk")
    return teams


def _back(team: Team | None) -> HttpResponse:
    return redirect("team-notifications", team.slug) if team else redirect("notifications")


def rows_of(user: Any, team: Team | None) -> list[TopicRow]:
    """Return how the user is notified of each topic."""
    own = {one.topic: one for one in Subscription.objects.filter(user=user.pk, team=team)}
    return [
        TopicRow(
            topic=topic,
            explanation=EXPLANATIONS[topic],
            by_note=topic in own and own[topic].by_note,
            by_mail=topic in own and own[topic].by_mail,
        )
        for topic in topics_of(team)
    ]


def store_choice(request: HttpRequest, team: Team | None) -> None:
    """Store the user's choice of topics."""
    by_note, by_mail = set(request.POST.getlist("note")), set(request.POST.getlist("mail"))
    for topic in topics_of(team):
        is_noted = topic in by_note and topic != Topic.DIGEST
        Subscription.choose(request.user, team, topic, by_note=is_noted, by_mail=topic in by_mail)
    messages.success(request, "Saved.")


def shown_channels(channels: Iterable[Channel]) -> list[ShownChannel]:
    """Return the channels, each with its last message."""
    channels = list(channels)
    newest = WebhookMessage.objects.filter(channel__in=channels).order_by("channel_id", "-pk").distinct("channel_id")
    last = {message.channel_id: message for message in newest.defer("document")}
    return [ShownChannel(channel=channel, last=last.get(channel.pk)) for channel in channels]


def _team_to_lead(request: HttpRequest, slug: str) -> Team | None:
    """Return the team of a slug, or the instance for an empty one; 404 or 403 if the user may not change it."""
    if not slug and not is_operator(request.user):
        raise Http404("Only operators see the webhooks of the instance.")
    team = get_object_or_404(Team.objects.visible_to(request.user), slug=slug) if slug else None
    if not may_lead(request.user, team):
        raise PermissionDenied
    return team


@require_POST
@login_required
def change_threshold(request: HttpRequest, slug: str) -> HttpResponse:
    """Store after how many days a pull request counts as stuck."""
    team = _team_to_lead(request, slug)
    form = ThresholdForm(request.POST)
    if not form.is_valid():
        messages.error(request, f"Enter a number of days from 1 to {MOST_STUCK_DAYS}.")
    else:
        days = form.cleaned_data["stuck_days"]
        AlertThreshold.objects.update_or_create(team=team, defaults={"stuck_days": days})
        messages.success(request, f"A pull request counts as stuck after {days} days.")
    return _back(team)


@require_POST
@login_required
def add(request: HttpRequest, slug: str = "") -> HttpResponse:
    """Add a channel to the team, or to the instance."""
    team = _team_to_lead(request, slug)
    form = ChannelForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(_problems(form)))
        return _back(team)
    try:
        channel = add_channel(team, **form.cleaned_data)
    except ChannelError as error:
        messages.error(request, str(error))
        return _back(team)
    secret = f" Its messages are signed with this secret, which is shown only now: {channel.secret}"
    messages.success(request, f"{channel.name} was added. Send a test to try it.{secret if channel.secret else ''}")
    return _back(team)


def _problems(form: forms.Form) -> Iterator[str]:
    for name, errors in form.errors.items():
        yield from (f"{name.capitalize()}: {error}" for error in errors)


def _send_test(request: HttpRequest, channel: Channel) -> None:
    """Send a test, unless the last one has no result yet: each is tried for hours."""
    if not queue_test(channel):
        messages.error(request, f"The last test to {channel.name} is not finished. Wait for its result.")
        return
    enqueue_jobs()
    messages.info(request, f"A test is being sent to {channel.name}. Its result appears here.")


@require_POST
@login_required
def change(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a test to a channel, store its topics, or remove it."""
    visible = Team.objects.visible_to(request.user)
    channel = get_object_or_404(Channel.objects.select_related("team"), pk=pk)
    if channel.team is not None and not visible.filter(pk=channel.team.pk).exists():
        raise Http404("There is no such channel.")
    _team_to_lead(request, channel.team.slug if channel.team else "")
    match request.POST.get("change"):
        case "test":
            _send_test(request, channel)
        case "topics":
            channel.topics = [topic for topic in topics_of(channel.team) if topic in request.POST.getlist("topics")]
            channel.save(update_fields=["topics"])
            messages.success(request, f"Saved what is sent to {channel.name}.")
        case "remove":
            channel.delete()
            messages.success(request, f"{channel.name} was removed.")
        case _:
            raise Http404("There is no such action.")
    return _back(channel.team)
