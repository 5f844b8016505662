"""Issues, labels and the comments outside any diff."""

from dataclasses import dataclass, field
from datetime import datetime
from zlib import crc32

from apps.demo.shapes import Json, links, moment, moment_or_none, node_id
from apps.demo.shapes.accounts import Account, user_or_ghost
from apps.demo.shapes.repositories import RepositoryIdentity


@dataclass(slots=True)
class IssueNow:
    """The state of an issue at a point of a scenario; with `is_pull_request` it is a pull request in this shape."""

    id: int
    number: int
    repository: RepositoryIdentity
    author: Account | None
    title: str
    created_at: datetime
    updated_at: datetime
    body: str | None = None
    closed_at: datetime | None = None
    labels: list[str] = field(default_factory=list)
    is_pull_request: bool = False


def issue(now: IssueNow) -> Json:
    of = now.repository
    api, page = f"{of.api}/issues/{now.number}", f"{of.page}/issues/{now.number}"
    described = {
        "url": api,
        "repository_url": of.api,
        **links(api, {"labels_url": "/labels{/name}", "comments_url": "/comments", "events_url": "/events"}),
        "timeline_url": f"{api}/timeline",
        "html_url": page,
        "id": now.id,
        "node_id": node_id("I", now.id),
        "number": now.number,
        "title": now.title,
        "user": user_or_ghost(now.author),
        "labels": [label(of, name) for name in now.labels],
        "state": "open" if now.closed_at is None else "closed",
        "state_reason": None if now.closed_at is None else "completed",
        "locked": False,
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "comments": 0,
        "created_at": moment(now.created_at),
        "updated_at": moment(now.updated_at),
        "closed_at": moment_or_none(now.closed_at),
        "author_association": "MEMBER",
        "active_lock_reason": None,
        "body": now.body,
        "reactions": reactions(api),
        "performed_via_github_app": None,
    }
    return {**described, **(pull_request_of_issue(now) if now.is_pull_request else {})}


def pull_request_of_issue(now: IssueNow) -> Json:
    """Return the members that distinguish a pull request from an issue, in the shape that both have."""
    page = f"{now.repository.page}/pull/{now.number}"
    return {
        "draft": False,
        "pull_request": {
            "url": f"{now.repository.api}/pulls/{now.number}",
            "html_url": page,
            **links(page, {"diff_url": ".diff", "patch_url": ".patch"}),
            "merged_at": None,
        },
    }


def issue_comment(identity: int, *, of: IssueNow, author: Account | None, created_at: datetime) -> Json:
    api = f"{of.repository.api}/issues/comments/{identity}"
    noun = "pull" if of.is_pull_request else "issues"
    return {
        "url": api,
        "html_url": f"{of.repository.page}/{noun}/{of.number}#issuecomment-{identity}",
        "issue_url": f"{of.repository.api}/issues/{of.number}",
        "id": identity,
        "node_id": node_id("IC", identity),
        "user": user_or_ghost(author),
        "created_at": moment(created_at),
        "updated_at": moment(created_at),
        "author_association": "MEMBER",
        "body": "Looking into it.",
        "reactions": reactions(api),
        "performed_via_github_app": None,
    }


def label(of: RepositoryIdentity, name: str) -> Json:
    identity = crc32(name.encode())
    return {
        "id": identity,
        "node_id": node_id("LA", identity),
        "url": f"{of.api}/labels/{name}",
        "name": name,
        "color": "d73a4a",
        "default": False,
        "description": None,
        "archived_at": None,
        "archived_by": None,
    }


def reactions(api: str) -> Json:
    kinds = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
    return {"url": f"{api}/reactions", "total_count": 0, **dict.fromkeys(kinds, 0)}
