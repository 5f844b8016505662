"""A pull request that GraphQL does not show is read by REST, to the same rows; what REST refuses too is named."""

import pytest

from apps.activity.models import Contributor, PullRequest, PullRequestCommit
from apps.github.auth import GitHubAccess
from apps.github.responses import ResponseKind
from apps.integrations.reader import RequestFailedError, Skipped
from tests.activity.tables import clear
from tests.fake_github import faults, rest_api
from tests.fake_github.faults import Fault
from tests.fake_github.server import FakeGitHub
from tests.fake_github.truth import RepositoryTruth
from tests.fake_github.using import WEB
from tests.integrations.streams.twelve_pull_requests import (
    FORBIDDEN,
    ITS_TIMELINE,
    SEVENTH,
    WITHOUT_GRAPHQL,
    assert_whole,
    paths,
    spoil,
    twelve,
    web,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def truth(fake: FakeGitHub) -> RepositoryTruth:
    return twelve(fake)


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
    assert_whole(fake)
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
            pull.json = {**pull.json, "head": {**pull.json["head"], "sha": pull.commits[-1]["id"]}}

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
