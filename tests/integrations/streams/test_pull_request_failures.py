"""Pull requests that GitHub shows badly or not at all by GraphQL, and what REST shows of them instead."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.activity.models import Contributor, PullRequest, PullRequestCommit
from apps.github.auth import GitHubAccess
from apps.github.rate_limit import Lease
from apps.github.responses import ResponseKind
from apps.integrations.reader import RequestFailedError, Skipped
from tests.activity.tables import clear
from tests.fake_github import faults, rest_api
from tests.fake_github.faults import Fault
from tests.fake_github.generated import Generated
from tests.fake_github.server import FakeGitHub
from tests.fake_github.truth import RepositoryTruth
from tests.fake_github.using import ACME, LIVE, WEB
from tests.integrations.streams.stream_read import History, record_page
from tests.integrations.streams.twelve_pull_requests import (
    FORBIDDEN,
    ITS_TIMELINE,
    SEVENTH,
    WITHOUT_GRAPHQL,
    assert_whole,
    changed,
    lost,
    named,
    paths,
    spoil,
    twelve,
    web,
)
from tests.integrations.true_rows import differences

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def truth(fake: FakeGitHub) -> RepositoryTruth:
    return twelve(fake)


def test_a_hole_that_an_error_explains_is_filled_by_rest(fake: FakeGitHub, worker: GitHubAccess) -> None:
    spoil(fake, lost())
    history = web(worker).patiently()
    assert (history.items, history.skipped) == (12, [])
    assert_whole(fake)
    assert paths(fake)[0] == SEVENTH


def test_a_hole_of_which_nothing_is_known_is_named_by_its_neighbour(fake: FakeGitHub, worker: GitHubAccess) -> None:
    spoil(fake, lost(), named("PullRequestPage", "PullRequestNumbers"))
    history = web(worker).patiently()
    assert history.skipped == [Skipped(what="a pull request listed after 6", why=FORBIDDEN["message"])]
    assert_whole(fake, but=frozenset({7}))


def test_a_hole_on_the_last_page_of_a_pass_is_filled_although_the_next_pass_is_shorter(
    fake: FakeGitHub, worker: GitHubAccess, truth: RepositoryTruth
) -> None:
    at, oldest = truth.pull_requests.ordered("updated_at")[-5]
    spoil(fake, lost(number=oldest))
    history = web(worker, since=datetime.fromisoformat(at), size=3).patiently()
    assert history.skipped == []
    assert differences(truth, numbers=[number for _, number in truth.pull_requests.ordered("updated_at")[-5:]]) == []


@pytest.mark.parametrize("path", [("author",), ("labels",), ("reviews",)])
def test_null_means_unknown(fake: FakeGitHub, worker: GitHubAccess, path: tuple[str]) -> None:
    spoil(fake, lost(*path))
    history = web(worker).patiently()
    assert (history.items, history.skipped) == (12, [])
    assert_whole(fake)
    assert SEVENTH in paths(fake)


@pytest.mark.parametrize(
    ("path", "name", "count"),
    [
        (("commits", "nodes", 0), "commits", 1),
        (("timelineItems", "nodes", 0, "actor"), "timeline", 1),
        (("reviews", "nodes", 0, "author"), "reviews", 1),
        (("labels", "nodes", 0), "labels", 1),
    ],
)
def test_an_item_of_a_list_that_cannot_be_shown_is_named_and_its_list_not_called_complete(
    fake: FakeGitHub, worker: GitHubAccess, path: tuple[str | int, ...], name: str, count: int
) -> None:
    number = 11 if name == "reviews" else 7
    spoil(fake, lost(*path, number=number))
    history = web(worker).patiently()
    assert (
        history.skipped
        == [Skipped(what=f"part of the {name} of pull request {number}", why=FORBIDDEN["message"])] * count
    )
    pull = PullRequest.objects.get(number=number)
    assert (pull.listed_commit_count is None) == (name == "commits")
    assert (pull.labels is None) == (name == "labels")
    assert history.items == 12
    assert paths(fake) == []


@pytest.mark.parametrize("change", [{"headRefOid": "no sha"}, {"additions": -1}])
def test_one_that_cannot_be_used_is_named_and_its_neighbours_are_kept(
    fake: FakeGitHub, worker: GitHubAccess, change: dict[str, Any]
) -> None:
    spoil(fake, changed(7, **change))
    (skipped,) = web(worker).patiently().skipped
    assert skipped.what == "pull request 7"
    assert skipped.why.startswith("shape_mismatch: pullRequest.")
    assert_whole(fake, but=frozenset({7}))


def test_characters_that_no_database_stores_are_replaced_as_in_a_webhook(
    fake: FakeGitHub, worker: GitHubAccess
) -> None:
    spoil(fake, changed(7, title="a\x00b", body="\ud800"))
    assert web(worker).patiently().skipped == []
    pull = PullRequest.objects.get(number=7)
    assert (pull.title, pull.body) == ("a\ufffdb", "\ufffd")


def test_what_changed_between_its_lists_is_read_whole_again(fake: FakeGitHub, worker: GitHubAccess) -> None:
    history = read_while(worker, at=fake, changing=lambda page: page == 1)
    assert history.skipped == []
    assert_whole(fake)
    pull = PullRequest.objects.get(number=7)
    assert pull.listed_head_sha == pull.head_sha
    assert [call.cost for call in fake.calls("graphql")] == [1] * len(history.pages)


def test_what_changes_each_time_it_is_read_is_named(fake: FakeGitHub, worker: GitHubAccess) -> None:
    history = read_while(worker, at=fake, changing=lambda page: page < 20)
    assert history.skipped == [
        Skipped(what="the longer lists of pull request 7", why="it changed each time they were read")
    ]
    assert PullRequest.objects.get(number=7).listed_commit_count is None
    assert PullRequest.objects.count() == 12


def read_while(worker: GitHubAccess, *, at: FakeGitHub, changing: Callable[[int], bool]) -> History:
    """The seventh is rebased after some pages."""
    pulls = at.world.repositories[WEB].pull_requests
    assert isinstance(pulls, Generated)

    def rebase(page: int) -> None:
        if changing(page):
            pull = pulls.get(7)
            assert pull is not None
            pull.commits = [{**made, "id": f"{page:02x}{made['id'][2:]}"} for made in pull.commits]
            head = {**pull.json["head"], "sha": pull.commits[-1]["id"]}
            pulls.edit(7, datetime.now(UTC).replace(second=page), head=head)

    at.clock.wind(3600)  # type: ignore[attr-defined]  # a settled read
    return web(worker).patiently(between=rebase)


@pytest.mark.proof
@pytest.mark.parametrize("name", ["node", "nodes"])
def test_what_graphql_will_not_show_any_more_is_finished_by_rest(
    fake: FakeGitHub, worker: GitHubAccess, name: str
) -> None:
    document = {"node": "PullRequestOverflow", "nodes": "PullRequestsById"}[name]
    gone = faults.graphql_errors({"type": "NOT_FOUND", "path": [name], "message": "Could not resolve"})
    fake.spoil(Fault(gone, named(document), times=None))
    history = read_while(worker, at=fake, changing=lambda page: page == 1 and name == "nodes")
    assert history.skipped == []
    assert_whole(fake)
    assert SEVENTH in paths(fake)


def test_lists_that_are_too_much_are_left_to_rest(fake: FakeGitHub, worker: GitHubAccess) -> None:
    fake.spoil(Fault(faults.too_heavy(), named("PullRequestOverflow"), times=None))
    history = web(worker).patiently()
    assert (history.items, history.skipped) == (12, [])
    assert_whole(fake)
    assert len(fake.calls("graphql")) == 2 + 2, "no request is useless"


def test_waiting_between_a_page_and_its_lists_loses_nothing(fake: FakeGitHub, worker: GitHubAccess) -> None:
    stream = web(worker, size=25)
    page = stream.read()
    record_page(page)
    budget = worker.client.budget
    lease = budget.take(installation_id=ACME, resource="graphql", purpose=LIVE)
    assert isinstance(lease, Lease)
    assert page.cursor
    with pytest.raises(RequestFailedError) as caught:
        stream.read(page.cursor)
    assert caught.value.answer.kind is ResponseKind.DEFERRED
    budget.settle(lease, result=caught.value.answer.result, limit=None)
    history = stream.patiently(page.cursor)
    assert history.items == 0
    assert len(fake.calls("graphql")) == 1 + len(history.pages)
    assert page.items == 12
    assert_whole(fake)


def test_nothing_of_a_repository_that_has_the_name_by_now_is_taken_for_this_ones(
    fake: FakeGitHub, worker: GitHubAccess
) -> None:
    twelve(fake)
    other = web(worker, repository_id=WEB + 1)
    for read in (other.read, other.skip_item):
        with pytest.raises(RequestFailedError) as caught:
            read()
        assert caught.value.answer.kind is ResponseKind.GONE


def test_one_that_is_too_much_even_alone_is_read_by_rest(fake: FakeGitHub, worker: GitHubAccess) -> None:
    spoil(fake, faults.poison(7))
    history = web(worker).patiently()
    assert (history.items, history.skipped) == (12, [])
    assert_whole(fake)
    assert paths(fake) == [SEVENTH, f"{SEVENTH}/reviews", f"{SEVENTH}/commits", ITS_TIMELINE]


@pytest.mark.proof
def test_all_of_them_by_rest_come_to_the_same_rows(
    fake: FakeGitHub, worker: GitHubAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However short the pages of REST are."""
    monkeypatch.setattr(rest_api, "MOST_PER_PAGE", 20)
    web(worker).patiently()
    people = set(Contributor.objects.values_list("github_id", "login", "kind"))
    clear()
    history = web(worker, size=1, stream=WITHOUT_GRAPHQL).patiently()
    assert (history.items, history.skipped) == (12, [])
    assert_whole(fake, is_by_rest=True)
    assert set(Contributor.objects.values_list("github_id", "login", "kind")) == people
    assert len(paths(fake)) > 4 * 12


@pytest.mark.proof
def test_a_commit_list_that_rest_cuts_off_is_not_called_complete(
    fake: FakeGitHub, worker: GitHubAccess, truth: RepositoryTruth
) -> None:
    spoil(fake, faults.poison(7))
    pull = truth.pull_requests.get(7)
    assert pull is not None
    pull.json = {**pull.json, "commits": 300}
    web(worker).patiently()
    assert PullRequest.objects.get(number=7).listed_commit_count is None
    assert PullRequestCommit.objects.filter(number=7).count() == len(pull.commits)


@pytest.mark.proof
def test_a_head_that_moves_between_the_pull_request_and_its_commits_is_read_again(
    fake: FakeGitHub, worker: GitHubAccess, truth: RepositoryTruth
) -> None:
    spoil(fake, faults.poison(7))
    pull = truth.pull_requests.get(7)
    assert pull is not None

    def rebase(page: int) -> None:
        if paths(fake)[-1:] == [SEVENTH] and len(paths(fake)) == 1:
            pull.commits = [{**made, "id": f"ff{made['id'][2:]}"} for made in pull.commits]
            changed_at = datetime.fromisoformat(pull.json["updated_at"]) + timedelta(seconds=1)
            moved = {"head": {**pull.json["head"], "sha": pull.commits[-1]["id"]}}
            pull.json = {**pull.json, **moved, "updated_at": f"{changed_at:%Y-%m-%dT%H:%M:%SZ}"}

    assert web(worker).patiently(between=rebase).items == 12
    assert paths(fake).count(SEVENTH) == 2
    assert_whole(fake)


@pytest.mark.parametrize("code", [404, 422])
def test_one_that_rest_refuses_too_is_named_and_left_out(fake: FakeGitHub, worker: GitHubAccess, code: int) -> None:
    spoil(fake, faults.poison(7))
    fake.spoil(Fault(faults.status(code, {"message": "No"}), faults.below(SEVENTH), times=None))
    history = web(worker).patiently()
    assert history.skipped == [Skipped(what="pull request 7", why="No")]
    assert_whole(fake, but=frozenset({7}))


def test_a_part_that_rest_refuses_is_named_and_the_rest_is_read(fake: FakeGitHub, worker: GitHubAccess) -> None:
    spoil(fake, faults.poison(7))
    fake.spoil(Fault(faults.status(403, {"message": FORBIDDEN["message"]}), faults.below(f"{SEVENTH}/r"), times=None))
    history = web(worker).patiently()
    assert history.skipped == [Skipped(what="part of the reviews of pull request 7", why=FORBIDDEN["message"])]
    assert PullRequest.objects.get(number=7).listed_commit_count is not None
    assert ITS_TIMELINE in paths(fake)


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [(404, "Not Found", ResponseKind.GONE), (403, "This installation has been suspended", ResponseKind.FORBIDDEN)],
)
def test_nothing_is_left_out_while_the_repository_itself_is_refused(
    fake: FakeGitHub, worker: GitHubAccess, code: int, message: str, kind: ResponseKind
) -> None:
    spoil(fake, faults.poison(7))
    fake.spoil(Fault(faults.status(code, {"message": message}), faults.below(f"/repositories/{WEB}"), times=None))
    with pytest.raises(RequestFailedError) as caught:
        web(worker).patiently()
    assert caught.value.answer.kind is kind


def test_what_cannot_be_kept_however_it_is_read_is_left_out(fake: FakeGitHub, worker: GitHubAccess) -> None:
    """What REST brought may be skipped as well."""
    stream = web(worker)
    pending = stream.skip_item().cursor
    assert pending
    page = stream.skip_item(pending)
    assert [skipped.what for skipped in page.skipped] == ["pull request 1"]
    assert page.cursor
    stream.patiently(page.cursor)
    assert_whole(fake, but=frozenset({1}))
