"""From a claim to a decision: what is here, what GitHub shows, and what else has to be asked."""

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
from apps.integrations.reconciliation.compare import CommentCount, Comparison, count_listed, is_off, reread_at
from apps.integrations.reconciliation.decide import LONGEST_OPEN, MARGIN, Read, Unchanged, decide
from apps.integrations.reconciliation.local_state import (
    COUNTED_WEEKLY,
    Streams,
    count_heads,
    counts_of,
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
