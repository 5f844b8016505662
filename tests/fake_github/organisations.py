"""Many repositories, made cheaply: quiet ones with open pull requests, and some in which a lot happens soon."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from apps.demo.issue_life import IssueLife
from apps.demo.pull_request_life import PullRequestLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import Scenario, Sent
from apps.demo.shapes import Json
from apps.demo.shapes.git import Commit, fake_sha
from tests.fake_github.generated import BEGINNING, BLOCK, PEOPLE, Size, acme, live, script
from tests.fake_github.truth import FoldedPullRequests, Folding, PullRequestTruth, RepositoryTruth
from tests.fake_github.using import ACME
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
class QuietRepositories:
    """The rows that its history leads to."""

    repositories: list[Json]
    pull_requests: list[dict[str, Any]]

    def coverage(self, *, to_at: datetime) -> Iterator[dict[str, Any]]:
        """All of it was read up to then."""
        for repository in self.repositories:
            for stream in STREAMS:
                yield {"repository_id": repository["id"], "stream": stream, "from_at": BEGINNING, "to_at": to_at}


def quiet_repositories(world: World, *, installation_id: int, count: int, open_each: int = 5) -> QuietRepositories:
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
    return QuietRepositories(repositories=repositories, pull_requests=rows)


def _open_pull_request() -> Json:
    scenario = Scenario("a model", owner=acme(), installation_id=1, first_id=BLOCK)
    place = RepositoryLife(scenario, identity=MODEL, name="model", created_at=BEGINNING)
    place.create(BEGINNING, by=PEOPLE[0])
    life = PullRequestLife(place, number=1, author=PEOPLE[0], title="Change it", branch="change")
    life.push(BEGINNING + timedelta(hours=1))
    life.open(BEGINNING + timedelta(hours=2))
    found = Folding().fold(scenario.deliveries()).pull_requests.get(1)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much begins in a repository between its start and its end."""

    pull_requests: int = 60
    issues: int = 20
    pushes: int = 20
    deployments: int = 10
    runs: int = 10
    releases: int = 4


@dataclass(slots=True)
class Busy:
    """Some repositories; what happens there becomes true on GitHub when it is let happen, and not before."""

    world: World
    deliveries: list[Sent] = field(default_factory=list)
    """All that happens, in the order of its times."""
    _foldings: dict[int, Folding] = field(default_factory=dict)

    def add(self, name: str, *, repository_id: int, start: datetime, end: datetime, pace: Pace | None = None) -> None:
        """A repository where everything begins between the two instants; what began may go on for a while."""
        sent = deliveries_of(name, repository_id=repository_id, start=start, end=end, pace=pace or Pace())
        self.deliveries = list(heapq.merge(self.deliveries, sent, key=lambda sent: sent.at))
        self._foldings[repository_id] = Folding()

    def happen(self, deliveries: Iterable[Sent]) -> None:
        """Let all of this be true on GitHub, in this order."""
        by_repository: dict[int, list[Sent]] = {}
        for sent in deliveries:
            by_repository.setdefault(sent.payload["repository"]["id"], []).append(sent)
        for repository_id, sent in by_repository.items():
            truth = self._foldings[repository_id].fold(sent)
            self.world.repositories[repository_id] = truth
            self.world.reached[repository_id] = ACME
            self.world.names[truth.full_name.lower()] = repository_id

    def truth(self, repository_id: int) -> RepositoryTruth:
        return self._foldings[repository_id].truth


def deliveries_of(name: str, *, repository_id: int, start: datetime, end: datetime, pace: Pace) -> list[Sent]:
    """Every delivery of a repository, in the order of their times."""
    scenario = Scenario(f"busy {name}", owner=acme(), installation_id=ACME, first_id=repository_id * BLOCK + 1)
    created_at = start - timedelta(hours=1)
    place = RepositoryLife(scenario, identity=repository_id, name=name, created_at=created_at)
    place.create(created_at, by=PEOPLE[0])
    _plan_pull_requests(place, moments(start, end, pace.pull_requests))
    _plan_issues(place, moments(start, end, pace.issues), first=pace.pull_requests + 1)
    _plan_the_rest(place, start=start, end=end, pace=pace)
    return sorted(scenario.deliveries(), key=lambda sent: sent.at)


def moments(start: datetime, end: datetime, count: int) -> list[datetime]:
    """So many instants, evenly apart, in whole seconds."""
    return [(start + (end - start) * number / count).replace(microsecond=0) for number in range(count)]


def _plan_pull_requests(place: RepositoryLife, opened: Sequence[datetime]) -> None:
    for number, at in enumerate(opened, start=1):
        written = script(place.now.id, number, opens_at=at)
        branch = f"change-{number}"
        life = PullRequestLife(place, number=number, author=written.author, title=f"Change {number}", branch=branch)
        live(life, written)


def _plan_issues(place: RepositoryLife, opened: Sequence[datetime], *, first: int) -> None:
    for number, at in enumerate(opened):
        issue = IssueLife(place, number=first + number, author=PEOPLE[number % 6], title=f"Trouble {number}")
        issue.open(at, "bug")
        issue.comment(at + timedelta(minutes=7), by=PEOPLE[(number + 1) % 6])
        if number % 2:
            issue.close(at + timedelta(minutes=25))


def _plan_the_rest(place: RepositoryLife, *, start: datetime, end: datetime, pace: Pace) -> None:
    for number, at in enumerate(moments(start, end, pace.pushes)):
        by = PEOPLE[number % 6]
        made = Commit(fake_sha(place.now.id, at, "pushed"), by, f"Sort {number}", at - timedelta(minutes=5), at)
        place.push_to_main(at, commits=(made,), by=by)
    for number, at in enumerate(moments(start, end, pace.deployments)):
        to = "production" if number % 2 else "staging"
        place.deploy(at, to=to, by=PEOPLE[1], finished_at=at + timedelta(minutes=9))
    for number, at in enumerate(moments(start, end, pace.runs)):
        run_id = place.now.id * BLOCK + BLOCK - 1 - number
        place.run(at, run_id=run_id, by=PEOPLE[2], finished_at=at + timedelta(minutes=9))
    for number, at in enumerate(moments(start, end, pace.releases)):
        place.release(at, tag=f"v1.{number}", by=PEOPLE[0])
