"""Derived tables, compared with what a rebuild makes of the same facts."""

from typing import Any

from apps.activity.models import Repository
from apps.metrics.derivation.ai_evidence import EVIDENCE
from apps.metrics.derivation.ci_runs import WORKFLOW_RUNS
from apps.metrics.derivation.commits import COMMITS
from apps.metrics.derivation.deployments import DEPLOYMENTS
from apps.metrics.derivation.incidents import FAILURES, INCIDENTS
from apps.metrics.derivation.pull_requests import CLOSINGS, PULL_REQUESTS, REVIEWS
from apps.metrics.derivation.remediations import REMEDIATIONS
from apps.metrics.derivation.review_requests import REVIEW_REQUESTS
from apps.metrics.derivation.shipments import SHIPMENTS
from apps.metrics.rebuild import rebuild

TABLES = {
    "pull_requests": PULL_REQUESTS,
    "closings": CLOSINGS,
    "reviews": REVIEWS,
    "review_requests": REVIEW_REQUESTS,
    "evidence": EVIDENCE,
    "commits": COMMITS,
    "deployments": DEPLOYMENTS,
    "shipments": SHIPMENTS,
    "remediations": REMEDIATIONS,
    "workflow_runs": WORKFLOW_RUNS,
    "incidents": INCIDENTS,
    "failures": FAILURES,
}


def derived_tables() -> dict[str, list[tuple[Any, ...]]]:
    """Every derived row, without the surrogate ids."""
    return {
        name: sorted(table.model._default_manager.values_list(*table.columns), key=lambda row: tuple(map(str, row)))
        for name, table in TABLES.items()
    }


def assert_equals_rebuild() -> None:
    """Throw every derived row away and make it anew: nothing may be different."""
    before = derived_tables()
    for table in TABLES.values():
        table.model._default_manager.all().delete()
    rebuild(Repository.objects.values_list("pk", flat=True), progress=lambda *_: None)
    assert derived_tables() == before
