"""REST as GitHub answers it to an installation: objects, and lists with `Link` pages."""

import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from apps.demo.shapes import Json
from tests.fake_github import rest_shapes, rest_texts
from tests.fake_github.faults import Answered, Asked, Refusal
from tests.fake_github.nodes import deployment_by_rest, runs_by_rest
from tests.fake_github.truth import PullRequestTruth, RepositoryTruth
from tests.fake_github.world import InstallationTruth, World

MOST_PER_PAGE, USUAL_PER_PAGE = 100, 30
REPOSITORY = re.compile(r"/repos/([^/]+/[^/]+)(/.*)?")
ISSUE = re.compile(r"/issues/(\d+)")
TEAM = re.compile(r"/organizations/(\d+)/team/(\d+)")
MEMBERSHIP = re.compile(r"/orgs/([^/]+)/memberships/([^/]+)")
BY_ID = re.compile(r"/repositories/(\d+)(/.*)?")

Route = Callable[[RepositoryTruth, Asked, "re.Match[str]"], Any]


class Listed(list[Json]):
    """What is shown page by page; with a `key` it is wrapped in an object beside its total."""

    key: str = ""
    limit: int | None = None


class RestApi:
    """The routes of an installation."""

    def __init__(self, world: World, *, address: Callable[[], str]) -> None:
        self.has_routes_by_id = True
        self.hooks: list[str] | None = ["192.30.252.0/22", "2a0a:a440::/29"]
        self._world = world
        self._address = address

    def answer(self, asked: Asked, installation: InstallationTruth) -> Answered:
        if asked.path == "/installation/repositories":
            found = Listed(truth.json for truth in self._world.reached_by(installation.id))
            found.key = "repositories"
            return self._shown(found, asked)
        if match := MEMBERSHIP.fullmatch(asked.path):
            return self._membership(match[1], match[2], installation)
        if match := TEAM.fullmatch(asked.path):
            return self._team(int(match[1]), int(match[2]), installation)
        if asked.path == "/meta":
            return Answered(200, {"hooks": self.hooks})
        return self._of_repository(asked, installation)

    def _membership(self, organization: str, login: str, installation: InstallationTruth) -> Answered:
        if "members" not in installation.permissions:
            raise Refusal(403, "Resource not accessible by integration")
        found = self._world.memberships.get((organization, login))
        if found is None or organization != installation.account.login:
            raise Refusal(404, "Not Found")
        return Answered(200, found)

    def _team(self, organization: int, team_id: int, installation: InstallationTruth) -> Answered:
        if "members" not in installation.permissions:
            raise Refusal(403, "Resource not accessible by integration")
        found = self._world.teams.get(team_id)
        if found is None or not organization == found.organization.id == installation.account.id:
            raise Refusal(404, "Not Found")
        return Answered(200, found.json)

    def _of_repository(self, asked: Asked, installation: InstallationTruth) -> Answered:
        if (match := BY_ID.fullmatch(asked.path)) and not self.has_routes_by_id:
            raise Refusal(404, "Not Found")
        if match:
            truth = self._world.find_by_id(int(match[1]), installation_id=installation.id)
        elif match := REPOSITORY.fullmatch(asked.path):
            truth = self._world.find(match[1], installation_id=installation.id)
            if truth is not None and truth.full_name.lower() != match[1].lower():
                return self._moved(asked, truth, below=match[2] or "")
        else:
            raise Refusal(404, "Not Found")
        if truth is None:
            raise Refusal(404, "Not Found")
        return self._shown(self._route(truth, asked, below=match[2] or ""), asked)

    def _moved(self, asked: Asked, truth: RepositoryTruth, *, below: str) -> Answered:
        query = f"?{urlencode(asked.query)}" if asked.query else ""
        url = f"{self._address()}/repositories/{truth.json['id']}{below}{query}"
        return Answered(301, {"message": "Moved Permanently", "url": url}, {"location": url})

    def _route(self, truth: RepositoryTruth, asked: Asked, *, below: str) -> Any:
        self._follow_issue(truth, below=below)
        for pattern, route in ROUTES:
            if match := re.fullmatch(pattern, below):
                return route(truth, asked, match)
        raise Refusal(404, "Not Found")

    def _follow_issue(self, truth: RepositoryTruth, *, below: str) -> None:
        """An issue that was transferred is elsewhere, one that was deleted is no more."""
        match = ISSUE.fullmatch(below)
        if match is None or int(match[1]) not in truth.gone:
            return
        elsewhere = truth.gone[int(match[1])]
        if elsewhere is None:
            raise Refusal(410, "This issue was deleted")
        there, number = elsewhere
        location = f"{self._address()}/repositories/{there.json['id']}/issues/{number}"
        raise Refusal(301, "Moved Permanently", location=location)

    def _shown(self, found: Any, asked: Asked) -> Answered:
        if not isinstance(found, Listed):
            return Answered(200, found)
        page, size = _page_of(asked)
        reachable = len(found) if found.limit is None else min(len(found), found.limit)
        shown = found[:reachable][(page - 1) * size : page * size]
        headers = {"link": ", ".join(self._links(asked, page=page, last=-(-reachable // size)))}
        body = {"total_count": len(found), found.key: shown} if found.key else shown
        return Answered(200, body, {name: value for name, value in headers.items() if value})

    def _links(self, asked: Asked, *, page: int, last: int) -> list[str]:
        wanted = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        ends = {"next", "last"} if page < last else set()
        starts = {"prev", "first"} if page > 1 else set()
        return [
            f'<{self._address()}{asked.path}?{urlencode({**asked.query, "page": number})}>; rel="{name}"'
            for name, number in wanted.items()
            if name in ends | starts
        ]


def _page_of(asked: Asked) -> tuple[int, int]:
    """Which page is asked for, and how many are on it."""
    return int(asked.query.get("page", 1)), min(int(asked.query.get("per_page", USUAL_PER_PAGE)), MOST_PER_PAGE)


def _listed(items: Sequence[Json] | Any, *, key: str = "", limit: int | None = None) -> Listed:
    made = Listed(items)
    made.key, made.limit = key, limit
    return made


def _pull(truth: RepositoryTruth, number: str) -> PullRequestTruth:
    found = truth.pull_requests.get(int(number))
    if found is None:
        raise Refusal(404, "Not Found")
    return found


def _pulls(truth: RepositoryTruth, asked: Asked, match: Any) -> Listed:
    field = "updated_at" if asked.query.get("sort") == "updated" else "created_at"
    wanted, direction = asked.query.get("state", "open"), asked.query.get("direction", "desc")
    numbers = [number for _, number in truth.pull_requests.ordered(field)]
    found = (truth.pull_requests.get(number) for number in (numbers if direction == "asc" else reversed(numbers)))
    return _listed(
        rest_shapes.listed_pull_request(pull)
        for pull in found
        if pull is not None and wanted in {"all", pull.json["state"]}
    )


def _reviews(truth: RepositoryTruth, asked: Asked, match: Any) -> Listed:
    return _listed(rest_shapes.review(described) for described in _pull(truth, match[1]).reviews.values())


def _commits_of_pull(truth: RepositoryTruth, asked: Asked, match: Any) -> Listed:
    return _listed(rest_shapes.commit(made, truth=truth) for made in _pull(truth, match[1]).commits[:250])


def _timeline(truth: RepositoryTruth, asked: Asked, match: Any) -> Listed:
    return _listed(rest_shapes.timeline(_pull(truth, match[1]), truth=truth))


def _commits(truth: RepositoryTruth, asked: Asked, match: Any) -> Listed:
    since, until = asked.query.get("since", ""), asked.query.get("until", "~")
    return _listed(
        rest_shapes.commit(made, truth=truth)
        for made in reversed(truth.commits)
        if since <= made["committer"]["date"] <= until
    )


def _issues(truth: RepositoryTruth, asked: Asked, match: Any) -> Listed:
    found = [issue for issue in truth.issues.values() if issue["updated_at"] >= asked.query.get("since", "")]
    field = "updated_at" if asked.query.get("sort") == "updated" else "created_at"
    found.sort(key=lambda issue: issue[field], reverse=asked.query.get("direction", "desc") == "desc")
    wanted = asked.query.get("state", "open")
    return _listed(issue for issue in found if wanted in {"all", issue["state"]})


def _runs(truth: RepositoryTruth, asked: Asked, match: Any) -> Listed:
    page, size = _page_of(asked)
    found, limit = runs_by_rest(truth, asked, page=page, size=size)
    return _listed(found, key="workflow_runs", limit=limit)


def _jobs(truth: RepositoryTruth, asked: Asked, match: Any) -> Listed:
    """The jobs of a run, the latest first: those of its last attempt, unless all are asked for."""
    if int(match[1]) not in truth.jobs:
        raise Refusal(404, "Not Found")
    jobs = list(reversed(truth.jobs[int(match[1])].values()))
    last = max(job["run_attempt"] for job in jobs)
    is_all = asked.query.get("filter", "latest") == "all"
    return _listed([job for job in jobs if is_all or job["run_attempt"] == last], key="jobs")


def _attempt(truth: RepositoryTruth, asked: Asked, match: Any) -> Json:
    """One attempt of a run, without its pull requests if that is asked for."""
    if (found := truth.attempts.get((int(match[1]), int(match[2])))) is None:
        raise Refusal(404, "Not Found")
    return {**found, "pull_requests": []} if asked.query.get("exclude_pull_requests") == "true" else found


def _issue(truth: RepositoryTruth, asked: Asked, match: Any) -> Json:
    if int(match[1]) not in truth.issues:
        raise Refusal(404, "Not Found")
    return truth.issues[int(match[1])]


def _statuses(truth: RepositoryTruth, asked: Asked, match: Any) -> Listed:
    return _listed(reversed(deployment_by_rest(truth, match[1]).statuses))


ROUTES: list[tuple[str, Route]] = [
    ("", lambda truth, asked, match: {**truth.json, "subscribers_count": 1, "network_count": 0}),
    ("/pulls", _pulls),
    (r"/pulls/(\d+)", lambda truth, asked, match: _pull(truth, match[1]).json),
    (r"/pulls/(\d+)/reviews", _reviews),
    (r"/pulls/(\d+)/commits", _commits_of_pull),
    (r"/pulls/(\d+)/comments", lambda truth, asked, match: _listed(_pull(truth, match[1]).review_comments)),
    (r"/issues/(\d+)/comments", lambda truth, asked, match: _listed(truth.issue_comments.get(int(match[1]), []))),
    (r"/issues/(\d+)/timeline", _timeline),
    ("/issues", _issues),
    (r"/issues/(\d+)", _issue),
    ("/commits", _commits),
    ("/releases", lambda truth, asked, match: _listed(reversed(truth.releases.values()))),
    ("/deployments", lambda truth, asked, match: _listed(each.json for each in reversed(truth.deployments.values()))),
    (r"/deployments/(\d+)", lambda truth, asked, match: deployment_by_rest(truth, match[1]).json),
    (r"/deployments/(\d+)/statuses", _statuses),
    ("/actions/runs", _runs),
    (r"/actions/runs/(\d+)/jobs", _jobs),
    (r"/actions/runs/(\d+)/attempts/(\d+)", _attempt),
    ("/issues/comments", lambda truth, asked, match: _listed(rest_texts.issue_comments(truth, asked))),
    ("/pulls/comments", lambda truth, asked, match: _listed(rest_texts.review_comments(truth, asked))),
    (r"/issues/comments/(\d+)", rest_texts.issue_comment),
    (r"/pulls/comments/(\d+)", rest_texts.review_comment),
    (r"/releases/(\d+)", rest_texts.release),
    (r"/commits/([0-9a-f]{40})", rest_texts.commit),
]
