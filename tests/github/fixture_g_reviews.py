"""Cases 9 and 14 of fixture G of METRICS.md: a backport, and reviews that were requested of two people."""

from datetime import timedelta
from functools import partial

from apps.demo.pull_request_life import PullRequestLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import Scenario, Sent
from apps.demo.shapes.git import Commit, fake_sha
from tests.github.fixture_a import ACME, ANA, BEN, CODERABBIT, CY
from tests.github.translation import at

REPOSITORY_ID = 7_009
BACKPORT, REQUESTED = 1, 2
OPENED_AT = at("03-02", "10:00")


def fixture_g_reviews() -> list[Sent]:
    """Every delivery in GitHub's order."""
    scenario = Scenario("fixture-g-reviews", owner=ACME)
    api = RepositoryLife(scenario, identity=REPOSITORY_ID, name="api", created_at=OPENED_AT - timedelta(days=365))
    scenario.install(OPENED_AT - timedelta(days=200), api.now)
    tell_backport(api)
    tell_requests(api)
    return scenario.deliveries()


def tell_backport(api: RepositoryLife) -> None:
    authored_at = OPENED_AT - timedelta(days=182)
    landed_at = authored_at + timedelta(hours=2)
    original = Commit(fake_sha("original"), BEN, "Close the file", authored_at, authored_at)
    api.scenario.plan(landed_at, partial(api.push_to_main, landed_at, commits=(original,), by=BEN))
    backport = PullRequestLife(api, number=BACKPORT, author=ANA, title="Close the file", branch="ana/backport")
    committed_at = OPENED_AT - timedelta(hours=1)
    backport.push(OPENED_AT - timedelta(minutes=5), authored_at=authored_at, committed_at=committed_at, by=ANA)
    backport.open(OPENED_AT)
    backport.merge(at("03-02", "12:00"), by=ANA)


def tell_requests(api: RepositoryLife) -> None:
    requested = PullRequestLife(api, number=REQUESTED, author=ANA, title="Sort by name", branch="ana/sort")
    requested.push(at("03-03", "08:30"))
    requested.open(at("03-03", "08:40"))
    for account in (BEN, CY, CODERABBIT):
        requested.request_review(at("03-03", "09:00"), of=account)
    requested.review(at("03-03", "09:01"), by=CODERABBIT, state="commented")
    requested.comment(at("03-03", "10:00"), by=CY)
    requested.review(at("03-03", "11:00"), by=BEN, state="approved")
    requested.review(at("03-03", "13:00"), by=CY, state="approved")
    requested.merge(at("03-03", "14:00"), by=ANA)
