"""The truth of the fake GitHub as the rows that it must come to, and the rows that there are."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from apps.activity.models import (
    Commit,
    Deployment,
    DeploymentStatus,
    Issue,
    IssueComment,
    PullRequest,
    PullRequestCommit,
    PullRequestEvent,
    Release,
    Review,
    ReviewComment,
    WorkflowRun,
)
from apps.demo.shapes import Json
from tests.fake_github.truth import Happening, PullRequestTruth, RepositoryTruth

Row = dict[str, Any]
Rows = dict[Any, Row]
Tables = dict[str, Rows]
KINDS = {
    "ReadyForReviewEvent": "ready_for_review",
    "ConvertToDraftEvent": "converted_to_draft",
    "ReopenedEvent": "reopened",
    "ReviewRequestedEvent": "review_requested",
    "ReviewRequestRemovedEvent": "review_request_removed",
    "HeadRefForcePushedEvent": "force_pushed",
    "ClosedEvent": "closed",
    "MergedEvent": "merged",
    "AddedToMergeQueueEvent": "enqueued",
    "RemovedFromMergeQueueEvent": "dequeued",
    "AutoMergeEnabledEvent": "auto_merge_enabled",
    "AutoMergeDisabledEvent": "auto_merge_disabled",
    "BaseRefChangedEvent": "base_changed",
}
STATE = ("github_id", "title", "state", "is_draft", "author_id", "author_association", "body", "labels")
TIMES = ("created_at", "updated_at", "closed_at", "merged_at")
CODE = (
    "merge_sha",
    "base_ref",
    "head_ref",
    "head_sha",
    "is_cross_repository",
    "listed_head_sha",
    "listed_commit_count",
)
SIZES = ("additions", "deletions", "changed_files", "commit_count", "merged_by_id")
COMMIT = ("authored_at", "committed_at", "author_id")
REVIEW = ("number", "author_id", "submitted_at", "commit_sha", "verdict", "dismissed_at", "deleted_at")


def differences(truth: RepositoryTruth, *, numbers: Iterable[int]) -> list[str]:
    """What our rows say otherwise than GitHub would, of these pull requests and of all that belongs to them."""
    pulls = (truth.pull_requests.get(number) for number in numbers)
    true, ours = rows_of_truth(pull for pull in pulls if pull is not None), our_rows(truth.json["id"])
    found = [
        difference(f"{table} {key}", ours[table].get(key), true[table].get(key))
        for table in true
        for key in sorted(true[table].keys() | ours[table].keys())
    ]
    return [one for one in found if one]


def difference(name: str, ours: Row | None, true: Row | None) -> str:
    """Empty where there is none."""
    if ours is None or true is None:
        return "" if ours is true else f"{name}: {'is missing' if ours is None else 'should not be there'}"
    different = [f"{column} is {ours[column]}, not {true[column]}" for column in true if ours[column] != true[column]]
    return f"{name}: {', '.join(different)}" if different else ""


def our_rows(repository_id: int) -> Tables:
    """Every row of the repository: of commits those of the current heads, of histories what the API showed."""
    pulls = PullRequest.objects.filter(repository=repository_id)
    heads = dict(pulls.values_list("number", "head_sha"))
    commits = PullRequestCommit.objects.filter(repository=repository_id)
    events = PullRequestEvent.objects.filter(repository=repository_id, source="api")
    return {
        "pull requests": {row.pop("number"): row for row in pulls.values("number", *STATE, *TIMES, *CODE, *SIZES)},
        "reviews": {
            row.pop("github_id"): row
            for row in Review.objects.filter(repository=repository_id).values("github_id", *REVIEW)
        },
        "commits": {
            (row.pop("number"), row.pop("sha")): row
            for row in commits.values("number", "sha", "head_sha", "position", *COMMIT)
            if heads.get(row["number"]) == row.pop("head_sha")
        },
        "histories": {
            (row["number"], row["kind"], row["subject"], row["at"]): {"actor_id": row["actor_id"]}
            for row in events.values("number", "kind", "subject", "at", "actor_id")
        },
    }


def rows_of_truth(pulls: Iterable[PullRequestTruth]) -> Tables:
    """The rows that these pull requests must come to."""
    tables: Tables = {"pull requests": {}, "reviews": {}, "commits": {}, "histories": {}}
    for pull in pulls:
        tables["pull requests"][pull.number] = _pull_request(pull)
        tables["reviews"] |= {identity: _review(review, pull) for identity, review in pull.reviews.items()}
        tables["commits"] |= {
            (pull.number, made["id"]): {**_commit(made), "position": position}
            for position, made in enumerate(pull.commits)
        }
        tables["histories"] |= _history(pull)
    return tables


def _pull_request(pull: PullRequestTruth) -> Row:
    seen = pull.json
    return {
        "github_id": seen["id"],
        **{name: seen[name] for name in ("title", "state", "additions", "deletions")},
        "author_association": seen["author_association"].lower(),
        "is_draft": seen["draft"],
        "author_id": _id(seen["user"]),
        "body": seen["body"] or "",
        "labels": sorted(label["name"] for label in seen["labels"]),
        **{name: _time(seen[name]) for name in TIMES},
        "merge_sha": seen["merge_commit_sha"] if seen["merged_at"] else None,
        "base_ref": seen["base"]["ref"],
        "head_ref": seen["head"]["ref"],
        "head_sha": seen["head"]["sha"],
        "is_cross_repository": (seen["head"]["repo"] or {}).get("id") != seen["base"]["repo"]["id"],
        "listed_head_sha": seen["head"]["sha"],
        "listed_commit_count": len(pull.commits),
        "changed_files": seen["changed_files"],
        "commit_count": seen["commits"],
        "merged_by_id": _id(seen["merged_by"]),
    }


def _review(review: Json, pull: PullRequestTruth) -> Row:
    """A dismissed one has said what the first of its dismissals shows."""
    dismissals = [
        item
        for item in pull.timeline
        if item.kind == "ReviewDismissedEvent" and item.more["review"]["id"] == review["id"]
    ]
    return {
        "number": pull.number,
        "author_id": _id(review["user"]),
        "submitted_at": _time(review["submitted_at"]),
        "commit_sha": review["commit_id"],
        "verdict": dismissals[0].more["before"] if dismissals else review["state"],
        "dismissed_at": dismissals[0].at if dismissals else None,
        "deleted_at": None,
    }


def _commit(made: Json) -> Row:
    """Bots have no account in a list of commits."""
    person = None if made["author"]["username"].endswith("[bot]") else int(made["author"]["email"].partition("+")[0])
    authored_at, committed_at = (_time(made[role]["date"]) for role in ("author", "committer"))
    return {"authored_at": authored_at, "committed_at": committed_at, "author_id": person}


def _history(pull: PullRequestTruth) -> Rows:
    return {
        (pull.number, KINDS[item.kind], subject, item.at): {"actor_id": _id(item.actor)}
        for item in pull.timeline
        if item.kind in KINDS
        for subject in _subjects(item)
    }


def _subjects(item: Happening) -> Iterator[str]:
    """Whom or what it concerns; what concerns the pull request as a whole names nothing."""
    if (team := item.more.get("requested_team")) is not None:
        yield f"team:{team['id']}"
    elif (reviewer := item.more.get("requested_reviewer")) is not None:
        yield str(reviewer["id"])
    elif item.kind == "HeadRefForcePushedEvent":
        yield item.more["after"]
    elif item.kind == "BaseRefChangedEvent":
        yield item.more["former_base"]
    elif item.kind not in {"ReviewRequestedEvent", "ReviewRequestRemovedEvent"}:
        yield ""


def pull_requests(truth: RepositoryTruth) -> list[PullRequestTruth]:
    """Return all pull requests of the repository, the oldest first."""
    found = (truth.pull_requests.get(number) for _, number in truth.pull_requests.ordered("created_at"))
    return [pull for pull in found if pull is not None]


def _issues(truth: RepositoryTruth) -> Iterator[Row]:
    for issue in truth.issues.values():
        yield {
            **{name: issue[name] for name in ("number", "title", "state", "state_reason")},
            **{name: _time(issue[name]) for name in ("created_at", "updated_at", "closed_at")},
            "github_id": issue["id"],
            "author_id": _id(issue["user"]),
            "labels": sorted(label["name"] for label in issue["labels"]),
            "causes": [],
            "deleted_at": None,
        }


def _issue_comments(truth: RepositoryTruth) -> Iterator[Row]:
    for number, comments in truth.issue_comments.items():
        yield from ({**_comment(one, number), "is_on_pull_request": False} for one in comments)
    for pull in pull_requests(truth):
        yield from ({**_comment(one, pull.number), "is_on_pull_request": True} for one in pull.comments)


def _review_comments(truth: RepositoryTruth) -> Iterator[Row]:
    for pull in pull_requests(truth):
        for one in pull.review_comments:
            yield {**_comment(one, pull.number), "review_id": one["pull_request_review_id"]}


def _comment(comment: Json, number: int) -> Row:
    return {**_made(comment), "number": number, "author_id": _id(comment["user"]), "deleted_at": None}


def _releases(truth: RepositoryTruth) -> Iterator[Row]:
    for release in truth.releases.values():
        yield {
            **_made(release),
            "tag_name": release["tag_name"],
            "name": release["name"] or "",
            "is_draft": release["draft"],
            "is_prerelease": release["prerelease"],
            "author_id": _id(release["author"]),
            "published_at": _time(release["published_at"]),
            "deleted_at": None,
        }


def _deployments(truth: RepositoryTruth) -> Iterator[Row]:
    """The run that made a deployment is not told: our own rows know it."""
    for seen in (deployment.json for deployment in truth.deployments.values()):
        yield {
            **_made(seen),
            **{name: seen[name] for name in ("sha", "ref", "environment", "task")},
            "is_production": seen["production_environment"],
            "is_transient": seen["transient_environment"],
            "creator_id": _id(seen["creator"]),
        }


def _statuses(truth: RepositoryTruth) -> Iterator[Row]:
    for deployment_id, deployment in truth.deployments.items():
        for seen in deployment.statuses:
            about = {name: seen[name] for name in ("state", "environment")}
            yield {**_made(seen), **about, "deployment_id": deployment_id, "creator_id": _id(seen["creator"])}


def _runs(truth: RepositoryTruth) -> Iterator[Row]:
    """Of each run all of its attempts."""
    last = {(run["id"], run["run_attempt"]): run for run in truth.runs.values()}
    for run in (truth.attempts | last).values():
        same = ("workflow_id", "name", "event", "status", "conclusion", "head_branch", "head_sha")
        yield {
            **{name: run[name] for name in same},
            "run_id": run["id"],
            "attempt": run["run_attempt"],
            "actor_id": _id(run["actor"]),
            "created_at": _time(run["created_at"]),
            "started_at": _time(run["run_started_at"]),
            "concluded_at": _time(run["updated_at"]) if run["status"] == "completed" else None,
        }


def _commits(truth: RepositoryTruth) -> Iterator[Row]:
    """Those of the default branch, as they are without any push."""
    for commit in truth.commits:
        author, committed_at = commit["author"], _time(commit["committer"]["date"])
        yield {
            "sha": commit["id"],
            "headline": commit["message"].partition("\n")[0],
            "authored_at": _time(author["date"]),
            "committed_at": committed_at,
            **{f"author_{ours}": author[name] for ours, name in AUTHOR.items()},
            "is_date_clamped": False,
            "parent_count": len(truth.parents[commit["id"]]),
            "presumed_parent_count": None,
            "author_id": int(author["email"].partition("+")[0]),
            "landed_at": None,
            "presumed_landed_at": committed_at,
        }


AUTHOR = {"name": "name", "email": "email", "login": "username"}
ROWS: Mapping[Any, Callable[[RepositoryTruth], Iterable[Row]]] = {
    Issue: _issues,
    IssueComment: _issue_comments,
    ReviewComment: _review_comments,
    Release: _releases,
    Deployment: _deployments,
    DeploymentStatus: _statuses,
    WorkflowRun: _runs,
    Commit: _commits,
}


def true_rows(model: Any, truth: RepositoryTruth) -> list[Row]:
    """Return the rows that what GitHub has comes to, with every column but ids and stamps of our own."""
    return in_order({"repository_id": truth.json["id"], **row} for row in ROWS[model](truth))


def in_order(found: Iterable[Row]) -> list[Row]:
    return sorted(found, key=lambda row: repr(sorted(row.items())))


def _made(seen: Json) -> Row:
    return {"github_id": seen["id"], "created_at": _time(seen["created_at"])}


def _id(account: Json | None) -> int | None:
    return account["id"] if account else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
