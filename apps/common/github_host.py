"""The GitHub that this instance serves, worked out from the address of its API."""

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Kind(Enum):
    """The kinds of GitHub, each with its API at another place."""

    PUBLIC = "github.com"
    TENANT = "a tenant of GHE.com"
    SERVER = "GitHub Enterprise Server"


@dataclass(frozen=True, slots=True)
class GitHubHost:
    """A GitHub, known by the address of its API."""

    api_url: str

    @property
    def host(self) -> str:
        """The host of the API, in lower case and without a port."""
        return urlsplit(self.api_url).hostname or ""

    @property
    def kind(self) -> Kind:
        if self.host.endswith(".ghe.com"):
            return Kind.TENANT
        return Kind.SERVER if self._path == "/api/v3" else Kind.PUBLIC

    @property
    def tenant(self) -> str:
        """The name of the tenant of GHE.com, else ""."""
        found = re.fullmatch(r"(?:api\.)?([a-z0-9-]+)\.ghe\.com", self.host)
        return found[1] if found else ""

    @property
    def server(self) -> str:
        """The host of the Enterprise Server, else ""."""
        return self.host if self.kind is Kind.SERVER else ""

    @property
    def is_possible(self) -> bool:
        """Whether that kind of GitHub has its API at such an address; on loopback anything goes."""
        if self.host in LOOPBACK:
            return True
        if self.kind is Kind.TENANT:
            return self.host.startswith("api.") and not self._path
        return self.kind is Kind.SERVER or self.host.startswith("api.")

    @property
    def likely_api_url(self) -> str:
        """The address that was probably meant by one that is not possible."""
        if self.kind is Kind.TENANT:
            return f"https://api.{self.host.removeprefix('api.')}"
        return f"https://{self.host}/api/v3"

    @property
    def graphql_url(self) -> str:
        return f"{self.api_url.removesuffix('/v3')}/graphql"

    @property
    def web_url(self) -> str:
        """The address at which people sign in."""
        return self.api_url.replace("://api.", "://").removesuffix("/api/v3")

    @property
    def _path(self) -> str:
        return urlsplit(self.api_url).path.rstrip("/")
