"""Telling for which time everything that GitHub's log held, and that could take effect, is in the inbox.

A delivery tells of what happened within the hour before it, we take it. What is still to come stops the stretch before
that hour; what never will leaves that hour out as a gap.
"""

from datetime import datetime

from django.db import transaction

from apps.activity.coverage import cover
from apps.activity.models import Coverage
from apps.integrations.models import MissedDelivery
from apps.integrations.models.sweeps import MissedDeliveryQuerySet
from apps.integrations.sweep.turn import Turn
from apps.integrations.sweep.walking import MARGIN


def cover_what_is_here(turn: Turn) -> None:
    """Cover as much as may be up to the mark; what is left of it, once what stops it is here."""
    row = turn.row
    if row.covered_until is None or row.mark is None:
        return
    with transaction.atomic():
        turn.hold()
        turn.hold(covered_until=_cover(row.covered_until, row.mark))


def _cover(from_at: datetime, to_at: datetime) -> datetime:
    """Cover between the two what may be; up to where."""
    for missed in _in_the_way(from_at, to_at):
        until = min(missed.delivered_at - MARGIN, to_at)
        _tell(from_at, until)
        from_at = max(from_at, until)
        if missed.state != MissedDelivery.State.GIVEN_UP:
            return from_at
        from_at = max(from_at, missed.delivered_at)
    _tell(from_at, to_at)
    return max(from_at, to_at)


def _tell(from_at: datetime, to_at: datetime) -> None:
    if from_at < to_at:
        cover(Coverage.DELIVERIES, repository_id=None, from_at=from_at, to_at=to_at)


def _in_the_way(from_at: datetime, to_at: datetime) -> MissedDeliveryQuerySet:
    """What is not here and could take effect, in the order of its delivery."""
    around = MissedDelivery.objects.filter(delivered_at__gt=from_at, delivered_at__lt=to_at + MARGIN, has_effect=True)
    return around.exclude(state=MissedDelivery.State.KEPT).order_by("delivered_at")
