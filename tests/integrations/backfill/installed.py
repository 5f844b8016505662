"""Installations and what they reach, as rows, as webhooks told of them and as they are once listed."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from apps.activity.facts import Source, evidence
from apps.activity.models import Contributor, Installation, Repository, RepositoryAccess
from apps.activity.record import record
from apps.demo.shapes import Json
from apps.demo.shapes.accounts import Account, user
from apps.integrations.listed_installations import due_installations
from apps.integrations.models import Backfill, RepositorySync, SyncLog
from apps.integrations.streams import STREAM_NAMES
from apps.jobs.models import Job
from tests.fake_github.generated import Size, acme
from tests.fake_github.identities import APP_ID
from tests.fake_github.server import FakeGitHub
from tests.fake_github.truth import RepositoryTruth
from tests.fake_github.using import ACME, API, WEB
from tests.github.translation import translate

ACCOUNT = 500
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def install(installation_id: int = ACME, *, login: str = "acme", account_id: int = ACCOUNT, **about: Any) -> None:
    """The App on an account."""
    Contributor.objects.update_or_create(github_id=account_id, defaults={"login": login, "kind": "organization"})
    Installation.objects.create(github_id=installation_id, account_id=account_id, **about)


def reach(
    name: str = "acme/api",
    repository_id: int = API,
    *,
    installation_id: int = ACME,
    owner_id: int | None = ACCOUNT,
    has_access: bool = True,
    **about: Any,
) -> Repository:
    """A repository that the installation reaches."""
    defaults = {"full_name": name, "owner_id": owner_id, **about}
    repository, _ = Repository.objects.update_or_create(github_id=repository_id, defaults=defaults)
    RepositoryAccess.objects.create(
        installation_id=installation_id, repository=repository, has_access=has_access, is_verified=True
    )
    return repository


def backfill(repository: Repository, **about: Any) -> Backfill:
    """A backfill as it may be found."""
    if about.get("state") in {"done", "cancelled", "failed"}:
        about.setdefault("finished_at", MONDAY)
    stream = about.get("stream", "pull_requests")
    key = {"kind": Backfill.KIND, "key": f"{repository.pk}/{stream}", "priority": 1 if about.get("sync") else 2}
    return Backfill.objects.create(**{**key, "repository": repository, "stream": stream, "page_size": 25, **about})


def verification(sync: SyncLog, repository_id: int, **about: Any) -> RepositorySync:
    """A repository of a run as it may be found."""
    if about.get("state") in {"done", "failed"}:
        about.setdefault("finished_at", MONDAY)
    key = {"kind": RepositorySync.KIND, "key": f"{sync.pk}/{repository_id}", "priority": 1}
    return RepositorySync.objects.create(**{**key, "sync": sync, "repository_id": repository_id, **about})


STREAMS = len(STREAM_NAMES)
LIST = "/installation/repositories"
UNAPPROVED = Account(501, "unapproved", "Organization")


def post_webhook(event: str, payload: Json, *, ago: timedelta) -> datetime:
    """A webhook that arrived some time ago."""
    at = timezone.now() - ago
    record([evidence(Source(kind="delivery", key=str(at)), translate(event, payload, received_at=at))])
    return at


def installed(fake: FakeGitHub, installation_id: int = ACME, *, ago: timedelta = timedelta(minutes=5)) -> None:
    """The webhook of an installation, and every repository that it reaches now."""
    shown = [shortened(truth) for truth in fake.world.reached_by(installation_id)]
    payload = {"action": "created", "installation": fake.world.installations[installation_id].json()}
    post_webhook("installation", {**payload, "repositories": shown, "sender": user(acme())}, ago=ago)


def post_change(fake: FakeGitHub, action: str, truth: RepositoryTruth, *, ago: timedelta) -> datetime:
    """The webhook of a repository that was added to the installation, or removed from it."""
    lists = {"repositories_added": [], "repositories_removed": [], f"repositories_{action}": [shortened(truth)]}
    payload = {"action": action, "installation": fake.world.installations[ACME].json(), **lists}
    return post_webhook("installation_repositories", {**payload, "sender": user(acme())}, ago=ago)


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
