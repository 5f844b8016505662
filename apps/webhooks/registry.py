"""The translator of each event and action. `apps.github.events` fills the registry; this app only looks up."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from apps.activity.facts import Fact


@dataclass(frozen=True, slots=True)
class Event:
    """A delivery as its translator sees it. `received_at` is its arrival; `action` is None where GitHub has none."""

    name: str
    action: str | None
    payload: Mapping[str, Any]
    hook_id: int
    guid: str
    received_at: datetime


Translator = Callable[[Event], Iterable[Fact]]


class Unrouted(StrEnum):
    """The reason why an event has no translator, as stored with its delivery."""

    LISTED = "ignored_event"  # GitHub publishes the event or action, and it says nothing that we use
    UNKNOWN_EVENT = "unknown_event"  # GitHub has added the event since
    UNKNOWN_ACTION = "unknown_action"  # other actions of the event have a translator


_translators: dict[tuple[str, str | None], Translator] = {}
_events: set[str] = set()
_published: set[str] = set()
_ignored_actions: set[tuple[str, str]] = set()


def translates(event_name: str, *actions: str) -> Callable[[Translator], Translator]:
    """Register the decorated function for these actions of the event; without actions, for an event that has none."""

    def register(translator: Translator) -> Translator:
        for action in actions or (None,):
            if (event_name, action) in _translators:
                raise ValueError(f"{event_name}.{action} has two translators.")
            _translators[event_name, action] = translator
        _events.add(event_name)
        return translator

    return register


def publishes(*event_names: str) -> None:
    """Name events that GitHub publishes: those without a translator are kept and ignored."""
    _published.update(event_names)


def ignores_actions(event_name: str, *actions: str) -> None:
    """Name actions of a translated event that are kept and ignored."""
    _ignored_actions.update((event_name, action) for action in actions)


def route(name: str, action: str | None) -> Translator | Unrouted:
    """Return the translator of this event and action, or why there is none."""
    translator = _translators.get((name, action))
    if translator is not None:
        return translator
    if action is not None and (name, action) in _ignored_actions:
        return Unrouted.LISTED
    if name in _events:
        return Unrouted.UNKNOWN_ACTION
    return Unrouted.LISTED if name in _published else Unrouted.UNKNOWN_EVENT


def routes() -> frozenset[tuple[str, str | None]]:
    """Return every (event, action) that has a translator."""
    return frozenset(_translators)


def published_events() -> frozenset[str]:
    """Return every event that GitHub publishes."""
    return frozenset(_published)


@contextmanager
def scoped_registration() -> Iterator[None]:
    """Undo on leaving whatever is registered inside; for tests that bring a translator of their own."""
    translators, events, published = dict(_translators), set(_events), set(_published)
    try:
        yield
    finally:
        for registered, before in ((_events, events), (_published, published)):
            registered.intersection_update(before)
        for route_of_test in _translators.keys() - translators.keys():
            del _translators[route_of_test]
