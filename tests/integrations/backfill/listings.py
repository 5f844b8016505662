"""Installations as webhooks told of them some time ago, and what is known of them once they are listed."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from apps.activity.facts import Source, evidence
from apps.activity.models import Installation, RepositoryAccess
from apps.activity.record import record
from apps.demo.shapes import Json
from apps.demo.shapes.accounts import Account, user
from apps.integrations.installations import due_installations
from apps.integrations.streams import STREAM_NAMES
from apps.jobs.models import Job
from tests.fake_github.generated import Size, acme
from tests.fake_github.identities import APP_ID
from tests.fake_github.server import FakeGitHub
from tests.fake_github.truth import RepositoryTruth
from tests.fake_github.using import ACME, API, WEB
from tests.github.translation import translate

STREAMS = len(STREAM_NAMES)
LIST = "/installation/repositories"
STRANGER = Account(501, "stranger", "Organization")


def tell(event: str, payload: Json, *, ago: timedelta) -> datetime:
    """A webhook that arrived some time ago."""
    at = timezone.now() - ago
    record([evidence(Source(kind="delivery", key=str(at)), translate(event, payload, received_at=at))])
    return at


def installed(fake: FakeGitHub, installation_id: int = ACME, *, ago: timedelta = timedelta(minutes=5)) -> None:
    """The webhook of an installation, and every repository that it reaches now."""
    shown = [shortened(truth) for truth in fake.world.reached_by(installation_id)]
    payload = {"action": "created", "installation": fake.world.installations[installation_id].json()}
    tell("installation", {**payload, "repositories": shown, "sender": user(acme())}, ago=ago)


def told(fake: FakeGitHub, action: str, truth: RepositoryTruth, *, ago: timedelta) -> datetime:
    """The webhook of a repository that was added to the installation, or removed from it."""
    lists = {"repositories_added": [], "repositories_removed": [], f"repositories_{action}": [shortened(truth)]}
    payload = {"action": action, "installation": fake.world.installations[ACME].json(), **lists}
    return tell("installation_repositories", {**payload, "sender": user(acme())}, ago=ago)


def shortened(truth: RepositoryTruth) -> Json:
    return {name: truth.json[name] for name in ("id", "node_id", "name", "full_name", "private")}


def add(fake: FakeGitHub, name: str = "web", repository_id: int = WEB, *, installation_id: int = ACME) -> Any:
    return fake.world.add(
        name, installation_id=installation_id, repository_id=repository_id, size=Size(pull_requests=0)
    )


def is_due(installation_id: int = ACME) -> bool:
    return due_installations(app_id=APP_ID).filter(pk=installation_id).exists()


def accesses(installation_id: int = ACME) -> dict[int, tuple[bool, bool]]:
    rows = RepositoryAccess.objects.filter(installation=installation_id)
    return {row.repository_id: (row.has_access, row.is_verified) for row in rows}


def make_due() -> None:
    """Let the waits pass."""
    Job.objects.filter(kind="list_installation").update(not_before="2020-01-01T00:00:00Z")
    Installation.objects.update(listed_at=timezone.now() - timedelta(hours=12))


def many(fake: FakeGitHub, count: int) -> None:
    """Repositories that are there, and nothing more."""
    for number in range(100, 100 + count):
        truth = RepositoryTruth(
            json={**fake.world.repositories[API].json, "id": number, "full_name": f"acme/r{number}"}
        )
        fake.world.repositories[number] = truth
        fake.world.reached[number] = ACME
