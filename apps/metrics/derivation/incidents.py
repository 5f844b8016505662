"""Derivation of incidents, and of the deployments that caused them.

Incidents are issues that a rule names, and those reported over the API. An incident is attributed to the deployment
that it names, else to those that shipped the pull request that it names. One that names nothing is attributed to the
last deployment of its service, if a rule says how old that may be.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.activity.models import Repository
from apps.common import db
from apps.common.db import is_id
from apps.metrics.derivation.deployment_rules import Kind, applies, specific_first
from apps.metrics.derivation.deployments import DEPLOYMENTS
from apps.metrics.derivation.reported_deployments import PREFIX
from apps.metrics.derivation.shipments import SHIPMENTS
from apps.metrics.derived_row_writer import DerivedTable, Row, Scope, as_json, selected
from apps.metrics.models import DerivedFailure, DerivedIncident
from apps.teams.models import IncidentRule

INCIDENTS = DerivedTable(model=DerivedIncident, key=("repository_id", "name"), scope=("repository_id", "name"))
FAILURES = DerivedTable(
    model=DerivedFailure, key=("repository_id", "incident", "failing"), scope=("repository_id", "incident")
)
ISSUE = "issue "
"""What the name of an incident begins with if it is an issue; its number follows."""
REPORT = PREFIX
"""The same of one that was reported; its reporter's id follows."""
Origin = DerivedIncident.Origin
Field = IncidentRule.Field

READ_ISSUES = """
    WITH scopes AS MATERIALIZED (SELECT * FROM json_to_recordset(%s) AS row (repository_id bigint, number integer))
    SELECT repository_id, number, title, labels, causes, created_at AS opened_at, closed_at
    FROM scopes JOIN activity_issue USING (repository_id, number)
    WHERE created_at IS NOT NULL AND deleted_at IS NULL
"""
READ_REPORTS = """
    WITH scopes AS MATERIALIZED (SELECT * FROM json_to_recordset(%s) AS row (repository_id bigint, external_id text))
    SELECT repository_id, external_id, title, service, deployment, pull_request, opened_at, closed_at
    FROM scopes JOIN activity_reportedincident USING (repository_id, external_id)
    WHERE opened_at IS NOT NULL
"""
# A deployment that is named has been made before the incident, or else is the first one after it: clocks differ.
READ_FAILURES = """
    WITH incidents AS MATERIALIZED (
        SELECT * FROM json_to_recordset(%s) AS row (
            repository_id bigint, name text, service text, opened_at timestamptz, closed_at timestamptz,
            named_deployment text, named_id bigint, named_number integer, most_hours integer
        )
    ), named AS (
        SELECT incidents.name AS incident, opened_at, closed_at, one.*
        FROM incidents JOIN metrics_deriveddeployment AS one USING (repository_id)
        WHERE named_deployment <> '' AND one.group_key = 'report ' || named_deployment AND succeeded_at IS NOT NULL
        UNION ALL
        SELECT incidents.name, opened_at, closed_at, one.*
        FROM incidents JOIN metrics_deriveddeployment AS one USING (repository_id)
        WHERE one.deployment_ids @> ARRAY[named_id] AND succeeded_at IS NOT NULL
    ), found AS (
        SELECT * FROM (
            SELECT DISTINCT ON (repository_id, incident) repository_id, incident, opened_at, closed_at,
                   'deployment' AS kind, name AS failing, service, environment, source, is_production,
                   succeeded_at AS failing_at
            FROM named
            ORDER BY repository_id, incident, succeeded_at > opened_at,
                     abs(extract(epoch FROM opened_at - succeeded_at)), name
        ) AS by_deployment
        UNION ALL
        SELECT repository_id, incidents.name, opened_at, closed_at, 'pull_request', one.deployment, one.service,
               one.environment, one.source, one.is_production, one.deployed_at
        FROM incidents JOIN metrics_derivedshipment AS one USING (repository_id)
        WHERE named_deployment = '' AND one.number = named_number AND one.deployed_at <= opened_at
          AND incidents.service IN ('', one.service)
        UNION ALL
        SELECT * FROM (
            SELECT DISTINCT ON (repository_id, incidents.name, one.environment)
                   repository_id, incidents.name AS incident, opened_at, closed_at, 'proximity', one.name, one.service,
                   one.environment, one.source, one.is_production, one.succeeded_at
            FROM incidents JOIN metrics_deriveddeployment AS one USING (repository_id)
            WHERE named_deployment = '' AND named_number IS NULL AND one.service = incidents.service
              AND one.succeeded_at <= opened_at AND one.succeeded_at >= opened_at - make_interval(hours => most_hours)
            ORDER BY repository_id, incidents.name, one.environment, one.succeeded_at DESC, one.name DESC
        ) AS by_proximity
    )
    SELECT * FROM found
"""
# Deployments that came, went or moved may have caused an incident that names them, or began soon after them.
HAND_ON_DEPLOYMENTS = """
    WITH moved AS MATERIALIZED (
        SELECT * FROM json_to_recordset(%s) AS row (
            repository_id bigint, service text, succeeded_at timestamptz, named text[]
        )
    ), concerned AS (SELECT DISTINCT repository_id FROM moved)
    INSERT INTO activity_change (kind, key)
    SELECT DISTINCT 'incident', repository_id || ':' || one.name
    FROM concerned JOIN metrics_derivedincident AS one USING (repository_id) JOIN moved USING (repository_id)
    WHERE one.named_deployment = ANY(moved.named) OR (
        one.service = moved.service AND one.most_hours IS NOT NULL AND one.opened_at >= moved.succeeded_at
        AND one.opened_at <= moved.succeeded_at + make_interval(hours => one.most_hours)
    )
"""
HAND_ON_SHIPMENTS = """
    INSERT INTO activity_change (kind, key)
    SELECT DISTINCT 'incident', repository_id || ':' || one.name
    FROM json_to_recordset(%s) AS moved (repository_id bigint, number integer)
    JOIN metrics_derivedincident AS one USING (repository_id) WHERE one.named_number = moved.number
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRules:
    """The rules of incidents that apply to some repositories, the most specific first."""

    rules: tuple[IncidentRule, ...]
    owners: Mapping[int, int | None]

    def rule_of(self, repository_id: int, names: Mapping[str, Collection[str]]) -> IncidentRule | None:
        """Return the first rule that matches one of the names; None if none does."""
        for rule in self.rules:
            if applies(rule, repository_id, owners=self.owners) and any(
                re.search(rule.pattern, name, re.IGNORECASE) for name in names.get(rule.field, ())
            ):
                return rule
        return None


def read_incident_rules(repository_ids: Iterable[int]) -> IncidentRules:
    """Return the rules of incidents for these repositories."""
    rules = tuple(sorted(IncidentRule.objects.all(), key=specific_first))
    owners = dict(Repository.objects.filter(pk__in=set(repository_ids)).values_list("pk", "owner_id")) if rules else {}
    return IncidentRules(rules=rules, owners=owners)


def derive(scopes: Sequence[Scope]) -> tuple[list[Row], list[Row]]:
    """Return the incidents of these names, and the deployments that caused them."""
    rules = read_incident_rules(repository_id for repository_id, _ in scopes)
    incidents = [*_of_issues(scopes, rules=rules), *_of_reports(scopes, rules=rules)]
    return [INCIDENTS.row(**one) for one in incidents], _failures(incidents)


def issue_of(name: str) -> int:
    """Return the number of the issue that an incident is; 0 of one that was reported."""
    return int(name.removeprefix(ISSUE)) if name.startswith(ISSUE) else 0


def _of_issues(scopes: Sequence[Scope], *, rules: IncidentRules) -> list[dict[str, Any]]:
    asked = [(repository_id, issue_of(name)) for repository_id, name in scopes if name.startswith(ISSUE)]
    if not asked or not rules.rules:
        return []
    found = list[dict[str, Any]]()
    for row in db.run_with_names(READ_ISSUES, [as_json(("repository_id", "number"), asked)]):
        names: dict[str, Collection[str]] = {Field.LABEL: row.pop("labels") or (), Field.TITLE: (row["title"],)}
        rule = rules.rule_of(row["repository_id"], names)
        if rule is not None:
            number, causes = row.pop("number"), row.pop("causes") or ()
            named = {"issue_number": number, "service": "", **_named(causes)}
            found.append(_incident(row, name=f"{ISSUE}{number}", origin=Origin.ISSUE, rule=rule, **named))
    return found


def _of_reports(scopes: Sequence[Scope], *, rules: IncidentRules) -> list[dict[str, Any]]:
    asked = [(repository_id, name.removeprefix(REPORT)) for repository_id, name in scopes if name.startswith(REPORT)]
    if not asked:
        return []
    found = list[dict[str, Any]]()
    for row in db.run_with_names(READ_REPORTS, [as_json(("repository_id", "external_id"), asked)]):
        name = f"{REPORT}{row.pop('external_id')}"
        named = {"named_deployment": row.pop("deployment"), "named_number": row.pop("pull_request")}
        rule = rules.rule_of(row["repository_id"], {Field.REPORT: (row["title"],)})
        found.append(_incident(row, name=name, origin=Origin.REPORT, rule=rule, issue_number=None, **named))
    return found


def _named(causes: Collection[str]) -> dict[str, Any]:
    """Return the first deployment and the first pull request among the causes."""
    numbers = [int(cause[1:]) for cause in causes if cause.startswith("#")]
    deployments = [cause for cause in causes if not cause.startswith("#")]
    return {
        "named_deployment": deployments[0] if deployments else "",
        "named_number": numbers[0] if numbers else None,
    }


def _incident(row: dict[str, Any], *, rule: IncidentRule | None, **values: Any) -> dict[str, Any]:
    closed_at = row["closed_at"] and max(row["closed_at"], row["opened_at"])
    return {**row, **values, "closed_at": closed_at, "most_hours": rule.most_hours if rule else None}


def _failures(incidents: Sequence[Mapping[str, Any]]) -> list[Row]:
    if not incidents:
        return []
    names = (
        *("repository_id", "name", "service", "opened_at", "closed_at"),
        *("named_deployment", "named_id", "named_number", "most_hours"),
    )
    asked = [{**one, "named_id": _id_of(one["named_deployment"])} for one in incidents]
    rows = db.run_with_names(READ_FAILURES, [as_json(names, [tuple(one[name] for name in names) for one in asked])])
    return [FAILURES.row(**row) for row in rows]


def _id_of(name: str) -> int | None:
    return int(name) if is_id(name) else None


def hand_on_deployments(rows: Iterable[Row]) -> None:
    """Enqueue the incidents that these deployments caused, or may have caused."""
    moved = [
        (row["repository_id"], row["service"], row["succeeded_at"], _names_of(row))
        for row in DEPLOYMENTS.as_dicts(rows)
        if row["succeeded_at"] is not None
    ]
    if moved:
        db.run(HAND_ON_DEPLOYMENTS, [as_json(("repository_id", "service", "succeeded_at", "named"), moved)])


def _names_of(deployment: Mapping[str, Any]) -> list[str]:
    if deployment["source"] == Kind.REPORTS:
        return [str(deployment["group_key"]).removeprefix(PREFIX)]
    return [str(each) for each in deployment["deployment_ids"]]


def hand_on_shipments(rows: Iterable[Row]) -> None:
    """Enqueue the incidents that name these pull requests."""
    names = ("repository_id", "number")
    if moved := selected(names, SHIPMENTS.as_dicts(rows)):
        db.run(HAND_ON_SHIPMENTS, [as_json(names, moved)])
