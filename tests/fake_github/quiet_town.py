"""Many repositories in which nothing happens any more, each with some open pull requests; made cheaply."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from apps.demo.organisation import Story
from apps.demo.pull_request_life import PullRequestLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.shapes import Json
from tests.fake_github.generated import BEGINNING, BLOCK, PEOPLE, Size, acme
from tests.fake_github.truth import FoldedPullRequests, Folding, PullRequestTruth
from tests.fake_github.world import World

FIRST_ID = 30_000
MODEL = 9_999
STREAMS = (
    "pull_requests",
    "issues",
    "issue_comments",
    "review_comments",
    "commits",
    "releases",
    "deployments",
    "workflow_runs",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietTown:
    """The rows that its history leads to."""

    repositories: list[Json]
    pull_requests: list[dict[str, Any]]

    def coverage(self, *, to_at: datetime) -> Iterator[dict[str, Any]]:
        """All of it was read up to then."""
        for repository in self.repositories:
            for stream in STREAMS:
                yield {"repository_id": repository["id"], "stream": stream, "from_at": BEGINNING, "to_at": to_at}


def quiet_town(world: World, *, installation_id: int, count: int, open_each: int = 5) -> QuietTown:
    """So many repositories of acme's, reached by the installation."""
    model, repositories, rows = _open_pull_request(), list[Json](), list[dict[str, Any]]()
    for place in range(count):
        identity = FIRST_ID + place
        truth = world.add(
            f"quiet-{place}", installation_id=installation_id, repository_id=identity, size=Size(pull_requests=0)
        )
        pulls = FoldedPullRequests()
        for number in range(1, open_each + 1):
            shown = {**model, "number": number, "id": identity * 100 + number, "node_id": f"PR_{identity}_{number}"}
            pulls[number] = PullRequestTruth(shown)
            rows.append(_row(shown, repository_id=identity))
        truth.pull_requests = pulls
        repositories.append(truth.json)
    return QuietTown(repositories=repositories, pull_requests=rows)


def _open_pull_request() -> Json:
    story = Story("a model", owner=acme(), installation_id=1, first_id=BLOCK)
    place = RepositoryLife(story, identity=MODEL, name="model", created_at=BEGINNING)
    place.create(BEGINNING, by=PEOPLE[0])
    life = PullRequestLife(place, number=1, author=PEOPLE[0], title="Change it", branch="change")
    life.push(BEGINNING + timedelta(hours=1))
    life.open(BEGINNING + timedelta(hours=2))
    found = Folding().fold(story.tell()).pull_requests.get(1)
    assert found is not None
    return found.json


def _row(shown: Json, *, repository_id: int) -> dict[str, Any]:
    """As the tables have it."""
    return {
        "repository_id": repository_id,
        "github_id": shown["id"],
        "number": shown["number"],
        "title": shown["title"],
        "state": shown["state"],
        "is_draft": shown["draft"],
        "created_at": datetime.fromisoformat(shown["created_at"]),
        "updated_at": datetime.fromisoformat(shown["updated_at"]),
        "base_ref": shown["base"]["ref"],
        "head_ref": shown["head"]["ref"],
        "head_sha": shown["head"]["sha"],
        "listed_head_sha": shown["head"]["sha"],
    }
