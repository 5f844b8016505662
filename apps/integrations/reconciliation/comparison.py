"""Comparing repositories with a probe: what is here, what GitHub shows, what follows, and its commit.

One transaction keeps a batch, fenced by the claims.
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
from apps.integrations.reconciliation.claims import Claimed, Settled, end, settle
from apps.integrations.reconciliation.decide import (
    LONGEST_OPEN,
    MARGIN,
    Decision,
    Follow,
    LocalState,
    Read,
    Unchanged,
    decide,
)
from apps.integrations.reconciliation.local_state import (
    COUNTED_WEEKLY,
    Mark,
    OpenPullRequest,
    Streams,
    count_heads,
    counts_of,
    keep_marks,
    needs_rereading,
    open_pull_requests,
    read_local_state,
)
from apps.integrations.reconciliation.open_pull_requests import read_open, read_stale, stale_among
from apps.integrations.streams import PROBES, STREAMS
from apps.integrations.streams.commits import COMMITS
from apps.integrations.streams.pull_requests import PULL_REQUESTS
from apps.integrations.streams.stream import Listing
from apps.integrations.streams.workflow_runs import WORKFLOW_RUNS
from apps.webhooks.parsing import UnusablePayloadError


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentCount:
    """How many comments GitHub lists, and how many are here."""

    listed: int
    ours: int


def count_listed(listing: Listing, *, repository_id: int, since: datetime | None, reader: Reader) -> int | None:
    """How many of a list GitHub has since then; None where it refuses to list them."""
    try:
        answer = reader.get(f"/repositories/{repository_id}{listing.path}", listing.parameters(since))
    except RequestFailedError as unanswered:
        if unanswered.answer.kind not in REFUSALS:
            raise
        return None
    return listing.length(answer)


def is_off(count: CommentCount, *, here: LocalState) -> bool:
    """Whether one of the counts changed without the other; for the first time, only a whole history can tell."""
    if here.kept is not None and here.kept.counted is not None:
        listed, ours = here.kept.counted
        return count.listed - listed != count.ours - ours
    return here.is_whole and count.listed != count.ours


LONGEST_WAIT_S = 15.0
REREAD, PROBLEM = "reread", "problem"
"""Beside the marks a row keeps, for when its backfills are over: the streams of which what changes without a trace was
read, and why something could not be."""


@dataclass(slots=True, kw_only=True)
class Comparison:
    """One repository of a probe: what was asked, what GitHub showed, what follows."""

    claimed: Claimed
    repository: Repository
    here: Streams
    rereads: frozenset[str]
    """The streams of which what changes without a trace is to be read again."""
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
        """What GitHub showed; LookupError where it showed nothing."""
        if self.probe is None:
            raise LookupError(self.repository.full_name)
        return self.probe

    @property
    def read_since(self) -> datetime | None:
        """From when on its pull requests will be read; None where they will not."""
        decision = self.decisions.get(PULL_REQUESTS.name)
        return decision.since if isinstance(decision, Read) else None

    @property
    def differs(self) -> tuple[str, ...]:
        return tuple(stream for stream, decision in self.decisions.items() if isinstance(decision, Read | Follow))

    @property
    def reread(self) -> list[str]:
        """The streams of which what changes without a trace was read again, or will have been after a backfill."""
        read = [stream for stream, one in self.decisions.items() if isinstance(one, Read) and one.is_reread]
        opened = [PULL_REQUESTS.name] if self.is_open_read and not self.problem else []
        return [*read, *opened, *self.counts]


def keep(comparisons: Iterable[Comparison], *, probed_at: datetime) -> None:
    """Settle the rows still held: keep marks and coverage of what is unchanged, start backfills of the rest."""
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
    """When what changes without a trace was read last: now, or as it was; a history that was read has it too."""
    if fresh:
        return at
    kept = here.kept.reread_at if here.kept else None
    return kept or (here.covered[1] if here.covered else None)


def changed(comparison: Comparison, *, probed_at: datetime) -> tuple[Fact, ...]:
    """The repository as it is described now, if we have it otherwise: renamed, transferred, archived, pushed to."""
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
    """The runs in which deletions are searched though nothing differs: a person started them."""
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
    """Those that begin at the same time together; what is being read already is left to whoever reads it."""
    row, repository = RepositorySync(pk=comparison.claimed.id), Repository.objects.filter(pk=comparison.repository.pk)
    for since, streams in _by_since(comparison.decisions):
        start(repository, scope=Scope(since=since, streams=streams), sync=row)


def _by_since(decisions: Mapping[str, Decision]) -> Iterator[tuple[datetime, tuple[str, ...]]]:
    begins = {stream: one.since for stream, one in decisions.items() if isinstance(one, Read)}
    for since in sorted(set(begins.values())):
        yield since, tuple(stream for stream, begin in begins.items() if begin == since)


def begin_comparisons(batch: Sequence[tuple[Claimed, Repository]]) -> list[Comparison]:
    """What is here of each, and what to ask: open pull requests of those that are read again, as many as fit."""
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
    """Read what the answer shows of each; one that cannot be used ends alone."""
    for at, each in enumerate(comparisons):
        try:
            each.probe = read_probe(answer.data, at, request=each.asked, streams=PROBES)
        except UnusablePayloadError as error:
            each.problem = str(error)
            end([each.claimed], reason="unusable", error=each.problem)


def decide_and_read(comparisons: Iterable[Comparison], *, reader: Reader, read_by_s: float) -> None:
    """Decide about those that GitHub shows, and read what that needs; RequestFailedError where it does not answer."""
    there = [each for each in comparisons if each.probe is not None]
    _decide(there)
    _count_comments(there, reader=reader)
    _count_runs(there, reader=reader)
    _read_open(there, reader=reader, read_by_s=read_by_s)


def _rereads(batch: Sequence[Claimed], *, here: Mapping[int, Streams]) -> dict[int, frozenset[str]]:
    """The streams of each of which what changes without a trace is read again: all of them in a thorough run."""
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
    """Once a week, where they are unchanged; those whose count is off are read since they were last counted."""
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
    """Once a week, where we know of none: those that no push began may all have been lost."""
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


def _read_open(comparisons: Sequence[Comparison], *, reader: Reader, read_by_s: float) -> None:
    """Open pull requests, where they are due or something differs: what is stale of them is read whole."""
    differing = [each.repository.pk for each in comparisons if each.read_since is not None and not each.open]
    opened = open_pull_requests(differing)
    chosen = [each for each in comparisons if each.read_since is not None or PULL_REQUESTS.name in each.rereads]
    for each in chosen:
        each.open = each.open or opened.get(each.repository.pk, [])
    shown = read_open([left for each in chosen if (left := _left(each)).numbers], reader=reader)
    stale = []
    for each in chosen:
        seen = {**each.shown.pull_requests, **shown.get(each.repository.pk, {})}
        stale += [(one, each.repository.full_name) for one in stale_among(each.open, seen, before=each.read_since)]
    sync_ids = {each.repository.pk: each.claimed.id for each in chosen}
    problems = read_stale(stale, reader=reader, sync_ids=sync_ids, deadline_s=read_by_s)
    for each in chosen:
        each.is_open_read = True
        each.problem = problems.get(each.repository.pk, "")


def _left(comparison: Comparison) -> ProbeRequest:
    """Its open pull requests that the probe had no room for."""
    numbers = tuple(one.number for one in comparison.open if one.number not in comparison.asked.numbers)
    return ProbeRequest(
        repository_id=comparison.repository.pk, full_name=comparison.repository.full_name, numbers=numbers
    )
