"""Probes of many repositories in one request. Pure: the document, its variables, its answer.

Four lists each: 35 repositories are 140 requests by GitHub's formula, a point. A pull request that is asked for by its
number, without its lists, costs nothing beside them; a hundred of them alone are a point.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.github.objects.graphql_as_rest import account
from apps.github.payload import parse_time
from apps.webhooks.parsing import UnusablePayloadError

Json = dict[str, Any]
MOST_AT_ONCE = 35
MOST_PULL_REQUESTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRequest:
    """A request for one repository: the state of its streams, and these of its pull requests."""

    repository_id: int
    full_name: str
    numbers: tuple[int, ...] = ()
    is_probed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedStream:
    """The probed state of a stream: a mark that is equal as long as nothing changed, and the time of the last change.

    `count` is how many there are, where GitHub counts them; `moved_at` is None where there is nothing.
    """

    mark: Json
    moved_at: datetime | None
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamProbe:
    """The GraphQL fields by which a probe reads a stream, and the function that parses them.

    `is_counted`: its mark has how many there are.
    """

    read: Callable[[Mapping[str, Any]], ProbedStream]
    fields: str = ""
    is_counted: bool = False


def newest_of(name: str, *, order: str = "CREATED_AT", fields: str = "createdAt updatedAt") -> StreamProbe:
    """Return fields for the length of this list of the repository and its newest item."""

    def read(found: Mapping[str, Any]) -> ProbedStream:
        newest: Mapping[str, Any] = next(iter(found[name]["nodes"]), {})
        times = [at for value in newest.values() if (at := parse_time(value))]
        count = int(found[name]["totalCount"])
        return ProbedStream(mark={"count": count, **newest}, moved_at=max(times, default=None), count=count)

    newest = f"{name}(first: 1, orderBy: {{ field: {order}, direction: DESC }})"
    return StreamProbe(read=read, fields=f"{newest} {{ totalCount nodes {{ {fields} }} }}", is_counted=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A probed repository. `pull_requests` are the requested ones that GitHub shows."""

    described: Json
    """In REST's shape."""
    streams: Mapping[str, ProbedStream]
    pull_requests: Mapping[int, Json]


def probe_query(requests: Sequence[ProbeRequest], *, streams: Mapping[str, StreamProbe]) -> tuple[str, dict[str, Any]]:
    """Return the document for these requests, and its variables."""
    declared = ", ".join(f"$owner{at}: String!, $name{at}: String!" for at in range(len(requests)))
    asked = "".join(_ask(at, request) for at, request in enumerate(requests))
    probed = _PROBED.format(streams="\n  ".join(stream.fields for stream in streams.values() if stream.fields))
    shared = "".join(
        text
        for text, is_used in (
            (probed, any(request.is_probed for request in requests)),
            (_PULL_REQUEST, any(request.numbers for request in requests)),
        )
        if is_used
    )
    variables: dict[str, Any] = {}
    for at, request in enumerate(requests):
        owner, _, name = request.full_name.partition("/")
        variables |= {f"owner{at}": owner, f"name{at}": name}
    return f"query Probe({declared}) {{ rateLimit {{ cost }}\n{asked}}}\n{shared}", variables


def read_probe(
    data: Mapping[str, Any], at: int, *, request: ProbeRequest, streams: Mapping[str, StreamProbe]
) -> Probe | None:
    """Return the answer to this request; None if the repository is not there, or another has its name.

    UnusablePayloadError where it is not shaped as asked for.
    """
    found = data.get(_name(at))
    if not isinstance(found, Mapping) or found.get("databaseId") != request.repository_id:
        return None
    seen = {number: found.get(f"pull{number}") for number in request.numbers}
    pull_requests = {number: dict(node) for number, node in seen.items() if isinstance(node, Mapping)}
    if not request.is_probed:
        return Probe(described={}, streams={}, pull_requests=pull_requests)
    try:
        probed = {name: stream.read(found) for name, stream in streams.items()}
        return Probe(described=_described(found), streams=probed, pull_requests=pull_requests)
    except (KeyError, TypeError, AttributeError) as error:
        raise UnusablePayloadError("shape_mismatch", f"the probe of {request.full_name} has no {error}") from error


def _name(at: int) -> str:
    return f"repository{at}"


def _ask(at: int, request: ProbeRequest) -> str:
    numbers = " ".join(
        f"pull{number}: pullRequest(number: {number}) {{ ...ProbedPullRequest }}" for number in request.numbers
    )
    shown = "...Probed" if request.is_probed else "databaseId"
    return f"{_name(at)}: repository(owner: $owner{at}, name: $name{at}) {{ {shown} {numbers} }}\n"


_PROBED = """
fragment Probed on Repository {{
  databaseId
  nameWithOwner
  owner {{ __typename id login ... on User {{ databaseId }} ... on Organization {{ databaseId }} }}
  isArchived
  isFork
  isPrivate
  createdAt
  updatedAt
  pushedAt
  defaultBranchRef {{ name target {{ oid }} }}
  {streams}
}}
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
