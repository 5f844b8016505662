"""Our tables beside the fake's truth, row by row, by no means of the code that measures drift."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from apps.activity.models import (
    Commit,
    Deployment,
    DeploymentStatus,
    Issue,
    IssueComment,
    PullRequest,
    PullRequestEvent,
    Release,
    Review,
    ReviewComment,
    WorkflowRun,
)
from apps.demo.shapes import Json
from tests.fake_github.truth import PullRequestTruth, RepositoryTruth
from tests.integrations.streams.pull_request_rows import rows_of_truth

NEAR = timedelta(seconds=10)
Findings = set[tuple[str, str, str]]
UNTOLD = {"updated_at", "author_association", "listed_head_sha", "listed_commit_count"}


def off(truth: RepositoryTruth) -> Findings:
    """Kind, key and `missing` or `stale` of every entity that GitHub has and we have not, or otherwise."""
    return {(kind, str(key), finding) for kind, key, finding in (*_of_pull_requests(truth), *_of_the_rest(truth))}


def _of_pull_requests(truth: RepositoryTruth) -> Iterator[tuple[str, object, str]]:
    here = truth.json["id"]
    for _, number in truth.pull_requests.ordered("created_at"):
        pull = truth.pull_requests.get(number)
        assert pull is not None
        ours = PullRequest.objects.filter(repository=here, number=number).exclude(core_stamp="").values().first()
        true = rows_of_truth([pull])
        if ours is None:
            yield "pull_request", f"{here}:{number}", "missing"
        elif _differs(ours, true["pull requests"][number]) or _lacks_history(pull, here):
            yield "pull_request", f"{here}:{number}", "stale"
        for identity, review in true["reviews"].items():
            yield from _compared("review", identity, _row(Review, identity), _dismissed_near(identity, review))
        for said in pull.review_comments:
            row = _comment(said, number)
            yield from _compared("review_comment", said["id"], _row(ReviewComment, said["id"]), row)
        for said in pull.comments:
            yield from _compared("issue_comment", said["id"], _row(IssueComment, said["id"]), _comment(said, number))


def _dismissed_near(identity: int, true: dict[str, Any]) -> dict[str, Any]:
    """A webhook knows when it was dismissed up to seconds too late."""
    ours = Review.objects.filter(pk=identity).values_list("dismissed_at", flat=True).first()
    is_near = ours and true["dismissed_at"] and abs(ours - true["dismissed_at"]) <= NEAR
    return {**true, "dismissed_at": ours} if is_near else true


def _lacks_history(pull: PullRequestTruth, here: int) -> bool:
    events = list(
        PullRequestEvent.objects.filter(repository=here, number=pull.number).values_list("kind", "subject", "at")
    )
    return any(
        not any(
            (name, about) in {(kind, subject), ("head_moved", subject) if kind == "force_pushed" else (kind, subject)}
            and abs(stored_at - at) <= NEAR
            for name, about, stored_at in events
        )
        for _, kind, subject, at in rows_of_truth([pull])["histories"]
    )


def _of_the_rest(truth: RepositoryTruth) -> Iterator[tuple[str, object, str]]:
    here = truth.json["id"]
    for number, issue in truth.issues.items():
        ours = Issue.objects.filter(repository=here, number=number).values().first()
        yield from _compared("issue", f"{here}:{number}", ours, _issue(issue))
    for number, said in truth.issue_comments.items():
        for each in said:
            yield from _compared("issue_comment", each["id"], _row(IssueComment, each["id"]), _comment(each, number))
    for identity, release in truth.releases.items():
        yield from _compared("release", identity, _row(Release, identity), _release(release))
    for identity, deployment in truth.deployments.items():
        seen = {name: deployment.json[name] for name in ("sha", "environment", "task", "ref")}
        yield from _compared("deployment", identity, _row(Deployment, identity), seen)
        for status in deployment.statuses:
            true = {"state": status["state"], "deployment_id": identity}
            yield from _compared("deployment_status", status["id"], _row(DeploymentStatus, status["id"]), true)
    for identity, run in truth.runs.items():
        attempt = run["run_attempt"]
        row = WorkflowRun.objects.filter(run_id=identity, attempt=attempt).values().first()
        true = {"status": run["status"], "conclusion": run["conclusion"]}
        yield from _compared("workflow_run", f"{identity}:{attempt}", row, true)
    for made in truth.commits:
        row = Commit.objects.filter(repository=here, sha=made["id"]).exclude(stamp="").values().first()
        is_landed = row is not None and (row["landed_at"] or row["presumed_landed_at"]) is not None
        if not is_landed:
            yield "commit", f"{here}:{made['id']}", "stale" if row else "missing"


def _compared(
    kind: str, key: object, ours: dict[str, Any] | None, true: dict[str, Any]
) -> Iterator[tuple[str, object, str]]:
    if ours is None or not ours["stamp"]:
        yield kind, key, "missing"
    elif _differs(ours, true):
        yield kind, key, "stale"


def _differs(ours: dict[str, Any], true: dict[str, Any]) -> bool:
    return any(ours[name] != value for name, value in true.items() if name not in UNTOLD)


def _row(model: Any, identity: int) -> dict[str, Any] | None:
    found: dict[str, Any] | None = model.objects.filter(pk=identity).values().first()
    return found


def _issue(issue: Json) -> dict[str, Any]:
    return {
        **{name: issue[name] for name in ("title", "state", "state_reason")},
        "author_id": _id(issue["user"]),
        "labels": sorted(label["name"] for label in issue["labels"]),
        "closed_at": _time(issue["closed_at"]),
    }


def _release(release: Json) -> dict[str, Any]:
    return {
        "tag_name": release["tag_name"],
        "name": release["name"] or "",
        "is_draft": release["draft"],
        "is_prerelease": release["prerelease"],
        "published_at": _time(release["published_at"]),
    }


def _comment(said: Json, number: int) -> dict[str, Any]:
    return {"number": number, "author_id": _id(said["user"]), "created_at": _time(said["created_at"])}


def _id(account: Json | None) -> int | None:
    return account["id"] if account else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
