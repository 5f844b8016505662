"""A pull request as GraphQL shows it, as the same facts that its webhooks become."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from apps.activity.facts import Fact
from apps.integrations.github.reading import Reading
from apps.integrations.github.snapshots.graphql_dialect import (
    commit_of_pull_request,
    is_complete,
    pull_request,
    review,
    timeline_item,
)
from apps.integrations.github.snapshots.pull_request_lists import (
    commit_facts,
    commit_list,
    merging_facts,
    timeline_facts,
)
from apps.integrations.github.snapshots.pull_requests import labels, pull_request_facts, review_facts

Node = Mapping[str, Any]


def pull_request_node_facts(node: Node, *, repository_id: int, observed_at: datetime) -> Iterator[Fact]:
    """Everything that a node of `fragment PullRequest` says, read at GitHub's `Date`; UnusablePayload if it cannot be.

    Lists that go on are taken as far as they go; whether all commits are there, and labels as a whole, is said only of
    a complete list: what goes on is finished by `pull_request_overflow_facts`, or by `extended` first.
    """
    parent = _parent(node, repository_id=repository_id, observed_at=observed_at)
    yield from pull_request_facts(parent, repository_id=repository_id)
    yield from _list_facts(node, parent=parent, repository_id=repository_id)
    yield from merging_facts(parent, repository_id=repository_id)


def pull_request_overflow_facts(
    node: Node, *, repository_id: int, observed_at: datetime, listed: int, has_lost: bool
) -> Iterator[Fact]:
    """What a page of `overflow.graphql` adds; labels are asked for from their start.

    `listed` commits of this head were told before; `has_lost` where some of them could not be shown.
    """
    parent = _parent(node, repository_id=repository_id, observed_at=observed_at)
    if node.get("labels") and is_complete(node["labels"]):
        stamp = parent.stamp(parent.time("updated_at"), is_merged=parent.time_or_none("merged_at") is not None)
        yield labels(parent, repository_id=repository_id, stamp=stamp)
    yield from _list_facts(node, parent=parent, repository_id=repository_id, listed=listed, has_lost=has_lost)


def _list_facts(
    node: Node, *, parent: Reading, repository_id: int, listed: int = 0, has_lost: bool = False
) -> Iterator[Fact]:
    for member in _members(node, "reviews"):
        shaped = parent.alike(review(member), path="pullRequest.review")
        yield from review_facts(shaped, pull_request=parent, repository_id=repository_id)
    for position, member in enumerate(_members(node, "commits"), start=listed):
        shaped = parent.alike(commit_of_pull_request(member), path="pullRequest.commit")
        yield from commit_facts(shaped, pull_request=parent, repository_id=repository_id, position=position)
    if not has_lost and node.get("commits") and is_complete(node["commits"]):
        count = listed + len(node["commits"]["nodes"])
        yield commit_list(parent, repository_id=repository_id, count=count)
    for member in _members(node, "timelineItems"):
        shaped = parent.alike(timeline_item(member), path=f"pullRequest.{member.get('__typename')}")
        yield from timeline_facts(shaped, repository_id=repository_id, number=parent.count("number"))


def _members(node: Node, name: str) -> list[Node]:
    return (node.get(name) or {}).get("nodes") or []


def _parent(node: Node, *, repository_id: int, observed_at: datetime) -> Reading:
    shaped = pull_request(node, repository_id=repository_id)
    return Reading(shaped, path="pullRequest", arrived_at=observed_at, observed_at=observed_at)
