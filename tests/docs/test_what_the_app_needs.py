"""README's list of permissions and events is what the code reads and handles."""

import re
from pathlib import Path

from apps.demo.shapes import accounts
from apps.github.permissions import (
    ALWAYS_SENT,
    MEMBER_EVENTS,
    OF_ORGANIZATIONS,
    PERMISSIONS,
    lack_of,
    listed,
    needed_events,
)

README = " ".join((Path(__file__).resolve().parents[2] / "README.md").read_text().split())


def named(label: str) -> set[str]:
    [words] = re.findall(rf"\*\*{label}\*\*[^:]*: ([^.]*)\.", README)
    return set(words.split(", "))


def test_the_readme_names_the_permissions() -> None:
    of_repositories = set(PERMISSIONS) - OF_ORGANIZATIONS
    assert named("Repository permissions") == set(listed(of_repositories).split(", "))
    assert named("Organization permissions") == set(listed(OF_ORGANIZATIONS).split(", "))
    assert set(PERMISSIONS.values()) == {"read"}


def test_the_readme_names_the_events_that_are_handled() -> None:
    assert named("Events") == set(listed(needed_events()).split(", "))


def test_the_demonstration_lacks_nothing() -> None:
    assert set(accounts.PERMISSIONS) == set(PERMISSIONS)
    assert set(accounts.EVENTS) == needed_events()


def test_what_is_sent_unasked_is_no_event_to_subscribe_to() -> None:
    assert not needed_events() & ALWAYS_SENT
    assert needed_events() >= MEMBER_EVENTS


def test_more_than_reading_is_enough_and_less_is_not() -> None:
    assert not lack_of(dict.fromkeys(PERMISSIONS, "write"), needed_events())
    lack = lack_of({**PERMISSIONS, "issues": "none"}, needed_events() - {"push"})
    assert (lack.permissions, lack.events, str(lack)) == (("issues",), ("push",), "permission Issues; event Push")
