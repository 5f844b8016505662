"""One item by itself, when no page can show it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from apps.activity.facts import Fact
from apps.github.answers import Answer
from apps.github.payload import Reading
from apps.github.responses import REFUSALS, Kind
from apps.integrations.backfill.walking import Errand, Reader, Skipped, Unanswered
from apps.integrations.backfill.walks.lists import Gathered, gather

FAILING = {Kind.TRANSIENT, Kind.SHRINK}


def read_alone(
    path: str, *, what: str, errand: Errand, reader: Reader, parameters: Mapping[str, Any] | None = None
) -> Answer | Skipped:
    """What is below the repository's path, or why GitHub does not show it.

    Unanswered while we must wait, or where GitHub shows nothing of the repository: nothing is skipped for that.
    """
    try:
        return reader.get(f"{errand.address}{path}", parameters)
    except Unanswered as refusal:
        answer = refusal.answer
    if answer.kind not in REFUSALS | FAILING:
        raise Unanswered(answer)
    reader.get(errand.address)
    return Skipped(what=what, why=answer.verdict.message)


def gather_alone(
    path: str,
    *,
    what: str,
    errand: Errand,
    reader: Reader,
    facts_of: Callable[[Reading], Iterable[Fact]],
) -> Gathered:
    """The facts of the one item below the repository's path, else its name as skipped."""
    answer = read_alone(path, what=what, errand=errand, reader=reader)
    if isinstance(answer, Skipped):
        return Gathered(skipped=(answer,))
    gathered = gather([answer.data], answer=answer, noun=what.partition(" ")[0], key="id", facts_of=facts_of)
    return replace(gathered, skipped=tuple(replace(each, what=what) for each in gathered.skipped))
