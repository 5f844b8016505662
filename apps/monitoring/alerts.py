"""What is wrong now that teams and operators chose alerts about: the job that looks for it every 15 minutes."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from apps.integrations.work_problems import reconciliation_problems
from apps.jobs.models import Job
from apps.jobs.registry import JobKind
from apps.metrics.completeness.descriptions import format_moment
from apps.metrics.figures.formatting import duration
from apps.metrics.stuck import Filters, Reason, StuckPullRequest, read_stuck
from apps.notifications.alerts import chosen_topics, forget, settle
from apps.notifications.digests import url_of
from apps.notifications.models import ALERTS, Alert, AlertThreshold, Channel, Subscription, Topic
from apps.teams.models import Team
from apps.teams.visibility import repositories_of
from apps.webhooks import inbox_overview

EVERY = timedelta(minutes=15)
SHORTEST_SILENCE = timedelta(hours=24)
LOOKED_BACK = timedelta(days=28)
UNUSUAL = 2
"""Silence is unusual when it is twice as long as the longest of four weeks."""
INSTANCE = "instance"
MOST_ATTEMPTS, MOST_LOOKED_AT, MOST_NAMED = 3, 1000, 3
WAITS = {
    Reason.REVIEW: "has waited for a review",
    Reason.MERGE: "has been approved and not merged",
    Reason.CHECKS: "has had failing checks",
}
logger = logging.getLogger(__name__)


def plan(at_start: bool = False) -> int:
    """Create the job that looks for alerts; return how many were created."""
    return Job.objects.open(KIND.name, priority=KIND.priority, installations={"all": None})


def run(job: Job, deadline_s: float) -> None:
    """Look at each team that chose an alert, and at the instance, and put the job off; the cursor is the last team."""
    is_skipping = job.attempts >= MOST_ATTEMPTS
    for name, team in _after(job.cursor):
        if is_skipping:  # it failed each time: the others must not wait for it
            logger.warning("alerts_not_found", extra={"team": name})
            job.hold(cursor=name, attempts=0)
            is_skipping = False
            continue
        with transaction.atomic():
            job.hold(cursor=name, attempts=0, advanced_at=Now())
            settle_all(team)
        if time.monotonic() > deadline_s:
            job.claim.put_off(after=timedelta(0), reason="")
            return
    job.claim.put_off(after=EVERY, reason="", error="", cursor="", attempts=0)


KIND = JobKind(name="find_alerts", priority=2, run=run, plan=plan, recurs=True)


def _after(cursor: str) -> Iterator[tuple[str, Team | None]]:
    """Yield what is left to look at: the instance, then the teams by id, with what the cursor is after each."""
    if not cursor:
        yield INSTANCE, None
    after = int(cursor) if cursor.isdecimal() else 0
    own = OuterRef("pk")
    has_subscription = Exists(Subscription.objects.filter(team=own, topic__in=ALERTS))
    has_channel = Exists(Channel.objects.filter(team=own, topics__overlap=[*ALERTS]))
    is_alerted = Exists(Alert.objects.filter(team=own, over_at=None))
    # Of a team that is not approved any more, what is open ends without a word.
    is_followed = Q(has_subscription | has_channel, is_approved=True)
    for team in Team.objects.filter(is_followed | Q(is_alerted), pk__gt=after).order_by("pk"):
        yield str(team.pk), team


def settle_all(team: Team | None) -> int:
    """Open and end the alerts of the team, or of the instance; return how many began or ended."""
    chosen, count = chosen_topics(team), 0
    for topic in ALERTS:
        if topic in chosen:
            count += settle(team, topic, FINDERS[topic](team))
        else:
            forget(team, topic)
    return count


def find_silence(team: Team | None, *, now: datetime | None = None) -> dict[str, str]:
    """Return that no delivery arrived for longer than usual, which needs some to have arrived before."""
    now = now or timezone.now()
    ids = None if team is None else _repositories_of(team)
    last = inbox_overview.newest_received_at() if ids is None else inbox_overview.latest_received_at(ids)
    if last is None or now - last < SHORTEST_SILENCE:
        return {}
    usual = inbox_overview.longest_gap(ids, since=last - LOOKED_BACK)
    if now - last < max(SHORTEST_SILENCE, UNUSUAL * usual):
        return {}
    gap = f"the longest pause of the four weeks before was {duration(usual.total_seconds())}" if usual else ""
    about = f" about {team.name}" if team else ""
    advice = "Check the App's recent deliveries on GitHub, and `manage.py doctor`."
    return {"": f"No delivery{about} has arrived since {format_moment(last)}{f'; {gap}' if gap else ''}. {advice}"}


def find_failed_nights(team: Team | None) -> dict[str, str]:
    """Return that the last comparison with GitHub failed; of the instance, that no night succeeds."""
    if team is None:
        return {"": " ".join(found.values())} if (found := reconciliation_problems()) else {}
    if team.last_sync_status != Team.SyncStatus.FAILED:
        return {}
    return {"": f"The last reconciliation with GitHub failed: {team.last_sync_error}"}


def find_stuck(team: Team | None) -> dict[str, str]:
    """Return the open pull requests that have waited for as many days as the team sets, by id."""
    if team is None:
        return {}
    days = AlertThreshold.days_of(team)
    before = timezone.now() - timedelta(days=days)
    filters = Filters(is_everything=True, most=MOST_LOOKED_AT)
    sections = read_stuck([team], filters=filters, reasons=list(WAITS))
    return {
        str(one.pull_request_id): _describe(one, section.reason)
        for section in sections
        for one in section.rows
        if one.since <= before
    }


def _describe(one: StuckPullRequest, reason: Reason) -> str:
    waited = duration((timezone.now() - one.since).total_seconds())
    who = f" ({', '.join(one.waits_for[:MOST_NAMED])})" if one.waits_for else ""
    return f"{one.repository}#{one.number} “{one.title}” {WAITS[reason]}{who} for {waited}. {url_of(one)}"


FINDERS: Mapping[Topic, Callable[[Team | None], dict[str, str]]] = {
    Topic.SILENCE: find_silence,
    Topic.FAILED_NIGHTS: find_failed_nights,
    Topic.STUCK: find_stuck,
}


def _repositories_of(team: Team) -> list[int]:
    found = repositories_of(Team.objects.filter(pk=team.pk)).order_by()
    return list(found.values_list("pk", flat=True).distinct())
