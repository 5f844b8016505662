"""The tables of facts and of teams, read whole."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from types import SimpleNamespace
from typing import Any

from django.db import connection

Row = Any
AGENTS = {"copilot-swe-agent[bot]"}
ROBOTS = {"k8s-ci-robot"}


def read(table: str) -> list[Row]:
    """Return every row of a table, with its columns as attributes."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")  # noqa: S608  a name of ours
        names = [column.name for column in cursor.description or ()]
        return [SimpleNamespace(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def grouped(rows: list[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _names_issue(issue: Row, rule: Row) -> bool:
    is_of_all = rule.repository_id is None and rule.account_id is None
    names = {"label": issue.labels or [], "title": [issue.title]}.get(rule.field, [])
    is_near = is_of_all or rule.repository_id == issue.repository_id
    return is_near and any(re.search(rule.pattern, name, re.IGNORECASE) for name in names)


@dataclass(frozen=True)
class Facts:
    """What happened, as it is stored."""

    @cached_property
    def pull_requests(self) -> list[Row]:
        return [one for one in read("activity_pullrequest") if one.created_at is not None]

    @cached_property
    def events(self) -> dict[Any, list[Row]]:
        rows = sorted(read("activity_pullrequestevent"), key=lambda one: one.at)
        return grouped(rows, lambda one: (one.repository_id, one.number))

    @cached_property
    def reviews(self) -> dict[Any, list[Row]]:
        rows = [one for one in read("activity_review") if one.submitted_at and one.deleted_at is None]
        return grouped(sorted(rows, key=lambda one: one.submitted_at), lambda one: (one.repository_id, one.number))

    @cached_property
    def comments(self) -> dict[Any, list[Row]]:
        """Return the comments outside reviews, by pull request."""
        rows = [one for one in read("activity_issuecomment") if one.created_at and one.deleted_at is None]
        rows = [one for one in rows if one.is_on_pull_request is not False]
        return grouped(sorted(rows, key=lambda one: one.created_at), lambda one: (one.repository_id, one.number))

    @cached_property
    def pushes(self) -> dict[Any, list[Row]]:
        return grouped(read("activity_push"), lambda one: (one.repository_id, one.ref))

    @cached_property
    def commits(self) -> dict[Any, Row]:
        return {(one.repository_id, one.sha): one for one in read("activity_commit")}

    @cached_property
    def trailers(self) -> dict[Any, list[Row]]:
        return grouped(read("activity_committrailer"), lambda one: (one.repository_id, one.sha))

    @cached_property
    def deployments(self) -> list[Row]:
        return [one for one in read("activity_deployment") if one.created_at is not None]

    @cached_property
    def statuses(self) -> dict[Any, list[Row]]:
        rows = sorted(read("activity_deploymentstatus"), key=lambda one: one.created_at)
        return grouped(rows, lambda one: one.deployment_id)

    @cached_property
    def incident_rules(self) -> list[Row]:
        return read("teams_incidentrule")

    @cached_property
    def incidents(self) -> list[Row]:
        """Return what was reported, and the issues that a rule names by label or title."""
        issues = [one for one in read("activity_issue") if one.created_at and one.deleted_at is None]
        named = [one for one in issues if any(map(partial(_names_issue, one), self.incident_rules))]
        found = [
            SimpleNamespace(
                repository_id=one.repository_id,
                opened_at=one.created_at,
                closed_at=one.closed_at,
                deployment=next((cause for cause in one.causes or () if not cause.startswith("#")), ""),
                caused_by=next((int(cause[1:]) for cause in one.causes or () if cause.startswith("#")), None),
            )
            for one in named
        ]
        reported = [one for one in read("activity_reportedincident") if one.opened_at]
        return found + [SimpleNamespace(**vars(one), caused_by=one.pull_request) for one in reported]

    @cached_property
    def runs(self) -> dict[Any, list[Row]]:
        """Return the attempts of workflow runs that have concluded, by run."""
        rows = [one for one in read("activity_workflowrun") if one.concluded_at is not None]
        return grouped(sorted(rows, key=lambda one: one.attempt), lambda one: (one.repository_id, one.run_id))

    @cached_property
    def accounts(self) -> dict[int, Row]:
        return {one.github_id: one for one in read("activity_contributor")}

    @cached_property
    def memberships(self) -> dict[int, list[Row]]:
        return grouped(read("teams_teammember"), lambda one: one.team_id)

    def is_human(self, account_id: int | None) -> bool:
        """Return whether the account counts as a human; one that nobody knows does."""
        account = self.accounts.get(account_id or 0)
        return account is None or self.is_human_login(account.login, account.kind)

    def login_of(self, account_id: int | None) -> str:
        account = self.accounts.get(account_id or 0)
        return account.login if account else ""

    @staticmethod
    def is_human_login(login: str, kind: str | None = None) -> bool:
        name = login.lower()
        return not (kind == "bot" or name.endswith("[bot]") or name in AGENTS | ROBOTS)

    def account_of(self, commit: Row) -> int | None:
        """Return the author of a commit: named by id, else the youngest account of that login."""
        if commit.author_id is not None or not commit.author_login:
            author_id: int | None = commit.author_id
            return author_id
        alike = [one for one in self.accounts.values() if one.login.lower() == commit.author_login.lower()]
        return max((one.github_id for one in alike), default=None)

    def landing(self, repository_id: int, sha: str | None) -> tuple[Any, int] | None:
        """Return where a commit stands on the default branch: when it landed, and its place in the push."""
        commit = self.commits.get((repository_id, sha))
        at = commit and (commit.landed_at or commit.presumed_landed_at)
        if commit is None or at is None:
            return None
        places = [
            push.commit_shas.index(sha) + 1
            for (owner, _), pushes in self.pushes.items()
            for push in pushes
            if owner == repository_id and push.is_default_branch and push.pushed_at == commit.landed_at
            if sha in push.commit_shas
        ]
        return at, min(places, default=0)
