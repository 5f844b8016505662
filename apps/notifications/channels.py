"""Adding a channel, for the page and the command."""

from collections.abc import Sequence

from apps.common.encryption import can_encrypt
from apps.notifications.models import ALERTS_OF_OPERATORS, Channel, Topic, new_secret
from apps.notifications.outgoing_request import AddressRefusedError, ensure_usable
from apps.teams.models import Team

MOST_CHANNELS = 20


class ChannelError(Exception):
    """The channel cannot be added; the message says why."""


def add_channel(team: Team | None, *, name: str, kind: str, url: str, topics: Sequence[str]) -> Channel:
    """Store a channel of the team, or of the instance; ChannelError where it cannot be used."""
    if not can_encrypt():
        raise ChannelError("Webhook addresses are stored encrypted, which needs FERNET_KEYS. An operator can set it.")
    try:
        ensure_usable(url.strip())
    except AddressRefusedError as error:
        raise ChannelError(str(error)) from error
    if Channel.objects.filter(team=team).count() >= MOST_CHANNELS:
        raise ChannelError(f"There are {MOST_CHANNELS} webhooks already: remove one first.")
    known = set(Topic) if team else set(ALERTS_OF_OPERATORS)
    channel = Channel(team=team, name=name.strip(), kind=kind, topics=[topic for topic in topics if topic in known])
    channel.url = url.strip()
    if kind == Channel.Kind.SIGNED:
        channel.secret = new_secret()
    channel.save()
    return channel
