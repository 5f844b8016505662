"""Repositories and releases."""

from dataclasses import dataclass, field
from datetime import datetime

from apps.demo.shapes import API, HOST, Json, links, moment, moment_or_none, node_id
from apps.demo.shapes.accounts import Account, user, user_or_ghost


@dataclass(slots=True)
class RepositoryIdentity:
    """The state of a repository at a point of a scenario."""

    id: int
    name: str
    owner: Account
    created_at: datetime
    updated_at: datetime
    pushed_at: datetime
    default_branch: str = "main"
    is_private: bool = True
    is_archived: bool = False
    topics: list[str] = field(default_factory=list)

    @property
    def full_name(self) -> str:
        return f"{self.owner.login}/{self.name}"

    @property
    def api(self) -> str:
        return f"{API}/repos/{self.full_name}"

    @property
    def page(self) -> str:
        return f"{HOST}/{self.full_name}"


def repository(of: RepositoryIdentity) -> Json:
    """The full repository, as nearly every payload carries it."""
    return {
        **shortened_repository(of),
        "owner": user(of.owner),
        "html_url": of.page,
        "description": None,
        "fork": False,
        "url": of.api,
        **links(of.api, REPOSITORY_LINKS),
        "created_at": moment(of.created_at),
        "updated_at": moment(of.updated_at),
        "pushed_at": moment(of.pushed_at),
        "git_url": f"git://github.com/{of.full_name}.git",
        "ssh_url": f"git@github.com:{of.full_name}.git",
        "clone_url": f"{of.page}.git",
        "svn_url": of.page,
        "default_branch": of.default_branch,
        **repository_details(of),
    }


def shortened_repository(of: RepositoryIdentity) -> Json:
    """All that the lists of an installation's events show."""
    return {
        "id": of.id,
        "node_id": node_id("R", of.id),
        "name": of.name,
        "full_name": of.full_name,
        "private": of.is_private,
    }


def pushed_repository(of: RepositoryIdentity) -> Json:
    """The repository in a push: its times are seconds since 1970, and its owner has a name and an e-mail."""
    described = repository(of)
    owner = {"name": of.owner.login, "email": None, **described["owner"]}
    return {
        **described,
        "owner": owner,
        "created_at": int(of.created_at.timestamp()),
        "pushed_at": int(of.pushed_at.timestamp()),
        "stargazers": 0,
        "master_branch": of.default_branch,
    }


def repository_details(of: RepositoryIdentity) -> Json:
    return {
        "homepage": None,
        "size": 108,
        "stargazers_count": 0,
        "watchers_count": 0,
        "language": "Python",
        "has_issues": True,
        "has_projects": True,
        "has_downloads": True,
        "has_wiki": True,
        "has_pages": False,
        "has_discussions": False,
        "forks_count": 0,
        "mirror_url": None,
        "archived": of.is_archived,
        "disabled": False,
        "open_issues_count": 1,
        "license": None,
        "allow_forking": True,
        "is_template": False,
        "web_commit_signoff_required": False,
        "topics": of.topics,
        "visibility": "private" if of.is_private else "public",
        "forks": 0,
        "open_issues": 1,
        "watchers": 0,
    }


REPOSITORY_LINKS = {
    "forks_url": "/forks",
    "keys_url": "/keys{/key_id}",
    "collaborators_url": "/collaborators{/collaborator}",
    "teams_url": "/teams",
    "hooks_url": "/hooks",
    "issue_events_url": "/issues/events{/number}",
    "events_url": "/events",
    "assignees_url": "/assignees{/user}",
    "branches_url": "/branches{/branch}",
    "tags_url": "/tags",
    "blobs_url": "/git/blobs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "trees_url": "/git/trees{/sha}",
    "statuses_url": "/statuses/{sha}",
    "languages_url": "/languages",
    "stargazers_url": "/stargazers",
    "contributors_url": "/contributors",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "commits_url": "/commits{/sha}",
    "git_commits_url": "/git/commits{/sha}",
    "comments_url": "/comments{/number}",
    "issue_comment_url": "/issues/comments{/number}",
    "contents_url": "/contents/{+path}",
    "compare_url": "/compare/{base}...{head}",
    "merges_url": "/merges",
    "archive_url": "/{archive_format}{/ref}",
    "downloads_url": "/downloads",
    "issues_url": "/issues{/number}",
    "pulls_url": "/pulls{/number}",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "labels_url": "/labels{/name}",
    "releases_url": "/releases{/id}",
    "deployments_url": "/deployments",
}


def release(
    identity: int,
    *,
    of: RepositoryIdentity,
    author: Account | None,
    tag: str,
    created_at: datetime,
    published_at: datetime | None,
    updated_at: datetime | None = None,
) -> Json:
    return {
        "url": f"{of.api}/releases/{identity}",
        "assets_url": f"{of.api}/releases/{identity}/assets",
        "upload_url": f"https://uploads.github.com/repos/{of.full_name}/releases/{identity}/assets{{?name,label}}",
        "html_url": f"{of.page}/releases/tag/{tag}",
        "id": identity,
        "author": user_or_ghost(author),
        "node_id": node_id("RE", identity),
        "tag_name": tag,
        "target_commitish": of.default_branch,
        "name": tag,
        "draft": published_at is None,
        "immutable": False,
        "prerelease": False,
        "created_at": moment(created_at),
        "updated_at": moment(updated_at or published_at or created_at),
        "published_at": moment_or_none(published_at),
        "assets": [],
        "tarball_url": f"{of.api}/tarball/{tag}",
        "zipball_url": f"{of.api}/zipball/{tag}",
        "body": "",
    }
