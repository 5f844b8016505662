"""Messages to people and channels: what one says, and the jobs that send it, one for each who chose its topic."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from apps.notifications.models import (
    Channel,
    MailMessage,
    Notification,
    Subscription,
    Topic,
    WebhookMessage,
)
from apps.teams.models import Team

PRIORITY = 1
TEST = "test"
LONGEST_HEADER, LONGEST_SECTION, MOST_SECTIONS = 150, 2900, 40
"""The limits of Slack's blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is said of a team, or of the instance where that is None, in each of the forms that it is sent in.

    `sections` are paragraphs in Slack's markup, escaped; `data` is added to the document of a signed webhook.
    """

    topic: Topic
    event: str
    team: Team | None
    subject: str
    text: str
    url: str
    sections: tuple[str, ...]
    html: str = ""
    note: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


def queue(message: Message, *, about: str) -> int:
    """Have the message sent to all who chose its topic, once for each `about`; return how many jobs are new.

    Nothing is sent of a team that is not approved, or not any more.
    """
    if message.team is not None and not Team.objects.filter(pk=message.team.pk, is_approved=True).exists():
        return 0
    chosen = Subscription.objects.filter(topic=message.topic).entitled(message.team).select_related("user")
    subscriptions = list(chosen)
    count = sum(queue_mail(message, one, about=about) for one in subscriptions if one.by_mail and one.user.email)
    if message.note:
        noted = [one for one in subscriptions if one.by_note]
        Notification.objects.bulk_create(Notification(user=one.user, message=message.note) for one in noted)
    channels = Channel.objects.filter(team=message.team, topics__contains=[message.topic])
    return count + sum(queue_webhook(message, channel, about=about) for channel in channels)


def queue_mail(message: Message, subscription: Subscription, *, about: str) -> bool:
    """Have the message sent to the subscription's user by mail, unless one about the same is; return whether."""
    values = {
        "kind": MailMessage.KIND,
        "key": uuid4().hex,
        "priority": PRIORITY,
        "team": message.team,
        "topic": message.topic,
        "subject": message.subject,
        "text": message.text,
        "html": message.html,
    }
    return MailMessage.objects.get_or_create(user=subscription.user, about=about, defaults=values)[1]


def queue_webhook(message: Message, channel: Channel, *, about: str) -> bool:
    """Have the message sent to the channel, unless one about the same is; return whether."""
    values = {
        "kind": WebhookMessage.KIND,
        "key": str(uuid4()),
        "priority": PRIORITY,
        "event": message.event,
        "document": document_for(message, kind=Channel.Kind(channel.kind)),
    }
    return WebhookMessage.objects.get_or_create(channel=channel, about=about, defaults=values)[1]


def document_for(message: Message, *, kind: Channel.Kind) -> dict[str, Any]:
    """Return the message as the JSON that a channel of this kind gets."""
    if kind == Channel.Kind.SLACK:
        return {"text": escape(message.subject), "blocks": blocks_of(message)}
    team = None if message.team is None else {"slug": message.team.slug, "name": message.team.name}
    return {
        "event": message.event,
        "team": team,
        "subject": message.subject,
        "text": message.text,
        "url": message.url,
        **message.data,
    }


def blocks_of(message: Message) -> list[dict[str, Any]]:
    """Return the message in Slack's blocks: a header, the sections, and the link to the page."""
    header = {"type": "plain_text", "text": message.subject[:LONGEST_HEADER], "emoji": False}
    sections = [
        {"type": "section", "text": {"type": "mrkdwn", "text": text[:LONGEST_SECTION]}}
        for text in message.sections[:MOST_SECTIONS]
    ]
    link = {"type": "mrkdwn", "text": f"<{message.url}|Open in tformance>"}
    return [{"type": "header", "text": header}, *sections, {"type": "context", "elements": [link]}]


def escape(text: str) -> str:
    """Return the text without the three characters that Slack's markup reserves."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def page_url(name: str, *args: Any, query: str = "") -> str:
    """Return the public URL of a page of ours."""
    return f"{settings.PUBLIC_URL}{reverse(name, args=args)}{f'?{query}' if query else ''}"


def choices_url(team: Team | None) -> str:
    """Return the page on which people choose what they are notified of, of a team or of the instance."""
    return page_url("team-notifications", team.slug) if team else page_url("notifications")


def queue_test(channel: Channel) -> bool:
    """Have a test sent to the channel, unless one is unfinished; return whether."""
    with transaction.atomic():
        Channel.objects.select_for_update(no_key=True).get(pk=channel.pk)  # two clicks at once are one test
        if WebhookMessage.objects.unfinished().filter(channel=channel, event=TEST).exists():
            return False
        return queue_webhook(sample_message(channel), channel, about=f"test {uuid4()}")


def sample_message(channel: Channel) -> Message:
    """Return the message that the test button sends."""
    about = f"of {channel.team.name}" if channel.team else "of this instance"
    text = f"This is a test. Messages {about} that you choose for “{channel.name}” will arrive here."
    return Message(
        topic=Topic.DIGEST,
        event=TEST,
        team=channel.team,
        subject="tformance: test message",
        text=text,
        url=choices_url(channel.team),
        sections=(escape(text),),
    )
