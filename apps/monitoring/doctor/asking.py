"""Asking GitHub as doctor does: briefly, and within the same limits as everybody else."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import DatabaseError

from apps.common.encryption import Undecryptable
from apps.github.answers import Answer
from apps.github.auth import GitHubAccess, TokenCache
from apps.github.client import GitHubClient, Patience
from apps.github.credentials import AppCredentials, NoCredentials, app_credentials, is_signing_key
from apps.github.rate_limit import Priority, Purpose, RateBudget, shared_memory
from apps.github.responses import Kind
from apps.github.token_refusals import TOKEN_REFUSED
from apps.monitoring.doctor.checks import Check, Stopped, unchecked, warning, wrong

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
    raise Stopped(why_not(told.answer) if told.answer.kind is not Kind.OK else "GitHub's answer is no object.")


def known_credentials(name: str) -> AppCredentials | Check:
    """The App's id and key, or what is wrong with them under this name."""
    try:
        found = app_credentials()
    except NoCredentials:
        words = "There are none: webhooks work, and neither history nor repair does."
        return warning(name, words, HOW_TO_SET)
    except Undecryptable:
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
