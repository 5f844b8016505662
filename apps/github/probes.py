"""Asking many repositories at once whether anything changed. Pure: the document, its variables, its answer.

Four lists each: 35 repositories are 140 requests by GitHub's formula, a point. A pull request that is asked for by its
number, without its lists, costs nothing beside them; a hundred of them alone are a point.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.github.objects.graphql import account
from apps.github.payload import parse_time
from apps.webhooks.parsing import UnusablePayloadError

Json = dict[str, Any]
MOST_AT_ONCE = 35
MOST_PULL_REQUESTS = 100

PULL_REQUESTS, ISSUES, RELEASES, DEPLOYMENTS = "pull_requests", "issues", "releases", "deployments"
COMMITS, WORKFLOW_RUNS = "commits", "workflow_runs"
ISSUE_COMMENTS, REVIEW_COMMENTS = "issue_comments", "review_comments"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is asked of one repository: how its lists stand, and how these of its pull requests do."""

    repository_id: int
    full_name: str
    numbers: tuple[int, ...] = ()
    is_probed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a probe tells of a stream: a mark that is the same as long as nothing changed, and when something last did.

    `count` is how many there are, where GitHub counts them; `moved_at` is None where there is nothing.
    """

    mark: Json
    moved_at: datetime | None
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A repository as a probe shows it. `pull_requests` are those asked for that GitHub shows, as they are."""

    described: Json
    """In REST's shape."""
    streams: Mapping[str, Told]
    pull_requests: Mapping[int, Json]


def probe_query(places: Sequence[Place]) -> tuple[str, dict[str, Any]]:
    """The document that asks all of these, and its variables."""
    declared = ", ".join(f"$owner{at}: String!, $name{at}: String!" for at in range(len(places)))
    asked = "".join(_ask(at, place) for at, place in enumerate(places))
    shared = "".join(
        text
        for text, is_used in (
            (_PROBED, any(place.is_probed for place in places)),
            (_PULL_REQUEST, any(place.numbers for place in places)),
        )
        if is_used
    )
    variables: dict[str, Any] = {}
    for at, place in enumerate(places):
        owner, _, name = place.full_name.partition("/")
        variables |= {f"owner{at}": owner, f"name{at}": name}
    return f"query Probe({declared}) {{ rateLimit {{ cost }}\n{asked}}}\n{shared}", variables


def read_probe(data: Mapping[str, Any], at: int, *, place: Place) -> Probe | None:
    """What the answer says of this place; None where the repository is not there, or another has its name.

    UnusablePayloadError where it is not shaped as asked for.
    """
    found = data.get(_name(at))
    if not isinstance(found, Mapping) or found.get("databaseId") != place.repository_id:
        return None
    seen = {number: found.get(f"pull{number}") for number in place.numbers}
    pull_requests = {number: dict(node) for number, node in seen.items() if isinstance(node, Mapping)}
    if not place.is_probed:
        return Probe(described={}, streams={}, pull_requests=pull_requests)
    try:
        return Probe(described=_described(found), streams=dict(_streams(found)), pull_requests=pull_requests)
    except (KeyError, TypeError, AttributeError) as error:
        raise UnusablePayloadError("shape_mismatch", f"the probe of {place.full_name} has no {error}") from error


def _name(at: int) -> str:
    return f"repository{at}"


def _ask(at: int, place: Place) -> str:
    numbers = " ".join(
        f"pull{number}: pullRequest(number: {number}) {{ ...ProbedPullRequest }}" for number in place.numbers
    )
    shown = "...Probed" if place.is_probed else "databaseId"
    return f"{_name(at)}: repository(owner: $owner{at}, name: $name{at}) {{ {shown} {numbers} }}\n"


_PROBED = """
fragment Probed on Repository {
  databaseId
  nameWithOwner
  owner { __typename id login ... on User { databaseId } ... on Organization { databaseId } }
  isArchived
  isFork
  isPrivate
  createdAt
  updatedAt
  pushedAt
  defaultBranchRef { name target { oid } }
  pullRequests(first: 1, orderBy: { field: UPDATED_AT, direction: DESC }) { totalCount nodes { updatedAt } }
  issues(first: 1, orderBy: { field: UPDATED_AT, direction: DESC }) { totalCount nodes { updatedAt } }
  releases(first: 1, orderBy: { field: CREATED_AT, direction: DESC }) { totalCount nodes { createdAt updatedAt } }
  deployments(first: 1, orderBy: { field: CREATED_AT, direction: DESC }) { totalCount nodes { createdAt updatedAt } }
}
"""
_PULL_REQUEST = """
fragment ProbedPullRequest on PullRequest {
  number title state isDraft updatedAt closedAt mergedAt baseRefName headRefName headRefOid
}
"""


def _described(found: Mapping[str, Any]) -> Json:
    return {
        "id": found["databaseId"],
        "full_name": found["nameWithOwner"],
        "owner": account(found["owner"]),
        "default_branch": (found["defaultBranchRef"] or {}).get("name"),
        "private": found["isPrivate"],
        "archived": found["isArchived"],
        "fork": found["isFork"],
        "created_at": found["createdAt"],
        "updated_at": found["updatedAt"],
        "pushed_at": found["pushedAt"],
    }


def _streams(found: Mapping[str, Any]) -> Iterator[tuple[str, Told]]:
    """Comments have no list of their own in a probe: one moves its issue or pull request."""
    pulls, issues = _listed(found["pullRequests"]), _listed(found["issues"])
    yield PULL_REQUESTS, pulls
    yield ISSUES, issues
    yield RELEASES, _listed(found["releases"])
    yield DEPLOYMENTS, _listed(found["deployments"])
    pushed_at = parse_time(found["pushedAt"])
    head = ((found["defaultBranchRef"] or {}).get("target") or {}).get("oid")
    yield COMMITS, Told(mark={"head": head}, moved_at=pushed_at)
    yield WORKFLOW_RUNS, Told(mark={"pushed_at": found["pushedAt"]}, moved_at=pushed_at)
    yield REVIEW_COMMENTS, Told(mark={PULL_REQUESTS: pulls.mark}, moved_at=pulls.moved_at)
    latest = max((at for at in (pulls.moved_at, issues.moved_at) if at), default=None)
    yield ISSUE_COMMENTS, Told(mark={PULL_REQUESTS: pulls.mark, ISSUES: issues.mark}, moved_at=latest)


def _listed(connection: Mapping[str, Any]) -> Told:
    newest: Mapping[str, Any] = next(iter(connection["nodes"]), {})
    times = [at for value in newest.values() if (at := parse_time(value))]
    count = int(connection["totalCount"])
    return Told(mark={"count": count, **newest}, moved_at=max(times, default=None), count=count)
