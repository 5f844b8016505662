"""The walk through the commits of the default branch."""

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from apps.activity.models import Commit, CommitTrailer, Contributor
from apps.activity.record import record
from apps.demo.shapes import Json, moment
from apps.github.auth import GitHubAccess
from apps.github.responses import Kind
from apps.integrations.reader import RequestFailedError
from apps.metrics.models import DerivedCommit
from apps.metrics.recalculation import drain
from tests.activity.tables import clear, contents
from tests.fake_github import faults
from tests.fake_github.faults import Fault
from tests.fake_github.generated import BOT, Size
from tests.fake_github.server import FakeGitHub
from tests.fake_github.truth import RepositoryTruth
from tests.fake_github.using import ACME, WEB
from tests.github.times import at
from tests.integrations.backfill.conftest import ABOUT_WEB, Lively
from tests.integrations.backfill.lively import MESSAGES, begin, push
from tests.integrations.backfill.tours import Tour, rows, skipped
from tests.integrations.backfill.trouble import spoil_pages
from tests.integrations.translating import told
from tests.metrics.comparing import assert_equals_rebuild

pytestmark = pytest.mark.django_db
FULL = "message"
"""What the document of a page asks for, and the lean one does not."""
TOLD_BY_PUSHES_TOO = (
    *("sha", "headline", "authored_at", "committed_at", "author_name", "author_email", "author_login"),
    "is_date_clamped",
)


def tour(worker: GitHubAccess, **changes: Any) -> Tour:
    return Tour(stream="commits", worker=worker, **{**ABOUT_WEB, **changes})


def row(commit: Json, truth: RepositoryTruth) -> dict[str, Any]:
    """The row that GitHub's commit calls for, where no push told of it."""
    committed_at = datetime.fromisoformat(commit["committer"]["date"])
    return {
        "repository_id": WEB,
        "sha": commit["id"],
        "headline": commit["message"].partition("\n")[0],
        "authored_at": datetime.fromisoformat(commit["author"]["date"]),
        "committed_at": committed_at,
        "author_name": commit["author"]["name"],
        "author_email": commit["author"]["email"],
        "author_login": commit["author"]["username"],
        "is_date_clamped": False,
        "parent_count": len(truth.parents[commit["id"]]),
        "presumed_parent_count": None,
        "author_id": int(commit["author"]["email"].partition("+")[0]),
        "landed_at": None,
        "presumed_landed_at": committed_at,
    }


def rows_of(truth: RepositoryTruth) -> list[dict[str, Any]]:
    """All the rows that the commits of the default branch call for."""
    return sorted((row(commit, truth) for commit in truth.commits), key=lambda each: repr(sorted(each.items())))


def content() -> dict[str, tuple[Any, ...]]:
    """What both roads tell of each commit."""
    return {found["sha"]: tuple(found.values()) for found in Commit.objects.values(*TOLD_BY_PUSHES_TOO)}


def trailers() -> set[tuple[str, ...]]:
    return set(CommitTrailer.objects.values_list("sha", "token", "value"))


def landings() -> dict[str, datetime]:
    return dict(DerivedCommit.objects.values_list("sha", "landed_at"))


def test_commits_come_as_they_are_on_github_field_by_field(web: Lively, worker: GitHubAccess) -> None:
    pages = tour(worker).walk()
    assert rows(Commit) == rows_of(web.truth)
    assert {each["parent_count"] for each in rows(Commit)} == {0, 1, 2}
    assert [(page.items, page.total, page.cursor) for page in pages] == [(11, 11, None)]


def test_a_headline_is_whole_and_its_trailers_are_there(web: Lively, worker: GitHubAccess) -> None:
    tour(worker).walk()
    assert MESSAGES[1].partition("\n")[0] in set(Commit.objects.values_list("headline", flat=True))
    assert {(token, value) for _, token, value in trailers()} == {
        ("co-authored-by", "Ben <ben@example.com>"),
        ("reviewed-by", "Cy <cy@example.com>"),
        ("generated-with", "[A Tool](https://example.com)"),
    }


def test_a_bot_that_the_schema_calls_a_user_is_a_bot(web: Lively, worker: GitHubAccess) -> None:
    tour(worker).walk()
    assert Commit.objects.filter(author_id=BOT.id, author_login=BOT.login).exists()
    assert Contributor.objects.values_list("login", "kind").get(pk=BOT.id) == (BOT.login, "bot")


def test_webhooks_and_the_walk_tell_the_same_in_any_mixture(web: Lively, worker: GitHubAccess) -> None:
    hooks = told(sent for sent in web.told if sent.event == "push")
    pages = tour(worker, size=3).told(tour(worker, size=3).pages())
    record(hooks)
    by_webhook, lines = content(), trailers()
    clear()
    record(pages)
    assert content() == {sha: by_webhook[sha] for sha in content()}
    assert set(content()) == {commit["id"] for commit in web.truth.commits}
    assert trailers() == lines
    clear()
    record([*hooks, *pages])
    expected = contents()
    chance = random.Random(4)  # noqa: S311  the same mixtures every time
    for _ in range(5):
        clear()
        for piece in chance.sample([*hooks, *pages], k=len(hooks) + len(pages)):
            record([piece])
        assert contents() == expected
        assert content() == by_webhook


def test_a_known_push_dates_a_commit_whichever_comes_first_and_without_one_its_own_date_does(
    web: Lively, worker: GitHubAccess
) -> None:
    pushes = [sent for sent in web.told if sent.event == "push" and sent.payload["ref"] == "refs/heads/main"]
    known, pages = told(pushes[::2]), tour(worker, size=3).told(tour(worker, size=3).pages())
    landed = {commit["id"]: sent.at for sent in pushes[::2] for commit in sent.payload["commits"]}
    made = {commit["id"]: datetime.fromisoformat(commit["committer"]["date"]) for commit in web.truth.commits}
    assert landed
    assert len(landed) < len(made)
    chance = random.Random(5)  # noqa: S311  the same mixtures every time
    for _ in range(4):
        clear()
        DerivedCommit.objects.all().delete()
        for piece in chance.sample([*known, *pages], k=len(known) + len(pages)):
            record([piece])
            if chance.random() < 0.5:
                drain(seconds=60)
        assert drain(seconds=60)
        assert landings() == {**made, **landed}
        assert_equals_rebuild()


def test_a_commit_from_the_future_has_landed_by_now(web: Lively, worker: GitHubAccess) -> None:
    newest = web.truth.commits[-1]
    newest["committer"]["date"] = newest["author"]["date"] = "2099-01-01T00:00:00Z"
    tour(worker).walk()
    found = Commit.objects.get(sha=newest["id"])
    assert found.presumed_landed_at is not None
    assert found.presumed_landed_at.year < 2099
    assert found.is_date_clamped


def test_a_walk_that_is_resumed_from_any_of_its_cursors_ends_in_the_same_rows(
    web: Lively, worker: GitHubAccess
) -> None:
    walk = tour(worker, size=3)
    pages = walk.walk()
    assert len(pages) == 4
    for read, page in enumerate(pages[:-1], start=1):
        clear()
        record(walk.told([*pages[:read], *walk.pages(page.cursor)]))
        assert rows(Commit) == rows_of(web.truth)


def test_a_thousand_commits_cost_ten_points(fake: FakeGitHub, worker: GitHubAccess) -> None:
    place = begin()
    for number in range(999):
        push(place, at("01-01", "09:00") + timedelta(minutes=number))
    fake.world.fold(place.story.tell(), installation_id=ACME)
    assert sum(page.items for page in tour(worker).pages()) == 1000
    assert [call.cost for call in fake.calls("graphql")] == [1] * 10
    assert not fake.calls("core", payer=ACME)


def test_what_is_pushed_during_the_walk_moves_nothing(web: Lively, worker: GitHubAccess) -> None:
    before = rows_of(web.truth)
    pages = []
    for page in tour(worker, size=3).pages():
        pages.append(page)
        newest = {**web.truth.commits[-1], "id": f"{len(pages):040x}"}
        web.truth.commits.append(newest)
    record(tour(worker).told(pages))
    assert rows(Commit) == before


def test_a_head_that_is_no_more_lets_the_walk_begin_again(web: Lively, worker: GitHubAccess) -> None:
    first = tour(worker, size=3).read()
    web.truth.commits[-1] = {**web.truth.commits[-1], "id": "f" * 40}
    web.truth.parents["f" * 40] = (web.truth.commits[-2]["id"],)
    record(tour(worker).told(tour(worker, size=3).pages(first.cursor)))
    assert rows(Commit) == rows_of(web.truth)


def test_since_and_until_bound_when_a_commit_was_made(web: Lively, worker: GitHubAccess) -> None:
    times = sorted(commit["committer"]["date"] for commit in web.truth.commits)
    since, until = (datetime.fromisoformat(times[place]) for place in (2, 6))
    tour(worker, since=since, until=until).walk()
    made = {moment(found) for found in Commit.objects.values_list("committed_at", flat=True) if found}
    assert made == {time for time in times if moment(since) <= time <= moment(until)}


def test_an_empty_repository_has_no_commits(fake: FakeGitHub, web: Lively, worker: GitHubAccess) -> None:
    web.truth.commits.clear()
    (page,) = tour(worker).walk()
    assert (page.items, page.total, page.facts) == (0, 0, ())
    assert tour(worker).skip_item() == page


def test_commits_that_we_may_not_see_are_no_empty_repository(
    fake: FakeGitHub, web: Lively, worker: GitHubAccess
) -> None:
    error = {"type": "FORBIDDEN", "path": ["repository", "object"], "message": "Resource not accessible by integration"}
    fake.spoil(
        Fault(faults.graphql_errors(error, data={"repository": {"databaseId": WEB, "object": None}}), faults.graphql)
    )
    with pytest.raises(RequestFailedError) as refused:
        tour(worker).read()
    assert refused.value.answer.kind is Kind.FORBIDDEN


def test_a_commit_that_no_page_can_show_is_read_alone(fake: FakeGitHub, web: Lively, worker: GitHubAccess) -> None:
    for commit in web.truth.commits[4], web.truth.commits[-2]:
        fake.spoil(spoil_pages(FULL, holding=commit["id"]))
    pages = list(tour(worker, size=4).patient_pages())
    record(tour(worker).told(pages))
    assert rows(Commit) == rows_of(web.truth)
    assert not skipped(pages)


def test_a_commit_that_cannot_be_read_alone_either_is_named_and_skipped(
    fake: FakeGitHub, web: Lively, worker: GitHubAccess
) -> None:
    sha = web.truth.commits[4]["id"]
    fake.spoil(spoil_pages(FULL, holding=sha))
    refusal = faults.status(422, {"message": f"No commit found for SHA: {sha}"})
    fake.spoil(Fault(refusal, faults.below(f"/repositories/{WEB}/commits/")))
    pages = list(tour(worker, size=4).patient_pages())
    assert [(each.what, each.why) for each in skipped(pages)] == [(f"commit {sha}", f"No commit found for SHA: {sha}")]
    record(tour(worker).told(pages))
    assert Commit.objects.count() == len(web.truth.commits) - 1


def test_a_commit_whose_shape_cannot_be_used_is_named_and_its_neighbours_are_kept(
    web: Lively, worker: GitHubAccess
) -> None:
    web.truth.commits[3]["id"] = "no sha"
    pages = tour(worker).walk()
    assert [each.what for each in skipped(pages)] == ["commit no sha"]
    assert Commit.objects.count() == len(web.truth.commits) - 1


def test_a_name_that_another_repository_has_by_now_is_not_read(
    fake: FakeGitHub, web: Lively, worker: GitHubAccess
) -> None:
    fake.world.rename(web.truth, "acme/former")
    fake.world.add("web", installation_id=ACME, repository_id=13, size=Size(pull_requests=0))
    with pytest.raises(RequestFailedError) as refused:
        tour(worker).read()
    assert refused.value.answer.kind is Kind.GONE
