"""A repository of twelve pull requests, and how GitHub may fail to show the seventh."""

from dataclasses import replace
from typing import Any

from apps.activity.models import PullRequest
from apps.github.auth import GitHubAccess
from apps.integrations.reader import Page, PageRequest, Reader
from apps.integrations.streams.pull_request_parts import PullRequestCursor
from apps.integrations.streams.pull_requests import PULL_REQUESTS
from tests.fake_github import faults
from tests.fake_github.faults import Answered, Asked, Fault
from tests.fake_github.generated import Size
from tests.fake_github.server import FakeGitHub
from tests.fake_github.truth import RepositoryTruth
from tests.fake_github.using import ACME, WEB
from tests.integrations.streams.stream_read import StreamRead
from tests.integrations.true_rows import differences

ALL = range(1, 13)
SEVENTH = f"/repositories/{WEB}/pulls/7"
ITS_TIMELINE = f"/repositories/{WEB}/issues/7/timeline"
FORBIDDEN = {"type": "FORBIDDEN", "message": "Resource not accessible by integration"}
NODES = ("repository", "pullRequests", "nodes")


def twelve(fake: FakeGitHub) -> RepositoryTruth:
    """The seventh has more commits than a page, the eleventh more reviews."""
    return fake.world.add("web", installation_id=ACME, repository_id=WEB, size=Size(pull_requests=12))


def pull_requests(worker: GitHubAccess, **about: Any) -> StreamRead:
    """The pull requests of the repository of most tests."""
    return StreamRead(**{"stream": PULL_REQUESTS, "worker": worker, **about})


def web(worker: GitHubAccess, **about: Any) -> StreamRead:
    """The twelve."""
    return StreamRead.of_web(about.pop("stream", PULL_REQUESTS), worker, **{"size": 9, **about})


def read_without_graphql(request: PageRequest, reader: Reader) -> Page:
    """As if GraphQL could not show a single one."""
    is_pending = bool(request.cursor) and bool(PullRequestCursor.from_text(request.cursor).pending)
    return PULL_REQUESTS.read(request, reader) if is_pending else PULL_REQUESTS.skip_item(request, reader)


WITHOUT_GRAPHQL = replace(PULL_REQUESTS, read=read_without_graphql)


def named(*documents: str) -> faults.Matches:
    """Requests for these documents."""
    return lambda asked: asked.is_graphql and any(f"query {name}(" in asked.document["query"] for name in documents)


PAGES = named("PullRequestPage")


def lost(*path: str | int, number: int = 7) -> faults.Change:
    """What is at this path of a pull request is null, and an error says why."""

    def change(asked: Asked, answer: Answered) -> Answered:
        nodes = answer.body["data"]["repository"]["pullRequests"]["nodes"]
        at = next((place for place, node in enumerate(nodes) if node["number"] == number), None)
        if at is not None:
            parent: Any = nodes
            for step in (at, *path)[:-1]:
                parent = parent[step]
            parent[(at, *path)[-1]] = None
            answer.body["errors"] = [{**FORBIDDEN, "path": [*NODES, at, *path]}]
        return answer

    return change


def changed(number: int, **members: Any) -> faults.Change:
    """A pull request looks otherwise than it is."""

    def change(asked: Asked, answer: Answered) -> Answered:
        for node in answer.body["data"]["repository"]["pullRequests"]["nodes"]:
            node.update(members if node["number"] == number else {})
        return answer

    return change


def spoil(fake: FakeGitHub, change: faults.Change, matches: faults.Matches = PAGES) -> None:
    fake.spoil(Fault(change, matches, times=None, is_instead=False))


def assert_whole(fake: FakeGitHub, *, but: frozenset[int] = frozenset(), is_by_rest: bool = False) -> None:
    """REST does not say what the base of a pull request was before it was changed."""
    there = [number for number in ALL if number not in but]
    found = differences(fake.world.repositories[WEB], numbers=there)
    assert [one for one in found if not (is_by_rest and "'base_changed'" in one)] == []
    assert not PullRequest.objects.filter(number__in=but).exists()


def paths(fake: FakeGitHub) -> list[str]:
    return [call.path for call in fake.calls("core", payer=ACME)]
