"""Recalculation: changes are drained, and the rows they make stale are derived again from the facts.

Each batch is one transaction: claim changes, lock what they make stale, and only then, in new statements, read the
facts. A fact that commits before that read is seen by it; one that commits later brings a change that is still to be
claimed, by a recalculation that waits for the same lock. So nothing falls between.
"""

import logging
import math
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial
from hashlib import blake2b
from typing import Any

from celery import current_app
from django.db import transaction
from django.db.models.functions import Now

from apps.activity.models import Change
from apps.common import db
from apps.common.db import OUT_OF_MEMORY, QUERY_CANCELED, is_database_unavailable, is_of_database, sqlstate_of
from apps.common.failpoints import failpoint
from apps.jobs import wakeups
from apps.metrics.changes import (
    Stale,
    claim,
    claim_one,
    hand_on,
    oldest,
    set_aside,
    spread_contributors,
    spread_deployment_rules,
    spread_incident_rules,
    stale,
)
from apps.metrics.derivation.derived_kinds import (
    COMMIT,
    DEPLOYMENT,
    INCIDENT,
    MERGE_DEPLOYMENT,
    PULL_REQUEST,
    RELEASE_DEPLOYMENT,
    REMEDIATION,
    REPORTED_DEPLOYMENT,
    RUN_DEPLOYMENT,
    WORKFLOW_RUN,
    Noun,
    Observe,
)
from apps.metrics.freshness import note_repository_changes, note_team_changes
from apps.teams.account_teams import ensure_account_team
from apps.teams.github_teams import keep_in_step

_SERIALIZATION_FAILURE, _DEADLOCK, _LOCK_TIMEOUT = "40001", "40P01", "55P03"
_BUSY_WITH_OTHERS = frozenset({_SERIALIZATION_FAILURE, _DEADLOCK, _LOCK_TIMEOUT})
# Memory and time run out when one change makes too much stale.
_OWN_FAULT = frozenset({OUT_OF_MEMORY, QUERY_CANCELED})


def is_transient(error: BaseException) -> bool:
    """Return whether the same changes may well succeed later: the database is away, read-only or busy with others."""
    is_busy = is_of_database(error) and sqlstate_of(error) in _BUSY_WITH_OTHERS
    return is_busy or is_database_unavailable(error, but_for=_OWN_FAULT)


logger = logging.getLogger(__name__)

BATCH = 400
"""Changes per transaction; it takes at most twice as many locks, because further rows are handed on."""

RECALCULATE_TASK = "apps.metrics.tasks.recalculate_stale"
CHANGES_MAY_WAIT = timedelta(seconds=5)
KNOWN = (
    Change.Kind.PULL_REQUEST,
    Change.Kind.BRANCH,
    Change.Kind.COMMIT,
    Change.Kind.DEPLOYMENT,
    Change.Kind.WORKFLOW_RUN,
    Change.Kind.RELEASE,
    Change.Kind.REPORTED_DEPLOYMENT,
    Change.Kind.ISSUE,
    Change.Kind.REPORTED_INCIDENT,
    Change.Kind.INCIDENT,
    Change.Kind.INCIDENT_RULES,
    Change.Kind.DEPLOYMENT_RULES,
    Change.Kind.REMEDIATION,
    Change.Kind.CONTRIBUTOR,
    Change.Kind.INSTALLATION,
    Change.Kind.GITHUB_TEAM,
    Change.Kind.TEAM,
)
LOCK = """
    SELECT CASE WHEN is_shared THEN pg_advisory_xact_lock_shared(key) ELSE pg_advisory_xact_lock(key) END
    FROM unnest(%s::bigint[], %s::boolean[]) AS lock (key, is_shared)
"""


def dispatch_changes() -> bool:
    """Wake a worker for a recalculation if changes have waited for 5 s; return whether they have."""
    has_changes = Change.objects.filter(recorded_at__lt=Now() - CHANGES_MAY_WAIT).exists()
    if has_changes:
        wakeups.send([partial(current_app.send_task, RECALCULATE_TASK, retry=False, ignore_result=True)])
    return has_changes


def drain(*, seconds: float) -> bool:
    """Recalculate until no change is left (True) or the time is over (False).

    A change that breaks its batch is tried alone; if it breaks again it stays in the table, logged, and is set aside
    for a while, so that it does not break the first batch of every drain.
    """
    deadline = time.monotonic() + seconds
    broken: set[int] = set()
    while recalculate_batch(skipped=broken, deadline=deadline):
        if time.monotonic() >= deadline:
            return False
    warn_of_unknown_changes()
    return True


def recalculate_batch(*, skipped: set[int], deadline: float = math.inf) -> bool:
    """Process one batch; return False if there was nothing to do. Changes that fail are added to `skipped`."""
    try:
        with transaction.atomic():
            changes = claim(KNOWN, limit=BATCH, skipped=skipped)
            if changes:
                failpoint("recalculate.after_claim")
                recalculate(stale(changes, most=BATCH))
                failpoint("recalculate.before_commit")
        if changes:
            failpoint("recalculate.after_commit")
        return bool(changes)
    except Exception as error:
        if is_transient(error):
            raise
        logger.exception("recalculation_failed")
        _one_by_one(skipped=skipped, deadline=deadline)
        return True


def _one_by_one(*, skipped: set[int], deadline: float) -> None:
    """Process the oldest changes one by one, at least one, to find those that break a batch."""
    for change in oldest(KNOWN, limit=BATCH, skipped=skipped):
        try:
            with transaction.atomic():
                recalculate(stale(claim_one(change.id), most=BATCH))
        except Exception as error:
            if is_transient(error):
                raise
            logger.exception("change_failed", extra={"kind": change.kind, "key": change.key})
            skipped.add(change.id)
            set_aside(change.id)
        if time.monotonic() >= deadline:
            return


def recalculate(found: Stale, *, observe: Observe | None = None) -> None:
    """Derive all stale rows, under locks, in the caller's transaction. `observe` gets the rows that differ."""
    named: list[tuple[Noun, list[Any]]] = [
        (COMMIT, sorted(found.commits)),
        (DEPLOYMENT, sorted(found.deployments)),
        (RUN_DEPLOYMENT, sorted(found.workflow_runs)),
        (RELEASE_DEPLOYMENT, sorted(found.releases)),
        (MERGE_DEPLOYMENT, sorted(found.pull_requests)),
        (REPORTED_DEPLOYMENT, sorted(found.reported_deployments)),
        (PULL_REQUEST, sorted(found.pull_requests)),
        (INCIDENT, sorted(found.incidents)),
        (REMEDIATION, sorted(found.remediations)),
        (WORKFLOW_RUN, sorted(found.workflow_runs)),
    ]
    wanted = [(noun, keys) for noun, keys in named if keys]
    lock_keys(wanted)
    derivations = (derivation for noun, keys in wanted for derivation in noun.derive(keys))
    stored = {one for derivation in derivations for one in derivation.store_and_spread(observe)}
    if found.handed_on:
        hand_on(found.handed_on)
    if found.contributors:
        spread_contributors(found)
    for key in sorted(found.deployment_rules):
        stored |= spread_deployment_rules(key)
    for key in sorted(found.incident_rules):
        stored |= spread_incident_rules(key)
    for installation_id in sorted(found.installations):
        ensure_account_team(installation_id)
    if found.teams or found.github_teams:
        keep_in_step(teams=found.teams, github_teams=found.github_teams)
    if found.teams:
        note_team_changes(found.teams)
    note_repository_changes(stored)  # last: its locks are on rows that other batches need too


def lock_keys(wanted: Iterable[tuple[Noun, Sequence[Any]]]) -> None:
    """Lock what is to be derived until the end of the transaction."""
    wanted = list(wanted)
    lock(
        (name for noun, keys in wanted for name in noun.locks(keys)),
        shared=(name for noun, keys in wanted for name in noun.shared_locks(keys)),
    )


def lock(names: Iterable[str], *, shared: Iterable[str] = ()) -> None:
    """Lock these keys until the end of the transaction, for this one alone or shared.

    Everybody takes locks in the same order, so nobody waits in a circle.
    """
    keys = {_number_of(name): True for name in shared} | {_number_of(name): False for name in names}
    if keys:
        db.run(LOCK, [sorted(keys), [keys[key] for key in sorted(keys)]])


def _number_of(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)


def warn_of_unknown_changes() -> None:
    """Log changes of unknown kinds, which wait for a version that knows them."""
    unknown = Change.objects.exclude(kind__in=KNOWN).order_by().values_list("kind", flat=True)
    if kinds := sorted(set(unknown.distinct()[:10])):
        logger.error("unknown_changes", extra={"kinds": kinds})
