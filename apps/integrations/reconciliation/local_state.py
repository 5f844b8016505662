"""What is here of some repositories, stream by stream: a few statements for all of them."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils import timezone

from apps.activity.models import Coverage, Repository
from apps.github.payload import EPOCH
from apps.integrations.models import Backfill, StreamMark
from apps.integrations.reconciliation.claims import rows, run
from apps.integrations.reconciliation.decide import LONGEST_OPEN, LocalState, StoredMark, is_due
from apps.integrations.streams import STREAM_NAMES, STREAMS
from apps.integrations.streams.commits import COMMITS
from apps.integrations.streams.stream import Stream
from apps.integrations.streams.workflow_runs import WORKFLOW_RUNS

OURS = "ours"
"""Beside what GitHub showed, a mark keeps how many were here then."""
COUNTED_AT = "counted"
"""And of comments, how many GitHub listed and how many were here when they were last counted."""
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

Streams = dict[str, LocalState]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPullRequest:
    """A pull request that is open as far as we know."""

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
    """Of each repository every stream, as it is here now."""
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
    """The same, with the commits counted: one where the head that GitHub showed is here."""
    held = repositories_with_head(heads)
    return {
        pk: {**here, COMMITS.name: replace(here[COMMITS.name], ours=int(pk in held))} for pk, here in streams.items()
    }


def repositories_with_head(heads: Mapping[int, str | None]) -> set[int]:
    """The repositories of which this commit is here."""
    known = {pk: head for pk, head in heads.items() if head}
    statement = """
        SELECT asked.id FROM unnest(%(ids)s::bigint[], %(shas)s::text[]) AS asked (id, sha)
        JOIN activity_commit c ON c.repository_id = asked.id AND c.sha = asked.sha
    """
    return {row[0] for row in rows(statement, ids=list(known), shas=list(known.values()))}


def counts_of(repository_ids: Collection[int], *, streams: Iterable[Stream]) -> dict[str, dict[int, int]]:
    """How many are here, by stream and repository, in one statement; deleted ones do not count."""
    counts: dict[str, dict[int, int]] = {stream.name: {} for stream in streams}
    statement = " UNION ALL ".join(STREAMS[name].count_query for name in counts)
    for name, pk, count in rows(statement, ids=list(repository_ids)):
        counts[name][pk] = count
    return counts


def open_pull_requests(repository_ids: Collection[int]) -> dict[int, list[OpenPullRequest]]:
    """Those of each repository, the one that changed longest ago first."""
    found: dict[int, list[OpenPullRequest]] = defaultdict(list)
    for row in rows(_OPEN_PULL_REQUESTS, ids=list(repository_ids)):
        columns = dict(zip(OpenPullRequest.__slots__, row, strict=True))
        found[row[0]].append(OpenPullRequest(**columns))
    return found


def needs_rereading(repository_id: int, here: LocalState, *, now: datetime) -> bool:
    """Whether what may change without a trace is due to be read again in this repository."""
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
    """What was shown of a stream at a time; `reread_at` is when what changes without a trace was read the last time."""

    repository_id: int
    stream: str
    shown: Mapping[str, Any]
    passed_at: datetime
    reread_at: datetime | None
    ours: int | None = None
    counted: tuple[int, int] | None = None

    def text(self) -> str:
        beside = {OURS: self.ours, COUNTED_AT: self.counted}
        return json.dumps({**self.shown, **{name: value for name, value in beside.items() if value is not None}})


def keep_marks(marks: Collection[Mark]) -> None:
    """Keep them. One that a later pass of another run has kept already stays."""
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
