"""Everything there is on the fake GitHub, until people delete it or move it elsewhere."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from apps.demo.scenario import Sent
from apps.demo.shapes import Json, node_id
from apps.demo.shapes.accounts import EVENTS, PERMISSIONS, Account, installation, team
from tests.fake_github.generated import Generated, Size, acme, generate
from tests.fake_github.truth import Folding, PullRequestTruth, RepositoryTruth

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
class TeamTruth:
    """A team of an organisation: its own members, and the team that it is a child of."""

    id: int
    organization: Account
    slug: str
    name: str
    members: list[Account] = field(default_factory=list)
    parent: "TeamTruth | None" = None

    @property
    def json(self) -> Json:
        shown = team(self.id, slug=self.slug, organization_login=self.organization.login)
        return {**shown, "name": self.name, "parent": self.parent.json if self.parent else None}


@dataclass(slots=True)
class World:
    """What is true now; tests change it as people on GitHub would."""

    installations: dict[int, InstallationTruth] = field(default_factory=dict)
    repositories: dict[int, RepositoryTruth] = field(default_factory=dict)
    reached: dict[int, int] = field(default_factory=dict)
    """The installation that reaches a repository, by the repository's id."""
    names: dict[str, int] = field(default_factory=dict)
    """Every name that a repository has or had."""
    sent: list[Sent] = field(default_factory=list)
    memberships: dict[tuple[str, str], Json] = field(default_factory=dict)
    """What GitHub says of a person in an organisation, by both logins."""
    teams: dict[int, TeamTruth] = field(default_factory=dict)

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
        truth, deliveries = generate(
            seed=seed,
            size=size or Size(),
            owner=owner,
            installation_id=installation_id,
            repository_id=repository_id,
            name=name,
        )
        self.sent += deliveries
        return self._keep(truth, installation_id=installation_id)

    def fold(self, deliveries: Iterable[Sent], *, installation_id: int) -> RepositoryTruth:
        """A repository as a story of deliveries about it leaves it."""
        deliveries = list(deliveries)
        self.sent += deliveries
        return self._keep(Folding().fold(deliveries), installation_id=installation_id)

    def add_team(
        self,
        slug: str,
        *members: Account,
        team_id: int,
        organization: Account | None = None,
        parent: TeamTruth | None = None,
    ) -> TeamTruth:
        """A team of an organisation, acme's by default."""
        made = TeamTruth(team_id, organization or acme(), slug, slug.title(), list(members), parent)
        self.teams[team_id] = made
        return made

    def teams_of(self, organization: Account) -> list[TeamTruth]:
        """By name."""
        found = (one for one in self.teams.values() if one.organization.id == organization.id)
        return sorted(found, key=lambda one: one.name)

    def members_of(self, found: TeamTruth, *, membership: str = "ALL") -> list[Account]:
        """A team's own members, or those of its child teams, or all of them."""
        own = found.members if membership != "CHILD_TEAM" else []
        children = [one for one in self.teams.values() if one.parent is found] if membership != "IMMEDIATE" else []
        below = [person for child in children for person in self.members_of(child)]
        return list(dict.fromkeys([*own, *below]))

    def deliveries(self) -> Iterator[Sent]:
        """Every webhook that this history made, repository by repository."""
        yield from self.sent
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


def delete_issue(truth: RepositoryTruth, number: int) -> None:
    """The issue, and whatever was said on it."""
    del truth.issues[number]
    truth.issue_comments.pop(number, None)
    truth.gone[number] = None


def transfer_issue(truth: RepositoryTruth, number: int, *, to: RepositoryTruth, as_number: int) -> None:
    """The issue is another one, with other ids, in another repository; its old address leads there."""
    issue, said = truth.issues.pop(number), truth.issue_comments.pop(number, [])
    truth.gone[number] = (to, as_number)
    identity = issue["id"] + 1_000_000
    to.issues[as_number] = {**issue, "id": identity, "node_id": node_id("I", identity), "number": as_number}
    to.issue_comments[as_number] = [
        {**comment, "id": identity, "node_id": node_id("IC", identity)}
        for comment in said
        for identity in (comment["id"] + 1_000_000,)
    ]


def delete_issue_comment(truth: RepositoryTruth, comment_id: int) -> None:
    """A comment on an issue or, outside any diff, on a pull request."""
    for said in (*truth.issue_comments.values(), *(pull.comments for pull in _pulls(truth))):
        said[:] = [comment for comment in said if comment["id"] != comment_id]


def delete_review_comment(truth: RepositoryTruth, comment_id: int) -> None:
    """A comment on a line of a diff."""
    for pull in _pulls(truth):
        pull.review_comments[:] = [said for said in pull.review_comments if said["id"] != comment_id]


def delete_release(truth: RepositoryTruth, release_id: int) -> None:
    del truth.releases[release_id]


def issue_comments_of(truth: RepositoryTruth) -> list[Json]:
    """Everything said on issues and, outside any diff, on pull requests."""
    on_issues = [comment for said in truth.issue_comments.values() for comment in said]
    return [*on_issues, *(comment for pull in _pulls(truth) for comment in pull.comments)]


def review_comments_of(truth: RepositoryTruth) -> list[Json]:
    return [said for pull in _pulls(truth) for said in pull.review_comments]


def _pulls(truth: RepositoryTruth) -> Iterator[PullRequestTruth]:
    """Each pull request; one that is made up from a seed is kept as it is from now on."""
    found = truth.pull_requests
    for _, number in found.ordered("created_at"):
        pull = found.keep(number) if isinstance(found, Generated) else found.get(number)
        if pull is not None:
            yield pull
