"""What one probe of some repositories came to, and keeping it: one transaction, fenced by the claims."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from apps.activity.coverage import Stretch, cover_together
from apps.activity.facts import Fact, evidence
from apps.activity.models import Repository
from apps.activity.record import record
from apps.common import db
from apps.common.failpoints import failpoint
from apps.github.objects.repositories import repository_facts
from apps.github.payload import PayloadReader, parse_time
from apps.github.probes import Probe, ProbeRequest
from apps.github.responses import REFUSALS
from apps.integrations.backfill.start import Scope, start
from apps.integrations.drift import count_recovered
from apps.integrations.models import RepositorySync, SyncLog
from apps.integrations.reader import Reader, RequestFailedError
from apps.integrations.reconciliation.claims import Claimed, Settled, settle
from apps.integrations.reconciliation.decide import Decision, Follow, LocalState, Read, Unchanged
from apps.integrations.reconciliation.local_state import Mark, OpenPullRequest, Streams, keep_marks
from apps.integrations.reconciliation.provenance import source_of
from apps.integrations.streams.pull_requests import PULL_REQUESTS
from apps.integrations.streams.stream import Listing


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
    runs = SyncLog.objects.filter(Q(is_thorough=True) | Q(believes_deletions=True), pk__in=set(sync_ids))
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
