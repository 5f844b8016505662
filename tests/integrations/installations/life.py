"""The life of the App on two accounts: what GitHub reported of it, and how it ended."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from apps.demo.shapes import Json
from apps.demo.shapes.accounts import EVENTS, PERMISSIONS, Account, installation, organization, short_installation, user
from apps.demo.shapes.repositories import RepositoryIdentity, repository, shortened_repository
from tests.fake_github.generated import acme
from tests.fake_github.truth import RepositoryTruth
from tests.fake_github.using import ACME, BETA
from tests.fake_github.world import World

ENDED = 9
"""An installation that came and went."""
API, WEB, DOCS, OLD = 11, 12, 13, 14
OTHERS = Account(501, "beta", "Organization")
RENAMED = replace(acme(), login="apex")
SOMEBODY = Account(77, "somebody")
BEGAN = (datetime.now(UTC) - timedelta(days=3)).replace(microsecond=0)
FEW_PERMISSIONS, FEW_EVENTS = ("contents", "metadata", "pull_requests"), ("pull_request", "push")

Post = tuple[str, Json]
"""An event and its payload."""


class Life:
    """Tells it step by step, an hour apart, and leaves the world as it ended."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.now = BEGAN
        self.granted = BEGAN
        self.permissions, self.events = FEW_PERMISSIONS, FEW_EVENTS
        self.account = acme()
        self.repositories = {
            identity: RepositoryIdentity(identity, name, acme(), BEGAN, BEGAN, BEGAN)
            for identity, name in ((API, "api"), (WEB, "web"), (DOCS, "docs"), (OLD, "old"))
        }
        self._tell()

    def leave(self, world: World) -> None:
        """The world as it is after all of this."""
        for installation_id, account in ((ACME, self.account), (BETA, OTHERS)):
            truth = world.install(installation_id, account)
            if installation_id == ACME:
                truth.updated_at, truth.permissions, truth.events = self.granted, self.permissions, self.events
        for identity, installation_id in ((API, ACME), (WEB, ACME), (DOCS, BETA)):
            world.repositories[identity] = RepositoryTruth(json=repository(self.repositories[identity]))
            world.reached[identity] = installation_id

    def _tell(self) -> None:
        self._installation("created", repositories=(API, WEB, OLD))
        self._access("added", DOCS)
        self._changed("renamed", WEB, name="website")
        self._installation("suspend")
        self._installation("unsuspend")
        self._changed("archived", DOCS, is_archived=True)
        self._changed("publicized", API, moves=False, is_private=False)
        self._changed("privatized", API, moves=False, is_private=True)
        self._changed("publicized", WEB, moves=False, is_private=False)
        self.permissions, self.events, self.granted = PERMISSIONS, EVENTS, self.now
        self._installation("new_permissions_accepted")
        self._access("removed", DOCS)
        self._access("added", DOCS)
        self._changed("unarchived", DOCS, is_archived=False)
        self._changed("archived", WEB, is_archived=True)
        self._installation("created", of=BETA)
        self._transfer(DOCS)
        self._changed("deleted", OLD)
        self._installation("created", of=ENDED, repositories=(OLD,))
        self._installation("deleted", of=ENDED)
        self._rename_account()

    def _installation(self, action: str, *, of: int = ACME, repositories: Iterable[int] = ()) -> None:
        listed = [shortened_repository(self.repositories[identity]) for identity in repositories]
        described = self._described(of, suspended=action == "suspend")
        self._send("installation", {"action": action, "installation": described, "repositories": listed})

    def _access(self, action: str, identity: int, *, of: int = ACME) -> None:
        lists = {"repositories_added": [], "repositories_removed": []}
        lists[f"repositories_{action}"] = [shortened_repository(self.repositories[identity])]
        self._send(
            "installation_repositories",
            {"action": action, "installation": self._described(of), "repository_selection": "selected", **lists},
        )

    def _changed(self, action: str, identity: int, *, moves: bool = True, of: int = ACME, **now: object) -> None:
        """Not each of these moves GitHub's `updated_at`."""
        if moves:
            now["updated_at"] = self.now
        self.repositories[identity] = replace(self.repositories[identity], **now)  # type: ignore[arg-type]
        payload = {"action": action, "repository": repository(self.repositories[identity])}
        self._send("repository", {**payload, "installation": short_installation(of)})

    def _transfer(self, identity: int) -> None:
        self._access("removed", identity)
        self.repositories[identity] = replace(self.repositories[identity], owner=OTHERS)
        self._access("added", identity, of=BETA)
        self._changed("transferred", identity, of=BETA)

    def _rename_account(self) -> None:
        """First to a name in between; what was reported under earlier names may come later."""
        for login in ("between", RENAMED.login):
            self.account = replace(self.account, login=login)
            target = {"action": "renamed", "account": user(self.account), "target_type": "Organization"}
            self._send("installation_target", {**target, "installation": short_installation(ACME)})
            renamed = {"action": "renamed", "organization": organization(self.account)}
            self._send("organization", {**renamed, "installation": short_installation(ACME)})
        for identity in (API, WEB):
            self.repositories[identity] = replace(self.repositories[identity], owner=self.account)

    def _described(self, installation_id: int, *, suspended: bool = False) -> Json:
        is_of_others = installation_id == BETA
        return installation(
            installation_id,
            account=OTHERS if is_of_others else self.account,
            created_at=BEGAN,
            updated_at=BEGAN if is_of_others else self.granted,
            suspended_at=self.now if suspended else None,
            permissions=PERMISSIONS if is_of_others else self.permissions,
            events=EVENTS if is_of_others else self.events,
        )

    def _send(self, event: str, payload: Json) -> None:
        self.posts.append((event, {**payload, "sender": user(SOMEBODY)}))
        self.now += timedelta(hours=1)
