"""Accounts, organisations, teams and installations."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from apps.demo.shapes import API, HOST, Json, links, moment, moment_or_none, node_id

APP_ID = 412233
APP_SLUG = "tformance"
PERMISSIONS = ("actions", "contents", "deployments", "issues", "members", "metadata", "pull_requests")
TRANSLATORS = Path(__file__).resolve().parents[2] / "github" / "events"
EVENTS = tuple(
    sorted(
        {name for path in TRANSLATORS.glob("*.py") for name in re.findall(r'@translates\(\s*"(\w+)"', path.read_text())}
        - {"ping", "installation", "installation_repositories", "installation_target"}
    )
)
"""What the App subscribes to: all that has a translator, read from the text, as the fake GitHub runs without Django."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account on GitHub. `kind` is `User`, `Bot` or `Organization`; a bot's login ends in `[bot]`."""

    id: int
    login: str
    kind: str = "User"


WEB_FLOW = Account(19_864_447, "web-flow")
"""The committer of changes on GitHub's pages, with the merge button too."""


def person(identity: int, login: str) -> Account:
    return Account(identity, login, "Bot" if login.endswith("[bot]") else "User")


def user(account: Account) -> Json:
    """The account as a member of nearly every payload."""
    root = f"{API}/users/{account.login}".replace("[", "%5B").replace("]", "%5D")
    page = f"apps/{account.login.removesuffix('[bot]')}" if account.kind == "Bot" else account.login
    return {
        "login": account.login,
        "id": account.id,
        "node_id": node_id(account.kind[0], account.id),
        "avatar_url": f"https://avatars.githubusercontent.com/u/{account.id}?v=4",
        "gravatar_id": "",
        "url": root,
        "html_url": f"{HOST}/{page}",
        **links(root, USER_LINKS),
        "type": account.kind,
        "user_view_type": "public",
        "site_admin": False,
    }


USER_LINKS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}


def user_or_ghost(account: Account | None) -> Json | None:
    return None if account is None else user(account)


def organization(account: Account) -> Json:
    """The organisation as a member of a payload: it has no `type` there."""
    root = f"{API}/orgs/{account.login}"
    return {
        "login": account.login,
        "id": account.id,
        "node_id": node_id("O", account.id),
        "url": root,
        **links(root, {"repos_url": "/repos", "events_url": "/events", "hooks_url": "/hooks", "issues_url": "/issues"}),
        **links(root, {"members_url": "/members{/member}", "public_members_url": "/public_members{/member}"}),
        "avatar_url": f"https://avatars.githubusercontent.com/u/{account.id}?v=4",
        "description": "",
    }


def team(identity: int, *, slug: str, organization_login: str) -> Json:
    root = f"{API}/organizations/{organization_login}/team/{identity}"
    return {
        "name": slug.title(),
        "id": identity,
        "node_id": node_id("T", identity),
        "slug": slug,
        "description": "",
        "privacy": "closed",
        "notification_setting": "notifications_enabled",
        "url": root,
        "html_url": f"{HOST}/orgs/{organization_login}/teams/{slug}",
        "members_url": f"{root}/members{{/member}}",
        "repositories_url": f"{root}/repos",
        "permission": "pull",
        "parent": None,
    }


def installation(
    identity: int,
    *,
    account: Account,
    created_at: datetime,
    updated_at: datetime | None = None,
    suspended_at: datetime | None = None,
    suspended_by: Account | None = None,
    permissions: Iterable[str] = PERMISSIONS,
    events: Iterable[str] = EVENTS,
) -> Json:
    """The full installation, as only its own events show it."""
    return {
        "id": identity,
        "client_id": "Iv1.0123456789abcdef",
        "account": user(account),
        "repository_selection": "selected",
        "access_tokens_url": f"{API}/app/installations/{identity}/access_tokens",
        "repositories_url": f"{API}/installation/repositories",
        "html_url": f"{HOST}/organizations/{account.login}/settings/installations/{identity}",
        "app_id": APP_ID,
        "app_slug": APP_SLUG,
        "target_id": account.id,
        "target_type": account.kind,
        "permissions": dict.fromkeys(permissions, "read"),
        "events": list(events),
        "created_at": moment(created_at),
        "updated_at": moment(updated_at or created_at),
        "single_file_name": None,
        "has_multiple_single_files": False,
        "single_file_paths": [],
        "suspended_by": user(suspended_by) if suspended_by else None,
        "suspended_at": moment_or_none(suspended_at),
    }


def short_installation(identity: int) -> Json:
    """The installation as ordinary payloads name it."""
    return {"id": identity, "node_id": node_id("MDIz", identity)}
