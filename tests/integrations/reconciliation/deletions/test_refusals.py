"""Nothing is deleted if an answer is missing, or if it is not accepted."""

from dataclasses import replace

import pytest

from apps.activity.models import Installation, Issue, IssueComment
from apps.github.auth import GitHubAccess
from apps.github.responses import ResponseKind
from apps.integrations.models import Drift, RepositorySync
from apps.integrations.reader import RequestFailedError
from apps.integrations.reconciliation.repository_verification import mass_deletions
from tests.fake_github.faults import Answered, Asked, Change, Fault, Matches, status
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import WEB
from tests.fake_github.world import delete_issue, delete_issue_comment, issue_comments_of
from tests.integrations.reconciliation.deletions.conftest import Whole
from tests.integrations.reconciliation.deletions.searching import ours, outcomes, search, theirs
from tests.integrations.reconciliation.workers import drift_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.proof]
HERE = f"/repositories/{WEB}"
BY_NAME = "/repos/acme/web"
COMMENTS = f"{HERE}/issues/comments"
MANY = 230
NOTHING_THERE = {"message": "Not Found"}


def say_much(whole: Whole) -> list[int]:
    """More comments than two pages hold, here and there; their ids."""
    number = min(whole.truth.issues)
    said = whole.truth.issue_comments[number]
    first, made = said[0], [{**said[0], "id": 900_000 + place} for place in range(MANY)]
    said += made
    row = IssueComment.objects.get(pk=first["id"])
    IssueComment.objects.bulk_create(
        [
            IssueComment(
                github_id=each["id"],
                repository_id=WEB,
                number=number,
                is_on_pull_request=False,
                author_id=row.author_id,
                created_at=row.created_at,
                stamp=row.stamp,
            )
            for each in made
        ]
    )
    return [each["id"] for each in made]


def of_page(number: int, *, direction: str = "asc") -> Matches:
    """A page of the list of issue comments."""
    return lambda asked: (
        asked.path == COMMENTS and asked.query.get("page") == str(number) and asked.query.get("direction") == direction
    )


def deleted(whole: Whole) -> set[int]:
    return set(
        IssueComment.objects.filter(repository=whole.repository).exclude(deleted_at=None).values_list("pk", flat=True)
    )


def search_comments(whole: Whole, worker: GitHubAccess) -> RepositorySync:
    sync = whole.sync()
    search(sync, worker, streams=["issue_comments"])
    return sync


def test_a_list_that_fails_half_way_deletes_nothing_and_is_continued(
    fake: FakeGitHub, worker: GitHubAccess, whole: Whole
) -> None:
    lost = say_much(whole)[:3]
    for identity in lost:
        delete_issue_comment(whole.truth, identity)
    sync = whole.sync()
    fake.spoil(Fault(status(502), of_page(2)))
    with pytest.raises(RequestFailedError) as unanswered:
        search(sync, worker, streams=["issue_comments"])
    assert unanswered.value.answer.kind is ResponseKind.TRANSIENT
    assert deleted(whole) == set()
    asked = len(fake.log)
    assert search(sync, worker, streams=["issue_comments"]).is_complete
    assert deleted(whole) == set(lost)
    pages = [call.path for call in fake.log[asked:] if call.path == COMMENTS]
    assert len(pages) == 2, "the first page was not read again"


def cut_short(asked: Asked, answer: Answered) -> Answered:
    """The list ends here, says GitHub."""
    return Answered(200, answer.body[:50], {})


def test_a_list_that_is_cut_short_deletes_nothing(fake: FakeGitHub, worker: GitHubAccess, whole: Whole) -> None:
    delete_issue_comment(whole.truth, say_much(whole)[0])
    fake.spoil(Fault(cut_short, of_page(2), times=None, is_instead=False))
    assert outcomes(search_comments(whole, worker)) == {"issue_comments": "unsteady"}
    assert deleted(whole) == set()


def miscounted(asked: Asked, answer: Answered) -> Answered:
    """No word of further pages."""
    return replace(answer, headers={name: text for name, text in answer.headers.items() if name != "link"})


def test_a_count_that_is_wrong_deletes_nothing(fake: FakeGitHub, worker: GitHubAccess, whole: Whole) -> None:
    delete_issue_comment(whole.truth, say_much(whole)[0])
    fake.spoil(Fault(miscounted, of_page(1, direction="desc"), times=None, is_instead=False))
    assert outcomes(search_comments(whole, worker)) == {"issue_comments": "unsteady"}
    assert deleted(whole) == set()


def hidden(identity: int) -> Change:
    """GitHub's lists do not show it, though it is there."""

    def change(asked: Asked, answer: Answered) -> Answered:
        shown = [comment for comment in answer.body if comment["id"] != identity]
        return replace(answer, body=shown)

    return change


def test_a_suspect_that_github_shows_by_itself_stays(fake: FakeGitHub, worker: GitHubAccess, whole: Whole) -> None:
    there, gone = (comment["id"] for comment in issue_comments_of(whole.truth)[:2])
    delete_issue_comment(whole.truth, gone)
    fake.spoil(Fault(hidden(there), lambda asked: asked.path == COMMENTS, times=None, is_instead=False))
    sync = search_comments(whole, worker)
    assert outcomes(sync) == {"issue_comments": "settled"}
    assert deleted(whole) == {gone}
    assert drift_of(sync, "deleted") == {"issue_comments": (1,)}


def of_one(asked: Asked) -> bool:
    """A comment by itself."""
    return asked.path.startswith(f"{COMMENTS}/")


@pytest.mark.parametrize("code", [403, 500, 503])
def test_a_suspect_about_which_github_does_not_answer_stays(
    fake: FakeGitHub, worker: GitHubAccess, whole: Whole, code: int
) -> None:
    delete_issue_comment(whole.truth, issue_comments_of(whole.truth)[0]["id"])
    fake.spoil(Fault(status(code, {"message": "Resource not accessible by integration"}), of_one))
    with pytest.raises(RequestFailedError):
        search_comments(whole, worker)
    assert deleted(whole) == set()


def everything(asked: Asked) -> bool:
    return asked.path.startswith((HERE, BY_NAME))


def only_the_repository(asked: Asked) -> bool:
    return asked.path in (HERE, BY_NAME)


@pytest.mark.parametrize("what", [everything, only_the_repository])
def test_nothing_is_deleted_in_a_repository_out_of_reach(
    fake: FakeGitHub, worker: GitHubAccess, whole: Whole, what: Matches
) -> None:
    delete_issue_comment(whole.truth, issue_comments_of(whole.truth)[0]["id"])
    fake.spoil(Fault(status(404, NOTHING_THERE), what, times=None))
    with pytest.raises(RequestFailedError) as unanswered:
        search_comments(whole, worker)
    assert unanswered.value.answer.kind is ResponseKind.GONE
    assert deleted(whole) == set()


def test_a_stream_that_the_installation_may_not_read_is_not_searched(
    fake: FakeGitHub, worker: GitHubAccess, whole: Whole
) -> None:
    """GitHub may answer as if there were none of it."""
    delete_issue_comment(whole.truth, issue_comments_of(whole.truth)[0]["id"])
    Installation.objects.update(permissions={"pull_requests": "read", "metadata": "read"})
    sync = search_comments(whole, worker)
    assert outcomes(sync) == {}
    assert deleted(whole) == set()


def test_nothing_is_deleted_if_the_repository_goes_out_of_reach_meanwhile(
    fake: FakeGitHub, worker: GitHubAccess, whole: Whole
) -> None:
    """By then each suspect is a 404 as well."""
    delete_issue_comment(whole.truth, issue_comments_of(whole.truth)[0]["id"])
    asked_of_one: list[Asked] = []

    def has_gone(asked: Asked) -> bool:
        asked_of_one.extend([asked] * of_one(asked))
        return everything(asked) and bool(asked_of_one)

    fake.spoil(Fault(status(404, NOTHING_THERE), has_gone, times=None))
    with pytest.raises(RequestFailedError):
        search_comments(whole, worker)
    assert asked_of_one
    assert deleted(whole) == set()
    fake.faults.clear()
    assert outcomes(search_comments(whole, worker)) == {"issue_comments": "settled"}
    assert len(deleted(whole)) == 1


def test_many_deletions_at_once_are_not_accepted_but_logged(
    fake: FakeGitHub, worker: GitHubAccess, whole: Whole
) -> None:
    """GitHub shows empty lists, and 404 for each one of them."""
    whole.truth.issue_comments.clear()
    for number in range(1, 13):
        pull = whole.truth.pull_requests.get(number)
        assert pull is not None
        pull.comments.clear()
    sync = search_comments(whole, worker)
    count = IssueComment.objects.filter(repository=whole.repository).count()
    assert count > 10
    assert outcomes(sync) == {"issue_comments": "mass"}
    assert deleted(whole) == set()
    assert not any(of_one(Asked("GET", call.path, {}, {}, None)) for call in fake.log)
    [words] = mass_deletions(sync)
    assert words.startswith(f"issue_comments: GitHub has 0, here are {count};")
    accepted = whole.sync()
    assert search(accepted, worker, streams=["issue_comments"], accepts_mass_deletions=True).is_complete
    assert len(deleted(whole)) == count


def test_issues_that_are_switched_off_are_not_deleted(fake: FakeGitHub, worker: GitHubAccess, whole: Whole) -> None:
    whole.truth.json["has_issues"] = False
    for number in list(whole.truth.issues):
        delete_issue(whole.truth, number)
    sync = whole.sync()
    assert search(sync, worker).short == ()
    assert {name: outcomes(sync)[name] for name in ("issues", "issue_comments")} == {
        "issues": "shut",
        "issue_comments": "shut",
    }
    assert not Issue.objects.exclude(deleted_at=None).exists()


def withheld(number: int) -> Change:
    """Null, and not because it was not found."""

    def change(asked: Asked, answer: Answered) -> Answered:
        name = next(name for name, value in asked.document["variables"].items() if value == number and "number" in name)
        at = name.replace("number", "at")
        answer.body["data"]["repository"][at] = None
        error = {"type": "FORBIDDEN", "path": ["repository", at], "message": "Resource not accessible by integration"}
        answer.body.setdefault("errors", []).append(error)
        return answer

    return change


def test_an_issue_that_github_withholds_is_no_suspect(fake: FakeGitHub, worker: GitHubAccess, whole: Whole) -> None:
    gone, kept, *_ = sorted(whole.truth.issues)
    delete_issue(whole.truth, gone)
    fake.spoil(
        Fault(
            withheld(kept),
            lambda asked: asked.is_graphql and "IssuesByNumber" in asked.document["query"],
            is_instead=False,
        )
    )
    sync = whole.sync()
    search(sync, worker, streams=["issues"])
    assert outcomes(sync) == {"issues": "settled"}
    assert set(Issue.objects.exclude(deleted_at=None).values_list("number", flat=True)) == {gone}
    assert [call.path for call in fake.log if call.path.startswith(f"{HERE}/issues/")] == [f"{HERE}/issues/{gone}"]


def endless(asked: Asked, answer: Answered) -> Answered:
    """More than GitHub lists."""
    link = '<http://there/x?page=300>; rel="last", <http://there/x?page=2>; rel="prev"'
    return replace(answer, headers={**answer.headers, "link": link})


def test_nothing_is_deleted_in_a_list_that_github_cuts_off(
    fake: FakeGitHub, worker: GitHubAccess, whole: Whole
) -> None:
    delete_issue_comment(whole.truth, issue_comments_of(whole.truth)[0]["id"])
    fake.spoil(Fault(endless, lambda asked: asked.path == COMMENTS, times=None, is_instead=False))
    assert outcomes(search_comments(whole, worker)) == {"issue_comments": "too_long"}
    assert deleted(whole) == set()
    assert not Drift.objects.exists()


def test_a_list_that_changes_while_it_is_read_is_read_again(
    fake: FakeGitHub, worker: GitHubAccess, whole: Whole
) -> None:
    said = say_much(whole)
    delete_issue_comment(whole.truth, said[0])

    def delete_another(asked: Asked, answer: Answered) -> Answered:
        delete_issue_comment(whole.truth, said[1])
        return answer

    fake.spoil(Fault(delete_another, of_page(1), is_instead=False))
    sync = search_comments(whole, worker)
    assert outcomes(sync) == {"issue_comments": "settled"}
    assert deleted(whole) == set(said[:2])
    assert ours(whole.repository) == theirs(whole.truth)
