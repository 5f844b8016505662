"""Objects as REST lists them, where they differ from what a webhook nests."""

from apps.integrations.story.shapes import Json
from apps.integrations.story.shapes.accounts import person, user
from tests.fake_github.truth import PullRequestTruth, RepositoryTruth

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
    account = user(person(int(made["author"]["email"].partition("+")[0]), made["author"]["username"]))
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
        "author": account,
        "committer": account,
        "parents": [
            {"sha": sha, "url": f"{api}/commits/{sha}", "html_url": f"{page}/commit/{sha}"}
            for sha in truth.parents.get(made["id"], ())
        ],
    }
