"""The way through each stream."""

from collections.abc import Mapping

from apps.integrations.backfill.walking import Walk
from apps.integrations.backfill.walks.pull_requests import PullRequestWalk

WALKS: Mapping[str, Walk] = {"pull_requests": PullRequestWalk()}
