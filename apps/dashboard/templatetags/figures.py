"""Values as the pages write them."""

import re

from django import template
from django.utils.formats import date_format
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

from apps.metrics.figures import Entity, Window, formatting
from apps.metrics.figures.entities import github_url

register = template.Library()
BACKTICKED = re.compile(r"`([^`]+)`")


@register.filter
def words(value: float | None, unit: str) -> str:
    """A value in words, without its unit where that is not part of it."""
    return formatting.as_words(value, unit=unit)


@register.filter
def unit_beside(unit: str) -> str:
    """The unit as it stands beside a value; empty where the value says it."""
    return formatting.unit_beside(unit)


@register.filter
def as_days(window: Window) -> str:
    """Its first and its last day; the year once, where it is the same."""
    year = "" if window.start.year == window.last_day.year else " Y"
    return f"{date_format(window.start, f'j M{year}')} \N{EN DASH} {date_format(window.last_day, 'j M Y')}"


@register.filter
def spaced(key: str) -> str:
    """A key as words."""
    return key.replace("_", " ")


@register.filter
def on_github(entity: Entity) -> str:
    """The address of its page on GitHub."""
    return github_url(entity)


@register.filter
def with_code(text: str) -> SafeString:
    """Text with what stands between backticks as code; everything is escaped first."""
    return mark_safe(BACKTICKED.sub(r"<code>\1</code>", conditional_escape(text)))  # noqa: S308  escaped just here
