"""Alerts: what is wrong is said once when it begins, and once when it is over."""

from collections.abc import Mapping, Sequence
from uuid import uuid4

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from apps.notifications.message_fan_out import Message, choices_url, escape, queue
from apps.notifications.models import ALERTS, Alert, Channel, Subscription, Topic
from apps.teams.models import Team

MOST_NAMED = 10
TITLES = {
    Topic.SILENCE: ("no deliveries", "deliveries arrive again"),
    Topic.FAILED_NIGHTS: ("reconciliation failed", "reconciliation works again"),
    Topic.STUCK: ("pull requests are stuck", "pull requests move again"),
}
"""What a subject says when an alert begins, and when it is over."""


def settle(team: Team | None, topic: Topic, found: Mapping[str, str]) -> int:
    """Open an alert for each that is new of those found (words by key), end those no longer found, and notify.

    Return how many began or ended. Called within a transaction, or makes one.
    """
    with transaction.atomic():
        known = {alert.key: alert for alert in Alert.objects.filter(team=team, topic=topic, over_at=None)}
        new = [Alert(team=team, topic=topic, key=key, words=words) for key, words in found.items() if key not in known]
        over = [alert for key, alert in known.items() if key not in found]
        Alert.objects.bulk_create(new)
        Alert.objects.filter(pk__in=[alert.pk for alert in over]).update(over_at=Now())
        if new or over:
            queue(_message(team, topic, new=new, over=over), about=f"alert {uuid4()}")
    return len(new) + len(over)


def chosen_topics(team: Team | None) -> set[Topic]:
    """Return the alerts that anybody or any channel of the team, or of the instance, chose.

    Nothing is said of a team that is not approved.
    """
    if team is not None and not team.is_approved:
        return set()
    own = Subscription.objects.filter(Q(by_note=True) | Q(by_mail=True), topic__in=ALERTS).entitled(team)
    found = set(own.values_list("topic", flat=True))
    for topics in Channel.objects.filter(team=team).values_list("topics", flat=True):
        found.update(topics)
    return {topic for topic in ALERTS if topic in found}


def forget(team: Team | None, topic: Topic) -> int:
    """End what nobody is notified of any more, without a word; return how many."""
    return Alert.objects.filter(team=team, topic=topic, over_at=None).update(over_at=Now())


def open_alerts(team: Team | None) -> QuerySet[Alert]:
    """Return what is wrong now, as far as anybody is notified of it."""
    return Alert.objects.filter(team=team, over_at=None)


def _message(team: Team | None, topic: Topic, *, new: Sequence[Alert], over: Sequence[Alert]) -> Message:
    url = choices_url(team)
    subject = f"{team.name if team else 'tformance'}: {TITLES[topic][0 if new else 1]}"
    parts = [_listed(new), _listed(over, title="Resolved:")]
    paragraphs = [part for part in parts if part]
    text = "\n\n".join([*paragraphs, f"You get one message when an alert begins and one when it ends.\n{url}"])
    return Message(
        topic=topic,
        event="alert.opened" if new else "alert.over",
        team=team,
        subject=subject,
        text=text,
        note=f"{subject}. {' '.join(alert.words for alert in (new or over)[:MOST_NAMED])}",
        url=url,
        sections=tuple(escape(part) for part in paragraphs),
        data={
            "topic": topic,
            "opened": [{"key": alert.key, "text": alert.words} for alert in new],
            "over": [{"key": alert.key, "text": alert.words} for alert in over],
        },
    )


def _listed(alerts: Sequence[Alert], *, title: str = "") -> str:
    """Return the alerts as lines; of many, the first ten and how many more."""
    if not alerts:
        return ""
    lines = [alert.words for alert in alerts[:MOST_NAMED]]
    if len(alerts) > 1:
        lines = [f"• {line}" for line in lines]
    if len(alerts) > MOST_NAMED:
        lines.append(f"and {len(alerts) - MOST_NAMED} more")
    return "\n".join([title, *lines] if title else lines)
