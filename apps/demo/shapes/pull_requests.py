"""Pull requests, reviews, review comments and their threads."""

from dataclasses import dataclass, field
from datetime import datetime

from apps.demo.shapes import Json, links, moment, moment_or_none, node_id
from apps.demo.shapes.accounts import Account, user, user_or_ghost
from apps.demo.shapes.issues import label, reactions
from apps.demo.shapes.repositories import RepositoryIdentity, repository


@dataclass(slots=True)
class PullRequestNow:
    """The state of a pull request at a point of a scenario; an author of None is a ghost."""

    id: int
    number: int
    repository: RepositoryIdentity
    author: Account | None
    title: str
    branch: str
    base_sha: str
    head_sha: str
    created_at: datetime
    updated_at: datetime
    body: str | None = None
    base: str = ""
    auto_merge_by: Account | None = None
    is_draft: bool = False
    is_fork_lost: bool = False
    closed_at: datetime | None = None
    merged_at: datetime | None = None
    merged_by: Account | None = None
    merge_sha: str | None = None
    labels: list[str] = field(default_factory=list)
    assignees: list[Account] = field(default_factory=list)
    requested: list[Account] = field(default_factory=list)
    commit_count: int = 1
    additions: int = 10
    deletions: int = 2
    changed_files: int = 1

    @property
    def api(self) -> str:
        return f"{self.repository.api}/pulls/{self.number}"


def short_pull_request(now: PullRequestNow) -> Json:
    """Return the pull request next to reviews, review comments and threads: without sizes."""
    of = now.repository
    owner = of.owner
    return {
        "url": now.api,
        "id": now.id,
        "node_id": node_id("PR", now.id),
        **pull_request_links(now),
        "number": now.number,
        "state": "open" if now.closed_at is None else "closed",
        "locked": False,
        "title": now.title,
        "user": user_or_ghost(now.author),
        "body": now.body,
        "created_at": moment(now.created_at),
        "updated_at": moment(now.updated_at),
        "closed_at": moment_or_none(now.closed_at),
        "merged_at": moment_or_none(now.merged_at),
        "merge_commit_sha": now.merge_sha,
        "assignee": next(map(user, now.assignees), None),
        "assignees": [user(account) for account in now.assignees],
        "requested_reviewers": [user(account) for account in now.requested],
        "requested_teams": [],
        "labels": [label(of, name) for name in now.labels],
        "milestone": None,
        "draft": now.is_draft,
        "head": side(of, owner=owner, ref=now.branch, sha=now.head_sha, is_lost=now.is_fork_lost),
        "base": side(of, owner=owner, ref=now.base or of.default_branch, sha=now.base_sha, is_lost=False),
        "_links": pull_request_hypertext(now),
        "author_association": "MEMBER",
        "auto_merge": auto_merge(now.auto_merge_by),
        "active_lock_reason": None,
    }


def pull_request(now: PullRequestNow) -> Json:
    """The full pull request, as its own events carry it."""
    return {
        **short_pull_request(now),
        "merged": now.merged_at is not None,
        "mergeable": None,
        "rebaseable": None,
        "mergeable_state": "unknown",
        "merged_by": user_or_ghost(now.merged_by),
        "comments": 0,
        "review_comments": 0,
        "maintainer_can_modify": False,
        "commits": now.commit_count,
        "additions": now.additions,
        "deletions": now.deletions,
        "changed_files": now.changed_files,
    }


def auto_merge(by: Account | None) -> Json | None:
    if by is None:
        return None
    return {"enabled_by": user(by), "merge_method": "squash", "commit_title": None, "commit_message": None}


def side(of: RepositoryIdentity, *, owner: Account, ref: str, sha: str, is_lost: bool) -> Json:
    """The head or the base; the head of a deleted fork has lost its repository and its owner."""
    return {
        "label": None if is_lost else f"{owner.login}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": None if is_lost else user(owner),
        "repo": None if is_lost else repository(of),
    }


def pull_request_links(now: PullRequestNow) -> Json:
    of = now.repository
    page = f"{of.page}/pull/{now.number}"
    return {
        "html_url": page,
        **links(page, {"diff_url": ".diff", "patch_url": ".patch"}),
        **links(of.api, {"issue_url": f"/issues/{now.number}", "comments_url": f"/issues/{now.number}/comments"}),
        **links(now.api, {"commits_url": "/commits", "review_comments_url": "/comments"}),
        **links(
            of.api, {"review_comment_url": "/pulls/comments{/number}", "statuses_url": f"/statuses/{now.head_sha}"}
        ),
    }


def pull_request_hypertext(now: PullRequestNow) -> Json:
    plain = pull_request_links(now)
    named = ("html", "issue", "comments", "review_comments", "review_comment", "commits", "statuses")
    return {"self": {"href": now.api}, **{name: {"href": plain[f"{name}_url"]} for name in named}}


def review(
    identity: int,
    *,
    of: PullRequestNow,
    author: Account | None,
    state: str,
    submitted_at: datetime | None,
    commit_sha: str | None = None,
    body: str | None = None,
    updated_at: datetime | None = None,
) -> Json:
    """A review; `state` is `approved`, `changes_requested`, `commented`, `dismissed` or `pending`."""
    page = f"{of.repository.page}/pull/{of.number}#pullrequestreview-{identity}"
    return {
        "id": identity,
        "node_id": node_id("PRR", identity),
        "user": user_or_ghost(author),
        "body": body,
        "commit_id": commit_sha or of.head_sha,
        "submitted_at": moment_or_none(submitted_at),
        "updated_at": moment_or_none(updated_at or submitted_at),
        "state": state,
        "html_url": page,
        "pull_request_url": of.api,
        "author_association": "MEMBER",
        "_links": {"html": {"href": page}, "pull_request": {"href": of.api}},
    }


def review_comment(
    identity: int,
    *,
    of: PullRequestNow,
    author: Account | None,
    review_id: int | None,
    created_at: datetime,
    updated_at: datetime | None = None,
) -> Json:
    api = f"{of.repository.api}/pulls/comments/{identity}"
    page = f"{of.repository.page}/pull/{of.number}#discussion_r{identity}"
    return {
        "url": api,
        "pull_request_review_id": review_id,
        "id": identity,
        "node_id": node_id("PRRC", identity),
        "diff_hunk": "@@ -1 +1 @@\n-old",
        "path": "README.md",
        "position": 1,
        "original_position": 1,
        "commit_id": of.head_sha,
        "original_commit_id": of.head_sha,
        "user": user_or_ghost(author),
        "body": "Why this way?",
        "created_at": moment(created_at),
        "updated_at": moment(updated_at or created_at),
        "html_url": page,
        "pull_request_url": of.api,
        "author_association": "MEMBER",
        "_links": {"self": {"href": api}, "html": {"href": page}, "pull_request": {"href": of.api}},
        "reactions": reactions(api),
        "start_line": None,
        "original_start_line": None,
        "start_side": None,
        "line": 1,
        "original_line": 1,
        "side": "RIGHT",
        "subject_type": "line",
    }


def thread(identity: int, *comments: Json) -> Json:
    return {"node_id": node_id("PRRT", identity), "comments": list(comments)}
