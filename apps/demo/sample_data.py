"""The sample data of the demo: eight weeks of two companies, the same every time, up to now."""

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import count

from apps.demo.issue_life import IssueLife
from apps.demo.pull_request_life import PullRequestLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import Scenario, Sent
from apps.demo.shapes.accounts import Account, person
from apps.demo.slow_week import ASSISTED, Opening, SlowWeek

DEPENDABOT = person(810_001, "dependabot[bot]")
REVIEW_BOT = person(810_002, "second-look[bot]")
ACTIONS = person(810_003, "github-actions[bot]")


@dataclass(frozen=True, slots=True)
class Company:
    """An account that installed the App, and the habits of its people."""

    account: Account
    installation_id: int
    first_id: int
    repositories: tuple[tuple[int, str], ...]
    people: tuple[Account, ...]
    hours_to_review: float
    draft_share: float
    has_review_bot: bool
    slow_week: int | None = None
    """The week, from 1, in which reviews of the first repository wait for one person."""


def people(first_id: int, *logins: str) -> tuple[Account, ...]:
    return tuple(person(first_id + number, login) for number, login in enumerate(logins))


COMPANIES: Sequence[Company] = (
    Company(
        account=Account(820_000, "harbor-works", "Organization"),
        installation_id=830_001,
        first_id=1_100_000_000,
        repositories=((840_001, "quay"), (840_002, "beacon")),
        people=people(820_010, "ines-vidal", "tomasz-w", "oyelaran", "junko-h", "petra-n"),
        hours_to_review=5.0,
        draft_share=0.3,
        has_review_bot=True,
        slow_week=6,
    ),
    Company(
        account=Account(820_100, "lantern-labs", "Organization"),
        installation_id=830_002,
        first_id=1_200_000_000,
        repositories=((840_003, "wick"), (840_004, "flint")),
        people=people(820_110, "marisol-k", "dag-e", "wanjiru", "bruno-s"),
        hours_to_review=14.0,
        draft_share=0.15,
        has_review_bot=False,
    ),
)

VERBS = ("Add", "Fix", "Simplify", "Cache", "Remove", "Speed up", "Rename", "Test", "Document", "Split")
THINGS = (
    "the export",
    "the login page",
    "retries of the mailer",
    "the search index",
    "paging of the list",
    "the rate limiter",
    "old feature flags",
    "the invoice template",
    "the health check",
    "the upload form",
    "time zones in reports",
    "the session store",
)
PACKAGES = ("requests", "urllib3", "cryptography", "django", "redis", "certifi", "pillow")

SPAN = timedelta(weeks=8)
SETTING_UP = timedelta(days=3)
OPENS_AT, CLOSES_AT, FRIDAY = 8, 18, 4
PULL_REQUESTS_A_DAY = (0, 0, 1, 1, 1)
OUTCOMES = {
    "approved": 25,
    "another round": 31,
    "remark": 15,
    "comment": 10,
    "dismissed": 5,
    "unreviewed": 8,
    "abandoned": 6,
}
"""The outcomes of people's pull requests, each with its share in percent."""

ASSISTED_EVERY = 4


def sample_deliveries(*, start: datetime) -> list[Sent]:
    """Return every delivery of the eight weeks from `start`, in the order of their times."""
    sent = [each for company in COMPANIES for each in deliveries_of_company(company, start=start)]
    return sorted((each for each in sent if each.at <= start + SPAN), key=lambda each: each.at)


def deliveries_of_company(company: Company, *, start: datetime) -> list[Sent]:
    scenario = Scenario(
        f"demo of {company.account.login}",
        owner=company.account,
        installation_id=company.installation_id,
        first_id=company.first_id,
    )
    chance = random.Random(company.installation_id)  # noqa: S311  the same data every time
    lives = [
        RepositoryLife(scenario, identity=identity, name=name, created_at=start - SETTING_UP)
        for identity, name in company.repositories
    ]
    scenario.install(start, *(life.now for life in lives))
    for life in lives:
        life.create(start, by=company.people[0])
        plan = RepositoryPlan(life, company=company, chance=chance)
        if company.slow_week and life is lives[0]:
            plan.slow_down(start + timedelta(weeks=company.slow_week - 1))
        plan.plan(start + timedelta(hours=1))
    return scenario.deliveries()


def at_work(moment: datetime) -> datetime:
    """Return the moment in working hours (UTC), else the same minute of the first hour of the next working day."""
    if moment.hour >= CLOSES_AT:
        moment = moment.replace(hour=OPENS_AT) + timedelta(days=1)
    elif moment.hour < OPENS_AT:
        moment = moment.replace(hour=OPENS_AT)
    while moment.weekday() > FRIDAY:
        moment += timedelta(days=1)
    return moment


class RepositoryPlan:
    """The plan of one repository. Openings get their numbers in the order of their times, as on GitHub."""

    def __init__(self, repository: RepositoryLife, *, company: Company, chance: random.Random) -> None:
        self.repository = repository
        self.company = company
        self.chance = chance
        self._openings: list[tuple[datetime, int, Opening]] = []
        self._order = count()
        self._runs = count(company.first_id + repository.now.id * 10)

    def plan(self, start: datetime) -> None:
        """Plan every working day, all that follows from it, and what is not finished at the end."""
        for days, unfinished in enumerate((self._await_review, self._await_merge, self._fail), start=4):
            at = at_work(start + SPAN - timedelta(days=days)).replace(hour=OPENS_AT + days, minute=7 * days)
            self._later(at, partial(unfinished, at))
        for day in range(1, SPAN.days):
            morning = start + timedelta(days=day)
            if morning.weekday() <= FRIDAY:
                self._plan_day(morning.replace(hour=OPENS_AT))
        for number in count(1):
            if not self._openings:
                break
            _, _, opening = heapq.heappop(self._openings)
            opening(number)

    def slow_down(self, week: datetime) -> None:
        """Plan the slow week, from the first Monday of it or after."""
        SlowWeek(
            self.repository,
            monday=week + timedelta(days=-week.weekday() % 7),
            people=self.company.people,
            deployer=ACTIONS,
            run_ids=self._runs,
            open_later=self._later,
        ).plan()

    def _plan_day(self, morning: datetime) -> None:
        for _ in range(self.chance.choice(PULL_REQUESTS_A_DAY)):
            at = morning + timedelta(minutes=self.chance.randint(20, 500))
            self._later(at, partial(self._work, at))
        if morning.weekday() == 0 and self._happens(0.6):
            self._later(morning, partial(self._bump, morning))

    def _later(self, at: datetime, opening: Opening) -> None:
        heapq.heappush(self._openings, (at, next(self._order), opening))

    def _after(self, moment: datetime, hours: float) -> datetime:
        """Return about so many hours later, skewed as waiting is: most are short, some are very long."""
        waited = timedelta(hours=hours * self.chance.lognormvariate(-0.3, 0.8))
        return at_work(moment + waited).replace(second=self.chance.randint(0, 59))

    def _work(self, at: datetime, number: int) -> None:
        """Plan a person's pull request, from its first commit on."""
        author = self.chance.choice(self.company.people)
        title = f"{self.chance.choice(VERBS)} {self.chance.choice(THINGS)}"
        work = PullRequestLife(
            self.repository,
            number=number,
            author=author,
            title=title,
            body=ASSISTED if number % ASSISTED_EVERY == 0 else "",
        )
        begun = at - timedelta(hours=self.chance.uniform(0.5, 9))
        work.push(begun)
        if self._happens(0.5):
            work.push(begun + (at - begun) * 0.7)
        is_draft = self._happens(self.company.draft_share)
        size = int(self.chance.lognormvariate(4, 1.1)) + 1
        work.open(at, is_draft=is_draft, additions=size, deletions=size // 3)
        self._test(work, at)
        if self.company.has_review_bot:
            work.review(at + timedelta(minutes=3), by=REVIEW_BOT, state="commented")
        ready = self._after(at, 6) if is_draft else at
        if is_draft:
            work.ready(ready)
        self._review(work, ready, reviewer=self._someone_but(author))

    def _unfinished(self, at: datetime, number: int) -> tuple[PullRequestLife, Account]:
        """Plan a pull request that is still open at the end; return it and who is asked to review it."""
        place = number + self.repository.now.id  # without chance, so that all else stays as it is
        people = self.company.people
        author, reviewer = people[place % len(people)], people[(place + 1) % len(people)]
        title = f"{VERBS[place % len(VERBS)]} {THINGS[place % len(THINGS)]}"
        work = PullRequestLife(self.repository, number=number, author=author, title=title)
        work.push(at - timedelta(hours=2))
        work.open(at, additions=64, deletions=12)
        work.request_review(at + timedelta(minutes=1), of=reviewer)
        return work, reviewer

    def _await_review(self, at: datetime, number: int) -> None:
        self._unfinished(at, number)

    def _await_merge(self, at: datetime, number: int) -> None:
        work, reviewer = self._unfinished(at, number)
        work.review(at + timedelta(hours=3), by=reviewer, state="approved")

    def _fail(self, at: datetime, number: int) -> None:
        work, _ = self._unfinished(at, number)
        done = at + timedelta(minutes=9)
        self.repository.run(
            at, run_id=next(self._runs), by=work.author, finished_at=done, conclusion="failure", of=work
        )

    def _review(self, work: PullRequestLife, ready: datetime, *, reviewer: Account) -> None:
        (outcome,) = self.chance.choices(list(OUTCOMES), weights=list(OUTCOMES.values()))
        if outcome == "abandoned":
            work.close(self._after(ready, 30))
        elif outcome == "unreviewed":
            self._merge(work, self._after(ready, 2))
        else:
            self._merge(work, self._approve(work, ready, reviewer=reviewer, outcome=outcome))

    def _approve(self, work: PullRequestLife, ready: datetime, *, reviewer: Account, outcome: str) -> datetime:
        """Plan the approval and what comes before and after it; return when it can be merged."""
        work.request_review(ready + timedelta(minutes=1), of=reviewer)
        seen = self._after(ready + timedelta(minutes=10), self.company.hours_to_review)
        if outcome == "another round":
            seen = self._another_round(work, seen, reviewer=reviewer)
        elif outcome == "remark":
            work.remark(seen - timedelta(minutes=4), by=reviewer)
        elif outcome == "comment":
            work.comment(seen - timedelta(minutes=4), by=self._someone_but(work.author))
        work.review(seen, by=reviewer, state="approved")
        if outcome == "dismissed":
            work.dismiss_review(seen + timedelta(minutes=20), of=reviewer, by=work.author)
            work.review(seen + timedelta(minutes=50), by=reviewer, state="approved")
        return self._after(seen + timedelta(hours=1), 2)

    def _another_round(self, work: PullRequestLife, seen: datetime, *, reviewer: Account) -> datetime:
        work.review(seen, by=reviewer, state="changes_requested")
        answered = self._after(seen, 4)
        if self._happens(0.4):
            work.force_push(answered - timedelta(minutes=15))
        work.push(answered)
        return self._after(answered + timedelta(minutes=5), self.company.hours_to_review / 2)

    def _merge(self, work: PullRequestLife, at: datetime) -> None:
        work.merge(at, by=work.author)
        self._deploy("staging", at + timedelta(minutes=8))
        if self._happens(0.6):
            shipped = self._deploy("production", self._after(at + timedelta(minutes=30), 1.5))
            if self._happens(0.12):
                self._later(shipped + timedelta(minutes=40), partial(self._incident, work, shipped))

    def _deploy(self, environment: str, at: datetime) -> datetime:
        """Plan a deployment of the main branch, sometimes with a failed first attempt; return when it succeeded."""
        run_id, done = next(self._runs), at + timedelta(minutes=self.chance.randint(3, 9))
        if self._happens(0.12):
            self.repository.deploy(at, to=environment, by=ACTIONS, finished_at=done, state="failure", run_id=run_id)
            at, done = done + timedelta(minutes=10), done + timedelta(minutes=16)
        self.repository.deploy(at, to=environment, by=ACTIONS, finished_at=done, run_id=run_id)
        return done

    def _incident(self, cause: PullRequestLife, shipped: datetime, number: int) -> None:
        """Plan an issue labelled as an incident, and the revert that resolves it."""
        noticed = shipped + timedelta(minutes=40)
        reporter = self._someone_but(cause.author)
        incident = IssueLife(
            self.repository,
            number=number,
            author=reporter,
            title="Errors in production",
            body=f"Caused by #{cause.number}",
        )
        incident.open(noticed, "incident")
        incident.comment(noticed + timedelta(minutes=5), by=cause.author)
        self._later(noticed + timedelta(minutes=20), partial(self._revert, cause, incident, noticed))

    def _revert(self, cause: PullRequestLife, incident: IssueLife, noticed: datetime, number: int) -> None:
        revert = PullRequestLife(
            self.repository,
            number=number,
            author=cause.author,
            title=f"Revert #{cause.number}",
            branch=f"revert-{cause.number}",
            body=f"Reverts #{cause.number}",
        )
        opened = noticed + timedelta(minutes=20)
        revert.push(opened - timedelta(minutes=2))
        revert.open(opened)
        revert.review(opened + timedelta(minutes=6), by=incident.author, state="approved")
        revert.merge(opened + timedelta(minutes=10), by=cause.author)
        done = self._deploy("production", opened + timedelta(minutes=14))
        incident.close(done + timedelta(minutes=5))

    def _bump(self, at: datetime, number: int) -> None:
        """Plan a dependency bot's pull request: a person approves it, or it is closed without a review."""
        package = self.chance.choice(PACKAGES)
        bump = PullRequestLife(
            self.repository,
            number=number,
            author=DEPENDABOT,
            title=f"Bump {package}",
            branch=f"dependabot/pip/{package}-{number}",
        )
        bump.push(at - timedelta(minutes=1))
        bump.open(at, additions=2, deletions=2)
        bump.label(at, "dependencies")
        self._test(bump, at)
        seen = self._after(at, 20)
        if self._happens(0.2):
            bump.close(seen)
            return
        reviewer = self.chance.choice(self.company.people)
        bump.review(seen, by=reviewer, state="approved")
        bump.merge(seen + timedelta(minutes=5), by=reviewer)

    def _test(self, work: PullRequestLife, at: datetime) -> None:
        finished_at = at + timedelta(minutes=self.chance.randint(4, 15))
        conclusion = "failure" if self._happens(0.1) else "success"
        self.repository.run(
            at, run_id=next(self._runs), by=work.author, finished_at=finished_at, conclusion=conclusion, of=work
        )

    def _happens(self, share: float) -> bool:
        return self.chance.random() < share

    def _someone_but(self, author: Account) -> Account:
        return self.chance.choice([each for each in self.company.people if each != author])
