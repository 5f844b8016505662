"""Comments on issues and on lines of diffs, and how a REST listing is read at all."""

import random
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from apps.activity.models import Contributor, IssueComment, PullRequest, ReviewComment
from apps.activity.record import record
from apps.demo.shapes import moment
from apps.github.auth import GitHubAccess
from apps.integrations.reader import Page
from apps.integrations.streams.paging import MOST_PAGES
from tests.fake_github.generated import REVIEW_BOT
from tests.fake_github.server import FakeGitHub
from tests.github.translation import at
from tests.integrations.streams import samples
from tests.integrations.streams.stream_read import StreamRead, rows, skipped
from tests.integrations.streams.varied_repository import VariedRepository
from tests.integrations.true_rows import pull_requests, true_rows

pytestmark = pytest.mark.django_db
START = samples.START


def ids() -> list[int]:
    return sorted(IssueComment.objects.values_list("github_id", flat=True))


@pytest.mark.proof
def test_no_page_is_deeper_than_the_first_where_times_go_on(
    fake: FakeGitHub, web: VariedRepository, worker: GitHubAccess
) -> None:
    """GitHub shows 300 pages of a listing: each page is the first one of another listing."""
    samples.comment_at(web, [START + timedelta(seconds=2 * number) for number in range(MOST_PAGES + 20)])
    StreamRead.of_web("issue_comments", worker, size=2).into_empty_tables()
    assert ids() == list(range(1000, 1000 + MOST_PAGES + 20))


def test_a_whole_page_of_one_time_is_followed_by_its_next_page(web: VariedRepository, worker: GitHubAccess) -> None:
    samples.comment_at(web, [START] * 25 + [START + timedelta(hours=1)] * 3)
    pages = StreamRead.of_web("issue_comments", worker, size=10).into_empty_tables()
    assert ids() == list(range(1000, 1028))
    assert [page.cursor for page in pages] == [
        "2025-12-31T23:59:59Z 10 1009 0 0",
        "2025-12-31T23:59:59Z 20 1019 0 0",
        None,
    ]


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_lost_whatever_the_times_and_however_the_size_of_pages_changes(
    web: VariedRepository, worker: GitHubAccess, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311  the same times every time
    samples.comment_at(
        web, [START + timedelta(seconds=chance.choice((0, 1, 2, 3, 60, 61)) + 90 * (n // 20)) for n in range(60)]
    )
    cursor, found, steps = "", list[Page](), 0
    while cursor is not None:
        page = replace(StreamRead.of_web("issue_comments", worker), size=chance.randint(1, 9)).read(cursor)
        found.append(page)
        cursor, steps = page.cursor, steps + 1
        assert steps < 200
    record(StreamRead.of_web("issue_comments", worker).evidence(found))
    assert ids() == list(range(1000, 1060))
    assert sum(page.items for page in found) >= 60


def test_more_of_one_second_than_github_lists_is_named_and_reading_goes_on(
    web: VariedRepository, worker: GitHubAccess
) -> None:
    later = START + timedelta(hours=1)
    samples.comment_at(web, [START] * (MOST_PAGES + 3) + [later])
    beyond = StreamRead.of_web("issue_comments", worker, size=1).read(f"{moment(START)} {MOST_PAGES} 1299 0 0")
    assert [each.why for each in beyond.skipped] == ["GitHub lists no more than 300 pages"]
    assert beyond.cursor is not None
    (last,) = StreamRead.of_web("issue_comments", worker, size=1).pages(beyond.cursor)
    assert [fact.github_id for fact in last.facts if hasattr(fact, "created_at")] == [1000 + MOST_PAGES + 3]


def test_a_comment_that_is_edited_meanwhile_comes_again_and_no_other_is_lost(
    web: VariedRepository, worker: GitHubAccess
) -> None:
    samples.comment_at(web, [START + timedelta(minutes=number) for number in range(20)])
    pages = []
    for page in StreamRead.of_web("issue_comments", worker, size=4).pages():
        pages.append(page)
        if len(pages) in {1, 2, 3}:
            web.truth.issue_comments[1][len(pages)]["updated_at"] = f"2026-03-09T09:00:0{len(pages)}Z"
    record(StreamRead.of_web("issue_comments", worker).evidence(pages))
    assert ids() == list(range(1000, 1020))


def pages_while(web: VariedRepository, worker: GitHubAccess, *, size: int, gone: dict[int, int]) -> list[Page]:
    """The pages; after the page of each number, the comment of that id is deleted."""
    pages = list[Page]()
    for page in StreamRead.of_web("issue_comments", worker, size=size).pages():
        pages.append(page)
        deleted = gone.get(len(pages))
        web.truth.issue_comments[1] = [said for said in web.truth.issue_comments[1] if said["id"] != deleted]
        assert len(pages) < 100
    record(StreamRead.of_web("issue_comments", worker).evidence(pages))
    return pages


@pytest.mark.parametrize("apart", [timedelta(), timedelta(seconds=10)])
def test_no_comment_slips_by_where_one_that_was_seen_is_deleted(
    web: VariedRepository, worker: GitHubAccess, apart: timedelta
) -> None:
    samples.comment_at(web, [START + apart * number for number in range(6)])
    pages_while(web, worker, size=1, gone={1: 1000, 3: 1002})
    assert ids() == list(range(1000, 1006))


@pytest.mark.parametrize("size", [60, 100])
def test_a_listing_deeper_than_a_page_is_read_again_where_one_that_was_seen_is_deleted(
    web: VariedRepository, worker: GitHubAccess, size: int
) -> None:
    samples.comment_at(web, [START] * 450)
    pages = pages_while(web, worker, size=size, gone={2: 1000})
    assert ids() == list(range(1000, 1450))
    assert not skipped(pages)


@pytest.mark.proof
def test_a_listing_that_changes_all_the_time_is_read_to_its_end_and_what_may_be_missing_is_named(
    web: VariedRepository, worker: GitHubAccess
) -> None:
    samples.comment_at(web, [START] * 350)
    pages = pages_while(web, worker, size=100, gone={number: 999 + number for number in range(1, 40)})
    assert "the listing changed during each of 4 readings" in {each.why for each in skipped(pages)}


def test_since_bounds_what_was_updated_and_until_what_was_created(web: VariedRepository, worker: GitHubAccess) -> None:
    since, until = at("03-02", "12:00"), at("03-04", "12:02")
    StreamRead.of_web("issue_comments", worker, since=since, until=until).into_empty_tables()
    times = {comment.created_at for comment in IssueComment.objects.all()}
    assert len(times) == len(
        [each for each in true_rows(IssueComment, web.truth) if since <= each["created_at"] <= until]
    )
    assert all(since <= time <= until for time in times)


def test_bots_and_ghosts_comment_on_issues_and_pull_requests(web: VariedRepository, worker: GitHubAccess) -> None:
    StreamRead.of_web("issue_comments", worker).into_empty_tables()
    assert {each["is_on_pull_request"] for each in rows(IssueComment)} == {True, False}
    assert IssueComment.objects.filter(author=None).exists()
    assert Contributor.objects.get(pk=REVIEW_BOT.id).login == REVIEW_BOT.login


def test_a_review_comment_brings_a_stub_of_its_pull_request(web: VariedRepository, worker: GitHubAccess) -> None:
    StreamRead.of_web("review_comments", worker).into_empty_tables()
    numbers = {(pull.number, "") for pull in pull_requests(web.truth)}
    assert set(PullRequest.objects.values_list("number", "title")) == numbers
    assert Contributor.objects.get(pk=REVIEW_BOT.id).login == REVIEW_BOT.login


def test_since_bounds_when_a_review_comment_was_updated_and_until_when_it_was_created(
    web: VariedRepository, worker: GitHubAccess
) -> None:
    comments = samples.remark(web, 9)
    comments[1]["updated_at"] = comments[8]["updated_at"]
    since, until = (datetime.fromisoformat(comments[place]["created_at"]) for place in (3, 5))
    StreamRead.of_web("review_comments", worker, since=since, until=until).into_empty_tables()
    assert set(ReviewComment.objects.values_list("pk", flat=True)) == {500_001, 500_003, 500_004, 500_005}
