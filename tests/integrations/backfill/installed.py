"""Installations and what they reach, as rows."""

from datetime import UTC, datetime
from typing import Any

from apps.activity.models import Contributor, Installation, Repository, RepositoryAccess
from apps.integrations.models import Backfill, RepositorySync, SyncLog
from tests.fake_github.using import ACME, API

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
    """A walk as it may be found."""
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
