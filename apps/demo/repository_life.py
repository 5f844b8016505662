"""The life of a repository: its main branch, runs, deployments and releases."""

from datetime import datetime, timedelta
from typing import Protocol

from apps.demo.scenario import Scenario, planned
from apps.demo.shapes import Json
from apps.demo.shapes.accounts import Account
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
from apps.demo.shapes.git import NO_COMMIT, Commit, Commits, fake_sha, push
from apps.demo.shapes.repositories import RepositoryIdentity, release

STARTUP = timedelta(seconds=20)


class Headed(Protocol):
    """An object that has a branch with a head."""

    branch: str

    @property
    def head_sha(self) -> str: ...


class RepositoryLife:
    """A repository in a scenario. Methods with a time are carried out at that time of the scenario."""

    def __init__(self, scenario: Scenario, *, identity: int, name: str, created_at: datetime) -> None:
        self._scenario = scenario
        self.now = RepositoryIdentity(
            id=identity,
            name=name,
            owner=scenario.owner,
            created_at=created_at,
            updated_at=created_at,
            pushed_at=created_at,
        )
        self.main_sha = NO_COMMIT
        self._deployments: dict[str, DeploymentMade] = {}

    @property
    def scenario(self) -> Scenario:
        return self._scenario

    def send(self, event: str, payload: Json, *, at: datetime, sender: Account) -> None:
        self.scenario.send(event, payload, at=at, sender=sender, about=self.now)

    @planned
    def create(self, at: datetime, *, by: Account) -> None:
        """Create the repository, with a first commit on its main branch."""
        self.send("repository", {"action": "created"}, at=at, sender=by)
        first = Commit(fake_sha(self.now.id, "root"), by, "Initial commit", at, at)
        self.push_to_main(at, commits=(first,), by=by)

    @planned
    def rename(self, at: datetime, *, to: str, by: Account) -> None:
        changes = {"repository": {"name": {"from": self.now.name}}}
        self.now.name, self.now.updated_at = to, at
        self.send("repository", {"action": "renamed", "changes": changes}, at=at, sender=by)

    def push_to_main(self, at: datetime, *, commits: Commits, by: Account) -> None:
        """Move the main branch, now."""
        ref = f"refs/heads/{self.now.default_branch}"
        before, self.main_sha = self.main_sha, commits[-1].sha
        self.now.updated_at = at
        self.push(at, ref=ref, before=before, after=self.main_sha, commits=commits, by=by)

    def push(
        self,
        at: datetime,
        *,
        ref: str,
        before: str,
        after: str,
        by: Account,
        commits: Commits = (),
        is_forced: bool = False,
    ) -> None:
        """Move any ref, now."""
        self.now.pushed_at = at
        payload = push(self.now, ref=ref, before=before, after=after, commits=commits, pusher=by, is_forced=is_forced)
        self.send("push", payload, at=at, sender=by)

    def deploy(
        self,
        at: datetime,
        *,
        to: str,
        by: Account,
        finished_at: datetime,
        state: str = "success",
        run_id: int | None = None,
        is_run_in_payload: bool = True,
    ) -> None:
        """Deploy the head of the main branch. A run is named in the payloads, or only by the link of a status."""
        key = f"{to} {at.isoformat()}"
        named = run_id if is_run_in_payload else None
        self._request_deployment(at, key=key, to=to, by=by, run_id=named)
        for moment, reported in ((at + STARTUP, "in_progress"), (finished_at, state)):
            self._report(moment, key=key, state=reported, run_id=named, link=run_id)

    @planned
    def _request_deployment(self, at: datetime, *, key: str, to: str, by: Account, run_id: int | None) -> None:
        made = DeploymentMade(self.scenario.next_id(), self.now, self.main_sha, to, by, at)
        self._deployments[key] = made
        payload = {"action": "created", "deployment": deployment(made), **self._run_members(made, run_id, at=at)}
        self.send("deployment", payload, at=at, sender=by)

    @planned
    def _report(self, at: datetime, *, key: str, state: str, run_id: int | None, link: int | None) -> None:
        made = self._deployments[key]
        log_url = "" if link is None else run_link(self.now, link)
        status = deployment_status(self.scenario.next_id(), of=made, state=state, created_at=at, log_url=log_url)
        payload = {
            "action": "created",
            "deployment_status": status,
            "deployment": deployment(made, updated_at=at),
            **self._run_members(made, run_id, at=at),
        }
        self.send("deployment_status", payload, at=at, sender=made.creator)

    def _run_members(self, made: DeploymentMade, run_id: int | None, *, at: datetime) -> Json:
        if run_id is None:
            return {"workflow": None, "workflow_run": None}
        now = RunNow(
            id=run_id,
            repository=self.now,
            actor=made.creator,
            name="Deploy",
            branch=self.now.default_branch,
            sha=made.sha,
            status="in_progress",
            conclusion=None,
            created_at=made.created_at,
            started_at=made.created_at,
            updated_at=at,
        )
        described = workflow(self.now, name="Deploy", created_at=self.now.created_at)
        return {"workflow": described, "workflow_run": short_workflow_run(now)}

    @planned
    def run(
        self,
        at: datetime,
        *,
        run_id: int,
        by: Account,
        finished_at: datetime,
        conclusion: str = "success",
        attempt: int = 1,
        of: Headed | None = None,
    ) -> None:
        """Run a workflow on the head of the main branch, or of a pull request, until it is concluded."""
        branch, sha = (of.branch, of.head_sha) if of else (self.now.default_branch, self.main_sha)
        for action, status, moment in (
            ("requested", "queued", at),
            ("in_progress", "in_progress", at + STARTUP),
            ("completed", "completed", finished_at),
        ):
            now = RunNow(
                id=run_id,
                repository=self.now,
                actor=by,
                name="Tests",
                branch=branch,
                sha=sha,
                status=status,
                conclusion=conclusion if status == "completed" else None,
                created_at=at,
                started_at=at,
                updated_at=moment,
                attempt=attempt,
            )
            payload = {
                "action": action,
                "workflow_run": workflow_run(now),
                "workflow": workflow(self.now, name="Tests", created_at=self.now.created_at),
            }
            self.send("workflow_run", payload, at=moment, sender=by)

    @planned
    def release(self, at: datetime, *, tag: str, by: Account) -> None:
        made = release(self.scenario.next_id(), of=self.now, author=by, tag=tag, created_at=at, published_at=at)
        self.send("release", {"action": "published", "release": made}, at=at, sender=by)
