"""A repository where everything looks a little different each time, and items that no page can show."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from apps.demo.issue_life import IssueLife
from apps.demo.pull_request_life import PullRequestLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import Scenario, Sent
from apps.demo.shapes.git import Commit, fake_sha
from tests.fake_github.faults import HTML, Answered, Asked, Fault
from tests.fake_github.generated import BLOCK, BOT, PEOPLE, REVIEW_BOT, acme
from tests.fake_github.truth import RepositoryTruth
from tests.fake_github.using import ACME, WEB
from tests.fake_github.world import World
from tests.github.translation import at

MANY_LABELS = 45
MESSAGES = (
    "Sort by name",
    f"Explain at length why {'very ' * 20}long headlines are cut\n\nAnd a body.",
    "Fix the gate\n\nCo-authored-by: Ben <ben@example.com>\nReviewed-by: Cy <cy@example.com>",
    "Let it be written\n\nGenerated with [A Tool](https://example.com)",
)


def begin(name: str = "web", *, repository_id: int = WEB) -> RepositoryLife:
    """A repository of its own, with ids of its own."""
    scenario = Scenario(name, owner=acme(), installation_id=ACME, first_id=repository_id * BLOCK + 1)
    place = RepositoryLife(scenario, identity=repository_id, name=name, created_at=at("03-01", "09:00"))
    place.create(at("03-01", "09:00"), by=PEOPLE[0])
    return place


@dataclass(frozen=True, slots=True)
class VariedRepository:
    """A repository as it is, and its webhooks."""

    truth: RepositoryTruth
    hooks: list[Sent]


def varied_repository(world: World) -> VariedRepository:
    """The repository `acme/web`, and every webhook about it."""
    place = begin()
    _plan_issues(place)
    _plan_pull_requests(place)
    _plan_releases(place)
    for number, message in enumerate(MESSAGES):
        push(place, at("03-03", "09:00") + timedelta(minutes=number), message=message, by=(*PEOPLE, BOT)[number - 1])
    hooks = place.scenario.deliveries()
    _vary(hooks)
    return VariedRepository(world.fold(hooks, installation_id=ACME), hooks)


def push(place: RepositoryLife, when: datetime, *, message: str = "Sort", by: Any = PEOPLE[1], days: int = 2) -> None:
    """A commit, made some days before it is pushed to the main branch."""
    made = when - timedelta(days=days)
    commit = Commit(fake_sha(place.now.id, when, message), by, message, made, made + timedelta(hours=1))
    place.scenario.plan(when, partial(place.push_to_main, when, commits=(commit,), by=by))


def _plan_issues(place: RepositoryLife) -> None:
    for number in range(1, 8):
        author = (*PEOPLE[:3], BOT)[number % 4]
        issue = IssueLife(place, number=number, author=author, title=f"Trouble {number}", body="It hurts.")
        issue.open(at("03-02", f"1{number}:00"), *(["bug"] if number in {1, 5} else []))
        for second in range(MANY_LABELS if number == 3 else 0):
            issue.label(at("03-02", f"1{number}:01") + timedelta(seconds=second), f"label {second:02}")
        for minute in range(number % 3):
            issue.comment(at("03-02", f"1{number}:1{minute}"), by=(PEOPLE[4], REVIEW_BOT)[minute % 2])
        if number in {2, 4, 5, 6}:
            issue.close(at("03-02", f"1{number}:30"))
        if number == 6:
            issue.reopen(at("03-02", f"1{number}:40"))


def _plan_pull_requests(place: RepositoryLife) -> None:
    for number in range(101, 104):
        pull = PullRequestLife(place, number=number, author=PEOPLE[number % 3], title="Sort", branch=f"sort-{number}")
        minute = f"0{number - 100}"
        pull.push(at("03-04", f"09:{minute}"))
        pull.open(at("03-04", f"10:{minute}"))
        pull.remark(at("03-04", f"11:{minute}"), by=(*PEOPLE[3:5], REVIEW_BOT)[number % 3])
        pull.comment(at("03-04", f"12:{minute}"), by=PEOPLE[5])
        pull.merge(at("03-04", f"13:{minute}"), by=PEOPLE[4])


def _plan_releases(place: RepositoryLife) -> None:
    for number in range(5):
        by = BOT if number == 2 else PEOPLE[number % 3]
        place.release(at("03-05", f"09:0{number}"), tag=f"v1.{number}", by=by)


def _vary(hooks: Iterable[Sent]) -> None:
    """What a story does not contain: ghosts, reasons, drafts, an edit."""
    reasons = {"closed": {2: "not_planned", 4: "duplicate"}, "reopened": {6: "reopened"}}
    releases = [sent.payload["release"] for sent in hooks if sent.event == "release"]
    releases[1] |= {"draft": True, "published_at": None, "name": None}
    releases[3] |= {"prerelease": True, "updated_at": "2026-03-05T10:00:00Z"}
    releases[4] |= {"author": None}
    for sent in hooks:
        issue, comment = sent.payload.get("issue"), sent.payload.get("comment")
        if issue and issue["number"] == 7:
            issue["user"] = None
        if sent.event == "issues":
            issue["state_reason"] = reasons.get(sent.payload["action"], {}).get(issue["number"], issue["state_reason"])
        if comment and comment["id"] % 5 == 0:
            comment["user"] = None


def hide(holding: str, *, of_path: str = "/graphql") -> Fault:
    """No page that holds these words is ever shown whole."""

    def matches(asked: Asked) -> bool:
        return asked.path == of_path and (not asked.is_graphql or asked.document["variables"].get("isWhole", True))

    def change(asked: Asked, answer: Answered) -> Answered:
        return Answered(502, HTML) if holding in json.dumps(answer.body) else answer

    return Fault(change, matches, times=None, is_instead=False)
