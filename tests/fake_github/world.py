"""Everything there is on the fake GitHub: installations, and the repositories each of them reaches."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from apps.demo.organisation import Sent
from apps.demo.shapes import Json
from apps.demo.shapes.accounts import EVENTS, PERMISSIONS, Account, installation
from tests.fake_github.generated import Generated, Size, acme, generate
from tests.fake_github.truth import Folding, RepositoryTruth

INSTALLED_AT = datetime(2025, 1, 6, tzinfo=UTC)


@dataclass(slots=True)
class InstallationTruth:
    """The App on an account."""

    id: int
    account: Account
    suspended_at: datetime | None = None
    updated_at: datetime = INSTALLED_AT
    permissions: tuple[str, ...] = PERMISSIONS
    events: tuple[str, ...] = EVENTS

    def json(self) -> Json:
        return installation(
            self.id,
            account=self.account,
            created_at=INSTALLED_AT,
            updated_at=self.updated_at,
            suspended_at=self.suspended_at,
            permissions=self.permissions,
            events=self.events,
        )


@dataclass(slots=True)
class World:
    """What is true now; tests change it as people on GitHub would."""

    installations: dict[int, InstallationTruth] = field(default_factory=dict)
    repositories: dict[int, RepositoryTruth] = field(default_factory=dict)
    reached: dict[int, int] = field(default_factory=dict)
    """The installation that reaches a repository, by the repository's id."""
    names: dict[str, int] = field(default_factory=dict)
    """Every name that a repository has or had."""
    told: list[Sent] = field(default_factory=list)
    memberships: dict[tuple[str, str], Json] = field(default_factory=dict)
    """What GitHub says of a person in an organisation, by both logins."""

    def install(self, installation_id: int, account: Account | None = None) -> InstallationTruth:
        """The App comes to an account."""
        made = InstallationTruth(installation_id, account or acme())
        self.installations[installation_id] = made
        return made

    def add(
        self, name: str, *, installation_id: int, repository_id: int, size: Size | None = None, seed: int = 1
    ) -> RepositoryTruth:
        """A repository made up from a seed."""
        owner = self.installations[installation_id].account
        truth, told = generate(
            seed=seed,
            size=size or Size(),
            owner=owner,
            installation_id=installation_id,
            repository_id=repository_id,
            name=name,
        )
        self.told += told
        return self._keep(truth, installation_id=installation_id)

    def fold(self, deliveries: Iterable[Sent], *, installation_id: int) -> RepositoryTruth:
        """A repository as a story of deliveries about it leaves it."""
        told = list(deliveries)
        self.told += told
        return self._keep(Folding().fold(told), installation_id=installation_id)

    def deliveries(self) -> Iterator[Sent]:
        """Every webhook that this history made, repository by repository."""
        yield from self.told
        for truth in self.repositories.values():
            if isinstance(truth.pull_requests, Generated):
                yield from truth.pull_requests.deliveries()

    def rename(self, truth: RepositoryTruth, full_name: str) -> None:
        """The old name leads to the new one from now on."""
        truth.json = {**truth.json, "name": full_name.partition("/")[2], "full_name": full_name}
        self.names[full_name.lower()] = truth.json["id"]

    def transfer(self, truth: RepositoryTruth, full_name: str, *, installation_id: int | None) -> None:
        """To another owner, where another installation reaches it, or none."""
        self.rename(truth, full_name)
        if installation_id is None:
            del self.reached[truth.json["id"]]
        else:
            self.reached[truth.json["id"]] = installation_id

    def delete(self, truth: RepositoryTruth) -> None:
        del self.repositories[truth.json["id"]]

    def suspend(self, installation_id: int) -> None:
        self.installations[installation_id].suspended_at = INSTALLED_AT

    def find(self, full_name: str, *, installation_id: int) -> RepositoryTruth | None:
        """The repository of this name, present or past, if the installation reaches it."""
        return self.find_by_id(self.names.get(full_name.lower(), 0), installation_id=installation_id)

    def find_by_id(self, repository_id: int, *, installation_id: int) -> RepositoryTruth | None:
        if self.reached.get(repository_id) != installation_id:
            return None
        return self.repositories.get(repository_id)

    def reached_by(self, installation_id: int) -> list[RepositoryTruth]:
        return [truth for identity, truth in self.repositories.items() if self.reached.get(identity) == installation_id]

    def _keep(self, truth: RepositoryTruth, *, installation_id: int) -> RepositoryTruth:
        identity = truth.json["id"]
        self.repositories[identity] = truth
        self.reached[identity] = installation_id
        self.names[truth.full_name.lower()] = identity
        return truth
