"""Whatever is known, a report says of each hour what a reader of the definition says who goes hour by hour."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.metrics.completeness import Completeness, Reason, Report
from apps.metrics.completeness.gaps import Period, merge_periods
from apps.metrics.completeness.knowledge import Knowledge, TrackedRepository
from tests.metrics.completeness.known import hour, hours

STREAMS = ("pull_requests", "issues")
DAY = 24
Hours = set[int]
Span = tuple[int, int]

some_hour = st.integers(0, DAY)
span = st.tuples(some_hour, some_hour).map(lambda pair: (min(pair), max(pair)))
spans = st.lists(span, max_size=3)


@dataclass
class Repository:
    """What is known of a repository, in whole hours, and what the definition says of each of them."""

    losses: list[int]
    is_reached: bool
    created: int | None
    held: int | None
    uncertain: Span | None
    passes: Mapping[str, list[Span]]

    @property
    def is_lost(self) -> bool:
        return bool(self.losses) and not self.is_reached

    @property
    def end(self) -> int:
        """Return the end: a loss may have happened an hour before its news."""
        return max(self.losses) - 1 if self.is_lost else DAY + 1

    def covered(self, stream: str, *, log: list[Span]) -> Hours:
        return {each for each in range(DAY) if within(each, self.passes[stream]) or self.is_told(each, stream, log)}

    def is_told(self, each: int, stream: str, log: list[Span]) -> bool:
        """Return whether webhooks cover the hour: logged, after reading began, before the end, and no doubt is open."""
        passes = self.passes[stream]
        doubts = [(lost - 1, lost) for lost in self.losses] + ([self.uncertain] if self.uncertain else [])
        return (
            within(each, log)
            and any(first <= each for first, _ in passes)
            and each < self.end
            and all(each < first or any(last <= ended <= each for ended in ends_of(passes)) for first, last in doubts)
        )

    def until(self, stream: str, *, log: list[Span]) -> int | None:
        if not self.passes[stream]:
            return None
        end = max([last for _, last in self.passes[stream]] + [each + 1 for each in self.covered(stream, log=log)])
        return end if self.held is None else min(end, self.held)

    def missing(self, stream: str, *, log: list[Span], window: Span) -> Hours:
        sure = {each for each in self.covered(stream, log=log) if self.held is None or each < self.held}
        return {each for each in range(*window) if (self.created or 0) <= each < self.end} - sure

    def as_tracked(self, number: int) -> TrackedRepository:
        return TrackedRepository(
            repository_id=number,
            full_name=f"acme/{number}",
            created_at=None if self.created is None else hour(self.created),
            is_reached=self.is_reached,
            lost_at=hour(max(self.losses)) if self.is_lost else None,
            losses=tuple(hour(each) for each in self.losses),
            blocked_at=None if self.held is None else hour(self.held),
            uncertain=None if self.uncertain is None else period(self.uncertain),
            passes={stream: merge_periods(map(period, found)) for stream, found in self.passes.items() if found},
        )


repositories = st.builds(
    Repository,
    losses=st.lists(some_hour, max_size=2),
    is_reached=st.booleans(),
    created=st.none() | some_hour,
    held=st.none() | some_hour,
    uncertain=st.none() | span,
    passes=st.fixed_dictionaries(dict.fromkeys(STREAMS, spans)),
).filter(lambda one: one.losses or one.is_reached)


def period(one: Span) -> Period:
    return Period(hour(one[0]), hour(one[1]))


def within(each: int, found: Iterable[Span]) -> bool:
    return any(first <= each < last for first, last in found)


def ends_of(passes: list[Span]) -> list[int]:
    """Where what was read ends: of passes that meet, only the last one's end is remembered."""
    return [last for _, last in passes if not any(first <= last < other for first, other in passes)]


def until_of(found: Sequence[Repository], *, log: list[Span]) -> int | None:
    """The least of those that are reached; where none is, the most of those that were."""
    holding = [one for one in found if not one.is_lost]
    ends = [[one.until(stream, log=log) for stream in STREAMS] for one in holding or found]
    known = [min(each) for each in ends if None not in each]  # type: ignore[type-var]  # None is left out
    if not known or (holding and len(known) < len(ends)):
        return None
    return min(known) if holding else max(known)


def hours_in(told: Completeness, *, lost: bool) -> Hours:
    """The hours in the gaps, apart for those out of reach."""
    gaps = [gap for gap in told.gaps if (gap.reason is Reason.OUT_OF_REACH) is lost]
    return {each for gap in gaps for each in range(int(hours(gap.from_at)), int(hours(gap.to_at)))}


@pytest.mark.proof
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(found=st.lists(repositories, min_size=1, max_size=3), log=spans, window=span)
def test_a_report_equals_a_check_hour_by_hour(found: list[Repository], log: list[Span], window: Span) -> None:
    start, end = window
    tracked = [one.as_tracked(number) for number, one in enumerate(found)]
    report = Report(Knowledge(log=merge_periods(map(period, log)), repositories=tracked))
    told = report.of_team(start_at=hour(start), end_at=hour(end), streams=STREAMS)
    until = until_of(found, log=log)
    assert told.complete_until == (None if until is None else hour(until))
    if until is None:
        assert told.gaps == ()
        return
    known = start, min(until, end)
    missing = [one.missing(stream, log=log, window=known) for one in found for stream in STREAMS]
    assert hours_in(told, lost=False) == set().union(*missing)
    lost = [set(range(one.end, end)) for one in found if one.is_lost and start <= one.end]
    assert hours_in(told, lost=True) == set().union(*lost)
