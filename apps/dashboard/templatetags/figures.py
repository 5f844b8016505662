"""Template filters that format values."""

import re

from django import template
from django.utils.formats import date_format
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

from apps.metrics.explanation.boundaries import Candidate
from apps.metrics.figures import Entity, Window, formatting
from apps.metrics.figures.entities import github_url

register = template.Library()
BACKTICKED = re.compile(r"`([^`]+)`")


@register.filter
def words(value: float | None, unit: str) -> str:
    """Return a value as text; the unit is included only where it is part of the text."""
    return formatting.as_words(value, unit=unit)


@register.filter
def exact(value: float | None) -> str:
    """Return a value as a program reads it; empty without one."""
    return "" if value is None else f"{value:.10g}"


@register.filter
def unit_beside(unit: str) -> str:
    """Return the unit to show after the value; empty where the value already has it."""
    return formatting.unit_beside(unit)


@register.filter
def as_days(window: Window) -> str:
    """Return the first and last day of a window; the year once if it is the same."""
    year = "" if window.start.year == window.last_day.year else " Y"
    return f"{date_format(window.start, f'j M{year}')} \N{EN DASH} {date_format(window.last_day, 'j M Y')}"


@register.filter
def spaced(key: str) -> str:
    """Return a key with spaces."""
    return key.replace("_", " ")


@register.filter
def on_github(entity: Entity) -> str:
    """Return the URL of the entity on GitHub."""
    return github_url(entity)


@register.filter
def with_code(text: str) -> SafeString:
    """Return escaped text with backticked parts as code."""
    return mark_safe(BACKTICKED.sub(r"<code>\1</code>", conditional_escape(text)))  # noqa: S308  escaped just here


@register.filter
def unlocalized(value: float) -> str:
    """Return a number for a drawing, whatever the language."""
    return f"{value:g}"


@register.filter
def candidate_words(candidate: Candidate) -> str:
    """Return what an instant could have been taken from: its kind, and its name in short."""
    if candidate.kind == "commit":
        return f"commit {candidate.name[:7]}"
    if candidate.kind == "review":
        return f"review ({candidate.verdict.replace('_', ' ')})" if candidate.verdict else "review"
    return candidate.name if candidate.name.startswith(candidate.kind) else candidate.kind.replace("_", " ")
