"""The walk through the comments on lines of diffs."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from apps.activity.models import Contributor, PullRequest, ReviewComment
from apps.activity.record import record
from apps.demo.shapes import Json, moment
from apps.github.auth import GitHubAccess
from tests.activity.tables import clear, contents
from tests.fake_github.generated import REVIEW_BOT
from tests.fake_github.server import FakeGitHub
from tests.fake_github.truth import PullRequestTruth
from tests.fake_github.using import ACME, WEB
from tests.github.times import at
from tests.integrations.backfill.conftest import ABOUT_WEB, Lively
from tests.integrations.backfill.tours import Tour, rows, skipped
from tests.integrations.backfill.trouble import spoil_pages
from tests.integrations.translating import told

pytestmark = pytest.mark.django_db
PATH = f"/repositories/{WEB}/pulls/comments"


def tour(worker: GitHubAccess, **changes: Any) -> Tour:
    return Tour(stream="review_comments", worker=worker, **{**ABOUT_WEB, **changes})


def pulls(web: Lively) -> Iterator[PullRequestTruth]:
    for _, number in web.truth.pull_requests.ordered("created_at"):
        found = web.truth.pull_requests.get(number)
        assert found is not None
        yield found


def row(comment: Json, *, number: int) -> dict[str, Any]:
    """The row that GitHub's comment calls for."""
    return {
        "github_id": comment["id"],
        "repository_id": WEB,
        "number": number,
        "review_id": comment["pull_request_review_id"],
        "author_id": comment["user"] and comment["user"]["id"],
        "created_at": datetime.fromisoformat(comment["created_at"]),
        "deleted_at": None,
    }


def rows_of(web: Lively) -> list[dict[str, Any]]:
    """All the rows that GitHub's comments call for."""
    found = [row(comment, number=pull.number) for pull in pulls(web) for comment in pull.review_comments]
    return sorted(found, key=lambda each: repr(sorted(each.items())))


def say(web: Lively, count: int) -> list[Json]:
    """Let GitHub have so many comments, a minute apart, on the lines of the first pull request alone."""
    first, *others = pulls(web)
    pattern = first.review_comments[0]
    times = [at("03-10", "09:00") + timedelta(minutes=number) for number in range(count)]
    first.review_comments = [
        {**pattern, "id": 500_000 + number, "created_at": moment(time), "updated_at": moment(time)}
        for number, time in enumerate(times)
    ]
    for other in others:
        other.review_comments.clear()
    return first.review_comments


def test_comments_come_as_they_are_on_github_field_by_field(web: Lively, worker: GitHubAccess) -> None:
    pages = tour(worker).walk()
    assert rows(ReviewComment) == rows_of(web)
    assert len(rows_of(web)) == 3
    assert Contributor.objects.get(pk=REVIEW_BOT.id).login == REVIEW_BOT.login
    assert [(page.items, page.cursor) for page in pages] == [(3, None)]


def test_a_comment_brings_a_stub_of_its_pull_request(web: Lively, worker: GitHubAccess) -> None:
    tour(worker).walk()
    assert set(PullRequest.objects.values_list("number", "title")) == {(pull.number, "") for pull in pulls(web)}


def test_webhooks_and_the_walk_tell_the_same_in_any_mixture(web: Lively, worker: GitHubAccess) -> None:
    hooks = told(sent for sent in web.told if sent.event.startswith("pull_request_review"))
    pages = tour(worker, size=2).told(tour(worker, size=2).pages())
    record(hooks)
    assert rows(ReviewComment) == rows_of(web)
    clear()
    record([*hooks, *pages])
    expected = contents()
    chance = random.Random(4)  # noqa: S311  the same mixtures every time
    for _ in range(5):
        clear()
        for piece in chance.sample([*hooks, *pages], k=len(hooks) + len(pages)):
            record([piece])
        assert contents() == expected
        assert rows(ReviewComment) == rows_of(web)


@pytest.mark.proof
def test_a_walk_that_is_resumed_from_any_of_its_cursors_ends_in_the_same_rows(
    web: Lively, worker: GitHubAccess
) -> None:
    say(web, 7)
    walk = tour(worker, size=2)
    pages = walk.walk()
    assert len(pages) > 3
    for read, page in enumerate(pages[:-1], start=1):
        clear()
        record(walk.told([*pages[:read], *walk.pages(page.cursor)]))
        assert rows(ReviewComment) == rows_of(web)


def test_a_thousand_comments_cost_eleven_calls(fake: FakeGitHub, web: Lively, worker: GitHubAccess) -> None:
    say(web, 1000)
    assert sum(page.items for page in tour(worker).pages()) == 1000
    assert len(fake.calls("core", payer=ACME)) == 11
    assert not fake.calls("graphql")


def test_since_bounds_what_was_updated_and_until_what_was_created(web: Lively, worker: GitHubAccess) -> None:
    comments = say(web, 9)
    comments[1]["updated_at"] = comments[8]["updated_at"]
    bounds = [datetime.fromisoformat(comments[place]["created_at"]) for place in (3, 5)]
    tour(worker, since=bounds[0], until=bounds[1]).walk()
    assert set(ReviewComment.objects.values_list("pk", flat=True)) == {500_001, 500_003, 500_004, 500_005}


def test_a_comment_that_no_page_can_show_is_named_by_its_place_and_the_walk_goes_on(
    fake: FakeGitHub, web: Lively, worker: GitHubAccess
) -> None:
    say(web, 5)
    fake.spoil(spoil_pages("updated", holding='"id": 500002', of_path=PATH))
    pages = list(tour(worker, size=4).patient_pages())
    record(tour(worker).told(pages))
    assert set(ReviewComment.objects.values_list("pk", flat=True)) == {500_000, 500_001, 500_003, 500_004}
    (missed,) = skipped(pages)
    assert missed.what.startswith("review comment")


@pytest.mark.parametrize(
    "change", [{"pull_request_url": "https://api.github.com/repos/acme/web"}, {"created_at": None}, {"id": "x"}]
)
def test_a_comment_whose_shape_cannot_be_used_is_named_and_its_neighbours_are_kept(
    web: Lively, worker: GitHubAccess, change: Json
) -> None:
    spoilt = say(web, 5)[4]
    spoilt |= change
    pages = tour(worker).walk()
    assert [each.what for each in skipped(pages)] == [f"review comment {spoilt['id']}"]
    assert set(ReviewComment.objects.values_list("pk", flat=True)) == set(range(500_000, 500_004))
