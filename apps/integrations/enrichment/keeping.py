"""Keeping what was read of pull requests, and remembering those whose commits GitHub did not list."""

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from apps import watchdog
from apps.activity.facts import Source, evidence
from apps.activity.record import record
from apps.integrations.backfill.words import storable
from apps.integrations.enrichment.asking import Read
from apps.integrations.enrichment.finding import Wanted, still_unlisted, unlisted
from apps.integrations.models import EnrichmentAttempt

SOURCE = Source(kind="api", key="enrichment")
LONGEST_WAIT_S = 12.0
PAUSES = [timedelta(minutes=minutes) for minutes in (1, 4, 16, 64, 4 * 60, 16 * 60, 24 * 60)]
MOST_TRIES = len(PAUSES) + 1  # the last one comes about two days after the first
NOT_YET = "GitHub does not show the commits of this head."


def keep(reads: Collection[Read]) -> None:
    """Record what was found. What is not listed even so, and owes nothing more, is tried later, or given up."""
    settled = {read.wanted: read.why or NOT_YET for read in reads if not read.found.owed}
    with watchdog.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        record([evidence(SOURCE, read.found.facts) for read in reads])
        missing = still_unlisted(settled)
        _forget(settled.keys() - missing)
        _remember({wanted: settled[wanted] for wanted in missing})


def put_off(wanted: Wanted, *, why: str, at_least: timedelta = timedelta()) -> None:
    """Try this one later. It is not given up: nobody said that it cannot be shown."""
    with watchdog.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        _remember({wanted: why}, is_final=False, at_least=at_least)


def prune() -> int:
    """Forget attempts at what is listed by now, has another head, or is older than what is asked for; how many."""
    missing = unlisted().filter(
        repository=OuterRef("repository"), number=OuterRef("number"), head_sha=OuterRef("head_sha")
    )
    is_old = Q(tried_at__lt=Now() - timedelta(days=settings.BACKFILL_DAYS))
    return EnrichmentAttempt.objects.filter(is_old | ~Exists(missing)).delete()[0]


def _forget(listed: Collection[Wanted]) -> None:
    EnrichmentAttempt.objects.filter(_is_one_of(listed)).delete()


def _remember(reasons: Mapping[Wanted, str], *, is_final: bool = True, at_least: timedelta = timedelta()) -> None:
    """Count an attempt at each. With the last one it is given up, if what GitHub said is final."""
    known = EnrichmentAttempt.objects.filter(_is_one_of(reasons))
    before = {(row.repository_id, row.number): row for row in known}
    rows = []
    for wanted, why in reasons.items():
        row = _next_attempt(wanted, before=before.get((wanted.repository_id, wanted.number)), why=why)
        is_given_up = is_final and row.attempts == MOST_TRIES
        row.not_before = None if is_given_up else Now() + max(PAUSES[min(row.attempts, len(PAUSES)) - 1], at_least)
        rows.append(row)
    EnrichmentAttempt.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["repository", "number"],
        update_fields=["head_sha", "attempts", "not_before", "reason", "tried_at"],
    )


def _next_attempt(wanted: Wanted, *, before: EnrichmentAttempt | None, why: str) -> EnrichmentAttempt:
    attempts = before.attempts + 1 if before is not None and before.head_sha == wanted.head_sha else 1
    return EnrichmentAttempt(
        repository_id=wanted.repository_id,
        number=wanted.number,
        head_sha=wanted.head_sha,
        attempts=min(attempts, MOST_TRIES),
        reason=storable(why),
        tried_at=Now(),
    )


def _is_one_of(wanted: Iterable[Wanted]) -> Q:
    """The rows of these pull requests, found by their key."""
    keys = (Q(repository=one.repository_id, number=one.number) for one in wanted)
    return Q(Q(pk__in=()), *keys, _connector=Q.OR)  # the first of them stands for none
