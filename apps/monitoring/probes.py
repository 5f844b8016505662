"""Probes of what storing a delivery needs, each within two seconds."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.common import db
from apps.webhooks import intake
from apps.webhooks.signature import active_secrets

LONGEST_S = 2.0
SHOWN_MIGRATIONS = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a probe: one word for everybody, an explanation for operators."""

    name: str
    is_good: bool
    word: str
    explanation: str = ""


def probe_database() -> Finding:
    """Probe that PostgreSQL answers, accepts writes, and did not just fail to store deliveries."""
    try:
        with db.limit(seconds=LONGEST_S), connection.cursor() as cursor:
            cursor.execute("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool")
            (is_read_only,) = cursor.fetchone()
    except DatabaseError as error:
        return Finding("database", is_good=False, word="down", explanation=type(error).__name__)
    if is_read_only:
        words = "It is read-only: a standby, or configured so. Point DATABASE_URL at the primary."
        return Finding("database", is_good=False, word="read-only", explanation=words)
    if intake.are_failing():
        words = "The latest deliveries could not be stored. See delivery_not_stored in the log, and `manage.py doctor`."
        return Finding("database", is_good=False, word="failing", explanation=words)
    return Finding("database", is_good=True, word="up")


def probe_migrations() -> Finding:
    """Probe that every migration of this version is applied."""
    try:
        with db.limit(seconds=LONGEST_S):
            pending = known_migrations() - set(MigrationRecorder(connection).applied_migrations())
    except DatabaseError as error:
        return Finding("migrations", is_good=False, word="unknown", explanation=type(error).__name__)
    if pending:
        names = ", ".join(".".join(key) for key in sorted(pending)[:SHOWN_MIGRATIONS])
        words = f"{len(pending)} to apply: {names}. Run `manage.py migrate`."
        return Finding("migrations", is_good=False, word="pending", explanation=words)
    return Finding("migrations", is_good=True, word="applied")


def probe_secret() -> Finding:
    """Probe that there is an active webhook secret."""
    try:
        with db.limit(seconds=LONGEST_S):
            count = len(active_secrets())
    except DatabaseError as error:
        return Finding("secret", is_good=False, word="unknown", explanation=type(error).__name__)
    if not count:
        words = "Set GITHUB_WEBHOOK_SECRETS, or add a webhook secret in the admin."
        return Finding("secret", is_good=False, word="missing", explanation=words)
    return Finding("secret", is_good=True, word="present", explanation=f"{count} active")


def probe_broker() -> Finding:
    """Probe Redis; without it deliveries are still stored, and processed later."""
    redis = Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=LONGEST_S / 2,
        socket_connect_timeout=LONGEST_S / 2,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        with redis:
            redis.ping()
    except RedisError as error:
        return Finding("broker", is_good=False, word="down", explanation=type(error).__name__)
    return Finding("broker", is_good=True, word="up")


REQUIRED: tuple[Callable[[], Finding], ...] = (probe_database, probe_migrations, probe_secret)


def look() -> list[Finding]:
    """Return the findings of all probes; those that need the database are skipped if it is down."""
    findings = [REQUIRED[0]()]
    if findings[0].is_good:
        findings += [probe() for probe in REQUIRED[1:]]
    return [*findings, probe_broker()]


def is_ready(findings: list[Finding]) -> bool:
    """Return whether a delivery would be stored; the broker is not needed for that."""
    return all(finding.is_good for finding in findings if finding.name != "broker")


@cache
def known_migrations() -> frozenset[tuple[str, str]]:
    """Return the migrations of this version."""
    return frozenset(MigrationLoader(None).graph.nodes)
