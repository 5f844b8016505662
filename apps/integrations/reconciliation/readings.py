"""From a claim to a decision: what is here, what GitHub told, and what has to be asked besides."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from apps.activity.models import Repository
from apps.github.answers import Answer
from apps.github.probes import MOST_PULL_REQUESTS, ProbeRequest, read_probe
from apps.integrations.models import SyncLog
from apps.integrations.reader import Reader
from apps.integrations.reconciliation.claims import Claimed, end
from apps.integrations.reconciliation.compare import CommentCount, Look, count_listed, is_off, reread_at
from apps.integrations.reconciliation.decide import LONGEST_OPEN, MARGIN, Quiet, Walk, decide
from apps.integrations.reconciliation.local_state import (
    COUNTED_WEEKLY,
    Streams,
    counts_of,
    needs_rereading,
    open_pull_requests,
    what_is_here,
    with_heads,
)
from apps.integrations.reconciliation.open_pull_requests import read_whole, shown_as, those_stale
from apps.integrations.streams import PROBES, STREAMS
from apps.integrations.streams.commits import COMMITS
from apps.integrations.streams.pull_requests import PULL_REQUESTS
from apps.integrations.streams.stream import Listing
from apps.integrations.streams.workflow_runs import WORKFLOW_RUNS
from apps.webhooks.parsing import UnusablePayloadError


def look_at(batch: Sequence[tuple[Claimed, Repository]]) -> list[Look]:
    """What is here of each, and what is to be asked: open pull requests of those whose turn it is, as many as fit."""
    here = what_is_here([repository for _, repository in batch])
    turns = _turns([claimed for claimed, _ in batch], here=here)
    opened = open_pull_requests([pk for pk, streams in turns.items() if PULL_REQUESTS.name in streams])
    room, looks = MOST_PULL_REQUESTS, []
    for claimed, repository in batch:
        pk, of_it = repository.pk, opened.get(repository.pk, [])
        numbers = tuple(one.number for one in of_it[:room])
        room -= len(numbers)
        asked = ProbeRequest(repository_id=pk, full_name=repository.full_name, numbers=numbers)
        looks.append(
            Look(claimed=claimed, repository=repository, here=here[pk], turns=turns[pk], asked=asked, open=of_it)
        )
    return looks


def take_in(looks: Sequence[Look], answer: Answer) -> None:
    """Read what was told of each; one whose place cannot be used ends alone."""
    for at, look in enumerate(looks):
        try:
            look.probe = read_probe(answer.data, at, request=look.asked, streams=PROBES)
        except UnusablePayloadError as error:
            look.untold = str(error)
            end([look.claimed], reason="unusable", error=look.untold)


def read_on(looks: Iterable[Look], *, reader: Reader, read_by_s: float) -> None:
    """Decide about those that GitHub shows, and read what that needs; RequestFailedError where GitHub does not tell."""
    there = [look for look in looks if look.probe is not None]
    _decide(there)
    _count_comments(there, reader=reader)
    _look_for_runs(there, reader=reader)
    _read_open(there, reader=reader, read_by_s=read_by_s)


def _turns(batch: Sequence[Claimed], *, here: Mapping[int, Streams]) -> dict[int, frozenset[str]]:
    """The streams of each of which what changes without a trace is read again: all of them in a thorough run."""
    runs, now = {claimed.sync_id for claimed in batch}, timezone.now()
    thorough = set(SyncLog.objects.filter(pk__in=runs, is_thorough=True).values_list("pk", flat=True))
    turns = {}
    for claimed in batch:
        pk, is_thorough = claimed.repository_id, claimed.sync_id in thorough
        streams = (name for name, of_it in here[pk].items() if is_thorough or needs_rereading(pk, of_it, now=now))
        turns[pk] = frozenset(streams)
    return turns


def _decide(looks: Sequence[Look]) -> None:
    now, history = timezone.now(), timedelta(days=settings.BACKFILL_DAYS)
    heads = {look.repository.pk: look.told.streams[COMMITS.name].mark["head"] for look in looks}
    here = with_heads({look.repository.pk: look.here for look in looks}, heads)
    for look in looks:
        look.here = here[look.repository.pk]
        look.decisions = {
            name: decide(
                STREAMS[name], told=told, here=look.here[name], is_turn=name in look.turns, now=now, history=history
            )
            for name, told in look.told.streams.items()
        }


def _count_comments(looks: Sequence[Look], *, reader: Reader) -> None:
    """Once a week, where they are quiet; those whose count is off are walked since they were last counted."""
    ours = counts_of([look.repository.pk for look in looks], streams=COUNTED_WEEKLY)
    for look in looks:
        for stream in COUNTED_WEEKLY:
            name, pk = stream.name, look.repository.pk
            decision, here = look.decisions[name], look.here[name]
            if name not in look.turns or not isinstance(decision, Quiet) or not isinstance(stream.total, Listing):
                continue
            listed = count_listed(stream.total, repository_id=pk, since=None, reader=reader)
            if listed is None:
                continue
            look.counts[name] = CommentCount(listed=listed, ours=ours[name].get(pk, 0))
            if is_off(look.counts[name], here=here):
                counted_at = reread_at(here, fresh=False, at=decision.since) or decision.since
                look.decisions[name] = Walk(since=counted_at - MARGIN)


def _look_for_runs(looks: Sequence[Look], *, reader: Reader) -> None:
    """Once a week, where we know of none: those that no push began may all have been lost."""
    since, name, runs = timezone.now() - LONGEST_OPEN, WORKFLOW_RUNS.name, WORKFLOW_RUNS.total
    assert isinstance(runs, Listing)  # noqa: S101  REST alone has runs
    for look in looks:
        if not isinstance(look.decisions[name], Quiet) or name not in look.turns or look.here[name].has_any:
            continue
        listed = count_listed(runs, repository_id=look.repository.pk, since=since, reader=reader)
        if listed:
            look.decisions[name] = Walk(since=since, is_reread=True)
        elif listed is not None:
            look.counts[name] = CommentCount(listed=0, ours=0)


def _read_open(looks: Sequence[Look], *, reader: Reader, read_by_s: float) -> None:
    """Open pull requests, where it is their turn or something differs: what is stale of them is read whole."""
    differing = [look.repository.pk for look in looks if look.walked_since is not None and not look.open]
    opened = open_pull_requests(differing)
    looked = [look for look in looks if look.walked_since is not None or PULL_REQUESTS.name in look.turns]
    for look in looked:
        look.open = look.open or opened.get(look.repository.pk, [])
    shown = shown_as([left for look in looked if (left := _left(look)).numbers], reader=reader)
    stale = []
    for look in looked:
        seen = {**look.told.pull_requests, **shown.get(look.repository.pk, {})}
        stale += [(one, look.repository.full_name) for one in those_stale(look.open, seen, before=look.walked_since)]
    sync_ids = {look.repository.pk: look.claimed.id for look in looked}
    untold = read_whole(stale, reader=reader, sync_ids=sync_ids, deadline_s=read_by_s)
    for look in looked:
        look.is_open_read = True
        look.untold = untold.get(look.repository.pk, "")


def _left(look: Look) -> ProbeRequest:
    """Its open pull requests that the probe had no room for."""
    numbers = tuple(one.number for one in look.open if one.number not in look.asked.numbers)
    return ProbeRequest(repository_id=look.repository.pk, full_name=look.repository.full_name, numbers=numbers)
