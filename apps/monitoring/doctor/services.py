"""PostgreSQL: does it answer, keep what it commits, have room, and are the secrets that it holds of use?"""

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

from apps.common import db, pooler
from apps.common.db import error_message
from apps.common.encryption import UndecryptableError, decrypt, encrypted_fields
from apps.monitoring.doctor.checks import Check, CheckStoppedError, warning, well, wrong
from apps.monitoring.models import StatusCheck
from apps.monitoring.presence import BEAT, present
from apps.monitoring.probes import probe_migrations, probe_secret

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
"""Connections that the web processes of one machine may open."""
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
    """What PostgreSQL said of itself."""

    version_number: int
    version: str
    fsync: str
    synchronous_commit: str
    full_page_writes: str
    is_read_only: bool
    most_connections: int
    used_connections: int
    now_s: float


def examine_database() -> Iterator[Check]:
    """Everything about the database; nothing more once it does not answer."""
    asked_at_s = time.time()
    try:
        with db.limit(seconds=LONGEST_DATABASE_S):
            server = ask()
    except DatabaseError as error:
        advice = "`make run` starts the embedded one; else start yours, or correct DATABASE_URL."
        yield wrong(
            "database", error_message(error), advice + (f" {pooler.WHAT_TO_DO}" if pooler.is_refusal(error) else "")
        )
        raise CheckStoppedError("The database does not answer.") from error
    answered_at_s = time.time()
    yield judge_postgres_version(server, took_s=answered_at_s - asked_at_s)
    yield judge_clock("database clock", (asked_at_s + answered_at_s) / 2 - server.now_s, whose="the database's")
    yield judge_durability(server)
    yield judge_connections(server)
    yield judge_sessions(pooler.find_fault())
    migrations = probe_migrations()
    if not migrations.is_good:
        yield wrong("migrations", migrations.explanation or "They could not be asked for.", "")
        raise CheckStoppedError("The tables are not those of this version.")
    yield well("migrations", "All applied.")
    yield try_to_write(server)
    yield look_at_stored_secrets()
    yield look_at_webhook_secret()


def ask() -> Server:
    """On a connection of this thread's own: whoever looks for what is wrong does not wait as long as a migration."""
    options = {**connection.settings_dict["OPTIONS"], "connect_timeout": int(LONGEST_DATABASE_S)}
    connection.settings_dict = {**connection.settings_dict, "OPTIONS": options}
    with connection.cursor() as cursor:
        cursor.execute(_ASK)
        return Server(*cursor.fetchone())


def judge_postgres_version(server: Server, *, took_s: float) -> Check:
    major = server.version_number // 10_000
    found = f"PostgreSQL {server.version.partition(' ')[0]} answers in {took_s * 1000:.0f} ms."
    if major < OLDEST_POSTGRES:
        return wrong("database", found, f"Upgrade it: {OLDEST_POSTGRES} to {NEWEST} are supported.")
    if major > NEWEST:
        advice = f"This version was not tested: {OLDEST_POSTGRES} to {NEWEST} are supported."
        return warning("database", found, advice)
    return well("database", found)


def judge_clock(name: str, ahead_s: float, *, whose: str) -> Check:
    """Our clock against another's; a positive difference means that ours is ahead."""
    if abs(ahead_s) < LATE_S:
        return well(name, f"Ours and {whose} agree.")
    found = f"Ours is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} {whose}."
    advice = "Have the machine's time set by NTP (chrony, systemd-timesyncd)."
    if abs(ahead_s) < FAR_OFF_S:
        return warning(name, found, advice)
    return wrong(name, found, f"{advice} GitHub takes no key from a clock that is a minute off.")


def judge_durability(server: Server) -> Check:
    off = [name for name in ("fsync", "full_page_writes") if getattr(server, name) != "on"]
    if server.synchronous_commit == "off":
        off.append("synchronous_commit")
    if off:
        return wrong(
            "durability",
            f"Off: {', '.join(off)}. A crash may lose deliveries that were acknowledged.",
            "Turn them on in postgresql.conf, and take them out of DATABASE_URL's options.",
        )
    return well("durability", f"What is committed is on disk (synchronous_commit {server.synchronous_commit}).")


def judge_connections(server: Server) -> Check:
    free = server.most_connections - server.used_connections
    found = f"{server.used_connections} of {server.most_connections} in use."
    if free < server.most_connections * FEW_SHARE:
        return wrong("connections", found, "Raise max_connections, or run fewer processes.")
    if server.most_connections < WEB_THREADS:
        return warning(
            "connections", found, f"One machine's web alone may open {WEB_THREADS}: set max_connections to 200."
        )
    return well("connections", found)


def judge_sessions(fault: str) -> Check:
    """Whether what lies between us and PostgreSQL, if anything does, leaves a session as it is."""
    if fault:
        return wrong("sessions", fault, pooler.WHAT_TO_DO)
    return well("sessions", "Their bounds are in force, and each keeps its prepared statements.")


def try_to_write(server: Server) -> Check:
    """A row is written, and taken back."""
    if server.is_read_only:
        return wrong("writing", "The server is read-only: a replica, or set so.", "Point DATABASE_URL at the primary.")
    try:
        with db.limit(seconds=LONGEST_DATABASE_S), transaction.atomic():
            StatusCheck.objects.create()
            transaction.set_rollback(True)
    except DatabaseError as error:
        return wrong("writing", error_message(error), "Make room on its disk, and give our user the right to write.")
    return well("writing", "A row was written, and taken back.")


def look_at_stored_secrets() -> Check:
    kept = lost = 0
    for model, field in encrypted_fields():
        for value in model._default_manager.values_list(field, flat=True)[:MOST_DECRYPTED]:
            kept += 1
            try:
                decrypt(value)
            except UndecryptableError:
                lost += 1
    if lost:
        return wrong(
            "stored secrets",
            f"{lost} of {kept} cannot be read under any of FERNET_KEYS.",
            "Put the key they were stored under back into FERNET_KEYS, or store them again.",
        )
    return well("stored secrets", f"{kept} encrypted, each can be read." if kept else "None is stored.")


def look_at_webhook_secret() -> Check:
    weak = [message for message in run_checks(tags=[Tags.security]) if message.id == "webhooks.E001"]
    if weak:
        return wrong("webhook secret", " ".join(str(one.msg) for one in weak), str(weak[0].hint))
    finding = probe_secret()
    if not finding.is_good:
        return wrong("webhook secret", "There is none: the door answers 503.", finding.explanation)
    of_environment = len(settings.GITHUB_WEBHOOK_SECRETS)
    return well("webhook secret", f"{finding.explanation}, {of_environment} of the environment.")


QUEUES = ("live", "figures", "backfill", "maintenance")
DOES = {
    "live": "deliveries are processed by none",
    "figures": "figures stay as they are",
    "backfill": "history is not read",
    "maintenance": "nothing is listed, pruned or checked, and no mail goes out",
}
REDIS_NAMES = ("redis", "redis eviction", "redis memory", "redis keys")
PRESENCE_NAMES = (*(f"queue {name}" for name in QUEUES), "beat")
OLDEST_REDIS = (6, 2)
LONGEST_REDIS_S = 1.0
MUCH_SHARE = 0.8
MANY_WAITING = 1_000
LOOKED_AT = 1_000
OURS = re.compile(rf"tformance:.*|_kombu\..*|unacked.*|(?:{'|'.join(QUEUES)})(?:\x06.*)?", re.DOTALL)
MB = 1024**2


def redis() -> Redis:
    """A client that waits a second at most."""
    return Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=LONGEST_REDIS_S,
        socket_connect_timeout=LONGEST_REDIS_S,
        retry=Retry(NoBackoff(), retries=0),
        decode_responses=True,
    )


def examine_redis() -> Iterator[Check]:
    """Everything about Redis itself; nothing more once it does not answer."""
    with redis() as client:
        try:
            told = client.info()
        except RedisError as error:
            yield wrong(
                "redis",
                f"{settings_host()} does not answer: {error_message(error)}",
                "`make run` starts the embedded one; else start yours, or correct REDIS_URL. Deliveries wait.",
            )
            raise CheckStoppedError("Redis does not answer.") from error
        yield judge_redis_version(told)
        yield judge_eviction(told)
        yield judge_memory(told)
        yield judge_keys(client.scan(count=LOOKED_AT)[1], size=client.dbsize())


def settings_host() -> str:
    """Where Redis should be: what stands before and behind that may be a password."""
    parts = urlsplit(settings.REDIS_URL)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def judge_redis_version(told: Mapping[str, Any]) -> Check:
    version = str(told.get("redis_version", "?"))
    if told.get("loading"):
        return wrong("redis", f"Redis {version} is still reading its data.", "Wait a moment.")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST_REDIS:
        oldest = ".".join(map(str, OLDEST_REDIS))
        return wrong("redis", f"Redis {version} answers.", f"Upgrade it to {oldest} or newer.")
    return well("redis", f"Redis {version} answers.")


def judge_eviction(told: Mapping[str, Any]) -> Check:
    policy = str(told.get("maxmemory_policy", "unknown"))
    if policy != "noeviction":
        return wrong(
            "redis eviction",
            f"maxmemory-policy is {policy}: messages are thrown away when memory is short.",
            "Set maxmemory-policy to noeviction, and give us a Redis of our own.",
        )
    return well("redis eviction", "noeviction.")


def judge_memory(told: Mapping[str, Any]) -> Check:
    used, most = int(told.get("used_memory", 0)), int(told.get("maxmemory", 0))
    found = f"{used / MB:.0f} MB in use{f' of {most / MB:.0f}' if most else ', without a limit'}."
    if most and used > most * MUCH_SHARE:
        return wrong("redis memory", found, "Raise maxmemory; then see which queue grows, and why nobody empties it.")
    return well("redis memory", found)


def judge_keys(keys: Sequence[str], *, size: int) -> Check:
    """Whether somebody else's keys are among ours: what they do with Redis happens to us."""
    foreign = sorted(key for key in keys if not OURS.fullmatch(key))
    if foreign:
        return warning(
            "redis keys",
            f"{len(foreign)} of {len(keys)} keys looked at are not ours.",
            "Give us a database of our own: another number at the end of REDIS_URL, better a server.",
        )
    return well("redis keys", f"{size:,}, all of those looked at are ours.")


def examine_presence() -> Iterator[Check]:
    """Whether somebody listens to each queue, and whether somebody beats."""
    with redis() as client:
        people = present(client)
        for queue in QUEUES:
            yield judge_queue(queue, people.get(queue, ()), waiting=int(client.llen(queue)))
        yield judge_beat(people.get(BEAT, ()))


def judge_queue(queue: str, people: Sequence[str], *, waiting: int) -> Check:
    name, words = f"queue {queue}", f"{waiting:,} {'message waits' if waiting == 1 else 'messages wait'}"
    if not people:
        return wrong(
            name,
            f"No worker listens, so {DOES[queue]}; {words}.",
            f"`make run`, or `python -m tformance.local only worker --queues {queue} --concurrency 2`.",
        )
    found = f"{', '.join(people[:3])}{' …' if len(people) > 3 else ''}; {words}."  # noqa: PLR2004
    if waiting > MANY_WAITING:
        return warning(name, found, "Workers do not keep up: start more for this queue, and see what their logs say.")
    return well(name, found)


def judge_beat(people: Sequence[str]) -> Check:
    if not people:
        return wrong(
            "beat",
            "Nobody beats: nothing begins by itself, and what waits in the database waits on.",
            "`make run`, or `python -m tformance.local only beat`. A second one does no harm.",
        )
    return well("beat", f"{', '.join(people)}.")
