"""The Redis that all processes share: what is there may be lost at any time, and no wait for it is long."""

from functools import cache

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

PREFIX = "tformance:github"


@cache
def shared_memory() -> Redis:
    """A client for this process; its pool survives a fork."""
    return Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=1.0,
        socket_connect_timeout=0.5,
        retry=Retry(NoBackoff(), retries=1),  # a connection that Redis closed while nobody used it
        decode_responses=True,
    )
