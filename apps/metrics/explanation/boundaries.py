"""Boundaries of a pull request's life, with the rule that chose each, and what it was chosen from."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from apps.metrics.derivation.commits import OLDEST_BELIEVED, CommitCandidate
from apps.metrics.derivation.deployment_rules import Kind as Source
from apps.metrics.derivation.pull_request_facts import Facts, SubmittedReview, Verdict, reason_against
from apps.metrics.derivation.reported_deployments import PREFIX
from apps.metrics.derivation.timeline import Kind
from apps.metrics.models.deployments import STAGES

Entity = tuple[str, str]
"""The kind and key of what a source reported, as provenance has it."""

LATER = "later"
WORDS: Mapping[str, str] = {
    LATER: "An earlier one counts.",
    "had_landed": "It was on the default branch before it was pushed here.",
    "date_clamped": "Its date cannot be right.",
    "date_unknown": "Its date is not known.",
    "opened_as_draft": "It was opened as a draft.",
    "opened_ready": "It was ready from the opening.",
    "by_bot": "It is by a bot.",
    "by_author": "It is by the author of the pull request.",
    "after_end": "It came after the merge or the close.",
    "not_submitted": "It was not submitted.",
    "deleted": "It was deleted.",
    "not_an_approval": "It does not approve.",
    "not_merged": "The pull request is not merged.",
    "not_landed": "The merge is not known to be on the default branch.",
    "not_succeeded": "It did not succeed.",
    "baseline": "It is the first known one of its service and environment: what it was the first to ship is not known.",
    "baseline_unknown": "The first known deployment of the service and environment had the merge already.",
    "before_merge": "It succeeded before the merge was on the default branch.",
    "commit_unknown": "Its commit is not known to be on the default branch.",
    "without_merge": "Its commit comes before the merge on the default branch.",
}
"""Why a candidate was rejected, in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What an instant could have been taken from. The chosen one has no `reason`."""

    kind: str
    name: str
    at: datetime | None
    account_id: int | None = None
    verdict: str = ""
    reason: str = ""
    entities: tuple[Entity, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """An instant in the life of a pull request, the rule that chose it, and its candidates."""

    name: str
    at: datetime | None
    rule: str
    candidates: Sequence[Candidate] = ()

    @property
    def chosen(self) -> Candidate | None:
        return next((each for each in self.candidates if not each.reason), None)

    @property
    def rejected(self) -> dict[str, int]:
        """Return how many candidates were rejected, by reason."""
        return dict(Counter(each.reason for each in self.candidates if each.reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipping(Boundary):
    """The first deployment of a service to an environment that had the pull request; without one, `at` is null."""

    name: str = "deployed"
    service: str
    environment: str
    is_production: bool
    is_order_unknown: bool = False
    stages: Mapping[str, int | None] = field(default_factory=dict)
    lead_seconds: int | None = None


def first_counts(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates, of which the first that may count does, and the others are later."""
    found, is_chosen = [], False
    for each in candidates:
        found.append(replace(each, reason=LATER) if is_chosen and not each.reason else each)
        is_chosen = is_chosen or not each.reason
    return found


Row = Mapping[str, Any]
NEXT_KNOWN = "it is taken to be at the next known boundary"


class LeftOutReview(NamedTuple):
    """A review that was deleted or not submitted."""

    review_id: int
    author_id: int | None
    submitted_at: datetime | None
    verdict: str | None
    deleted_at: datetime | None


def boundaries(
    facts: Facts, row: Row, *, commits: Sequence[CommitCandidate], left_out: Sequence[LeftOutReview]
) -> Iterator[Boundary]:
    """Yield the boundaries in their order. `left_out` are the reviews that were deleted or not submitted."""
    yield _first_commit(facts, row, commits=commits)
    yield Boundary(
        name="opened", at=row["opened_at"], rule="When GitHub says that it was created.", candidates=[_opening(facts)]
    )
    yield _ready(facts, row)
    reviews = _reviews(facts, left_out=left_out)
    yield Boundary(
        name="first_review", at=row["first_review_at"], rule=_rule_of_review(row), candidates=first_counts(reviews)
    )
    yield Boundary(
        name="first_approval",
        at=row["first_approval_at"],
        rule=_rule_of_approval(row),
        candidates=first_counts([_as_approval(each) for each in reviews]),
    )
    yield _merged(facts, row)
    yield _landed(facts, row)


def _pull_request(facts: Facts) -> tuple[Entity, ...]:
    return (("pull_request", f"{facts.state.repository_id}:{facts.state.number}"),)


def _opening(facts: Facts, *, reason: str = "") -> Candidate:
    return Candidate(
        kind="opening",
        name=str(facts.state.number),
        at=facts.state.opened_at,
        account_id=facts.state.author_id,
        reason=reason,
        entities=_pull_request(facts),
    )


def _first_commit(facts: Facts, row: Row, *, commits: Sequence[CommitCandidate]) -> Boundary:
    # A commit of a branch comes with a push to it, or in the pull request's list of commits.
    branch = ("push", f"{facts.state.repository_id}:refs/heads/{facts.state.head_ref}")
    candidates = [
        Candidate(
            kind="commit",
            name=each.sha,
            at=each.at,
            reason=each.reason,
            entities=(branch, *_pull_request(facts)),
        )
        for each in commits
    ]
    return Boundary(
        name="first_commit",
        at=row["first_commit_at"],
        rule=_rule_of_commits(facts, row),
        candidates=first_counts(candidates),
    )


def _rule_of_commits(facts: Facts, row: Row) -> str:
    at, begun_at = row["first_commit_at"], facts.commits.first_begun_at
    if begun_at is None:
        return "No date of a commit is known: coding begins when the pull request was ready, or opened."
    if at == facts.state.opened_at - OLDEST_BELIEVED and begun_at < at:
        return "The earliest commit is dated more than a year before the opening: a year before the opening counts."
    if at < begun_at:
        return "The earliest commit is dated after the pull request was ready: when it was ready counts."
    copies = ", or the committer date of cherry-picked ones" if row["is_cherry_picked"] else ""
    clamped = "; dates that cannot be right do not count" if facts.commits.has_clamped_date else ""
    return f"The earliest author date of its commits{copies}{clamped}."


def _ready(facts: Facts, row: Row) -> Boundary:
    is_draft = row["is_opened_as_draft"]
    marked = [
        Candidate(
            kind=each.kind,
            name=str(facts.state.number),
            at=each.at,
            account_id=each.actor_id,
            reason="" if is_draft else "opened_ready",
            entities=_pull_request(facts),
        )
        for each in facts.history
        if each.kind == Kind.READY_FOR_REVIEW
    ]
    opening = _opening(facts, reason="opened_as_draft" if is_draft else "")
    if not is_draft:
        rule = "It was opened ready for review."
    elif marked:
        rule = "The first time that it was marked ready for review."
    else:
        rule = f"It was opened as a draft, and nothing says that it was marked ready: {NEXT_KNOWN}."
    return Boundary(name="ready", at=row["ready_at"], rule=rule, candidates=first_counts([opening, *marked]))


def _reviews(facts: Facts, *, left_out: Iterable[LeftOutReview]) -> list[Candidate]:
    """Return the reviews, the earliest first, with why they do not count."""
    ordered = sorted(facts.reviews, key=lambda each: (each.submitted_at, each.review_id))
    known = [_review(each, facts=facts) for each in ordered]
    return [*known, *map(_left_out_review, left_out)]


def _review(review: SubmittedReview, *, facts: Facts) -> Candidate:
    return Candidate(
        kind="review",
        name=str(review.review_id),
        at=review.submitted_at,
        account_id=review.reviewer_id,
        verdict=review.verdict or "",
        reason=reason_against(review, until=facts.state.ended_at),
        entities=(("review", str(review.review_id)),),
    )


def _left_out_review(review: LeftOutReview) -> Candidate:
    return Candidate(
        kind="review",
        name=str(review.review_id),
        at=review.submitted_at,
        account_id=review.author_id,
        verdict=review.verdict or "",
        reason="deleted" if review.deleted_at else "not_submitted",
    )


def _as_approval(review: Candidate) -> Candidate:
    is_other = not review.reason and review.verdict != Verdict.APPROVED
    return replace(review, reason="not_an_approval") if is_other else review


def _rule_of_review(row: Row) -> str:
    if row["first_review_at"] is None:
        return f"No review counts: {NEXT_KNOWN}."
    early = " It came before the pull request was ready, so the wait is 0." if row["is_reviewed_in_draft"] else ""
    return f"The first review by a human other than the author, up to the merge or close.{early}"


def _rule_of_approval(row: Row) -> str:
    if row["first_approval_at"] is None:
        return f"No approval counts: {NEXT_KNOWN}."
    return "The first approval by a human other than the author, up to the merge or close."


def _merged(facts: Facts, row: Row) -> Boundary:
    if row["merged_at"] is not None:
        merge = replace(_opening(facts), kind="merge", at=row["merged_at"], account_id=None)
        return Boundary(
            name="merged", at=row["merged_at"], rule="When GitHub says that it was merged.", candidates=[merge]
        )
    rule = "It was closed without being merged." if row["closed_at"] else "It is open."
    return Boundary(name="merged", at=None, rule=rule)


def _landed(facts: Facts, row: Row) -> Boundary:
    state, sha = facts.state, facts.state.merge_sha or ""
    if row["landed_at"] is None:
        rule = "Its merge is not known to be on the default branch." if state.merged_at else "It is not merged."
        return Boundary(name="landed", at=None, rule=rule)
    commit = Candidate(
        kind="commit", name=sha, at=row["landed_at"], entities=(("commit", f"{state.repository_id}:{sha}"),)
    )
    return Boundary(
        name="landed",
        at=row["landed_at"],
        rule="When its merge, or that of the pull request that it was merged into, arrived on the default branch.",
        candidates=[commit],
    )


Target = tuple[str, str]
"""A service and an environment."""

CARRIED = "The first successful deployment whose commit is the merge on the default branch, or comes after it."
UNSURE = "An earlier one, whose commit is not known there, may have shipped it first: the lead time is not known."
NOT_CARRIED = {
    "not_merged": "It is not merged.",
    "not_landed": "Its merge is not known to be on the default branch, so no deployment is known to have it.",
    "baseline_unknown": "The first known deployment had the merge already: since when is not known.",
}


def shippings(
    facts: Facts, *, shipments: Sequence[Row], deployments: Iterable[Row], successes: Iterable[tuple[Any, ...]]
) -> Iterator[Shipping]:
    """Yield for each service and environment of the repository what shipped the pull request, if anything did."""
    carriers = {(row["service"], row["environment"]): row for row in shipments}
    told: dict[str, list[Entity]] = defaultdict(list)
    for name, kind, key in successes:
        told[name].append((kind, key))
    by_target: dict[Target, list[Row]] = defaultdict(list)
    for row in deployments:
        by_target[row["service"], row["environment"]].append(row)
    for (service, environment), rows in sorted(by_target.items()):
        carrier = carriers.get((service, environment))
        candidates = [_candidate(row, facts=facts, carrier=carrier, told=told[row["name"]]) for row in rows]
        yield Shipping(
            service=service,
            environment=environment,
            is_production=any(row["is_production"] for row in rows),
            at=carrier["deployed_at"] if carrier else None,
            rule=_rule(candidates, carrier=carrier),
            candidates=candidates,
            is_order_unknown=bool(carrier and carrier["is_order_unknown"]),
            stages={stage: carrier[f"{stage}_seconds"] for stage in STAGES} if carrier else {},
            lead_seconds=carrier["lead_seconds"] if carrier else None,
        )


def _candidate(row: Row, *, facts: Facts, carrier: Row | None, told: Sequence[Entity]) -> Candidate:
    is_chosen = carrier is not None and row["name"] == carrier["deployment"]
    reason = row["reason"]
    if reason == "not_landed" and facts.state.merged_at is None:
        reason = "not_merged"
    found = Candidate(kind="deployment", name=row["name"], at=row["at"], reason=reason or LATER)
    return replace(found, reason="", entities=(*_entities(row, facts=facts), *told)) if is_chosen else found


def _rule(candidates: Iterable[Candidate], *, carrier: Row | None) -> str:
    if carrier is not None:
        return f"{CARRIED} {UNSURE}" if carrier["is_order_unknown"] else CARRIED
    reasons = {each.reason for each in candidates}
    return next((words for reason, words in NOT_CARRIED.items() if reason in reasons), "No deployment had it yet.")


def _entities(row: Row, *, facts: Facts) -> Iterator[Entity]:
    """Yield what the chosen deployment is known by, as provenance has it; the reports of success are read apart."""
    repository_id, github_id = facts.state.repository_id, row["last_deployment_id"]
    match row["source"]:
        case Source.DEPLOYMENTS:
            yield from (("deployment", str(each)) for each in row["deployment_ids"])
        case Source.RELEASES:
            yield "release", str(github_id)
        case Source.MERGES:
            yield "pull_request", f"{repository_id}:{github_id}"
        case Source.REPORTS:
            yield "reported_deployment", f"{repository_id}:{row['group_key'].removeprefix(PREFIX)}"
