"""Checks of the installations at GitHub: permissions, rate limits, and the addresses that deliveries come from."""

import ipaddress
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from apps.activity.models import Contributor, Installation
from apps.github.auth import GitHubAccess
from apps.github.credentials import has_credentials
from apps.github.permissions import lack_of
from apps.github.responses import Answer, ResponseKind
from apps.integrations.readable_installations import readable_installations, settings_page
from apps.monitoring.doctor.checks import Check, CheckStoppedError, failure, ok, unchecked, warning
from apps.monitoring.doctor.github import LOOKED_AT, PURPOSE, explain_failure, read_as_app
from apps.webhooks.models import Delivery, DeliveryBody
from apps.webhooks.signature import SENDER_ADDRESS

NAMES = ("installations", "rate limits", "senders")
ASKED, ASKED_FOR_S = 5, 6.0
LITTLE_SHARE = 0.1
SHOWN = 3
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def check_installations(access: GitHubAccess) -> Iterator[Check]:
    """Check all installations in one request, and the rate limits of a few that are approved."""
    if not has_credentials():
        raise CheckStoppedError("There are no credentials for GitHub.")
    answer = read_as_app(access, "/app/installations", per_page=100).answer
    if answer.kind is not ResponseKind.OK or not isinstance(answer.data, list):
        raise CheckStoppedError(explain_failure(answer))
    described = [one for one in answer.data if isinstance(one, Mapping)]
    yield check_installation_list(described, is_all=answer.next_path is None)
    yield check_rate_limits(access)
    yield check_senders(access)


def check_installation_list(described: Sequence[Mapping[str, Any]], *, is_all: bool = True) -> Check:
    """Check the permissions of each installation, and whether any waits for approval."""
    name = "installations"
    if not described:
        return warning(
            name, "The App is not installed on any account.", "Install it on an account from its page at GitHub."
        )
    readable = set(readable_installations().values_list("pk", flat=True))
    known = set(Installation.objects.filter(deleted_at=None).values_list("pk", flat=True))
    active = [one for one in described if not one.get("suspended_at")]
    waiting = [one for one in active if one.get("id") in known - readable]
    counts = {
        "suspended": len(described) - len(active),
        "waiting for approval": len(waiting),
        "not known here yet": sum(one.get("id") not in known for one in active),
    }
    others = ", ".join(f"{count} {words}" for words, count in counts.items() if count)
    found = f"{len(described)}{'' if is_all else ' or more'}{f' ({others})' if others else ''}."
    lacks = [words for one in active if one not in waiting and (words := describe_lack(one))]
    if lacks:
        more = f" … and {len(lacks) - SHOWN} more." if len(lacks) > SHOWN else ""
        advice = f"An owner of the account must accept the new permissions there.{more}"
        return failure(name, f"{found} {' '.join(lacks[:SHOWN])}", advice)
    if waiting:
        return warning(name, found, "Approve its team in the admin. Until then nothing of the account is read.")
    return ok(name, f"{found} All permissions granted.")


def describe_lack(described: Mapping[str, Any]) -> str:
    account = described.get("account") or {}
    is_person = str(account.get("type", "")).lower() == Contributor.Kind.USER
    lack = lack_of(described.get("permissions") or {}, described.get("events") or (), is_person=is_person)
    if not lack:
        return ""
    login = str(account.get("login", ""))
    page = settings_page(login, installation_id=int(described.get("id") or 0), is_person=is_person)
    return f"On {login} the App lacks {lack}: {page}"


def check_rate_limits(access: GitHubAccess) -> Check:
    """Check the hourly rate limits, which costs none of them and needs a token."""
    name, give_up_at_s = "rate limits", time.monotonic() + ASKED_FOR_S
    chosen = list(readable_installations().select_related("account").order_by("pk")[:ASKED])
    if not chosen:
        return unchecked(name, "No installation can be read yet.")
    words, is_short = [], False
    for installation in chosen:
        if time.monotonic() > give_up_at_s:
            break
        answer = access.get("/rate_limit", installation_id=installation.pk, purpose=PURPOSE)
        if answer.kind not in {ResponseKind.OK, ResponseKind.GONE}:
            return refused(name, installation, answer)
        left = shares_left(answer)
        is_short = is_short or any(share < LITTLE_SHARE for _, share in left.values())
        shown = ", ".join(f"{resource} {remaining:,}" for resource, (remaining, _) in left.items())
        words.append(f"{installation.account}: {shown or 'without limits'}")
    found = f"Left this hour: {'; '.join(words)}."
    if is_short:
        return warning(
            name, found, "Reading resumes automatically after the reset; another program may use the same limit."
        )
    return ok(name, found)


def refused(name: str, installation: Installation, answer: Answer) -> Check:
    """Return the check of an account that cannot be read."""
    if answer.kind is ResponseKind.AUTH or answer.kind is ResponseKind.FORBIDDEN:
        return failure(
            name,
            f"GitHub refuses access to {installation.account}: {answer.message}",
            "Check that the App is still installed there and not suspended; it is listed again automatically.",
        )
    return unchecked(name, explain_failure(answer))


def shares_left(answer: Answer) -> dict[str, tuple[int, float]]:
    """Return what is left by resource, as a number and a share; empty without limits."""
    document = answer.data if isinstance(answer.data, Mapping) else {}
    resources = document.get("resources") or {}
    found = {}
    for resource in ("core", "graphql"):
        bucket = resources.get(resource) or {}
        limit, remaining = bucket.get("limit"), bucket.get("remaining")
        if isinstance(limit, int) and isinstance(remaining, int) and limit > 0:
            found[resource] = (remaining, remaining / limit)
    return found


def check_senders(access: GitHubAccess) -> Check:
    """Compare the senders of the latest deliveries with `hooks` of `GET /meta`."""
    senders = latest_senders()
    if not senders:
        return unchecked("senders", "No delivery with a known sender address yet.")
    installation = readable_installations().order_by("pk").first()
    if installation is None:
        return unchecked("senders", "No installation can be read yet.")
    answer = access.get("/meta", installation_id=installation.pk, purpose=PURPOSE)
    if answer.kind is not ResponseKind.OK:
        return unchecked("senders", explain_failure(answer))
    hooks = answer.data.get("hooks") if isinstance(answer.data, Mapping) else None
    networks = [network for text in hooks or () if (network := _network(text)) is not None]
    if not networks:
        return unchecked("senders", "This GitHub server does not list the addresses it delivers from.")
    return compare_senders(senders, networks)


def latest_senders() -> list[str]:
    """Return the addresses that the latest deliveries came from, each once."""
    bodies = DeliveryBody.objects.of(Delivery.objects.order_by("-pk")[:LOOKED_AT])
    addresses = (headers.get(SENDER_ADDRESS) for headers in bodies.values_list("headers", flat=True))
    return sorted({address for address in addresses if address})


def compare_senders(senders: list[str], networks: list[Network]) -> Check:
    """Check that every sender is in one of GitHub's address ranges."""
    strangers = [sender for sender in senders if not _is_in(sender, networks)]
    if not strangers:
        return ok("senders", f"The latest deliveries came from GitHub's own addresses: {', '.join(senders[:SHOWN])}.")
    return warning(
        "senders",
        f"Signed deliveries came from {', '.join(strangers[:SHOWN])}, outside GitHub's {len(networks)} address ranges.",
        "If it is your proxy, add it to TRUSTED_PROXIES; if not, somebody else knows the webhook secret.",
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
