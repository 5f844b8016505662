"""Fixture A of METRICS.md: one week of acme/api, with its branch pushes, as deliveries."""

from apps.demo.issue_life import IssueLife
from apps.demo.pull_request_life import PullRequestLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import Scenario, Sent
from apps.demo.shapes.accounts import Account, person
from tests.github.translation import at

REPOSITORY_ID = 7_001
ACME = Account(500, "acme", "Organization")
ANA = person(501, "ana")
BEN = person(502, "ben")
CY = person(503, "cy")
TALBOT = person(504, "talbot")
DEPENDABOT = person(505, "dependabot[bot]")
CODERABBIT = person(506, "coderabbitai[bot]")
ACTIONS = person(507, "github-actions[bot]")
PEOPLE = (ANA, BEN, CY, TALBOT)

WINDOW = (at("03-02", "00:00"), at("03-09", "00:00"))
ANA_CHANGES_TEAM_AT = at("03-04", "12:00")


def fixture_a(*, has_baseline: bool = True, has_late_deployment: bool = False) -> list[Sent]:
    """Every delivery in GitHub's order; `has_late_deployment` adds D1b, `has_baseline` is D0."""
    scenario = Scenario("fixture-a", owner=ACME)
    api = RepositoryLife(scenario, identity=REPOSITORY_ID, name="api", created_at=at("01-05", "09:00"))
    api.create(at("01-05", "09:00"), by=ANA)
    scenario.install(at("02-20", "09:00"), api.now)
    if has_baseline:
        api.deploy(at("02-27", "11:55"), to="production", by=ANA, finished_at=at("02-27", "12:00"), run_id=8999)
    tell_first(api)
    tell_second(api)
    tell_third(api)
    tell_fourth(api)
    tell_fifth(api)
    tell_sixth(api)
    tell_deployments(api, has_late_deployment=has_late_deployment)
    tell_incidents(api)
    return scenario.deliveries()


def tell_first(api: RepositoryLife) -> None:
    first = PullRequestLife(api, number=1, author=ANA, title="Sort by name", branch="ana/sort")
    first.push(at("03-02", "09:58"), authored_at=at("03-02", "09:00"))
    first.open(at("03-02", "10:00"), is_draft=True)
    first.review(at("03-02", "10:02"), by=CODERABBIT, state="commented")
    first.ready(at("03-02", "14:00"))
    first.review(at("03-02", "14:30"), by=ANA, state="commented")
    first.review(at("03-02", "16:00"), by=BEN, state="changes_requested")
    first.push(at("03-02", "17:00"))
    first.review(at("03-03", "09:00"), by=BEN, state="approved")
    first.merge(at("03-03", "10:00"), by=ANA)


def tell_second(api: RepositoryLife) -> None:
    second = PullRequestLife(api, number=2, author=BEN, title="Fix a typo", branch="ben/typo")
    second.push(at("03-03", "08:58"), authored_at=at("03-03", "08:00"))
    second.open(at("03-03", "09:00"))
    second.merge(at("03-03", "11:00"), by=BEN)


def tell_third(api: RepositoryLife) -> None:
    third = PullRequestLife(api, number=3, author=CY, title="Cache the index", branch="cy/cache")
    third.push(at("03-04", "08:58"), authored_at=at("03-04", "08:30"))
    third.open(at("03-04", "09:00"))
    third.close(at("03-04", "12:00"))
    third.reopen(at("03-05", "09:00"))
    third.review(at("03-05", "10:00"), by=ANA, state="approved")
    third.merge(at("03-05", "11:00"), by=CY)


def tell_fourth(api: RepositoryLife) -> None:
    fourth = PullRequestLife(
        api, number=4, author=DEPENDABOT, title="Bump requests from 2.31 to 2.32", branch="dependabot/pip/requests"
    )
    fourth.push(at("03-04", "00:59"), authored_at=at("03-04", "00:58"))
    fourth.open(at("03-04", "01:00"))
    fourth.review(at("03-04", "01:30"), by=ACTIONS, state="approved")
    fourth.merge(at("03-04", "02:00"), by=ACTIONS)


def tell_fifth(api: RepositoryLife) -> None:
    fifth = PullRequestLife(api, number=5, author=TALBOT, title="Stream the export", branch="talbot/stream")
    trailer = "Stream the export\n\nCo-authored-by: Claude <noreply@anthropic.com>"
    fifth.push(at("03-05", "08:58"), authored_at=at("03-01", "09:00"), message=trailer)
    fifth.open(at("03-05", "09:00"))
    fifth.review(at("03-05", "12:00"), by=BEN, state="approved")
    fifth.force_push(at("03-05", "15:00"))
    fifth.merge(at("03-05", "16:00"), by=TALBOT)


def tell_sixth(api: RepositoryLife) -> None:
    sixth = PullRequestLife(
        api,
        number=6,
        author=BEN,
        title='Revert "Stream the export"',
        branch="revert-5-talbot/stream",
        body="Reverts #5",
    )
    sixth.push(at("03-05", "18:29"), authored_at=at("03-05", "18:28"))
    sixth.open(at("03-05", "18:30"))
    sixth.review(at("03-05", "18:40"), by=CY, state="approved")
    sixth.merge(at("03-05", "18:45"), by=BEN)


def tell_deployments(api: RepositoryLife, *, has_late_deployment: bool) -> None:
    """S1 and D1 to D5: D1 names its run only in a link, D2 is one run of two attempts, D4 repeats the commit of D3."""
    api.deploy(at("03-03", "11:25"), to="staging", by=ACTIONS, finished_at=at("03-03", "11:30"), run_id=8999)
    api.deploy(
        at("03-03", "11:55"),
        to="production",
        by=ACTIONS,
        finished_at=at("03-03", "12:00"),
        run_id=9000,
        is_run_in_payload=False,
    )
    if has_late_deployment:
        api.deploy(at("03-04", "07:55"), to="production", by=ACTIONS, finished_at=at("03-04", "08:00"), run_id=8990)
    for asked, finished, state in (("16:25", "16:30", "failure"), ("16:55", "17:00", "success")):
        api.deploy(
            at("03-05", asked), to="production", by=ACTIONS, finished_at=at("03-05", finished), state=state, run_id=9001
        )
    api.deploy(at("03-05", "18:55"), to="production", by=ACTIONS, finished_at=at("03-05", "19:00"), run_id=9002)
    api.deploy(at("03-06", "09:55"), to="production", by=BEN, finished_at=at("03-06", "10:00"))
    api.deploy(at("03-06", "14:55"), to="production", by=BEN, finished_at=at("03-06", "15:00"), state="failure")


def tell_incidents(api: RepositoryLife) -> None:
    for number, opened in ((7, "18:00"), (8, "18:10")):
        incident = IssueLife(api, number=number, author=CY, title="Exports time out", body="Caused by #5")
        incident.open(at("03-05", opened), "incident")
        incident.close(at("03-05", "19:30"), by=BEN)
    outage = IssueLife(api, number=9, author=CY, title="The provider is down")
    outage.open(at("03-06", "20:00"), "incident", "external")
