"""How much there is in repositories, many of them in one request. Pure: the document, its variables, its answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from apps.github.graphql import completed
from apps.github.payload import parse_time, write_time

MOST_AT_ONCE = 20
"""Six counts each: with so many repositories it is still a point, by GitHub's formula (150 requests would be two)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What GitHub counts in a repository: issues, commits and pull requests only those since, if a time was given."""

    created_at: datetime
    pull_requests: int
    issues: int
    commits: int
    releases: int
    deployments: int


def totals_query(full_names: Sequence[str], *, since: datetime | None) -> tuple[str, dict[str, Any]]:
    """The document that counts in all of these repositories, and its variables.

    No list of pull requests can be bounded by when they were updated; a search can, and is counted without its results.
    """
    places = range(len(full_names))
    declared = "".join(f", $owner{place}: String!, $name{place}: String!, $updated{place}: String!" for place in places)
    asked = "".join(_ASKED.format(place=place) for place in places)
    text = f"query Totals({_SHARED}{declared}) {{ rateLimit {{ cost }} {asked} }}\n"
    bound = write_time(since) if since else None
    variables: dict[str, Any] = {"since": bound, "committedSince": bound, "isBounded": bound is not None}
    for place, full_name in enumerate(full_names):
        owner, _, name = full_name.partition("/")
        updated = f"repo:{full_name} is:pr updated:>={bound}" if bound else ""
        variables |= {f"owner{place}": owner, f"name{place}": name, f"updated{place}": updated}
    return completed(text), variables


_SHARED = "$since: DateTime, $committedSince: GitTimestamp, $isBounded: Boolean!"
_ASKED = """
    repository{place}: repository(owner: $owner{place}, name: $name{place}) {{ ...RepositoryTotals }}
    updated{place}: search(query: $updated{place}, type: ISSUE) @include(if: $isBounded) {{ issueCount }}
"""


def read_totals(data: Mapping[str, Any], place: int, *, repository_id: int) -> Totals | None:
    """What the answer says of the repository at this place; None where it is not there, or another has its name."""
    found = data.get(f"repository{place}")
    if not isinstance(found, Mapping) or found.get("databaseId") not in {None, repository_id}:
        return None
    counts = {name: found[name]["totalCount"] for name in ("pullRequests", "issues", "releases", "deployments")}
    updated = data.get(f"updated{place}")
    branch = found.get("defaultBranchRef") or {}
    history = (branch.get("target") or {}).get("history") or {}
    return Totals(
        created_at=parse_time(found["createdAt"]) or datetime.now(UTC),
        pull_requests=updated["issueCount"] if updated else counts["pullRequests"],
        issues=counts["issues"],
        commits=history.get("totalCount", 0),
        releases=counts["releases"],
        deployments=counts["deployments"],
    )
