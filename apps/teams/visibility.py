"""Which repositories belong to a team, and so to whoever may see it. Tenancy is decided here and nowhere else."""

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.activity.models import Repository, RepositoryAccess
from apps.teams.models import Team, TeamAccess, TeamRepository
from apps.users.permissions import is_operator


def repositories_of(teams: QuerySet[Team]) -> QuerySet[Repository]:
    """The repositories that any of the teams tracks.

    Those its account owns, those an installation on its account reaches, and those added one by one. While nobody has
    said who owns a repository, whoever ever reached it counts. One that was transferred away belongs to its new
    account, with all of its history: what happens there is no longer this account's to read.
    """
    accounts = teams.filter(account__isnull=False).order_by().values("account")
    accesses = RepositoryAccess.objects.filter(repository=OuterRef("pk"), installation__account__in=accounts)
    # GitHub takes nothing back one by one when the App is uninstalled: access ends with the installation.
    reached = accesses.filter(has_access=True, installation__deleted_at__isnull=True)
    added = TeamRepository.objects.filter(team__in=teams.order_by().values("pk")).values("repository")
    return Repository.objects.filter(
        Q(owner__in=accounts) | Q(pk__in=added) | Q(Exists(reached)) | Q(Exists(accesses), owner__isnull=True)
    )


def repositories_visible_to(user: Any) -> QuerySet[Repository]:
    """Every repository for an operator; for anybody else those of the teams they may see."""
    if is_operator(user):
        return Repository.objects.all()
    return repositories_of(Team.objects.visible_to(user))


def repositories_administered_by(user: Any) -> QuerySet[Repository]:
    """Every repository for an operator; for anybody else those of the teams that they are an admin of."""
    if is_operator(user):
        return Repository.objects.all()
    return repositories_of(Team.objects.administered_by(user))


def repositories_addable_to(team: Team, *, by: Any) -> QuerySet[Repository]:
    """What the person may add to the team: anything for an operator.

    Anybody else only what an account owns whose team they administer, and only where the team tracks that account
    already: whoever can read a repository could otherwise hand it to people whom nobody gave access to it.
    """
    if is_operator(by):
        return Repository.objects.all()
    administered = TeamAccess.objects.filter(user_id=by.pk, role=TeamAccess.Role.ADMIN).values("team")
    accounts = Team.objects.visible_to(by).filter(pk__in=administered, account__isnull=False).order_by()
    known = repositories_of(Team.objects.filter(pk=team.pk)).filter(owner__isnull=False).order_by()
    return Repository.objects.filter(owner__in=accounts.values("account")).filter(
        Q(owner=team.account_id) | Q(owner__in=known.values("owner"))
    )
