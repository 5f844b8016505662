"""Deployments, what each shipped, and which remedied an earlier one, by their definitions."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.calculator.facts import Facts, Row, grouped
from tests.calculator.pull_requests import PullRequest


@dataclass
class Deployment:
    """One success with the failures before it, or failures that no success followed."""

    repository_id: int
    environment: str
    name: str
    is_production: bool
    sha: str
    created_at: datetime
    succeeded_at: datetime | None
    failed_at: datetime | None
    order: tuple[datetime, int] | None
    github_ids: frozenset[str]

    @property
    def chain(self) -> tuple[int, str]:
        return self.repository_id, self.environment


@dataclass
class Shipment:
    """The first deployment to an environment that had a pull request."""

    pull_request: PullRequest
    deployment: Deployment
    is_order_unknown: bool
    deployed_at: datetime
    lead_seconds: int | None = None
    deploy_seconds: int | None = None


@dataclass
class Remedy:
    """A deployment that undid or repaired an earlier one; it may take the end of an incident to know it."""

    by: Deployment
    failing: str
    failing_at: datetime
    remediated_at: datetime
    known_at: datetime
    by_incident: bool = False


@dataclass
class Failure:
    """A deployment that caused an incident."""

    failing: Deployment
    failing_at: datetime
    incident: Row


@dataclass
class Delivered:
    """All of it."""

    deployments: list[Deployment]
    shipments: list[Shipment] = field(default_factory=list)
    remedies: list[Remedy] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def delivered(facts: Facts, pull_requests: list[PullRequest]) -> Delivered:
    found = Delivered(deployments=_deployments(facts))
    succeeded = [one for one in found.deployments if one.succeeded_at]
    for chain in grouped(succeeded, lambda one: one.chain).values():
        chain.sort(key=lambda one: (one.succeeded_at, one.name))
        shipments = [made for one in pull_requests if (made := _shipment(one, chain))]
        found.shipments += shipments
        failures = [Failure(each, at, one) for one in facts.incidents for each, at in _causes(one, chain, shipments)]
        found.remedies += [*_remedies(chain, shipments), *_ended(chain, failures)]
        found.failures += failures
    return found


def _causes(incident: Row, chain: list[Deployment], shipments: list[Shipment]) -> list[tuple[Deployment, datetime]]:
    """Return the deployment that the incident names, else the one that shipped the pull request that it names."""
    if incident.repository_id != chain[0].repository_id:
        return []
    if incident.deployment:
        named = [one for one in chain if incident.deployment in one.github_ids and one.succeeded_at]
        named.sort(key=lambda one: _distance(one.succeeded_at, incident.opened_at))
        return [(one, one.succeeded_at) for one in named[:1] if one.succeeded_at]
    return [
        (one.deployment, one.deployed_at)
        for one in shipments
        if one.pull_request.fact.number == incident.caused_by and one.deployed_at <= incident.opened_at
    ]


def _distance(succeeded_at: datetime | None, opened_at: datetime) -> tuple[bool, float]:
    """Return the order of what an incident may mean: those before it first, and the nearest."""
    seconds = (opened_at - succeeded_at).total_seconds() if succeeded_at else 0.0
    return seconds < 0, abs(seconds)


def _ended(chain: list[Deployment], failures: list[Failure]) -> list[Remedy]:
    """Return the last deployments before incidents ended, which remedied what had caused them."""
    found = []
    for each in failures:
        begun, ended = each.incident.opened_at, each.incident.closed_at
        during = [one for one in chain if one.succeeded_at and ended and begun <= one.succeeded_at <= ended]
        if during and during[-1].succeeded_at and each.failing_at < during[-1].succeeded_at:
            found.append(
                Remedy(during[-1], each.failing.name, each.failing_at, during[-1].succeeded_at, ended, by_incident=True)
            )
    return found


def is_production(deployment: Row) -> bool:
    """Return whether GitHub or the name says so."""
    name = deployment.environment.strip().lower()
    last = re.split(r"[/\u2013\u2014-]", name)[-1].strip()
    begins = re.compile(r"(prod|production|live)\b")
    says_not = re.match(r"(pre|non|not|no)\W", name)
    return bool(deployment.is_production or begins.match(name) or (begins.match(last) and not says_not))


def _deployments(facts: Facts) -> list[Deployment]:
    found = []
    runs = grouped(facts.deployments, lambda one: (one.repository_id, one.environment, one.run_id or -one.github_id))
    for (repository_id, environment, run), attempts in runs.items():
        outcomes = sorted(
            (outcome for attempt in attempts for outcome in _outcomes(facts, attempt)), key=lambda each: each[:3]
        )
        begun: list[Any] = []
        number = 0
        for place, outcome in enumerate(outcomes):
            begun.append(outcome)
            if not outcome[2] and place < len(outcomes) - 1:
                continue
            number += 1
            name = f"run {run} {environment}#{number}" if run > 0 else f"deployment {-run}#{number}"
            found.append(_deployment(facts, repository_id, environment, name, begun))
            begun = []
    return found


def _outcomes(facts: Facts, attempt: Row) -> list[tuple[datetime, int, bool, Row]]:
    """Return the first success, and the first failures before and after it."""
    statuses = facts.statuses.get(attempt.github_id, [])
    succeeded = next((one.created_at for one in statuses if one.state == "success"), None)
    failed = [one.created_at for one in statuses if one.state in ("failure", "error")]
    before = next((at for at in failed if succeeded is None or at <= succeeded), None)
    after = next((at for at in failed if succeeded is not None and at > succeeded), None)
    outcomes = [(before, False), (succeeded, True), (after, False)]
    known = [(at, attempt.github_id, is_success, attempt) for at, is_success in outcomes if at]
    return known or [(attempt.created_at, attempt.github_id, False, None)]


def _deployment(facts: Facts, repository_id: int, environment: str, name: str, begun: list[Any]) -> Deployment:
    attempts = [one[3] for one in begun if one[3] is not None]
    last_at, _, is_success, last = begun[-1]
    order = facts.landing(repository_id, last.sha) if last is not None and is_success else None
    return Deployment(
        repository_id=repository_id,
        environment=environment,
        name=name,
        is_production=any(is_production(one) for one in attempts),
        sha=last.sha if last is not None else "",
        created_at=min((one.created_at for one in attempts), default=last_at),
        succeeded_at=last_at if is_success else None,
        failed_at=next((at for at, _, good, one in begun if not good and one is not None), None),
        order=order if order and order[0] <= last_at else None,
        github_ids=frozenset(str(one.github_id) for one in attempts),
    )


def _shipment(one: PullRequest, chain: list[Deployment]) -> Shipment | None:
    if one.landing is None or one.key[0] != chain[0].repository_id or not any(each.order for each in chain):
        return None
    baseline = chain[0].order or (chain[0].succeeded_at, 0)
    if one.landing <= baseline:
        return None
    later = [each for each in chain if each.succeeded_at and each.succeeded_at >= one.landing[0]]
    carrier = next((each for each in later if each.order and each.order >= one.landing), None)
    if carrier is None or carrier.succeeded_at is None:
        return None
    at = carrier.succeeded_at
    made = Shipment(one, carrier, any(not each.order and each.succeeded_at < at for each in later), at)  # type: ignore[operator]
    if not made.is_order_unknown:
        made.deploy_seconds = max(0, int(at.timestamp()) - int(one.fact.merged_at.timestamp()))
        made.lead_seconds = sum(one.stages) + made.deploy_seconds
    return made


def _remedies(chain: list[Deployment], shipments: list[Shipment]) -> list[Remedy]:
    shipped = {each.pull_request.fact.number: each for each in shipments}
    found = []
    for before, one in zip([None, *chain], chain, strict=False):
        own = [each.pull_request for each in shipments if each.deployment is one]
        failing: dict[str, datetime] = {}
        for each in own:
            reverted = shipped.get(each.reverts or 0)
            if reverted and reverted.deployment is not one:
                failing[reverted.deployment.name] = reverted.deployed_at
        is_rollback = before and one.order and before.order and one.order < before.order
        if before and before.succeeded_at and (is_rollback or any(each.is_hotfix for each in own)):
            failing[before.name] = before.succeeded_at
        at = one.succeeded_at
        found += [Remedy(one, name, since, at, at) for name, since in failing.items() if at and since <= at]
    return found
