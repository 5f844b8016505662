"""Template filters of the pages of operations."""

from django import template

from apps.metrics.figures import formatting

register = template.Library()
SHORT_S = 10.0


@register.filter
def precisely(seconds: float | None) -> str:
    """Return a duration as text; a short one with milliseconds."""
    if seconds is not None and 0 <= seconds < SHORT_S:
        return f"{seconds:.3f} s"
    return formatting.as_words(seconds, unit="seconds")
