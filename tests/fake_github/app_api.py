"""What the App asks in its own name: itself, its installations, their tokens, and its log of deliveries."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from apps.demo.shapes import Json, moment
from apps.demo.shapes.accounts import APP_SLUG, EVENTS, PERMISSIONS, Account, user
from tests.fake_github.faults import Answered, Asked, Refusal
from tests.fake_github.identities import Identities
from tests.fake_github.world import INSTALLED_AT, World

INSTALLATION = re.compile(r"/app/installations/(\d+)(/access_tokens)?")
OWNER = Account(500, "acme", "Organization")

Extension = Callable[[Asked], Answered | None]


@dataclass(slots=True)
class AppApi:
    """The routes of the App. `extensions` are asked first: the log of deliveries can be one."""

    world: World
    identities: Identities
    extensions: list[Extension] = field(default_factory=list)
    permissions: tuple[str, ...] = PERMISSIONS
    events: tuple[str, ...] = EVENTS
    hook: Json = field(default_factory=lambda: {"content_type": "json", "insecure_ssl": "0", "secret": "********"})
    """Its webhook; the secret is never shown, and missing where there is none."""
    webhook_secret: str = ""
    """The secret that GitHub signs with from now on, once somebody changed it."""

    def answer(self, asked: Asked) -> Answered:
        for extension in self.extensions:
            found = extension(asked)
            if found is not None:
                return found
        if asked.path == "/app":
            return Answered(200, self._app())
        if asked.path == "/app/hook/config":
            return self._hook(asked)
        if asked.path == "/app/installations":
            return Answered(200, [found.json() for found in self.world.installations.values()])
        return self._installation(asked)

    def _hook(self, asked: Asked) -> Answered:
        if asked.method == "PATCH":
            given = asked.document or {}
            if unknown := given.keys() - {"url", "content_type", "secret", "insecure_ssl"}:
                raise Refusal(422, f"Invalid request. {sorted(unknown)} are not permitted keys.")
            self.webhook_secret = given.get("secret", self.webhook_secret)
            masked = {"secret": "********"} if self.webhook_secret else {}
            self.hook = {**self.hook, **given, **masked}
        return Answered(200, self.hook)

    def _installation(self, asked: Asked) -> Answered:
        match: Any = INSTALLATION.fullmatch(asked.path)
        if match is None:
            raise Refusal(404, "Not Found")
        if match[2] and asked.method == "POST":
            return self.identities.mint(int(match[1]))
        return Answered(200, self.identities.known(int(match[1])).json())

    def _app(self) -> Json:
        return {
            "id": self.identities.app_id,
            "slug": APP_SLUG,
            "node_id": "A_kwDO0000000001",
            "client_id": "Iv1.0123456789abcdef",
            "owner": user(OWNER),
            "name": "tformance",
            "description": "",
            "external_url": "https://tformance.example.com",
            "html_url": f"https://github.com/apps/{APP_SLUG}",
            "created_at": moment(INSTALLED_AT),
            "updated_at": moment(INSTALLED_AT),
            "permissions": dict.fromkeys(self.permissions, "read"),
            "events": list(self.events),
            "installations_count": len(self.world.installations),
        }
