"""Listing installations through the API: which are due, and whose turn it is.

A listing settles what signals told, and has the history read of what is new on it. Its waits are kept in its row.
"""

import logging
from collections.abc import Iterable
from datetime import timedelta
from functools import partial

from celery import current_app
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from apps.activity.models import Installation, RepositoryAccess
from apps.github.auth import GitHubAccess
from apps.github.credentials import app_credentials, has_credentials
from apps.integrations.listing_errand import Errand, LostListing
from apps.integrations.models import Listing
from apps.teams.accounts import accepted_accounts
from apps.webhooks.bell import ring

AT_LEAST_EVERY = timedelta(days=1)
"""What no webhook told, because it was lost or there is none for it, is seen by the next listing."""
APART = timedelta(minutes=10)
"""Signals that leave nothing unverified (a branch that came or went) ask for no more than one listing in this time."""
FIND_TASK = "apps.integrations.tasks.find_installations"
LIST_TASK = "apps.integrations.tasks.list_installation"
MOST_AT_ONCE = 100
EXPIRES_S = 60
"""After a minute the next message is there."""
logger = logging.getLogger(__name__)


def ring_for_due() -> int:
    """Tell the workers of the installations that are due; how many messages the broker took.

    Where none is known at all, GitHub is asked whether there are any.
    """
    if not has_credentials():
        return 0
    if not Installation.objects.exists():
        return ring.send(
            [partial(current_app.send_task, FIND_TASK, expires=EXPIRES_S, retry=False, ignore_result=True)]
        )
    due = due_installations(app_id=app_credentials().app_id).order_by(F("listed_at").asc(nulls_first=True))
    return ring_for(due.values_list("pk", flat=True)[:MOST_AT_ONCE])


def ring_for(installation_ids: Iterable[int]) -> int:
    """Tell the workers to list these; how many messages the broker took."""
    return ring.send(
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
        ring_for([installation_id])


def list_installation(installation_id: int, *, access: GitHubAccess) -> Listing | None:
    """List the installation, as far as one task may; the row afterwards, None where somebody else holds it or it waits.

    A row that `goes_on` wants another task. NoCredentials where GitHub cannot be asked at all.
    """
    Listing.objects.bulk_create([Listing(installation_id=installation_id)], ignore_conflicts=True)
    own = Listing.objects.filter(pk=installation_id)
    row = own.get()
    if not own.filter(claim_number=row.claim_number).claim():
        return None
    try:
        Errand.of(row, claim_number=row.claim_number + 1, access=access).run()
    except LostListing:
        logger.warning("listing_lost", extra={"installation": installation_id})
    return own.get()
