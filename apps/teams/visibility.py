"""Which repositories belong to a team, and so to whoever may see it. Tenancy is decided here and nowhere else."""

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.activity.models import Repository, RepositoryAccess
from apps.teams.models import Team, TeamRepository


def repositories_of(teams: QuerySet[Team]) -> QuerySet[Repository]:
    """The repositories that any of the teams tracks.

    Those its account owns, those an installation on its account ever reached (a repository that was transferred away
    keeps its history here), and those added one by one.
    """
    accounts = teams.filter(account__isnull=False).order_by().values("account")
    reached = RepositoryAccess.objects.filter(repository=OuterRef("pk"), installation__account__in=accounts)
    added = TeamRepository.objects.filter(team__in=teams.order_by().values("pk")).values("repository")
    return Repository.objects.filter(Q(owner__in=accounts) | Q(Exists(reached)) | Q(pk__in=added))


def repositories_visible_to(user: Any) -> QuerySet[Repository]:
    """Every repository for an operator; for anybody else those of the teams they may see."""
    if user.is_authenticated and user.is_active and user.is_superuser:
        return Repository.objects.all()
    return repositories_of(Team.objects.visible_to(user))
