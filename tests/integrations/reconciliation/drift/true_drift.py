"""Our tables beside the fake's truth, row by row, by no means of the code that measures drift."""

from collections.abc import Iterator
from datetime import timedelta
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
from tests.fake_github.truth import PullRequestTruth, RepositoryTruth
from tests.integrations.true_rows import pull_requests, rows_of_truth, true_rows

NEAR = timedelta(seconds=10)
Findings = set[tuple[str, str, str]]
OF_ISSUES = ("title", "state", "state_reason", "author_id", "labels", "closed_at")
OF_COMMENTS = ("number", "author_id", "created_at")
ID = ("github_id",)
COMPARED: dict[Any, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    Issue: ("issue", ("repository_id", "number"), OF_ISSUES),
    IssueComment: ("issue_comment", ID, OF_COMMENTS),
    ReviewComment: ("review_comment", ID, OF_COMMENTS),
    Release: ("release", ID, ("tag_name", "name", "is_draft", "is_prerelease", "published_at")),
    Deployment: ("deployment", ID, ("sha", "environment", "task", "ref")),
    DeploymentStatus: ("deployment_status", ID, ("state", "deployment_id")),
    WorkflowRun: ("workflow_run", ("run_id", "attempt"), ("status", "conclusion")),
}
"""The kind of each table in findings, what identifies a row, and what is compared of it."""
UNTOLD = {"updated_at", "author_association", "listed_head_sha", "listed_commit_count"}


def off(truth: RepositoryTruth) -> Findings:
    """Kind, key and `missing` or `stale` of every entity that GitHub has and we have not, or otherwise."""
    return {(kind, str(key), finding) for kind, key, finding in (*_of_pull_requests(truth), *_of_the_rest(truth))}


def _of_pull_requests(truth: RepositoryTruth) -> Iterator[tuple[str, object, str]]:
    here = truth.json["id"]
    for pull in pull_requests(truth):
        number = pull.number
        ours = PullRequest.objects.filter(repository=here, number=number).exclude(core_stamp="").values().first()
        true = rows_of_truth([pull])
        if ours is None:
            yield "pull_request", f"{here}:{number}", "missing"
        elif _differs(ours, true["pull requests"][number]) or _lacks_history(pull, here):
            yield "pull_request", f"{here}:{number}", "stale"
        for identity, review in true["reviews"].items():
            row = Review.objects.filter(pk=identity).values().first()
            yield from _compared("review", identity, row, _dismissed_near(identity, review))


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
    for model, (kind, identity, columns) in COMPARED.items():
        for true in true_rows(model, truth):
            about = {name: true[name] for name in identity}
            ours = model.objects.filter(**about).values().first()
            key = ":".join(str(value) for value in about.values())
            yield from _compared(kind, key, ours, {name: true[name] for name in columns})
    here = truth.json["id"]
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
