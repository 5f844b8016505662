"""The App at GitHub: is its key ours, does it post to us, does it arrive, and is the App allowed and told enough?"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import reverse

from apps.common.github_host import LOOPBACK
from apps.github.auth import GitHubAccess
from apps.github.credentials import AppCredentials
from apps.github.permissions import PERMISSIONS, lack_of, listed, needed_events
from apps.github.responses import Kind
from apps.monitoring.doctor.asking import LIMITED, Told, ask_as_app, document_of, known_credentials, why_not
from apps.monitoring.doctor.checks import Check, Stopped, Verdict, unchecked, warning, well, wrong
from apps.monitoring.doctor.database import judge_clock

NAMES = ("github credentials", "github clock", "app permissions", "webhook", "deliveries at github")
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
        raise Stopped("There are no credentials to ask GitHub with.")
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
