"""Objects as REST lists them, where they differ from what a webhook nests."""

from zlib import crc32

from apps.demo.shapes import Json, moment
from tests.fake_github.nodes import signer
from tests.fake_github.truth import Happening, PullRequestTruth, RepositoryTruth

FULL_ONLY = (
    *("merged", "mergeable", "rebaseable", "mergeable_state", "merged_by", "comments", "review_comments"),
    *("maintainer_can_modify", "commits", "additions", "deletions", "changed_files"),
)


def listed_pull_request(truth: PullRequestTruth) -> Json:
    """A pull request in a list: whether it was merged is only in `merged_at`, and there are no sizes."""
    return {name: value for name, value in truth.json.items() if name not in FULL_ONLY}


def review(described: Json) -> Json:
    """REST writes the state in capitals, and has no `updated_at`."""
    shown = {name: value for name, value in described.items() if name != "updated_at"}
    return {**shown, "state": described["state"].upper(), "body": described["body"] or ""}


def commit(made: Json, *, truth: RepositoryTruth) -> Json:
    """A commit of a list; its people are accounts here."""
    api, page = truth.json["url"], truth.json["html_url"]
    people = {role: {name: made[role][name] for name in ("name", "email", "date")} for role in ("author", "committer")}
    inner = {
        "url": f"{api}/git/commits/{made['id']}",
        **people,
        "message": made["message"],
        "comment_count": 0,
        "tree": {"sha": made["tree_id"], "url": f"{api}/git/trees/{made['tree_id']}"},
        "verification": {
            "verified": False,
            "reason": "unsigned",
            "payload": None,
            "signature": None,
            "verified_at": None,
        },
    }
    return {
        "url": f"{api}/commits/{made['id']}",
        "sha": made["id"],
        "node_id": f"C_{made['id']}",
        "html_url": f"{page}/commit/{made['id']}",
        "comments_url": f"{api}/commits/{made['id']}/comments",
        "commit": inner,
        "author": signer(made["author"]),
        "committer": signer(made["committer"]),
        "parents": [
            {"sha": sha, "url": f"{api}/commits/{sha}", "html_url": f"{page}/commit/{sha}"}
            for sha in truth.parents.get(made["id"], ())
        ],
    }


EVENTS = {
    "ReadyForReviewEvent": "ready_for_review",
    "ConvertToDraftEvent": "convert_to_draft",
    "ReopenedEvent": "reopened",
    "ReviewRequestedEvent": "review_requested",
    "ReviewRequestRemovedEvent": "review_request_removed",
    "ReviewDismissedEvent": "review_dismissed",
    "HeadRefForcePushedEvent": "head_ref_force_pushed",
    "LabeledEvent": "labeled",
    "UnlabeledEvent": "unlabeled",
    "ClosedEvent": "closed",
    "MergedEvent": "merged",
    "AddedToMergeQueueEvent": "added_to_merge_queue",
    "RemovedFromMergeQueueEvent": "removed_from_merge_queue",
    "AutoMergeEnabledEvent": "auto_merge_enabled",
    "AutoMergeDisabledEvent": "auto_merge_disabled",
    "BaseRefChangedEvent": "base_ref_changed",
}


def timeline(pull: PullRequestTruth, *, truth: RepositoryTruth) -> list[Json]:
    """Commits and reviews stand between the events there, in the order of their times."""
    events = [(moment(item.at), happening(item, pull=pull, truth=truth)) for item in pull.timeline]
    commits = [(made["committer"]["date"], committed(made, truth=truth)) for made in pull.commits]
    reviews = [(one["submitted_at"], {**review(one), "event": "reviewed"}) for one in pull.reviews.values()]
    return [item for _, item in sorted(events + commits + reviews, key=lambda pair: pair[0])]


def committed(made: Json, *, truth: RepositoryTruth) -> Json:
    """A commit without the accounts of its people, and without a time of its own."""
    shown = commit(made, truth=truth)
    inner = {name: shown["commit"][name] for name in ("author", "committer", "message", "tree", "verification")}
    return {
        "event": "committed",
        **{name: shown[name] for name in ("sha", "node_id", "url", "html_url", "parents")},
        **inner,
    }


def happening(item: Happening, *, pull: PullRequestTruth, truth: RepositoryTruth) -> Json:
    """An event. A force push shows the head that it led to, a merge its commit."""
    identity, more = crc32(item.id.encode()), item.more
    sha = more.get("after") or (pull.json["merge_commit_sha"] if item.kind == "MergedEvent" else None)
    shown: Json = {
        "id": identity,
        "node_id": item.id,
        "url": f"{truth.json['url']}/issues/events/{identity}",
        "actor": item.actor,
        "event": EVENTS[item.kind],
        "commit_id": sha,
        "commit_url": f"{truth.json['url']}/commits/{sha}" if sha else None,
        "created_at": moment(item.at),
        "performed_via_github_app": None,
    }
    about = {name: more[name] for name in ("requested_reviewer", "requested_team") if name in more}
    if about:
        shown |= {"review_requester": item.actor, **about}
    if "label" in more:
        shown["label"] = {name: more["label"][name] for name in ("name", "color")}
    if item.kind == "ReviewDismissedEvent":
        said = {"state": more["before"], "review_id": more["review"]["id"]}
        shown["dismissed_review"] = {**said, "dismissal_message": None}
    return shown
