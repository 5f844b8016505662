"""Rebuild of derived rows from the facts, and the comparison with what a rebuild would make."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from django.db import connection, connections, transaction
from django.db.models.functions import Now

from apps.metrics.derivation.derived_kinds import NOUNS, Derivation, Keys, Noun
from apps.metrics.derived_row_writer import Row
from apps.metrics.freshness import note_repository_changes
from apps.metrics.models import RULES_VERSION, RebuildDifference
from apps.metrics.recalculation import drain, lock_keys

BATCH = 500
SETTLING_S = 30.0

Progress = Callable[[str, int, int], None]
"""Called with the noun, the number of finished keys, and the total of the repository."""

MARK_OUTDATED = """
    INSERT INTO activity_change (kind, key)
    SELECT 'pull_request', repository_id || ':' || number FROM metrics_derivedpullrequest WHERE rules_version < %(now)s
    UNION ALL
    SELECT 'commit', repository_id || ':' || sha FROM metrics_derivedcommit WHERE rules_version < %(now)s
    UNION ALL
    SELECT 'deployment', last_deployment_id::text FROM metrics_deriveddeployment
    WHERE rules_version < %(now)s AND source = 'deployments'
    UNION ALL
    SELECT CASE source WHEN 'workflow_runs' THEN 'workflow_run' WHEN 'releases' THEN 'release' ELSE 'pull_request' END,
           repository_id || ':' || last_deployment_id
    FROM metrics_deriveddeployment
    WHERE rules_version < %(now)s AND source NOT IN ('deployments', 'reports')
    UNION ALL
    SELECT 'reported_deployment', repository_id || ':' || substr(group_key, length('report ') + 1)
    FROM metrics_deriveddeployment WHERE rules_version < %(now)s AND source = 'reports'
    UNION ALL
    SELECT 'pull_request', repository_id || ':' || number FROM metrics_derivedshipment WHERE rules_version < %(now)s
    UNION ALL
    SELECT 'incident', repository_id || ':' || name FROM metrics_derivedincident WHERE rules_version < %(now)s
    UNION ALL
    SELECT 'incident', repository_id || ':' || incident FROM metrics_derivedfailure WHERE rules_version < %(now)s
    UNION ALL
    SELECT 'pull_request', repository_id || ':' || number
    FROM metrics_derivedreviewrequest WHERE rules_version < %(now)s
    UNION ALL
    SELECT 'remediation', repository_id || ':' || remediation
    FROM metrics_derivedremediation WHERE rules_version < %(now)s
    UNION ALL
    SELECT DISTINCT 'workflow_run', repository_id || ':' || run_id
    FROM metrics_derivedworkflowrun WHERE rules_version < %(now)s
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A derived row that is not what the facts make of it; one of the two is None when there is no such row."""

    repository_id: int
    table: str
    key: Row
    stored: Row | None
    derived: Row | None
    columns: tuple[str, ...]

    def __str__(self) -> str:
        key = ":".join(map(str, self.key))
        if self.stored is None:
            return f"{self.table} {key}: missing"
        if self.derived is None:
            return f"{self.table} {key}: should not exist"
        values = zip(self.columns, self.stored, self.derived, strict=True)
        return f"{self.table} {key}: " + ", ".join(
            f"{name} is {old}, should be {new}" for name, old, new in values if old != new
        )


def rebuild(repository_ids: Iterable[int], *, progress: Progress) -> None:
    """Derive all rows of the repositories in batches that each commit, while the system runs."""
    for repository_id in repository_ids:
        for _, noun, keys, done, total in _batches([repository_id]):
            with transaction.atomic():
                lock_keys([(noun, keys)])
                note_repository_changes({one for derivation in noun.derive(keys) for one in derivation.store()})
            progress(noun.name, done, total)
        RebuildDifference.objects.filter(repository=repository_id, settled_at=None).update(settled_at=Now())


def rebuild_at_once(repository_ids: Iterable[int], *, threads: int, progress: Progress) -> None:
    """Rebuild several repositories at once: while PostgreSQL works for one, rows of another are derived."""
    if threads == 1:
        rebuild(repository_ids, progress=progress)
        return
    waiting = iter(list(repository_ids))  # each thread takes the next of them

    def work() -> None:
        try:
            rebuild(waiting, progress=progress)
        finally:
            connections.close_all()  # those of the thread

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work) for _ in range(threads)]:
            done.result()


def differences(
    repository_ids: Iterable[int], *, progress: Progress, most: int | None = None, settling_s: float = SETTLING_S
) -> Iterator[Difference]:
    """Yield every derived row of the repositories that a rebuild would change.

    A row whose facts have just moved on is only waiting for its recalculation: what differs is looked at once more
    after every change was worked off, for which it takes `settling_s` at the most. With `most`, only so many keys of
    each noun and repository are derived, chosen by chance.
    """
    drain(seconds=settling_s)
    for repository_id, noun, keys, done, total in _batches(repository_ids, most=most):
        if _compare(repository_id, noun, keys):
            drain(seconds=settling_s)
            yield from _compare(repository_id, noun, keys)
        progress(noun.name, done, total)


def mark_outdated() -> None:
    """Mark rows of older rules as changed, so that they are derived again."""
    with connection.cursor() as cursor:
        cursor.execute(MARK_OUTDATED, {"now": RULES_VERSION})


def _batches(repository_ids: Iterable[int], *, most: int | None = None) -> Iterator[tuple[int, Noun, Keys, int, int]]:
    for repository_id in repository_ids:
        for noun in NOUNS:
            keys = noun.keys_in(repository_id)
            if most is not None and len(keys) > most:
                keys = sorted(random.sample(keys, most))
            for start in range(0, len(keys), BATCH):
                batch = keys[start : start + BATCH]
                yield repository_id, noun, batch, start + len(batch), len(keys)


def _compare(repository_id: int, noun: Noun, keys: Sequence[Any]) -> list[Difference]:
    with transaction.atomic():
        lock_keys([(noun, keys)])
        return [found for derivation in noun.derive(keys) for found in _compare_table(repository_id, derivation)]


def _compare_table(repository_id: int, derivation: Derivation) -> list[Difference]:
    table = derivation.table
    stored = {table.key_of(row): row for row in table.stored(derivation.scopes)}
    derived = {table.key_of(row): row for row in derivation.rows}
    return [
        Difference(repository_id, table.name, key, stored.get(key), derived.get(key), table.columns)
        for key in sorted(stored.keys() | derived.keys())
        if stored.get(key) != derived.get(key)
    ]
