"""The last change of what figures are computed from: written with each change, read to answer "not modified"."""

import hashlib
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from django.conf import settings
from django.utils import timezone

from apps.common import db
from apps.metrics.completeness import OF_FIGURES
from apps.metrics.completeness.knowledge import DIGESTS
from apps.metrics.figures import FIGURES, FigureQuery
from apps.metrics.models import TeamFreshness
from apps.teams.models import Team

NOTE_REPOSITORIES = """
    INSERT INTO metrics_repositoryfreshness AS known (repository_id, version, changed_at)
    SELECT repository_id, 1, now() FROM unnest(%s::bigint[]) AS repository_id
    ON CONFLICT (repository_id) DO UPDATE SET version = known.version + 1, changed_at = excluded.changed_at
"""


def note_repository_changes(repository_ids: Collection[int]) -> None:
    """Record, in the transaction of the derived rows, that those of the repositories changed.

    A counter and not a time: of two transactions, the one that began first may commit last.
    """
    if repository_ids:
        db.run(NOTE_REPOSITORIES, [sorted(repository_ids)])


def note_team_changes(team_ids: Collection[int]) -> None:
    """Record the change of teams; their members, zone and repositories apply when figures are read."""
    now = timezone.now()
    known = Team.objects.filter(pk__in=team_ids).values_list("pk", flat=True)
    TeamFreshness.objects.bulk_create(
        [TeamFreshness(team_id=team_id, changed_at=now) for team_id in sorted(known)],
        update_conflicts=True,
        unique_fields=["team"],
        update_fields=["changed_at"],
    )


STATE = f"""
    SELECT EXISTS (SELECT FROM activity_change),
           (SELECT sum(version) FROM metrics_repositoryfreshness WHERE repository_id = ANY(%(repositories)s::bigint[])),
           (SELECT changed_at FROM metrics_teamfreshness WHERE team_id = %(team)s),
           {DIGESTS}
"""  # noqa: S608  our own tables


def read_state(query: FigureQuery) -> tuple[Any, ...]:
    """Return what changes with the derived rows of the repositories, their completeness, and the team's settings."""
    parameters = {"repositories": list(query.repositories), "team": query.team.pk, "streams": list(OF_FIGURES)}
    [state] = db.run(STATE, parameters)
    vars(query)["is_recalculating"] = state[0]  # it is part of the answer, and need not be read again
    return state


def tag_of(query: FigureQuery, *chosen: Any, is_as_of_now: bool) -> str:
    """Return the ETag of figures: it changes with what they are computed from, and with each hour.

    The default `as_of` is not part of it, or no answer would ever be the same. An age grows without any change: within
    the hour, it stays as it was.
    """
    hour = query.as_of.replace(minute=0, second=0, microsecond=0)
    seen = hour if is_as_of_now else query.as_of
    parts = (_definitions(), query.window, query.bots, seen, chosen, *_inputs(query))
    return f'W/"{_digest(*parts)}"'


def _inputs(query: FigureQuery) -> Sequence[Any]:
    chosen = query.team.slug, query.team.production_environments, query.memberships
    return chosen, query.is_of_oneself, query.repositories, query.pending, read_state(query)


@cache
def _definitions() -> str:
    return _digest(
        *(settings.SMALLEST_GROUP, settings.SMALLEST_GROUP_ACROSS_TEAMS),
        *((one.key, one.title, one.unit, one.version, one.definition, one.rules) for one in FIGURES.values()),
    )


def _digest(*parts: Any) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()
