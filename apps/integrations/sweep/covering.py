"""Telling for which time everything that GitHub's log held took effect here.

A delivery tells of what happened within the hour before it, we take it. What is still to come stops the stretch before
that hour; what never will, or needs somebody, leaves that hour out as a gap.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from apps.activity.coverage import cover
from apps.activity.models import Coverage
from apps.integrations.models import MissedDelivery
from apps.integrations.models.sweeps import MissedDeliveryQuerySet
from apps.integrations.sweep.turn import Turn
from apps.integrations.sweep.walking import MARGIN
from apps.webhooks.models import Delivery

State = MissedDelivery.State


def cover_what_is_here(turn: Turn) -> bool:
    """Cover as much as may be up to the mark; whether that is all of it."""
    row = turn.row
    if row.covered_until is None or row.mark is None:
        return True
    with transaction.atomic():
        turn.hold()
        reached = _cover(row.covered_until, row.mark)
        turn.hold(covered_until=reached)
    return reached >= row.mark


def _cover(from_at: datetime, to_at: datetime) -> datetime:
    """Cover between the two what may be; up to where."""
    for missed in _in_the_way(from_at, to_at):
        until = min(missed.delivered_at - MARGIN, to_at)
        _tell(from_at, until)
        from_at = max(from_at, until)
        if not _is_for_good(missed):
            return from_at
        from_at = max(from_at, missed.delivered_at)
    _tell(from_at, to_at)
    return max(from_at, to_at)


def _tell(from_at: datetime, to_at: datetime) -> None:
    if from_at < to_at:
        cover(Coverage.DELIVERIES, repository_id=None, from_at=from_at, to_at=to_at)


def _in_the_way(from_at: datetime, to_at: datetime) -> MissedDeliveryQuerySet:
    """What has not taken effect and could, in the order of its delivery."""
    is_without_effect = ~Q(state=State.KEPT) | Q(delivery__state__in=[*Delivery.UNFINISHED, *Delivery.NEEDS_SOMEBODY])
    around = MissedDelivery.objects.filter(delivered_at__gt=from_at, delivered_at__lt=to_at + MARGIN, has_effect=True)
    return around.filter(is_without_effect).select_related("delivery").order_by("delivered_at")


def _is_for_good(missed: MissedDelivery) -> bool:
    """Whether waiting does not help: it was given up, or is here and needs somebody."""
    if missed.state != State.KEPT:
        return missed.state == State.GIVEN_UP
    return missed.delivery is not None and missed.delivery.state in Delivery.NEEDS_SOMEBODY
