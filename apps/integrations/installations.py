"""Listing installations through the API: which are due, and whose turn it is.

A listing settles what signals told, and has the history read of what is new on it. Its waits are kept in its row.
"""

import logging
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from celery import current_app
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from apps.activity.facts import Fact, Source, evidence
from apps.activity.models import Installation, RepositoryAccess
from apps.activity.record import record
from apps.github.answers import Answer
from apps.github.auth import GitHubAccess
from apps.github.credentials import app_credentials, has_credentials
from apps.github.objects.installations import access_facts, listing_done, removal, standing_facts
from apps.github.objects.repositories import repository_facts
from apps.github.payload import PayloadReader
from apps.github.rate_limit import Priority, Purpose
from apps.github.responses import Kind
from apps.integrations.access import readable_installations
from apps.integrations.auto_backfill import last_reached, read_history_of
from apps.integrations.models import Listing
from apps.integrations.reader import RequestFailedError, storable
from apps.teams.accounts import accepted_accounts
from apps.webhooks import wakeups
from apps.webhooks.parsing import UnusablePayloadError

FIRST_PAGE = "/installation/repositories?per_page=100"
SETTLED = timedelta(seconds=10)
"""Not all of GitHub's servers know at once what a signal told: a listing shows what was true so long before it."""
RUN_S = 15.0
"""One task reads so long at the most; a longer list is gone on with by the next."""
LONGEST = timedelta(minutes=10)
"""Pages that lie further apart are not one list: it begins again."""
MOST_CONFIRMED = 20
"""So many repositories are asked for one by one; where more are missing, the list is read again."""
AGAIN = timedelta(minutes=1)
FIRST_WAIT_S, LONGEST_WAIT_S, MOST_ATTEMPTS = 60.0, 3600.0, 10
NOT_REACHED = {Kind.GONE, Kind.FORBIDDEN}
PUTS_OFF = {Kind.PARKED, Kind.PRIMARY, Kind.SECONDARY}
SOURCE = Source(kind="api", key="listing")
logger = logging.getLogger(__name__)


class ClaimLostError(Exception):
    """Another worker lists the installation meanwhile; nothing of this one's may be kept."""


@dataclass(slots=True, kw_only=True)
class InstallationListing:
    """One task's part of a listing."""

    installation_id: int
    claim_number: int
    attempts: int
    as_of: datetime
    path: str
    seen: list[int]
    total: int | None
    missing: list[int]
    access: GitHubAccess
    facts: list[Fact] = field(default_factory=list)

    @classmethod
    def of(cls, row: Listing, *, claim_number: int, access: GitHubAccess) -> "InstallationListing":
        """Go on where the last task stopped, unless that was too long ago."""
        if not row.cursor or row.began_at < timezone.now() - LONGEST:
            held = Listing.objects.filter(pk=row.pk).held(claim_number=claim_number)
            held.update(began_at=Now() - SETTLED, cursor="", seen=[], total=None)
            begun = held.first()
            if begun is None:
                raise ClaimLostError
            row = begun
        return cls(
            installation_id=row.pk,
            claim_number=claim_number,
            attempts=row.attempts,
            as_of=row.began_at,
            path=row.cursor,
            seen=row.seen,
            total=row.total,
            missing=row.missing,
            access=access,
        )

    def run(self) -> None:
        """Read as much as one task may, and keep it; or what it waits for. ClaimLostError where the claim is lost."""
        try:
            self.read()
        except RequestFailedError as refusal:
            self.put_off(refusal.answer)
        except UnusablePayloadError as error:
            self.fail(str(error))

    def read(self) -> None:
        if not self.path:
            if not self.ask_how_it_stands():
                return
            self.path = FIRST_PAGE
        deadline_s = time.monotonic() + RUN_S
        while not (self.read_page() and self.complete(deadline_s=deadline_s)):
            if time.monotonic() > deadline_s:
                self.keep_place(not_before=timezone.now())
                return

    def ask_how_it_stands(self) -> bool:
        """Record how the installation stands; whether there is anything to be listed."""
        answer = self.access.get_as_app(f"/app/installations/{self.installation_id}", purpose=self.purpose)
        if answer.kind is Kind.GONE and self.is_ours():
            self.end([removal(self.installation_id, as_of=self.as_of)])
            return False
        if answer.kind is not Kind.OK:
            raise RequestFailedError(answer)
        told = list(standing_facts(self.reading(answer, path="installation"), as_of=self.as_of))
        with transaction.atomic():
            self.hold()
            record([evidence(SOURCE, told)])
        if readable_installations().filter(pk=self.installation_id).exists():
            self.access.forget_standing(self.installation_id)
            return True
        self.end_unread()
        return False

    def is_ours(self) -> bool:
        """Whether the App that asks is the installation's: to any other, and to a wrong id, it is not there either."""
        answer = self.access.get_as_app("/app", purpose=self.purpose)
        app_id = answer.data.get("id") if answer.kind is Kind.OK else None
        return app_id is not None and Installation.objects.filter(pk=self.installation_id, app_id=app_id).exists()

    def end_unread(self) -> None:
        """It is suspended, a stranger's, or nobody's: an account may still be told later."""
        installation = Installation.objects.get(pk=self.installation_id)
        if installation.account_id is None:
            self.fail("GitHub names no account for it.")
        else:
            is_settled = installation.suspended_at is not None
            self.end([listing_done(self.installation_id, as_of=self.as_of)] if is_settled else [])

    def read_page(self) -> bool:
        """Take in a page; whether it was the last one. UnusablePayloadError where the list changed since the first."""
        answer = self.access.get(self.path, installation_id=self.installation_id, purpose=self.purpose)
        if answer.kind is not Kind.OK:
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
        """Refuse a list that goes on although all was listed, or that brought nothing: it might never end."""
        if len(self.seen) == before or len(self.seen) >= (self.total or 0):
            raise UnusablePayloadError(
                "endless_list", f"GitHub's list goes on after {len(self.seen)} of {self.total} repositories."
            )

    def complete(self, *, deadline_s: float) -> bool:
        """Keep the whole list, what is missing from it, and have the history read of what is new on it.

        Whether that is all; else the list is read again from its first page, as something may be missing by chance.
        """
        listed = list(dict.fromkeys(self.seen))
        if len(listed) != self.total:
            self.fail(f"GitHub listed {len(listed)} of {self.total} repositories.")
            return True
        known = RepositoryAccess.objects.filter(installation=self.installation_id)
        lost = last_reached(known.exclude(repository__in=listed), before=self.as_of)
        missing = [repository_id for repository_id, reached_at in lost.items() if reached_at is not None]
        if not self.are_lost(missing, deadline_s=deadline_s):
            self.path, self.seen, self.total, self.missing = FIRST_PAGE, [], None, missing
            return False
        self.facts += access_facts(self.installation_id, listed=listed, lost=lost, as_of=self.as_of)
        with transaction.atomic():
            self.end([*self.facts, listing_done(self.installation_id, as_of=self.as_of)])
            read_history_of(listed)
        return True

    def are_lost(self, repository_ids: Iterable[int], *, deadline_s: float) -> bool:
        """Whether all of these are out of reach: an earlier reading did not show them either, or GitHub refuses them.

        A public repository is shown to everybody, so for one that GitHub shows the list has to be read again.
        """
        doubted = sorted(set(repository_ids) - set(self.missing))
        if len(doubted) > MOST_CONFIRMED:
            return False
        return all(time.monotonic() < deadline_s and self.is_refused(repository_id) for repository_id in doubted)

    def is_refused(self, repository_id: int) -> bool:
        answer = self.access.get(
            f"/repositories/{repository_id}", installation_id=self.installation_id, purpose=self.purpose
        )
        if answer.kind not in NOT_REACHED | {Kind.OK}:
            raise RequestFailedError(answer)
        return answer.kind in NOT_REACHED

    def end(self, facts: Iterable[Fact]) -> None:
        with transaction.atomic():
            self.hold(attempts=0, error="", cursor="", seen=[], total=None, missing=[], lease_until=None)
            record([evidence(SOURCE, facts)])

    def put_off(self, answer: Answer) -> None:
        """A limit is waited for with what was read so far; whatever else GitHub said is a failure."""
        if answer.kind not in PUTS_OFF:
            self.fail(answer.verdict.message or answer.kind.name.lower())
            return
        until = datetime.fromtimestamp(answer.not_before, UTC) if answer.not_before else timezone.now() + AGAIN
        self.keep_place(not_before=until)

    def keep_place(self, *, not_before: datetime) -> None:
        with transaction.atomic():
            self.hold(
                cursor=self.path,
                seen=self.seen,
                total=self.total,
                missing=self.missing,
                not_before=not_before,
                lease_until=None,
            )
            record([evidence(SOURCE, self.facts)])

    def fail(self, words: str) -> None:
        """Begin again after a while: each time later, and not all at once."""
        wait_s = min(FIRST_WAIT_S * 2**self.attempts, LONGEST_WAIT_S) * random.uniform(0.75, 1.25)  # noqa: S311
        logger.warning("listing_failed", extra={"installation": self.installation_id, "words": words})
        self.hold(
            attempts=min(self.attempts + 1, MOST_ATTEMPTS),
            error=storable(words),
            cursor="",
            seen=[],
            total=None,
            missing=self.missing,
            not_before=timezone.now() + timedelta(seconds=wait_s),
            lease_until=None,
        )

    def hold(self, **changes: Any) -> None:
        """Change the row under the claim. ClaimLostError if somebody else has it now."""
        own = Listing.objects.filter(pk=self.installation_id).held(claim_number=self.claim_number)
        if not own.update(**(changes or {"claim_number": self.claim_number})):
            raise ClaimLostError

    def reading(self, answer: Answer, *, path: str) -> PayloadReader:
        return PayloadReader(answer.data, path=path, arrived_at=timezone.now(), observed_at=answer.observed_at)

    @property
    def purpose(self) -> Purpose:
        return Purpose(priority=Priority.LIVE, subject=f"listing {self.installation_id}")


AT_LEAST_EVERY = timedelta(days=1)
"""What no webhook told, because it was lost or there is none for it, is seen by the next listing."""
APART = timedelta(minutes=10)
"""Signals that leave nothing unverified (a branch that came or went) ask for no more than one listing in this time."""
FIND_TASK = "apps.integrations.tasks.find_installations"
LIST_TASK = "apps.integrations.tasks.list_installation"
MOST_AT_ONCE = 100
EXPIRES_S = 60
"""After a minute the next message is there."""


def enqueue_due() -> int:
    """Tell the workers of the installations that are due; how many messages the broker took.

    Where none is known at all, GitHub is asked whether there are any.
    """
    if not has_credentials():
        return 0
    if not Installation.objects.exists():
        return wakeups.send(
            [partial(current_app.send_task, FIND_TASK, expires=EXPIRES_S, retry=False, ignore_result=True)]
        )
    due = due_installations(app_id=app_credentials().app_id).order_by(F("listed_at").asc(nulls_first=True))
    return enqueue_deliveries(due.values_list("pk", flat=True)[:MOST_AT_ONCE])


def enqueue_deliveries(installation_ids: Iterable[int]) -> int:
    """Tell the workers to list these; how many messages the broker took."""
    return wakeups.send(
        partial(
            current_app.send_task,
            LIST_TASK,
            args=[installation_id],
            expires=EXPIRES_S,
            retry=False,
            ignore_result=True,
        )
        for installation_id in installation_ids
    )


def due_installations(*, app_id: int, for_as_long_as: timedelta = timedelta(0)) -> QuerySet[Installation]:
    """The installations of the App that a worker may list now: they never were, a signal came since, or it is a day.

    Only those on accepted accounts, and those of which nobody told whose they are: GitHub is asked that first.
    `for_as_long_as` leaves out those that became due, were told of or waited for something since.
    """
    then = Now() - for_as_long_as
    unverified = RepositoryAccess.objects.filter(installation=OuterRef("pk"), is_verified=False)
    is_unsettled = Q(listed_at=None) | Q(is_suspension_verified=False) | Q(Exists(unverified), suspended_at=None)
    is_signalled = Q(needs_listing_at__gt=F("listed_at"), listed_at__lt=then - APART)
    is_old = Q(listed_at__lt=then - AT_LEAST_EVERY)
    is_nobodys = Q(account=None) | Q(account__login="")
    of_it = Listing.objects.filter(installation=OuterRef("pk"))
    waiting = of_it.waiting(at=then)
    if for_as_long_as:  # one that was found just now has neither
        is_unsettled &= Q(needs_listing_at__lt=then) | Q(Exists(of_it))
    return Installation.objects.filter(
        is_unsettled | is_signalled | is_old,
        is_nobodys | Q(account__in=accepted_accounts().values("pk")),
        ~Exists(waiting),
        Q(app_id=None) | Q(app_id=app_id),
        deleted_at=None,
    )


def list_or_go_on(installation_id: int, *, access: GitHubAccess) -> None:
    """List the installation, and ring for another task where one was not enough."""
    row = list_installation(installation_id, access=access)
    if row is not None and row.goes_on:
        enqueue_deliveries([installation_id])


def list_installation(installation_id: int, *, access: GitHubAccess) -> Listing | None:
    """List the installation, as far as one task may; the row afterwards, None where somebody else holds it or it waits.

    A row that `goes_on` wants another task. NoCredentialsError where GitHub cannot be asked at all.
    """
    Listing.objects.bulk_create([Listing(installation_id=installation_id)], ignore_conflicts=True)
    own = Listing.objects.filter(pk=installation_id)
    row = own.get()
    if not own.filter(claim_number=row.claim_number).claim():
        return None
    try:
        InstallationListing.of(row, claim_number=row.claim_number + 1, access=access).run()
    except ClaimLostError:
        logger.warning("listing_lost", extra={"installation": installation_id})
    return own.get()
