"""Checks of PostgreSQL, the stored secrets, Redis, workers and beat."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import Tags, run_checks
from django.db import DatabaseError, connection, transaction
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.common import connections, db
from apps.common.db import error_message
from apps.common.encryption import UndecryptableError, decrypt, encrypted_fields
from apps.monitoring.doctor.checks import Check, CheckStoppedError, failure, ok, warning
from apps.monitoring.models import StatusCheck
from apps.monitoring.presence import BEAT, present
from apps.monitoring.status import probe_migrations, probe_secret

DATABASE_NAMES = (
    "database",
    "database clock",
    "durability",
    "connections",
    "sessions",
    "migrations",
    "writing",
    "stored secrets",
    "webhook secret",
)
OLDEST_POSTGRES, NEWEST = 15, 18
LONGEST_DATABASE_S = 3.0
FEW_SHARE = 0.1
WEB_THREADS = 96
"""The connections that the web processes of one machine may open."""
LATE_S, FAR_OFF_S = 2.0, 30.0
MOST_DECRYPTED = 200

_ASK = """
SELECT current_setting('server_version_num')::int, current_setting('server_version'), current_setting('fsync'),
       current_setting('synchronous_commit'), current_setting('full_page_writes'),
       pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       extract(epoch FROM clock_timestamp())::float8
"""


@dataclass(frozen=True, slots=True)
class Server:
    """What PostgreSQL reports about itself."""

    version_number: int
    version: str
    fsync: str
    synchronous_commit: str
    full_page_writes: str
    is_read_only: bool
    most_connections: int
    used_connections: int
    now_s: float


def check_database() -> Iterator[Check]:
    """Check the database; stop if it does not answer."""
    asked_at_s = time.time()
    try:
        with db.limit(seconds=LONGEST_DATABASE_S):
            server = ask()
    except DatabaseError as error:
        advice = "`make run` starts the embedded one; otherwise start yours, or fix DATABASE_URL."
        yield failure(
            "database",
            error_message(error),
            advice + (f" {connections.WHAT_TO_DO}" if connections.is_refusal(error) else ""),
        )
        raise CheckStoppedError("The database does not answer.") from error
    answered_at_s = time.time()
    yield check_postgres_version(server, took_s=answered_at_s - asked_at_s)
    yield check_clock("database clock", (asked_at_s + answered_at_s) / 2 - server.now_s, whose="the database's")
    yield check_durability(server)
    yield check_connections(server)
    yield check_sessions(connections.find_fault())
    migrations = probe_migrations()
    if not migrations.is_good:
        yield failure("migrations", migrations.explanation or "They could not be read.", "")
        raise CheckStoppedError("The tables do not match this version.")
    yield ok("migrations", "All applied.")
    yield check_writing(server)
    yield check_stored_secrets()
    yield check_webhook_secret()


def ask() -> Server:
    """Query the server on this thread's own connection, with a shorter timeout than usual."""
    usual = connection.settings_dict
    options = {**usual["OPTIONS"], "connect_timeout": int(LONGEST_DATABASE_S)}
    connection.settings_dict = {**usual, "OPTIONS": options}
    try:
        with connection.cursor() as cursor:
            cursor.execute(_ASK)
            return Server(*cursor.fetchone())
    finally:
        connection.settings_dict = usual


def check_postgres_version(server: Server, *, took_s: float) -> Check:
    major = server.version_number // 10_000
    found = f"PostgreSQL {server.version.partition(' ')[0]} answers in {took_s * 1000:.0f} ms."
    if major < OLDEST_POSTGRES:
        return failure("database", found, f"Upgrade it: versions {OLDEST_POSTGRES} to {NEWEST} are supported.")
    if major > NEWEST:
        advice = f"This version was not tested: {OLDEST_POSTGRES} to {NEWEST} are supported."
        return warning("database", found, advice)
    return ok("database", found)


def check_clock(name: str, ahead_s: float, *, whose: str) -> Check:
    """Compare the local clock with another; a positive difference means that the local clock is ahead."""
    if abs(ahead_s) < LATE_S:
        return ok(name, f"This machine's clock and {whose} agree.")
    found = f"This machine's clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} {whose}."
    advice = "Synchronise the machine's time with NTP (chrony, systemd-timesyncd)."
    if abs(ahead_s) < FAR_OFF_S:
        return warning(name, found, advice)
    return failure(name, found, f"{advice} GitHub rejects the App's key when the clock is a minute off.")


def check_durability(server: Server) -> Check:
    off = [name for name in ("fsync", "full_page_writes") if getattr(server, name) != "on"]
    if server.synchronous_commit == "off":
        off.append("synchronous_commit")
    if off:
        return failure(
            "durability",
            f"Off: {', '.join(off)}. A crash may lose acknowledged deliveries.",
            "Turn them on in postgresql.conf, and remove them from the options of DATABASE_URL.",
        )
    return ok("durability", f"Commits are flushed to disk (synchronous_commit {server.synchronous_commit}).")


def check_connections(server: Server) -> Check:
    free = server.most_connections - server.used_connections
    found = f"{server.used_connections} of {server.most_connections} in use."
    if free < server.most_connections * FEW_SHARE:
        return failure("connections", found, "Raise max_connections, or run fewer processes.")
    if server.most_connections < WEB_THREADS:
        return warning(
            "connections",
            found,
            f"The web processes of one machine may open {WEB_THREADS}: set max_connections to 200.",
        )
    return ok("connections", found)


def check_sessions(fault: str) -> Check:
    """Check that a connection pooler, if there is one, keeps the session state."""
    if fault:
        return failure("sessions", fault, connections.WHAT_TO_DO)
    return ok("sessions", "Timeouts apply and prepared statements are kept.")


def check_writing(server: Server) -> Check:
    """Write a row and roll it back."""
    if server.is_read_only:
        return failure(
            "writing", "The server is read-only: a replica, or configured so.", "Point DATABASE_URL at the primary."
        )
    try:
        with db.limit(seconds=LONGEST_DATABASE_S), transaction.atomic():
            StatusCheck.objects.create()
            transaction.set_rollback(True)
    except DatabaseError as error:
        return failure(
            "writing", error_message(error), "Check the free space of its disk and the write privileges of the user."
        )
    return ok("writing", "A test row was written and rolled back.")


def check_stored_secrets() -> Check:
    kept = lost = 0
    for model, field in encrypted_fields():
        for value in model._default_manager.values_list(field, flat=True)[:MOST_DECRYPTED]:
            kept += 1
            try:
                decrypt(value)
            except UndecryptableError:
                lost += 1
    if lost:
        return failure(
            "stored secrets",
            f"{lost} of {kept} cannot be decrypted with any of FERNET_KEYS.",
            "Put the old key back into FERNET_KEYS, or store the secrets again.",
        )
    return ok("stored secrets", f"{kept} stored, all can be decrypted." if kept else "None are stored.")


def check_webhook_secret() -> Check:
    weak = [message for message in run_checks(tags=[Tags.security]) if message.id == "webhooks.E001"]
    if weak:
        return failure("webhook secret", " ".join(str(one.msg) for one in weak), str(weak[0].hint))
    finding = probe_secret()
    if not finding.is_good:
        return failure("webhook secret", "There is none: webhooks are answered with 503.", finding.explanation)
    of_environment = len(settings.GITHUB_WEBHOOK_SECRETS)
    return ok("webhook secret", f"{finding.explanation}, {of_environment} from the environment.")


QUEUES = ("live", "figures", "backfill", "maintenance")
CONSEQUENCES = {
    "live": "deliveries are not processed",
    "figures": "figures are not updated",
    "backfill": "history is not loaded",
    "maintenance": "scheduled work and e-mail do not run",
}
REDIS_NAMES = ("redis", "redis eviction", "redis memory", "redis keys")
PRESENCE_NAMES = (*(f"queue {name}" for name in QUEUES), "beat")
OLDEST_REDIS = (6, 2)
LONGEST_REDIS_S = 1.0
MUCH_SHARE = 0.8
MANY_WAITING = 1_000
SAMPLE = 1_000
OURS = re.compile(rf"tformance:.*|_kombu\..*|unacked.*|(?:{'|'.join(QUEUES)})(?:\x06.*)?", re.DOTALL)
MB = 1024**2


def redis() -> Redis:
    """Return a client that waits at most a second."""
    return Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=LONGEST_REDIS_S,
        socket_connect_timeout=LONGEST_REDIS_S,
        retry=Retry(NoBackoff(), retries=0),
        decode_responses=True,
    )


def check_redis() -> Iterator[Check]:
    """Check Redis; stop if it does not answer."""
    with redis() as client:
        try:
            info = client.info()
        except RedisError as error:
            yield failure(
                "redis",
                f"{redis_address()} does not answer: {error_message(error)}",
                "`make run` starts the embedded one; otherwise start yours, or fix REDIS_URL. Deliveries wait.",
            )
            raise CheckStoppedError("Redis does not answer.") from error
        yield check_redis_version(info)
        yield check_eviction(info)
        yield check_memory(info)
        yield check_keys(client.scan(count=SAMPLE)[1], size=client.dbsize())


def redis_address() -> str:
    """Return REDIS_URL without what may hold a password."""
    parts = urlsplit(settings.REDIS_URL)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def check_redis_version(info: Mapping[str, Any]) -> Check:
    version = str(info.get("redis_version", "?"))
    if info.get("loading"):
        return failure("redis", f"Redis {version} is still loading its data.", "Wait a moment.")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST_REDIS:
        oldest = ".".join(map(str, OLDEST_REDIS))
        return failure("redis", f"Redis {version} answers.", f"Upgrade it to {oldest} or newer.")
    return ok("redis", f"Redis {version} answers.")


def check_eviction(info: Mapping[str, Any]) -> Check:
    policy = str(info.get("maxmemory_policy", "unknown"))
    if policy != "noeviction":
        return failure(
            "redis eviction",
            f"maxmemory-policy is {policy}: messages are deleted when memory runs out.",
            "Set maxmemory-policy to noeviction, and use a Redis server for tformance alone.",
        )
    return ok("redis eviction", "noeviction.")


def check_memory(info: Mapping[str, Any]) -> Check:
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    found = f"{used / MB:.0f} MB in use{f' of {most / MB:.0f}' if most else ', without a limit'}."
    if most and used > most * MUCH_SHARE:
        return failure(
            "redis memory", found, "Raise maxmemory; then find which queue grows and why no worker empties it."
        )
    return ok("redis memory", found)


def check_keys(keys: Sequence[str], *, size: int) -> Check:
    """Check for keys of other programs, which may delete ours or use up the memory."""
    foreign = sorted(key for key in keys if not OURS.fullmatch(key))
    if foreign:
        return warning(
            "redis keys",
            f"{len(foreign)} of {len(keys)} sampled keys belong to another program.",
            "Use a separate database (another number at the end of REDIS_URL) or, better, a separate server.",
        )
    return ok("redis keys", f"{size:,}; all sampled keys belong to tformance.")


def check_presence() -> Iterator[Check]:
    """Check that each queue has a worker, and that beat is running."""
    with redis() as client:
        processes = present(client)
        for queue in QUEUES:
            yield check_queue(queue, processes.get(queue, ()), waiting=int(client.llen(queue)))
        yield check_beat(processes.get(BEAT, ()))


def check_queue(queue: str, processes: Sequence[str], *, waiting: int) -> Check:
    name, words = f"queue {queue}", f"{waiting:,} {'message waits' if waiting == 1 else 'messages wait'}"
    if not processes:
        return failure(
            name,
            f"No worker is running: {CONSEQUENCES[queue]}; {words}.",
            f"`make run`, or `python -m tformance.local only worker --queues {queue} --concurrency 2`.",
        )
    found = f"{', '.join(processes[:3])}{' …' if len(processes) > 3 else ''}; {words}."  # noqa: PLR2004
    if waiting > MANY_WAITING:
        return warning(name, found, "Workers do not keep up: start more for this queue, and check their logs.")
    return ok(name, found)


def check_beat(processes: Sequence[str]) -> Check:
    if not processes:
        return failure(
            "beat",
            "Celery beat is not running: scheduled jobs will not start.",
            "`make run`, or `python -m tformance.local only beat`. Running a second one is harmless.",
        )
    return ok("beat", f"{', '.join(processes)}.")
