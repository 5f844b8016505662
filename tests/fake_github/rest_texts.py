"""What people write, as REST lists it for the whole repository; and one of it, a release or a commit by itself."""

import re
from collections.abc import Iterator

from apps.demo.shapes import Json
from tests.fake_github import rest_shapes
from tests.fake_github.faults import Asked, Refusal
from tests.fake_github.truth import PullRequestTruth, RepositoryTruth

MOST_PAGES = 300


def issue_comments(truth: RepositoryTruth, asked: Asked) -> list[Json]:
    """The comments on all issues and, outside any diff, on all pull requests."""
    found = [comment for said in truth.issue_comments.values() for comment in said]
    return _asked_for([*found, *(said for pull in _pulls(truth) for said in pull.comments)], asked)


def review_comments(truth: RepositoryTruth, asked: Asked) -> list[Json]:
    """The comments on lines of the diffs of all pull requests."""
    return _asked_for([said for pull in _pulls(truth) for said in pull.review_comments], asked)


def issue_comment(truth: RepositoryTruth, asked: Asked, match: "re.Match[str]") -> Json:
    return _one_of(issue_comments(truth, asked), match)


def review_comment(truth: RepositoryTruth, asked: Asked, match: "re.Match[str]") -> Json:
    return _one_of(review_comments(truth, asked), match)


def _one_of(comments: list[Json], match: "re.Match[str]") -> Json:
    found = next((comment for comment in comments if comment["id"] == int(match[1])), None)
    if found is None:
        raise Refusal(404, "Not Found")
    return found


def release(truth: RepositoryTruth, asked: Asked, match: "re.Match[str]") -> Json:
    if int(match[1]) not in truth.releases:
        raise Refusal(404, "Not Found")
    return truth.releases[int(match[1])]


def commit(truth: RepositoryTruth, asked: Asked, match: "re.Match[str]") -> Json:
    made = next((made for made in truth.commits if made["id"] == match[1]), None)
    if made is None:
        raise Refusal(422, f"No commit found for SHA: {match[1]}")
    return rest_shapes.commit(made, truth=truth)


def _pulls(truth: RepositoryTruth) -> Iterator[PullRequestTruth]:
    for _, number in truth.pull_requests.ordered("created_at"):
        found = truth.pull_requests.get(number)
        if found is not None:
            yield found


def _asked_for(found: list[Json], asked: Asked) -> list[Json]:
    """By the time of their last change or their making, as asked; deep pages are refused."""
    if int(asked.query.get("page", 1)) > MOST_PAGES:
        raise Refusal(422, "In order to keep the API fast for everyone, pagination is limited for this resource.")
    field = "updated_at" if asked.query.get("sort") == "updated" else "created_at"
    since = asked.query.get("since", "")
    return sorted(
        (comment for comment in found if comment["updated_at"] >= since),
        key=lambda comment: (comment[field], comment["id"]),
        reverse=asked.query.get("direction") == "desc",
    )
