"""Items that spoil every page they are on."""

import json

from tests.fake_github.answering import Answered, Asked
from tests.fake_github.faults import HTML, Fault


def spoil_pages(words: str, *, holding: str, of_path: str = "/graphql", times: int | None = None) -> Fault:
    """No page that holds these words is ever shown, where the request asks for them by `words`."""

    def matches(asked: Asked) -> bool:
        text = asked.document["query"] if asked.is_graphql else str(asked.query)
        return asked.path == of_path and words in text

    def change(asked: Asked, answer: Answered) -> Answered:
        return Answered(502, HTML) if holding in json.dumps(answer.body) else answer

    return Fault(change, matches, times=times, is_instead=False)
