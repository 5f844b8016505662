"""Explanation of one pull request, with the sources of its instants and the figures that it counts in."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import DateTimeField, F, FloatField, IntegerField, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, Coalesce

from apps.activity.models import Provenance, PullRequest, WorkflowRun
from apps.common.db import run_as_one
from apps.metrics.completeness.descriptions import format_instant
from apps.metrics.completeness.providers import KnownDelivery, find_deliveries
from apps.metrics.derivation.ai_evidence import EVIDENCE
from apps.metrics.derivation.pull_request_facts import read_facts
from apps.metrics.derivation.pull_requests import PULL_REQUESTS, rows_of
from apps.metrics.derivation.shipments import SHIPMENTS
from apps.metrics.derived_row_writer import Scope
from apps.metrics.explanation.alternatives import read_alternatives
from apps.metrics.explanation.boundaries import WORDS, Boundary, Candidate, Entity, Shipping, boundaries, shippings
from apps.metrics.explanation.life import Moment, Request, flags_of, life_of
from apps.metrics.figures import FIGURES, Bots, Figure, FigureQuery, Hours, Window
from apps.metrics.figures.windows import DAY
from apps.metrics.models import DerivedClosing, DerivedPullRequest, DerivedShipment
from apps.metrics.models.deployments import UNTIL_MERGE
from apps.teams.models import Team

DELIVERY = "delivery"
MOST_SOURCES = 20
"""The most of one instant; the first that reported it are among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A delivery, a read of GitHub's API, or a report, from which an entity is known."""

    entity: str
    kind: str
    key: str
    delivery: KnownDelivery | None

    @property
    def received_at(self) -> datetime | None:
        return self.delivery.received_at if self.delivery else None


def sources_of(entities: Collection[Entity]) -> dict[Entity, list[Source]]:
    """Return the sources of each entity, the first that was recorded first."""
    if not entities:
        return {}
    keys: dict[str, list[str]] = defaultdict(list)
    for kind, key in entities:
        keys[kind].append(key)
    named = Q()
    for kind, own in keys.items():
        named |= Q(entity=kind, key__in=own)
    return grouped(list(Provenance.objects.filter(named).order_by("pk")))


def grouped(rows: Sequence[Provenance]) -> dict[Entity, list[Source]]:
    """Return the sources by their entity, with what is known of the deliveries among them."""
    deliveries = find_deliveries({int(row.source_key) for row in rows if _is_delivery(row)})
    found: dict[Entity, list[Source]] = defaultdict(list)
    for row in rows:
        delivery = deliveries.get(int(row.source_key)) if _is_delivery(row) else None
        found[row.entity, row.key].append(
            Source(entity=row.entity, kind=row.source, key=row.source_key, delivery=delivery)
        )
    return found


def chosen(found: dict[Entity, list[Source]], entities: Iterable[Entity]) -> list[Source]:
    """Return the first sources of these entities."""
    return [source for entity in entities for source in found.get(entity, ())][:MOST_SOURCES]


def _is_delivery(row: Provenance) -> bool:
    return row.source == DELIVERY and row.source_key.isdecimal()


TABLES = (DerivedPullRequest, DerivedClosing, DerivedShipment)
"""The rows that are pull requests, or parts of their life."""

NOT_APPLICABLE = "not_applicable"
EXCLUSIONS: Mapping[str, str] = {
    "agent": "It is by an agent, and agents are left out.",
    "bot": "It is by a bot, and bots are left out.",
    "human": "It is by a human, and only bots count.",
    "not_a_member": "Its author was not a member of the team at the time.",
    "no_source": "No deployments of the team are known, and no source of deployments was chosen.",
    "no_production": "The team has no deployments to production.",
    "not_deployed": "No deployment to production has shipped it yet.",
    "baseline_unknown": "The first known deployment to production had it already: when it was shipped is not known.",
    "order_unknown": "It is not known which deployment shipped it first.",
    "merged_without_review": "It was merged without a review that counts.",
    "never_ready": "It was never ready for review, as far as is known.",
    "size_unknown": "Its size is not known.",
    "rounds_unknown": "The pushes after its reviews are not known.",
    "never_queued": "It was not in the merge queue.",
    "merged_without_response": "It was merged without a review or comment that counts.",
    NOT_APPLICABLE: "Nothing has happened to it that the figure counts.",
}
"""Why it does not count in a figure, in a sentence."""


def explain_reason(reason: str) -> str:
    """Return the reason as a sentence; empty if there is none."""
    return EXCLUSIONS.get(reason, f"{reason.replace('_', ' ').capitalize()}." if reason else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Whether a pull request counts in a figure: then when, and with which value; else the reason."""

    figure: Figure
    at: datetime | None = None
    value: float | None = None
    reason: str = ""


def query_for(team: Team, *, opened_at: datetime, bots: Bots, hours: Hours) -> FigureQuery:
    """Return the query of the pull request's whole life until now."""
    zone = ZoneInfo(team.time_zone)
    now = datetime.now(zone)
    start = min(opened_at, now).astimezone(zone).date()
    window = Window(start=start, end=now.date() + DAY, time_zone=team.time_zone)
    return FigureQuery(team=team, window=window, bots=bots, hours=hours, as_of=now)


def counted(scope: Scope, query: FigureQuery) -> list[Counted]:
    """Return for each figure over pull requests whether this one counts, read in one statement."""
    figures = [each for each in FIGURES.values() if each.population.rows.table in TABLES]
    parts = [part for place, figure in enumerate(figures) for part in _rows_of(place, figure, scope, query)]
    found: dict[int, list[tuple[str, datetime | None, float | None]]] = defaultdict(list)
    for place, reason, at, value in parts[0].union(*parts[1:], all=True):
        found[place].append((reason, at, value))
    return [_counted_in(figure, found[place], query) for place, figure in enumerate(figures)]


def _rows_of(place: int, figure: Figure, scope: Scope, query: FigureQuery) -> Iterator[QuerySet[Any, Any]]:
    """Yield the rows of the pull request that the figure counts or leaves out, each with the reason."""
    yield _columns(figure.population.judged(query), place, scope, reason=Coalesce("excluded", Value("")))
    for reason, population in figure.also_excluded.items():
        yield _columns(population(query), place, scope, reason=Value(reason))


def _columns(rows: QuerySet[Any], place: int, scope: Scope, *, reason: Any) -> QuerySet[Any, Any]:
    """Return the columns that the rows of all tables have, of one type each."""
    columns: QuerySet[Any, Any] = (
        rows.filter(**_only(scope))
        .annotate(
            place=Cast(Value(place), IntegerField()),
            reason=Cast(reason, TextField()),
            counted_at=Cast(F("at"), DateTimeField()),
            counted_value=Cast(F("value"), FloatField()),
        )
        .order_by()
        .values_list("place", "reason", "counted_at", "counted_value")
    )
    return columns


def _counted_in(
    figure: Figure, rows: Sequence[tuple[str, datetime | None, float | None]], query: FigureQuery
) -> Counted:
    counting = [(at, value) for reason, at, value in rows if not reason and at is not None]
    if counting:
        at, value = max(counting, key=lambda each: each[0])
        return Counted(figure=figure, at=at, value=value)
    own = [(reason, at) for reason, at, _ in rows if reason not in figure.also_excluded]
    if own:
        reason, left_out_at = max(own, key=lambda each: (each[1] is not None, each[1]))
        return Counted(figure=figure, at=left_out_at, reason=reason)
    if figure.needs_source and (lack := query.lack_of(figure.population.rows.table)):
        return Counted(figure=figure, reason=lack)
    reasons = {reason for reason, _, _ in rows}
    return Counted(figure=figure, reason=next((one for one in figure.also_excluded if one in reasons), NOT_APPLICABLE))


def _only(scope: Scope) -> dict[str, Any]:
    return dict(zip(("repository_id", "number"), scope, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why the instants and stages of a pull request are what they are.

    `row` is what the facts make of it now. `is_recalculating` says that stored rows may not be so yet.
    """

    pull_request: PullRequest
    row: Mapping[str, Any]
    boundaries: Sequence[Boundary]
    deployments: Sequence[Shipping]
    sources: dict[Entity, list[Source]]
    logins: Mapping[int, str]
    is_recalculating: bool
    evidence: Sequence[Mapping[str, Any]] = ()
    team: Team | None = None
    query: FigureQuery | None = None
    figures: Sequence[Counted] = field(default=())

    @property
    def flags(self) -> list[str]:
        return flags_of(self.row)

    @property
    def stages(self) -> dict[str, int | None]:
        """Return the seconds of each stage up to the merge."""
        return {stage: self.row[f"{stage}_seconds"] for stage in UNTIL_MERGE}


def explain(
    pull_request: PullRequest,
    *,
    team: Team | None = None,
    bots: Bots = Bots.EXCLUDE,
    hours: Hours = Hours.WALL,
) -> Explanation | None:
    """Return the explanation; None of a pull request that is known by its number alone."""
    scope = pull_request.repository_id, pull_request.number
    for facts in read_facts([scope], reading=run_as_one):
        derived = rows_of([facts])
        [row] = PULL_REQUESTS.as_dicts(derived.pull_requests)
        shipments = SHIPMENTS.as_dicts(derived.shipments)
        other = read_alternatives(facts, shipments=shipments)
        row["reverted_by"] = other.reverted_by
        steps = list(boundaries(facts, row, commits=other.commits, left_out=other.left_out))
        deployments = list(
            shippings(facts, shipments=shipments, deployments=other.deployments, successes=other.successes)
        )
        every = [each for step in (*steps, *deployments) for each in step.candidates]
        query = query_for(team, opened_at=facts.state.opened_at, bots=bots, hours=hours) if team else None
        return Explanation(
            pull_request=pull_request,
            row=row,
            boundaries=steps,
            deployments=deployments,
            sources=sources_of({entity for each in every if not each.reason for entity in each.entities}),
            logins=other.logins,
            is_recalculating=other.is_recalculating,
            evidence=EVIDENCE.as_dicts(derived.evidence),
            team=team,
            query=query,
            figures=counted(scope, query) if query else (),
        )
    return None


EVIDENCE_FIELDS = ("kind", "source", "value", "tool", "confidence", "sha", "detector_version")
MOST_CANDIDATES = 100
"""The most that are shown of one instant; `rejected` counts all of them."""


def as_document(explanation: Explanation) -> dict[str, Any]:
    """Return the explanation as JSON; `figures` is null where no team was asked for."""
    pull_request, row = explanation.pull_request, explanation.row
    life = life_of(pull_request, query=explanation.query)
    return {
        "team": explanation.team.slug if explanation.team else None,
        "repository": pull_request.repository.full_name,
        "repository_id": pull_request.repository_id,
        "number": pull_request.number,
        "title": pull_request.title,
        "account": _login(explanation, row["author_id"]),
        "account_class": str(row["author_class"]),
        "flags": explanation.flags,
        "evidence": [{name: row[name] for name in EVIDENCE_FIELDS} for row in explanation.evidence],
        "is_recalculating": explanation.is_recalculating,
        "boundaries": [_boundary(each, explanation=explanation) for each in explanation.boundaries],
        "stages": explanation.stages,
        "deployments": [_shipping(each, explanation=explanation) for each in explanation.deployments],
        "history": [_moment(each) for each in life.moments],
        "review_requests": [_request(each) for each in life.requests],
        "runs": [_run(each) for each in life.runs],
        "figures": [_counted(each) for each in explanation.figures] if explanation.team else None,
    }


def _moment(moment: Moment) -> dict[str, Any]:
    return {
        "kind": moment.kind,
        "at": format_instant(moment.at),
        "account": moment.account,
        "detail": moment.detail,
    }


def _request(request: Request) -> dict[str, Any]:
    return {
        "reviewer": request.reviewer,
        "is_team": request.is_team,
        "requested_at": format_instant(request.requested_at),
        "answered_at": format_instant(request.answered_at) if request.answered_at else None,
        "withdrawn_at": format_instant(request.withdrawn_at) if request.withdrawn_at else None,
        "answer_seconds": request.answer_seconds,
    }


def _run(run: WorkflowRun) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "attempt": run.attempt,
        "workflow": run.name,
        "sha": run.head_sha,
        "conclusion": run.conclusion or "",
        "started_at": format_instant(run.started_at) if run.started_at else None,
        "concluded_at": format_instant(run.concluded_at) if run.concluded_at else None,
    }


def _boundary(boundary: Boundary, *, explanation: Explanation) -> dict[str, Any]:
    entities = boundary.chosen.entities if boundary.chosen else ()
    return {
        "boundary": boundary.name,
        "at": format_instant(boundary.at) if boundary.at else None,
        "rule": boundary.rule,
        "sources": [source_as_json(each) for each in chosen(explanation.sources, entities)],
        "candidates": [_candidate(each, explanation=explanation) for each in shown(boundary)],
        "rejected": boundary.rejected,
    }


def shown(boundary: Boundary) -> list[Candidate]:
    """Return the candidates, of very many those around the chosen one."""
    every = list(boundary.candidates)
    place = every.index(boundary.chosen) if boundary.chosen else len(every)
    start = max(0, min(place - MOST_CANDIDATES // 2, len(every) - MOST_CANDIDATES))
    return every[start : start + MOST_CANDIDATES]


def _shipping(shipping: Shipping, *, explanation: Explanation) -> dict[str, Any]:
    return {
        **_boundary(shipping, explanation=explanation),
        "service": shipping.service,
        "environment": shipping.environment,
        "is_production": shipping.is_production,
        "is_order_unknown": shipping.is_order_unknown,
        "stages": dict(shipping.stages) or None,
        "lead_seconds": shipping.lead_seconds,
    }


def _candidate(candidate: Candidate, *, explanation: Explanation) -> dict[str, Any]:
    return {
        "kind": candidate.kind,
        "name": candidate.name,
        "at": format_instant(candidate.at) if candidate.at else None,
        "account": _login(explanation, candidate.account_id),
        "verdict": candidate.verdict,
        "is_chosen": not candidate.reason,
        "reason": candidate.reason,
        "explanation": WORDS.get(candidate.reason, ""),
    }


def source_as_json(source: Source) -> dict[str, Any]:
    delivery = source.delivery
    return {
        "entity": source.entity,
        "source": source.kind,
        "source_key": source.key,
        "guid": str(delivery.guid) if delivery else None,
        "event": delivery.event if delivery else "",
        "received_at": format_instant(delivery.received_at) if delivery else None,
    }


def _counted(counted: Counted) -> dict[str, Any]:
    return {
        "figure": counted.figure.key,
        "title": counted.figure.title,
        "unit": counted.figure.unit,
        "counts": not counted.reason,
        "at": format_instant(counted.at) if counted.at else None,
        "value": counted.value,
        "reason": counted.reason,
        "explanation": explain_reason(counted.reason),
    }


def _login(explanation: Explanation, account_id: int | None) -> str:
    return explanation.logins.get(account_id, "") if account_id else ""
