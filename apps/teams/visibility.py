"""The repositories and people of teams and users. Access is decided only here."""

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.activity.models import (
    Commit,
    Contributor,
    GitHubMembership,
    PullRequest,
    Repository,
    RepositoryAccess,
    Review,
)
from apps.teams.models import Team, TeamAccess, TeamRepository
from apps.users.access import is_operator


def repositories_of(teams: QuerySet[Team]) -> QuerySet[Repository]:
    """Return the repositories that any of the teams tracks.

    These are the repositories its account owns, those an installation on its account has access to, and those added one
    by one. While the owner of a repository is unknown, any account that ever had access counts. A repository that was
    transferred belongs to its new account, with all of its history.
    """
    accounts = teams.filter(account__isnull=False).order_by().values("account")
    accesses = RepositoryAccess.objects.filter(repository=OuterRef("pk"), installation__account__in=accounts)
    # GitHub does not revoke access by repository when the App is uninstalled: access ends with the installation.
    reached = accesses.filter(has_access=True, installation__deleted_at__isnull=True)
    added = TeamRepository.objects.filter(team__in=teams.order_by().values("pk")).values("repository")
    return Repository.objects.filter(
        Q(owner__in=accounts) | Q(pk__in=added) | Q(Exists(reached)) | Q(Exists(accesses), owner__isnull=True)
    )


def teams_tracking(repository: Repository, *, teams: QuerySet[Team]) -> QuerySet[Team]:
    """Return those of the teams that track the repository: the inverse of `repositories_of`."""
    accesses = RepositoryAccess.objects.filter(repository=repository, installation__account=OuterRef("account"))
    reached = accesses.filter(has_access=True, installation__deleted_at__isnull=True)
    added = TeamRepository.objects.filter(team=OuterRef("pk"), repository=repository)
    if repository.owner_id is None:
        return teams.filter(Q(Exists(accesses)) | Q(Exists(added)))
    return teams.filter(Q(account=repository.owner_id) | Q(Exists(reached)) | Q(Exists(added)))


def repositories_visible_to(user: Any) -> QuerySet[Repository]:
    """Return every repository for an operator; for other users those of visible teams."""
    if is_operator(user):
        return Repository.objects.all()
    return repositories_of(Team.objects.visible_to(user))


def repositories_administered_by(user: Any) -> QuerySet[Repository]:
    """Return every repository for an operator; for other users those of teams they are an admin of."""
    if is_operator(user):
        return Repository.objects.all()
    return repositories_of(Team.objects.administered_by(user))


def repositories_addable_to(team: Team, *, by: Any) -> QuerySet[Repository]:
    """Return the repositories that the user may add to the team; every repository for an operator.

    Other users may only add repositories of an account whose team they administer, and only if the team tracks that
    account already. Otherwise a reader of a repository could give others access to it.
    """
    if is_operator(by):
        return Repository.objects.all()
    administered = TeamAccess.objects.filter(user_id=by.pk, role=TeamAccess.Role.ADMIN).values("team")
    accounts = Team.objects.visible_to(by).filter(pk__in=administered, account__isnull=False).order_by()
    known = repositories_of(Team.objects.filter(pk=team.pk)).filter(owner__isnull=False).order_by()
    return Repository.objects.filter(owner__in=accounts.values("account")).filter(
        Q(owner=team.account_id) | Q(owner__in=known.values("owner"))
    )


def contributors_of(teams: QuerySet[Team]) -> QuerySet[Contributor]:
    """Return members of the teams and of their organisations, and contributors to their repositories."""
    repositories = repositories_of(teams).order_by().values("pk")
    accounts = teams.filter(account__isnull=False).order_by().values("account")
    mine = Q(author=OuterRef("pk"), repository__in=repositories)
    in_organization = GitHubMembership.objects.filter(
        contributor=OuterRef("pk"), scope=GitHubMembership.Scope.ORGANIZATION, scope_id__in=accounts, is_member=True
    )
    return Contributor.objects.filter(
        Exists(PullRequest.objects.filter(mine))
        | Exists(Review.objects.filter(mine))
        | Exists(Commit.objects.filter(mine))
        | Exists(in_organization)
        | Q(memberships__team__in=teams.order_by().values("pk"))
    ).distinct()


def contributors_addable_to(team: Team, *, by: Any) -> QuerySet[Contributor]:
    """Return the contributors that the user may add to the team: all for an operator, else those known to it."""
    return Contributor.objects.all() if is_operator(by) else contributors_of(Team.objects.filter(pk=team.pk))
