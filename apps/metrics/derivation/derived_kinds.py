"""The kinds of derived rows: their keys, locks and derivations."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, Q

from apps.activity.models import (
    Commit,
    Deployment,
    Issue,
    PullRequest,
    Release,
    ReportedDeployment,
    ReportedIncident,
    WorkflowRun,
)
from apps.metrics.derivation import (
    ci_runs,
    commits,
    deployments,
    deployments_from_chosen_sources,
    incidents,
    pull_requests,
    remediations,
    reported_deployments,
    shipments,
)
from apps.metrics.derivation.ai_evidence import EVIDENCE
from apps.metrics.derivation.ci_runs import WORKFLOW_RUNS
from apps.metrics.derivation.commits import COMMITS
from apps.metrics.derivation.deployment_rules import Kind
from apps.metrics.derivation.deployments import DEPLOYMENTS
from apps.metrics.derivation.incidents import FAILURES, INCIDENTS
from apps.metrics.derivation.pull_requests import CLOSINGS, PULL_REQUESTS, REVIEWS
from apps.metrics.derivation.remediations import REMEDIATIONS
from apps.metrics.derivation.review_requests import REVIEW_REQUESTS
from apps.metrics.derivation.shipments import SHIPMENTS
from apps.metrics.derived_row_writer import DerivedTable, Row, Scope
from apps.teams.models import IncidentRule

Keys = Sequence[Any]
Spread = Callable[[Collection[Row], Collection[Row]], None]
Observe = Callable[[DerivedTable, Collection[Row], Collection[Row]], None]


@dataclass(frozen=True, slots=True)
class Derivation:
    """The rows that a table should have within some scopes."""

    table: DerivedTable
    scopes: Sequence[Scope]
    rows: Sequence[Row]

    spread: Spread | None = None
    """Enqueues what the rows that are gone and the new ones make stale."""

    def store(self) -> set[int]:
        """Replace the rows; return the repositories that they are of."""
        self.table.replace(self.scopes, self.rows)
        return {scope[0] for scope in self.scopes}

    def store_and_spread(self, observe: Observe | None = None) -> set[int]:
        """Store the rows, and enqueue what differs because of them; return the repositories that they are of.

        `observe` gets the table, the rows that are gone and the new ones.
        """
        if self.spread is None and observe is None:
            return self.store()
        before, after = self.table.stored(self.scopes), set(self.rows)
        stored = self.store()
        if before != after and self.spread is not None:
            self.spread(before - after, after - before)
        if before != after and observe is not None:
            observe(self.table, before - after, after - before)
        return stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Noun:
    """A kind of derived rows; `keys_in` returns all keys of a repository, derived or not.

    `locks` are of one recalculation at a time, `shared_locks` of several: they keep out who has them alone.
    """

    name: str
    locks: Callable[[Keys], list[str]]
    shared_locks: Callable[[Keys], list[str]] = lambda _: []
    derive: Callable[[Keys], list[Derivation]]
    keys_in: Callable[[int], list[Any]]


def _pull_requests(scopes: Keys) -> list[Derivation]:
    derived = pull_requests.derive(scopes)
    return [
        Derivation(PULL_REQUESTS, scopes, derived.pull_requests),
        Derivation(CLOSINGS, scopes, derived.closings),
        Derivation(REVIEWS, scopes, derived.reviews),
        Derivation(REVIEW_REQUESTS, scopes, derived.requests),
        Derivation(EVIDENCE, scopes, derived.evidence),
        Derivation(SHIPMENTS, scopes, derived.shipments, spread=_spread_shipments),
    ]


def _pull_requests_in(repository_id: int) -> list[Scope]:
    facts = PullRequest.objects.filter(repository_id=repository_id).values_list("repository_id", "number")
    tables = (PULL_REQUESTS, CLOSINGS, REVIEWS, REVIEW_REQUESTS, EVIDENCE, SHIPMENTS)
    return sorted(set(facts).union(*(table.scopes_of(repository_id) for table in tables)))


def _commits(scopes: Keys) -> list[Derivation]:
    return [Derivation(COMMITS, scopes, commits.derive(scopes))]


def _commits_in(repository_id: int) -> list[Scope]:
    landed = Q(landed_at__isnull=False) | Q(presumed_landed_at__isnull=False)
    facts = Commit.objects.filter(landed, repository_id=repository_id).values_list("repository_id", "sha")
    return sorted(set(facts) | COMMITS.scopes_of(repository_id))


def _deployments(deployment_ids: Keys) -> list[Derivation]:
    scopes, rows = deployments.derive(deployment_ids)
    return [Derivation(DEPLOYMENTS, scopes, rows, spread=_spread_deployments)]


def _spread_deployments(before: Collection[Row], after: Collection[Row]) -> None:
    deployments.hand_on_jobs(after)
    shipments.hand_on([*before, *after])
    remediations.hand_on_deployments([*before, *after])
    incidents.hand_on_deployments([*before, *after])


def _spread_shipments(before: Collection[Row], after: Collection[Row]) -> None:
    remediations.hand_on_shipments([*before, *after])
    incidents.hand_on_shipments([*before, *after])


def _remediations(scopes: Keys) -> list[Derivation]:
    return [Derivation(REMEDIATIONS, scopes, remediations.derive(scopes))]


def _remediations_in(repository_id: int) -> list[Scope]:
    rows = DEPLOYMENTS.model._default_manager.filter(repository_id=repository_id, succeeded_at__isnull=False)
    return sorted(set(rows.values_list("repository_id", "name")) | REMEDIATIONS.scopes_of(repository_id))


def _incidents(scopes: Keys) -> list[Derivation]:
    found, failures = incidents.derive(scopes)
    return [
        Derivation(INCIDENTS, scopes, found),
        Derivation(FAILURES, scopes, failures, spread=_spread_failures),
    ]


def _spread_failures(before: Collection[Row], after: Collection[Row]) -> None:
    remediations.hand_on_failures([*before, *after])


def _incidents_in(repository_id: int) -> list[Scope]:
    names = set(INCIDENTS.scopes_of(repository_id)) | FAILURES.scopes_of(repository_id)
    if IncidentRule.objects.exists():
        numbers = Issue.objects.filter(repository_id=repository_id).values_list("number", flat=True)
        names.update((repository_id, f"{incidents.ISSUE}{number}") for number in numbers)
    reports = ReportedIncident.objects.filter(repository_id=repository_id).values_list("external_id", flat=True)
    names.update((repository_id, f"{incidents.REPORT}{external_id}") for external_id in reports)
    return sorted(names)


def _locks_of_incidents(scopes: Keys) -> list[str]:
    """Return the locks of deployments, from which incidents follow; none where no issue is or was an incident."""
    repositories = {repository_id for repository_id, _ in scopes}
    if not IncidentRule.objects.exists():
        reported = {repository_id for repository_id, name in scopes if not incidents.issue_of(name)}
        known = INCIDENTS.model._default_manager.filter(repository_id__in=repositories)
        repositories = reported.union(known.values_list("repository_id", flat=True))
    return [lock_of_deployments(repository_id) for repository_id in repositories]


def lock_of_deployments(repository_id: int) -> str:
    """Return the lock of a repository's deployments, which follow from each other."""
    return f"deployments {repository_id}"


def _chosen(kind: Kind, *, name: str, keys_in: Callable[[int], list[Any]]) -> Noun:
    """Return the deployments that this kind of thing is where it was chosen: runs, releases or merges."""

    def derive(scopes: Keys) -> list[Derivation]:
        named, rows = deployments_from_chosen_sources.derive(scopes, kind=kind)
        return [Derivation(DEPLOYMENTS, named, rows, spread=_spread_deployments)]

    def chosen_in(repository_id: int) -> list[Any]:
        rows = DEPLOYMENTS.model._default_manager.filter(repository_id=repository_id, source=kind)
        derived = {(repository_id, number) for number in rows.values_list("last_deployment_id", flat=True)}
        is_chosen = deployments_from_chosen_sources.repositories_with(kind, [repository_id])
        return sorted(derived.union(keys_in(repository_id) if is_chosen else ()))

    def locks(scopes: Keys) -> list[str]:
        chosen = deployments_from_chosen_sources.repositories_with(kind, (repository_id for repository_id, _ in scopes))
        return [lock_of_deployments(repository_id) for repository_id in chosen]

    def shared_locks(scopes: Keys) -> list[str]:
        return [lock_of_deployments(repository_id) for repository_id, _ in scopes]

    return Noun(name=name, locks=locks, shared_locks=shared_locks, derive=derive, keys_in=chosen_in)


def _numbers_in(model: type[Model], *, number: str) -> Callable[[int], list[Any]]:
    def keys_in(repository_id: int) -> list[Any]:
        rows = model._default_manager.filter(repository_id=repository_id)
        return list(rows.values_list("repository_id", number).distinct())

    return keys_in


def _reported_deployments(scopes: Keys) -> list[Derivation]:
    named, rows = reported_deployments.derive(scopes)
    return [Derivation(DEPLOYMENTS, named, rows, spread=_spread_deployments)]


def _reported_deployments_in(repository_id: int) -> list[Scope]:
    facts = ReportedDeployment.objects.filter(repository_id=repository_id).values_list("repository_id", "external_id")
    rows = DEPLOYMENTS.model._default_manager.filter(repository_id=repository_id, source=Kind.REPORTS)
    keys = rows.values_list("group_key", flat=True)
    derived = ((repository_id, key.removeprefix(reported_deployments.PREFIX)) for key in keys)
    return sorted(set(facts).union(derived))


def _workflow_runs_in(repository_id: int) -> list[Any]:
    facts = _numbers_in(WorkflowRun, number="run_id")(repository_id)
    return sorted(WORKFLOW_RUNS.scopes_of(repository_id).union(facts))


def _deployments_in(repository_id: int) -> list[int]:
    facts = Deployment.objects.filter(repository_id=repository_id).values_list("pk", flat=True)
    rows = DEPLOYMENTS.model._default_manager.filter(repository_id=repository_id, source=Kind.DEPLOYMENTS)
    derived = (each for ids in rows.values_list("deployment_ids", flat=True) for each in ids)
    return sorted(set(facts).union(derived))


PULL_REQUEST = Noun(
    name="pull requests",
    locks=lambda scopes: [f"pull_request {repository_id}:{number}" for repository_id, number in scopes],
    shared_locks=lambda scopes: [lock_of_deployments(repository_id) for repository_id, _ in scopes],
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
    locks=lambda ids: [lock_of_deployments(repository_id) for repository_id in deployments.repositories_of(ids)],
    derive=_deployments,
    keys_in=_deployments_in,
)
RUN_DEPLOYMENT = _chosen(
    Kind.WORKFLOW_RUNS, name="deployments by workflow runs", keys_in=_numbers_in(WorkflowRun, number="run_id")
)
RELEASE_DEPLOYMENT = _chosen(
    Kind.RELEASES, name="deployments by releases", keys_in=_numbers_in(Release, number="github_id")
)
MERGE_DEPLOYMENT = _chosen(Kind.MERGES, name="deployments by merges", keys_in=_numbers_in(PullRequest, number="number"))
REPORTED_DEPLOYMENT = Noun(
    name="reported deployments",
    locks=lambda scopes: [lock_of_deployments(repository_id) for repository_id, _ in scopes],
    derive=_reported_deployments,
    keys_in=_reported_deployments_in,
)
WORKFLOW_RUN = Noun(
    name="workflow runs",
    locks=lambda scopes: [f"workflow_run {repository_id}:{run_id}" for repository_id, run_id in scopes],
    derive=lambda scopes: [Derivation(WORKFLOW_RUNS, scopes, ci_runs.derive(scopes))],
    keys_in=_workflow_runs_in,
)
INCIDENT = Noun(name="incidents", locks=_locks_of_incidents, derive=_incidents, keys_in=_incidents_in)
REMEDIATION = Noun(
    name="remediations",
    locks=lambda scopes: [lock_of_deployments(repository_id) for repository_id, _ in scopes],
    derive=_remediations,
    keys_in=_remediations_in,
)
NOUNS = (
    *(COMMIT, DEPLOYMENT, RUN_DEPLOYMENT, RELEASE_DEPLOYMENT, MERGE_DEPLOYMENT, REPORTED_DEPLOYMENT),
    *(PULL_REQUEST, INCIDENT, REMEDIATION, WORKFLOW_RUN),
)
"""Each after those that it is derived from."""
