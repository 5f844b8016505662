"""The weekly digest: written on Monday morning in the team's time zone, once, and sent to all who chose it."""

import logging
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q
from django.template.loader import render_to_string

from apps.common.failpoints import failpoint
from apps.jobs.models import Job
from apps.jobs.registry import JobKind, Plan
from apps.metrics.digest import Digest, Line, read_digest
from apps.metrics.figures import Window
from apps.metrics.figures.formatting import duration
from apps.metrics.stuck import TITLES, Section, StuckPullRequest
from apps.notifications.message_fan_out import PRIORITY, Message, choices_url, escape, page_url, queue
from apps.notifications.models import Channel, Subscription, Topic
from apps.teams.models import Team

NAME = "write_digest"
SENT_AT = time(7)
"""Local time, on Mondays."""
LATE_UNTIL = timedelta(days=3)
"""A digest that could not be written before Thursday is left out: the next one comes soon."""
MOST_ATTEMPTS, MOST_NAMED = 5, 3
DAY = timedelta(days=1)
ARROWS = {"up": "▲", "down": "▼"}
logger = logging.getLogger(__name__)


def open_digests(now: datetime | None = None) -> int:
    """Create the job that writes the digest of each team whose time has come; return how many were created."""
    now = now or datetime.now(UTC)
    own = Q(team=OuterRef("pk"))
    chosen = Exists(Subscription.objects.filter(own, topic=Topic.DIGEST, by_mail=True))
    posted = Exists(Channel.objects.filter(own, topics__contains=[Topic.DIGEST]))
    teams = Team.objects.filter(chosen | posted, is_approved=True)
    return sum(_open(team, due_at) for team in teams if (due_at := due_since(team, now=now)) is not None)


PLAN = Plan(name="open_digests", run=open_digests, every_s=59.0)


def due_since(team: Team, *, now: datetime) -> datetime | None:
    """Return when this week's digest of the team was due; None if that is still to come, or too long ago."""
    due_at = due_in_week_of(now, team=team).astimezone(UTC)
    return due_at if due_at <= now < due_at + LATE_UNTIL else None


def due_in_week_of(now: datetime, *, team: Team) -> datetime:
    """Return when the digest of this week is due, in the team's time zone."""
    zone = ZoneInfo(team.time_zone)
    today = now.astimezone(zone).date()
    return datetime.combine(today - DAY * today.weekday(), SENT_AT, zone)


def _open(team: Team, due_at: datetime) -> bool:
    """Create the job of the week that ended before `due_at`, unless there was one, or nobody had chosen it by then."""
    key = f"{team.pk}/{due_at.astimezone(ZoneInfo(team.time_zone)).date() - 7 * DAY}"
    if Job.objects.filter(kind=NAME, key=key).exists() or not _was_chosen(team, by=due_at):
        return False
    try:
        with transaction.atomic():
            Job.objects.create(kind=NAME, key=key, priority=PRIORITY)
    except IntegrityError:  # another dispatcher was faster
        return False
    return True


def _was_chosen(team: Team, *, by: datetime) -> bool:
    chosen = Subscription.objects.filter(topic=Topic.DIGEST, by_mail=True, changed_at__lte=by).entitled(team)
    posted = Channel.objects.filter(team=team, topics__contains=[Topic.DIGEST], created_at__lte=by)
    return chosen.exists() or posted.exists()


def run(job: Job, deadline_s: float) -> None:
    """Write the digest of a claimed job, and queue it for each recipient in one transaction with the job's end."""
    team_id, _, monday = job.key.partition("/")
    team = Team.objects.filter(pk=int(team_id)).first()
    if team is None:
        job.claim.end(Job.State.DONE, reason="gone")
        return
    if job.attempts >= MOST_ATTEMPTS:
        job.claim.end(Job.State.FAILED, reason="crashed", error=job.error)
        return
    start = date.fromisoformat(monday)
    week = Window(start=start, end=start + 7 * DAY, time_zone=team.time_zone)
    message = message_of(read_digest(team, week=week))
    with transaction.atomic():
        job.hold()
        count = queue(message, about=about_of(team, week))
        failpoint("digest.before_commit")
        job.claim.end(Job.State.DONE)
    logger.info("digest_written", extra={"team": team.pk, "messages": count})


KIND = JobKind(name=NAME, priority=PRIORITY, run=run)


def about_of(team: Team, week: Window) -> str:
    """Return what says that two messages to one recipient are the same digest."""
    return f"digest {team.pk} {week.start}"


def message_of(digest: Digest) -> Message:
    """Return the digest as a message."""
    team, url = digest.team, page_url("digest", digest.team.slug)
    context = context_of(digest)
    return Message(
        topic=Topic.DIGEST,
        event="digest",
        team=team,
        subject=subject_of(digest),
        text=render_to_string("notifications/digest.body.txt", context),
        html=render_to_string("notifications/digest.body.html", context),
        url=url,
        sections=tuple(_sections(digest)),
        data={
            "week": {"from": str(digest.week.start), "to": str(digest.week.end)},
            "figures": _figures(digest),
            "stuck": _stuck(digest),
        },
    )


def subject_of(digest: Digest) -> str:
    """Return the subject, which says the week."""
    return f"{digest.team.name}: {shown_week(digest.week)}"


def shown_week(week: Window) -> str:
    """Return the first and last day of the week for people."""
    return f"{week.start:%-d %b} \N{EN DASH} {week.last_day:%-d %b %Y}"


def context_of(digest: Digest) -> dict[str, Any]:
    """Return what the templates of the mail show."""
    kept = urlencode({"from": digest.week.start, "to": digest.week.end})
    team = digest.team
    return {
        "digest": digest,
        "team": team,
        "week": shown_week(digest.week),
        "rows": [(line, page_url("entities", team.slug, line.figure.key, query=kept)) for line in digest.lines],
        "stuck": shown_stuck(digest.stuck),
        "team_url": page_url("team", team.slug),
        "settings_url": choices_url(team),
    }


def _sections(digest: Digest) -> list[str]:
    """Return the digest as paragraphs in Slack's markup."""
    if digest.is_empty:
        return [f"Nothing happened in the week of {escape(shown_week(digest.week))} or the week before."]
    found = ["\n".join(_line(line) for line in digest.lines)]
    if digest.notable:
        found.append("*What changed*\n" + "\n".join(f"• {escape(text)}" for text in digest.notable))
    for section in digest.stuck:
        lines = [f"• <{url}|{escape(name)}> {escape(words)}" for name, url, words in _items(section)]
        more = [f"and {section.left} more"] if section.left else []
        found.append("\n".join([f"*{TITLES[section.reason]}*", *lines, *more]))
    return found


def shown_stuck(sections: Sequence[Section]) -> list[tuple[str, Section, list[tuple[str, str, str]]]]:
    """Return what is stuck for a template: each section with its title and items."""
    return [(TITLES[section.reason], section, _items(section)) for section in sections]


def _items(section: Section) -> list[tuple[str, str, str]]:
    """Return the name, the URL and the state of each pull request of a section."""
    return [(f"{one.repository}#{one.number}", url_of(one), _state_of(one)) for one in section.rows]


def url_of(one: StuckPullRequest) -> str:
    """Return the page of a pull request here."""
    return page_url("pull-request", one.pull_request_id)


def _state_of(one: StuckPullRequest) -> str:
    """Return the title, for how long it waits, and for whom."""
    waited = duration((datetime.now(UTC) - one.since).total_seconds())
    who = f", {', '.join(one.waits_for[:MOST_NAMED])}" if one.waits_for else ""
    return f"{one.title} ({waited}{who})"


def _line(line: Line) -> str:
    change = f"  {ARROWS.get(line.direction, '')} {line.signed_change}, from {line.words_before}" if line.change else ""
    return escape(f"{line.figure.title}: ") + f"*{escape(line.words)}*" + escape(change)


def _figures(digest: Digest) -> list[dict[str, Any]]:
    return [
        {
            "figure": line.figure.key,
            "unit": line.figure.unit,
            "value": line.now.value,
            "n": line.now.n,
            "value_before": line.before.value,
        }
        for line in digest.lines
    ]


def _stuck(digest: Digest) -> list[dict[str, Any]]:
    return [
        {
            "waits_for": section.reason,
            "total": section.total,
            "pull_requests": [
                {"repository": one.repository, "number": one.number, "title": one.title, "url": url_of(one)}
                for one in section.rows
            ],
        }
        for section in digest.stuck
    ]
