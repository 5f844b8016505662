"""What follows on each answer of GitHub's, as a table; and what is counted and raised on the way."""

from dataclasses import replace

import pytest

from apps.github.auth import GitHubAccess
from apps.github.rate_limit import Deferred, Priority, Purpose
from apps.github.responses import GRAPHQL, Answer, GraphQLError, ResponseKind, Result, Standing
from apps.integrations.outcomes import (
    BACKOFF,
    BLOCKED,
    BUSY,
    CLEAN_PAGES,
    MOST_ATTEMPTS,
    SPENT,
    Fail,
    FindAgain,
    GoOn,
    Outcome,
    Progress,
    StartOver,
    TryAgain,
    Wait,
    decide,
    isolate_item,
    run_out_of_time,
    shrink_after_crash,
    try_again,
)
from apps.integrations.reader import Reader, RequestFailedError
from tests.fake_github.faults import Fault, graphql, status
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, BACKFILL
from tests.integrations.backfill.workers import during_page

NOW = 1_800_000_000.0
WHOLE = Progress(page_size=25, clean_pages=4)
SINGLE = Progress(page_size=1)
AROUND = Progress(page_size=1, skips_item=True)
VOID = GraphQLError(type="INVALID_CURSOR_ARGUMENTS", path=(), message="`x` does not appear to be a valid cursor.")
ELSE = GraphQLError(type="UNDEFINEDFIELD", path=(), message="no such field")


def answer(
    kind: ResponseKind,
    *,
    in_s: float | None = None,
    words: str = "",
    standing: Standing | None = None,
    error: GraphQLError | None = None,
) -> Answer:
    result = Result(kind=kind, message=words, errors=(error,) if error else ())
    return Answer(result=result, not_before=None if in_s is None else NOW + in_s, standing=standing)


def failed(progress: Progress, times: int) -> Progress:
    return replace(progress, attempts=times)


@pytest.mark.parametrize(
    ("progress", "found", "outcome"),
    [
        # Too much: half of it, to the single item, which is asked for twice and then gone around.
        (WHOLE, answer(ResponseKind.SHRINK), GoOn(Progress(page_size=12))),
        (Progress(page_size=12), answer(ResponseKind.SHRINK), GoOn(Progress(page_size=6))),
        (Progress(page_size=6), answer(ResponseKind.SHRINK), GoOn(Progress(page_size=3))),
        (Progress(page_size=3), answer(ResponseKind.SHRINK), GoOn(SINGLE)),
        (SINGLE, answer(ResponseKind.SHRINK), TryAgain(5.0, "unanswered", failed(SINGLE, 1))),
        (failed(SINGLE, 1), answer(ResponseKind.SHRINK), GoOn(failed(AROUND, 1))),
        (failed(AROUND, 1), answer(ResponseKind.SHRINK), TryAgain(10.0, "unanswered", failed(AROUND, 2))),
        # Limits are waited for as long as GitHub, or our own budget, says.
        (WHOLE, answer(ResponseKind.PRIMARY, in_s=1800), Wait(1800.0, SPENT)),
        (WHOLE, answer(ResponseKind.SECONDARY, in_s=90), Wait(90.0, BLOCKED)),
        (WHOLE, answer(ResponseKind.SECONDARY), Wait(60.0, BLOCKED)),
        (WHOLE, answer(ResponseKind.DEFERRED, in_s=20, words=SPENT), Wait(20.0, SPENT)),
        (WHOLE, answer(ResponseKind.DEFERRED, in_s=1, words=BUSY), Wait(1.0, BUSY)),
        (WHOLE, answer(ResponseKind.DEFERRED, in_s=-5, words=BLOCKED), Wait(1.0, BLOCKED)),
        # What may pass is tried again, not before GitHub says.
        (WHOLE, answer(ResponseKind.TRANSIENT), TryAgain(5.0, "unanswered", failed(WHOLE, 1))),
        (failed(WHOLE, 1), answer(ResponseKind.TRANSIENT), TryAgain(10.0, "unanswered", failed(WHOLE, 2))),
        (WHOLE, answer(ResponseKind.TRANSIENT, in_s=120), TryAgain(120.0, "unanswered", failed(WHOLE, 1))),
        (failed(WHOLE, 11), answer(ResponseKind.TRANSIENT), Fail("unanswered")),
        # What fails in one place again and again may be too much, even where GitHub does not say so.
        (
            failed(WHOLE, 2),
            answer(ResponseKind.TRANSIENT),
            TryAgain(20.0, "unanswered", Progress(page_size=12, attempts=3)),
        ),
        (failed(SINGLE, 9), answer(ResponseKind.TRANSIENT), TryAgain(750.0, "unanswered", failed(AROUND, 10))),
        (failed(SINGLE, 11), answer(ResponseKind.TRANSIENT), GoOn(failed(AROUND, 11))),
        (failed(AROUND, 11), answer(ResponseKind.TRANSIENT), Fail("unanswered")),
        # An installation is what GitHub says it is.
        (WHOLE, answer(ResponseKind.AUTH, standing=Standing.SUSPENDED), Wait(900.0, "suspended")),
        (WHOLE, answer(ResponseKind.AUTH, standing=Standing.REMOVED), Fail("removed")),
        (WHOLE, answer(ResponseKind.AUTH, standing=Standing.REFUSED), Wait(300.0, "app_refused")),
        (WHOLE, answer(ResponseKind.AUTH), TryAgain(5.0, "unanswered", failed(WHOLE, 1))),
        # A token outlives a suspension; the words are GitHub's.
        (WHOLE, answer(ResponseKind.FORBIDDEN, words="This installation has been suspended"), Wait(900.0, "suspended")),
        (WHOLE, answer(ResponseKind.FORBIDDEN, words="Resource not accessible by integration"), Fail("forbidden")),
        (WHOLE, answer(ResponseKind.GONE), FindAgain()),
        # A void cursor costs the backfill one new beginning.
        (WHOLE, answer(ResponseKind.REJECTED, error=VOID), StartOver(replace(WHOLE, restarts=1))),
        (
            replace(WHOLE, restarts=1),
            answer(ResponseKind.REJECTED, error=VOID),
            Fail("cursor_refused", is_cursor_void=True),
        ),
        (WHOLE, answer(ResponseKind.REJECTED, error=ELSE), Fail("rejected")),
        (WHOLE, answer(ResponseKind.REJECTED, words="HTTP 422"), Fail("rejected")),
    ],
)
def test_what_follows_on_an_answer(progress: Progress, found: Answer, outcome: Outcome) -> None:
    assert decide(found, progress=progress, now=NOW, chance=0.5) == outcome


def test_waits_grow_from_seconds_to_a_quarter_of_an_hour_and_end_after_an_hour() -> None:
    progress, waits = WHOLE, []
    while isinstance(outcome := try_again(progress, chance=0.5), TryAgain):
        waits.append(outcome.seconds)
        progress = outcome.progress
    assert outcome == Fail("unanswered")
    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 750, 750, 750]
    assert len(waits) == MOST_ATTEMPTS - 1


@pytest.mark.parametrize("attempts", range(MOST_ATTEMPTS - 1))
def test_no_two_backfills_must_retry_together(attempts: int) -> None:
    waits = []
    for chance in (0.0, 1.0):
        outcome = try_again(failed(WHOLE, attempts), chance=chance)
        assert isinstance(outcome, TryAgain)
        waits.append(outcome.seconds)
    assert 4 <= waits[0] < waits[1] <= 900
    assert waits[1] <= BACKOFF.longest_s * 1.2


def test_what_is_asked_for_grows_after_ten_clean_pages_up_to_the_most() -> None:
    progress = Progress(page_size=6, attempts=3)
    sizes = []
    for _ in range(5 * CLEAN_PAGES):
        progress = progress.after_page(most=25)
        sizes.append(progress.page_size)
    assert progress.attempts == 0
    assert sizes == [6] * 9 + [11] * 10 + [16] * 10 + [21] * 10 + [25] * 11


def test_a_kept_page_ends_what_was_wrong_before() -> None:
    after = replace(AROUND, attempts=2, restarts=1).after_page(most=25)
    assert after == Progress(page_size=1, clean_pages=1, restarts=1)


def test_a_smaller_page_counts_its_clean_pages_anew() -> None:
    assert isolate_item(WHOLE, reason="unusable") == GoOn(Progress(page_size=12))


def test_what_cannot_be_used_is_found_gone_around_and_named_if_even_that_fails() -> None:
    progress, sizes = WHOLE, []
    while isinstance(outcome := isolate_item(progress, reason="unusable"), GoOn):
        progress = outcome.progress
        sizes.append((progress.page_size, progress.skips_item))
    assert sizes == [(12, False), (6, False), (3, False), (1, False), (1, True)]
    assert outcome == Fail("unusable")


@pytest.mark.parametrize(
    ("progress", "outcome"),
    [
        (failed(WHOLE, 2), GoOn(failed(WHOLE, 2))),
        (failed(WHOLE, 3), GoOn(Progress(page_size=12, attempts=3))),
        (failed(SINGLE, 7), GoOn(failed(SINGLE, 7))),
        (failed(SINGLE, 8), GoOn(failed(AROUND, 8))),
        (failed(AROUND, 3), GoOn(failed(AROUND, 3))),
        (failed(AROUND, MOST_ATTEMPTS), Fail("crashed")),
    ],
)
def test_a_page_that_kills_its_workers_gets_smaller(progress: Progress, outcome: Outcome) -> None:
    assert shrink_after_crash(progress) == outcome


@pytest.mark.parametrize(
    ("progress", "outcome"),
    [
        (WHOLE, GoOn(Progress(page_size=12))),
        (SINGLE, GoOn(AROUND)),
        (AROUND, TryAgain(5.0, "timed_out", failed(AROUND, 1))),
    ],
)
def test_a_page_that_takes_longer_than_a_task_gets_smaller(progress: Progress, outcome: Outcome) -> None:
    assert run_out_of_time(progress, chance=0.5) == outcome


WHERE = {"owner": "acme", "name": "api", "first": 1, "after": None}


@pytest.fixture
def reader(worker: GitHubAccess) -> Reader:
    return Reader(access=worker, installation_id=ACME, purpose=BACKFILL)


@pytest.mark.django_db(transaction=True)
def test_a_page_of_several_requests_is_not_interrupted_by_others_that_wait(
    fake: FakeGitHub, worker: GitHubAccess, reader: Reader
) -> None:
    other = Purpose(priority=Priority.BACKFILL, subject="another")
    waited: list[object] = []

    def wait() -> None:
        waited.append(worker.client.budget.take(installation_id=ACME, resource=GRAPHQL, purpose=other))

    fake.spoil(during_page(1, wait))
    for _ in range(3):
        reader.graphql("release_page", WHERE)
        assert reader.up_next == "another"
    assert [type(one) for one in waited] == [Deferred]
    assert (reader.calls, reader.points) == (3, 3)


@pytest.mark.django_db
def test_what_was_refused_is_counted_and_raised(fake: FakeGitHub, reader: Reader) -> None:
    fake.spoil(Fault(status(503), graphql))
    with pytest.raises(RequestFailedError) as caught:
        reader.graphql("release_page", WHERE)
    assert caught.value.answer.kind is ResponseKind.TRANSIENT
    assert reader.calls == 1


@pytest.mark.django_db
def test_what_was_never_sent_cost_nothing(fake: FakeGitHub, reader: Reader) -> None:
    fake.limits.leave(ACME, "graphql", remaining=100)
    reader.graphql("release_page", WHERE)
    with pytest.raises(RequestFailedError) as caught:
        reader.graphql("release_page", WHERE)
    assert caught.value.answer.kind is ResponseKind.DEFERRED
    assert reader.calls == 1
