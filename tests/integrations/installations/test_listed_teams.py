"""The teams of an organisation on GitHub are listed with their members; webhooks report only who joins or leaves."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from django.utils import timezone

from apps.activity.models import GitHubMembership, GitHubTeam, Installation
from apps.demo.shapes.accounts import Account, organization, person, short_installation, user
from apps.github.auth import GitHubAccess
from apps.integrations import listed_teams
from apps.integrations.listed_teams import due_installations, list_teams
from apps.integrations.readable_installations import describe, lacking_installations
from apps.jobs.claims import claim
from apps.jobs.models import Job
from apps.jobs.status import status_of
from apps.metrics.recalculation import drain as recalculate
from apps.teams.github_teams import create_team, members_of
from apps.teams.models import Team, TeamMember
from apps.webhooks.models import Delivery
from apps.webhooks.worker import drain
from tests.delivery_times import set_received_at
from tests.fake_github import faults
from tests.fake_github.faults import Answered, Asked, Fault
from tests.fake_github.generated import acme
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, BETA
from tests.fake_github.world import TeamTruth
from tests.github.translation import Door
from tests.integrations.backfill.installed import shortened

pytestmark = pytest.mark.django_db

ANA, BEN, CY = (person(501 + place, login) for place, login in enumerate(("ana", "ben", "cy")))
CORE, WEB = 9001, 9002
DAY = timedelta(days=1)


@pytest.fixture
def core(fake: FakeGitHub, settings: Any) -> TeamTruth:
    """A team of acme's, whose members joined before the App was installed, which its webhook just said."""
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
    truth = fake.world.add_team("core", ANA, BEN, team_id=CORE)
    install(fake, ACME)
    return truth


def install(fake: FakeGitHub, installation_id: int) -> None:
    described = fake.world.installations[installation_id].json()
    shown = [shortened(truth) for truth in fake.world.reached_by(installation_id)]
    payload = {"action": "created", "installation": described, "repositories": shown, "sender": user(acme())}
    assert Door().post("installation", payload).status_code == 202
    work_off()


def report(truth: TeamTruth, action: str, member: Account, *, ago: timedelta) -> None:
    """Deliver the webhook of somebody who joined or left the team some time ago."""
    payload = {"action": action, "scope": "team", "member": user(member), "team": truth.json}
    deliver("membership", payload, ago=ago)


def deliver(event: str, payload: dict[str, Any], *, ago: timedelta) -> None:
    about = {"organization": organization(acme()), "installation": short_installation(ACME), "sender": user(ANA)}
    assert Door().post(event, {**payload, **about}).status_code == 202
    set_received_at(Delivery.objects.filter(state="received"), timezone.now() - ago)
    work_off()


def work_off() -> None:
    while Delivery.objects.filter(state="received").exists():
        drain([], task_id="a task", is_redelivered=False)
    recalculate(seconds=60)


def list_now(worker: GitHubAccess, *, seconds: float = 15.0) -> Job:
    """List the teams, as if a day or a wait had passed."""
    Installation.objects.update(teams_listed_at=timezone.now() - 2 * DAY) if was_listed() else None
    Job.objects.update(not_before=timezone.now())
    listed_teams.plan()
    job = claim(Job.objects.get(kind="list_github_teams").pk, task_id="")
    assert job is not None
    list_teams(job, access=worker, deadline_s=time.monotonic() + seconds)
    recalculate(seconds=60)
    return Job.objects.get(pk=job.pk)


def was_listed() -> bool:
    return Installation.objects.filter(teams_listed_at__isnull=False).exists()


def is_due() -> bool:
    return due_installations(app_id=APP_ID).exists()


def members(team_id: int = CORE) -> dict[str, datetime | None]:
    """Return who is a member of the team on GitHub, and since when."""
    found = members_of([GitHubTeam.objects.get(pk=team_id)])[team_id]
    listed = GitHubMembership.objects.filter(scope="team", scope_id=team_id, is_member=True)
    assert {one.contributor_id for one in listed} == {one.contributor.pk for one in found}
    return {str(one): one.since for one in found}


def kept_team() -> Team:
    """The team that is made of Core, and kept in step with it."""
    return create_team(GitHubTeam.objects.get(pk=CORE), is_kept_in_step=True)


def memberships(team: Team) -> set[tuple[str, Any, Any]]:
    """Return from how many days ago until how many each account is a member."""
    rows = TeamMember.objects.filter(team=team).values_list("contributor__login", "from_at", "until_at")
    return {(login, days_ago(begun), days_ago(ended)) for login, begun, ended in rows}


def days_ago(moment: datetime | None) -> int | None:
    return None if moment is None else round((timezone.now() - moment) / DAY)


def test_who_was_a_member_before_the_app_is_known_and_counts_from_the_beginning(
    core: TeamTruth, worker: GitHubAccess
) -> None:
    assert is_due()
    job = list_now(worker)
    assert (job.state, job.calls, job.points) == ("done", 1, 1)
    assert members() == {"ana": None, "ben": None}
    assert (GitHubTeam.objects.get().name, GitHubTeam.objects.get().is_verified) == ("Core", True)
    assert memberships(kept_team()) == {("ana", None, None), ("ben", None, None)}
    assert not is_due()


def test_who_joined_or_left_between_two_listings_did_so_at_the_second(
    fake: FakeGitHub, core: TeamTruth, worker: GitHubAccess
) -> None:
    list_now(worker)
    team = kept_team()
    core.members = [ANA, CY]
    fake.world.add_team("web", BEN, team_id=WEB)
    list_now(worker)
    assert memberships(team) == {("ana", None, None), ("ben", None, 0), ("cy", 0, None)}
    assert days_ago(members(WEB)["ben"]) == 0, "the team was not there before"
    before = TeamMember.objects.order_by("pk").values_list("pk", "until_at")
    known = list(before)
    list_now(worker)
    assert list(before.all()) == known


WEBHOOKS: tuple[tuple[str, Account, int], ...] = (("added", CY, 5), ("removed", CY, 3), ("added", BEN, 2))


@pytest.mark.parametrize("order", list(permutations((*WEBHOOKS, None))))
def test_listings_and_webhooks_in_any_order_end_in_the_same_memberships(
    core: TeamTruth, worker: GitHubAccess, order: Any
) -> None:
    for step in (*order, *order[:2]):
        if step is None:
            list_now(worker)
        else:
            action, member, days = step
            report(core, action, member, ago=days * DAY)
    list_now(worker)
    assert {login: days_ago(since) for login, since in members().items()} == {"ana": None, "ben": 2}
    assert memberships(kept_team()) == {("ana", None, None), ("cy", 5, 3), ("ben", 2, None)}


def test_a_webhook_that_came_during_the_listing_is_not_contradicted(core: TeamTruth, worker: GitHubAccess) -> None:
    list_now(worker)
    team = kept_team()
    report(core, "added", CY, ago=timedelta())
    report(core, "removed", BEN, ago=timedelta())
    known = set(TeamMember.objects.values_list("contributor", "from_at", "until_at"))
    assert memberships(team) == {("ana", None, None), ("ben", None, 0), ("cy", 0, None)}
    for shown in ([ANA, BEN], [ANA, CY]):
        core.members = shown
        list_now(worker)
        assert set(TeamMember.objects.values_list("contributor", "from_at", "until_at")) == known


def test_a_lost_webhook_is_made_up_for_after_a_late_one(core: TeamTruth, worker: GitHubAccess) -> None:
    list_now(worker)
    report(core, "added", CY, ago=DAY)
    assert set(members()) == {"ana", "ben", "cy"}, "that they left was not delivered"
    assert not is_due(), "teams are listed at most every ten minutes"
    Installation.objects.update(teams_listed_at=timezone.now() - timedelta(minutes=11))
    assert is_due()
    list_now(worker)
    assert set(members()) == {"ana", "ben"}
    Installation.objects.update(teams_listed_at=timezone.now() - timedelta(minutes=11))
    assert not is_due(), "all that was reported is verified"


def page_of(name: str) -> Callable[[Asked], bool]:
    return lambda asked: asked.is_graphql and f"query {name}(" in asked.document["query"]


def refused_team(asked: Asked, answer: Answered) -> Answered:
    """One of the teams is hidden."""
    path = ["organization", "teams", "nodes", 0]
    answer.body["data"]["organization"]["teams"]["nodes"][0] = None
    answer.body["errors"] = [{"type": "FORBIDDEN", "message": "Not this one", "path": path}]
    return answer


def one_member_short(asked: Asked, answer: Answered) -> Answered:
    answer.body["data"]["organization"]["teams"]["nodes"][0]["members"]["nodes"].pop()
    return answer


def one_team_short(asked: Asked, answer: Answered) -> Answered:
    answer.body["data"]["organization"]["teams"]["nodes"].pop()
    return answer


def no_organization(asked: Asked, answer: Answered) -> Answered:
    answer.body["data"]["organization"] = None
    return answer


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(faults.status(500), page_of("TeamPage")), "HTTP 500"),
        (Fault(refused_team, page_of("TeamPage"), is_instead=False), "Not this one"),
        (Fault(one_team_short, page_of("TeamPage"), is_instead=False), "GitHub listed 0 of 1 teams."),
        (Fault(no_organization, page_of("TeamPage"), is_instead=False), "data.organization is null"),
        (Fault(one_member_short, page_of("TeamPage"), is_instead=False), ""),
    ],
)
def test_a_listing_in_part_removes_nobody(
    fake: FakeGitHub, core: TeamTruth, worker: GitHubAccess, fault: Fault, words: str
) -> None:
    list_now(worker)
    fake.spoil(fault)
    job = list_now(worker)
    assert (words in job.error, bool(job.error)) == (True, bool(words))
    assert members() == {"ana": None, "ben": None}
    core.members = [ANA]
    assert list_now(worker).state == "done"
    assert set(members()) == {"ana"}


def test_an_error_half_way_keeps_the_teams_that_were_read_and_removes_no_other(
    fake: FakeGitHub, core: TeamTruth, worker: GitHubAccess
) -> None:
    many_teams(fake, 60)
    list_now(worker)
    core.members = [ANA]
    last = fake.world.teams[100 + 59]
    last.members = []
    fake.spoil(
        Fault(faults.status(500), lambda asked: page_of("TeamPage")(asked) and asked.document["variables"]["after"])
    )
    assert list_now(worker).reason == "unanswered"
    assert (set(members()), set(members(last.id))) == ({"ana"}, {"cy"})
    assert list_now(worker).state == "done"
    assert members(last.id) == {}


def many_teams(fake: FakeGitHub, count: int) -> None:
    for number in range(count):
        fake.world.add_team(f"team-{number:03}", CY, team_id=100 + number)


@pytest.mark.parametrize("seconds", [15.0, 0.0])
def test_fifty_teams_cost_a_point_and_a_long_list_goes_on_in_the_next_task(
    fake: FakeGitHub, core: TeamTruth, worker: GitHubAccess, seconds: float
) -> None:
    many_teams(fake, 120)
    job = list_now(worker, seconds=seconds)
    while job.state != "done":
        job = list_now(worker, seconds=seconds)
    assert (job.calls, job.points) == (3, 3)
    assert GitHubTeam.objects.count() == 121
    assert members(100 + 119) == {"cy": None}


@pytest.mark.parametrize("seconds", [15.0, 0.0])
def test_every_member_of_a_large_team_is_read(
    fake: FakeGitHub, core: TeamTruth, worker: GitHubAccess, seconds: float
) -> None:
    core.members = [person(2_000 + number, f"member-{number:03}") for number in range(250)]
    job = list_now(worker, seconds=seconds)
    while job.state != "done":
        assert job.cursor
        job = list_now(worker, seconds=seconds)
    assert (job.calls, job.points) == (3, 3)
    assert len(members()) == 250
    assert set(members().values()) == {None}
    core.members = core.members[:120]
    fake.spoil(Fault(faults.status(500), page_of("TeamMembers")))
    list_now(worker)
    assert len(members()) == 250, "the second page is missing"
    assert list_now(worker).state == "done"
    assert len(members()) == 120


def test_a_page_that_is_too_much_for_github_is_read_in_parts(
    fake: FakeGitHub, core: TeamTruth, worker: GitHubAccess
) -> None:
    many_teams(fake, 30)
    fake.spoil(Fault(faults.too_heavy(), faults.larger_than(20), times=None))
    job = list_now(worker)
    while job.state != "done":
        job = list_now(worker)
    assert GitHubTeam.objects.count() == 31


def test_members_of_a_child_team_are_not_its_parents(fake: FakeGitHub, core: TeamTruth, worker: GitHubAccess) -> None:
    fake.world.add_team("web", CY, team_id=WEB, parent=core)
    list_now(worker)
    assert (set(members()), set(members(WEB))) == ({"ana", "ben"}, {"cy"})


def test_a_team_that_was_renamed_or_deleted_without_a_webhook_is_seen(
    fake: FakeGitHub, core: TeamTruth, worker: GitHubAccess
) -> None:
    list_now(worker)
    team = kept_team()
    core.slug, core.name = "kernel", "Kernel"
    list_now(worker)
    found = GitHubTeam.objects.get()
    assert (found.slug, found.name, found.is_deleted) == ("kernel", "Kernel", False)
    del fake.world.teams[CORE]
    list_now(worker)
    assert GitHubTeam.objects.get().is_deleted
    assert memberships(team) == {("ana", None, 0), ("ben", None, 0)}


def without_teams(asked: Asked, answer: Answered) -> Answered:
    """The list has none, and says so."""
    teams = answer.body["data"]["organization"]["teams"]
    teams["nodes"], teams["totalCount"] = [], 0
    return answer


def test_no_team_is_deleted_that_github_still_shows(fake: FakeGitHub, core: TeamTruth, worker: GitHubAccess) -> None:
    list_now(worker)
    fake.spoil(Fault(without_teams, page_of("TeamPage"), is_instead=False))
    job = list_now(worker)
    assert (job.reason, job.error) == ("not_listed", "GitHub's list of teams lacked core.")
    assert members() == {"ana": None, "ben": None}


@pytest.mark.parametrize("code", [403, 500])
def test_no_team_is_deleted_of_which_github_says_nothing(
    fake: FakeGitHub, core: TeamTruth, worker: GitHubAccess, code: int
) -> None:
    list_now(worker)
    del fake.world.teams[CORE]
    fake.spoil(Fault(faults.status(code, {"message": "Must have admin rights"}), faults.below("/organizations/")))
    list_now(worker)
    assert not GitHubTeam.objects.get().is_deleted
    list_now(worker)
    assert GitHubTeam.objects.get().is_deleted


def test_without_the_permission_nothing_is_asked_and_it_is_said_in_words(
    fake: FakeGitHub, worker: GitHubAccess, settings: Any
) -> None:
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
    granted = fake.world.installations[ACME].permissions
    fake.world.installations[ACME].permissions = tuple(name for name in granted if name != "members")
    fake.world.add_team("core", ANA, team_id=CORE)
    install(fake, ACME)
    assert listed_teams.plan() == 0
    assert "On acme the App lacks permission Members" in describe(lacking_installations())
    assert fake.log == []


def test_a_permission_that_was_taken_back_meanwhile_removes_nobody(
    fake: FakeGitHub, core: TeamTruth, worker: GitHubAccess
) -> None:
    list_now(worker)
    fake.world.installations[ACME].permissions = ("metadata",)
    job = list_now(worker)
    assert (job.reason, members()) == ("forbidden", {"ana": None, "ben": None})
    status = status_of(job, now=timezone.now())
    assert "does not let the App read the organisation's teams" in status.why
    assert "Members: read" in status.advice
    asked = len(fake.log)
    Installation.objects.update(permissions={"metadata": "read"})
    assert (list_now(worker).state, len(fake.log)) == ("done", asked), "once it is known, nothing is asked"


def test_a_limit_is_waited_for(fake: FakeGitHub, core: TeamTruth, worker: GitHubAccess) -> None:
    fake.spoil(Fault(faults.secondary(retry_after_s=90), faults.graphql))
    job = list_now(worker)
    assert (job.reason, job.attempts, job.state) == ("blocked", 0, "waiting")
    assert 80 < (job.not_before - timezone.now()).total_seconds() < 95


def test_another_organisation_of_that_name_is_not_read(fake: FakeGitHub, core: TeamTruth, worker: GitHubAccess) -> None:
    core.organization = fake.world.installations[ACME].account = Account(777, "acme", "Organization")
    assert "another account by now" in list_now(worker).error
    assert not GitHubTeam.objects.exists()


def test_a_personal_account_has_no_teams(fake: FakeGitHub, settings: Any) -> None:
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
    fake.world.install(BETA, person(600, "dee"))
    install(fake, BETA)
    assert listed_teams.plan() == 0
    assert fake.log == []
