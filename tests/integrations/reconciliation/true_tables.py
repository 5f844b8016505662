"""The tables, stream by stream, beside what is true on the fake GitHub: read off its truth, not off its answers."""

from datetime import datetime
from typing import Any

from apps.activity.models import (
    Commit,
    Deployment,
    DeploymentStatus,
    Issue,
    IssueComment,
    Release,
    ReviewComment,
    WorkflowRun,
)
from apps.demo.shapes import Json
from tests.fake_github.truth import RepositoryTruth
from tests.integrations.streams.pull_request_rows import differences as differences_of_pull_requests

Rows = dict[Any, dict[str, Any]]


def differences(truth: RepositoryTruth) -> list[str]:
    """What our rows of this repository say otherwise than GitHub would; empty is equal."""
    numbers = [number for _, number in truth.pull_requests.ordered("created_at")]
    found = differences_of_pull_requests(truth, numbers=numbers)
    ours, true = our_rows(truth.json["id"]), rows_of_truth(truth)
    for table in true:
        for key in sorted(ours[table].keys() | true[table].keys(), key=str):
            found += difference(f"{table} {key}", ours[table].get(key), true[table].get(key))
    return found


def difference(name: str, ours: dict[str, Any] | None, true: dict[str, Any] | None) -> list[str]:
    if ours is None or true is None:
        return [f"{name}: {'is missing' if ours is None else 'should not be there'}"]
    return [
        f"{name}: {column} is {ours[column]}, not {true[column]}" for column in true if ours[column] != true[column]
    ]


def our_rows(repository_id: int) -> dict[str, Rows]:
    """What is here and not deleted."""
    here: dict[str, Any] = {"repository": repository_id}
    comments = {**here, "deleted_at": None}
    return {
        "issues": keyed(Issue.objects.filter(**comments), "number", "title", "state", "author_id", "closed_at"),
        "issue comments": keyed(IssueComment.objects.filter(**comments), "github_id", "number", "author_id"),
        "review comments": keyed(ReviewComment.objects.filter(**comments), "github_id", "number", "author_id"),
        "releases": keyed(Release.objects.filter(**comments), "github_id", "tag_name", "is_draft", "published_at"),
        "deployments": keyed(Deployment.objects.filter(**here), "github_id", "sha", "environment"),
        "statuses": keyed(DeploymentStatus.objects.filter(**here), "github_id", "deployment_id", "state"),
        "runs": keyed(WorkflowRun.objects.filter(**here), "run_id", "attempt", "status", "conclusion"),
        "commits": keyed(landed(repository_id), "sha", "headline"),
    }


def landed(repository_id: int) -> Any:
    """The commits of the default branch."""
    commits = Commit.objects.filter(repository=repository_id)
    return commits.exclude(landed_at=None, presumed_landed_at=None)


def keyed(rows: Any, key: str, *columns: str) -> Rows:
    return {row.pop(key): row for row in rows.values(key, *columns)}


def rows_of_truth(truth: RepositoryTruth) -> dict[str, Rows]:
    pulls = [truth.pull_requests.get(number) for _, number in truth.pull_requests.ordered("created_at")]
    said = [(number, one) for number, comments in truth.issue_comments.items() for one in comments]
    said += [(pull.number, one) for pull in pulls if pull is not None for one in pull.comments]
    remarks = [(pull.number, one) for pull in pulls if pull is not None for one in pull.review_comments]
    return {
        "issues": {number: issue_row(issue) for number, issue in truth.issues.items()},
        "issue comments": {one["id"]: comment_row(number, one) for number, one in said},
        "review comments": {one["id"]: comment_row(number, one) for number, one in remarks},
        "releases": {number: release_row(release) for number, release in truth.releases.items()},
        "deployments": {
            number: {name: made.json[name] for name in ("sha", "environment")}
            for number, made in truth.deployments.items()
        },
        "statuses": {
            status["id"]: {"deployment_id": number, "state": status["state"]}
            for number, made in truth.deployments.items()
            for status in made.statuses
        },
        "runs": {number: run_row(run) for number, run in truth.runs.items()},
        "commits": {made["id"]: {"headline": made["message"].partition("\n")[0]} for made in truth.commits},
    }


def issue_row(issue: Json) -> dict[str, Any]:
    return {
        "title": issue["title"],
        "state": issue["state"],
        "author_id": identity(issue["user"]),
        "closed_at": moment(issue["closed_at"]),
    }


def comment_row(number: int, comment: Json) -> dict[str, Any]:
    return {"number": number, "author_id": identity(comment["user"])}


def release_row(release: Json) -> dict[str, Any]:
    published_at = moment(release["published_at"])
    return {"tag_name": release["tag_name"], "is_draft": release["draft"], "published_at": published_at}


def run_row(run: Json) -> dict[str, Any]:
    """As many attempts as there were are rows; the latest is what GitHub shows."""
    return {"attempt": run["run_attempt"], "status": run["status"], "conclusion": run["conclusion"]}


def identity(account: Json | None) -> int | None:
    return account["id"] if account else None


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
