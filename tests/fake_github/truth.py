"""What is true on the fake GitHub, and how its webhooks add up to it.

Every object is kept in REST's shape. The truth is folded from the very deliveries that a story tells, so
the webhooks and the API lead to one history.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from zlib import crc32

from apps.demo.scenario import Sent
from apps.demo.shapes import Json
from apps.demo.shapes.git import NO_COMMIT

LATEST_S = 4


@dataclass(slots=True)
class Happening:
    """An item of a pull request's timeline: GraphQL's name for it, its own time, and what only its kind has."""

    id: str
    kind: str
    at: datetime
    actor: Json | None
    more: Json = field(default_factory=dict)


@dataclass(slots=True)
class PullRequestTruth:
    """A pull request with all that belongs to it."""

    json: Json
    commits: list[Json] = field(default_factory=list)
    reviews: dict[int, Json] = field(default_factory=dict)
    timeline: list[Happening] = field(default_factory=list)
    comments: list[Json] = field(default_factory=list)
    review_comments: list[Json] = field(default_factory=list)

    @property
    def number(self) -> int:
        return int(self.json["number"])


@dataclass(slots=True)
class DeploymentTruth:
    """A deployment with its statuses, oldest first."""

    json: Json
    statuses: list[Json] = field(default_factory=list)


class PullRequests(Protocol):
    """The pull requests of a repository, of which there may be more than fit into memory."""

    def get(self, number: int) -> PullRequestTruth | None: ...

    def ordered(self, field: str) -> Sequence[tuple[str, int]]:
        """(time, number) of all, oldest first, by `created_at` or `updated_at`."""

    def number_of(self, node_id: str) -> int | None:
        """The number that may have this id."""


class FoldedPullRequests(dict[int, PullRequestTruth]):
    """Those that were folded from deliveries."""

    def ordered(self, field: str) -> list[tuple[str, int]]:
        return sorted((pull.json[field], number) for number, pull in self.items())

    def number_of(self, node_id: str) -> int | None:
        return next((number for number, pull in self.items() if pull.json["node_id"] == node_id), None)


@dataclass(slots=True)
class RepositoryTruth:
    """A repository with all that belongs to it."""

    json: Json = field(default_factory=dict)
    pull_requests: PullRequests = field(default_factory=FoldedPullRequests)
    issues: dict[int, Json] = field(default_factory=dict)
    issue_comments: dict[int, list[Json]] = field(default_factory=dict)
    releases: dict[int, Json] = field(default_factory=dict)
    deployments: dict[int, DeploymentTruth] = field(default_factory=dict)
    runs: dict[int, Json] = field(default_factory=dict)
    attempts: dict[tuple[int, int], Json] = field(default_factory=dict)
    jobs: dict[int, dict[int, Json]] = field(default_factory=dict)
    """Of each run, those that deployed, by id."""
    commits: list[Json] = field(default_factory=list)
    parents: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of each commit of the default branch, which a push does not have."""
    gone: dict[int, "tuple[RepositoryTruth, int] | None"] = field(default_factory=dict)
    """Issues that were deleted, by number, and where those went that were transferred."""

    @property
    def full_name(self) -> str:
        return str(self.json["full_name"])


def parents_of(commits: Sequence[Json], *, before: str) -> dict[str, tuple[str, ...]]:
    """Of each commit of a push to the default branch: one that arrives with others made elsewhere merges them."""
    found: dict[str, tuple[str, ...]] = {}
    tip = () if before == NO_COMMIT else (before,)
    parent = tip
    for commit in commits:
        is_merge = commit["distinct"] and parent != tip and not all(other["distinct"] for other in commits)
        found[commit["id"]] = (*tip, *parent) if is_merge else parent
        parent = (commit["id"],)
    return found


def own_time(at: datetime, *words: object) -> datetime:
    """The time of a timeline item: up to 3 s before the `updated_at` that its webhook has, as GitHub's may be."""
    return at - timedelta(seconds=crc32(repr(words).encode()) % LATEST_S)


class Folding:
    """Deliveries of one repository, added up in the order they happened."""

    def __init__(self, truth: RepositoryTruth | None = None) -> None:
        self.truth = truth or RepositoryTruth()
        self._pulls = FoldedPullRequests()
        if truth is None:
            self.truth.pull_requests = self._pulls
        self._branches: dict[str, list[Json]] = {}

    def fold(self, deliveries: Iterable[Sent]) -> RepositoryTruth:
        """Add the deliveries."""
        for sent in deliveries:
            if (described := sent.payload.get("repository")) and sent.event != "push":
                self.truth.json = described
            take: Callable[[Json, Sent], None] | None = getattr(self, f"_{sent.event}", None)
            if take is not None:
                take(sent.payload, sent)
        return self.truth

    def pull_request(self, number: int) -> PullRequestTruth:
        return self._pulls[number]

    def _push(self, payload: Json, sent: Sent) -> None:
        branch, commits = payload["ref"].removeprefix("refs/heads/"), payload["commits"]
        if branch == payload["repository"]["default_branch"]:
            self.truth.commits.extend(commit for commit in commits if commit not in self.truth.commits)
            self.truth.parents |= parents_of(commits, before=payload["before"])
        elif payload["forced"]:
            self._branches[branch] = list(commits)
            self._note_force_push(payload, sent, branch=branch)
        elif not payload["deleted"]:
            self._branches.setdefault(branch, []).extend(commits)

    def _note_force_push(self, payload: Json, sent: Sent, *, branch: str) -> None:
        for pull in self._pulls.values():
            if pull.json["head"]["ref"] == branch and pull.json["state"] == "open":
                more = {"before": payload["before"], "after": payload["after"]}
                self._note(pull, "HeadRefForcePushedEvent", sent, actor=payload["sender"], **more)

    def _pull_request(self, payload: Json, sent: Sent) -> None:
        action, described = payload["action"], payload["pull_request"]
        pull = self._pulls.setdefault(payload["number"], PullRequestTruth(described))
        pull.json = {**described, "review_comments": len(pull.review_comments), "comments": len(pull.comments)}
        if action in {"opened", "synchronize"}:
            pull.commits = list(self._branches[described["head"]["ref"]])
        if action in KINDS:
            about = {name: payload[name] for name in ABOUT if name in payload}
            self._note(pull, KINDS[action], sent, actor=payload["sender"], **about)
        if action == "edited" and (base := payload["changes"].get("base")):
            before = base["ref"]["from"]
            self._note(pull, "BaseRefChangedEvent", sent, actor=payload["sender"], former_base=before)
        if action == "closed":
            for kind in ("MergedEvent",) * described["merged"] + ("ClosedEvent",):
                happened = Happening(f"{kind}_{sent.guid}", kind, sent.at, payload["sender"])
                pull.timeline.append(happened)

    def _pull_request_review(self, payload: Json, sent: Sent) -> None:
        pull, review = self._touched(payload), payload["review"]
        if payload["action"] == "dismissed":
            before = pull.reviews[review["id"]]["state"]
            self._note(pull, "ReviewDismissedEvent", sent, actor=payload["sender"], review=review, before=before)
        pull.reviews[review["id"]] = review

    def _pull_request_review_comment(self, payload: Json, sent: Sent) -> None:
        _say(self._touched(payload).review_comments, payload)

    def _pull_request_review_thread(self, payload: Json, sent: Sent) -> None:
        self._touched(payload)

    def _issue_comment(self, payload: Json, sent: Sent) -> None:
        issue = payload["issue"]
        if "pull_request" in issue:
            pull = self._pulls[issue["number"]]
            _say(pull.comments, payload)
            pull.json = {**pull.json, "updated_at": issue["updated_at"], "comments": len(pull.comments)}
            return
        said = self.truth.issue_comments.setdefault(issue["number"], [])
        _say(said, payload)
        self.truth.issues[issue["number"]] = {**issue, "comments": len(said)}

    def _issues(self, payload: Json, sent: Sent) -> None:
        issue = payload["issue"]
        if payload["action"] == "deleted":
            self.truth.issues.pop(issue["number"], None)
            self.truth.issue_comments.pop(issue["number"], None)
            self.truth.gone[issue["number"]] = None
        else:
            self.truth.issues[issue["number"]] = issue

    def _deployment(self, payload: Json, sent: Sent) -> None:
        self.truth.deployments[payload["deployment"]["id"]] = DeploymentTruth(payload["deployment"])

    def _deployment_status(self, payload: Json, sent: Sent) -> None:
        deployment = self.truth.deployments[payload["deployment"]["id"]]
        deployment.json = payload["deployment"]
        deployment.statuses.append(payload["deployment_status"])
        if job := payload.get("check_run"):
            run = payload["workflow_run"]
            self.truth.jobs.setdefault(run["id"], {})[job["id"]] = rest_job(job, run=run)

    def _workflow_run(self, payload: Json, sent: Sent) -> None:
        run = payload["workflow_run"]
        self.truth.runs[run["id"]] = self.truth.attempts[run["id"], run["run_attempt"]] = run

    def _release(self, payload: Json, sent: Sent) -> None:
        if payload["action"] == "deleted":
            self.truth.releases.pop(payload["release"]["id"], None)
        else:
            self.truth.releases[payload["release"]["id"]] = payload["release"]

    def _touched(self, payload: Json) -> PullRequestTruth:
        pull = self._pulls[payload["pull_request"]["number"]]
        pull.json = {**pull.json, **payload["pull_request"]}
        return pull

    def _note(self, pull: PullRequestTruth, kind: str, sent: Sent, *, actor: Json | None, **more: Any) -> None:
        at = own_time(sent.at, pull.number, kind, sent.at)
        pull.timeline.append(Happening(f"{kind}_{sent.guid}", kind, at, actor, more))


def rest_job(job: Json, *, run: Json) -> Json:
    """A job as REST lists it with its run; webhooks show it as a check run."""
    shown = ("id", "node_id", "name", "head_sha", "html_url", "status", "conclusion", "started_at", "completed_at")
    return {
        **{name: job[name] for name in shown},
        "run_id": run["id"],
        "run_url": run["url"],
        "run_attempt": run["run_attempt"],
        "url": f"{run['url'].partition('/actions/')[0]}/actions/jobs/{job['id']}",
        "created_at": job["started_at"],
        "steps": [],
        "check_run_url": job["url"],
        "labels": ["ubuntu-latest"],
        **dict.fromkeys(("runner_id", "runner_name", "runner_group_id", "runner_group_name")),
        "workflow_name": run["name"],
        "head_branch": run["head_branch"],
    }


def _say(said: list[Json], payload: Json) -> None:
    """A comment is made, changed or deleted."""
    others = [comment for comment in said if comment["id"] != payload["comment"]["id"]]
    said[:] = others if payload["action"] == "deleted" else [*others, payload["comment"]]


KINDS = {
    "ready_for_review": "ReadyForReviewEvent",
    "converted_to_draft": "ConvertToDraftEvent",
    "reopened": "ReopenedEvent",
    "review_requested": "ReviewRequestedEvent",
    "review_request_removed": "ReviewRequestRemovedEvent",
    "labeled": "LabeledEvent",
    "unlabeled": "UnlabeledEvent",
    "enqueued": "AddedToMergeQueueEvent",
    "dequeued": "RemovedFromMergeQueueEvent",
    "auto_merge_enabled": "AutoMergeEnabledEvent",
    "auto_merge_disabled": "AutoMergeDisabledEvent",
}
ABOUT = ("requested_reviewer", "requested_team", "label", "reason")
