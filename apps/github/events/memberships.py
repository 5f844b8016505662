"""Members of repositories, teams and organisations: member, membership, team, organization. None has a time."""

from collections.abc import Iterator

from apps.activity.facts import Fact, GitHubMembershipState, GitHubTeamHappened
from apps.activity.models import GitHubMembership
from apps.github.events.envelope import common_facts, declare_shape, listing_needed, open_payload, repository_id
from apps.github.objects.accounts import account_id, profile, renamed_profile, team_state
from apps.github.payload import PayloadReader
from apps.webhooks.registry import Event, translates

declare_shape("member", members="member", required="member")
declare_shape("membership", members="member team", required="scope")
declare_shape("team", members="team")
declare_shape("organization", members="membership invitation", required="organization")

Scope = GitHubMembership.Scope


@translates("member", "added", "removed", "edited")
def member(event: Event) -> Iterator[Fact]:
    """Yield a collaborator of a repository."""
    payload = open_payload(event)
    yield from signal_facts(payload)
    yield from membership_facts(
        payload,
        payload.child_or_none("member"),
        scope=Scope.REPOSITORY,
        scope_id=repository_id(payload),
        is_member=event.action != "removed",
        role=changed_permission(payload),
    )


@translates("membership", "added", "removed")
def membership(event: Event) -> Iterator[Fact]:
    """Yield a member of a team. After a removal the team may be gone, with little more than its id left."""
    payload = open_payload(event)
    team = payload.child("team")
    yield from signal_facts(payload)
    if "slug" in team:
        yield from team_facts(payload, is_deleted=team.flag("deleted", default=False))
    yield from membership_facts(
        payload,
        payload.child_or_none("member"),
        scope=Scope.TEAM,
        scope_id=team.id(),
        is_member=event.action == "added",
    )
    contributor_id = account_id(payload.child_or_none("member"))
    if contributor_id is not None:
        yield GitHubTeamHappened(
            team_id=team.id(),
            contributor_id=contributor_id,
            at=payload.arrived_at,
            is_member=event.action == "added",
        )


@translates("team", "created", "edited", "added_to_repository", "removed_from_repository", "deleted")
def team(event: Event) -> Iterator[Fact]:
    payload = open_payload(event)
    yield from signal_facts(payload)
    yield from team_facts(payload, is_deleted=event.action == "deleted")


@translates("organization", "member_added", "member_removed")
def organization_member(event: Event) -> Iterator[Fact]:
    payload = open_organization(event)
    described = payload.child("membership")
    yield from signal_facts(payload)
    yield from membership_facts(
        payload,
        described.child_or_none("user"),
        scope=Scope.ORGANIZATION,
        scope_id=payload.child("organization").id(),
        is_member=event.action == "member_added",
        role=described.word_or_none("role"),
    )


@translates("organization", "renamed")
def organization_renamed(event: Event) -> Iterator[Fact]:
    payload = open_organization(event)
    yield from signal_facts(payload)
    yield from renamed_profile(payload.child("organization"), at=event.received_at, kind="organization")


@translates("organization", "member_invited", "deleted")
def organization(event: Event) -> Iterator[Fact]:
    """Yield a membership; an invitation is none, and the members of a deleted organisation stay."""
    yield from signal_facts(open_organization(event))


def open_organization(event: Event) -> PayloadReader:
    """Return the payload of an organisation's own event, which is about none of its repositories."""
    payload = open_payload(event)
    if "repository" in payload:
        raise payload.mismatch("repository", "is in no organization event")
    return payload


def signal_facts(payload: PayloadReader) -> Iterator[Fact]:
    yield from common_facts(payload, at=payload.arrived_at)
    yield from listing_needed(payload)


def team_facts(payload: PayloadReader, *, is_deleted: bool) -> Iterator[Fact]:
    yield team_state(
        payload.child("team"),
        organization_id=account_id(payload.child_or_none("organization")),
        at=payload.arrived_at,
        is_deleted=is_deleted,
        is_verified=False,
    )


def membership_facts(
    payload: PayloadReader,
    account: PayloadReader | None,
    *,
    scope: GitHubMembership.Scope,
    scope_id: int,
    is_member: bool,
    role: str | None = None,
) -> Iterator[Fact]:
    """Yield whether an account is a member; nothing for a ghost."""
    contributor_id = account_id(account)
    if contributor_id is None:
        return
    yield from profile(account, at=payload.arrived_at)
    yield GitHubMembershipState(
        stamp=payload.stamp(payload.arrived_at),
        scope=scope.value,
        scope_id=scope_id,
        contributor_id=contributor_id,
        is_member=is_member,
        role=role,
        is_verified=False,
    )


def changed_permission(payload: PayloadReader) -> str | None:
    """Return the collaborator's new role: `role_name` has custom roles too, `permission` only GitHub's own five."""
    changes = payload.child_or_none("changes")
    for name in ("role_name", "permission"):
        change = changes.child_or_none(name) if changes else None
        if change is not None and change.word_or_none("to"):
            return change.word("to")
    return None
