"""Asking GitHub for pull requests of any repositories by their numbers, up to 25 in one request of one point."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from apps.github.answers import Answer
from apps.github.responses import REFUSALS
from apps.integrations.backfill.walking import Reader, Unanswered
from apps.integrations.backfill.walks.pull_request_nodes import Found, errors_below, node_found
from apps.integrations.enrichment.finding import Wanted
from apps.webhooks.errors import WRONG_SHAPE
from apps.webhooks.processing.verdicts import describe

MOST = 25
"""As many places as the document has: 125 connections are a point, 30 pull requests would be two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What came of one pull request: what was found, or why there is nothing."""

    wanted: Wanted
    found: Found = field(default_factory=Found)
    why: str = ""


def read_by_number(batch: Sequence[Wanted], *, reader: Reader) -> list[Read]:
    """Each of the batch as GitHub shows it; Unanswered where it says no to something else than these pull requests."""
    try:
        answer = reader.graphql("pull_requests_by_number", variables(batch))
    except Unanswered as unanswered:
        refused = list(_refused(unanswered.answer, batch))
        if len(refused) < len(batch):
            raise
        return refused
    return [_read(wanted, answer=answer, name=_name(place)) for place, wanted in enumerate(batch)]


def variables(batch: Sequence[Wanted]) -> dict[str, Any]:
    """Those of the document, in as many of its places as are needed."""
    asked: dict[str, Any] = {}
    for place, wanted in enumerate(batch):
        owner, _, name = wanted.full_name.partition("/")
        asked |= {f"has{place}": True, f"owner{place}": owner, f"name{place}": name, f"number{place}": wanted.number}
    return asked


def _name(place: int) -> str:
    return f"at{place}"


def _refused(answer: Answer, batch: Sequence[Wanted]) -> Iterator[Read]:
    """Those that the answer refuses by name: where GitHub shows none at all, it is not the request that is refused."""
    for place, wanted in enumerate(batch):
        words = _words(answer, _name(place))
        if answer.kind in REFUSALS and words:
            yield Read(wanted=wanted, why=words)


def _read(wanted: Wanted, *, answer: Answer, name: str) -> Read:
    repository = answer.data.get(name)
    if repository is None:
        return Read(wanted=wanted, why=_words(answer, name) or "GitHub does not show the repository.")
    if repository.get("databaseId") not in {None, wanted.repository_id}:
        return Read(wanted=wanted, why=f"Another repository is {wanted.full_name} now.")
    node = repository.get("pullRequest")
    if node is None:
        return Read(wanted=wanted, why=_words(answer, name) or "GitHub does not show the pull request.")
    try:
        found = node_found(
            node,
            errors=errors_below(answer, (name, "pullRequest")),
            repository_id=wanted.repository_id,
            observed_at=answer.observed_at or timezone.now(),
        )
    except WRONG_SHAPE as error:
        return Read(wanted=wanted, why=describe(error))
    return Read(wanted=wanted, found=found, why="; ".join(skipped.why for skipped in found.skipped))


def _words(answer: Answer, name: str) -> str:
    return "; ".join(error.message or error.type for error in errors_below(answer, (name,)))
