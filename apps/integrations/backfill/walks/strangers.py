"""Names are given out again: what another repository has by now is not this one's history."""

from dataclasses import replace

from apps.github.answers import Answer
from apps.github.responses import Kind, Verdict
from apps.integrations.backfill.walking import Errand, Unanswered


def refuse_stranger(answer: Answer, *, repository_id: object, errand: Errand) -> None:
    """Unanswered, as if it were gone, if the answer is about another repository than the errand's."""
    if repository_id != errand.repository_id:
        message = f"{errand.full_name} is another repository by now"
        raise Unanswered(replace(answer, verdict=Verdict(kind=Kind.GONE, message=message), data=None))
