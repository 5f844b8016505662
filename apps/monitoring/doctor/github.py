"""Checks of the App at GitHub: credentials, permissions, webhook and deliveries."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import DatabaseError

from apps.common.encryption import UndecryptableError
from apps.common.github_host import LOOPBACK
from apps.github.auth import GitHubAccess, TokenCache
from apps.github.client import GitHubClient, Timeouts
from apps.github.credentials import AppCredentials, NoCredentialsError, app_credentials, is_signing_key
from apps.github.permissions import PERMISSIONS, lack_of, listed, needed_events
from apps.github.rate_limit import Priority, Purpose, RateBudget, redis_client
from apps.github.registration import webhook_url
from apps.github.responses import Answer, ResponseKind
from apps.github.token_refusals import TOKEN_REFUSED
from apps.monitoring.doctor.checks import Check, CheckStoppedError, Result, failure, ok, unchecked, warning
from apps.monitoring.doctor.services import check_clock

PURPOSE = Purpose(priority=Priority.LIVE, subject="doctor")
TIMEOUTS = Timeouts(connect_s=2.0, read_s=3.0, total_s=5.0)
TRY_FOR_S, PAUSE_S = 2.0, 0.3
SILENT = {ResponseKind.TRANSIENT, ResponseKind.SHRINK}
LIMITED = {ResponseKind.DEFERRED, ResponseKind.PRIMARY, ResponseKind.SECONDARY}
HOW_TO_SET = "Set GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_FILE, or run `manage.py store_private_key`."


def impatient_access() -> GitHubAccess:
    """Return access to GitHub with short timeouts."""
    client = GitHubClient(api_url=settings.GITHUB_API_URL, budget=RateBudget(redis=redis_client()), timeouts=TIMEOUTS)
    return GitHubAccess(client=client, tokens=TokenCache(redis=redis_client()))


@dataclass(frozen=True, slots=True)
class TimedAnswer:
    """GitHub's answer, and when the request was sent and answered by the local clock."""

    answer: Answer
    asked_at_s: float
    answered_at_s: float

    @property
    def ahead_s(self) -> float | None:
        """Return how far the local clock is ahead of GitHub's, whose `Date` has whole seconds."""
        if self.answer.observed_at is None:
            return None
        return (self.asked_at_s + self.answered_at_s) / 2 - (self.answer.observed_at.timestamp() + 0.5)


def read_as_app(access: GitHubAccess, path: str, **parameters: Any) -> TimedAnswer:
    """Read something as the App; retry for a moment while its rate limit is busy."""
    give_up_at_s = time.monotonic() + TRY_FOR_S
    while True:
        asked_at_s = access.client.clock()
        answer = access.get_as_app(path, purpose=PURPOSE, parameters=parameters)
        is_busy = answer.kind is ResponseKind.DEFERRED and answer.message == "busy"
        if not is_busy or time.monotonic() > give_up_at_s:
            return TimedAnswer(answer, asked_at_s, access.client.clock())
        time.sleep(PAUSE_S)


def explain_failure(answer: Answer) -> str:
    """Return why there is no usable answer."""
    if answer.kind in LIMITED:
        until = f" until {datetime.fromtimestamp(answer.not_before, UTC):%H:%M} UTC" if answer.not_before else ""
        if answer.message == TOKEN_REFUSED:
            return f"GitHub rejects the installation's token, or returns none; no retry{until}."
        return f"Rate limited{until}."
    if answer.kind in SILENT:
        return f"GitHub does not answer ({answer.message})."
    return f"GitHub refused: {answer.message}"


def document_of(timed: TimedAnswer) -> Mapping[str, Any]:
    """Return the object of the answer, or raise CheckStoppedError."""
    if timed.answer.kind is ResponseKind.OK and isinstance(timed.answer.data, Mapping):
        return timed.answer.data
    raise CheckStoppedError(
        explain_failure(timed.answer)
        if timed.answer.kind is not ResponseKind.OK
        else "GitHub's answer is not an object."
    )


def find_credentials(name: str) -> AppCredentials | Check:
    """Return the App's id and key, or a check that says what is wrong."""
    try:
        found = app_credentials()
    except NoCredentialsError:
        words = "Not configured. Webhooks work; history import and automatic repair are off."
        return warning(name, words, HOW_TO_SET)
    except UndecryptableError:
        return failure(
            name,
            "The stored private key cannot be decrypted with any of FERNET_KEYS.",
            "Put the old key back into FERNET_KEYS, or run `manage.py store_private_key` again.",
        )
    except DatabaseError:
        return unchecked(name, "Not in the environment, and the database with stored credentials does not answer.")
    if not is_signing_key(found.private_key):
        return failure(name, "The private key is not an RSA key in PEM format.", HOW_TO_SET)
    return found


APP_NAMES = ("github credentials", "github clock", "app permissions", "webhook", "deliveries at github")
LOOKED_AT = 100
CLOCK_MATTERS_S = 60.0
GOOD = range(200, 300)
OF_STATUS = {
    401: "The webhook secret at GitHub is unknown here: add it to GITHUB_WEBHOOK_SECRETS, or change it at GitHub.",
    404: "The webhook's URL is wrong: see webhook above.",
    413: "A proxy rejects large bodies: allow 25 MB.",
    503: "They could not be stored: see database and webhook secret above.",
}
UNREACHED = "GitHub could not connect, or got no answer in 10 s: check DNS, firewall, TLS and the proxy."


def check_app(access: GitHubAccess) -> Iterator[Check]:
    """Check what GitHub returns about the App."""
    known = find_credentials("github credentials")
    if isinstance(known, Check):
        yield known
        raise CheckStoppedError("There are no credentials for GitHub.")
    timed = read_as_app(access, "/app")
    yield check_credentials(timed, known)
    if timed.ahead_s is not None:
        yield check_clock("github clock", timed.ahead_s, whose="GitHub's")
    app = document_of(timed)
    yield check_permissions(app)
    yield check_webhook(read_as_app(access, "/app/hook/config"))
    yield check_delivery_attempts(read_as_app(access, "/app/hook/deliveries", per_page=LOOKED_AT))


def check_credentials(timed: TimedAnswer, known: AppCredentials) -> Check:
    """Check that GitHub accepts the App's id and key."""
    name, answer = "github credentials", timed.answer
    app = answer.data if isinstance(answer.data, Mapping) else {}
    if answer.kind is ResponseKind.OK and app.get("id") == known.app_id:
        owner = app.get("owner") or {}
        return ok(name, f"App {app.get('slug')} ({known.app_id}) of {owner.get('login', 'somebody')}.")
    if answer.kind is ResponseKind.OK:
        return failure(name, f"The key belongs to App {app.get('id')}, not to {known.app_id}.", "Fix GITHUB_APP_ID.")
    if answer.kind in LIMITED:
        return unchecked(name, explain_failure(answer))
    return failure(name, *of_refusal(timed, known))


def of_refusal(timed: TimedAnswer, known: AppCredentials) -> tuple[str, str]:
    """Return why GitHub refused the App, and what to do."""
    answer = timed.answer
    if answer.kind is ResponseKind.GONE:
        return (
            f"{settings.GITHUB_API_URL} has no App {known.app_id}: {answer.message}.",
            "Fix GITHUB_APP_ID (the number under About on the App's page) or GITHUB_API_URL.",
        )
    if answer.kind is not ResponseKind.AUTH:
        return explain_failure(answer), f"Check that this machine can connect to {settings.GITHUB_API_URL}."
    words = f"GitHub rejects the private key of App {known.app_id}: {answer.message}."
    if abs(timed.ahead_s or 0.0) > CLOCK_MATTERS_S:
        return words, "Set this machine's clock (see below)."
    return words, "Generate a new private key on the App's page at GitHub, configure it, and restart."


def check_permissions(app: Mapping[str, Any]) -> Check:
    """Check that the App has all permissions and events that tformance needs."""
    name = "app permissions"
    permissions, events = dict(app.get("permissions") or {}), list(app.get("events") or ())
    lack = lack_of(permissions, events)
    if lack:
        return failure(
            name,
            f"The App lacks {lack}: this data does not arrive.",
            "Add them on the App's page, under Permissions & events; each account then has to accept new permissions.",
        )
    more = sorted(
        {one for one, level in permissions.items() if level != PERMISSIONS.get(one)} | (set(events) - needed_events())
    )
    spare = f" More than needed: {listed(more)}." if more else ""
    return ok(name, f"{len(PERMISSIONS)} permissions and {len(needed_events())} events, as needed.{spare}")


def check_webhook(timed: TimedAnswer) -> Check:
    """Check the webhook's URL, secret and TLS verification; GitHub never returns the secret itself."""
    name, answer = "webhook", timed.answer
    is_read = answer.kind is ResponseKind.OK and isinstance(answer.data, Mapping)
    if not is_read and answer.kind is not ResponseKind.GONE:
        return unchecked(name, explain_failure(answer))
    hook, wanted = answer.data if is_read else {}, webhook_url()
    address = str(hook.get("url") or "")
    if not address:
        return failure(name, "The App has no webhook.", f"Set its URL to {wanted} and a secret, and activate it.")
    if not hook.get("secret"):
        return failure(
            name, "It has no secret: its deliveries are rejected.", "Set the same secret at GitHub and here."
        )
    if address.rstrip("/") != wanted.rstrip("/"):
        return of_another_address(name, address, wanted=wanted)
    if str(hook.get("insecure_ssl")) == "1":
        return warning(
            name, f"GitHub posts to {address} without verifying the certificate.", "Turn SSL verification on."
        )
    return ok(name, f"GitHub posts to {address} as {hook.get('content_type', 'json')}, signed.")


def of_another_address(name: str, address: str, *, wanted: str) -> Check:
    if urlsplit(wanted).hostname in LOOPBACK:
        return warning(
            name,
            f"GitHub posts to {address}; PUBLIC_URL is this machine only.",
            "Fine if that is a tunnel to this machine; otherwise set PUBLIC_URL and the webhook's URL.",
        )
    return failure(name, f"GitHub posts to {address}.", f"Set the webhook's URL to {wanted}, or fix PUBLIC_URL.")


def check_delivery_attempts(timed: TimedAnswer) -> Check:
    """Check the last deliveries in GitHub's log; of redelivered ones, the last attempt counts."""
    name, answer = "deliveries at github", timed.answer
    if answer.kind is not ResponseKind.OK or not isinstance(answer.data, list):
        return unchecked(
            name, explain_failure(answer) if answer.kind is not ResponseKind.OK else "GitHub's answer is not a list."
        )
    attempts = latest_attempts([one for one in answer.data if isinstance(one, Mapping)])
    if not attempts:
        return unchecked(name, "GitHub has sent nothing in the last days.")
    failed = [one for one in attempts if status_of(one) not in GOOD]
    found = f"{len(attempts) - len(failed)} of the last {len(attempts)} arrived."
    if not failed:
        return ok(name, found)
    last = status_of(failed[0])
    words = f"{found} GitHub reports for the last failure: {last or ''} {failed[0].get('status', '')}".rstrip()
    result = Result.FAILED if failed[0] is attempts[0] else Result.WARNING
    return Check(name, result, f"{words}.", OF_STATUS.get(last, UNREACHED))


def latest_attempts(attempts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the latest attempt of each delivery, newest first."""
    latest: dict[Any, Mapping[str, Any]] = {}
    for attempt in attempts:
        latest.setdefault(attempt.get("guid"), attempt)
    return list(latest.values())


def status_of(attempt: Mapping[str, Any]) -> int:
    status = attempt.get("status_code")
    return status if isinstance(status, int) else 0
