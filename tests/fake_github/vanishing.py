"""What people delete on the fake GitHub, or move elsewhere: it is in no list and no count any more."""

from collections.abc import Iterator

from apps.demo.shapes import Json, node_id
from tests.fake_github.generated import Generated
from tests.fake_github.truth import PullRequestTruth, RepositoryTruth


def delete_issue(truth: RepositoryTruth, number: int) -> None:
    """The issue, and whatever was said on it."""
    del truth.issues[number]
    truth.issue_comments.pop(number, None)
    truth.gone[number] = None


def transfer_issue(truth: RepositoryTruth, number: int, *, to: RepositoryTruth, as_number: int) -> None:
    """The issue is another one, with other ids, in another repository; its old address leads there."""
    issue, said = truth.issues.pop(number), truth.issue_comments.pop(number, [])
    truth.gone[number] = (to, as_number)
    identity = issue["id"] + 1_000_000
    to.issues[as_number] = {**issue, "id": identity, "node_id": node_id("I", identity), "number": as_number}
    to.issue_comments[as_number] = [
        {**comment, "id": identity, "node_id": node_id("IC", identity)}
        for comment in said
        for identity in (comment["id"] + 1_000_000,)
    ]


def delete_issue_comment(truth: RepositoryTruth, comment_id: int) -> None:
    """A comment on an issue or, outside any diff, on a pull request."""
    for said in (*truth.issue_comments.values(), *(pull.comments for pull in _pulls(truth))):
        said[:] = [comment for comment in said if comment["id"] != comment_id]


def delete_review_comment(truth: RepositoryTruth, comment_id: int) -> None:
    """A comment on a line of a diff."""
    for pull in _pulls(truth):
        pull.review_comments[:] = [said for said in pull.review_comments if said["id"] != comment_id]


def delete_release(truth: RepositoryTruth, release_id: int) -> None:
    del truth.releases[release_id]


def issue_comments_of(truth: RepositoryTruth) -> list[Json]:
    """Everything said on issues and, outside any diff, on pull requests."""
    on_issues = [comment for said in truth.issue_comments.values() for comment in said]
    return [*on_issues, *(comment for pull in _pulls(truth) for comment in pull.comments)]


def review_comments_of(truth: RepositoryTruth) -> list[Json]:
    return [said for pull in _pulls(truth) for said in pull.review_comments]


def _pulls(truth: RepositoryTruth) -> Iterator[PullRequestTruth]:
    """Each pull request; one that is made up from a seed is kept as it is from now on."""
    found = truth.pull_requests
    for _, number in found.ordered("created_at"):
        pull = found.keep(number) if isinstance(found, Generated) else found.get(number)
        if pull is not None:
            yield pull
