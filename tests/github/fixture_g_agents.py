"""Fixture G10 of METRICS.md and other evidence of AI tools: a week of acme/api, as deliveries."""

from datetime import datetime

from apps.demo.pull_request_life import PullRequestLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import Scenario, Sent
from apps.demo.shapes.accounts import Account, person
from tests.github.fixture_a import ACME, ANA, BEN, CODERABBIT, CY, DEPENDABOT, REPOSITORY_ID
from tests.github.translation import at

COPILOT = person(511, "copilot-swe-agent[bot]")
DEVIN = person(512, "devin-ai-integration[bot]")
REVIEWER = person(513, "copilot-pull-request-reviewer[bot]")
WRITTEN = "Sorts by name.\n\n\N{ROBOT FACE} Generated with [Claude Code](https://claude.com/claude-code)"


def hour(text: str) -> datetime:
    return at("03-03", text)


def opened(api: RepositoryLife, number: int, author: Account, *, branch: str, body: str = "") -> PullRequestLife:
    """Every pull request is opened at nine and merged at noon."""
    life = PullRequestLife(api, number=number, author=author, title=f"Change {number}", branch=branch, body=body)
    life.push(hour("08:50"), authored_at=hour("08:00"))
    life.open(hour("09:00"))
    return life


def fixture_g_agents() -> list[Sent]:
    """Every delivery in GitHub's order."""
    scenario = Scenario("fixture-g10", owner=ACME)
    api = RepositoryLife(scenario, identity=REPOSITORY_ID, name="api", created_at=at("01-05", "09:00"))
    api.create(at("01-05", "09:00"), by=ANA)
    scenario.install(at("02-20", "09:00"), api.now)
    lives = (tell_of_agents(api), tell_of_evidence(api), tell_of_none(api))
    for life in (one for lives_of_kind in lives for one in lives_of_kind):
        life.merge(hour("12:00"), by=BEN)
    return scenario.deliveries()


def tell_of_agents(api: RepositoryLife) -> tuple[PullRequestLife, ...]:
    """1 is attributed to ana, who is assigned, and 2 to ben, who asked for a review; 3 is a bot's."""
    first = opened(api, 1, COPILOT, branch="copilot/fix-search")
    first.request_review(hour("09:10"), of=CY, by=BEN)
    for account in (COPILOT, ANA, CY):
        first.assign(hour("09:30"), to=account, by=ANA)
    second = opened(api, 2, DEVIN, branch="devin/1-fix")
    second.assign(hour("09:10"), to=CY, by=CY)
    second.request_review(hour("09:20"), of=CY, by=BEN)
    second.request_review(hour("09:30"), of=ANA, by=ANA)
    second.unassign(hour("09:40"), of=CY)
    return first, second, opened(api, 3, DEPENDABOT, branch="dependabot/pip/requests")


def tell_of_evidence(api: RepositoryLife) -> tuple[PullRequestLife, ...]:
    """4 by a trailer and reviewed too, 5 by its description, 6 by a label, 7 by its branch."""
    fourth = opened(api, 4, BEN, branch="ben/sort")
    fourth.push(hour("09:30"), message="Sort\n\nAssisted-by: Claude\n\nSigned-off-by: Ben <ben@example.com>")
    fourth.review(hour("10:00"), by=CODERABBIT, state="commented")
    fifth = opened(api, 5, CY, branch="cy/export", body=WRITTEN)
    sixth = opened(api, 6, CY, branch="cy/index")
    sixth.label(hour("09:30"), "AI-generated")
    return fourth, fifth, sixth, opened(api, 7, BEN, branch="codex/cache")


def tell_of_none(api: RepositoryLife) -> tuple[PullRequestLife, ...]:
    """8 looks as if; a tool reviewed 9 when it was merged, and its label was taken away."""
    eighth = opened(api, 8, CY, branch="claudes-fix", body="Generated with protoc.\n\nThis is not about Copilot.")
    eighth.push(hour("09:30"), message="Fix\n\nCo-authored-by: Claude Monet <claude@example.com>")
    eighth.label(hour("09:40"), "area: copilot")
    ninth = opened(api, 9, BEN, branch="ben/docs")
    ninth.label(hour("09:30"), "codex")
    ninth.unlabel(hour("09:40"), "codex")
    ninth.review(hour("12:30"), by=REVIEWER, state="commented")
    return eighth, ninth
