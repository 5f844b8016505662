"""Items that no page can show."""

import json

from tests.fake_github.answering import Answered, Asked
from tests.fake_github.faults import HTML, Fault


def hide(holding: str, *, of_path: str = "/graphql") -> Fault:
    """No page that holds these words is ever shown whole."""

    def matches(asked: Asked) -> bool:
        return asked.path == of_path and (not asked.is_graphql or asked.document["variables"].get("isWhole", True))

    def change(asked: Asked, answer: Answered) -> Answered:
        return Answered(502, HTML) if holding in json.dumps(answer.body) else answer

    return Fault(change, matches, times=None, is_instead=False)
