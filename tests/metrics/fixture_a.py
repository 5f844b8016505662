"""Fixture A told as facts: six pull requests with their branch pushes, and the deployments around them."""

from typing import Any

from apps.activity.models import Repository
from apps.teams.models import Team, TeamMember, TeamRepository
from tests.metrics.steps import (
    API,
    PullRequestSteps,
    Step,
    deployed,
    instant,
    person,
    profile,
    pushed,
    record_facts,
    repository,
)

MOVES = instant("03-04 12:00")
MEMBERS = {
    "alpha": (("ana", None, MOVES), ("ben", None, None), ("talbot", None, None)),
    "beta": (("ana", MOVES, None), ("cy", None, None)),
    "platform": (("ben", None, None),),
}


def steps(*, has_baseline: bool = True) -> list[Step]:
    return [*pull_requests(), *pushes(), *deployments(has_baseline=has_baseline)]


def pull_requests() -> list[Step]:
    pull_requests = (
        PullRequestSteps(1, "ana")
        .opened("03-02 10:00", draft=True, head="a1")
        .reviewed("03-02 10:02", "coderabbitai[bot]", "commented")
        .ready("03-02 14:00")
        .reviewed("03-02 14:30", "ana", "commented")
        .reviewed("03-02 16:00", "ben", "changes_requested")
        .moved("03-02 17:00", "a2")
        .reviewed("03-03 09:00", "ben")
        .merged("03-03 10:00"),
        PullRequestSteps(2, "ben").opened("03-03 09:00", head="b1").merged("03-03 11:00"),
        PullRequestSteps(3, "cy")
        .opened("03-04 09:00", head="c1")
        .closed("03-04 12:00")
        .reopened("03-05 09:00")
        .reviewed("03-05 10:00", "ana")
        .merged("03-05 11:00"),
        PullRequestSteps(4, "dependabot[bot]")
        .opened("03-04 01:00", head="d1")
        .reviewed("03-04 01:30", "github-actions[bot]")
        .merged("03-04 02:00"),
        PullRequestSteps(5, "talbot")
        .opened("03-05 09:00", head="e1")
        .reviewed("03-05 12:00", "ben")
        .moved("03-05 15:00", "e2")
        .merged("03-05 16:00"),
        PullRequestSteps(6, "ben")
        .opened("03-05 18:30", head="f1", body="Reverts #5")
        .reviewed("03-05 18:40", "cy")
        .merged("03-05 18:45"),
    )
    return [step for one in pull_requests for step in one.steps]


def pushes() -> list[Step]:
    """Each branch, and the squashed commit that each merge puts on main; 5 is rebased by a forced push."""
    authors = ("ana", "ben", "cy", "dependabot[bot]", "talbot", "ben")
    merged = ("03-03 10:00", "03-03 11:00", "03-05 11:00", "03-04 02:00", "03-05 16:00", "03-05 18:45")
    on_main = [
        pushed(
            at, branch="main", before=f"main before {n}", after=f"merge-{n}", commits={f"merge-{n}": at}, login=login
        )
        for n, (login, at) in enumerate(zip(authors, merged, strict=True), start=1)
    ]
    talbots: dict[str, Any] = {
        "login": "talbot",
        "trailers": [("co-authored-by", "Claude <noreply@anthropic.com>")],
    }
    return [
        *on_main,
        pushed("03-02 09:30", branch="branch-1", after="a1", commits={"a0": "03-02 09:00", "a1": "03-02 09:20"}),
        pushed("03-02 17:00", branch="branch-1", before="a1", after="a2", commits={"a2": "03-02 16:50"}),
        pushed("03-03 08:59", branch="branch-2", after="b1", commits={"b1": "03-03 08:00"}, login="ben"),
        pushed("03-04 08:59", branch="branch-3", after="c1", commits={"c1": "03-04 08:30"}, login="cy"),
        pushed("03-04 00:59", branch="branch-4", after="d1", commits={"d1": "03-04 00:58"}, login="dependabot[bot]"),
        pushed("03-05 08:59", branch="branch-5", after="e1", commits={"e1": "03-01 09:00"}, **talbots),
        pushed(
            "03-05 15:00",
            branch="branch-5",
            before="e1",
            after="e2",
            commits={"e2": "03-01 09:00"},
            **talbots,
            forced=True,
        ),
        pushed("03-05 18:29", branch="branch-6", after="f1", commits={"f1": "03-05 18:28"}, login="ben"),
    ]


def deployments(*, has_baseline: bool = True) -> list[Step]:
    """The same run deploys again with a new id; a later deployment makes the earlier one inactive."""
    told = (
        deployed(100, statuses={"success": "02-27 12:00", "inactive": "03-03 12:00"}, sha="before"),
        deployed(101, statuses={"success": "03-03 11:30"}, environment="staging", sha="merge-2"),
        deployed(
            102,
            statuses={"in_progress": "03-03 11:55", "success": "03-03 12:00", "inactive": "03-05 17:00"},
            sha="merge-2",
        ),
        deployed(103, statuses={"failure": "03-05 16:30"}, run_id=9001, sha="merge-5"),
        deployed(104, statuses={"success": "03-05 17:00"}, run_id=9001, created="03-05 16:50", sha="merge-5"),
        deployed(105, statuses={"success": "03-05 19:00"}, sha="merge-6"),
        deployed(106, statuses={"success": "03-06 10:00"}, sha="merge-6"),
        deployed(107, statuses={"failure": "03-06 15:00"}, sha="merge-6"),
    )
    return [step for steps in told[0 if has_baseline else 1 :] for step in steps]


def people() -> Step:
    return tuple(profile(login) for login in ("ana", "ben", "cy", "talbot", "acme"))


def make_teams() -> dict[str, Team]:
    """The account's own team, without members, and those that share its repository."""
    record_facts(*people(), repository())
    teams = {"acme": Team.objects.create(name="acme", slug="acme", account_id=person("acme"))}
    for slug, members in MEMBERS.items():
        teams[slug] = Team.objects.create(name=slug.title(), slug=slug)
        TeamRepository.objects.create(team=teams[slug], repository=Repository.objects.get(pk=API))
        for login, since, until in members:
            TeamMember.objects.create(team=teams[slug], contributor_id=person(login), from_at=since, until_at=until)
    return teams
