"""Fixture E of METRICS.md: a pull request that goes back to draft."""

from apps.demo.pull_request_life import PullRequestLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import Scenario, Sent
from tests.github.fixture_a import ACME, ANA, BEN
from tests.github.translation import at

REPOSITORY_ID = 7_005
NUMBER = 1
DAY = "03-10"


def fixture_e(*, until: str = "23:59") -> list[Sent]:
    """Every delivery of the day up to this time."""
    scenario = Scenario("fixture-e", owner=ACME)
    web = RepositoryLife(scenario, identity=REPOSITORY_ID, name="web", created_at=at("01-05", "09:00"))
    web.create(at("01-05", "09:00"), by=ANA)
    churned = PullRequestLife(web, number=NUMBER, author=ANA, title="Redraw the chart", branch="ana/chart")
    churned.push(at(DAY, "09:58"), authored_at=at(DAY, "09:30"))
    churned.open(at(DAY, "10:00"), is_draft=True)
    churned.ready(at(DAY, "12:00"))
    churned.convert_to_draft(at(DAY, "13:00"))
    churned.ready(at(DAY, "15:00"))
    churned.review(at(DAY, "16:00"), by=BEN, state="approved")
    churned.merge(at(DAY, "18:00"), by=ANA)
    return [sent for sent in scenario.deliveries() if sent.at <= at(DAY, until)]
