"""The tables beside what is true on the fake GitHub: read off its truth, not off its answers."""

from collections.abc import Iterable
from typing import Any

from apps.activity.models import (
    Commit,
    Deployment,
    DeploymentStatus,
    Issue,
    IssueComment,
    Release,
    ReviewComment,
    WorkflowRun,
)
from tests.fake_github.truth import RepositoryTruth
from tests.integrations.true_rows import Row, Rows, difference, pull_requests, true_rows
from tests.integrations.true_rows import differences as differences_of_pull_requests

COLUMNS: dict[Any, tuple[str, ...]] = {
    Issue: ("number", "title", "state", "author_id", "closed_at"),
    IssueComment: ("github_id", "number", "author_id"),
    ReviewComment: ("github_id", "number", "author_id"),
    Release: ("github_id", "tag_name", "is_draft", "published_at"),
    Deployment: ("github_id", "sha", "environment"),
    DeploymentStatus: ("github_id", "deployment_id", "state"),
    WorkflowRun: ("run_id", "attempt", "status", "conclusion"),
    Commit: ("sha", "headline"),
}
"""What is compared of each table, first the key. Of a run the latest attempt is what GitHub shows."""


def differences(truth: RepositoryTruth) -> list[str]:
    """Return what our rows of this repository say otherwise than GitHub would; empty is equal."""
    found = differences_of_pull_requests(truth, numbers=[pull.number for pull in pull_requests(truth)])
    for model, columns in COLUMNS.items():
        ours = keyed(rows_here(model, truth.json["id"]).values(*columns), columns)
        true = keyed(true_rows(model, truth), columns)
        keys = sorted(ours.keys() | true.keys())
        found += [difference(f"{model.__name__} {key}", ours.get(key), true.get(key)) for key in keys]
    return [one for one in found if one]


def rows_here(model: Any, repository_id: int) -> Any:
    """Return what is here and not deleted; of commits, those of the default branch."""
    rows = model.objects.filter(repository=repository_id)
    if model is Commit:
        return rows.exclude(landed_at=None, presumed_landed_at=None)
    return rows.filter(deleted_at=None) if hasattr(model, "deleted_at") else rows


def keyed(rows: Iterable[Row], columns: tuple[str, ...]) -> Rows:
    return {row[columns[0]]: {name: row[name] for name in columns} for row in rows}
