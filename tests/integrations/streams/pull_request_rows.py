"""The truth of the fake GitHub as the rows that it must come to, and the rows that there are."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from apps.activity.models import PullRequest, PullRequestCommit, PullRequestEvent, Review
from apps.demo.shapes import Json
from tests.fake_github.truth import Happening, PullRequestTruth, RepositoryTruth

Rows = dict[Any, dict[str, Any]]
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
    found = (truth.pull_requests.get(number) for number in numbers)
    true, ours = rows_of_truth(pull for pull in found if pull is not None), our_rows(truth.json["id"])
    return [
        difference
        for table in true
        for key in sorted(true[table].keys() | ours[table].keys())
        if (difference := _difference(f"{table} {key}", ours[table].get(key), true[table].get(key)))
    ]


def _difference(name: str, ours: dict[str, Any] | None, true: dict[str, Any] | None) -> str:
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


def _pull_request(pull: PullRequestTruth) -> dict[str, Any]:
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


def _review(review: Json, pull: PullRequestTruth) -> dict[str, Any]:
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


def _commit(made: Json) -> dict[str, Any]:
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
    elif item.kind not in {"ReviewRequestedEvent", "ReviewRequestRemovedEvent"}:
        yield ""


def _id(account: Json | None) -> int | None:
    return account["id"] if account else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
