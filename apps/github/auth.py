"""Access to GitHub as an installation, with its tokens, or as the App. Start here: `github()`."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

from django.conf import settings
from redis import Redis
from redis.exceptions import LockError, RedisError

from apps.activity.models import Repository
from apps.common.encryption import UndecryptableError, can_encrypt, decrypt, encrypt
from apps.github.client import GitHubClient, Request
from apps.github.payload import parse_time
from apps.github.rate_limit import Purpose, RateBudget, key, redis_client
from apps.github.responses import Answer, ResponseKind, Result, Standing
from apps.github.token_refusals import TokenRefusal, TokenRefusals

RENEW_AT_S = 600.0
"""A token with less time left is replaced."""
MINTING_S = 30.0
LONGEST_WAIT_S = 5.0
FRESH_S = 5.0
"""A new token may be unknown to some of GitHub's servers for a moment (octokit/auth-app.js#65)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationToken:
    """The token of an installation, valid for an hour; times are seconds since 1970."""

    installation_id: int
    value: str = field(repr=False)
    minted_at: float
    expires_at: float


@dataclass(slots=True)
class TokenCache:
    """The tokens that all workers share through Redis; without a Fernet key each process has its own."""

    redis: Redis
    clock: Callable[[], float] = time.time
    _own: dict[int, InstallationToken] = field(default_factory=dict)

    def find(self, installation_id: int) -> InstallationToken | None:
        """Return the token in use, if there is one; it may be about to expire."""
        token = self._find_shared(installation_id) or self._own.get(installation_id)
        return token if token is not None and self.clock() < token.expires_at else None

    def is_lasting(self, token: InstallationToken) -> bool:
        """Return whether the token need not be renewed yet."""
        return token.expires_at - self.clock() > RENEW_AT_S

    def is_fresh(self, token: InstallationToken) -> bool:
        """Return whether the token is so new that GitHub may not know it everywhere."""
        return self.clock() - token.minted_at < FRESH_S

    def keep(self, token: InstallationToken) -> None:
        """Share the token with all workers until it expires."""
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
        """Delete a token that GitHub refused, but not another worker's newer one."""
        if self._own.get(token.installation_id) == token:
            del self._own[token.installation_id]
        if self._find_shared(token.installation_id) == token:
            self._delete(token.installation_id)

    @contextmanager
    def minting(self, installation_id: int) -> Iterator[None]:
        """Hold the lock for requesting a token of this installation, for a few seconds and if Redis answers."""
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
        except (RedisError, UndecryptableError):
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


BY_ID = re.compile(r"/repositories/(\d+)(/.*|\?.*)?", re.DOTALL)
NAME_HOLDS_S = 60.0
"""A verified name is used for this long before it is verified again."""

Ask = Callable[[Request], Answer]


@dataclass(slots=True)
class RepositoryRoutes:
    """The route by id or by name, depending on what this GitHub server supports."""

    clock: Callable[[], float] = time.monotonic
    has_ids: bool | None = None
    _names: dict[int, tuple[str, float]] = field(default_factory=dict)

    def get(self, request: Request, *, ask: Ask) -> Answer:
        """Request a path; by the repository's name if GitHub does not support the path by id."""
        found = BY_ID.fullmatch(request.path)
        if found is None or self.has_ids:
            return ask(request)
        repository_id, below = int(found[1]), found[2] or ""
        if self.has_ids is None:
            answer = ask(request)
            self.has_ids = True if answer.kind is ResponseKind.OK else None
            if answer.kind is not ResponseKind.GONE or (below and self._shows(repository_id, ask=ask)):
                return answer
        name = self._name_of(repository_id, ask=ask)
        if isinstance(name, Answer):
            return name
        self.has_ids = False
        return ask(replace(request, path=f"/repos/{name}{below}"))

    def _shows(self, repository_id: int, *, ask: Ask) -> bool:
        """Return whether GitHub shows the repository by its id: then what is below it does not exist."""
        self.has_ids = (
            True if ask(Request(method="GET", path=f"/repositories/{repository_id}")).kind is ResponseKind.OK else None
        )
        return bool(self.has_ids)

    def _name_of(self, repository_id: int, *, ask: Ask) -> str | Answer:
        """Return the verified name of the repository, or the answer if GitHub does not show it."""
        known, holds_until = self._names.get(repository_id, ("", 0.0))
        if known and self.clock() < holds_until:
            return known
        name = Repository.objects.filter(pk=repository_id).values_list("full_name", flat=True).first()
        answer = ask(Request(method="GET", path=f"/repos/{name}" if name else f"/repositories/{repository_id}"))
        is_same = isinstance(answer.data, Mapping) and answer.data.get("id") == repository_id
        if name and answer.kind is ResponseKind.OK and is_same:
            self._names[repository_id] = name, self.clock() + NAME_HOLDS_S
            return name
        if answer.kind is not ResponseKind.OK:
            return answer
        gone = replace(answer.result, kind=ResponseKind.GONE, message=f"{name} is another repository by now")
        return replace(answer, result=gone, data=None, next_path=None)


LIMITED = {ResponseKind.PRIMARY, ResponseKind.SECONDARY, ResponseKind.DEFERRED}
"""These answers say nothing about a token: the budget handles their waits."""
ACCEPTED = set(ResponseKind) - LIMITED - {ResponseKind.AUTH, ResponseKind.TRANSIENT, ResponseKind.SHRINK}


@dataclass(slots=True, kw_only=True)
class GitHubAccess:
    """GitHub's API as an installation or as the App. Calls return an Answer; only missing credentials raise."""

    client: GitHubClient
    tokens: TokenCache
    refusals: TokenRefusals = field(init=False)
    routes: RepositoryRoutes = field(default_factory=RepositoryRoutes)

    def __post_init__(self) -> None:
        self.refusals = TokenRefusals(redis=self.tokens.redis, clock=self.tokens.clock)

    def get(
        self, path: str, *, installation_id: int, purpose: Purpose, parameters: Mapping[str, Any] | None = None
    ) -> Answer:
        """Read a path below the API's URL; a page of a listing has its `next_path`."""
        request = Request(method="GET", path=path, parameters=parameters or {})
        return self.routes.get(request, ask=partial(self._ask, installation_id=installation_id, purpose=purpose))

    def graphql(self, document: str, variables: Mapping[str, Any], *, installation_id: int, purpose: Purpose) -> Answer:
        """Run a GraphQL document."""
        request = Request(method="POST", body={"query": document, "variables": dict(variables)}, is_graphql=True)
        return self._ask(request, installation_id=installation_id, purpose=purpose)

    def get_as_app(self, path: str, *, purpose: Purpose, parameters: Mapping[str, Any] | None = None) -> Answer:
        """Read what concerns the App itself: its installations, its delivery log."""
        return self.client.exchange_as_app(
            Request(method="GET", path=path, parameters=parameters or {}), purpose=purpose
        )

    def post_as_app(self, path: str, *, purpose: Purpose, body: Mapping[str, Any] | None = None) -> Answer:
        """Request something as the App, such as a redelivery."""
        return self.client.exchange_as_app(Request(method="POST", path=path, body=body), purpose=purpose)

    def patch_as_app(self, path: str, *, purpose: Purpose, body: Mapping[str, Any]) -> Answer:
        """Change something as the App, such as the configuration of its webhook."""
        return self.client.exchange_as_app(Request(method="PATCH", path=path, body=body), purpose=purpose)

    def post_without_token(self, path: str, *, purpose: Purpose) -> Answer:
        """Request something that needs no credentials."""
        return self.client.exchange_without_token(Request(method="POST", path=path), purpose=purpose)

    def standing(self, installation_id: int, *, purpose: Purpose) -> Standing:
        """Return the state of an installation at GitHub; nothing else may mark one as removed."""
        answer = self.get_as_app(f"/app/installations/{installation_id}", purpose=purpose)
        if answer.kind is ResponseKind.OK and isinstance(answer.data, Mapping):
            return Standing.SUSPENDED if answer.data.get("suspended_at") else Standing.ACTIVE
        return {ResponseKind.GONE: Standing.REMOVED, ResponseKind.AUTH: Standing.REFUSED}.get(
            answer.kind, Standing.UNKNOWN
        )

    def forget_standing(self, installation_id: int) -> None:
        """Let the installation's jobs continue at once, because it is no longer suspended or removed."""
        refusal = self.refusals.find(installation_id)
        if refusal is not None and refusal.standing in {Standing.SUSPENDED.name, Standing.REMOVED.name}:
            self.refusals.forget(installation_id)

    def _ask(self, request: Request, *, installation_id: int, purpose: Purpose) -> Answer:
        """Send the request, unless a token was refused and another job retries first."""
        refusal = self.refusals.find(installation_id)
        if refusal is None:
            return self._ask_now(request, installation_id=installation_id, purpose=purpose)
        if self.refusals.may_try(installation_id, refusal):
            return self._try_again(request, refusal, installation_id=installation_id, purpose=purpose)
        token = None if refusal.is_of_token else self.tokens.find(installation_id)
        if token is None:
            return refusal.answer(now=self.client.clock())
        return self.client.exchange(request, bearer=token.value, payer=installation_id, purpose=purpose)

    def _try_again(self, request: Request, refusal: TokenRefusal, *, installation_id: int, purpose: Purpose) -> Answer:
        """Retry for all jobs of the installation; the refusal is deleted if GitHub accepts a lasting token."""
        try:
            answer = self._ask_now(request, installation_id=installation_id, purpose=purpose)
            is_unchanged = self.refusals.find(installation_id) == refusal
            if is_unchanged and answer.kind in ACCEPTED:
                self.refusals.forget(installation_id)
            return answer
        finally:
            self.refusals.end_attempt(installation_id)

    def _ask_now(self, request: Request, *, installation_id: int, purpose: Purpose) -> Answer:
        """Send the request, again with a new token if the first is refused, then read the installation's state."""
        token, answer = self._attempt(request, installation_id=installation_id, purpose=purpose)
        if token is None or answer.kind is not ResponseKind.AUTH:
            return answer
        if self.tokens.is_fresh(token):
            return self._refused(self._later(answer), installation_id=installation_id, is_of_token=True)
        self.tokens.drop(token)
        token, answer = self._attempt(request, installation_id=installation_id, purpose=purpose)
        if token is None or answer.kind is not ResponseKind.AUTH:
            return answer
        refused = self._with_standing(answer, installation_id=installation_id, purpose=purpose)
        return self._refused(refused, installation_id=installation_id, is_of_token=True)

    def _attempt(
        self, request: Request, *, installation_id: int, purpose: Purpose
    ) -> tuple[InstallationToken | None, Answer]:
        """Return the token used and the answer; without a token, why there is none."""
        token = self._token(installation_id, purpose=purpose)
        if isinstance(token, Answer):
            return None, token
        return token, self.client.exchange(request, bearer=token.value, payer=installation_id, purpose=purpose)

    def _token(self, installation_id: int, *, purpose: Purpose) -> InstallationToken | Answer:
        found = self.tokens.find(installation_id)
        if found is not None and self.tokens.is_lasting(found):
            return found
        with self.tokens.minting(installation_id):
            renewed = self.tokens.find(installation_id)
            if renewed is not None and self.tokens.is_lasting(renewed):
                return renewed  # another worker made it while we waited
            refusal = self.refusals.find(installation_id)
            if refusal is not None and self.client.clock() < refusal.until:
                return found or refusal.answer(now=self.client.clock())  # another worker was refused while we waited
            minted = self._mint(installation_id, purpose=purpose)
            if isinstance(minted, Answer) and minted.kind not in LIMITED:
                minted = self._refused(minted, installation_id=installation_id, is_of_token=False)
        is_put_off = isinstance(minted, Answer) and minted.standing is None
        return found if found is not None and is_put_off else minted

    def _mint(self, installation_id: int, *, purpose: Purpose) -> InstallationToken | Answer:
        answer = self.post_as_app(f"/app/installations/{installation_id}/access_tokens", purpose=purpose)
        if answer.kind is ResponseKind.AUTH:
            return replace(answer, standing=Standing.REFUSED)
        if answer.kind in {ResponseKind.GONE, ResponseKind.FORBIDDEN}:
            return self._with_standing(answer, installation_id=installation_id, purpose=purpose)
        token = self._read_token(answer, installation_id=installation_id)
        if token is None:
            return self._later(answer) if answer.kind is ResponseKind.OK else answer
        self.tokens.keep(token)
        return token

    def _read_token(self, answer: Answer, *, installation_id: int) -> InstallationToken | None:
        """Return the token; its lifetime is measured by GitHub's clock, so that no clocks must agree."""
        given = answer.data if isinstance(answer.data, Mapping) else {}
        expires_at, value, now = parse_time(given.get("expires_at")), given.get("token"), self.client.clock()
        if expires_at is None or not isinstance(value, str):
            return None
        answered_at = answer.observed_at or datetime.fromtimestamp(now, UTC)
        lives_s = (expires_at - answered_at).total_seconds()
        return InstallationToken(installation_id=installation_id, value=value, minted_at=now, expires_at=now + lives_s)

    def _refused(self, answer: Answer, *, installation_id: int, is_of_token: bool) -> Answer:
        """Store the refusal for every job of the installation; the answer has the time of the retry."""
        refusal = self.refusals.keep(installation_id, answer, is_of_token=is_of_token)
        result = replace(answer.result, wait_s=refusal.until - self.client.clock())
        return replace(answer, result=result, not_before=refusal.until)

    def _with_standing(self, answer: Answer, *, installation_id: int, purpose: Purpose) -> Answer:
        standing = self.standing(installation_id, purpose=purpose)
        if standing in {Standing.ACTIVE, Standing.UNKNOWN}:
            return replace(self._later(answer), standing=standing)
        result = Result(kind=ResponseKind.AUTH, message=answer.message)
        return replace(answer, result=result, standing=standing)

    def _later(self, answer: Answer) -> Answer:
        """Return a transient answer, because GitHub's servers do not all know a new token at once."""
        result = Result(kind=ResponseKind.TRANSIENT, wait_s=FRESH_S, message=answer.message)
        return replace(answer, result=result, not_before=self.client.clock() + FRESH_S, data=None)


@cache
def github() -> GitHubAccess:
    """Return this process's access to GitHub."""
    budget = RateBudget(redis=redis_client())
    client = GitHubClient(api_url=settings.GITHUB_API_URL, budget=budget)
    return GitHubAccess(client=client, tokens=TokenCache(redis=redis_client()))
