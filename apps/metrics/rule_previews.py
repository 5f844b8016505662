"""Previews of rules: what a rule would match, how many rows it would change, and each figure before and after.

A preview saves the rule, or deletes the one that is to be removed, derives what it concerns in the repositories of one
team by the same code as always, reads figures, and rolls all of it back. Meanwhile the recalculation of these
repositories waits, so a preview is bounded in size and time.
"""

import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import transaction
from django.db.models import Model, QuerySet

from apps.activity.models import Change
from apps.common import db
from apps.metrics.changes import claim, stale
from apps.metrics.derived_row_writer import DerivedTable, Row
from apps.metrics.figures import FigureQuery, FigureReading
from apps.metrics.figures.figure_reader import read_figures
from apps.metrics.models import DerivedDeployment, DerivedShipment
from apps.metrics.recalculation import BATCH, KNOWN, recalculate
from apps.teams.models import (
    AccountRule,
    DeploymentSource,
    HotfixRule,
    IncidentRule,
    ServiceRule,
    Team,
    mark,
)

MOST_CHANGES = 5000
"""The most pull requests, deployments and so on that one preview derives again."""
MOST_NAMES = 50
Rule = ServiceRule | HotfixRule | AccountRule | DeploymentSource | IncidentRule
KINDS: Mapping[str, type[Rule]] = {
    "service": ServiceRule,
    "hotfix": HotfixRule,
    "account": AccountRule,
    "deployment_source": DeploymentSource,
    "incident": IncidentRule,
}

# What the pattern of a rule is found in: the names, and how many have each.
NAMES: Mapping[tuple[str, str], str] = {
    ("service", "environment"): "SELECT environment, count(*) FROM activity_deployment {where} GROUP BY 1",
    ("service", "task"): "SELECT task, count(*) FROM activity_deployment {where} GROUP BY 1",
    ("service", "job"): "SELECT job_name, count(*) FROM activity_deployment {where} GROUP BY 1",
    ("service", "workflow"): "SELECT name, count(DISTINCT run_id) FROM activity_workflowrun {where} GROUP BY 1",
    ("hotfix", "branch"): "SELECT head_ref, count(*) FROM activity_pullrequest {where} {merged} GROUP BY 1",
    ("hotfix", "title"): "SELECT title, count(*) FROM activity_pullrequest {where} {merged} GROUP BY 1",
    ("hotfix", "label"): (
        "SELECT label, count(*) FROM activity_pullrequest, unnest(labels) AS label {where} {merged} GROUP BY 1"
    ),
    ("deployment_source", "deployments"): "SELECT environment, count(*) FROM activity_deployment {where} GROUP BY 1",
    ("deployment_source", "workflow_runs"): (
        "SELECT name, count(DISTINCT run_id) FROM activity_workflowrun {where} GROUP BY 1"
    ),
    ("deployment_source", "releases"): "SELECT tag_name, count(*) FROM activity_release {where} GROUP BY 1",
    ("deployment_source", "merges"): "SELECT base_ref, count(*) FROM activity_pullrequest {where} {merged} GROUP BY 1",
    ("deployment_source", "reports"): (
        "SELECT environment, count(DISTINCT external_id) FROM activity_reporteddeployment {where} GROUP BY 1"
    ),
    ("incident", "label"): "SELECT label, count(*) FROM activity_issue, unnest(labels) AS label {where} GROUP BY 1",
    ("incident", "title"): "SELECT title, count(*) FROM activity_issue {where} GROUP BY 1",
    ("incident", "report"): "SELECT title, count(*) FROM activity_reportedincident {where} GROUP BY 1",
}
OF_ACCOUNT = """
    SELECT 'pull requests', count(*) FROM activity_pullrequest {where} AND author_id = %(account)s
    UNION ALL SELECT 'reviews', count(*) FROM activity_review {where} AND author_id = %(account)s
    UNION ALL SELECT 'commits', count(*) FROM activity_commit {where}
        AND (author_id = %(account)s OR author_login <> '' AND lower(author_login) = lower(%(login)s))
"""
WHERE, MERGED = "WHERE repository_id = ANY(%(repositories)s)", "AND merged_at IS NOT NULL"
LAST = "SELECT coalesce(max(id), 0) FROM activity_change"
OF_OTHERS = """
    DELETE FROM activity_change
    WHERE id > %(after)s AND (
        kind = 'installation'
        OR kind IN ('pull_request', 'commit') AND NOT split_part(key, ':', 1)::bigint = ANY(%(repositories)s)
    )
"""


class PreviewRefusedError(Exception):
    """The preview would take too much or too long; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A figure before and after."""

    before: FigureReading
    after: FigureReading


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a rule would do, or its removal: what it matches, how many rows would change, and each figure."""

    matches: Sequence[tuple[str, int]]
    moved: Mapping[str, int]
    figures: Sequence[Compared]

    def as_dict(self) -> dict[str, Any]:
        """Return the preview as JSON; of what matches, the most frequent."""
        return {
            "matching": sum(n for _, n in self.matches),
            "matches": [{"name": name, "n": n} for name, n in self.matches[:MOST_NAMES]],
            "moved": dict(self.moved),
            "figures": [
                {
                    "figure": one.before.figure,
                    "unit": one.before.unit,
                    "before": {"value": one.before.value, "n": one.before.n},
                    "after": {"value": one.after.value, "n": one.after.n},
                    "is_changed": (one.before.value, one.before.n) != (one.after.value, one.after.n),
                }
                for one in self.figures
            ],
        }


@dataclass
class Moves:
    """The rows that were stored, as they were first and are now."""

    rows: dict[tuple[str, Row], tuple[Row | None, Row | None]] = field(default_factory=dict)

    def observe(self, table: DerivedTable, before: Iterable[Row], after: Iterable[Row]) -> None:
        """Store the rows before and after; of a row that is derived twice, the first `before` counts."""
        was, now = ({table.key_of(row): row for row in rows} for rows in (before, after))
        for key in was.keys() | now.keys():
            first, _ = self.rows.get((table.name, key), (was.get(key), None))
            self.rows[table.name, key] = first, now.get(key)

    def counted(self) -> dict[str, int]:
        """Return how many rows of each table differ."""
        return dict(sorted(Counter(name for (name, _), (was, now) in self.rows.items() if was != now).items()))


def build_rule(kind: str, values: Mapping[str, Any]) -> Rule:
    """Return a rule of the kind, not saved; ValidationError names the fields that are wrong."""
    rule = KINDS[kind](**values)
    rule.full_clean(validate_unique=False, validate_constraints=False)
    return rule


def preview_rule(query: FigureQuery, rule: Rule | None, *, seconds: float, replaces: Rule | None = None) -> Preview:
    """Return what the rule would do for the team, added or in the place of another; without it, what a removal would.

    What matches is of the new rule, or of the one that is removed.
    """
    [shown, *_] = changed = [each for each in (rule, replaces) if each is not None]
    before = read_figures(query)
    with _rolled_back():
        found = _derive(query, changed, rule=rule, seconds=seconds)
        after = read_figures(_anew(query))
    return Preview(matches=names_matching(query, shown), moved=found, figures=_compared(before, after))


def preview_production(query: FigureQuery, environments: Sequence[str]) -> Preview:
    """Return what the team's patterns of production would do; nothing has to be derived for it."""
    team = Team.objects.get(pk=query.team.pk)
    team.production_environments = list(environments)
    changed = replace(_anew(query), team=team)
    moved = {
        str(table._meta.verbose_name): n
        for table in (DerivedDeployment, DerivedShipment)
        if (n := _count_of_others(table, query, changed))
    }
    rows = DerivedDeployment.objects.filter(changed.is_in_repositories(), changed.is_production())
    names = Counter(rows.values_list("environment", flat=True)).most_common()
    return Preview(matches=names, moved=moved, figures=_compared(read_figures(query), read_figures(changed)))


def names_matching(query: FigureQuery, rule: Rule) -> list[tuple[str, int]]:
    """Return the names in which the rule's pattern is found, and how many have each; the most frequent first."""
    given: dict[str, Any] = {"repositories": _concerned(query, rule)}
    if isinstance(rule, AccountRule):
        rows = db.run(
            OF_ACCOUNT.format(where=WHERE), given | {"account": rule.contributor_id, "login": rule.contributor.login}
        )
        return [(name, n) for name, n in rows if n]
    kind = next(name for name, model in KINDS.items() if isinstance(rule, model))
    chosen = rule.kind if isinstance(rule, DeploymentSource) else rule.field
    found = db.run(NAMES[kind, chosen].format(where=WHERE, merged=MERGED), given)
    matching = [(name, n) for name, n in found if re.search(rule.pattern, name or "", re.IGNORECASE)]
    return sorted(matching, key=lambda one: (-one[1], one[0]))


def _derive(query: FigureQuery, changed: Sequence[Rule], *, rule: Rule | None, seconds: float) -> dict[str, int]:
    """Save the rule without the others and derive what they concern; return how many rows of each table differ."""
    deadline = time.monotonic() + seconds
    [[last]] = db.run(LAST)
    _save(query, changed, rule=rule)
    moves, done = Moves(), 0
    while changes := claim(KNOWN, limit=BATCH, after=last):
        done += len(changes)
        if done > MOST_CHANGES or (waiting := _count_after(last)) + done > MOST_CHANGES:
            raise PreviewRefusedError(
                f"The rule concerns more than {MOST_CHANGES} pull requests, deployments, runs, releases or issues: "
                "too many for a preview. Preview it for one repository."
            )
        if time.monotonic() > deadline:
            raise PreviewRefusedError(
                f"The preview was not ready after {seconds:g} s: {waiting} entities were not derived yet. "
                "Preview it for one repository."
            )
        recalculate(stale(changes, most=BATCH), observe=moves.observe)
        db.run(OF_OTHERS, {"after": last, "repositories": list(query.repositories)})
    return moves.counted()


def _save(query: FigureQuery, changed: Sequence[Rule], *, rule: Rule | None) -> None:
    """Store the rule, delete the others of those that change, and append the changes that concern the team.

    Changes of other repositories are left alone.
    """
    [first, *_] = changed
    plain: QuerySet[Any] = QuerySet(type(first))  # the model's own would enqueue every repository
    plain.filter(pk__in=[each.pk for each in changed if each is not rule]).delete()
    if isinstance(rule, AccountRule):
        plain.filter(contributor_id=rule.contributor_id).delete()
    plain.bulk_create([rule] if rule else [])
    if isinstance(first, AccountRule):
        mark(changed)
        return
    concerned = sorted({repository_id for each in changed for repository_id in _concerned(query, each)})
    changes = (Change(kind=first.concerns, key=f"repository:{repository_id}") for repository_id in concerned)
    Change.objects.bulk_create(changes)


def _concerned(query: FigureQuery, rule: Any) -> list[int]:
    """Return the team's repositories that the rule is about."""
    repository_id, account_id = getattr(rule, "repository_id", None), getattr(rule, "account_id", None)
    if repository_id is not None:
        return [repository_id] if repository_id in query.repositories else []
    if account_id is None:
        return list(query.repositories)
    owned = db.run(
        "SELECT github_id FROM activity_repository WHERE github_id = ANY(%s) AND owner_id = %s",
        [list(query.repositories), account_id],
    )
    return [each for (each,) in owned]


def _count_after(change_id: int) -> int:
    return Change.objects.filter(pk__gt=change_id).count()


def _count_of_others(table: type[Model], before: FigureQuery, after: FigureQuery) -> int:
    """Return how many rows are of production by one of the queries alone."""
    rows = table._default_manager.filter(before.is_in_repositories())
    was, now = before.is_production(), after.is_production()
    return rows.filter(was & ~now | now & ~was).count()


def _anew(query: FigureQuery) -> FigureQuery:
    """Return the same query without what it has read already."""
    return replace(query)


def _compared(before: Iterable[FigureReading], after: Iterable[FigureReading]) -> list[Compared]:
    return [Compared(before=one, after=other) for one, other in zip(before, after, strict=True)]


@contextmanager
def _rolled_back() -> Iterator[None]:
    """Undo whatever the block does to the database."""
    with transaction.atomic():
        try:
            yield
        finally:
            transaction.set_rollback(True)
