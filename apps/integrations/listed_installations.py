"""The job that lists installations: which are due, and what each reaches.

A listing verifies what webhooks reported, and starts backfills of new repositories. Its waits are stored in its row.
"""

import json
import logging
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from apps.activity.facts import Fact, Source, evidence
from apps.activity.models import Installation, RepositoryAccess
from apps.activity.record import record
from apps.github import auth
from apps.github.auth import GitHubAccess
from apps.github.credentials import app_credentials, has_credentials
from apps.github.objects.accounts import access_facts, listing_done, removal, standing_facts
from apps.github.objects.repositories import repository_facts
from apps.github.payload import PayloadReader
from apps.github.rate_limit import Priority, Purpose
from apps.github.responses import Answer, ResponseKind
from apps.integrations.auto_backfill import last_reached, read_history_of
from apps.integrations.outcomes import reason_of_wait
from apps.integrations.readable_installations import readable_installations
from apps.integrations.reader import RequestFailedError, storable
from apps.jobs.claims import claim
from apps.jobs.models import ClaimLostError, Job, ensure_held
from apps.jobs.outcomes import Backoff
from apps.jobs.registry import SLICE_S, JobKind
from apps.teams.account_teams import accepted_accounts
from apps.webhooks.parsing import UnusablePayloadError

FIRST_PAGE = "/installation/repositories?per_page=100"
SETTLED = timedelta(seconds=10)
"""Not all of GitHub's servers know at once what a webhook reported: a listing shows what was true so long before it."""
LONGEST_LISTING = timedelta(minutes=10)
"""Pages that lie further apart are not one list: it begins again."""
MOST_CONFIRMED = 20
"""So many repositories are asked for one by one; where more are missing, the list is read again."""
AGAIN = timedelta(minutes=1)
MOST_ATTEMPTS = 10
BACKOFF = Backoff(first_s=60.0, longest_s=3600.0, jitter=0.25)
NOT_REACHED = {ResponseKind.GONE, ResponseKind.FORBIDDEN}
LIMITS = {ResponseKind.DEFERRED, ResponseKind.PRIMARY, ResponseKind.SECONDARY}
SOURCE = Source(kind="api", key="listing")
logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class InstallationListing:
    """One task's part of a listing."""

    job: Job
    installation_id: int
    as_of: datetime
    path: str
    seen: list[int]
    total: int | None
    missing: list[int]
    access: GitHubAccess
    deadline_s: float
    facts: list[Fact] = field(default_factory=list)

    @classmethod
    def of(cls, job: Job, *, access: GitHubAccess, deadline_s: float) -> "InstallationListing":
        """Go on where the last task stopped, unless that was too long ago."""
        assert job.installation_id is not None, "a job without an installation"  # noqa: S101
        cursor = json.loads(job.cursor or "{}")
        as_of = datetime.fromisoformat(cursor["as_of"]) if cursor.get("path") else None
        goes_on = as_of is not None and as_of >= timezone.now() - LONGEST_LISTING
        return cls(
            job=job,
            installation_id=job.installation_id,
            as_of=as_of if as_of is not None and goes_on else timezone.now() - SETTLED,
            path=cursor["path"] if goes_on else "",
            seen=cursor["seen"] if goes_on else [],
            total=job.total if goes_on else None,
            missing=cursor.get("missing", []),
            access=access,
            deadline_s=deadline_s,
        )

    @property
    def cursor(self) -> str:
        """Return where the next task continues, and what was seen so far; empty where there is neither."""
        if not self.path and not self.missing:
            return ""
        return json.dumps(
            {"as_of": self.as_of.isoformat(), "path": self.path, "seen": self.seen, "missing": self.missing}
        )

    def run(self) -> None:
        """Read as much as one task may, and keep it; or what it waits for. ClaimLostError where the claim is lost."""
        try:
            self.read()
        except RequestFailedError as refusal:
            self.apply_outcome(refusal.answer)
        except UnusablePayloadError as error:
            self.begin_again(str(error))

    def read(self) -> None:
        if not self.path:
            if not self.read_installation():
                return
            self.path = FIRST_PAGE
        while not (self.read_page() and self.complete()):
            if time.monotonic() > self.deadline_s:
                self.keep_cursor(after=timedelta())
                return

    def read_installation(self) -> bool:
        """Record the state of the installation; return whether there is anything to be listed."""
        answer = self.access.get_as_app(f"/app/installations/{self.installation_id}", purpose=self.purpose)
        if answer.kind is ResponseKind.GONE and self.is_ours():
            self.end([removal(self.installation_id, as_of=self.as_of)])
            return False
        if answer.kind is not ResponseKind.OK:
            raise RequestFailedError(answer)
        facts = list(standing_facts(self.reading(answer, path="installation"), as_of=self.as_of))
        with transaction.atomic():
            ensure_held(self.job.claim.update(claim_number=self.job.claim_number))
            record([evidence(SOURCE, facts)])
        if readable_installations().filter(pk=self.installation_id).exists():
            self.access.forget_standing(self.installation_id)
            return True
        self.end_unread()
        return False

    def is_ours(self) -> bool:
        """Return whether the installation is of the App that asks: for others and a wrong id it does not exist."""
        answer = self.access.get_as_app("/app", purpose=self.purpose)
        app_id = answer.data.get("id") if answer.kind is ResponseKind.OK else None
        return app_id is not None and Installation.objects.filter(pk=self.installation_id, app_id=app_id).exists()

    def end_unread(self) -> None:
        """End the listing of one that is suspended, not accepted, or without an account so far."""
        installation = Installation.objects.get(pk=self.installation_id)
        if installation.account_id is None:
            self.begin_again("GitHub names no account for it.")
        else:
            is_settled = installation.suspended_at is not None
            self.end([listing_done(self.installation_id, as_of=self.as_of)] if is_settled else [])

    def read_page(self) -> bool:
        """Take in a page; whether it was the last one. UnusablePayloadError where the list changed since the first."""
        answer = self.access.get(self.path, installation_id=self.installation_id, purpose=self.purpose)
        if answer.kind is not ResponseKind.OK:
            raise RequestFailedError(answer)
        page = self.reading(answer, path="listing")
        total = page.count("total_count")
        if self.total not in {None, total}:
            raise UnusablePayloadError(
                f"GitHub listed {self.total} repositories, then {total}: the list changed meanwhile."
            )
        self.total = total
        before = len(self.seen)
        for repository in page.children("repositories"):
            self.facts += repository_facts(repository)
            self.seen.append(repository.id())
        self.path = answer.next_path or self.path
        if answer.next_path is not None:
            self.expect_more(before=before)
        return answer.next_path is None

    def expect_more(self, *, before: int) -> None:
        """Refuse a list that continues although all was listed, or that brought nothing: it might never end."""
        if len(self.seen) == before or len(self.seen) >= (self.total or 0):
            raise UnusablePayloadError(
                "endless_list", f"GitHub's list continues after {len(self.seen)} of {self.total} repositories."
            )

    def complete(self) -> bool:
        """Keep the whole list, what is missing from it, and have the history read of what is new on it.

        Whether that is all; else the list is read again from its first page, as something may be missing by chance.
        """
        listed = list(dict.fromkeys(self.seen))
        if len(listed) != self.total:
            self.begin_again(f"GitHub listed {len(listed)} of {self.total} repositories.")
            return True
        known = RepositoryAccess.objects.filter(installation=self.installation_id)
        lost = last_reached(known.exclude(repository__in=listed), before=self.as_of)
        missing = [repository_id for repository_id, reached_at in lost.items() if reached_at is not None]
        if not self.are_lost(missing):
            self.path, self.seen, self.total, self.missing = FIRST_PAGE, [], None, missing
            return False
        self.facts += access_facts(self.installation_id, listed=listed, lost=lost, as_of=self.as_of)
        with transaction.atomic():
            self.end([*self.facts, listing_done(self.installation_id, as_of=self.as_of)])
            read_history_of(listed)
        return True

    def are_lost(self, repository_ids: Iterable[int]) -> bool:
        """Return whether all of these are out of reach: an earlier reading missed them too, or GitHub refuses them.

        A public repository is shown to everybody, so for one that GitHub shows the list has to be read again.
        """
        doubted = sorted(set(repository_ids) - set(self.missing))
        if len(doubted) > MOST_CONFIRMED:
            return False
        return all(time.monotonic() < self.deadline_s and self.is_refused(repository_id) for repository_id in doubted)

    def is_refused(self, repository_id: int) -> bool:
        answer = self.access.get(
            f"/repositories/{repository_id}", installation_id=self.installation_id, purpose=self.purpose
        )
        if answer.kind not in NOT_REACHED | {ResponseKind.OK}:
            raise RequestFailedError(answer)
        return answer.kind in NOT_REACHED

    def end(self, facts: Iterable[Fact]) -> None:
        with transaction.atomic():
            ensure_held(self.job.claim.end(Job.State.DONE, attempts=0, cursor="", items=0, total=None))
            record([evidence(SOURCE, facts)])

    def apply_outcome(self, answer: Answer) -> None:
        """Wait for a limit with what was read so far; whatever else GitHub said is a failure."""
        if answer.kind not in LIMITS:
            self.begin_again(answer.message or answer.kind.name.lower())
            return
        until = datetime.fromtimestamp(answer.not_before, UTC) if answer.not_before else timezone.now() + AGAIN
        self.keep_cursor(after=until - timezone.now(), reason=reason_of_wait(answer))

    def keep_cursor(self, *, after: timedelta, reason: str = "") -> None:
        with transaction.atomic():
            ensure_held(
                self.job.claim.put_off(
                    after=after, reason=reason, cursor=self.cursor, items=len(self.seen), total=self.total
                )
            )
            record([evidence(SOURCE, self.facts)])

    def begin_again(self, words: str) -> None:
        """Begin again after a while: each time later, and not all at once."""
        chance = random.random()  # noqa: S311  spreads waits, guards nothing
        wait_s = BACKOFF.wait_s(self.job.attempts, chance=chance)
        logger.warning("listing_failed", extra={"installation": self.installation_id, "words": words})
        self.path, self.seen = "", []
        ensure_held(
            self.job.claim.put_off(
                after=timedelta(seconds=wait_s),
                reason="not_listed",
                error=storable(words),
                attempts=min(self.job.attempts + 1, MOST_ATTEMPTS),
                cursor=self.cursor,
                items=0,
                total=None,
            )
        )

    def reading(self, answer: Answer, *, path: str) -> PayloadReader:
        return PayloadReader(answer.data, path=path, arrived_at=timezone.now(), observed_at=answer.observed_at)

    @property
    def purpose(self) -> Purpose:
        return Purpose(priority=Priority.LIVE, subject=self.job.subject)


LISTED_AT_LEAST_EVERY = timedelta(days=1)
"""What no webhook reported, because it was lost or there is none for it, is seen by the next listing."""
LISTINGS_APART = timedelta(minutes=10)
"""Signals that leave nothing unverified (a branch that came or went) ask for no more than one listing in this time."""
MOST_AT_ONCE = 100


def run(job: Job, deadline_s: float) -> None:
    """Ask GitHub for the state of an installation and what it reaches, as far as one task may."""
    InstallationListing.of(job, access=auth.github(), deadline_s=deadline_s).run()


def plan(at_start: bool = False) -> int:
    """Open a job for each installation that is due; return how many are new."""
    if not has_credentials():
        return 0
    due = due_installations(app_id=app_credentials().app_id).order_by(F("listed_at").asc(nulls_first=True))
    return open_listings(due.values_list("pk", flat=True)[:MOST_AT_ONCE])


def open_listings(installation_ids: Iterable[int]) -> int:
    """Open a job for each of these; return how many had none."""
    due = {str(pk): pk for pk in installation_ids}
    return Job.objects.open(KIND.name, priority=KIND.priority, installations=due)


KIND = JobKind(
    name="list_installation",
    priority=Priority.LIVE,
    run=run,
    plan=plan,
    recurs=True,
    words={"not_listed": ("GitHub did not list the repositories; retrying with increasing waits.", "")},
)


def due_installations(*, app_id: int, for_as_long_as: timedelta = timedelta(0)) -> QuerySet[Installation]:
    """Return the installations of the App that are due: never listed, signalled since, or listed more than a day ago.

    Only those on accepted accounts, and those whose account is unknown: GitHub is asked for it first.
    `for_as_long_as` leaves out those that became due, were signalled or waited for something since.
    """
    then = Now() - for_as_long_as
    unverified = RepositoryAccess.objects.filter(installation=OuterRef("pk"), is_verified=False)
    is_unsettled = Q(listed_at=None) | Q(is_suspension_verified=False) | Q(Exists(unverified), suspended_at=None)
    is_signalled = Q(needs_listing_at__gt=F("listed_at"), listed_at__lt=then - LISTINGS_APART)
    is_old = Q(listed_at__lt=then - LISTED_AT_LEAST_EVERY)
    is_without_account = Q(account=None) | Q(account__login="")
    of_it = Job.objects.filter(kind=KIND.name, installation=OuterRef("pk"))
    waiting = of_it.resting(at=then)
    if for_as_long_as:  # one that was found just now has neither
        is_unsettled &= Q(needs_listing_at__lt=then) | Q(Exists(of_it))
    return Installation.objects.filter(
        is_unsettled | is_signalled | is_old,
        is_without_account | Q(account__in=accepted_accounts().values("pk")),
        ~Exists(waiting),
        Q(app_id=None) | Q(app_id=app_id),
        deleted_at=None,
    )


def list_installation(installation_id: int, *, access: GitHubAccess, seconds: float = SLICE_S) -> Job | None:
    """List the installation now, as far as one task may; return its job, None where another worker has it or it waits.

    Call it again while the job waits and is due. NoCredentialsError where GitHub cannot be asked at all.
    """
    open_listings([installation_id])
    own = Job.objects.filter(kind=KIND.name, key=str(installation_id)).unfinished()
    job = claim(own.values_list("pk", flat=True).get(), task_id="")
    if job is None:
        return None
    try:
        InstallationListing.of(job, access=access, deadline_s=time.monotonic() + seconds).run()
    except ClaimLostError:
        logger.warning("listing_lost", extra={"installation": installation_id})
    return Job.objects.get(pk=job.pk)
