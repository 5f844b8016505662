"""Installation tokens: minted once, kept encrypted where all workers find them, renewed before they end."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from redis import Redis
from redis.exceptions import LockError, RedisError

from apps.encryption import Undecryptable, can_encrypt, decrypt, encrypt
from apps.integrations.github.budget import key

RENEW_AT_S = 600.0
"""With so little time left a token is replaced; until then nobody asks GitHub."""
MINTING_S = 30.0
LONGEST_WAIT_S = 5.0
FRESH_S = 5.0
"""A new token may be unknown to some of GitHub's servers for a moment (octokit/auth-app.js#65)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationToken:
    """What opens one installation for an hour; times are seconds since 1970."""

    installation_id: int
    value: str = field(repr=False)
    minted_at: float
    expires_at: float


@dataclass(slots=True)
class TokenCache:
    """The tokens that all workers share through Redis; without a Fernet key each process keeps its own."""

    redis: Redis
    clock: Callable[[], float] = time.time
    _own: dict[int, InstallationToken] = field(default_factory=dict)

    def find(self, installation_id: int) -> InstallationToken | None:
        """The token in use, if one is; it may be about to end."""
        token = self._find_shared(installation_id) or self._own.get(installation_id)
        return token if token is not None and self.clock() < token.expires_at else None

    def is_lasting(self, token: InstallationToken) -> bool:
        """Whether it need not be renewed yet."""
        return token.expires_at - self.clock() > RENEW_AT_S

    def is_fresh(self, token: InstallationToken) -> bool:
        """Whether it is so young that a refusal may mean only that."""
        return self.clock() - token.minted_at < FRESH_S

    def keep(self, token: InstallationToken) -> None:
        """Let every worker find it until it expires."""
        self._own[token.installation_id] = token
        if not can_encrypt():
            return
        plain = json.dumps([token.value, token.minted_at, token.expires_at])
        lifetime_s = max(1, int(token.expires_at - self.clock()))
        try:
            self.redis.set(_name(token.installation_id), encrypt(plain).decode(), ex=lifetime_s)
        except RedisError:
            return  # this process has it, the others mint their own
        del self._own[token.installation_id]

    def drop(self, token: InstallationToken) -> None:
        """Forget a token that GitHub refused; another worker's newer one stays."""
        if self._own.get(token.installation_id) == token:
            del self._own[token.installation_id]
        if self._find_shared(token.installation_id) == token:
            self._delete(token.installation_id)

    @contextmanager
    def minting(self, installation_id: int) -> Iterator[None]:
        """Inside, nobody else mints a token for this installation, as far as Redis can tell and for a few seconds."""
        lock = self.redis.lock(
            f"{_name(installation_id)}:minting", timeout=MINTING_S, blocking_timeout=LONGEST_WAIT_S, sleep=0.05
        )
        try:
            is_held = lock.acquire()
        except RedisError:
            is_held = False  # a token too many does no harm
        try:
            yield
        finally:
            if is_held:
                _release(lock)

    def _find_shared(self, installation_id: int) -> InstallationToken | None:
        if not can_encrypt():
            return None
        try:
            kept = self.redis.get(_name(installation_id))
            value, minted_at, expires_at = json.loads(decrypt(str(kept).encode())) if kept else (None, 0, 0)
        except (RedisError, Undecryptable):
            return None
        if value is None:
            return None
        return InstallationToken(
            installation_id=installation_id, value=value, minted_at=minted_at, expires_at=expires_at
        )

    def _delete(self, installation_id: int) -> None:
        try:
            self.redis.delete(_name(installation_id))
        except RedisError:
            return  # it cannot be found either


def _name(installation_id: int) -> str:
    return key(installation_id, "token")


def _release(lock: object) -> None:
    try:
        lock.release()  # type: ignore[attr-defined]
    except (LockError, RedisError):
        return  # it ran out by itself
