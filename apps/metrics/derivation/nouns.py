"""The kinds of derived rows: their keys, locks and derivations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from apps.activity.models import Commit, Deployment, PullRequest
from apps.metrics.derivation import commits, deployments, pull_requests
from apps.metrics.derivation.commits import COMMITS
from apps.metrics.derivation.deployments import DEPLOYMENTS
from apps.metrics.derivation.pull_requests import CLOSINGS, PULL_REQUESTS, REVIEWS
from apps.metrics.derived_tables import DerivedTable, Row, Scope

Keys = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Derivation:
    """The rows that a table should have within some scopes."""

    table: DerivedTable
    scopes: Sequence[Scope]
    rows: Sequence[Row]

    def store(self) -> set[int]:
        """Replace the rows; return the repositories that they are of."""
        self.table.replace(self.scopes, self.rows)
        return {scope[0] for scope in self.scopes}


@dataclass(frozen=True, slots=True, kw_only=True)
class Noun:
    """A kind of derived rows; `keys_in` returns all keys of a repository, derived or not."""

    name: str
    locks: Callable[[Keys], list[str]]
    derive: Callable[[Keys], list[Derivation]]
    keys_in: Callable[[int], list[Any]]


def _pull_requests(scopes: Keys) -> list[Derivation]:
    derived = pull_requests.derive(scopes)
    return [
        Derivation(PULL_REQUESTS, scopes, derived.pull_requests),
        Derivation(CLOSINGS, scopes, derived.closings),
        Derivation(REVIEWS, scopes, derived.reviews),
    ]


def _pull_requests_in(repository_id: int) -> list[Scope]:
    facts = PullRequest.objects.filter(repository_id=repository_id).values_list("repository_id", "number")
    return sorted(set(facts).union(*(table.scopes_of(repository_id) for table in (PULL_REQUESTS, CLOSINGS, REVIEWS))))


def _commits(scopes: Keys) -> list[Derivation]:
    return [Derivation(COMMITS, scopes, commits.derive(scopes))]


def _commits_in(repository_id: int) -> list[Scope]:
    landed = Q(landed_at__isnull=False) | Q(presumed_landed_at__isnull=False)
    facts = Commit.objects.filter(landed, repository_id=repository_id).values_list("repository_id", "sha")
    return sorted(set(facts) | COMMITS.scopes_of(repository_id))


def _deployments(deployment_ids: Keys) -> list[Derivation]:
    scopes, rows = deployments.derive(deployment_ids)
    return [Derivation(DEPLOYMENTS, scopes, rows)]


def _deployments_in(repository_id: int) -> list[int]:
    facts = Deployment.objects.filter(repository_id=repository_id).values_list("pk", flat=True)
    rows = DEPLOYMENTS.model._default_manager.filter(repository_id=repository_id)
    derived = (each for ids in rows.values_list("deployment_ids", flat=True) for each in ids)
    return sorted(set(facts).union(derived))


PULL_REQUEST = Noun(
    name="pull requests",
    locks=lambda scopes: [f"pull_request {repository_id}:{number}" for repository_id, number in scopes],
    derive=_pull_requests,
    keys_in=_pull_requests_in,
)
COMMIT = Noun(
    name="commits",
    locks=lambda scopes: [f"commit {repository_id}:{sha}" for repository_id, sha in scopes],
    derive=_commits,
    keys_in=_commits_in,
)
DEPLOYMENT = Noun(
    name="deployments",
    # A deployment may move from one group to another, so a repository's groups are derived by one at a time.
    locks=lambda ids: [f"deployments {repository_id}" for repository_id in deployments.repositories_of(ids)],
    derive=_deployments,
    keys_in=_deployments_in,
)
NOUNS = (PULL_REQUEST, COMMIT, DEPLOYMENT)
