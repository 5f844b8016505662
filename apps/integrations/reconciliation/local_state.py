"""The state of streams in our tables, their marks, and the decision what of them has to be read.

The decision is pure. What is unknown is read. That our newest row is GitHub's newest proves nothing: an earlier one may
be lost.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from apps.activity.models import Coverage, Repository
from apps.github.payload import EPOCH
from apps.github.probes import ProbedStream
from apps.integrations.models import Backfill, RepositorySync, StreamCount, StreamMark
from apps.integrations.reconciliation.claimed_repositories import rows, run
from apps.integrations.streams import STREAM_NAMES, STREAMS
from apps.integrations.streams.commits import COMMITS
from apps.integrations.streams.stream import Stream
from apps.integrations.streams.workflow_runs import WORKFLOW_RUNS

Json = Mapping[str, Any]
MARGIN = timedelta(hours=1)
"""Changes of so long before the last pass are read again: clocks differ, and lists lag."""
LATELY = timedelta(days=7)
"""Unfinished deployments and workflow runs are read every night while they are so young."""
LONGEST_OPEN = timedelta(days=30)
"""They are read every week while they are so young; so are finished runs, which may be run again."""
WEEK, LATE, SOON = 7, timedelta(days=8), timedelta(hours=12)
OURS = "ours"
"""The key of a mark for how many rows were here then."""
COUNTED_AT = "counted"
"""The key of a mark for how many comments GitHub listed and how many were here when they were last counted."""
COUNTED = tuple(stream for stream in STREAMS.values() if stream.probe.is_counted)
COUNTED_WEEKLY = tuple(stream for stream in STREAMS.values() if stream.is_counted_weekly)
_HAVE_RUNS = """
SELECT asked.id FROM unnest(%(ids)s::bigint[]) AS asked (id)
WHERE EXISTS (SELECT FROM activity_workflowrun r WHERE r.repository_id = asked.id)
"""
_OPEN_PULL_REQUESTS = """
SELECT repository_id, number, title, state, is_draft, updated_at, closed_at, merged_at, base_ref, head_ref, head_sha
FROM activity_pullrequest WHERE repository_id = ANY(%(ids)s) AND state = 'open' ORDER BY updated_at, number
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMark:
    """What GitHub showed when all of the stream was here the last time, and how many rows were here then.

    `counted` is how many comments GitHub listed, and how many were here, when they were last counted.
    """

    mark: Json
    passed_at: datetime
    reread_at: datetime | None
    ours: int | None = None
    counted: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalState:
    """The state of one stream of a repository in our tables.

    `covered` is the latest period of which everything is here, `is_whole` whether it began with the repository; `ours`
    is how many rows are here, if they are counted; `open_since` is when the oldest unfinished one was created, of those
    that are still read; `is_being_read` is an unfinished backfill, `is_paused` a paused one.
    """

    kept: StoredMark | None = None
    covered: tuple[datetime, datetime] | None = None
    is_whole: bool = False
    ours: int | None = None
    has_any: bool = False
    open_since: datetime | None = None
    is_being_read: bool = False
    is_paused: bool = False


Streams = dict[str, LocalState]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPullRequest:
    """A pull request that is open in our tables."""

    repository_id: int
    number: int
    title: str
    state: str
    is_draft: bool
    updated_at: datetime | None
    closed_at: datetime | None
    merged_at: datetime | None
    base_ref: str
    head_ref: str
    head_sha: str


def read_local_state(repositories: Collection[Repository]) -> dict[int, Streams]:
    """Return every stream of each repository as it is here now."""
    ids = [repository.pk for repository in repositories]
    beginnings = {repository.pk: repository.created_at or EPOCH for repository in repositories}
    here: dict[int, dict[str, dict[str, Any]]] = {pk: defaultdict(dict) for pk in ids}
    for mark in StreamMark.objects.filter(repository__in=ids):
        here[mark.repository_id][mark.stream]["kept"] = _kept(mark)
    for pk, name, from_at, to_at in _latest_coverage(ids):
        here[pk][name] |= {"covered": (from_at, to_at), "is_whole": from_at <= beginnings[pk]}
    for pk, name, state in _unfinished(ids):
        here[pk][name]["is_paused" if state == Backfill.State.PAUSED else "is_being_read"] = True
    for name, counts in counts_of(ids, streams=COUNTED).items():
        for pk in ids:
            here[pk][name]["ours"] = counts.get(pk, 0)
    since = timezone.now() - LONGEST_OPEN
    for stream in STREAMS.values():
        for pk, at in rows(stream.unfinished, ids=ids, since=since) if stream.unfinished else ():
            here[pk][stream.name]["open_since"] = at
    for (pk,) in rows(_HAVE_RUNS, ids=ids):
        here[pk][WORKFLOW_RUNS.name]["has_any"] = True
    return {pk: {name: LocalState(**known[name]) for name in STREAM_NAMES} for pk, known in here.items()}


def count_heads(streams: Mapping[int, Streams], heads: Mapping[int, str | None]) -> dict[int, Streams]:
    """Return the same with commits counted: 1 if the head that GitHub showed is here, else 0."""
    held = repositories_with_head(heads)
    return {
        pk: {**here, COMMITS.name: replace(here[COMMITS.name], ours=int(pk in held))} for pk, here in streams.items()
    }


def repositories_with_head(heads: Mapping[int, str | None]) -> set[int]:
    """Return the repositories whose head commit is here."""
    known = {pk: head for pk, head in heads.items() if head}
    statement = """
        SELECT asked.id FROM unnest(%(ids)s::bigint[], %(shas)s::text[]) AS asked (id, sha)
        JOIN activity_commit c ON c.repository_id = asked.id AND c.sha = asked.sha
    """
    return {row[0] for row in rows(statement, ids=list(known), shas=list(known.values()))}


def counts_of(repository_ids: Collection[int], *, streams: Iterable[Stream]) -> dict[str, dict[int, int]]:
    """Count the rows by stream and repository in one statement, without deleted ones."""
    counts: dict[str, dict[int, int]] = {stream.name: {} for stream in streams}
    statement = " UNION ALL ".join(STREAMS[name].count_query for name in counts)
    for name, pk, count in rows(statement, ids=list(repository_ids)):
        counts[name][pk] = count
    return counts


def open_pull_requests(repository_ids: Collection[int]) -> dict[int, list[OpenPullRequest]]:
    """Return the open pull requests of each repository, the one that changed longest ago first."""
    found: dict[int, list[OpenPullRequest]] = defaultdict(list)
    for row in rows(_OPEN_PULL_REQUESTS, ids=list(repository_ids)):
        columns = dict(zip(OpenPullRequest.__slots__, row, strict=True))
        found[row[0]].append(OpenPullRequest(**columns))
    return found


def needs_rereading(repository_id: int, here: LocalState, *, now: datetime) -> bool:
    """Return whether what may change without a trace has to be read again in this repository."""
    reread_at = here.kept.reread_at if here.kept else None
    return is_due(repository_id, reread_at=reread_at or (here.covered[1] if here.covered else None), now=now)


def _kept(mark: StreamMark) -> StoredMark:
    shown = {name: value for name, value in mark.mark.items() if name not in {OURS, COUNTED_AT}}
    counted = mark.mark.get(COUNTED_AT)
    return StoredMark(
        mark=shown,
        passed_at=mark.passed_at,
        reread_at=mark.reread_at,
        ours=mark.mark.get(OURS),
        counted=(counted[0], counted[1]) if counted else None,
    )


def _latest_coverage(ids: Collection[int]) -> Any:
    covered = Coverage.objects.filter(repository__in=ids).order_by("repository", "stream", "-to_at")
    return covered.distinct("repository", "stream").values_list("repository_id", "stream", "from_at", "to_at")


def _unfinished(ids: Collection[int]) -> Any:
    return Backfill.objects.unfinished().filter(repository__in=ids).values_list("repository_id", "stream", "state")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What GitHub showed of a stream at a time; `reread_at` is when changes without a trace were read the last time."""

    repository_id: int
    stream: str
    shown: Mapping[str, Any]
    passed_at: datetime
    reread_at: datetime | None
    ours: int | None = None
    counted: tuple[int, int] | None = None

    def text(self) -> str:
        extra = {OURS: self.ours, COUNTED_AT: self.counted}
        return json.dumps({**self.shown, **{name: value for name, value in extra.items() if value is not None}})


def keep_marks(marks: Collection[Mark]) -> None:
    """Store them, unless a later pass of another run has stored one already."""
    if not marks:
        return
    rows = sorted(marks, key=lambda mark: (mark.repository_id, mark.stream))
    run(
        _KEEP,
        repositories=[mark.repository_id for mark in rows],
        streams=[mark.stream for mark in rows],
        marks=[mark.text() for mark in rows],
        passes=[mark.passed_at for mark in rows],
        rereadings=[mark.reread_at for mark in rows],
    )


_KEEP = """
INSERT INTO integrations_streammark AS kept (repository_id, stream, mark, passed_at, reread_at)
SELECT repository_id, stream, mark::jsonb, passed_at, coalesce(reread_at, passed_at) FROM unnest(
    %(repositories)s::bigint[], %(streams)s::text[], %(marks)s::text[], %(passes)s::timestamptz[],
    %(rereadings)s::timestamptz[]
) AS shown (repository_id, stream, mark, passed_at, reread_at)
ORDER BY repository_id, stream
ON CONFLICT (repository_id, stream) DO UPDATE SET
    mark = excluded.mark, passed_at = excluded.passed_at, reread_at = greatest(kept.reread_at, excluded.reread_at)
WHERE kept.passed_at <= excluded.passed_at
"""


RIGHT = (StreamCount.Outcome.AGREES, StreamCount.Outcome.SETTLED)


def find_surplus(sync: RepositorySync, *, stream: str) -> int | None:
    """Return how many more GitHub has than are here when nothing is missing, as it hides some.

    That is the difference of the last run in which nothing was missing; None if there was none and the stream was read
    only in part.
    """
    earlier = _right_before(sync, stream=stream)
    if earlier is not None and earlier.theirs is not None and earlier.ours is not None:
        return max(0, earlier.theirs - earlier.ours)
    return None if _is_partly_read(sync, stream=stream) else 0


def _right_before(sync: RepositorySync, *, stream: str) -> StreamCount | None:
    """Return the last count at which nothing was missing; what GitHub has more after all was read, it hides."""
    read = Backfill.objects.filter(sync=OuterRef("repository_sync"), stream=stream, state=Backfill.State.DONE)
    is_right = Q(outcome__in=RIGHT) | Q(Exists(read), outcome=StreamCount.Outcome.SHORT)
    counts = StreamCount.objects.filter(
        is_right,
        stream=stream,
        repository_sync__repository=sync.repository_id,
        repository_sync__lt=sync,
        repository_sync__state=RepositorySync.State.DONE,
    )
    return counts.order_by("-repository_sync").first()


def _is_partly_read(sync: RepositorySync, *, stream: str) -> bool:
    read = Coverage.objects.filter(repository=sync.repository_id, stream=stream)
    created_at = sync.repository.created_at
    return read.exists() and (created_at is None or not read.filter(from_at__lte=created_at).exists())


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """The stream has not changed since then."""

    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was updated since then has to be read."""

    since: datetime
    is_reread: bool = False


@dataclass(frozen=True, slots=True)
class Follow:
    """The stream is being read already, and its probe is repeated afterwards."""


@dataclass(frozen=True, slots=True)
class Skip:
    """The stream's backfill is paused, so that nothing is known of it and nothing is done."""


Decision = Unchanged | Read | Follow | Skip


def decide(
    stream: Stream, *, shown: ProbedStream, here: LocalState, is_due: bool, now: datetime, history: timedelta
) -> Decision:
    """Decide about a stream; if it was never read, what was updated within `history` is read."""
    if here.is_paused:
        return Skip()
    if here.is_being_read:
        return Follow()
    begin, is_reread = _begin(stream, here=here, is_due=is_due, now=now)
    unchanged_since = _unchanged_since(shown, here=here)
    if unchanged_since is not None and begin is None:
        return Unchanged(since=unchanged_since)
    since = _last_pass(stream, here=here) or now - history
    return Read(since=min(since, begin) if begin else since, is_reread=is_reread)


def is_due(repository_id: int, *, reread_at: datetime | None, now: datetime) -> bool:
    """Return whether what may change without a trace has to be read again: once a week, a seventh of all a day."""
    if reread_at is None:
        return True
    if now - reread_at >= LATE:
        return True
    return repository_id % WEEK == now.toordinal() % WEEK and now - reread_at >= SOON


def is_missing(count: int | None, *, here: LocalState) -> bool:
    """Return whether GitHub counts more than are here, by more than it did when all was here.

    A count proves nothing if history was read only in part and nothing was compared yet.
    """
    if count is None or here.ours is None:
        return False
    if here.kept is not None and here.kept.ours is not None and "count" in here.kept.mark:
        return count - here.ours > max(0, int(here.kept.mark["count"]) - here.kept.ours)
    return here.is_whole and count > here.ours


def _unchanged_since(shown: ProbedStream, *, here: LocalState) -> datetime | None:
    """Return since when the stream has not changed for sure, None if it may have."""
    if here.kept is not None:
        is_same = shown.mark == here.kept.mark and here.ours == here.kept.ours
        return here.kept.passed_at if is_same else None
    if here.covered is None:
        return None
    _, to_at = here.covered
    is_older = shown.moved_at is None or shown.moved_at < to_at - MARGIN
    is_counted = not here.is_whole or shown.count is None or shown.count == here.ours
    return to_at if is_older and is_counted else None


def _last_pass(stream: Stream, *, here: LocalState) -> datetime | None:
    passed_at = here.kept.passed_at if here.kept else here.covered[1] if here.covered else None
    if passed_at is None:
        return None
    return passed_at - stream.overlap


def _begin(stream: Stream, *, here: LocalState, is_due: bool, now: datetime) -> tuple[datetime | None, bool]:
    """Return from when on it has to be read even if it seems unchanged, and whether that is the weekly reading."""
    if stream.is_run_again and here.has_any:
        if is_due:
            return now - LONGEST_OPEN, True
        return _young(here.open_since, now=now) or now, False
    if here.open_since is not None and not stream.is_run_again:
        if is_due:
            return here.open_since, True
        return _young(here.open_since, now=now), False
    return None, False


def _young(at: datetime | None, *, now: datetime) -> datetime | None:
    return at if at is not None and now - at < LATELY else None
