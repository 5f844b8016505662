"""What happens on our side, or on GitHub's, while GitHub answers."""

from collections.abc import Callable
from typing import Any

from django.db import connection

from tests.fake_github.answering import Answered, Asked
from tests.fake_github.faults import Fault, graphql


def during_page(number: int, act: Callable[[], Any]) -> Fault:
    """Do something while GitHub answers its page of this number, 1 for the first."""
    seen = 0

    def change(asked: Asked, answer: Answered) -> Answered:
        nonlocal seen
        seen += 1
        if seen == number:
            act()
            connection.close()  # nobody else ends what a thread of the fake has opened
        return answer

    return Fault(change, graphql, times=None, is_instead=False)
