"""What each stream of the varied repository comes to, and what is particular to it in the tests that all share."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from apps.activity.models import Commit, Issue, IssueComment, Release, ReviewComment
from apps.demo.scenario import Sent
from apps.demo.shapes import Json, moment
from tests.fake_github.generated import Size
from tests.fake_github.using import ACME, WEB
from tests.fake_github.world import World
from tests.github.translation import at
from tests.integrations.streams.varied_repository import VariedRepository, begin, push, varied_repository
from tests.integrations.true_rows import pull_requests

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One stream of the varied repository.

    `hooks` are its webhooks, `shared` the columns that those fill too; without any, all of them.
    There are `total` items, and so many `pages` of `size` of them.
    """

    stream: str
    model: Any
    hooks: Callable[[Sent], bool]
    total: int
    size: int
    pages: int
    make_thousand: Callable[[World], object]
    item: Callable[[VariedRepository], Json]
    """One that GitHub may show badly or not at all."""
    words: str
    """What only a page that shows this item holds."""
    noun: str
    key: str = "id"
    """By which it is named."""
    shared: tuple[str, ...] = ()
    alone: str = ""
    """Where REST shows it alone, below the repository."""
    refusal: tuple[int, str] = (502, "HTTP 502")
    """How GitHub refuses to show it alone."""


def publish(web: VariedRepository, count: int, *, first_id: int = 700_000) -> None:
    """Let GitHub have so many releases and no other, an hour apart."""
    pattern = next(iter(web.truth.releases.values()))
    times = [moment(at("01-01", "09:00") + timedelta(hours=number)) for number in range(count)]
    web.truth.releases = {
        first_id + number: {
            **pattern,
            "id": first_id + number,
            "tag_name": f"v2.{number}",
            **dict.fromkeys(("created_at", "published_at", "updated_at"), time),
        }
        for number, time in enumerate(times)
    }


def comment_at(web: VariedRepository, times: list[datetime]) -> list[Json]:
    """Let GitHub have nothing but so many comments on issue 1, each last changed at its time."""
    pattern = next(comment for found in web.truth.issue_comments.values() for comment in found)
    for pull in web.truth.pull_requests.values():
        pull.comments.clear()
    address = pattern["html_url"].partition("/issues/")[0]
    comments = [
        {
            **pattern,
            "id": 1000 + number,
            "html_url": f"{address}/issues/1#issuecomment-{1000 + number}",
            "created_at": moment(START),
            "updated_at": moment(time),
        }
        for number, time in enumerate(times)
    ]
    web.truth.issue_comments = {1: comments}
    return comments


def remark(web: VariedRepository, count: int) -> list[Json]:
    """Let GitHub have so many comments, a minute apart, on the lines of the first pull request alone."""
    first, *others = pull_requests(web.truth)
    pattern = first.review_comments[0]
    times = [at("03-10", "09:00") + timedelta(minutes=number) for number in range(count)]
    first.review_comments = [
        {**pattern, "id": 500_000 + number, "created_at": moment(time), "updated_at": moment(time)}
        for number, time in enumerate(times)
    ]
    for other in others:
        other.review_comments.clear()
    return first.review_comments


def make_thousand_issues(world: World) -> None:
    size = Size(pull_requests=0, issues=1000)
    world.add("web", installation_id=ACME, repository_id=WEB, size=size)


def make_thousand_commits(world: World) -> None:
    place = begin()
    for number in range(999):
        push(place, at("01-01", "09:00") + timedelta(minutes=number))
    world.fold(place.scenario.deliveries(), installation_id=ACME)


def make_thousand_comments(world: World) -> None:
    comment_at(varied_repository(world), [START + timedelta(minutes=number) for number in range(1000)])


SAMPLES = (
    Sample(
        stream="issues",
        model=Issue,
        hooks=lambda sent: sent.event == "issues" or "issue" in sent.payload,
        total=7,
        size=2,
        pages=4,
        make_thousand=make_thousand_issues,
        item=lambda web: web.truth.issues[4],
        words="{title}",
        noun="issue",
        key="number",
        alone="/issues/",
        refusal=(410, "This issue was deleted"),
    ),
    Sample(
        stream="releases",
        model=Release,
        hooks=lambda sent: sent.event == "release",
        total=5,
        size=2,
        pages=3,
        make_thousand=lambda world: publish(varied_repository(world), 1000),
        item=lambda web: list(web.truth.releases.values())[2],
        words="{tag_name}",
        noun="release",
        alone="/releases/",
    ),
    Sample(
        stream="commits",
        model=Commit,
        hooks=lambda sent: sent.event == "push",
        total=11,
        size=3,
        pages=4,
        make_thousand=make_thousand_commits,
        item=lambda web: web.truth.commits[4],
        words="{id}",
        noun="commit",
        shared=(
            *("sha", "headline", "authored_at", "committed_at", "author_name", "author_email", "author_login"),
            "is_date_clamped",
        ),
        alone="/commits/",
        refusal=(422, "No commit found for this SHA"),
    ),
    Sample(
        stream="issue_comments",
        model=IssueComment,
        hooks=lambda sent: sent.event == "issue_comment",
        total=10,
        size=3,
        pages=4,
        make_thousand=make_thousand_comments,
        item=lambda web: web.truth.issue_comments[2][0],
        words='"id": {id},',
        noun="issue comment",
    ),
    Sample(
        stream="review_comments",
        model=ReviewComment,
        hooks=lambda sent: sent.event.startswith("pull_request_review"),
        total=3,
        size=1,
        pages=3,
        make_thousand=lambda world: remark(varied_repository(world), 1000),
        item=lambda web: pull_requests(web.truth)[0].review_comments[0],
        words='"id": {id},',
        noun="review comment",
    ),
)
