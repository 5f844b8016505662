"""Reading GitHub as an installation: its token is found, minted or replaced on the way. Start here: `github()`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

from django.conf import settings

from apps.integrations.github.answers import Answer, Standing
from apps.integrations.github.budget import Purpose, RateBudget
from apps.integrations.github.client import GitHubClient, Request
from apps.integrations.github.reading import parse_time
from apps.integrations.github.repository_routes import RepositoryRoutes
from apps.integrations.github.shared_memory import shared_memory
from apps.integrations.github.token_refusals import TokenRefusal, TokenRefusals
from apps.integrations.github.tokens import FRESH_S, InstallationToken, TokenCache
from apps.integrations.github.verdicts import Kind, Verdict

LIMITED = {Kind.PRIMARY, Kind.SECONDARY, Kind.PARKED}
"""These answers say nothing of a token: the budget has a wait for them."""
ACCEPTED = set(Kind) - LIMITED - {Kind.AUTH, Kind.TRANSIENT, Kind.SHRINK}


@dataclass(slots=True, kw_only=True)
class GitHubAccess:
    """GitHub's API as an installation, or as the App. Every call ends in an Answer; only missing credentials raise."""

    client: GitHubClient
    tokens: TokenCache
    refusals: TokenRefusals = field(init=False)
    routes: RepositoryRoutes = field(default_factory=RepositoryRoutes)

    def __post_init__(self) -> None:
        self.refusals = TokenRefusals(redis=self.tokens.redis, clock=self.tokens.clock)

    def get(
        self, path: str, *, installation_id: int, purpose: Purpose, parameters: Mapping[str, Any] | None = None
    ) -> Answer:
        """Read a path below the API's address; a page of a listing tells its `next_path`."""
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
        """Ask for something in the App's own name, such as a redelivery."""
        return self.client.exchange_as_app(Request(method="POST", path=path, body=body), purpose=purpose)

    def standing(self, installation_id: int, *, purpose: Purpose) -> Standing:
        """What GitHub says of an installation; nothing else may mark one as removed."""
        answer = self.get_as_app(f"/app/installations/{installation_id}", purpose=purpose)
        if answer.kind is Kind.OK and isinstance(answer.data, Mapping):
            return Standing.SUSPENDED if answer.data.get("suspended_at") else Standing.ACTIVE
        return {Kind.GONE: Standing.REMOVED, Kind.AUTH: Standing.REFUSED}.get(answer.kind, Standing.UNKNOWN)

    def forget_standing(self, installation_id: int) -> None:
        """Let the installation's jobs ask at once if they wait because it was suspended or removed: it is no more."""
        refusal = self.refusals.find(installation_id)
        if refusal is not None and refusal.standing in {Standing.SUSPENDED.name, Standing.REMOVED.name}:
            self.refusals.forget(installation_id)

    def _ask(self, request: Request, *, installation_id: int, purpose: Purpose) -> Answer:
        """Ask, unless a token was refused and another job is to try again first."""
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
        """Ask for all jobs of the installation; the refusal is forgotten when GitHub accepts a token that lasts."""
        try:
            answer = self._ask_now(request, installation_id=installation_id, purpose=purpose)
            is_unchanged = self.refusals.find(installation_id) == refusal
            if is_unchanged and answer.kind in ACCEPTED:
                self.refusals.forget(installation_id)
            return answer
        finally:
            self.refusals.end_attempt(installation_id)

    def _ask_now(self, request: Request, *, installation_id: int, purpose: Purpose) -> Answer:
        """Once more with a new token if the first is refused; then GitHub is asked how the installation stands."""
        token, answer = self._attempt(request, installation_id=installation_id, purpose=purpose)
        if token is None or answer.kind is not Kind.AUTH:
            return answer
        if self.tokens.is_fresh(token):
            return self._refused(self._later(answer), installation_id=installation_id, is_of_token=True)
        self.tokens.drop(token)
        token, answer = self._attempt(request, installation_id=installation_id, purpose=purpose)
        if token is None or answer.kind is not Kind.AUTH:
            return answer
        told = self._with_standing(answer, installation_id=installation_id, purpose=purpose)
        return self._refused(told, installation_id=installation_id, is_of_token=True)

    def _attempt(
        self, request: Request, *, installation_id: int, purpose: Purpose
    ) -> tuple[InstallationToken | None, Answer]:
        """The token asked with, and the answer; without a token, why there is none."""
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
                return renewed  # somebody else minted it while we waited
            refusal = self.refusals.find(installation_id)
            if refusal is not None and self.client.clock() < refusal.until:
                return found or refusal.answer(now=self.client.clock())  # somebody else was refused while we waited
            minted = self._mint(installation_id, purpose=purpose)
            if isinstance(minted, Answer) and minted.kind not in LIMITED:
                minted = self._refused(minted, installation_id=installation_id, is_of_token=False)
        is_put_off = isinstance(minted, Answer) and minted.standing is None
        return found if found is not None and is_put_off else minted

    def _mint(self, installation_id: int, *, purpose: Purpose) -> InstallationToken | Answer:
        answer = self.post_as_app(f"/app/installations/{installation_id}/access_tokens", purpose=purpose)
        if answer.kind is Kind.AUTH:
            return replace(answer, standing=Standing.REFUSED)
        if answer.kind in {Kind.GONE, Kind.FORBIDDEN}:
            return self._with_standing(answer, installation_id=installation_id, purpose=purpose)
        token = self._read_token(answer, installation_id=installation_id)
        if token is None:
            return self._later(answer) if answer.kind is Kind.OK else answer
        self.tokens.keep(token)
        return token

    def _read_token(self, answer: Answer, *, installation_id: int) -> InstallationToken | None:
        """How long it lives is measured by GitHub's clock, so that no two clocks must agree."""
        given = answer.data if isinstance(answer.data, Mapping) else {}
        expires_at, value, now = parse_time(given.get("expires_at")), given.get("token"), self.client.clock()
        if expires_at is None or not isinstance(value, str):
            return None
        told_at = answer.observed_at or datetime.fromtimestamp(now, UTC)
        lives_s = (expires_at - told_at).total_seconds()
        return InstallationToken(installation_id=installation_id, value=value, minted_at=now, expires_at=now + lives_s)

    def _refused(self, answer: Answer, *, installation_id: int, is_of_token: bool) -> Answer:
        """Keep the refusal for every job of the installation; the answer then says when it is tried again."""
        refusal = self.refusals.keep(installation_id, answer, is_of_token=is_of_token)
        verdict = replace(answer.verdict, wait_s=refusal.until - self.client.clock())
        return replace(answer, verdict=verdict, not_before=refusal.until)

    def _with_standing(self, answer: Answer, *, installation_id: int, purpose: Purpose) -> Answer:
        standing = self.standing(installation_id, purpose=purpose)
        if standing in {Standing.ACTIVE, Standing.UNKNOWN}:
            return replace(self._later(answer), standing=standing)
        verdict = Verdict(kind=Kind.AUTH, message=answer.verdict.message)
        return replace(answer, verdict=verdict, standing=standing)

    def _later(self, answer: Answer) -> Answer:
        """GitHub's servers do not all know of a new token at once."""
        verdict = Verdict(kind=Kind.TRANSIENT, wait_s=FRESH_S, message=answer.verdict.message)
        return replace(answer, verdict=verdict, not_before=self.client.clock() + FRESH_S, data=None)


@cache
def github() -> GitHubAccess:
    """GitHub as the settings say, for this process."""
    budget = RateBudget(redis=shared_memory())
    client = GitHubClient(api_url=settings.GITHUB_API_URL, budget=budget)
    return GitHubAccess(client=client, tokens=TokenCache(redis=shared_memory()))
