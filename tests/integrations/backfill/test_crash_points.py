"""A worker dies once at each point where a page is half done: the walk ends whole, and GitHub is asked once more."""

from pathlib import Path

import pytest

from apps.activity.models import Coverage, PullRequest, Repository
from apps.common.failpoints import READING_POINTS
from apps.integrations.models import Backfill
from tests.activity.tables import contents
from tests.emptying import empty
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, forget_everything
from tests.integrations.backfill.crew import Crew
from tests.integrations.backfill.installed import backfill
from tests.integrations.backfill.real_worker import enqueue_until_finished, working

pytestmark = pytest.mark.django_db(transaction=True)
FACTS = ("activity_pullrequest", "activity_pullrequestevent", "activity_pullrequestcommit", "activity_review")


def begin(api: Repository) -> Backfill:
    """Nothing was read yet."""
    empty([*FACTS, "activity_provenance", "activity_coverage", "activity_change", "integrations_backfill", "jobs_job"])
    return backfill(api, installation_id=ACME, page_size=10)


def counts() -> dict[str, int]:
    return {name: len(rows) for name, rows in contents().items()}


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_a_death_at_any_point_repeats_one_page_and_doubles_nothing(
    fake: FakeGitHub, api: Repository, crew: Crew, tmp_path: Path
) -> None:
    undisturbed = crew.advance(begin(api))
    expected, pages = counts(), len(fake.calls("graphql"))
    assert undisturbed.pages == pages
    with working(fake, crash_folder=tmp_path):
        for point in sorted(READING_POINTS):
            row, asked = begin(api), len(fake.calls("graphql"))
            forget_everything()
            (tmp_path / point).touch()
            enqueue_until_finished()
            row.refresh_from_db()
            assert not (tmp_path / point).exists(), f"nobody came to {point}"
            assert (row.state, row.items, row.pages) == ("done", 30, pages), point
            assert row.claim_number >= 2, "it was taken over"
            assert len(fake.calls("graphql")) - asked <= pages + 1, point
            assert counts() == expected, point
            assert Coverage.objects.count() == 1, point
            assert PullRequest.objects.count() == 30, point
