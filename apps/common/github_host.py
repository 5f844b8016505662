"""The GitHub server of this instance, derived from the URL of its API."""

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Kind(Enum):
    """The kinds of GitHub servers, each with another API URL."""

    PUBLIC = "github.com"
    TENANT = "a tenant of GHE.com"
    SERVER = "GitHub Enterprise Server"


@dataclass(frozen=True, slots=True)
class GitHubHost:
    """A GitHub server, given by the URL of its API."""

    api_url: str

    @property
    def host(self) -> str:
        """Return the host of the API, in lower case and without a port."""
        return urlsplit(self.api_url).hostname or ""

    @property
    def kind(self) -> Kind:
        if self.host.endswith(".ghe.com"):
            return Kind.TENANT
        return Kind.SERVER if self._path == "/api/v3" else Kind.PUBLIC

    @property
    def tenant(self) -> str:
        """Return the tenant of GHE.com, or ""."""
        found = re.fullmatch(r"(?:api\.)?([a-z0-9-]+)\.ghe\.com", self.host)
        return found[1] if found else ""

    @property
    def server(self) -> str:
        """Return the host of the Enterprise Server, or ""."""
        return self.host if self.kind is Kind.SERVER else ""

    @property
    def is_possible(self) -> bool:
        """Return whether this kind of server can have its API at this URL; on loopback any can."""
        if self.host in LOOPBACK:
            return True
        if self.kind is Kind.TENANT:
            return self.host.startswith("api.") and not self._path
        return self.kind is Kind.SERVER or self.host.startswith("api.")

    @property
    def likely_api_url(self) -> str:
        """Return the probably intended URL for an impossible one."""
        if self.kind is Kind.TENANT:
            return f"https://api.{self.host.removeprefix('api.')}"
        return f"https://{self.host}/api/v3"

    @property
    def graphql_url(self) -> str:
        return f"{self.api_url.removesuffix('/v3')}/graphql"

    @property
    def web_url(self) -> str:
        """Return the URL of the website."""
        return self.api_url.replace("://api.", "://").removesuffix("/api/v3")

    @property
    def _path(self) -> str:
        return urlsplit(self.api_url).path.rstrip("/")
