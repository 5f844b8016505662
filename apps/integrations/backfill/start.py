"""Starts of backfills: one statement for any number of repositories; two starts of the same stream are one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from apps.activity.models import Installation, Repository, RepositoryAccess
from apps.github.rate_limit import Priority
from apps.integrations.models import Backfill, RepositorySync
from apps.integrations.readable_installations import installation_reaching, readable_installations
from apps.integrations.streams import STREAM_NAMES, STREAMS
from apps.jobs.changes import enqueue_after_commit, lock_starts
from apps.teams.models import Team
from apps.teams.visibility import repositories_of

MOST_NAMED = 8


class NothingToStartError(ValueError):
    """What was asked for cannot be read; the message says what to do about it."""


class CannotBeReadError(NothingToStartError):
    """What was asked for is there and cannot be read now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What of each repository: what was updated `since`, nothing that was created after `until`; None is no bound.

    NothingToStartError for streams that do not exist and bounds with nothing between them.
    """

    since: datetime | None = None
    until: datetime | None = None
    streams: tuple[str, ...] = STREAM_NAMES

    def __post_init__(self) -> None:
        unknown = [name for name in self.streams if name not in STREAMS]
        if unknown or not self.streams:
            problem = f"There is no stream {', '.join(unknown)}" if unknown else "No stream is named"
            raise NothingToStartError(f"{problem}; there are {', '.join(STREAM_NAMES)}.")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise NothingToStartError("Nothing lies between: since must be earlier than until.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The backfills of a start, one per repository and stream: new, or the unfinished one that was there already.

    `new` counts those that are new or had to be widened; `unreachable` are repositories that no installation of ours
    reaches.
    """

    backfills: tuple[Backfill, ...]
    new: int
    unreachable: tuple[Repository, ...]


def chosen(
    *,
    full_names: Sequence[str] = (),
    installation_id: int | None = None,
    team: Team | None = None,
    everything: bool = False,
) -> QuerySet[Repository]:
    """Return the chosen repositories without those deleted on GitHub; NothingToStartError if there are none."""
    known = Repository.objects.filter(deleted_at__isnull=True)
    found = Repository.objects.none()
    if full_names:
        found |= _named(known, full_names)
    if installation_id is not None:
        found |= _of_installation(known, installation_id)
    if team is not None:
        found |= _of_team(known, team)
    if everything:
        found |= _reached(known)
    return found.order_by("full_name", "pk")


def start(
    repositories: QuerySet[Repository],
    *,
    scope: Scope,
    lost_at: datetime | None = None,
    sync: RepositorySync | None = None,
) -> Started:
    """Start backfills of the repositories. Unfinished ones continue; where this asks for more of it, or it was started
    before the repository was `lost_at`, it begins again with the wider bounds.

    Archived repositories are read too, deleted ones are not. New backfills are part of the reconciliation `sync`, if
    one is named; unfinished ones stay part of what they were.
    """
    wanted = list(repositories.filter(deleted_at__isnull=True))
    reached = installation_reaching([repository.pk for repository in wanted])
    streams = tuple(dict.fromkeys(scope.streams))
    with transaction.atomic():
        lock_starts()
        new = _insert_or_widen(reached, scope=scope, streams=streams, lost_at=lost_at, sync=sync)
        backfills = Backfill.objects.filter(repository__in=reached, stream__in=streams).unfinished()
        started = tuple(backfills.select_related("repository").order_by("repository__full_name", "pk"))
        if new:
            enqueue_after_commit()
    return Started(
        backfills=started,
        new=new,
        unreachable=tuple(repository for repository in wanted if repository.pk not in reached),
    )


def _named(known: QuerySet[Repository], full_names: Sequence[str]) -> QuerySet[Repository]:
    wanted = {name.strip().lower(): name.strip() for name in full_names}
    named = known.alias(lower_name=Lower("full_name")).filter(lower_name__in=wanted)
    found = {name.lower() for name in named.values_list("full_name", flat=True)}
    if missing := [name for lowered, name in wanted.items() if lowered not in found]:
        raise NothingToStartError(
            f"Nothing is known of {', '.join(missing)}{_known_of_owners(known, missing)}. A repository becomes known"
            " when an installation that reaches it is listed: give the App access to it on GitHub, then try again."
        )
    return Repository.objects.filter(pk__in=named.values("pk"))


def _known_of_owners(known: QuerySet[Repository], missing: Sequence[str]) -> str:
    """Return the known repositories of the same owners, in case a name was mistyped."""
    owners = {name.partition("/")[0].lower() for name in missing}
    of_owners = Q()
    for owner in owners:
        of_owners |= Q(full_name__istartswith=f"{owner}/")
    names = ", ".join(known.filter(of_owners).order_by("full_name").values_list("full_name", flat=True)[:MOST_NAMED])
    return f"; there are {names}" if names else ""


def _of_installation(known: QuerySet[Repository], installation_id: int) -> QuerySet[Repository]:
    installation = Installation.objects.filter(pk=installation_id).first()
    if installation is None:
        ids = ", ".join(map(str, readable_installations().order_by("pk").values_list("pk", flat=True)[:MOST_NAMED]))
        there = f"there are {ids}" if ids else "there are none yet: install the App on an account"
        raise NothingToStartError(f"There is no installation {installation_id}; {there}.")
    if not readable_installations().filter(pk=installation_id).exists():
        raise CannotBeReadError(f"Installation {installation_id} cannot be read: {_why_unreadable(installation)}.")
    return _at_least_one(
        known.filter(accesses__installation=installation_id, accesses__has_access=True),
        problem=f"Installation {installation_id} reaches no repository: give it one on GitHub.",
    )


def _why_unreadable(installation: Installation) -> str:
    if installation.deleted_at is not None:
        return "the App was removed from its account"
    if installation.suspended_at is not None:
        return "it is suspended; unsuspend it on GitHub"
    return "its account was not accepted; name it in ALLOWED_ACCOUNTS, or approve its team in the admin"


def _of_team(known: QuerySet[Repository], team: Team) -> QuerySet[Repository]:
    of_team = repositories_of(Team.objects.filter(pk=team.pk)).order_by()
    return _at_least_one(
        known.filter(pk__in=of_team.values("pk")),
        problem=f"Team {team.slug} tracks no repository: install the App on its account, or add one in the admin.",
    )


def _reached(known: QuerySet[Repository]) -> QuerySet[Repository]:
    reached = RepositoryAccess.objects.filter(has_access=True, installation__in=readable_installations().values("pk"))
    return _at_least_one(
        known.filter(pk__in=reached.values("repository")),
        problem="No installation reaches any repository yet: install the App on an account.",
    )


def _at_least_one(found: QuerySet[Repository], *, problem: str) -> QuerySet[Repository]:
    if not found.exists():
        raise NothingToStartError(problem)
    return Repository.objects.filter(pk__in=found.order_by().values("pk"))


def _insert_or_widen(
    reached: dict[int, int],
    *,
    scope: Scope,
    streams: Sequence[str],
    lost_at: datetime | None,
    sync: RepositorySync | None,
) -> int:
    """Insert or widen all of them in one statement; return how many are new or begin again."""
    if not reached:
        return 0
    asked: dict[str, Any] = {
        "repositories": list(reached),
        "installations": list(reached.values()),
        "streams": list(streams),
        "page_sizes": [STREAMS[stream].page_size for stream in streams],
        "since": scope.since,
        "until": scope.until,
        "lost_at": lost_at,
        "sync": sync.pk if sync else None,
        "kind": Backfill.KIND,
        "priority": Priority.RECONCILIATION if sync else Priority.BACKFILL,
    }
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_OR_WIDEN, asked)
        return int(cursor.fetchone()[0])


# What an earlier backfill of the stream learned of page sizes is where this one begins. The bounds of a row that is
# widened become those that hold both; its reading begins again, as cursors of other bounds mean other places. So does
# one whose cursor is behind changes that no webhook reported.
_INSERT_OR_WIDEN = """
WITH wanted AS (
    SELECT reached.*, read.*, reached.repository_id || '/' || read.stream AS key
    FROM unnest(%(repositories)s::bigint[], %(installations)s::bigint[]) AS reached (repository_id, installation_id)
    CROSS JOIN unnest(%(streams)s::text[], %(page_sizes)s::smallint[]) AS read (stream, page_size)
), unfinished AS (
    SELECT j.id, j.started_at, wanted.key, wanted.installation_id FROM wanted
    JOIN jobs_job j ON j.kind = %(kind)s AND j.key = wanted.key AND j.state IN ('waiting', 'running', 'paused')
    ORDER BY wanted.repository_id, wanted.stream FOR UPDATE OF j
), widened AS (
    UPDATE integrations_backfill b
    SET since = CASE WHEN %(since)s::timestamptz IS NOT NULL AND b.since IS NOT NULL
            THEN least(%(since)s, b.since) END,
        until = CASE WHEN %(until)s::timestamptz IS NOT NULL AND b.until IS NOT NULL
            THEN greatest(%(until)s, b.until) END
    FROM unfinished WHERE b.job_ptr_id = unfinished.id AND (
        (b.since IS NOT NULL AND (%(since)s IS NULL OR %(since)s < b.since))
        OR (b.until IS NOT NULL AND (%(until)s IS NULL OR %(until)s > b.until))
        OR unfinished.started_at <= %(lost_at)s::timestamptz)
    RETURNING unfinished.id, unfinished.installation_id
), again AS (
    UPDATE jobs_job j
    SET installation_id = widened.installation_id,
        state = CASE WHEN j.state = 'running' THEN 'waiting' ELSE j.state END,
        not_before = CASE WHEN j.state = 'running' THEN statement_timestamp() ELSE j.not_before END,
        claim_number = j.claim_number + 1, lease_until = NULL, leased_by = '',
        cursor = '', started_at = NULL, attempts = 0, skips_item = false, restarts = 0,
        total = NULL, items = 0, pages = 0, skipped = '[]'
    FROM widened WHERE j.id = widened.id RETURNING j.id
), job AS (
    INSERT INTO jobs_job (kind, key, installation_id, priority, page_size, skipped)
    SELECT %(kind)s, wanted.key, wanted.installation_id, %(priority)s,
        coalesce(learned.page_size, wanted.page_size), '[]'
    FROM wanted
    LEFT JOIN LATERAL (
        SELECT earlier.page_size FROM jobs_job AS earlier
        WHERE earlier.kind = %(kind)s AND earlier.key = wanted.key ORDER BY earlier.id DESC LIMIT 1
    ) AS learned ON true
    WHERE NOT EXISTS (SELECT FROM unfinished WHERE unfinished.key = wanted.key)
    ORDER BY wanted.repository_id, wanted.stream RETURNING id, key
), new AS (
    INSERT INTO integrations_backfill (job_ptr_id, repository_id, stream, sync_id, since, until)
    SELECT job.id, wanted.repository_id, wanted.stream, %(sync)s::bigint, %(since)s, %(until)s
    FROM job JOIN wanted ON wanted.key = job.key RETURNING job_ptr_id
)
SELECT (SELECT count(*) FROM new) + (SELECT count(*) FROM again)
"""
