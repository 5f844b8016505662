"""Where a walk through deployments is. Pure."""

import enum
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace


class Phase(enum.StrEnum):
    """A walk goes through these in their order."""

    PAGES = "pages"  # the deployments with their statuses, newest first
    DETAILS = "details"  # what REST alone tells of them
    BASELINES = "baselines"  # the last success before `since` of each environment that the pages did not come to


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentPlace:
    """The cursor: `after` is GraphQL's in the first phase and the last, `seen` tells how far the second is.

    `reached` is when the oldest deployment of the pages was made, as GitHub wrote it; None where there is none older.
    `at_most` bounds a page whose statuses have to be read deployment by deployment. `environments` are still to be
    looked at, the first of them now, none until they are chosen; `in_vain` counts its pages without a success.
    """

    phase: Phase = Phase.PAGES
    after: str | None = None
    at_most: int = 100
    seen: int = 0
    reached: str | None = None
    environments: tuple[str, ...] = ()
    in_vain: int = 0

    def as_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, cursor: str) -> "DeploymentPlace":
        told = json.loads(cursor) if cursor else {}
        if not told:
            return cls()
        return cls(**told | {"phase": Phase(told["phase"]), "environments": tuple(told["environments"])})

    def details(self, *, reached: str | None) -> "DeploymentPlace":
        return DeploymentPlace(phase=Phase.DETAILS, at_most=self.at_most, reached=reached)

    def seeing(self, seen: int) -> "DeploymentPlace":
        """The same so far down REST's listing."""
        return replace(self, seen=seen)

    def baselines(self) -> "DeploymentPlace":
        return DeploymentPlace(phase=Phase.BASELINES, at_most=self.at_most, reached=self.reached)

    def at(self, environments: Sequence[str]) -> "DeploymentPlace | None":
        """At the start of the first of these environments; None where there is none."""
        if not environments:
            return None
        return replace(self, environments=tuple(environments), after=None, in_vain=0)

    def next_environment(self) -> "DeploymentPlace | None":
        return self.at(self.environments[1:])

    def further(self, *, after: str, at_most: int, in_vain: int = 0) -> "DeploymentPlace":
        return replace(self, after=after, at_most=at_most, in_vain=in_vain)
