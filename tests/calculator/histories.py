"""Random histories of two repositories over eight weeks, as facts in any order."""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import pytest

from apps.activity import facts
from apps.metrics.recalculation import drain
from tests.activity.statements import filled
from tests.metrics.steps import (
    API,
    WEB,
    PullRequestSteps,
    Step,
    deployed,
    instant,
    person,
    profile,
    pushed,
    record_facts,
    repository,
    stamp,
)

BEGIN = instant("03-02 00:00")
MINUTES = 8 * 7 * 24 * 60
AUTHORS = ("ana", "ana", "ben", "ben", "cy", "talbot", "dependabot[bot]", "copilot-swe-agent[bot]")
ASSIGNED = ("ana", "ben", "cy", "dependabot[bot]")
AI_TRAILER = ("co-authored-by", "Claude <noreply@anthropic.com>")
REVIEWERS = ("ana", "ben", "cy", "talbot", "coderabbitai[bot]", "github-actions[bot]")
REQUESTED_OF = (*REVIEWERS, "ben", "cy", "team:77")
ABOUT_REVIEWS = ("requested", "requested", "withdrawn", "commented")
VERDICTS = ("approved", "approved", "changes_requested", "commented")
CONCLUSIONS = ("success", "success", "success", "failure", "timed_out", "cancelled", "skipped", "neutral")
QUEUES = ((), (), ("enqueued",), ("enqueued", "dequeued"), ("enqueued", "dequeued", "enqueued"))
ENVIRONMENTS = ("production", "production", "Prod / eu", "staging")
SHORT = 10
SHORT_AND_LONG = [(3, SHORT), *(pytest.param(seed, 30, marks=pytest.mark.proof) for seed in range(4, 9))]
"""Seeds and sizes of histories: a short one, and long ones for `make proofs`."""


def history(*, seed: int, size: int = 30) -> list[Step]:
    """Return a history of that many pull requests in each repository, shuffled and with repeats."""
    chance = random.Random(seed)  # noqa: S311  a repeatable history
    steps = [step for repository_id in (API, WEB) for step in History(chance, repository_id).steps(size)]
    steps += chance.sample(steps, k=len(steps) // 10)
    chance.shuffle(steps)
    return steps


def record_history(steps: Sequence[Step]) -> None:
    """Record the steps, several in each transaction, and recalculate."""
    for start in range(0, len(steps), 20):
        record_facts(*(fact for step in steps[start : start + 20] for fact in step))
    assert drain(seconds=120)


def at(minute: float) -> str:
    return f"{BEGIN + timedelta(minutes=minute):%m-%d %H:%M:%S}"


class History:
    """What happens in one repository."""

    def __init__(self, chance: random.Random, repository_id: int) -> None:
        self.chance = chance
        self.repository_id = repository_id
        self.landed: list[tuple[float, str]] = []
        self.merged: list[tuple[float, int]] = []

    def steps(self, size: int) -> Iterator[Step]:
        for number in range(1, size + 1):
            yield from self.pull_request(number)
        for place in range(size):
            yield from self.deployment(self.repository_id * 1000 + place)
            yield from self.workflow_run(self.repository_id * 1000 + place)
        for place in range(size // 3):
            yield from self.incident(place, numbers=size)

    def pull_request(self, number: int) -> Iterator[Step]:
        chance, begun = self.chance, self.chance.uniform(0, MINUTES)
        branch = f"{chance.choice(['topic', 'topic', 'topic', 'hotfix'])}/{number}"
        earlier = [each for merged_at, each in self.merged if merged_at < begun]
        reverted = chance.choice(earlier) if earlier and chance.random() < 0.2 else None
        life = PullRequestSteps(number, chance.choice(AUTHORS), repository_id=self.repository_id, branch=branch)
        life.opened(
            at(begun),
            draft=chance.random() < 0.3,
            size=chance.randrange(900),
            body=f"Reverts #{reverted}" if reverted else "",
        )
        yield self.commit_of(life, begun - chance.expovariate(1 / 600), before="", now=begun - 0.5)
        now = begun
        for _ in range(chance.randrange(8)):
            now += chance.expovariate(1 / 700)
            yield from self.happen(life, now)
        if life.state["state"] == "open" and chance.random() < 0.8:
            yield from self.merge(life, now + chance.expovariate(1 / 400))
        yield from life.steps
        if chance.random() < 0.5:
            yield self.assigned(number, chance.sample(ASSIGNED, k=2), now=begun)

    def assigned(self, number: int, logins: Sequence[str], *, now: float) -> Step:
        people = facts.PullRequestAssignees(
            stamp=stamp(instant(at(now))),
            repository_id=self.repository_id,
            number=number,
            assignee_ids=tuple(map(person, logins)),
        )
        return (repository(self.repository_id), *map(profile, logins), people)

    def happen(self, life: PullRequestSteps, now: float) -> Sequence[Step]:
        is_open, is_draft = life.state["state"] == "open", life.state["is_draft"]
        match self.chance.choice((*("reviewed", "moved") * 2, "reviewed", "drafted", "closed", *ABOUT_REVIEWS)):
            case "requested" | "withdrawn" as verb:
                getattr(life, verb)(at(now), self.chance.choice(REQUESTED_OF))
            case "commented":
                life.commented(at(now), self.chance.choice(REVIEWERS))
            case "reviewed":
                life.reviewed(at(now), self.chance.choice(REVIEWERS), self.chance.choice(VERDICTS))
            case "moved" if is_open:
                before, after = life.state["head_sha"], f"{life.number}-{now:.2f}"
                life.moved(at(now), after)
                return [self.commit_of(life, now - self.chance.expovariate(1 / 30), before=before, now=now - 0.1)]
            case "drafted" if is_open:
                life.ready(at(now)) if is_draft else life.drafted(at(now))
            case "closed":
                life.closed(at(now)) if is_open else life.reopened(at(now))
        return []

    def commit_of(self, life: PullRequestSteps, authored: float, *, before: str, now: float) -> Step:
        head = life.state["head_sha"]
        known = {"before": before} if before else {}
        return pushed(
            at(now),
            branch=life.branch,
            after=head,
            commits={head: at(authored)},
            trailers=[AI_TRAILER] if self.chance.random() < 0.2 else (),
            repository_id=self.repository_id,
            **known,
        )

    def merge(self, life: PullRequestSteps, now: float) -> Iterator[Step]:
        sha = f"merge-{life.number}"
        for kind in self.chance.choice(QUEUES):
            life.queued(at(now), kind)
            now += self.chance.expovariate(1 / 60)
        life.merged(at(now), sha=sha)
        self.merged.append((now, life.number))
        if self.chance.random() < 0.95:
            self.landed.append((now, sha))
            commits = {f"before-{sha}": at(now - 5), sha: at(now - 1)} if self.chance.random() < 0.2 else {sha: at(now)}
            yield pushed(at(now), branch="main", after=sha, commits=commits, repository_id=self.repository_id)

    def deployment(self, github_id: int) -> list[Step]:
        chance, now = self.chance, self.chance.uniform(0, MINUTES)
        landed = sorted(one for one in self.landed if one[0] < now)
        sha = (
            landed[-1][1] if landed and chance.random() < 0.8 else chance.choice(["elsewhere", *(s for _, s in landed)])
        )
        states = {"success": at(now)} if chance.random() < 0.8 else {"failure": at(now)}
        if chance.random() < 0.15:
            states = {"success": at(now), "error": at(now + 20)}
        run_id = self.repository_id * 100 + chance.randrange(20) if chance.random() < 0.5 else None
        return deployed(
            github_id,
            statuses=states,
            created=at(now - 3),
            sha=sha,
            environment=chance.choice(ENVIRONMENTS),
            run_id=run_id,
            repository_id=self.repository_id,
        )

    def incident(self, place: int, *, numbers: int) -> Iterator[Step]:
        chance, opened = self.chance, self.chance.uniform(0, MINUTES)
        closed = opened + chance.expovariate(1 / 3000)
        causes = (
            {"deployment": str(self.repository_id * 1000 + chance.randrange(numbers))},
            {"pull_request": chance.randrange(1, numbers + 1)},
            {},
        )
        cause = {"deployment": "", "pull_request": None, **chance.choice(causes)}
        for now, closed_at in ((opened, None), (closed, instant(at(closed)))):
            state = facts.ReportedIncidentState(
                stamp=stamp(instant(at(now))),
                repository_id=self.repository_id,
                external_id=f"INC-{place}",
                title="Something broke",
                service="",
                opened_at=instant(at(opened)),
                closed_at=closed_at,
                updated_at=instant(at(now)),
                **cause,
            )
            yield (repository(self.repository_id), state)

    def workflow_run(self, run_id: int) -> Iterator[Step]:
        chance, now = self.chance, self.chance.uniform(0, MINUTES)
        created, actor = now, chance.choice(AUTHORS)
        for attempt in range(1, chance.choice((1, 1, 1, 2, 3)) + 1):
            begun, concluded = now + chance.uniform(0, 5), now + chance.uniform(5, 60)
            run = filled(
                facts.WorkflowRunState,
                stamp=stamp(instant(at(concluded)), rank=2),
                run_id=run_id,
                attempt=attempt,
                repository_id=self.repository_id,
                name="ci",
                status="completed",
                conclusion=chance.choice(CONCLUSIONS),
                head_sha="sha",
                actor_id=person(actor),
                created_at=instant(at(created)),
                started_at=instant(at(now)),
                concluded_at=instant(at(concluded)),
            )
            running = facts.WorkflowRunInProgress(
                run_id=run_id, attempt=attempt, repository_id=self.repository_id, in_progress_at=instant(at(begun))
            )
            known = (repository(self.repository_id), profile(actor))
            if chance.random() < 0.9:
                yield (*known, run, running) if chance.random() < 0.7 else (*known, run)
            now = concluded + chance.uniform(1, 600)


def happened_at(step: Step) -> datetime:
    """Return when the delivery of a step was sent."""
    stamps = [stamp.source_updated_at for fact in step if (stamp := getattr(fact, "stamp", None))]
    times = [getattr(fact, name, None) for fact in step for name in ("at", "pushed_at", "in_progress_at")]
    return max(one for one in (*stamps, *times) if one)
