"""A repository that is not where it was: its id is its identity, whatever it is called and whoever owns it."""

from dataclasses import replace

from django.db import transaction
from django.utils import timezone

from apps import watchdog
from apps.activity.facts import Source, evidence
from apps.activity.record import record
from apps.github.objects.repositories import repository_facts
from apps.github.payload import Reading
from apps.integrations.backfill.claiming import Claimed
from apps.integrations.backfill.walking import Reader

LONGEST_WAIT_S = 6.0


def find_again(claimed: Claimed, *, reader: Reader) -> Claimed:
    """The claim with the name that the repository has now, which is recorded; the same one if it has not changed.

    Unanswered, of kind GONE, if there is no such repository any more, or not for this installation.
    """
    answer = reader.get(f"/repositories/{claimed.repository_id}")
    repository = Reading(answer.data, path="repository", arrived_at=timezone.now(), observed_at=answer.observed_at)
    full_name, facts = repository.text("full_name"), tuple(repository_facts(repository))
    if full_name == claimed.full_name:
        return claimed
    with watchdog.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        record([evidence(Source(kind="api", key=f"backfill {claimed.id}"), facts)])
    return replace(claimed, full_name=full_name)
