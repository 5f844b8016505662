"""Previews from what the API or the command was asked: which rule of which team."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from apps.activity.models import Contributor
from apps.metrics.figures import FigureQuery, Window
from apps.metrics.query_parameters import find_repository
from apps.metrics.rule_previews import KINDS, Preview, Rule, build_rule, preview_production, preview_rule
from apps.teams.models import Team
from apps.teams.visibility import contributors_of, repositories_of

PRODUCTION = "production"
MOST_RULES = 20
FIELDS: Mapping[str, tuple[str, ...]] = {
    PRODUCTION: ("environments",),
    "service": ("repository", "field", "pattern", "service"),
    "hotfix": ("repository", "field", "pattern"),
    "account": ("login", "account_class"),
    "deployment_source": ("repository", "source", "pattern"),
    "incident": ("repository", "field", "pattern", "most_hours"),
}
REPLACES = "replaces"
"""What names the rule that is replaced, or removed where nothing else of a rule is given; production has no id."""
MODEL_FIELDS = {"source": "kind", "login": "contributor"}
"""What a field of the request is called in the rule, where that differs."""


def fields_of(kind: str) -> tuple[str, ...]:
    """Return what a request for a preview of a rule of this kind may have."""
    return FIELDS[kind] if kind == PRODUCTION else (*FIELDS[kind], REPLACES)


def make_preview(team: Team, asked: dict[str, Any], *, seconds: float) -> Preview:
    """Return the preview of what is asked for; Django's ValidationError names wrong fields as the rule does."""
    kind = asked.pop("kind")
    query = FigureQuery(team=team, window=window_of(team, asked.pop("window")))
    if kind == PRODUCTION:
        return preview_production(query, asked.get("environments", []))
    replaced = find_rule(team, kind, asked.pop(REPLACES)) if REPLACES in asked else None
    if replaced and not asked:
        return preview_rule(query, None, seconds=seconds, replaces=replaced)
    if named := asked.pop("repository", ""):
        asked["repository_id"] = find_repository(repositories_of(Team.objects.filter(pk=team.pk)), named)
    if kind == "account":
        asked["login"] = find_account(team, asked.get("login", ""))
    values = {MODEL_FIELDS.get(name, name): value for name, value in asked.items()}
    return preview_rule(query, build_rule(kind, values), seconds=seconds, replaces=replaced)


def window_of(team: Team, name: str) -> Window:
    try:
        return Window.named(name, time_zone=team.time_zone)
    except ValueError as error:
        raise ValidationError({"window": str(error)}) from error


def find_rule(team: Team, kind: str, identity: int) -> Rule:
    """Return the rule of that kind and id, which applies to the team."""
    rules = rules_of(team, kind)
    found: Rule | None = rules.filter(pk=identity).first()
    if found is None:
        known = ", ".join(f"{one.pk} ({one})" for one in rules.order_by("pk")[:MOST_RULES]) or "none"
        raise ValidationError({REPLACES: f"No rule of this kind with the id {identity} applies to the team: {known}."})
    return found


def rules_of(team: Team, kind: str) -> QuerySet[Any]:
    """Return the rules of a kind that apply to the team: to its repositories, to their accounts, or to all."""
    rules: QuerySet[Any] = KINDS[kind]._default_manager.all()
    teams = Team.objects.filter(pk=team.pk)
    if kind == "account":
        return rules.filter(contributor__in=contributors_of(teams)).select_related("contributor")
    repositories = repositories_of(teams).order_by()
    owners = repositories.filter(owner__isnull=False).values("owner")
    is_wide = Q(account__isnull=True) | Q(account__in=owners)
    return rules.filter(Q(repository__in=repositories.values("pk")) | Q(is_wide, repository__isnull=True))


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
