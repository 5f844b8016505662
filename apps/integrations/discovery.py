"""Finding the App's installations through the API: not each of them sends a webhook when it comes, or when it goes."""

import logging
from collections.abc import Iterator
from datetime import datetime

from django.db import connection, transaction
from django.utils import timezone

from apps.activity.facts import Fact, ListingNeeded, evidence
from apps.activity.models import Installation
from apps.activity.record import record
from apps.github.auth import GitHubAccess
from apps.github.credentials import app_credentials, has_credentials
from apps.github.objects.accounts import standing_facts
from apps.github.payload import PayloadReader
from apps.github.rate_limit import Priority, Purpose
from apps.github.responses import ResponseKind
from apps.integrations.installations import SETTLED, SOURCE
from apps.integrations.reader import RequestFailedError
from apps.webhooks.parsing import UnusablePayloadError

FIRST_PAGE = "/app/installations?per_page=100"
PURPOSE = Purpose(priority=Priority.LIVE, subject="installations")
logger = logging.getLogger(__name__)


def look_for_installations(*, access: GitHubAccess) -> int | None:
    """Find installations, if GitHub can be asked and answers; how many there are. What it did not say is logged."""
    if not has_credentials():
        return None
    try:
        return find_installations(access=access)
    except RequestFailedError as refusal:
        logger.warning("installations_not_told", extra={"kind": refusal.answer.kind.name.lower()})
    except UnusablePayloadError as error:
        logger.warning("installations_not_told", extra={"words": str(error)})
    return None


def find_installations(*, access: GitHubAccess) -> int:
    """Record every installation that GitHub knows of the App and return how many there are.

    Known installations that GitHub does not name are marked for listing, which finds out what became of them.
    RequestFailedError or UnusablePayloadError if GitHub does not say, NoCredentialsError without credentials.
    """
    as_of = _database_time() - SETTLED
    found = list(_read(access))
    facts = [fact for installation in found for fact in standing_facts(installation, as_of=as_of)]
    ids = {installation.id() for installation in found}
    with transaction.atomic():
        record([evidence(SOURCE, [*facts, *_unnamed(ids)])])
    return len(found)


def _read(access: GitHubAccess) -> Iterator[PayloadReader]:
    path: str | None = FIRST_PAGE
    seen = set[int]()
    while path is not None:
        answer = access.get_as_app(path, purpose=PURPOSE)
        if answer.kind is not ResponseKind.OK:
            raise RequestFailedError(answer)
        if not isinstance(answer.data, list):
            raise UnusablePayloadError("shape_mismatch", "the installations are no list")
        now, before = timezone.now(), len(seen)
        for place, described in enumerate(answer.data):
            found = PayloadReader(
                described, path=f"installations[{place}]", arrived_at=now, observed_at=answer.observed_at
            )
            seen.add(found.id())
            yield found
        path = answer.next_path
        if path is not None and len(seen) == before:
            raise UnusablePayloadError(
                "endless_list", f"GitHub's list goes on after {before} installations without another"
            )


def _database_time() -> datetime:
    """Signals are stamped by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def _unnamed(ids: set[int]) -> Iterator[Fact]:
    own = Installation.objects.filter(app_id=app_credentials().app_id, deleted_at=None).exclude(pk__in=ids)
    for installation_id in own.values_list("pk", flat=True):
        yield ListingNeeded(github_id=installation_id, needs_listing_at=timezone.now())
