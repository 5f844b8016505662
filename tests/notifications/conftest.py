"""A team of two subscribers, a receiver of webhooks and a mail server."""

from collections.abc import Iterator
from typing import Any

import pytest

from apps.jobs import runner
from apps.notifications.channels import add_channel
from apps.notifications.models import Channel, Subscription, Topic
from tests.api.conftest import Cast, cast, week
from tests.notifications.receiver import MailServer, Receiver, receiving, taking_mail

__all__ = ["cast", "week"]


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    with receiving() as found:
        settings.OUTGOING_WEBHOOK_ORIGINS = [found.url]
        yield found


@pytest.fixture
def mail_server(settings: Any) -> Iterator[MailServer]:
    with taking_mail() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        yield server


def subscribe(cast: Cast, name: str, topic: Topic = Topic.DIGEST, *, by_note: bool = False) -> Subscription:
    """Have the user of the cast get mails of the topic about team acme, since long ago."""
    user = getattr(cast, name)
    user.email = f"{name}@example.com"
    user.save()
    Subscription.choose(user, cast.teams["acme"], topic, by_note=by_note, by_mail=True)
    Subscription.objects.update(changed_at="2026-01-01T00:00:00Z")
    return Subscription.objects.get(user=user, topic=topic)


def make_channel(cast: Cast, receiver: Receiver, kind: str = "slack", *topics: Topic) -> Channel:
    """Have a webhook of team acme get the topics, since long ago."""
    channel = add_channel(
        cast.teams["acme"], name="#figures", kind=kind, url=f"{receiver.url}/services/T1/B2/secret", topics=topics
    )
    Channel.objects.filter(pk=channel.pk).update(created_at="2026-01-01T00:00:00Z")
    return channel


def work() -> int:
    """Run all jobs that are due."""
    return runner.run_jobs(task_id="test", is_redelivered=False, seconds=30)
