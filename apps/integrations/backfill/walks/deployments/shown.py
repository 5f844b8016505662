"""A deployment as GitHub showed it, whichever road it came by."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from apps.activity.facts import Fact
from apps.github.objects.deployments import deployment_facts, reported
from apps.github.payload import Reading
from apps.integrations.backfill.walking import Errand, Page, Skipped
from apps.integrations.backfill.walks.deployments.place import DeploymentPlace
from apps.webhooks.errors import UnusablePayload


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One deployment with all its statuses, in REST's shape."""

    deployment: Reading
    statuses: tuple[Reading, ...]
    created_at: datetime
    updated_at: datetime
    environment: str

    @classmethod
    def of(cls, deployment: Reading, statuses: Iterable[Reading]) -> "Shown":
        """The deployment, if it tells at least which one it is, when, and where to; else UnusablePayload."""
        deployment.id()
        return cls(
            deployment=deployment,
            statuses=tuple(statuses),
            created_at=deployment.time("created_at"),
            updated_at=deployment.time("updated_at"),
            environment=deployment.text("environment"),
        )

    def has_succeeded_before(self, since: datetime) -> bool:
        """Whether a status of success was reported before."""
        return any(_is_success_before(status, since) for status in self.statuses)

    def facts(self, *, repository_id: int) -> tuple[list[Fact], list[Skipped]]:
        """What the deployment and its statuses say; a status that cannot be used is named, and leaves the others."""
        number, skipped = self.deployment.id(), list[Skipped]()
        try:
            facts = list(deployment_facts(self.deployment, repository_id=repository_id))
        except UnusablePayload as error:
            return [], [Skipped(what=f"deployment {number}", why=str(error))]
        for status in self.statuses:
            try:
                facts += tuple(reported(status, deployment=self.deployment, repository_id=repository_id))
            except UnusablePayload as error:
                skipped.append(Skipped(what=f"a status of deployment {number}", why=str(error)))
        return facts, skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentPage:
    """A page of deployments, newest first: those that were wanted of it.

    `after` is where the list goes on, None at its end; `last_made` is when the last of the page was made, as GitHub
    wrote it, wanted or not; `at_most` bounds the pages that follow.
    """

    shown: tuple[Shown, ...]
    after: str | None
    last_made: str | None
    at_most: int
    total: int
    skipped: tuple[Skipped, ...] = ()


def page_of(
    kept: Iterable[Shown],
    *,
    errand: Errand,
    then: DeploymentPlace | None,
    total: int | None = None,
    facts: Iterable[Fact] = (),
    skipped: Iterable[Skipped] = (),
) -> Page:
    """These deployments with their statuses, beside other facts, and where the walk goes on."""
    said, unusable, items = list(facts), list(skipped), 0
    for shown in kept:
        more, unsaid = shown.facts(repository_id=errand.repository_id)
        said, unusable, items = said + more, unusable + unsaid, items + 1
    cursor = then.as_text() if then else None
    return Page(facts=tuple(said), cursor=cursor, items=items, total=total, skipped=tuple(unusable))


def _is_success_before(status: Reading, since: datetime) -> bool:
    try:
        return status.word("state") == "success" and status.time("created_at") < since
    except UnusablePayload:
        return False
