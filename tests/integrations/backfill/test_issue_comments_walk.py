"""The walk through the comments on issues and pull requests, and how a REST listing is walked at all."""

import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.activity.models import Contributor, IssueComment
from apps.activity.record import record
from apps.demo.shapes import Json, moment
from apps.github.auth import GitHubAccess
from apps.integrations.reader import Page, RequestFailedError
from apps.integrations.streams.keyset import MOST_PAGES
from tests.activity.tables import clear, contents
from tests.fake_github import faults
from tests.fake_github.faults import Fault
from tests.fake_github.generated import REVIEW_BOT, Size
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, WEB
from tests.github.times import at
from tests.integrations.backfill.conftest import ABOUT_WEB, Lively
from tests.integrations.backfill.tours import Tour, rows, skipped
from tests.integrations.backfill.trouble import spoil_pages
from tests.integrations.translating import told

pytestmark = pytest.mark.django_db
PATH = f"/repositories/{WEB}/issues/comments"
START = datetime(2026, 1, 1, tzinfo=UTC)


def tour(worker: GitHubAccess, **changes: Any) -> Tour:
    return Tour(stream="issue_comments", worker=worker, **{**ABOUT_WEB, **changes})


def row(comment: Json, *, number: int, is_on_pull_request: bool) -> dict[str, Any]:
    """The row that GitHub's comment calls for."""
    return {
        "github_id": comment["id"],
        "repository_id": WEB,
        "number": number,
        "is_on_pull_request": is_on_pull_request,
        "author_id": comment["user"] and comment["user"]["id"],
        "created_at": datetime.fromisoformat(comment["created_at"]),
        "deleted_at": None,
    }


def rows_of(web: Lively) -> list[dict[str, Any]]:
    """All the rows that GitHub's comments call for."""
    pulls = web.truth.pull_requests
    found = [
        row(comment, number=number, is_on_pull_request=False)
        for number, said in web.truth.issue_comments.items()
        for comment in said
    ]
    for _, number in pulls.ordered("created_at"):
        pull = pulls.get(number)
        found += [row(comment, number=number, is_on_pull_request=True) for comment in pull.comments] if pull else []
    return sorted(found, key=lambda each: repr(sorted(each.items())))


def say(web: Lively, times: Iterable[datetime]) -> None:
    """Let GitHub have nothing but so many comments on issue 1, each last changed at its time."""
    pattern = next(comment for said in web.truth.issue_comments.values() for comment in said)
    for pull in web.truth.pull_requests.values():
        pull.comments.clear()
    address = pattern["html_url"].partition("/issues/")[0]
    web.truth.issue_comments = {
        1: [
            {
                **pattern,
                "id": 1000 + number,
                "html_url": f"{address}/issues/1#issuecomment-{1000 + number}",
                "created_at": moment(START),
                "updated_at": moment(time),
            }
            for number, time in enumerate(times)
        ]
    }


def ids() -> list[int]:
    return sorted(IssueComment.objects.values_list("github_id", flat=True))


def test_comments_come_as_they_are_on_github_field_by_field(web: Lively, worker: GitHubAccess) -> None:
    pages = tour(worker).walk()
    assert rows(IssueComment) == rows_of(web)
    assert {each["is_on_pull_request"] for each in rows(IssueComment)} == {True, False}
    assert IssueComment.objects.filter(author=None).exists()
    assert Contributor.objects.get(pk=REVIEW_BOT.id).login == REVIEW_BOT.login
    assert [(page.items, page.cursor) for page in pages] == [(len(rows_of(web)), None)]
    assert not skipped(pages)


def test_webhooks_and_the_walk_tell_the_same_in_any_mixture(web: Lively, worker: GitHubAccess) -> None:
    hooks = told(sent for sent in web.told if sent.event == "issue_comment")
    pages = tour(worker, size=3).told(tour(worker, size=3).pages())
    record(hooks)
    assert rows(IssueComment) == rows_of(web)
    clear()
    record([*hooks, *pages])
    expected = contents()
    chance = random.Random(4)  # noqa: S311  the same mixtures every time
    for _ in range(5):
        clear()
        for piece in chance.sample([*hooks, *pages], k=len(hooks) + len(pages)):
            record([piece])
        assert contents() == expected
        assert rows(IssueComment) == rows_of(web)


def test_a_walk_that_is_resumed_from_any_of_its_cursors_ends_in_the_same_rows(
    web: Lively, worker: GitHubAccess
) -> None:
    walk = tour(worker, size=2)
    pages = walk.walk()
    assert len(pages) > 3
    for read, page in enumerate(pages[:-1], start=1):
        clear()
        record(walk.told([*pages[:read], *walk.pages(page.cursor)]))
        assert rows(IssueComment) == rows_of(web)


def test_a_thousand_comments_cost_eleven_calls(fake: FakeGitHub, web: Lively, worker: GitHubAccess) -> None:
    """Ten pages of a hundred, whose last item comes again on the next."""
    say(web, (START + timedelta(minutes=number) for number in range(1000)))
    pages = list(tour(worker).pages())
    assert sum(page.items for page in pages) == 1000
    assert len(fake.calls("core", payer=ACME)) == len(pages) == 11
    assert not fake.calls("graphql")


@pytest.mark.proof
def test_no_page_is_deeper_than_the_first_where_times_go_on(
    fake: FakeGitHub, web: Lively, worker: GitHubAccess
) -> None:
    """GitHub shows 300 pages of a listing: each page is the first one of another listing."""
    say(web, (START + timedelta(seconds=2 * number) for number in range(MOST_PAGES + 20)))
    tour(worker, size=2).walk()
    assert ids() == list(range(1000, 1000 + MOST_PAGES + 20))


def test_a_whole_page_of_one_time_is_followed_by_its_next_page(web: Lively, worker: GitHubAccess) -> None:
    say(web, [START] * 25 + [START + timedelta(hours=1)] * 3)
    pages = tour(worker, size=10).walk()
    assert ids() == list(range(1000, 1028))
    assert [page.cursor for page in pages] == [
        "2025-12-31T23:59:59Z 10 1009 0 0",
        "2025-12-31T23:59:59Z 20 1019 0 0",
        None,
    ]


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_lost_whatever_the_times_and_however_the_size_of_pages_changes(
    web: Lively, worker: GitHubAccess, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311  the same times every time
    say(web, (START + timedelta(seconds=chance.choice((0, 1, 2, 3, 60, 61)) + 90 * (n // 20)) for n in range(60)))
    cursor, found, steps = "", list[Page](), 0
    while cursor is not None:
        page = replace(tour(worker), size=chance.randint(1, 9)).read(cursor)
        found.append(page)
        cursor, steps = page.cursor, steps + 1
        assert steps < 200
    record(tour(worker).told(found))
    assert ids() == list(range(1000, 1060))
    assert sum(page.items for page in found) >= 60


def test_more_of_one_second_than_github_lists_is_named_and_the_walk_goes_on(web: Lively, worker: GitHubAccess) -> None:
    later = START + timedelta(hours=1)
    say(web, [START] * (MOST_PAGES + 3) + [later])
    beyond = tour(worker, size=1).read(f"{moment(START)} {MOST_PAGES} 1299 0 0")
    assert [each.why for each in beyond.skipped] == ["GitHub lists no more than 300 pages"]
    assert beyond.cursor is not None
    (last,) = tour(worker, size=1).pages(beyond.cursor)
    assert [fact.github_id for fact in last.facts if hasattr(fact, "created_at")] == [1000 + MOST_PAGES + 3]


def test_a_comment_that_is_edited_during_the_walk_comes_again_and_no_other_is_lost(
    web: Lively, worker: GitHubAccess
) -> None:
    say(web, (START + timedelta(minutes=number) for number in range(20)))
    pages = []
    for page in tour(worker, size=4).pages():
        pages.append(page)
        if len(pages) in {1, 2, 3}:
            web.truth.issue_comments[1][len(pages)]["updated_at"] = f"2026-03-09T09:00:0{len(pages)}Z"
    record(tour(worker).told(pages))
    assert ids() == list(range(1000, 1020))


def pages_while(web: Lively, worker: GitHubAccess, *, size: int, gone: dict[int, int]) -> list[Page]:
    """The pages of a walk; after the page of each number, the comment of that id is deleted."""
    pages = list[Page]()
    for page in tour(worker, size=size).pages():
        pages.append(page)
        deleted = gone.get(len(pages))
        web.truth.issue_comments[1] = [said for said in web.truth.issue_comments[1] if said["id"] != deleted]
        assert len(pages) < 100
    record(tour(worker).told(pages))
    return pages


@pytest.mark.parametrize("apart", [timedelta(), timedelta(seconds=10)])
def test_no_comment_slips_by_where_one_that_was_seen_is_deleted(
    web: Lively, worker: GitHubAccess, apart: timedelta
) -> None:
    say(web, (START + apart * number for number in range(6)))
    pages_while(web, worker, size=1, gone={1: 1000, 3: 1002})
    assert ids() == list(range(1000, 1006))


@pytest.mark.parametrize("size", [60, 100])
def test_a_listing_deeper_than_a_page_is_walked_again_where_one_that_was_seen_is_deleted(
    web: Lively, worker: GitHubAccess, size: int
) -> None:
    say(web, [START] * 450)
    pages = pages_while(web, worker, size=size, gone={2: 1000})
    assert ids() == list(range(1000, 1450))
    assert not skipped(pages)


@pytest.mark.proof
def test_a_listing_that_changes_all_the_time_is_walked_to_its_end_and_what_may_be_missing_is_named(
    web: Lively, worker: GitHubAccess
) -> None:
    say(web, [START] * 350)
    pages = pages_while(web, worker, size=100, gone={number: 999 + number for number in range(1, 40)})
    assert "the listing changed during each of 4 readings" in {each.why for each in skipped(pages)}


def test_since_bounds_what_was_updated_and_until_what_was_created(web: Lively, worker: GitHubAccess) -> None:
    since, until = at("03-02", "12:00"), at("03-04", "12:02")
    tour(worker, since=since, until=until).walk()
    times = {comment.created_at for comment in IssueComment.objects.all()}
    assert len(times) == len([each for each in rows_of(web) if since <= each["created_at"] <= until])
    assert all(since <= time <= until for time in times)


def test_a_comment_that_no_page_can_show_is_named_by_its_place_and_the_walk_goes_on(
    fake: FakeGitHub, web: Lively, worker: GitHubAccess
) -> None:
    say(web, (START + timedelta(minutes=number) for number in range(9)))
    fake.spoil(spoil_pages("updated", holding="issuecomment-1004", of_path=PATH))
    pages = list(tour(worker, size=4).patient_pages())
    record(tour(worker).told(pages))
    assert ids() == [1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008]
    assert {each.why for each in skipped(pages)} == {"HTTP 502"}
    assert "issue comment" in skipped(pages)[0].what


def test_nothing_is_skipped_while_github_is_unwell_altogether(
    fake: FakeGitHub, web: Lively, worker: GitHubAccess
) -> None:
    fake.spoil(Fault(faults.status(502), faults.rest, times=None))
    with pytest.raises(RequestFailedError):
        tour(worker).skip_item()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"created_at": "9999-01-01T00:00:00Z"}, "issue_comment.created_at is a time that has not come"),
        ({"updated_at": "2026-01-01T00:00:00"}, "issue_comment.updated_at is not a time"),
        ({"html_url": "https://github.com/acme/web"}, "issue_comment.html_url is not the address of a comment"),
        ({"html_url": "https://github.com/acme/web/pull/9999999999#issuecomment-1"}, "out of range"),
    ],
)
def test_a_comment_whose_shape_cannot_be_used_is_named_and_its_neighbours_are_kept(
    web: Lively, worker: GitHubAccess, change: Json, why: str
) -> None:
    say(web, (START + timedelta(minutes=number) for number in range(5)))
    web.truth.issue_comments[1][2] |= change
    pages = tour(worker, size=2).walk()
    assert {each.what for each in skipped(pages)} == {"issue comment 1002"}
    assert why in skipped(pages)[0].why
    assert ids() == [1000, 1001, 1003, 1004]


def test_a_repository_whose_name_another_one_has_by_now_is_read_by_its_id(
    fake: FakeGitHub, web: Lively, worker: GitHubAccess
) -> None:
    fake.world.rename(web.truth, "acme/former")
    fake.world.add("web", installation_id=ACME, repository_id=13, size=Size(pull_requests=0, issues=3))
    tour(worker).walk()
    assert rows(IssueComment) == rows_of(web)
