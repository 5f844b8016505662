"""One payload of real shape for every event and action that has a translator."""

from collections.abc import Callable

from apps.demo.shapes import API, Json, moment, node_id
from apps.demo.shapes.accounts import installation, organization, short_installation, team, user
from apps.demo.shapes.deployments import (
    DeploymentMade,
    RunNow,
    deployment,
    deployment_status,
    run_link,
    short_workflow_run,
    workflow,
    workflow_run,
)
from apps.demo.shapes.git import Commit, fake_sha, push
from apps.demo.shapes.issues import IssueNow, issue, issue_comment, label
from apps.demo.shapes.pull_requests import (
    PullRequestNow,
    pull_request,
    review,
    review_comment,
    short_pull_request,
    thread,
)
from apps.demo.shapes.repositories import RepositoryIdentity, release, repository, shortened_repository
from tests.github.fixture_a import ACME, ANA, BEN
from tests.github.times import at

INSTALLATION_ID = 61_001
CREATED = at("03-02", "09:00")
NOW = at("03-02", "10:00")
ACME_API = RepositoryIdentity(7_100, "api", ACME, CREATED, NOW, NOW)
PULL_REQUEST = PullRequestNow(
    id=8_100,
    number=12,
    repository=ACME_API,
    author=ANA,
    title="Sort by name",
    branch="ana/sort",
    base_sha=fake_sha("base"),
    head_sha=fake_sha("head"),
    created_at=CREATED,
    updated_at=NOW,
    labels=["bug"],
)
ISSUE = IssueNow(8_200, 13, ACME_API, BEN, "Exports time out", CREATED, NOW, labels=["bug", "incident"])
DEPLOYMENT = DeploymentMade(8_300, ACME_API, fake_sha("head"), "production", BEN, NOW)
COMMIT = Commit(fake_sha("head"), ANA, "Sort by name\n\nLong story.", CREATED, CREATED)
REVIEW_STATES = {"submitted": "approved", "edited": "approved", "dismissed": "dismissed"}
RUN_STATUSES = {"requested": "queued", "in_progress": "in_progress", "completed": "completed"}


def payload_of(event: str, action: str | None) -> Json:
    """A payload as GitHub would send it for this event and action."""
    described = {"action": action} if action else {}
    described |= BUILDERS[event](action or "")
    around: Json = {"organization": organization(ACME), "sender": user(ANA)}
    if event not in {"installation", "installation_repositories", "installation_target", "membership", "organization"}:
        around["repository"] = repository(ACME_API)
    if event not in {"installation", "installation_repositories"}:
        around["installation"] = short_installation(INSTALLATION_ID)
    return {**around, **described}


def full_installation(action: str) -> Json:
    suspended_at = NOW if action == "suspend" else None
    return installation(
        INSTALLATION_ID, account=ACME, created_at=CREATED, updated_at=NOW, suspended_at=suspended_at, suspended_by=BEN
    )


def installation_payload(action: str) -> Json:
    listed = [shortened_repository(ACME_API)]
    return {"installation": full_installation(action), "repositories": listed, "requester": None}


def installation_repositories_payload(action: str) -> Json:
    listed = [shortened_repository(ACME_API)]
    return {
        "installation": full_installation(action),
        "repository_selection": "selected",
        "repositories_added": listed if action == "added" else [],
        "repositories_removed": listed if action == "removed" else [],
        "requester": None,
    }


def repository_payload(action: str) -> Json:
    changes: Json = {
        "renamed": {"repository": {"name": {"from": "old"}}},
        "transferred": {"owner": {"from": {"user": user(BEN)}}},
        "edited": {"default_branch": {"from": "master"}},
    }
    return {"changes": changes[action]} if action in changes else {}


def push_payload(_: str) -> Json:
    ref = "refs/heads/main"
    return push(ACME_API, ref=ref, before=fake_sha("base"), after=COMMIT.sha, commits=(COMMIT,), pusher=ANA)


def create_payload(_: str) -> Json:
    return {
        "ref": "v1",
        "ref_type": "tag",
        "master_branch": "main",
        "description": None,
        "pusher_type": "user",
    }


def delete_payload(_: str) -> Json:
    return {"ref": "v1", "ref_type": "tag", "pusher_type": "user"}


def pull_request_payload(action: str) -> Json:
    more: Json = {
        "assigned": {"assignee": user(ANA)},
        "unassigned": {"assignee": user(ANA)},
        "auto_merge_disabled": {"reason": "by hand"},
        "auto_merge_enabled": {"reason": "by hand"},
        "dequeued": {"reason": "MANUAL"},
        "edited": {"changes": {"title": {"from": "Sort"}}},
        "labeled": {"label": label(ACME_API, "bug")},
        "unlabeled": {"label": label(ACME_API, "bug")},
        "milestoned": {"milestone": milestone()},
        "demilestoned": {"milestone": milestone()},
        "review_requested": {"requested_reviewer": user(BEN)},
        "review_request_removed": {"requested_team": {**team(9_001, slug="core", organization_login="acme")}},
        "stacked": {"stack": {"id": 1, "number": 1, "base": {"ref": "main", "sha": fake_sha("base")}, "size": 2}},
        "synchronize": {"before": fake_sha("base"), "after": fake_sha("head")},
    }
    return {"number": 12, "pull_request": pull_request(PULL_REQUEST), **more.get(action, {})}


def milestone() -> Json:
    api = f"{ACME_API.api}/milestones/1"
    return {
        "url": api,
        "html_url": f"{ACME_API.page}/milestone/1",
        "labels_url": f"{api}/labels",
        "id": 8_400,
        "node_id": node_id("MI", 8_400),
        "number": 1,
        "title": "v1",
        "description": None,
        "creator": user(ANA),
        "open_issues": 1,
        "closed_issues": 0,
        "state": "open",
        "created_at": moment(CREATED),
        "updated_at": moment(NOW),
        "due_on": None,
        "closed_at": None,
    }


def review_payload(action: str) -> Json:
    made = review(8_500, of=PULL_REQUEST, author=BEN, state=REVIEW_STATES[action], submitted_at=NOW)
    more: Json = {"changes": {"body": {"from": ""}}} if action == "edited" else {}
    return {"review": made, "pull_request": short_pull_request(PULL_REQUEST), **more}


def review_comment_payload(action: str) -> Json:
    comment = review_comment(8_600, of=PULL_REQUEST, author=BEN, review_id=8_500, created_at=NOW)
    more: Json = {"changes": {"body": {"from": ""}}} if action == "edited" else {}
    return {"comment": comment, "pull_request": short_pull_request(PULL_REQUEST), **more}


def review_thread_payload(_: str) -> Json:
    comment = review_comment(8_600, of=PULL_REQUEST, author=BEN, review_id=8_500, created_at=NOW)
    return {"thread": thread(8_700, comment), "pull_request": short_pull_request(PULL_REQUEST)}


def issues_payload(action: str) -> Json:
    more: Json = {
        "edited": {"changes": {"title": {"from": "Slow"}}},
        "labeled": {"label": label(ACME_API, "bug")},
        "unlabeled": {"label": label(ACME_API, "bug")},
        "milestoned": {"milestone": milestone()},
        "demilestoned": {"milestone": milestone()},
        "transferred": {"changes": {"new_issue": issue(ISSUE), "new_repository": repository(ACME_API)}},
        "locked": {"issue": {**issue(ISSUE), "locked": True, "active_lock_reason": "resolved"}},
        "field_added": {"issue_field": {"id": 1, "name": "Effort", "field_type": "number"}},
        "field_removed": {"issue_field": {"id": 1, "name": "Effort", "field_type": "number"}},
        "typed": {"type": issue_type()},
        "untyped": {"type": issue_type()},
    }
    return {"issue": issue(ISSUE), **more.get(action, {})}


def issue_type() -> Json:
    return {
        "id": 1,
        "node_id": node_id("IT", 1),
        "name": "Bug",
        "description": None,
        "color": "red",
        "created_at": moment(CREATED),
        "updated_at": moment(NOW),
        "is_enabled": True,
    }


def issue_comment_payload(action: str) -> Json:
    more: Json = {"changes": {"body": {"from": ""}}} if action == "edited" else {}
    return {"issue": issue(ISSUE), "comment": issue_comment(8_800, of=ISSUE, author=ANA, created_at=NOW), **more}


def run(action: str) -> RunNow:
    return RunNow(
        id=8_900,
        repository=ACME_API,
        actor=BEN,
        name="Tests",
        branch="main",
        sha=fake_sha("head"),
        status=RUN_STATUSES[action],
        conclusion="success" if action == "completed" else None,
        created_at=CREATED,
        started_at=CREATED,
        updated_at=NOW,
    )


def deployment_payload(_: str) -> Json:
    return {
        "deployment": deployment(DEPLOYMENT),
        "workflow": workflow(ACME_API, name="Tests", created_at=CREATED),
        "workflow_run": short_workflow_run(run("in_progress")),
    }


def deployment_status_payload(_: str) -> Json:
    link = run_link(ACME_API, 8_900)
    status = deployment_status(8_950, of=DEPLOYMENT, state="success", created_at=NOW, log_url=link)
    return {
        "deployment_status": status,
        "deployment": deployment(DEPLOYMENT),
        "workflow": None,
        "workflow_run": None,
    }


def workflow_run_payload(action: str) -> Json:
    return {
        "workflow_run": workflow_run(run(action)),
        "workflow": workflow(ACME_API, name="Tests", created_at=CREATED),
    }


def release_payload(action: str) -> Json:
    published_at = None if action in {"created", "unpublished"} else NOW
    made = release(9_100, of=ACME_API, author=ANA, tag="v1", created_at=CREATED, published_at=published_at)
    made["prerelease"] = action == "prereleased"
    more: Json = {"changes": {"body": {"from": ""}}} if action == "edited" else {}
    return {"release": made, **more}


def member_payload(action: str) -> Json:
    more: Json = {
        "added": {"changes": {"permission": {"to": "write"}, "role_name": {"to": "write"}}},
        "edited": {"changes": {"old_permission": {"from": "read"}, "permission": {"from": "read", "to": "write"}}},
    }
    return {"member": user(BEN), **more.get(action, {})}


def membership_payload(_: str) -> Json:
    described = team(9_001, slug="core", organization_login="acme")
    return {"scope": "team", "member": user(BEN), "team": described}


def team_payload(action: str) -> Json:
    more: Json = {"changes": {"name": {"from": "old"}}} if action == "edited" else {}
    return {"team": team(9_001, slug="core", organization_login="acme"), **more}


def organization_payload(action: str) -> Json:
    belongs = {
        "url": f"{API}/orgs/acme/memberships/ben",
        "state": "active",
        "role": "member",
        "organization_url": f"{API}/orgs/acme",
        "user": user(BEN),
    }
    invitation = {
        "id": 9_300,
        "node_id": node_id("OI", 9_300),
        "login": "ben",
        "email": None,
        "role": "direct_member",
        "created_at": moment(NOW),
        "failed_at": None,
        "failed_reason": None,
        "inviter": user(ANA),
        "team_count": 0,
        "invitation_teams_url": f"{API}/organizations/500/invitations/9300/teams",
    }
    more: Json = {
        "renamed": {"changes": {"login": {"from": "oldacme"}}},
        "member_invited": {"invitation": invitation, "user": user(BEN)},
    }
    return more.get(action, {"membership": belongs})


def installation_target_payload(_: str) -> Json:
    return {
        "account": {**user(ACME), "description": None},
        "changes": {"login": {"from": "oldacme"}},
        "target_type": "Organization",
    }


def ping_payload(_: str) -> Json:
    hook = {
        "type": "App",
        "id": 1,
        "name": "web",
        "active": True,
        "events": ["push"],
        "config": {"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": "https://example.com"},
        "updated_at": moment(NOW),
        "created_at": moment(CREATED),
        "app_id": 1,
        "deliveries_url": f"{API}/app/hook/deliveries",
    }
    return {"zen": "Design for failure.", "hook_id": 1, "hook": hook}


BUILDERS: dict[str, Callable[[str], Json]] = {
    "ping": ping_payload,
    "installation": installation_payload,
    "installation_repositories": installation_repositories_payload,
    "installation_target": installation_target_payload,
    "repository": repository_payload,
    "push": push_payload,
    "create": create_payload,
    "delete": delete_payload,
    "pull_request": pull_request_payload,
    "pull_request_review": review_payload,
    "pull_request_review_comment": review_comment_payload,
    "pull_request_review_thread": review_thread_payload,
    "issues": issues_payload,
    "issue_comment": issue_comment_payload,
    "deployment": deployment_payload,
    "deployment_status": deployment_status_payload,
    "workflow_run": workflow_run_payload,
    "release": release_payload,
    "member": member_payload,
    "membership": membership_payload,
    "team": team_payload,
    "organization": organization_payload,
}
