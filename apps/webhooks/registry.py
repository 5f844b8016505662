"""Which translator makes facts of which event and action; `apps.integrations` fills it, this app only looks up."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from apps.activity.facts import Fact


@dataclass(frozen=True, slots=True)
class Event:
    """One delivery as a translator sees it; `received_at` is its arrival, `action` None where GitHub has none."""

    name: str
    action: str | None
    payload: Mapping[str, Any]
    hook_id: int
    guid: str
    received_at: datetime


Translator = Callable[[Event], Iterable[Fact]]


class Unrouted(StrEnum):
    """Why there is nothing to do for an event; the value is the reason that its delivery keeps."""

    LISTED = "ignored_event"  # known, and on the explicit list of events or of actions
    UNKNOWN_EVENT = "unknown_event"  # GitHub has added something since
    UNKNOWN_ACTION = "unknown_action"  # the event is translated, this action of it is not heard of


_translators: dict[tuple[str, str | None], Translator] = {}
_events: set[str] = set()
_ignored: set[str] = set()
_ignored_actions: set[tuple[str, str]] = set()


def translates(event_name: str, *actions: str) -> Callable[[Translator], Translator]:
    """Register the decorated function for these actions of the event; without actions, for an event that has none."""

    def register(translator: Translator) -> Translator:
        for action in actions or (None,):
            _claim_route(event_name, action)
            _translators[event_name, action] = translator
        _events.add(event_name)
        return translator

    return register


def ignores(*event_names: str) -> None:
    """Name the events that are kept and never translated."""
    for name in event_names:
        if name in _events:
            raise ValueError(f"The event {name} has a translator and cannot be ignored.")
    _ignored.update(event_names)


def ignores_actions(event_name: str, *actions: str) -> None:
    """Name the actions of a translated event that are kept and never translated."""
    for action in actions:
        if (event_name, action) in _translators:
            raise ValueError(f"The action {action} of {event_name} has a translator and cannot be ignored.")
        _ignored_actions.add((event_name, action))


def route(name: str, action: str | None) -> Translator | Unrouted:
    """The translator of this event and action, or why there is none."""
    translator = _translators.get((name, action))
    if translator is not None:
        return translator
    if action is not None and (name, action) in _ignored_actions:
        return Unrouted.LISTED
    if name in _events:
        return Unrouted.UNKNOWN_ACTION
    return Unrouted.LISTED if name in _ignored else Unrouted.UNKNOWN_EVENT


def routes() -> frozenset[tuple[str, str | None]]:
    """Every (event, action) that has a translator."""
    return frozenset(_translators)


def ignored_events() -> frozenset[str]:
    """Every event on the explicit ignored list."""
    return frozenset(_ignored)


def ignored_actions() -> frozenset[tuple[str, str]]:
    """Return every (event, action) on the explicit ignored list whose event has a translator for other actions."""
    return frozenset(_ignored_actions)


@contextmanager
def scoped_registration() -> Iterator[None]:
    """Undo on leaving whatever is registered inside; for tests that bring a translator of their own."""
    translators, events, ignored = dict(_translators), set(_events), set(_ignored)
    try:
        yield
    finally:
        _translators.clear()
        _translators.update(translators)
        _events.clear()
        _events.update(events)
        _ignored.clear()
        _ignored.update(ignored)


def _claim_route(event_name: str, action: str | None) -> None:
    if (event_name, action) in _translators:
        raise ValueError(f"Two translators want {event_name}.{action}.")
    if event_name in _ignored:
        raise ValueError(f"The event {event_name} is on the ignored list.")
