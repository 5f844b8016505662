"""Apps registered from manifests: GitHub's pages on the way, and the code, which is good once and for an hour."""

import html
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from apps.demo.shapes import Json, moment
from apps.demo.shapes.accounts import Account, user
from tests.fake_github.faults import Answered, Asked, Refusal
from tests.fake_github.identities import APP_ID, app_pem

CODE_LIVES_S = 3600
CONVERSION = re.compile(r"/app-manifests/([^/]+)/conversions")
NEW_APP = re.compile(r"(?:/organizations/([A-Za-z0-9-]+))?/settings/apps/new")
INSTALL = re.compile(r"/apps/([a-z0-9-]+)/installations/new")
LONGEST_NAME = 34
HOMES = ("localhost", "127.0.0.1")
FIELDS = {
    "name", "url", "description", "public", "hook_attributes", "redirect_url", "callback_urls", "setup_url",
    "setup_on_update", "request_oauth_on_install", "default_permissions", "default_events",
}  # fmt: skip
"""GitHub's page refuses any other."""


def refuse(*problems: str) -> Answered:
    return Answered(422, f"<h1>Invalid GitHub App configuration</h1><p>{html.escape('; '.join(problems))}</p>")


def page(title: str, action: str, button: str, **hidden: str) -> Answered:
    """A page of GitHub with one button."""
    fields = "".join(
        f'<input type="hidden" name="{name}" value="{html.escape(value)}">' for name, value in hidden.items()
    )
    form = f'<form method="post" action="{html.escape(action)}">{fields}<button>{button}</button></form>'
    icon = '<link rel="icon" href="data:,">'
    return Answered(200, f"<!doctype html><html><head>{icon}<title>{title}</title></head><body>{form}</body></html>")


@dataclass(slots=True)
class Made:
    """An App that was made from a manifest."""

    manifest: Json
    owner: Account
    made_at: float
    webhook_secret: str = field(default_factory=lambda: secrets.token_hex(20))
    client_secret: str = field(default_factory=lambda: secrets.token_hex(20))

    @property
    def slug(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", str(self.manifest["name"]).lower()).strip("-")


@dataclass(slots=True)
class Manifests:
    """GitHub's side of the manifest flow. `on_install` is what happens when somebody presses Install."""

    clock: Callable[[], float]
    address: Callable[[], str]
    apps: list[Made] = field(default_factory=list)
    codes: dict[str, Made] = field(default_factory=dict)
    on_install: Callable[[Made], int] = lambda made: 0
    reachable: Callable[[str], bool] = lambda url: not any(f"//{home}" in url for home in HOMES)
    """Whether GitHub can post there; it takes no webhook's address that only the laptop itself knows."""

    def create(self, manifest: Json, *, organization: str = "") -> str:
        """Make the App that the manifest describes; return the code that brings its secrets."""
        owner = Account(500, organization, "Organization") if organization else Account(4711, "ana")
        made = Made(manifest, owner, self.clock())
        self.apps.append(made)
        code = secrets.token_hex(20)
        self.codes[code] = made
        return code

    def convert(self, asked: Asked) -> Answered:
        """The answer to the exchange of a code."""
        found: Any = CONVERSION.fullmatch(asked.path)
        if found is None or asked.method != "POST":
            raise Refusal(404, "Not Found")
        made = self.codes.pop(found[1], None)
        if made is None or self.clock() - made.made_at > CODE_LIVES_S:
            raise Refusal(404, "Not Found")
        return Answered(201, converted(made))

    def answer(self, asked: Asked) -> Answered | None:
        """A page of GitHub's website; None for any other address."""
        if found := NEW_APP.fullmatch(asked.path):
            return self._new(asked, organization=found[1] or "")
        if asked.path == "/settings/apps" and asked.method == "POST":
            return self._made(asked)
        if INSTALL.fullmatch(asked.path):
            return self._install(asked)
        return None

    def _new(self, asked: Asked, *, organization: str) -> Answered:
        manifest = json.loads(asked.document["manifest"])
        if problems := self.problems(manifest):
            return refuse(*problems)
        given = {"manifest": json.dumps(manifest), "state": asked.query.get("state", ""), "organization": organization}
        return page(
            "Register new GitHub App", "/settings/apps", f"Create GitHub App for {organization or 'ana'}", **given
        )

    def _made(self, asked: Asked) -> Answered:
        manifest = json.loads(asked.document["manifest"])
        code = self.create(manifest, organization=asked.document.get("organization", ""))
        query = urlencode({"code": code, "state": asked.document["state"]})
        return Answered(302, "", {"location": f"{manifest['redirect_url']}?{query}"})

    def _install(self, asked: Asked) -> Answered:
        if asked.method == "GET":
            return page("Install", asked.path, "Install")
        made = self.apps[-1]
        query = urlencode({"installation_id": self.on_install(made), "setup_action": "install"})
        return Answered(302, "", {"location": f"{made.manifest['setup_url']}?{query}"})

    def problems(self, manifest: Json) -> list[str]:
        """What GitHub's page says of a manifest that it does not take."""
        hook = manifest.get("hook_attributes") or {}
        found = [f"{name} is not a known field" for name in sorted(manifest.keys() - FIELDS)]
        if not manifest.get("url"):
            found.append("url is missing")
        if len(str(manifest.get("name", ""))) > LONGEST_NAME:
            found.append(f"Name is too long (maximum is {LONGEST_NAME} characters)")
        if hook and not hook.get("url"):
            found.append("Hook url cannot be blank")
        elif hook and not self.reachable(hook["url"]):
            found.append("Hook url is not supported because it isn't reachable over the public Internet")
        return found


def converted(made: Made) -> Json:
    """The App as the exchange shows it, with its secrets."""
    at = moment(datetime.fromtimestamp(made.made_at, UTC))
    return {
        "id": APP_ID,
        "slug": made.slug,
        "node_id": "A_kwDO0000000001",
        "client_id": "Iv23liFromAManifest0",
        "owner": user(made.owner),
        "name": made.manifest["name"],
        "description": made.manifest.get("description"),
        "external_url": made.manifest["url"],
        "html_url": f"https://github.com/apps/{made.slug}",
        "created_at": at,
        "updated_at": at,
        "permissions": made.manifest.get("default_permissions", {}),
        "events": made.manifest.get("default_events", []),
        "client_secret": made.client_secret,
        "webhook_secret": made.webhook_secret if made.manifest.get("hook_attributes") else None,
        "pem": app_pem(),
    }
