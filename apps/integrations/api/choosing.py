"""Which repositories a start names, and whether the person may have their history read."""

from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from rest_framework.exceptions import NotFound, PermissionDenied

from apps.activity.models import Installation, Repository
from apps.common.db import is_id
from apps.integrations.api.permissions import ONLY_ADMINS
from apps.integrations.backfill.start import NothingToStart, chosen
from apps.teams.models import Team
from apps.teams.visibility import repositories_administered_by, repositories_visible_to
from apps.users.operators import is_operator

ONLY_ITS_ADMINS = "Only operators and admins of its team may have its history read."


def chosen_by(
    user: Any,
    *,
    repository: str = "",
    installation: int | None = None,
    team: str = "",
    everything: bool = False,
) -> QuerySet[Repository]:
    """The repositories that the one choice names.

    NotFound for what the person does not see, PermissionDenied for what they may only look at, NothingToStart where
    there is nothing to be read.
    """
    if repository:
        return _named(repository, user=user)
    if installation is not None:
        return _of_installation(installation, user=user)
    if team:
        return _of_team(team, user=user)
    if not everything or not is_operator(user):
        raise PermissionDenied("Only operators may have everything read.")
    return chosen(everything=True)


def _named(named: str, *, user: Any) -> QuerySet[Repository]:
    is_named = Q(pk=int(named)) if is_id(named) else Q(lower_name=named.strip().lower())

    def among(repositories: QuerySet[Repository]) -> QuerySet[Repository]:
        return repositories.alias(lower_name=Lower("full_name")).filter(is_named)

    if not among(repositories_visible_to(user)).exists():
        raise NotFound(
            f"There is no repository {named} that you may see. One becomes known when an installation of the App "
            "that reaches it is listed."
        )
    found = among(repositories_administered_by(user))
    if not found.exists():
        raise PermissionDenied(ONLY_ADMINS)
    if not found.filter(deleted_at__isnull=True).exists():
        raise NothingToStart(f"{named} was deleted on GitHub: its history is gone.")
    return found


def _of_installation(installation_id: int, *, user: Any) -> QuerySet[Repository]:
    """An installation is theirs whose team tracks its account."""
    found = Installation.objects.filter(pk=installation_id)
    if not is_operator(user):
        found = found.filter(account__in=_accounts_of(Team.objects.visible_to(user)))
    if not found.exists():
        raise NotFound(f"There is no installation {installation_id} that you may see.")
    if not is_operator(user):
        found = found.filter(account__in=_accounts_of(Team.objects.administered_by(user)))
    if not found.exists():
        raise PermissionDenied(ONLY_ITS_ADMINS)
    return chosen(installation_id=installation_id)


def _accounts_of(teams: QuerySet[Team]) -> QuerySet[Team, Any]:
    return teams.filter(account__isnull=False).order_by().values("account")


def _of_team(slug: str, *, user: Any) -> QuerySet[Repository]:
    if not Team.objects.visible_to(user).filter(slug=slug).exists():
        raise NotFound(f"There is no team {slug} that you may see.")
    team = Team.objects.administered_by(user).filter(slug=slug).first()
    if team is None:
        raise PermissionDenied(ONLY_ITS_ADMINS)
    return chosen(team=team)
