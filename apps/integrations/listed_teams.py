"""The job that lists an organisation's teams on GitHub with their members: webhooks report only who joins or leaves.

What a listing shows is recorded where it differs from what is known, so it merges with webhooks in any order. Nobody
is taken to have left before all members of the team were read, and no team to be deleted before all teams were.
"""

import json
import logging
import random
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from apps.activity.facts import (
    Fact,
    GitHubTeamFirstRead,
    GitHubTeamState,
    Source,
    Stamp,
    TeamsListed,
    evidence,
)
from apps.activity.models import Contributor, GitHubMembership, GitHubTeam, GitHubTeamEvent, Installation
from apps.activity.record import record
from apps.common.encryption import UndecryptableError
from apps.github import auth
from apps.github.auth import GitHubAccess
from apps.github.credentials import NoCredentialsError, app_credentials, has_credentials
from apps.github.objects import graphql_as_rest
from apps.github.objects.accounts import listed_team, profile, team_joined_or_left, team_membership
from apps.github.payload import EPOCH, PayloadReader
from apps.github.permissions import allows
from apps.github.rate_limit import Priority, Purpose
from apps.github.responses import Answer, ResponseKind
from apps.integrations.listed_installations import (
    BACKOFF,
    LISTED_AT_LEAST_EVERY,
    LISTINGS_APART,
    LONGEST_LISTING,
    MOST_ATTEMPTS,
    SETTLED,
)
from apps.integrations.outcomes import REFUSED_S, Fail, GoOn, Progress, TryAgain, Wait, decide
from apps.integrations.readable_installations import readable_installations
from apps.integrations.reader import Reader, RequestFailedError, storable
from apps.integrations.streams.paging import ListPage, item_reader, read_list
from apps.jobs.models import Job, ensure_held
from apps.jobs.registry import JobKind
from apps.jobs.wakeups import wake_next_waiter
from apps.webhooks.parsing import UnusablePayloadError

TEAMS_AT_ONCE = 50
"""With a hundred members of each, they cost one point."""
FORBIDDEN_S = 3600.0
SOURCE = Source(kind="api", key="team listing")
SCOPE = GitHubMembership.Scope.TEAM
logger = logging.getLogger(__name__)


def run(job: Job, deadline_s: float) -> None:
    """Read the teams of an organisation, as far as one task may."""
    list_teams(job, access=auth.github(), deadline_s=deadline_s)


def plan(at_start: bool = False) -> int:
    """Open a job for each installation whose teams are due; return how many are new."""
    if not has_credentials():
        return 0
    due = {str(one.pk): one.pk for one in due_installations(app_id=app_credentials().app_id) if may_read_teams(one)}
    return Job.objects.open(KIND.name, priority=KIND.priority, installations=due, page_size=TEAMS_AT_ONCE)


KIND = JobKind(
    name="list_github_teams",
    priority=Priority.RECONCILIATION,
    run=run,
    plan=plan,
    recurs=True,
    words={
        "not_listed": ("GitHub did not list the teams; retrying with increasing waits.", ""),
        "forbidden": (
            "GitHub does not let the App read the organisation's teams.",
            "Give the App the permission Members: read, and accept it on the account; this continues automatically "
            "within an hour.",
        ),
    },
)


def due_installations(*, app_id: int) -> QuerySet[Installation]:
    """Return the App's installations on organisations whose teams are due to be read.

    These were never read, or more than a day ago, or a webhook reported since what was not verified.
    """
    teams = GitHubTeam.objects.filter(organization=OuterRef("account"), is_deleted=False)
    reported = GitHubMembership.objects.filter(scope=SCOPE, scope_id=OuterRef("pk"), is_verified=False)
    unverified = teams.filter(Q(is_verified=False) | Exists(reported))
    waiting = Job.objects.filter(kind=KIND.name, installation=OuterRef("pk")).resting()
    return readable_installations().filter(
        Q(teams_listed_at=None)
        | Q(teams_listed_at__lt=Now() - LISTED_AT_LEAST_EVERY)
        | Q(Exists(unverified), teams_listed_at__lt=Now() - LISTINGS_APART),
        ~Exists(waiting),
        Q(app_id=None) | Q(app_id=app_id),
        account__kind=Contributor.Kind.ORGANIZATION,
    )


def may_read_teams(installation: Installation) -> bool:
    """Return whether the App has the permission for it on the account; unknown permissions count as none."""
    return allows(installation.permissions or {}, "members", level="read")


def list_teams(job: Job, *, access: GitHubAccess, deadline_s: float) -> None:
    """Read as `access`, and release or end the job. Without the permission it ends, and nothing is asked."""
    assert job.installation_id is not None, "a job without an installation"  # noqa: S101
    found = readable_installations().filter(pk=job.installation_id, account__kind=Contributor.Kind.ORGANIZATION)
    installation = found.select_related("account").first()
    if installation is None or installation.account is None or not may_read_teams(installation):
        job.claim.end(Job.State.DONE, cursor="", attempts=0)
        return
    TeamListing.of(job, account=installation.account, access=access, deadline_s=deadline_s).run()


@dataclass(slots=True, kw_only=True)
class MemberList:
    """The members of a team as far as they were read: `after` is where the list goes on, empty at its end."""

    team_id: int
    node_id: str
    after: str = ""
    total: int = 0
    members: list[int] = field(default_factory=list)

    @property
    def adds_up(self) -> bool:
        """Return whether nobody is missing: a list that changed while it was read says nothing of who left."""
        return not self.after and len(set(self.members)) == self.total

    def take(self, connection: PayloadReader, *, as_of: datetime) -> Iterator[Fact]:
        """Add a page of members, and yield their accounts; UnusablePayloadError if it continues without another."""
        page, before = read_list(connection), len(set(self.members))
        for shown in page.nodes:
            account = connection.alike(graphql_as_rest.user(shown), path="member")
            self.members.append(account.id())
            yield from profile(account, at=as_of)
        self.after, self.total = page.after or "", page.total or 0
        if self.after and len(set(self.members)) == before:
            raise UnusablePayloadError("endless_list", "GitHub's list of members continues without another.")


@dataclass(slots=True, kw_only=True)
class TeamListing:
    """One task's part of a listing."""

    job: Job
    account: Contributor
    reader: Reader
    deadline_s: float
    as_of: datetime
    page_size: int
    after: str = ""
    is_listed: bool = False
    seen: list[int] = field(default_factory=list)
    total: int | None = None
    unfinished: list[MemberList] = field(default_factory=list)
    calls: int
    points: int

    @classmethod
    def of(cls, job: Job, *, account: Contributor, access: GitHubAccess, deadline_s: float) -> "TeamListing":
        """Go on where the last task stopped, unless that was too long ago."""
        assert job.installation_id is not None, "a job without an installation"  # noqa: S101
        purpose = Purpose(priority=Priority.RECONCILIATION, subject=job.subject)
        listing = cls(
            job=job,
            account=account,
            reader=Reader(access=access, installation_id=job.installation_id, purpose=purpose),
            deadline_s=deadline_s,
            as_of=timezone.now() - SETTLED,
            page_size=max(1, job.page_size // 2) if job.was_dropped else job.page_size,
            calls=job.calls,
            points=job.points,
        )
        cursor = json.loads(job.cursor or "{}")
        as_of = datetime.fromisoformat(cursor["as_of"]) if cursor else listing.as_of
        if cursor and as_of >= timezone.now() - LONGEST_LISTING:
            listing.as_of, listing.after, listing.is_listed = as_of, cursor["after"], cursor["is_listed"]
            listing.seen, listing.total = cursor["seen"], job.total
            listing.unfinished = [MemberList(**one) for one in cursor["unfinished"]]
        return listing

    @property
    def cursor(self) -> str:
        """Return where the next task continues, and what was seen so far."""
        return json.dumps(
            {
                "as_of": self.as_of.isoformat(),
                "after": self.after,
                "is_listed": self.is_listed,
                "seen": self.seen,
                "unfinished": [asdict(one) for one in self.unfinished],
            }
        )

    def run(self) -> None:
        """Read as much as one task may, and keep it; or what it waits for. ClaimLostError where the claim is lost."""
        try:
            while not self.step():
                if time.monotonic() >= self.deadline_s:
                    self.put_off(0.0, reason="")
                    return
        except RequestFailedError as refusal:
            self.apply_outcome(refusal.answer)
        except UnusablePayloadError as error:
            self.begin_again(str(error))
        except (NoCredentialsError, UndecryptableError) as error:
            self.put_off(REFUSED_S, reason="no_credentials", error=storable(str(error)))

    def step(self) -> bool:
        """Send one request, and keep what it brought; return whether that was all."""
        if self.unfinished:
            self.read_more_members(self.unfinished[0])
        elif not self.is_listed:
            self.read_page()
        elif (missing := self.missing_team()) is not None:
            self.confirm_deletion(missing)
        else:
            self.end()
            return True
        return False

    def read_page(self) -> None:
        """Take in a page of teams, each with a page of its members."""
        variables = {"login": self.account.login, "first": self.page_size, "after": self.after or None}
        organization = self.read("team_page", variables).child("organization")
        if organization.id("databaseId") != self.account.pk:
            raise UnusablePayloadError(f"{self.account.login} is another account by now.")
        teams = organization.child("teams")
        states, lists, accounts = list[GitHubTeamState](), list[MemberList](), list[Fact]()
        for team in teams.children("nodes"):
            states.append(self.state_of(team.id("databaseId"), slug=team.text("slug"), name=team.text("name")))
            lists.append(MemberList(team_id=team.id("databaseId"), node_id=team.text("id")))
            accounts += lists[-1].take(team.child("members"), as_of=self.as_of)
        self.note_page(read_list(teams), ids=[one.team_id for one in lists])
        self.unfinished += [one for one in lists if one.after]
        self.commit_page(
            [*accounts, *changed_teams(states), *self.facts_of_lists([one for one in lists if not one.after])]
        )

    def note_page(self, page: ListPage, *, ids: Collection[int]) -> None:
        """Continue behind the page. UnusablePayloadError if the list changed since the first, or might never end."""
        if self.total not in {None, page.total}:
            raise UnusablePayloadError(
                f"GitHub listed {self.total} teams, then {page.total}: the list changed meanwhile."
            )
        before = len(set(self.seen))
        self.seen, self.total = [*self.seen, *ids], page.total
        self.after, self.is_listed = page.after or "", page.after is None
        count = len(set(self.seen))
        if not self.is_listed and count == before:
            raise UnusablePayloadError("endless_list", "GitHub's list of teams continues without another.")
        if self.is_listed and count != self.total:
            raise UnusablePayloadError(f"GitHub listed {count} of {self.total} teams.")

    def read_more_members(self, found: MemberList) -> None:
        """Take in another page of the members of a large team."""
        team = self.read("team_members", {"id": found.node_id, "after": found.after}).child("node")
        accounts = list(found.take(team.child("members"), as_of=self.as_of))
        self.unfinished = [one for one in self.unfinished if one.after]
        self.commit_page([*accounts, *self.facts_of_lists([] if found.after else [found])])

    def read(self, document: str, variables: Mapping[str, Any]) -> PayloadReader:
        """Return the whole answer. A part of it is not used, as it does not say who is missing."""
        answer = self.reader.graphql(document, variables)
        if answer.kind is not ResponseKind.OK:
            raise UnusablePayloadError(f"GitHub showed the teams only in part: {answer.message}")
        return item_reader(answer.data, path="data", answer=answer)

    def facts_of_lists(self, lists: Collection[MemberList]) -> Iterator[Fact]:
        """Yield what lists that were read to their end say, and that they were read, if these are the first ever."""
        was_listed = Installation.objects.filter(account=self.account, teams_listed_at__isnull=False).exists()
        for one in lists:
            if not was_listed:
                yield GitHubTeamFirstRead(github_id=one.team_id, first_read_at=self.as_of)
            if not one.adds_up:
                details = {"team": one.team_id, "members": len(set(one.members)), "total": one.total}
                logger.warning("team_members_do_not_add_up", extra=details)
        yield from changed_members(lists, as_of=self.as_of)

    def missing_team(self) -> GitHubTeam | None:
        """Return a team that is known and was not listed, but for those that webhooks reported since; None without."""
        known = GitHubTeam.objects.filter(organization=self.account, is_deleted=False).exclude(pk__in=self.seen)
        reported = ((team, Stamp.moment_of(team.stamp) or EPOCH) for team in known.order_by("pk"))
        return next((team for team, reported_at in reported if reported_at <= self.as_of), None)

    def confirm_deletion(self, team: GitHubTeam) -> None:
        """Record that GitHub no longer has the team; UnusablePayloadError if it does, as the list lacked it."""
        try:
            self.reader.get(f"/organizations/{self.account.pk}/team/{team.pk}")
        except RequestFailedError as refusal:
            if refusal.answer.kind is not ResponseKind.GONE:
                raise
            self.commit_page([self.state_of(team.pk, slug=team.slug, name=team.name, is_deleted=True)])
        else:
            raise UnusablePayloadError(f"GitHub's list of teams lacked {team.slug}.")

    def state_of(self, team_id: int, *, slug: str, name: str, is_deleted: bool = False) -> GitHubTeamState:
        """Return the state of a team as it was found."""
        return listed_team(
            team_id, organization_id=self.account.pk, slug=slug, name=name, is_deleted=is_deleted, as_of=self.as_of
        )

    def commit_page(self, facts: Iterable[Fact]) -> None:
        """Record the facts and where reading goes on; ClaimLostError if another worker has the job now."""
        with transaction.atomic():
            self.job.hold(
                cursor=self.cursor,
                items=len(self.seen),
                total=self.total,
                attempts=0,
                error="",
                page_size=self.page_size,
                advanced_at=timezone.now(),
                **self.cost,
            )
            record([evidence(SOURCE, facts)])
        wake_next_waiter(self.reader.up_next)

    def end(self) -> None:
        with transaction.atomic():
            ensure_held(self.job.claim.end(Job.State.DONE, attempts=0, cursor="", page_size=TEAMS_AT_ONCE, **self.cost))
            done = TeamsListed(github_id=self.reader.installation_id, teams_listed_at=self.as_of)
            record([evidence(SOURCE, [done])])

    def apply_outcome(self, answer: Answer) -> None:
        """Wait for a limit with what was read so far, or ask for less; whatever else GitHub said is a failure."""
        wake_next_waiter(answer.up_next)
        chance = random.random()  # noqa: S311  spreads waits, guards nothing
        progress = Progress(page_size=self.page_size, attempts=self.job.attempts)
        match decide(answer, progress=progress, now=self.reader.access.client.clock(), chance=chance):
            case GoOn(smaller) if not smaller.skips_item:
                self.put_off(0.0, reason="", page_size=smaller.page_size)
            case Wait(seconds, reason):
                self.put_off(seconds, reason=reason)
            case TryAgain(seconds, reason, later):
                words = storable(answer.message)
                self.put_off(seconds, reason=reason, error=words, attempts=later.attempts, page_size=later.page_size)
            case Fail("forbidden"):
                self.put_off(FORBIDDEN_S, reason="forbidden", error=storable(answer.message), cursor="")
            case _:
                self.begin_again(answer.message or answer.kind.name.lower())

    def begin_again(self, words: str) -> None:
        """Begin at the first page after a while: each time later, and not all at once."""
        wait_s = BACKOFF.wait_s(self.job.attempts, chance=random.random())  # noqa: S311  spreads waits, guards nothing
        logger.warning("team_listing_failed", extra={"installation": self.reader.installation_id, "words": words})
        attempts = min(self.job.attempts + 1, MOST_ATTEMPTS)
        self.put_off(wait_s, reason="not_listed", error=storable(words), attempts=attempts, cursor="", total=None)

    def put_off(self, seconds: float, *, reason: str, **learned: Any) -> None:
        ensure_held(self.job.claim.put_off(after=timedelta(seconds=seconds), reason=reason, **learned, **self.cost))

    @property
    def cost(self) -> dict[str, Any]:
        """Return what the job cost so far."""
        return {"calls": self.calls + self.reader.calls, "points": self.points + self.reader.points}


def changed_teams(states: Collection[GitHubTeamState]) -> Iterator[GitHubTeamState]:
    """Yield the states that differ from what is known and verified."""
    known = GitHubTeam.objects.in_bulk([one.github_id for one in states])
    for state in states:
        names = ("organization_id", "slug", "name", "is_deleted", "is_verified")
        if any(getattr(state, name) != getattr(known.get(state.github_id), name, None) for name in names):
            yield state


def changed_members(lists: Collection[MemberList], *, as_of: datetime) -> Iterator[Fact]:
    """Yield who is a member, or no longer, unless that is known and verified.

    What contradicts a webhook that came since `as_of` has no effect: the list may be older.
    """
    known = are_members(lists)
    rows = GitHubMembership.objects.filter(scope=SCOPE, scope_id__in=[one.team_id for one in lists])
    verified = {
        (team_id, contributor_id): (is_member, is_verified)
        for team_id, contributor_id, is_member, is_verified in rows.values_list(
            "scope_id", "contributor_id", "is_member", "is_verified"
        )
    }
    for one in lists:
        found = {(one.team_id, contributor_id): True for contributor_id in one.members}
        if one.adds_up:
            missing = (key for key in [*known, *verified] if key[0] == one.team_id and key not in found)
            found |= dict.fromkeys(missing, False)
        for key, is_member in found.items():
            if is_member is not known.get(key, False):
                yield team_joined_or_left(*key, is_member=is_member, as_of=as_of)
            if verified.get(key) != (is_member, True):
                yield team_membership(*key, is_member=is_member, as_of=as_of)


def are_members(lists: Collection[MemberList]) -> dict[tuple[int, int], bool]:
    """Return whether each account of these teams is a member, by the latest event that is known of it."""
    events = GitHubTeamEvent.objects.filter(team_id__in=[one.team_id for one in lists])
    latest = events.order_by("team_id", "contributor", "-at", "-is_member").distinct("team_id", "contributor")
    return {
        (team_id, contributor_id): is_member
        for team_id, contributor_id, is_member in latest.values_list("team_id", "contributor_id", "is_member")
    }
