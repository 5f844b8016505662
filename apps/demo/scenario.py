"""Scenarios: events are planned in any order and become deliveries in the order of their times."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial, wraps
from itertools import count
from typing import Concatenate, ParamSpec, Protocol, TypeVar
from uuid import NAMESPACE_URL, uuid5

from apps.demo.shapes import Json
from apps.demo.shapes.accounts import Account, installation, organization, short_installation, user
from apps.demo.shapes.repositories import RepositoryIdentity, repository, shortened_repository

INSTALLATION_ID = 5_150_001
FIRST_ID = 900_000_000

Arguments = ParamSpec("Arguments")


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery: the payload that GitHub posts, its time, and its GUID."""

    event: str
    payload: Json
    at: datetime
    guid: str


class Scenario:
    """The events of the repositories of one account on GitHub; the same plan gives the same GUIDs."""

    def __init__(
        self, name: str, *, owner: Account, installation_id: int = INSTALLATION_ID, first_id: int = FIRST_ID
    ) -> None:
        self.name = name
        self.owner = owner
        self.installation_id = installation_id
        self._plans: list[tuple[datetime, Callable[[], None]]] = []
        self._sent: list[Sent] = []
        self._ids = count(first_id)

    def plan(self, at: datetime, happen: Callable[[], None]) -> None:
        """Plan an event for this time; of several at one time, the first planned comes first."""
        self._plans.append((at, happen))

    def deliveries(self) -> list[Sent]:
        """Carry out the planned events in the order of their times; return all deliveries so far."""
        plans, self._plans = sorted(self._plans, key=lambda plan: plan[0]), []
        for _, happen in plans:
            happen()
        return list(self._sent)

    def next_id(self) -> int:
        """Return an id that is not used in this scenario."""
        return next(self._ids)

    def send(
        self, event: str, payload: Json, *, at: datetime, sender: Account, about: RepositoryIdentity | None = None
    ) -> None:
        """Send the payload with the members that every payload has."""
        around: Json = {"repository": repository(about)} if about and "repository" not in payload else {}
        if self.owner.kind == "Organization":
            around["organization"] = organization(self.owner)
        if "installation" not in payload:
            around["installation"] = short_installation(self.installation_id)
        guid = str(uuid5(NAMESPACE_URL, f"{self.name}:{len(self._sent)}"))
        self._sent.append(Sent(event, {**payload, **around, "sender": user(sender)}, at, guid))

    def install(self, at: datetime, *repositories: RepositoryIdentity) -> None:
        """Plan the installation of the App on the account, with access to these repositories."""
        self.plan(at, partial(self._install, at, repositories))

    def _install(self, at: datetime, repositories: tuple[RepositoryIdentity, ...]) -> None:
        payload = {
            "action": "created",
            "installation": installation(self.installation_id, account=self.owner, created_at=at),
            "repositories": [shortened_repository(of) for of in repositories],
            "requester": None,
        }
        self.send("installation", payload, at=at, sender=self.owner)


class InScenario(Protocol):
    """An object of a scenario."""

    @property
    def scenario(self) -> Scenario: ...


Subject = TypeVar("Subject", bound=InScenario)


def planned(
    happen: Callable[Concatenate[Subject, datetime, Arguments], None],
) -> Callable[Concatenate[Subject, datetime, Arguments], None]:
    """Return a method that is planned for its time instead of carried out at once."""

    @wraps(happen)
    def plan(self: Subject, at: datetime, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        self.scenario.plan(at, partial(happen, self, at, *args, **kwargs))

    return plan
