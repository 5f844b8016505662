"""The checklist of the setup: each step with its state, what was found, and what to do next."""

import time
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Exists, Q, Sum
from django.utils import timezone

from apps.activity.models import Installation
from apps.common.encryption import UndecryptableError
from apps.common.github_host import LOOPBACK
from apps.github.credentials import NoCredentialsError, app_credentials, registration_in_use
from apps.github.models import AppRegistration
from apps.github.registration import webhook_url
from apps.github.secret_rotation import Latest
from apps.integrations.backfill.status import Loading, loading_of_all
from apps.integrations.models import Backfill
from apps.metrics.figures.formatting import duration
from apps.metrics.models import DerivedDeployment
from apps.monitoring.doctor import github
from apps.monitoring.doctor.checks import Check, Family, Result, run_families
from apps.monitoring.doctor.work import RECENTLY
from apps.teams.models import Team
from apps.webhooks.models import Refusal

ASKED_EVERY_S = 20.0
LONGEST_S = 6.0
SETTLING = timedelta(seconds=10)
"""GitHub pings a new App before this instance knows its secret, and a process may learn it some seconds later."""
ANSWERED = (github.OF_STATUS[401], github.OF_STATUS[503])
"""What doctor advises where GitHub's posts come through and are refused."""


class State(StrEnum):
    """The state of a step."""

    DONE = "done"
    TODO = "to do"
    WAITING = "waiting"
    PROBLEM = "problem"


TITLES = {
    "app": "GitHub App",
    "key": "Key and permissions",
    "installed": "Installed",
    "reachable": "Reachable from GitHub",
    "delivery": "First delivery",
    "history": "History loaded",
    "production": "Production found",
    "teams": "Teams",
    "people": "People",
}


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the setup: what was found, and what to do."""

    name: str
    state: State
    found: str
    advice: str = ""

    @property
    def title(self) -> str:
        return TITLES[self.name]


def done(name: str, found: str) -> Step:
    return Step(name, State.DONE, found)


def todo(name: str, found: str, advice: str = "") -> Step:
    return Step(name, State.TODO, found, advice)


def waiting(name: str, found: str, advice: str = "") -> Step:
    return Step(name, State.WAITING, found, advice)


def problem(name: str, found: str, advice: str) -> Step:
    return Step(name, State.PROBLEM, found, advice)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checklist:
    """The steps, and what the page says next to them."""

    steps: tuple[Step, ...]
    registered: AppRegistration | None
    has_app: bool
    is_installed: bool
    history: Loading | None

    @property
    def is_done(self) -> bool:
        """Return whether figures are live: what is left is a choice."""
        return all(step.state is State.DONE for step in self.steps)


def is_on_this_machine() -> bool:
    """Return whether only this machine reaches PUBLIC_URL, as on a laptop."""
    return urlsplit(settings.PUBLIC_URL).hostname in LOOPBACK


class _AtGitHub:
    """What GitHub said last about the App; asked at most every few seconds by each process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._checks: dict[str, Check] = {}
        self._of, self._asked_at_s = 0, -ASKED_EVERY_S

    def known(self, app_id: int) -> Mapping[str, Check]:
        return self._checks if self._of == app_id else {}

    def ask(self, app_id: int) -> Mapping[str, Check]:
        """Return the checks of the App, asked now unless another thread asks or did lately."""
        if self._of == app_id and time.monotonic() - self._asked_at_s < ASKED_EVERY_S:
            return self.known(app_id)
        if self._lock.acquire(blocking=False):
            try:
                found = {check.name: check for check in self._run()}
                self._checks, self._of, self._asked_at_s = found, app_id, time.monotonic()
            finally:
                self._lock.release()
        return self.known(app_id)

    def _run(self) -> Iterator[Check]:
        family = Family(
            title="github",
            names=github.APP_NAMES,
            run=lambda: github.check_app(github.impatient_access()),
            longest_s=LONGEST_S,
            is_remote=True,
        )
        return run_families((family,), longest_s=LONGEST_S)

    def forget(self) -> None:
        self._of, self._checks, self._asked_at_s = 0, {}, -ASKED_EVERY_S


at_github = _AtGitHub()


def checklist(latest: Latest, *, asks_github: bool) -> Checklist:
    """Return the checklist; without `asks_github` only from what is stored and what GitHub said lately.

    `latest` are the signatures of the latest deliveries.
    """
    registered = registration_in_use()
    app_id, unreadable = _app_id()
    said = (at_github.ask if asks_github else at_github.known)(app_id) if app_id else {}
    installations = list(Installation.objects.filter(deleted_at=None).select_related("account")[:3])
    newest = latest[0][1] if latest else None
    history = loading_of_all() if installations else None
    teams = read_teams()
    steps = (
        app_step(registered, app_id=app_id, unreadable=unreadable),
        key_step(said, app_id=app_id),
        installation_step(installations, app_id=app_id),
        reach_step(newest, said=said, registered=registered, app_id=app_id),
        delivery_step(newest, registered=registered),
        history_step(history, has_key=bool(app_id)),
        production_step(history, teams=teams),
        team_step([team.is_approved for team in teams]),
        people_step({user for team in teams for user in team.users}),
    )
    return Checklist(
        steps=steps, registered=registered, has_app=bool(app_id), is_installed=bool(installations), history=history
    )


def _app_id() -> tuple[int, str]:
    """Return the id of the App whose key is used, or 0 and why there is none."""
    try:
        return app_credentials().app_id, ""
    except NoCredentialsError:
        return 0, ""
    except UndecryptableError:
        return 0, "The stored private key cannot be decrypted with any of FERNET_KEYS."


def app_step(registered: AppRegistration | None, *, app_id: int, unreadable: str) -> Step:
    """Return whether there is an App, and where it comes from."""
    if unreadable:
        return problem(
            "app",
            unreadable,
            "Put the old key back into FERNET_KEYS, or register the App again.",
        )
    if not app_id:
        return todo("app", "No App yet.", "Create it on this page.")
    if settings.GITHUB_APP_ID and settings.GITHUB_APP_PRIVATE_KEY:
        return done("app", f"App {app_id}, from the environment's settings.")
    of = f" of {registered.owner}" if registered is not None and registered.owner else ""
    name = registered.name if registered is not None and registered.app_id == app_id else f"App {app_id}"
    return done("app", f"{name}{of}. Its secrets are stored encrypted.")


def key_step(said: Mapping[str, Check], *, app_id: int) -> Step:
    """Return whether GitHub accepts the App's key, and whether the App has what it needs."""
    if not app_id:
        return todo("key", "Comes with the App.")
    key, permissions = said.get("github credentials"), said.get("app permissions")
    if key is None:
        return waiting("key", "Asking GitHub…")
    for check in (key, permissions):
        if check is not None and check.result is Result.FAILED:
            return problem("key", check.found, check.advice)
    if key.result is not Result.OK:
        return waiting("key", key.found, key.advice)
    return done("key", f"Accepted by GitHub: {key.found}")


def installation_step(installations: list[Installation], *, app_id: int) -> Step:
    """Return on which accounts the App is installed."""
    if not installations:
        advice = "Install it on the account whose repositories you want to see." if app_id else ""
        return todo("installed", "Not installed yet.", advice)
    if all(installation.suspended_at for installation in installations):
        return problem(
            "installed",
            "Suspended by the account's owner.",
            "An owner of the account can unsuspend it on GitHub, under Installed GitHub Apps.",
        )
    names = ", ".join(str(installation.account or installation) for installation in installations)
    return done("installed", f"On {names}.")


def reach_step(
    newest: datetime | None, *, said: Mapping[str, Check], registered: AppRegistration | None, app_id: int
) -> Step:
    """Return whether GitHub's posts come through to the receiver."""
    posts, hook = said.get("deliveries at github"), said.get("webhook")
    has_failed = posts is not None and posts.result in (Result.FAILED, Result.WARNING)
    if newest is not None or (has_failed and posts is not None and posts.advice in ANSWERED):
        return done("reachable", "GitHub's posts arrive.")
    if has_failed and posts is not None:
        return problem("reachable", posts.found, posts.advice)
    relayed = registered.webhook_url if registered is not None else ""
    if is_on_this_machine() or (relayed and relayed != webhook_url()):
        return relay_step(relayed)
    if hook is not None and hook.result is Result.FAILED:
        return problem("reachable", hook.found, hook.advice)
    found = f"Nothing has been posted to {webhook_url()} yet."
    return Step("reachable", State.WAITING if app_id else State.TODO, found)


def relay_step(relayed: str) -> Step:
    """Return what brings deliveries to a machine that GitHub cannot reach; `relayed` is where GitHub posts to."""
    if relayed and relayed != webhook_url():
        advice = "Run `make forward` in a second terminal: it brings what arrives there to this machine."
        return todo("reachable", f"GitHub posts to {relayed}.", advice)
    advice = "Create the App with a smee channel, or set PUBLIC_URL to the address of a tunnel."
    return todo("reachable", f"{settings.PUBLIC_URL} is this machine only.", advice)


def delivery_step(newest: datetime | None, *, registered: AppRegistration | None) -> Step:
    """Return whether signed deliveries are accepted; what was refused before the App was stored does not count."""
    since = timezone.now() - RECENTLY
    if registered is not None:
        since = max(since, registered.registered_at + SETTLING)
    if newest is not None:
        since = max(since, newest)
    rows = Refusal.objects.filter(reason="bad_signature", refused_at__gt=since)
    if refused := rows.aggregate(count=Sum("count"))["count"]:
        verb, they = ("delivery was", "it is") if refused == 1 else ("deliveries were", "they are")
        found = f"{refused:,} {verb} refused: {they} not signed with any secret known here."
        return problem("delivery", found, "Rotate the webhook secret so that GitHub and tformance use the same one.")
    if newest is None:
        return waiting("delivery", "GitHub sends one when the App is installed.")
    ago = duration((timezone.now() - newest).total_seconds())
    return done("delivery", f"The last one arrived {ago} ago, signed.")


def history_step(history: Loading | None, *, has_key: bool) -> Step:
    """Return how much of the history is loaded, and how long it takes."""
    if history is None or not history.states:
        found = "Starts automatically within a minute of the installation." if has_key else "It needs the App's key."
        return Step("history", State.WAITING if has_key else State.TODO, found)
    failed = history.states.get(Backfill.State.FAILED, 0)
    read = f"{history.done:,} of {history.total:,} items"
    if history.is_unfinished:
        left = f", about {duration(history.eta_s)} left" if history.eta_s is not None else ""
        state = State.PROBLEM if failed else State.WAITING
        advice = "Some of it failed: the page Jobs says why, and can retry it." if failed else ""
        return Step("history", state, f"{read}{left}.", advice)
    if failed:
        advice = "The page Jobs says why, and can retry it."
        return problem("history", f"{failed:,} backfill{'' if failed == 1 else 's'} failed.", advice)
    return done("history", f"{history.done:,} items.")


def production_step(history: Loading | None, *, teams: Sequence[Any]) -> Step:
    """Return whether any deployment counts as one to production."""
    chosen = {name for team in teams for name in team.production_environments}
    has_deployed = any(team.has_deployed for team in teams)
    if any(team.has_production for team in teams):
        return done("production", "Deployments to production are recognised.")
    if chosen and has_deployed:
        return done("production", f"By your choice: {', '.join(sorted(chosen))}.")
    if not has_deployed and (history is None or history.is_unfinished):
        return waiting("production", "Known once deployments are loaded.")
    advice = "Choose what counts as a deployment."
    return todo("production", "No deployment is recognised as production.", advice)


def read_teams() -> Sequence[Any]:
    """Return the teams with the users who have access to each, and whether anything was deployed on this instance."""
    return list(
        Team.objects.order_by("pk").annotate(
            users=ArrayAgg("accesses__user", filter=Q(accesses__user__is_active=True), default=[]),
            has_deployed=Exists(DerivedDeployment.objects.all()),
            has_production=Exists(DerivedDeployment.objects.filter(is_production=True)),
        )
    )


def team_step(approved: Sequence[bool]) -> Step:
    """Return whether there are teams, and whether each was approved."""
    if not approved:
        return waiting("teams", "The first one comes with the installation.")
    if pending := approved.count(False):
        found = f"{pending} of {len(approved)} wait for your approval."
        return problem("teams", found, "Approve them on the page People.")
    return done("teams", f"{len(approved)} team{'' if len(approved) == 1 else 's'}.")


def people_step(users: Set[int]) -> Step:
    """Return how many people have access to a team."""
    if users:
        return done("people", f"{len(users)} {'person has' if len(users) == 1 else 'people have'} access.")
    return todo("people", "Only operators can see the figures.", "Give people access to a team.")
