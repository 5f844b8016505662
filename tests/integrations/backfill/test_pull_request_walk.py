"""The walk through pull requests brings all of them, whole, whatever is in its way."""

import pytest

from apps.activity.models import PullRequest
from apps.integrations.github.access import GitHubAccess
from tests.fake_github.server import FakeGitHub
from tests.integrations.backfill.walking import errand, walk_through

pytestmark = pytest.mark.django_db


def test_every_pull_request_is_read_and_what_is_long_is_finished(fake: FakeGitHub, worker: GitHubAccess) -> None:
    walked = walk_through(worker, errand())
    assert walked.items == PullRequest.objects.count() == 30
    assert walked.pages[0].total == 30
    assert walked.skipped == []
    assert not PullRequest.objects.filter(listed_commit_count=None).exists()
