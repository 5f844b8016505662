"""Where the latest deliveries came from, beside the addresses that GitHub says it delivers from."""

import ipaddress
from collections.abc import Mapping

from apps.github.auth import GitHubAccess
from apps.github.responses import Kind
from apps.integrations.access import readable_installations
from apps.monitoring.doctor.asking import PURPOSE, why_not
from apps.monitoring.doctor.checks import Check, unchecked, warning, well
from apps.webhooks.models import Delivery, DeliveryBody
from apps.webhooks.origin import SENDER_ADDRESS

NAME = "senders"
LOOKED_AT = 100
SHOWN = 3
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def look_at_senders(access: GitHubAccess) -> Check:
    """Compare the senders of the latest deliveries with `hooks` of `GET /meta`."""
    senders = latest_senders()
    if not senders:
        return unchecked(NAME, "No delivery is here whose sender's address is known.")
    installation = readable_installations().order_by("pk").first()
    if installation is None:
        return unchecked(NAME, "No installation may be asked yet.")
    answer = access.get("/meta", installation_id=installation.pk, purpose=PURPOSE)
    if answer.kind is not Kind.OK:
        return unchecked(NAME, why_not(answer))
    told = answer.data.get("hooks") if isinstance(answer.data, Mapping) else None
    networks = [network for text in told or () if (network := _network(text)) is not None]
    if not networks:
        return unchecked(NAME, "This GitHub does not say from which addresses it delivers.")
    return judge_senders(senders, networks)


def latest_senders() -> list[str]:
    """Return the addresses that the latest deliveries came from, each once."""
    bodies = DeliveryBody.objects.of(Delivery.objects.order_by("-pk")[:LOOKED_AT])
    addresses = (headers.get(SENDER_ADDRESS) for headers in bodies.values_list("headers", flat=True))
    return sorted({address for address in addresses if address})


def judge_senders(senders: list[str], networks: list[Network]) -> Check:
    """Say whether every sender lies in one of GitHub's ranges."""
    strangers = [sender for sender in senders if not _is_in(sender, networks)]
    if not strangers:
        return well(NAME, f"The latest deliveries came from GitHub's own addresses: {', '.join(senders[:SHOWN])}.")
    return warning(
        NAME,
        f"Signed deliveries came from {', '.join(strangers[:SHOWN])}, in none of GitHub's {len(networks)} ranges.",
        "If it is a proxy of yours, name it in TRUSTED_PROXIES; if not, somebody else knows the webhook secret.",
    )


def _is_in(sender: str, networks: list[Network]) -> bool:
    network = _network(sender)
    return network is not None and any(
        network.version == other.version and network.network_address in other for other in networks
    )


def _network(text: object) -> Network | None:
    try:
        return ipaddress.ip_network(str(text), strict=False)
    except ValueError:
        return None
