"""What a run compares, as its row keeps it: two unfinished runs of one scope are impossible."""

from collections.abc import Iterable
from dataclasses import dataclass

NIGHTLY, EVERYTHING, TEAM, INSTALLATION, REPOSITORIES = "nightly", "everything", "team", "installation", "repositories"
MOST_REPOSITORIES = 100
"""So many ids fit into what is unique."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A kind of choice, and the ids it names."""

    kind: str
    ids: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}:{','.join(map(str, self.ids))}" if self.ids else self.kind

    @property
    def only_id(self) -> int:
        """Its one id."""
        (found,) = self.ids
        return found


def parse_scope(text: str) -> Scope:
    """The scope that was written like this."""
    kind, _, ids = text.partition(":")
    return Scope(kind, tuple(int(one) for one in ids.split(",") if one))


def of_team(team_id: int) -> Scope:
    """What the team tracks."""
    return Scope(TEAM, (team_id,))


def of_installation(installation_id: int) -> Scope:
    """What the installation reaches."""
    return Scope(INSTALLATION, (installation_id,))


def of_repositories(repository_ids: Iterable[int]) -> Scope:
    """These repositories. ValueError for none, and for more than fit."""
    ids = tuple(sorted(set(repository_ids)))
    if not 0 < len(ids) <= MOST_REPOSITORIES:
        raise ValueError(f"Name one to {MOST_REPOSITORIES} repositories.")
    return Scope(REPOSITORIES, ids)
