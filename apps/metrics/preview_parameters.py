"""Previews from what the API or the command was asked: which rule of which team."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError

from apps.activity.models import Contributor
from apps.metrics.figures import FigureQuery, Window
from apps.metrics.parameters import find_repository
from apps.metrics.previews import Preview, build_rule, preview_production, preview_rule
from apps.teams.accounts import contributors_of
from apps.teams.models import Team
from apps.teams.visibility import repositories_of

PRODUCTION = "production"
FIELDS: Mapping[str, tuple[str, ...]] = {
    PRODUCTION: ("environments",),
    "service": ("repository", "field", "pattern", "service"),
    "hotfix": ("repository", "field", "pattern"),
    "account": ("login", "account_class"),
    "deployment_source": ("repository", "source", "pattern"),
    "incident": ("repository", "field", "pattern", "most_hours"),
}
MODEL_FIELDS = {"source": "kind", "login": "contributor"}
"""What a field of the request is called in the rule, where that differs."""


def make_preview(team: Team, asked: dict[str, Any], *, seconds: float) -> Preview:
    """Return the preview of what is asked for; Django's ValidationError names wrong fields as the rule does."""
    kind = asked.pop("kind")
    query = FigureQuery(team=team, window=window_of(team, asked.pop("window")))
    if kind == PRODUCTION:
        return preview_production(query, asked.get("environments", []))
    if named := asked.pop("repository", ""):
        asked["repository_id"] = find_repository(repositories_of(Team.objects.filter(pk=team.pk)), named)
    if kind == "account":
        asked["login"] = find_account(team, asked.get("login", ""))
    values = {MODEL_FIELDS.get(name, name): value for name, value in asked.items()}
    return preview_rule(query, build_rule(kind, values), seconds=seconds)


def window_of(team: Team, name: str) -> Window:
    try:
        return Window.named(name, time_zone=team.time_zone)
    except ValueError as error:
        raise ValidationError({"window": str(error)}) from error


def find_account(team: Team, login: str) -> Contributor:
    """Return the account of that login that the team knows."""
    found = contributors_of(Team.objects.filter(pk=team.pk)).filter(login__iexact=login).first()
    if found is None:
        raise ValidationError({"login": f"No account {login!r} belongs to the team or its repositories."})
    return found


def in_words_of_the_request(error: ValidationError) -> dict[str, list[str]]:
    """Return the messages by the fields of the request."""
    names = {ours: theirs for theirs, ours in MODEL_FIELDS.items()}
    return {names.get(name, name): messages for name, messages in error.message_dict.items()}
