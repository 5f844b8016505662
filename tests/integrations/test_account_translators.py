"""What installations, repositories, teams and memberships say."""

from datetime import timedelta

import pytest

from apps.activity import facts
from apps.activity.facts import Source, evidence
from apps.activity.models import Contributor, Installation
from apps.activity.record import record
from apps.github.payload import EPOCH
from apps.webhooks.parsing import UnusablePayloadError
from tests.github.every_route import CREATED, INSTALLATION_ID, NOW, payload_of
from tests.github.fixture_a import ACME, ANA, BEN
from tests.integrations.translating import ARRIVAL, of, only, translate


def changed(event, action, part, **members):
    payload = payload_of(event, action)
    return {**payload, part: {**payload[part], **members}}


def test_a_new_installation_reaches_the_repositories_it_lists():
    told = translate("installation", payload_of("installation", "created"))
    state, access = only(facts.InstallationState, told), only(facts.RepositoryAccessState, told)
    assert (state.account_id, state.created_at, list(state.permissions)) == (
        ACME.id,
        CREATED,
        ["actions", "contents", "deployments", "issues", "members", "metadata", "pull_requests"],
    )
    assert (access.has_access, access.is_verified, access.stamp.source_updated_at) == (True, False, NOW)
    assert only(facts.ListingNeeded, told).needs_listing_at == ARRIVAL


def test_an_epoch_and_an_offset_are_the_same_instant_as_rfc_3339():
    at = NOW.isoformat()
    for spelled in (int(NOW.timestamp()), at, at.replace("T10", "T06").replace("+00:00", ".000-04:00")):
        told = translate("installation", changed("installation", "created", "installation", updated_at=spelled))
        assert only(facts.InstallationState, told).stamp.source_updated_at == NOW


@pytest.mark.parametrize("account", [None, {"id": 3, "slug": "big", "name": "Big", "node_id": "E_1"}])
def test_an_installation_without_an_account_or_on_an_enterprise_has_none(account):
    told = translate("installation", changed("installation", "created", "installation", account=account))
    assert only(facts.InstallationState, told).account_id is None
    assert 3 not in {fact.github_id for fact in of(facts.ContributorProfile, told)}


def test_a_removed_app_is_final():
    told = translate("installation", payload_of("installation", "deleted"))
    assert only(facts.InstallationDeleted, told).deleted_at == ARRIVAL


@pytest.mark.django_db
def test_a_suspension_delivered_again_after_its_end_is_unverified_and_asks_for_a_listing():
    suspended = translate("installation", payload_of("installation", "suspend"))
    lifted = translate(
        "installation", payload_of("installation", "unsuspend"), received_at=ARRIVAL + timedelta(minutes=1)
    )
    late = translate("installation", payload_of("installation", "suspend"), received_at=ARRIVAL + timedelta(minutes=2))
    for number, told in enumerate((suspended, lifted, late)):
        record([evidence(Source(kind="delivery", key=str(number)), told)])
    installation = Installation.objects.get()
    assert installation.suspended_at == NOW
    assert installation.is_suspension_verified is False
    assert installation.needs_listing_at == ARRIVAL + timedelta(minutes=2)


def test_repositories_added_and_removed_are_unverified_signals():
    for action, has_access in (("added", True), ("removed", False)):
        told = translate("installation_repositories", payload_of("installation_repositories", action))
        access = only(facts.RepositoryAccessState, told)
        assert (access.has_access, access.is_verified, access.stamp.source_updated_at) == (has_access, False, ARRIVAL)
        assert only(facts.RepositoryName, told).stamp.source_updated_at == EPOCH


def test_what_is_out_of_reach_is_kept_after_it_came_back():
    removed = translate("installation_repositories", payload_of("installation_repositories", "removed"))
    assert only(facts.RepositoryAccessLost, removed).lost_at == ARRIVAL
    added = translate("installation_repositories", payload_of("installation_repositories", "added"))
    assert not of(facts.RepositoryAccessLost, added)
    suspended = translate("installation", payload_of("installation", "suspend"))
    assert only(facts.InstallationSuspended, suspended).last_suspended_at == ARRIVAL
    assert not of(facts.InstallationSuspended, translate("installation", payload_of("installation", "unsuspend")))


def test_a_renamed_account_outweighs_what_its_last_hour_showed():
    for event, action in (("installation_target", "renamed"), ("organization", "renamed")):
        told = translate(event, payload_of(event, action), received_at=ARRIVAL + timedelta(minutes=20))
        times = [fact.stamp.source_updated_at for fact in of(facts.ContributorProfile, told) if fact.login == "acme"]
        assert max(times) == ARRIVAL + timedelta(minutes=20)


def test_a_busy_sender_is_not_rewritten_by_each_of_its_payloads():
    first, later = (
        translate("release", payload_of("release", "published"), received_at=ARRIVAL + timedelta(minutes=minute))
        for minute in (1, 50)
    )
    assert only(facts.ContributorProfile, profiles_of(ANA, first)) == only(
        facts.ContributorProfile, [*profiles_of(ANA, first), *profiles_of(ANA, later)]
    )


def profiles_of(account, told):
    return [
        fact
        for fact in of(facts.ContributorProfile, told)
        if fact.github_id == account.id and fact.stamp.source_updated_at == ARRIVAL
    ]


@pytest.mark.django_db
def test_an_organisation_and_a_user_object_of_one_account_agree():
    told = translate("pull_request", payload_of("pull_request", "opened"))
    record([evidence(Source(kind="delivery", key="1"), told)])
    assert Contributor.objects.get(github_id=ACME.id).kind == "organization"


def test_a_deleted_repository_is_gone_and_a_renamed_one_asks_for_a_listing():
    deleted = translate("repository", payload_of("repository", "deleted"))
    assert only(facts.RepositoryDeleted, deleted).deleted_at == ARRIVAL
    renamed = translate("repository", payload_of("repository", "renamed"))
    assert only(facts.ListingNeeded, renamed).github_id == INSTALLATION_ID
    assert only(facts.RepositoryState, renamed).full_name == "acme/api"


@pytest.mark.parametrize(
    ("event", "action", "scope", "is_member", "role"),
    [
        ("member", "added", "repository", True, "write"),
        ("member", "edited", "repository", True, "write"),
        ("member", "removed", "repository", False, None),
        ("membership", "added", "team", True, None),
        ("membership", "removed", "team", False, None),
        ("organization", "member_added", "organization", True, "member"),
        ("organization", "member_removed", "organization", False, "member"),
    ],
)
def test_who_belongs_where_is_an_unverified_signal(event, action, scope, is_member, role):
    told = translate(event, payload_of(event, action))
    state = only(facts.GitHubMembershipState, told)
    assert (state.scope, state.contributor_id, state.is_member, state.role) == (scope, BEN.id, is_member, role)
    assert (state.is_verified, state.stamp.source_updated_at) == (False, ARRIVAL)
    assert only(facts.ListingNeeded, told).needs_listing_at == ARRIVAL


def test_the_removal_of_a_ghost_or_from_a_deleted_team_is_ordinary():
    payload = payload_of("membership", "removed")
    ghost = translate("membership", {**payload, "member": None})
    assert not of(facts.GitHubMembershipState, ghost)
    gone = translate("membership", {**payload, "team": {"id": 9_001, "name": "core", "deleted": True}})
    assert only(facts.GitHubMembershipState, gone).scope_id == 9_001
    assert not of(facts.GitHubTeamState, gone)


def test_a_team_says_whether_it_is_deleted():
    for action, is_deleted in (("edited", False), ("deleted", True)):
        assert only(facts.GitHubTeamState, translate("team", payload_of("team", action))).is_deleted is is_deleted


def test_an_invitation_makes_nobody_a_member():
    assert not of(facts.GitHubMembershipState, translate("organization", payload_of("organization", "member_invited")))


def test_the_end_of_another_thing_is_not_the_end_of_the_installation_that_saw_it():
    """The installation of an ordinary payload has nothing but its id."""
    with pytest.raises(UnusablePayloadError, match="account is missing"):
        translate("installation", {**payload_of("repository", "deleted")})
