"""Reading pull requests brings all of them, whole, whatever came by webhook before, meanwhile or after."""

import os
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.activity.models import PullRequest, Review
from apps.activity.record import record
from apps.demo.scenario import Sent
from apps.github.auth import GitHubAccess
from apps.integrations.streams.pull_request_parts import PendingPart, PullRequestCursor
from apps.metrics.models import DerivedClosing, DerivedPullRequest, DerivedReview
from apps.metrics.recalculation import drain
from tests.activity.tables import clear
from tests.fake_github import faults
from tests.fake_github.faults import Fault
from tests.fake_github.generated import MANY, Generated, Size
from tests.fake_github.server import FakeGitHub
from tests.fake_github.truth import RepositoryTruth
from tests.fake_github.using import ACME, API, WEB
from tests.integrations.streams.twelve_pull_requests import pull_requests, web
from tests.integrations.test_webhooks_and_graphql import by_webhook
from tests.integrations.true_rows import differences

pytestmark = pytest.mark.django_db
ALL = range(1, 31)
MIXED = int(os.environ.get("PULL_REQUESTS", "24"))
"""How many pull requests come half by webhook; a thousand take minutes."""

BY_PUSH_ALONE = {"id", "first_commit_at", "is_first_commit_adjusted", "landed_at", "coding_seconds"}
"""When the work began is known better by who saw the commits that were pushed over."""
OF_ANOTHER_STREAM = {"first_response_at", "response_wait_ended_at", "first_response_seconds"}
"""Comments outside reviews are read with those on issues."""


def everything(fake: FakeGitHub) -> RepositoryTruth:
    return fake.world.repositories[API]


def generated(truth: RepositoryTruth) -> Generated:
    assert isinstance(truth.pull_requests, Generated)
    return truth.pull_requests


@pytest.mark.proof
def test_a_thousand_pull_requests_are_whole_after_45_calls(fake: FakeGitHub, worker: GitHubAccess) -> None:
    truth = fake.world.add("web", installation_id=ACME, repository_id=WEB, size=Size(pull_requests=1000))
    history = web(worker, size=25).patiently()
    assert (history.items, history.pages[0].total, history.skipped) == (1000, 1000, [])
    assert differences(truth, numbers=range(1, 1001)) == []
    assert len(fake.calls("graphql")) == len(history.pages) <= 45
    assert sum(call.cost for call in fake.calls("graphql")) <= 45
    assert fake.calls("core", payer=ACME) == []


@pytest.mark.proof
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_half_of_it_by_webhook_before_between_or_after_comes_to_the_same(
    fake: FakeGitHub, worker: GitHubAccess, seed: int
) -> None:
    size = Size(pull_requests=MIXED)
    truth = fake.world.add("web", installation_id=ACME, repository_id=WEB, size=size, seed=seed)
    there = web(worker, size=10)
    pages = len(there.patiently().pages)
    alone = derived()
    clear()
    half = scattered(generated(truth).deliveries(), over=pages + 1, chance=random.Random(seed))  # noqa: S311
    record(by_webhook(half[0]))
    there.patiently(between=lambda page: record(by_webhook(half[page])))
    assert differences(truth, numbers=range(1, MIXED + 1)) == []
    assert_same_story(derived(), alone)


def scattered(deliveries: Iterator[Sent], *, over: int, chance: random.Random) -> dict[int, list[Sent]]:
    """Every second one or so, each before some page, in no order."""
    slots: dict[int, list[Sent]] = defaultdict(list)
    for sent in deliveries:
        if chance.random() < 0.5:
            slots[chance.randrange(over)].append(sent)
    for slot in slots.values():
        chance.shuffle(slot)
    return slots


def derived() -> dict[str, dict[Any, dict[str, Any]]]:
    """The derived rows after everything that changed is worked off."""
    assert drain(seconds=60)
    keys: dict[Any, tuple[str, ...]] = {
        DerivedPullRequest: ("number",),
        DerivedClosing: ("number", "closed_at"),
        DerivedReview: ("review_id",),
    }
    return {
        model.__name__: {tuple(row[name] for name in key): row for row in model.objects.values()}
        for model, key in keys.items()
    }


def assert_same_story(mixed: dict[str, Any], alone: dict[str, Any]) -> None:
    assert {name: rows.keys() for name, rows in mixed.items()} == {name: rows.keys() for name, rows in alone.items()}
    for name, rows in alone.items():
        for key, row in rows.items():
            other = mixed[name][key]
            differing = {column for column in row if row[column] != other[column]}
            assert differing <= BY_PUSH_ALONE | OF_ANOTHER_STREAM, (name, key)
            if "first_commit_at" in row:
                assert other["first_commit_at"] <= row["first_commit_at"]


@pytest.mark.parametrize(
    ("change", "size"),
    [(faults.too_heavy(), 12), (faults.status(502), 6), (faults.hole(3), 6)],
    ids=["too heavy", "502", "a hole"],
)
def test_pages_that_are_too_much_are_asked_for_again_in_smaller_ones(
    fake: FakeGitHub, worker: GitHubAccess, change: faults.Change, size: int
) -> None:
    fake.spoil(Fault(change, faults.larger_than(size), times=None, is_instead=False))
    history = pull_requests(worker).patiently()
    assert (history.items, history.skipped) == (30, [])
    assert differences(everything(fake), numbers=ALL) == []
    assert fake.calls("core", payer=ACME) == []


def test_lists_longer_than_a_page_are_complete(fake: FakeGitHub, worker: GitHubAccess) -> None:
    truth = fake.world.add("web", installation_id=ACME, repository_id=WEB, size=Size(pull_requests=12))
    web(worker, size=4).patiently()
    assert Review.objects.filter(number=11).count() >= MANY
    assert (PullRequest.objects.get(number=7).listed_commit_count or 0) >= MANY
    assert differences(truth, numbers=range(1, 13)) == []


def updated_at(fake: FakeGitHub, *, place: int) -> datetime:
    """When the pull request at this place was updated, the latest one at 0."""
    at, _ = generated(everything(fake)).ordered("updated_at")[-1 - place]
    return datetime.fromisoformat(at)


def numbers_read() -> set[int]:
    return set(PullRequest.objects.exclude(created_at=None).values_list("number", flat=True))


def test_only_what_was_updated_since_is_read(fake: FakeGitHub, worker: GitHubAccess) -> None:
    latest = [number for _, number in generated(everything(fake)).ordered("updated_at")[-9:]]
    history = pull_requests(worker, since=updated_at(fake, place=8), size=4).patiently()
    assert numbers_read() == set(latest)
    assert differences(everything(fake), numbers=sorted(latest)) == []
    assert {page.total for page in history.pages} == {None}


@pytest.mark.parametrize(("page_size", "from_page"), [(3, 1), (3, 2), (1, 10)])
def test_what_is_updated_meanwhile_is_not_missed(
    fake: FakeGitHub, worker: GitHubAccess, page_size: int, from_page: int
) -> None:
    """It moves to the top of the list, above the cursor; at last while the top is read again."""
    pulls = generated(everything(fake))
    moving = [number for _, number in pulls.ordered("updated_at")[-9:-6]]

    def touch(page: int) -> None:
        if page >= from_page and moving:
            pulls.edit(moving.pop(0), datetime.now(UTC), title="Moved")

    pull_requests(worker, since=updated_at(fake, place=8), size=page_size).patiently(between=touch)
    assert moving == []
    assert PullRequest.objects.filter(title="Moved").count() == 3
    assert differences(everything(fake), numbers=sorted(numbers_read())) == []


def test_reading_ends_although_something_is_always_on_the_move(fake: FakeGitHub, worker: GitHubAccess) -> None:
    """What is touched faster than pages are read is left to its webhooks."""
    pulls = generated(everything(fake))

    def touch(page: int) -> None:
        for number in range(1, 8):
            pulls.edit(number, datetime.now(UTC), title=f"Moved {page}")

    history = pull_requests(worker, since=updated_at(fake, place=29), size=5).patiently(between=touch)
    assert numbers_read() == set(ALL)
    assert len(history.pages) < 20


@pytest.mark.parametrize("since", [None, datetime(2025, 1, 1, tzinfo=UTC)])
def test_what_was_created_later_is_left_out(fake: FakeGitHub, worker: GitHubAccess, since: datetime | None) -> None:
    created_at, last = generated(everything(fake)).ordered("created_at")[11]
    pull_requests(worker, since=since, until=datetime.fromisoformat(created_at), size=5).patiently()
    assert numbers_read() == set(range(1, last + 1)) == set(range(1, 13))


def test_a_full_read_stops_where_the_later_ones_begin(fake: FakeGitHub, worker: GitHubAccess) -> None:
    until = datetime.fromisoformat(generated(everything(fake)).ordered("created_at")[4][0])
    pull_requests(worker, until=until, size=5).patiently()
    assert len(fake.calls("graphql")) == 2


def test_an_empty_repository_is_done_after_a_page(fake: FakeGitHub, worker: GitHubAccess) -> None:
    fake.world.add("web", installation_id=ACME, repository_id=WEB, size=Size(pull_requests=0))
    history = web(worker, size=25).patiently()
    assert [(page.items, page.total) for page in history.pages] == [(0, 0)]


def test_a_cursor_is_read_as_it_was_written() -> None:
    now = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
    lists = PendingPart(
        part="lists", number=7, id="PR_7", after={"labels": None, "reviews": "x"}, has_lost=True, listed=50
    )
    holes = PendingPart(part="missing", after={"page": None}, count=25, seen=(1, 2))
    for cursor in (
        PullRequestCursor(),
        PullRequestCursor(
            number=2, down_to=now, left_top_at=now + timedelta(hours=1), after="Y3Vyc29y", pending=(lists, holes)
        ),
        PullRequestCursor(is_over=True, pending=(holes,)),
    ):
        assert PullRequestCursor.from_text(cursor.as_text() or "") == cursor
    assert PullRequestCursor(is_over=True).as_text() is None
