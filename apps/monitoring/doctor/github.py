"""The App at GitHub: is its key ours, does it post to us, does it arrive, and is the App allowed and told enough?"""

import ipaddress
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import DatabaseError
from django.urls import reverse

from apps.activity.models import Contributor, Installation
from apps.common.encryption import UndecryptableError
from apps.common.github_host import LOOPBACK
from apps.github.answers import Answer
from apps.github.auth import GitHubAccess, TokenCache
from apps.github.client import GitHubClient, Patience
from apps.github.credentials import AppCredentials, NoCredentialsError, app_credentials, has_credentials, is_signing_key
from apps.github.permissions import PERMISSIONS, lack_of, listed, needed_events
from apps.github.rate_limit import Priority, Purpose, RateBudget, shared_memory
from apps.github.responses import Kind
from apps.github.token_refusals import TOKEN_REFUSED
from apps.integrations.access import readable_installations, settings_page
from apps.monitoring.doctor.checks import Check, CheckStoppedError, Verdict, unchecked, warning, well, wrong
from apps.monitoring.doctor.services import judge_clock
from apps.webhooks.models import Delivery, DeliveryBody
from apps.webhooks.origin import SENDER_ADDRESS

PURPOSE = Purpose(priority=Priority.LIVE, subject="doctor")
PATIENCE = Patience(connect_s=2.0, read_s=3.0, total_s=5.0)
TRY_FOR_S, PAUSE_S = 2.0, 0.3
SILENT = {Kind.TRANSIENT, Kind.SHRINK}
LIMITED = {Kind.PARKED, Kind.PRIMARY, Kind.SECONDARY}
HOW_TO_SET = "Set GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_FILE, or run `manage.py store_private_key`."


def hasty_access() -> GitHubAccess:
    """GitHub as the settings say, for somebody who does not wait long."""
    client = GitHubClient(api_url=settings.GITHUB_API_URL, budget=RateBudget(redis=shared_memory()), patience=PATIENCE)
    return GitHubAccess(client=client, tokens=TokenCache(redis=shared_memory()))


@dataclass(frozen=True, slots=True)
class Told:
    """GitHub's answer and when, by our clock, it was asked for and came."""

    answer: Answer
    asked_at_s: float
    answered_at_s: float

    @property
    def ahead_s(self) -> float | None:
        """How far our clock is ahead of GitHub's, whose `Date` is whole seconds."""
        if self.answer.observed_at is None:
            return None
        return (self.asked_at_s + self.answered_at_s) / 2 - (self.answer.observed_at.timestamp() + 0.5)


def ask_as_app(access: GitHubAccess, path: str, **parameters: Any) -> Told:
    """Read something in the App's own name; while all its places are taken, again for a moment."""
    give_up_at_s = time.monotonic() + TRY_FOR_S
    while True:
        asked_at_s = access.client.clock()
        answer = access.get_as_app(path, purpose=PURPOSE, parameters=parameters)
        is_busy = answer.kind is Kind.PARKED and answer.verdict.message == "busy"
        if not is_busy or time.monotonic() > give_up_at_s:
            return Told(answer, asked_at_s, access.client.clock())
        time.sleep(PAUSE_S)


def why_not(answer: Answer) -> str:
    """Why there is no answer to go by, in words."""
    if answer.kind in LIMITED:
        until = f" until {datetime.fromtimestamp(answer.not_before, UTC):%H:%M} UTC" if answer.not_before else ""
        if answer.verdict.message == TOKEN_REFUSED:
            return f"GitHub refuses the installation's token, or gives none; nobody asks again{until}."
        return f"A rate limit holds us back{until}."
    if answer.kind in SILENT:
        return f"GitHub does not answer ({answer.verdict.message})."
    return f"GitHub refuses: {answer.verdict.message}"


def document_of(told: Told) -> Mapping[str, Any]:
    """The object that was asked for; Stopped without."""
    if told.answer.kind is Kind.OK and isinstance(told.answer.data, Mapping):
        return told.answer.data
    raise CheckStoppedError(
        why_not(told.answer) if told.answer.kind is not Kind.OK else "GitHub's answer is no object."
    )


def known_credentials(name: str) -> AppCredentials | Check:
    """The App's id and key, or what is wrong with them under this name."""
    try:
        found = app_credentials()
    except NoCredentialsError:
        words = "There are none: webhooks work, and neither history nor repair does."
        return warning(name, words, HOW_TO_SET)
    except UndecryptableError:
        return wrong(
            name,
            "The stored private key cannot be read under any of FERNET_KEYS.",
            "Put the key it was stored under back into FERNET_KEYS, or run `manage.py store_private_key` again.",
        )
    except DatabaseError:
        return unchecked(name, "None are in the environment, and the database cannot be asked for stored ones.")
    if not is_signing_key(found.private_key):
        return wrong(name, "What is set as the private key is no RSA key in PEM.", HOW_TO_SET)
    return found


APP_NAMES = ("github credentials", "github clock", "app permissions", "webhook", "deliveries at github")
LOOKED_AT = 100
CLOCK_MATTERS_S = 60.0
GOOD = range(200, 300)
OF_STATUS = {
    401: "The secret at GitHub is none of ours: put it into GITHUB_WEBHOOK_SECRETS, or change it at GitHub.",
    404: "The webhook's address leads elsewhere: see webhook, above.",
    413: "A proxy refuses large bodies: let it take 25 MB.",
    503: "The door could not keep them: see database and webhook secret, above.",
}
UNREACHED = "GitHub could not reach us, or had no answer in 10 s: see DNS, firewall, TLS and the proxy."


def examine_app(access: GitHubAccess) -> Iterator[Check]:
    """Everything that GitHub tells the App of itself."""
    known = known_credentials("github credentials")
    if isinstance(known, Check):
        yield known
        raise CheckStoppedError("There are no credentials to ask GitHub with.")
    told = ask_as_app(access, "/app")
    yield judge_credentials(told, known)
    if told.ahead_s is not None:
        yield judge_clock("github clock", told.ahead_s, whose="GitHub's")
    app = document_of(told)
    yield judge_permissions(app)
    yield judge_hook(ask_as_app(access, "/app/hook/config"))
    yield judge_log(ask_as_app(access, "/app/hook/deliveries", per_page=LOOKED_AT))


def judge_credentials(told: Told, known: AppCredentials) -> Check:
    """Whether GitHub knows the App by its id, and takes its key."""
    name, answer = "github credentials", told.answer
    app = answer.data if isinstance(answer.data, Mapping) else {}
    if answer.kind is Kind.OK and app.get("id") == known.app_id:
        owner = app.get("owner") or {}
        return well(name, f"App {app.get('slug')} ({known.app_id}) of {owner.get('login', 'somebody')}.")
    if answer.kind is Kind.OK:
        return wrong(name, f"The key belongs to App {app.get('id')}, not to {known.app_id}.", "Mend GITHUB_APP_ID.")
    if answer.kind in LIMITED:
        return unchecked(name, why_not(answer))
    return wrong(name, *of_refusal(told, known))


def of_refusal(told: Told, known: AppCredentials) -> tuple[str, str]:
    """What went wrong with asking as the App, and what to do."""
    answer = told.answer
    if answer.kind is Kind.GONE:
        return (
            f"{settings.GITHUB_API_URL} knows no App {known.app_id}: {answer.verdict.message}.",
            "Mend GITHUB_APP_ID: the number under About on the App's page; or GITHUB_API_URL.",
        )
    if answer.kind is not Kind.AUTH:
        return why_not(answer), f"See whether this machine reaches {settings.GITHUB_API_URL}."
    words = f"GitHub refuses the private key of App {known.app_id}: {answer.verdict.message}."
    if abs(told.ahead_s or 0.0) > CLOCK_MATTERS_S:
        return words, "Set this machine's clock (below)."
    return words, "Make a new private key on the App's page at GitHub, set it, and restart."


def judge_permissions(app: Mapping[str, Any]) -> Check:
    """Whether the App asks for all that we read, and subscribes to all that we handle."""
    name = "app permissions"
    permissions, events = dict(app.get("permissions") or {}), list(app.get("events") or ())
    lack = lack_of(permissions, events)
    if lack:
        return wrong(
            name,
            f"The App lacks {lack}: nothing of that arrives.",
            "Add them on the App's page, under Permissions & events; each account then has to accept new permissions.",
        )
    more = sorted(
        {one for one, level in permissions.items() if level != PERMISSIONS.get(one)} | (set(events) - needed_events())
    )
    spare = f" More than needed: {listed(more)}." if more else ""
    return well(name, f"{len(PERMISSIONS)} permissions and {len(needed_events())} events, as needed.{spare}")


def judge_hook(told: Told) -> Check:
    """Whether GitHub posts to us, signed, and over a connection that it checks. Its secret is never told."""
    name, answer = "webhook", told.answer
    is_told = answer.kind is Kind.OK and isinstance(answer.data, Mapping)
    if not is_told and answer.kind is not Kind.GONE:
        return unchecked(name, why_not(answer))
    hook, wanted = answer.data if is_told else {}, wanted_address()
    address = str(hook.get("url") or "")
    if not address:
        return wrong(name, "The App has no webhook.", f"Set its URL to {wanted}, a secret, and make it active.")
    if not hook.get("secret"):
        return wrong(name, "It has no secret: nothing that it sends is accepted.", "Set one at GitHub, and here.")
    if address.rstrip("/") != wanted.rstrip("/"):
        return of_another_address(name, address, wanted=wanted)
    if str(hook.get("insecure_ssl")) == "1":
        return warning(
            name, f"GitHub posts to {address} without checking our certificate.", "Turn SSL verification on."
        )
    return well(name, f"GitHub posts to {address} as {hook.get('content_type', 'json')}, signed.")


def of_another_address(name: str, address: str, *, wanted: str) -> Check:
    if urlsplit(wanted).hostname in LOOPBACK:
        return warning(
            name,
            f"GitHub posts to {address}; PUBLIC_URL names this machine alone.",
            "Right if that is a tunnel to here; else set PUBLIC_URL and the webhook's URL.",
        )
    return wrong(name, f"GitHub posts to {address}.", f"Set the webhook's URL to {wanted}, or mend PUBLIC_URL.")


def wanted_address() -> str:
    return f"{settings.PUBLIC_URL}{reverse('webhooks:github')}"


def judge_log(told: Told) -> Check:
    """What became of the last deliveries, by GitHub's own log; of those sent again, the last attempt."""
    name, answer = "deliveries at github", told.answer
    if answer.kind is not Kind.OK or not isinstance(answer.data, list):
        return unchecked(name, why_not(answer) if answer.kind is not Kind.OK else "GitHub's answer is no list.")
    attempts = latest_attempts([one for one in answer.data if isinstance(one, Mapping)])
    if not attempts:
        return unchecked(name, "GitHub has sent nothing in the last days.")
    failed = [one for one in attempts if status_of(one) not in GOOD]
    found = f"{len(attempts) - len(failed)} of the last {len(attempts)} arrived."
    if not failed:
        return well(name, found)
    last = status_of(failed[0])
    told_words = f"{found} GitHub says of the last failure: {last or ''} {failed[0].get('status', '')}".rstrip()
    verdict = Verdict.WRONG if failed[0] is attempts[0] else Verdict.WARNING
    return Check(name, verdict, f"{told_words}.", OF_STATUS.get(last, UNREACHED))


def latest_attempts(attempts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Newest first, one for each delivery."""
    latest: dict[Any, Mapping[str, Any]] = {}
    for attempt in attempts:
        latest.setdefault(attempt.get("guid"), attempt)
    return list(latest.values())


def status_of(attempt: Mapping[str, Any]) -> int:
    status = attempt.get("status_code")
    return status if isinstance(status, int) else 0


NAME = "senders"
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


INSTALLATION_NAMES = ("installations", "rate limits", "senders")
ASKED, ASKED_FOR_S = 5, 6.0
LITTLE_SHARE = 0.1


def examine_installations(access: GitHubAccess) -> Iterator[Check]:
    """All installations in one request, and the limits of a few; never those of an account that waits for approval."""
    if not has_credentials():
        raise CheckStoppedError("There are no credentials to ask GitHub with.")
    answer = ask_as_app(access, "/app/installations", per_page=100).answer
    if answer.kind is not Kind.OK or not isinstance(answer.data, list):
        raise CheckStoppedError(why_not(answer))
    described = [one for one in answer.data if isinstance(one, Mapping)]
    yield judge_installations(described, is_all=answer.next_path is None)
    yield look_at_limits(access)
    yield look_at_senders(access)


def judge_installations(described: Sequence[Mapping[str, Any]], *, is_all: bool = True) -> Check:
    """What each of them lacks; how many wait for somebody."""
    name = "installations"
    if not described:
        return warning(name, "The App is installed nowhere.", "Install it on an account: its page at GitHub.")
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
    lacks = [words for one in active if one not in waiting and (words := what_it_lacks(one))]
    if lacks:
        more = f" … and {len(lacks) - SHOWN} more." if len(lacks) > SHOWN else ""
        advice = f"An owner of the account accepts the new permissions there.{more}"
        return wrong(name, f"{found} {' '.join(lacks[:SHOWN])}", advice)
    if waiting:
        return warning(name, found, "Approve its team in the admin, or leave it: nothing of it is fetched.")
    return well(name, f"{found} Each gave all permissions.")


def what_it_lacks(described: Mapping[str, Any]) -> str:
    account = described.get("account") or {}
    is_person = str(account.get("type", "")).lower() == Contributor.Kind.USER
    lack = lack_of(described.get("permissions") or {}, described.get("events") or (), is_person=is_person)
    if not lack:
        return ""
    login = str(account.get("login", ""))
    page = settings_page(login, installation_id=int(described.get("id") or 0), is_person=is_person)
    return f"On {login} it lacks {lack}: {page}"


def look_at_limits(access: GitHubAccess) -> Check:
    """What is left of the hourly limits; asking costs none of them, and shows that a token is given."""
    name, give_up_at_s = "rate limits", time.monotonic() + ASKED_FOR_S
    chosen = list(readable_installations().select_related("account").order_by("pk")[:ASKED])
    if not chosen:
        return unchecked(name, "No installation may be asked yet.")
    words, is_short = [], False
    for installation in chosen:
        if time.monotonic() > give_up_at_s:
            break
        answer = access.get("/rate_limit", installation_id=installation.pk, purpose=PURPOSE)
        if answer.kind not in {Kind.OK, Kind.GONE}:
            return refused(name, installation, answer)
        left = shares_left(answer)
        is_short = is_short or any(share < LITTLE_SHARE for _, share in left.values())
        shown = ", ".join(f"{resource} {remaining:,}" for resource, (remaining, _) in left.items())
        words.append(f"{installation.account}: {shown or 'without limits'}")
    found = f"Left this hour: {'; '.join(words)}."
    if is_short:
        return warning(name, found, "Reading waits for the reset by itself; another program may spend them too.")
    return well(name, found)


def refused(name: str, installation: Installation, answer: Answer) -> Check:
    """No token, or no answer for it: nothing of this account can be read."""
    if answer.kind is Kind.AUTH or answer.kind is Kind.FORBIDDEN:
        return wrong(
            name,
            f"GitHub gives us nothing for {installation.account}: {answer.verdict.message}",
            "See whether the App is still installed there, and not suspended; it is listed again by itself.",
        )
    return unchecked(name, why_not(answer))


def shares_left(answer: Answer) -> dict[str, tuple[int, float]]:
    """What is left by resource, as a number and as a share; nothing where nothing limits us."""
    document = answer.data if isinstance(answer.data, Mapping) else {}
    resources = document.get("resources") or {}
    found = {}
    for resource in ("core", "graphql"):
        told = resources.get(resource) or {}
        limit, remaining = told.get("limit"), told.get("remaining")
        if isinstance(limit, int) and isinstance(remaining, int) and limit > 0:
            found[resource] = (remaining, remaining / limit)
    return found
