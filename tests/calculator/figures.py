"""The figures of a team in a window, by their definitions."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from tests.calculator.deployments import Deployment, Remedy, delivered
from tests.calculator.facts import Facts, Row
from tests.calculator.pull_requests import PullRequest, Request, pull_requests

DAY = timedelta(days=1)
OF_OTHERS = frozenset(
    (
        *("merged_without_review", "merged_without_response", "not_deployed", "baseline_unknown"),
        *("not_answered", "withdrawn", "requested_of_team"),
    )
)


@dataclass(frozen=True)
class Counted:
    """What a figure may count: when, whose, in which repository, and the value that it has."""

    at: datetime
    repository_id: int
    value: float | None = 0.0
    account_id: int | None = None
    is_bot: bool = False
    left_out: str = ""
    has_account: bool = True
    is_agent: bool = False
    is_always_counted: bool = False

    @property
    def is_of_others(self) -> bool:
        """Return whether it is listed beside the figure, and only for accounts that count."""
        return self.left_out in OF_OTHERS


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A team and a window. `team_id` of None is a team without members."""

    repositories: frozenset[int]
    team_id: int
    bots: str
    start: date
    end: date
    time_zone: str
    as_of: datetime

    def midnight(self, day: date) -> datetime:
        return datetime.combine(day, time.min, ZoneInfo(self.time_zone)).astimezone(UTC)

    @property
    def start_at(self) -> datetime:
        return self.midnight(self.start)

    @property
    def end_at(self) -> datetime:
        return min(self.midnight(self.end), self.as_of)

    @property
    def days(self) -> int:
        """Return how many local days had begun."""
        return sum(self.midnight(self.start + DAY * n) <= self.end_at for n in range((self.end - self.start).days))

    def local_day(self, at: datetime) -> date:
        return at.astimezone(ZoneInfo(self.time_zone)).date()


Rows = Callable[["Calculator", Asked], Iterable[Counted]]
Values = dict[str, Any]


@dataclass(frozen=True)
class Calculator:
    """Every figure, from the facts as they are stored now."""

    facts: Facts

    @cached_property
    def pull_requests(self) -> list[PullRequest]:
        return pull_requests(self.facts)

    @cached_property
    def delivered(self) -> Any:
        return delivered(self.facts, self.pull_requests)

    def read(self, key: str, asked: Asked) -> Values:
        """Return n, value and statistics of a figure, and how many rows were left out for which reason."""
        rows, measure = FIGURES[key]
        found = [one for one in rows(self, asked) if one.repository_id in asked.repositories]
        reasons = [(self.reason(one, asked), one) for one in found]
        counted = [one for reason, one in reasons if not reason]
        reported = (reason for reason, one in reasons if not one.is_of_others or reason == one.left_out)
        excluded = Counter(reason for reason in reported if reason)
        return {"n": len(counted), **measure(self, asked, counted), "excluded": dict(excluded)}

    def reason(self, one: Counted, asked: Asked) -> str:
        """Return why a row does not count; empty if it does."""
        if one.is_agent:
            if asked.bots == "exclude" and not one.is_always_counted:
                return "agent"
            if one.account_id is not None and not self.is_member(one, asked):
                return "not_a_member"
        elif one.has_account:
            if one.is_bot and asked.bots == "exclude":
                return "bot"
            if not one.is_bot and asked.bots == "only":
                return "human"
            if not one.is_bot and not self.is_member(one, asked):
                return "not_a_member"
        return one.left_out

    def is_member(self, one: Counted, asked: Asked) -> bool:
        members = self.facts.memberships.get(asked.team_id)
        return not members or any(
            each.contributor_id == one.account_id
            and (each.from_at is None or each.from_at <= one.at)
            and (each.until_at is None or each.until_at > one.at)
            for each in members
        )

    def has_production(self, asked: Asked) -> bool:
        known = [one for one in self.delivered.deployments if one.created_at <= asked.as_of]
        return any(one.is_production and one.repository_id in asked.repositories for one in known)

    def by_author(self, one: PullRequest, at: datetime, *, value: float | None = 0.0, left_out: str = "") -> Counted:
        account_id = one.person_id if one.is_agent else one.fact.author_id
        return Counted(at, one.fact.repository_id, value, account_id, one.is_bot, left_out, is_agent=one.is_agent)


def _in(asked: Asked, at: datetime | None) -> bool:
    return at is not None and asked.start_at <= at < asked.end_at


def _seconds(since: datetime | None, until: datetime | None) -> float | None:
    return max(0.0, round((until - since).total_seconds())) if since and until else None


def opened(value: Callable[[PullRequest, Asked], float] = lambda *_: 0.0) -> Rows:
    def rows(here: Calculator, asked: Asked) -> Iterator[Counted]:
        for one in here.pull_requests:
            if _in(asked, one.fact.created_at):
                yield here.by_author(one, one.fact.created_at, value=value(one, asked))

    return rows


def merged(value: Callable[[PullRequest], float | None] = lambda _: 0.0, *, unless: str = "") -> Rows:
    def rows(here: Calculator, asked: Asked) -> Iterator[Counted]:
        for one in here.pull_requests:
            if _in(asked, one.fact.merged_at):
                found = value(one)
                yield here.by_author(one, one.fact.merged_at, value=found, left_out=unless if found is None else "")

    return rows


def merged_by_agents(here: Calculator, asked: Asked) -> Iterator[Counted]:
    yield from (replace(one, is_always_counted=True) for one in merged()(here, asked) if one.is_agent)


def closed_unmerged(here: Calculator, asked: Asked) -> Iterator[Counted]:
    for one in here.pull_requests:
        for since, until in one.closings:
            if _in(asked, since) and (until is None or until > asked.as_of):
                yield here.by_author(one, since)


def first_reviewed(here: Calculator, asked: Asked) -> Iterator[Counted]:
    for one in here.pull_requests:
        if one.first_review_at and one.ready_at and _in(asked, at := max(one.first_review_at, one.ready_at)):
            yield here.by_author(one, at, value=_seconds(one.ready_at, at))
        if _in(asked, one.fact.merged_at) and one.first_review_at is None:
            yield here.by_author(one, one.fact.merged_at, left_out="merged_without_review")


def first_responded(here: Calculator, asked: Asked) -> Iterator[Counted]:
    for one in here.pull_requests:
        if one.first_response_at and one.ready_at and _in(asked, at := max(one.first_response_at, one.ready_at)):
            yield here.by_author(one, at, value=_seconds(one.ready_at, at))
        if _in(asked, one.fact.merged_at) and one.first_response_at is None:
            yield here.by_author(one, one.fact.merged_at, left_out="merged_without_response")


def requests(here: Calculator, asked: Asked) -> Iterator[Counted]:
    for one in here.pull_requests:
        for each in one.requests:
            whose = {"account_id": each.account_id, "is_bot": not here.facts.is_human(each.account_id)}
            if _in(asked, each.answered_at):
                seconds = _seconds(each.requested_at, each.answered_at)
                yield Counted(each.answered_at, one.fact.repository_id, seconds, **whose)
            if _in(asked, each.requested_at) and (reason := _without_answer(each, asked)):
                own = whose if each.account_id is not None else {"has_account": False}
                yield Counted(each.requested_at, one.fact.repository_id, left_out=reason, **own)


def _without_answer(one: Request, asked: Asked) -> str:
    if one.account_id is None:
        return "requested_of_team"
    if one.withdrawn_at is not None and one.withdrawn_at < asked.as_of:
        return "withdrawn"
    return "" if one.answered_at is not None and one.answered_at < asked.as_of else "not_answered"


def in_progress(here: Calculator, asked: Asked) -> Iterator[Counted]:
    at = asked.end_at
    for one in here.pull_requests:
        if one.is_open_at(at) and one.ready_at and one.ready_at <= at and not one.is_draft_at(at):
            yield here.by_author(one, at, value=(at - one.ready_at).total_seconds())


def reviews(here: Calculator, asked: Asked) -> Iterator[Counted]:
    for one in here.pull_requests:
        for each in one.reviews:
            if _in(asked, each.submitted_at) and each.author_id != one.fact.author_id:
                is_bot = not here.facts.is_human(each.author_id)
                yield Counted(each.submitted_at, each.repository_id, 0.0, each.author_id, is_bot)


def commits(here: Calculator, asked: Asked) -> Iterator[Counted]:
    for one in here.facts.commits.values():
        at = one.landed_at or one.presumed_landed_at
        parents = one.parent_count if one.parent_count is not None else one.presumed_parent_count
        if _in(asked, at) and not (parents or 0) > 1:
            account = here.facts.accounts.get(here.facts.account_of(one) or 0)
            login = (account and account.login) or one.author_login or one.author_name
            is_bot = not here.facts.is_human_login(login, account and account.kind)
            yield Counted(at, one.repository_id, 0.0, account and account.github_id, is_bot)


def deployed(value: Callable[[Calculator, Deployment, Asked], float] = lambda *_: 0.0) -> Rows:
    def rows(here: Calculator, asked: Asked) -> Iterator[Counted]:
        for one in here.delivered.deployments:
            if one.is_production and _in(asked, one.succeeded_at):
                yield Counted(one.succeeded_at, one.repository_id, value(here, one, asked), has_account=False)

    return rows


def failed(here: Calculator, asked: Asked) -> Iterator[Counted]:
    for one in here.delivered.deployments:
        has_succeeded = one.succeeded_at is not None and one.succeeded_at <= asked.as_of
        if one.is_production and not has_succeeded and _in(asked, one.failed_at):
            yield Counted(one.failed_at, one.repository_id, has_account=False)


def incidents(here: Calculator, asked: Asked) -> Iterator[Counted]:
    for one in here.facts.incidents:
        if _in(asked, one.opened_at):
            yield Counted(one.opened_at, one.repository_id, has_account=False)


def ended_incidents(here: Calculator, asked: Asked) -> Iterator[Counted]:
    for one in here.facts.incidents:
        if one.closed_at and _in(asked, max(one.closed_at, one.opened_at)):
            seconds = (one.closed_at - one.opened_at).total_seconds()
            yield Counted(one.closed_at, one.repository_id, max(0.0, seconds), has_account=False)


def is_failing(here: Calculator, one: Deployment, asked: Asked) -> float:
    remedies = [each for each in known_remedies(here, asked) if each.failing == one.name]
    failures = [each for each in here.delivered.failures if each.failing is one and each.failing_at < asked.as_of]
    is_cause = any(each.incident.opened_at < asked.as_of for each in failures)
    return float(is_cause or any(each.by.chain == one.chain for each in remedies))


def is_rework(here: Calculator, one: Deployment, asked: Asked) -> float:
    return float(any(each.by is one for each in known_remedies(here, asked)))


def known_remedies(here: Calculator, asked: Asked) -> list[Remedy]:
    """Return what was known then to remedy a deployment; the end of an incident shows it only if nothing else does."""
    known = [each for each in here.delivered.remedies if each.remediated_at < asked.as_of]
    sure = [each for each in known if not each.by_incident]
    better = {(each.by.chain, each.failing): each.remediated_at for each in reversed(sure)}
    return sure + [
        each
        for each in known
        if each.by_incident
        and each.known_at < asked.as_of
        and not better.get((each.by.chain, each.failing), asked.as_of) <= each.remediated_at
    ]


def recovered(here: Calculator, asked: Asked) -> Iterator[Counted]:
    first: dict[Any, Any] = {}
    for each in sorted(known_remedies(here, asked), key=lambda one: one.remediated_at):
        first.setdefault((each.by.chain, each.failing), each)
    for each in first.values():
        if each.by.is_production and _in(asked, each.remediated_at):
            seconds = (each.remediated_at - each.failing_at).total_seconds()
            yield Counted(each.remediated_at, each.by.repository_id, seconds, has_account=False)


def shipped(name: str, *, has_others: bool = False) -> Rows:
    def rows(here: Calculator, asked: Asked) -> Iterator[Counted]:
        first: dict[Any, Any] = {}
        in_production = [one for one in here.delivered.shipments if one.deployment.is_production]
        for each in sorted(in_production, key=lambda one: one.deployed_at):
            first.setdefault(each.pull_request.key, each)
        for each in first.values():
            if _in(asked, each.deployed_at):
                value = getattr(each, name)
                reason = "order_unknown" if value is None else ""
                yield here.by_author(each.pull_request, each.deployed_at, value=value, left_out=reason)
        if has_others:
            yield from not_shipped(here, asked, {key for key, one in first.items() if one.deployed_at < asked.as_of})

    return rows


def not_shipped(here: Calculator, asked: Asked, keys: set[Any]) -> Iterator[Counted]:
    for one in here.pull_requests:
        if _in(asked, one.fact.merged_at) and one.key not in keys:
            is_before_all = one.landing is not None and any(
                each.is_production
                and each.repository_id == one.key[0]
                and each.succeeded_at is not None
                and each.succeeded_at < asked.as_of
                and (each.order[0] if each.order else each.succeeded_at) >= one.landing[0]
                for each in here.delivered.deployments
            )
            reason = "baseline_unknown" if is_before_all else "not_deployed"
            yield here.by_author(one, one.fact.merged_at, left_out=reason)


FAILED = ("failure", "timed_out", "startup_failure")


def runs(value: Callable[[list[Row]], float | None] = lambda _: 0.0, *, unless: str = "") -> Rows:
    """Return concluded attempts of workflow runs; `value` is of an attempt, given with those before it."""

    def rows(here: Calculator, asked: Asked) -> Iterator[Counted]:
        for attempts in here.facts.runs.values():
            for place, one in enumerate(attempts):
                if _in(asked, one.concluded_at):
                    is_last = all(each.concluded_at >= asked.as_of for each in attempts[place + 1 :])
                    found = value(attempts[: place + 1])
                    reason = _left_out(one, is_last=is_last) or (unless if found is None else "")
                    is_bot = not here.facts.is_human(one.actor_id)
                    yield Counted(one.concluded_at, one.repository_id, found, one.actor_id, is_bot, reason)

    return rows


def _left_out(one: Row, *, is_last: bool) -> str:
    if not is_last:
        return "run_again"
    if one.conclusion in ("cancelled", "skipped"):
        return str(one.conclusion)
    return "" if one.conclusion in ("success", *FAILED) else "inconclusive"


def _between(since: str, until: str) -> Callable[[list[Row]], float | None]:
    def seconds(attempts: list[Row]) -> float | None:
        begun, ended = getattr(attempts[-1], since), getattr(attempts[-1], until)
        known = (ended - begun).total_seconds() if begun and ended else -1.0
        return float(round(known)) if known >= 0 else None

    return seconds


def is_flaky(attempts: list[Row]) -> float | None:
    *earlier, last = attempts
    if last.attempt == 1 or last.conclusion != "success":
        return 0.0
    if any(one.conclusion in FAILED for one in earlier):
        return 1.0
    return 0.0 if len(earlier) == last.attempt - 1 else None


def count(_: Calculator, __: Asked, rows: list[Counted]) -> Values:
    return {"value": len(rows)}


def known_incidents(here: Calculator, asked: Asked, rows: list[Counted]) -> Values:
    known = [one for one in here.facts.incidents if one.repository_id in asked.repositories]
    return {"value": len(rows) if known or here.facts.incident_rules else None}


def production(here: Calculator, asked: Asked, rows: list[Counted]) -> Values:
    return {"value": len(rows) if rows or here.has_production(asked) else None}


def distribution(_: Calculator, __: Asked, rows: list[Counted]) -> Values:
    values = sorted(one.value for one in rows if one.value is not None)
    mean = math.fsum(values) / len(values) if values else None
    middle, p75, p90 = (_quantile(values, share) for share in (0.5, 0.75, 0.9))
    return {"value": middle, "median": middle, "mean": mean, "p75": p75, "p90": p90}


def _quantile(values: list[float], share: float) -> float | None:
    if not values:
        return None
    place = share * (len(values) - 1)
    low, high = values[math.floor(place)], values[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


def per_day(here: Calculator, asked: Asked, rows: list[Counted]) -> Values:
    has_value = asked.days and (rows or here.has_production(asked))
    return {"value": len(rows) / asked.days if has_value else None}


def per_week(_: Calculator, asked: Asked, rows: list[Counted]) -> Values:
    return {"value": len(rows) * 7 / asked.days if asked.days else None}


def share(_: Calculator, __: Asked, rows: list[Counted]) -> Values:
    return {"value": sum(one.value or 0 for one in rows) / len(rows) if rows else None}


def per_account(_: Calculator, __: Asked, rows: list[Counted]) -> Values:
    accounts = {one.account_id for one in rows}
    return {"value": len(rows) / len(accounts) if rows else None}


def days_per_week(here: Calculator, asked: Asked, rows: list[Counted]) -> Values:
    if not rows and not here.has_production(asked):
        return {"value": None}
    days = {asked.local_day(one.at) for one in rows}
    mondays = (asked.start + DAY * n for n in range((asked.end - asked.start).days))
    weeks = [one for one in mondays if one.weekday() == 0 and one + DAY * 7 <= asked.end]
    counts = sorted(
        float(sum(one + DAY * n in days for n in range(7)))
        for one in weeks
        if asked.midnight(one + DAY * 7) <= asked.end_at
    )
    return {"value": _quantile(counts, 0.5)}


def ratio_of_flow(here: Calculator, asked: Asked, rows: list[Counted]) -> Values:
    ended = here.read("prs_merged", asked)["n"] + here.read("closed_unmerged", asked)["n"]
    return {"value": len(rows) / ended if ended else None}


def share_of_agents(here: Calculator, asked: Asked, rows: list[Counted]) -> Values:
    others = [
        one
        for one in merged()(here, asked)
        if not one.is_agent and one.repository_id in asked.repositories and not here.reason(one, asked)
    ]
    return {"value": len(rows) / (len(rows) + len(others)) if rows or others else None}


def was_reverted(here: Calculator, asked: Asked) -> Iterator[Counted]:
    merges = [one for one in here.pull_requests if one.fact.merged_at and one.fact.merged_at < asked.as_of]
    undone = {(one.fact.repository_id, one.reverts) for one in merges}
    yield from merged(lambda one: float(one.key in undone))(here, asked)


def stage(place: int) -> Rows:
    return merged(lambda one: one.stages[place])


def size(one: PullRequest) -> float | None:
    added, deleted = one.fact.additions, one.fact.deletions
    return None if added is None or deleted is None else float(added + deleted)


FIGURES: dict[str, tuple[Rows, Callable[[Calculator, Asked, list[Counted]], Values]]] = {
    "commits": (commits, count),
    "prs_opened": (opened(), count),
    "prs_merged": (merged(), count),
    "throughput": (merged(), per_week),
    "closed_unmerged": (closed_unmerged, count),
    "flow_ratio": (opened(), ratio_of_flow),
    "cycle_time": (merged(lambda one: _seconds(one.ready_at, one.fact.merged_at), unless="never_ready"), distribution),
    "time_to_first_review": (first_reviewed, distribution),
    "time_in_draft": (opened(lambda one, asked: one.draft_seconds(asked.as_of)), distribution),
    "pr_size": (merged(size, unless="size_unknown"), distribution),
    "review_coverage": (merged(lambda one: float(one.first_review_at is not None)), share),
    "review_rounds": (merged(lambda one: one.rounds, unless="rounds_unknown"), distribution),
    "agent_authored": (merged_by_agents, share_of_agents),
    "ai_assisted": (merged(lambda one: float(one.is_ai_assisted)), share),
    "ai_reviewed": (merged(lambda one: float(one.is_ai_reviewed)), share),
    "wip": (in_progress, count),
    "age": (in_progress, distribution),
    "reviews": (reviews, count),
    "review_load": (reviews, per_account),
    "time_to_first_response": (first_responded, distribution),
    "review_turnaround": (requests, distribution),
    "ci_success_rate": (runs(lambda attempts: float(attempts[-1].conclusion == "success")), share),
    "ci_duration": (runs(_between("started_at", "concluded_at"), unless="duration_time_unknown"), distribution),
    "ci_queue_time": (runs(_between("started_at", "in_progress_at"), unless="queued_time_unknown"), distribution),
    "ci_attempts": (runs(lambda attempts: attempts[-1].attempt), distribution),
    "ci_flaky_share": (runs(is_flaky, unless="attempts_unknown"), share),
    "deployments": (deployed(), production),
    "failed_deployments": (failed, production),
    "deployment_frequency": (deployed(), per_day),
    "deployment_days_per_week": (deployed(), days_per_week),
    "lead_time": (shipped("lead_seconds", has_others=True), distribution),
    "coding_time": (stage(0), distribution),
    "pickup_time": (stage(1), distribution),
    "review_time": (stage(2), distribution),
    "merge_time": (stage(3), distribution),
    "time_in_queue": (merged(lambda one: one.queue_seconds, unless="never_queued"), distribution),
    "revert_rate": (merged(lambda one: float(one.reverts is not None)), share),
    "reverted_rate": (was_reverted, share),
    "hotfix_rate": (merged(lambda one: float(one.is_hotfix)), share),
    "deploy_time": (shipped("deploy_seconds"), distribution),
    "change_failure_rate": (deployed(is_failing), share),
    "failed_deployment_recovery_time": (recovered, distribution),
    "deployment_rework_rate": (deployed(is_rework), share),
    "incidents": (incidents, known_incidents),
    "incident_recovery_time": (ended_incidents, distribution),
}
