"""A repository that is not where it was: its id is its identity, whatever it is called and whoever owns it."""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from apps import watchdog
from apps.activity.facts import Fact, ListingNeeded, evidence
from apps.activity.models import Repository
from apps.activity.record import record
from apps.github.objects.repositories import repository_facts
from apps.github.payload import Reading
from apps.github.responses import Kind
from apps.integrations.backfill.outcomes import MOST_ATTEMPTS
from apps.integrations.backfill.walking import Reader, Unanswered
from apps.integrations.reaching import installation_reaching, readable_installations
from apps.integrations.reconciliation.provenance import source_of
from apps.integrations.reconciliation.repositories.claiming import Claimed, end, hand_over, put_back

LONGEST_WAIT_S = 6.0
AGAIN_S = 60.0
MOST_LISTED = 100
GONE = "GitHub shows no such repository to the installation any more; what the App reaches is being listed."
CONTRADICTORY = "GitHub shows the repository by its number, and not by its name."


def find_again(claimed: Claimed, *, repository: Repository, reader: Reader) -> None:
    """Record what it is called now, and let it be probed again; where it is gone, say so and have it listed.

    Unanswered where GitHub does not tell.
    """
    try:
        answer = reader.get(f"/repositories/{repository.pk}")
    except Unanswered as unanswered:
        if unanswered.answer.kind not in {Kind.GONE, Kind.FORBIDDEN}:
            raise
        _let_go(claimed, reader=reader)
        return
    found = Reading(answer.data, path="repository", arrived_at=timezone.now(), observed_at=answer.observed_at)
    facts = tuple(repository_facts(found))
    owner = found.child("owner").id()
    is_renamed, is_moved = found.text("full_name") != repository.full_name, owner != repository.owner_id
    with watchdog.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        _record(claimed, [*facts, *(_listings_needed() if is_moved else ())])
        if claimed.attempts + 1 >= MOST_ATTEMPTS:
            end([claimed], reason="not_shown", error=CONTRADICTORY)
        else:
            wait_s = 0.0 if is_renamed else AGAIN_S
            put_back([claimed], seconds=wait_s, reason="renamed", attempts=claimed.attempts + 1)


def _let_go(claimed: Claimed, *, reader: Reader) -> None:
    """Another installation of ours may reach it by now; a listing tells, and takes our access back."""
    reached_by = installation_reaching([claimed.repository_id]).get(claimed.repository_id)
    with watchdog.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        if reached_by is not None and reached_by != reader.installation_id:
            hand_over(claimed, installation_id=reached_by)
            return
        _record(claimed, _listings_needed())
        end([claimed], reason="gone", error=GONE)


def _listings_needed() -> list[Fact]:
    """Whom it went to, no webhook may have told: whoever was listed longest ago comes first."""
    now = timezone.now()
    installations = readable_installations().order_by("listed_at", "pk").values_list("pk", flat=True)
    return [ListingNeeded(github_id=one, needs_listing_at=now) for one in installations[:MOST_LISTED]]


def _record(claimed: Claimed, facts: Iterable[Fact]) -> None:
    record([evidence(source_of(claimed.id), facts)])
