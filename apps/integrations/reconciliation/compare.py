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
from apps.integrations.reconciliation.decide import Decision, Follow, Here, Quiet, Walk
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


def is_off(count: CommentCount, *, here: Here) -> bool:
    """Whether one of the counts changed without the other; for the first time, only a whole history can tell."""
    if here.kept is not None and here.kept.counted is not None:
        listed, ours = here.kept.counted
        return count.listed - listed != count.ours - ours
    return here.is_whole and count.listed != count.ours


LONGEST_WAIT_S = 15.0
REREAD, UNTOLD = "reread", "untold"
"""Beside the marks a row keeps, for when its walks are over, of which streams what changes without a trace was read,
and why something could not be."""


@dataclass(slots=True, kw_only=True)
class Look:
    """One repository of a probe: what was asked, what was told, what follows."""

    claimed: Claimed
    repository: Repository
    here: Streams
    turns: frozenset[str]
    """The streams of which what changes without a trace is to be read again."""
    asked: ProbeRequest
    open: Sequence[OpenPullRequest] = ()
    probe: Probe | None = None
    decisions: dict[str, Decision] = field(default_factory=dict)
    counts: dict[str, CommentCount] = field(default_factory=dict)
    is_open_read: bool = False
    untold: str = ""
    """Why something of it could not be read."""

    @property
    def told(self) -> Probe:
        """What GitHub told; LookupError of what it did not show."""
        if self.probe is None:
            raise LookupError(self.repository.full_name)
        return self.probe

    @property
    def walked_since(self) -> datetime | None:
        """From when on the walk through its pull requests will read; None where there will be none."""
        decision = self.decisions.get(PULL_REQUESTS.name)
        return decision.since if isinstance(decision, Walk) else None

    @property
    def differs(self) -> tuple[str, ...]:
        return tuple(stream for stream, decision in self.decisions.items() if isinstance(decision, Walk | Follow))

    @property
    def reread(self) -> list[str]:
        """The streams of which what changes without a trace was read again, or will have been once it was walked."""
        walked = [stream for stream, one in self.decisions.items() if isinstance(one, Walk) and one.is_reread]
        opened = [PULL_REQUESTS.name] if self.is_open_read and not self.untold else []
        return [*walked, *opened, *self.counts]


def keep(looks: Iterable[Look], *, probed_at: datetime) -> None:
    """Settle the rows, and keep marks and coverage of what is quiet, of those still held; have the rest walked."""
    with db.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        by_id = {look.claimed.id: look for look in looks if look.probe is not None}
        counted = _to_be_counted(look.claimed.sync_id for look in by_id.values())
        settled = [_settled(look, is_counted=look.claimed.sync_id in counted) for look in by_id.values()]
        held = settle(settled, probed_at=probed_at)
        kept = [by_id[identity] for identity in sorted(held)]
        record(
            [
                evidence(source_of(look.claimed.id), facts)
                for look in kept
                if (facts := changed(look, probed_at=probed_at))
            ]
        )
        quiet = [
            (look, stream, one) for look in kept for stream, one in look.decisions.items() if isinstance(one, Quiet)
        ]
        keep_marks([_mark(look, stream, at=probed_at) for look, stream, _ in quiet])
        cover_together(
            [
                Stretch(repository_id=look.repository.pk, stream=stream, from_at=one.since, to_at=probed_at)
                for look, stream, one in quiet
            ]
        )
        count_recovered({look.repository.pk: look.claimed.id for look in kept})
        for look in kept:
            _start_walks(look)
        failpoint("sync.before_commit")
    failpoint("sync.after_commit")


def reread_at(here: Here, *, fresh: bool, at: datetime) -> datetime | None:
    """When what changes without a trace was read last: now, or as it was; a history that was read has it too."""
    if fresh:
        return at
    kept = here.kept.reread_at if here.kept else None
    return kept or (here.covered[1] if here.covered else None)


def changed(look: Look, *, probed_at: datetime) -> tuple[Fact, ...]:
    """The repository as it is described now, if we have it otherwise: renamed, transferred, archived, pushed to."""
    described, ours = look.told.described, look.repository
    told = {
        "full_name": described["full_name"],
        "owner_id": (described["owner"] or {}).get("id"),
        "is_private": described["private"],
        "is_archived": described["archived"],
        "default_branch": described["default_branch"],
        "pushed_at": parse_time(described["pushed_at"]),
    }
    if all(getattr(ours, name) == value for name, value in told.items()):
        return ()
    reading = PayloadReader(described, path="repository", arrived_at=probed_at, observed_at=probed_at)
    return tuple(repository_facts(reading))


def _to_be_counted(sync_ids: Iterable[int]) -> set[int]:
    """The runs in which deletions are looked for though nothing differs: a person started them."""
    runs = SyncLog.objects.filter(Q(is_thorough=True) | Q(believes_deletions=True), pk__in=set(sync_ids))
    return set(runs.values_list("pk", flat=True))


def _settled(look: Look, *, is_counted: bool) -> Settled:
    marks = {stream: told.mark for stream, told in look.told.streams.items()}
    return Settled(
        claimed=look.claimed,
        marks={**marks, REREAD: look.reread, UNTOLD: look.untold},
        differs=look.differs,
        is_counted=is_counted,
        reason="not_shown" if look.untold else "",
        error=look.untold,
    )


def _mark(look: Look, stream: str, *, at: datetime) -> Mark:
    here, count = look.here[stream], look.counts.get(stream)
    counted = (count.listed, count.ours) if count else here.kept.counted if here.kept else None
    return Mark(
        repository_id=look.repository.pk,
        stream=stream,
        told=look.told.streams[stream].mark,
        passed_at=at,
        reread_at=reread_at(here, fresh=stream in look.reread, at=at),
        ours=here.ours,
        counted=counted,
    )


def _start_walks(look: Look) -> None:
    """Those that begin at the same time together; what is being read already is left to whoever reads it."""
    row, repository = RepositorySync(pk=look.claimed.id), Repository.objects.filter(pk=look.repository.pk)
    for since, streams in _by_since(look.decisions):
        start(repository, scope=Scope(since=since, streams=streams), sync=row)


def _by_since(decisions: Mapping[str, Decision]) -> Iterator[tuple[datetime, tuple[str, ...]]]:
    walks = {stream: one.since for stream, one in decisions.items() if isinstance(one, Walk)}
    for since in sorted(set(walks.values())):
        yield since, tuple(stream for stream, begin in walks.items() if begin == since)
