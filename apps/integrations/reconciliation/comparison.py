"""The comparison of repositories with a probe: what is here, what GitHub shows, the decisions, and their commit.

One transaction commits a batch, fenced by the claims.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.activity.coverage import Stretch, cover_together
from apps.activity.facts import Fact, evidence
from apps.activity.models import Repository
from apps.activity.record import record
from apps.common import db
from apps.common.failpoints import failpoint
from apps.github.objects.repositories import repository_facts
from apps.github.payload import PayloadReader, parse_time
from apps.github.probes import MOST_PULL_REQUESTS, Probe, ProbeRequest, read_probe
from apps.github.responses import REFUSALS, Answer
from apps.integrations.backfill.start import Scope, start
from apps.integrations.drift import count_recovered, source_of
from apps.integrations.models import RepositorySync, SyncLog
from apps.integrations.reader import Reader, RequestFailedError
from apps.integrations.reconciliation.claimed_repositories import Claimed, Settled, end, settle
from apps.integrations.reconciliation.local_state import (
    COUNTED_WEEKLY,
    LONGEST_OPEN,
    MARGIN,
    Decision,
    Follow,
    LocalState,
    Mark,
    OpenPullRequest,
    Read,
    Streams,
    Unchanged,
    count_heads,
    counts_of,
    decide,
    keep_marks,
    needs_rereading,
    open_pull_requests,
    read_local_state,
)
from apps.integrations.streams import PROBES, STREAMS
from apps.integrations.streams.commits import COMMITS
from apps.integrations.streams.pull_requests import PULL_REQUESTS
from apps.integrations.streams.stream import Listing
from apps.integrations.streams.workflow_runs import WORKFLOW_RUNS
from apps.webhooks.parsing import UnusablePayloadError

LONGEST_WAIT_S = 15.0
REREAD, PROBLEM = "reread", "problem"
"""Keys next to the marks in a row, for its verification: the streams whose changes without a trace were read, and why
something could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentCount:
    """How many comments GitHub lists, and how many are here."""

    listed: int
    ours: int


def count_listed(listing: Listing, *, repository_id: int, since: datetime | None, reader: Reader) -> int | None:
    """Return how many of a list GitHub has since then; None if it refuses to list them."""
    try:
        answer = reader.get(f"/repositories/{repository_id}{listing.path}", listing.parameters(since))
    except RequestFailedError as refusal:
        if refusal.answer.kind not in REFUSALS:
            raise
        return None
    return listing.length(answer)


def is_off(count: CommentCount, *, here: LocalState) -> bool:
    """Return whether one of the counts changed without the other, or, the first time, if a whole history differs."""
    if here.kept is not None and here.kept.counted is not None:
        listed, ours = here.kept.counted
        return count.listed - listed != count.ours - ours
    return here.is_whole and count.listed != count.ours


@dataclass(slots=True, kw_only=True)
class Comparison:
    """One repository of a probe: the request, the answer and the decisions."""

    claimed: Claimed
    repository: Repository
    here: Streams
    rereads: frozenset[str]
    """The streams whose changes without a trace have to be read."""
    asked: ProbeRequest
    open: Sequence[OpenPullRequest] = ()
    probe: Probe | None = None
    decisions: dict[str, Decision] = field(default_factory=dict)
    counts: dict[str, CommentCount] = field(default_factory=dict)
    is_open_read: bool = False
    problem: str = ""
    """Why something of it could not be read."""

    @property
    def shown(self) -> Probe:
        """Return what GitHub showed; LookupError if it showed nothing."""
        if self.probe is None:
            raise LookupError(self.repository.full_name)
        return self.probe

    @property
    def read_since(self) -> datetime | None:
        """Return from when on its pull requests will be read; None if they will not."""
        decision = self.decisions.get(PULL_REQUESTS.name)
        return decision.since if isinstance(decision, Read) else None

    @property
    def differs(self) -> tuple[str, ...]:
        return tuple(stream for stream, decision in self.decisions.items() if isinstance(decision, Read | Follow))

    @property
    def reread(self) -> list[str]:
        """Return the streams whose changes without a trace were read, or will have been after a backfill."""
        read = [stream for stream, one in self.decisions.items() if isinstance(one, Read) and one.is_reread]
        opened = [PULL_REQUESTS.name] if self.is_open_read and not self.problem else []
        return [*read, *opened, *self.counts]


def commit(comparisons: Iterable[Comparison], *, probed_at: datetime) -> None:
    """Settle the rows still held: store marks and coverage of unchanged streams, start backfills of the others."""
    with db.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        by_id = {each.claimed.id: each for each in comparisons if each.probe is not None}
        counted = _to_be_counted(each.claimed.sync_id for each in by_id.values())
        settled = [_settled(each, is_counted=each.claimed.sync_id in counted) for each in by_id.values()]
        held = settle(settled, probed_at=probed_at)
        kept = [by_id[identity] for identity in sorted(held)]
        record(
            [
                evidence(source_of(each.claimed.id), facts)
                for each in kept
                if (facts := changed(each, probed_at=probed_at))
            ]
        )
        unchanged = [
            (each, stream, one) for each in kept for stream, one in each.decisions.items() if isinstance(one, Unchanged)
        ]
        keep_marks([_mark(each, stream, at=probed_at) for each, stream, _ in unchanged])
        cover_together(
            [
                Stretch(repository_id=each.repository.pk, stream=stream, from_at=one.since, to_at=probed_at)
                for each, stream, one in unchanged
            ]
        )
        count_recovered({each.repository.pk: each.claimed.id for each in kept})
        for each in kept:
            _start_backfills(each)
        failpoint("sync.before_commit")
    failpoint("sync.after_commit")


def reread_at(here: LocalState, *, fresh: bool, at: datetime) -> datetime | None:
    """Return when changes without a trace were read last: now, or before; reading history reads them too."""
    if fresh:
        return at
    kept = here.kept.reread_at if here.kept else None
    return kept or (here.covered[1] if here.covered else None)


def changed(comparison: Comparison, *, probed_at: datetime) -> tuple[Fact, ...]:
    """Return the facts of a repository that changed: renamed, transferred, archived or pushed to."""
    described, ours = comparison.shown.described, comparison.repository
    shown = {
        "full_name": described["full_name"],
        "owner_id": (described["owner"] or {}).get("id"),
        "is_private": described["private"],
        "is_archived": described["archived"],
        "default_branch": described["default_branch"],
        "pushed_at": parse_time(described["pushed_at"]),
    }
    if all(getattr(ours, name) == value for name, value in shown.items()):
        return ()
    reading = PayloadReader(described, path="repository", arrived_at=probed_at, observed_at=probed_at)
    return tuple(repository_facts(reading))


def _to_be_counted(sync_ids: Iterable[int]) -> set[int]:
    """Return the runs in which deletions are searched though nothing differs, as a person started them."""
    runs = SyncLog.objects.filter(Q(is_thorough=True) | Q(accepts_mass_deletions=True), pk__in=set(sync_ids))
    return set(runs.values_list("pk", flat=True))


def _settled(comparison: Comparison, *, is_counted: bool) -> Settled:
    marks = {stream: shown.mark for stream, shown in comparison.shown.streams.items()}
    return Settled(
        claimed=comparison.claimed,
        marks={**marks, REREAD: comparison.reread, PROBLEM: comparison.problem},
        differs=comparison.differs,
        is_counted=is_counted,
        reason="not_shown" if comparison.problem else "",
        error=comparison.problem,
    )


def _mark(comparison: Comparison, stream: str, *, at: datetime) -> Mark:
    here, count = comparison.here[stream], comparison.counts.get(stream)
    counted = (count.listed, count.ours) if count else here.kept.counted if here.kept else None
    return Mark(
        repository_id=comparison.repository.pk,
        stream=stream,
        shown=comparison.shown.streams[stream].mark,
        passed_at=at,
        reread_at=reread_at(here, fresh=stream in comparison.reread, at=at),
        ours=here.ours,
        counted=counted,
    )


def _start_backfills(comparison: Comparison) -> None:
    """Start backfills, those of one begin together; a stream that is being read already gets none."""
    row, repository = RepositorySync(pk=comparison.claimed.id), Repository.objects.filter(pk=comparison.repository.pk)
    for since, streams in _by_since(comparison.decisions):
        start(repository, scope=Scope(since=since, streams=streams), sync=row)


def _by_since(decisions: Mapping[str, Decision]) -> Iterator[tuple[datetime, tuple[str, ...]]]:
    begins = {stream: one.since for stream, one in decisions.items() if isinstance(one, Read)}
    for since in sorted(set(begins.values())):
        yield since, tuple(stream for stream, begin in begins.items() if begin == since)


def begin_comparisons(batch: Sequence[tuple[Claimed, Repository]]) -> list[Comparison]:
    """Read what is here of each, and choose what to ask, with as many open pull requests to read again as fit."""
    here = read_local_state([repository for _, repository in batch])
    rereads = _rereads([claimed for claimed, _ in batch], here=here)
    opened = open_pull_requests([pk for pk, streams in rereads.items() if PULL_REQUESTS.name in streams])
    room, comparisons = MOST_PULL_REQUESTS, []
    for claimed, repository in batch:
        pk, of_it = repository.pk, opened.get(repository.pk, [])
        numbers = tuple(one.number for one in of_it[:room])
        room -= len(numbers)
        asked = ProbeRequest(repository_id=pk, full_name=repository.full_name, numbers=numbers)
        comparisons.append(
            Comparison(
                claimed=claimed, repository=repository, here=here[pk], rereads=rereads[pk], asked=asked, open=of_it
            )
        )
    return comparisons


def read_answer(comparisons: Sequence[Comparison], answer: Answer) -> None:
    """Parse what the answer shows of each; an unusable one fails alone."""
    for at, each in enumerate(comparisons):
        try:
            each.probe = read_probe(answer.data, at, request=each.asked, streams=PROBES)
        except UnusablePayloadError as error:
            each.problem = str(error)
            end([each.claimed], reason="unusable", error=each.problem)


def decide_each(comparisons: Iterable[Comparison], *, reader: Reader) -> None:
    """Decide about those that GitHub shows, and count what that needs; RequestFailedError if it does not answer."""
    there = [each for each in comparisons if each.probe is not None]
    _decide(there)
    _count_comments(there, reader=reader)
    _count_runs(there, reader=reader)


def _rereads(batch: Sequence[Claimed], *, here: Mapping[int, Streams]) -> dict[int, frozenset[str]]:
    """Return the streams of each whose changes without a trace are read: all of them in a thorough run."""
    runs, now = {claimed.sync_id for claimed in batch}, timezone.now()
    thorough = set(SyncLog.objects.filter(pk__in=runs, is_thorough=True).values_list("pk", flat=True))
    rereads = {}
    for claimed in batch:
        pk, is_thorough = claimed.repository_id, claimed.sync_id in thorough
        streams = (name for name, of_it in here[pk].items() if is_thorough or needs_rereading(pk, of_it, now=now))
        rereads[pk] = frozenset(streams)
    return rereads


def _decide(comparisons: Sequence[Comparison]) -> None:
    now, history = timezone.now(), timedelta(days=settings.BACKFILL_DAYS)
    heads = {each.repository.pk: each.shown.streams[COMMITS.name].mark["head"] for each in comparisons}
    here = count_heads({each.repository.pk: each.here for each in comparisons}, heads)
    for each in comparisons:
        each.here = here[each.repository.pk]
        each.decisions = {
            name: decide(
                STREAMS[name], shown=shown, here=each.here[name], is_due=name in each.rereads, now=now, history=history
            )
            for name, shown in each.shown.streams.items()
        }


def _count_comments(comparisons: Sequence[Comparison], *, reader: Reader) -> None:
    """Count unchanged comments once a week; if a count is off, they are read since they were last counted."""
    ours = counts_of([each.repository.pk for each in comparisons], streams=COUNTED_WEEKLY)
    for each in comparisons:
        for stream in COUNTED_WEEKLY:
            name, pk = stream.name, each.repository.pk
            decision, here = each.decisions[name], each.here[name]
            if name not in each.rereads or not isinstance(decision, Unchanged) or not isinstance(stream.total, Listing):
                continue
            listed = count_listed(stream.total, repository_id=pk, since=None, reader=reader)
            if listed is None:
                continue
            each.counts[name] = CommentCount(listed=listed, ours=ours[name].get(pk, 0))
            if is_off(each.counts[name], here=here):
                counted_at = reread_at(here, fresh=False, at=decision.since) or decision.since
                each.decisions[name] = Read(since=counted_at - MARGIN)


def _count_runs(comparisons: Sequence[Comparison], *, reader: Reader) -> None:
    """Count workflow runs once a week if none is here: all runs that no push began may be lost."""
    since, name, runs = timezone.now() - LONGEST_OPEN, WORKFLOW_RUNS.name, WORKFLOW_RUNS.total
    assert isinstance(runs, Listing)  # noqa: S101  REST alone has runs
    for each in comparisons:
        if not isinstance(each.decisions[name], Unchanged) or name not in each.rereads or each.here[name].has_any:
            continue
        listed = count_listed(runs, repository_id=each.repository.pk, since=since, reader=reader)
        if listed:
            each.decisions[name] = Read(since=since, is_reread=True)
        elif listed is not None:
            each.counts[name] = CommentCount(listed=0, ours=0)
