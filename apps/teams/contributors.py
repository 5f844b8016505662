"""The accounts that a team may name: those it can know of from its own repositories."""

from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.activity.models import Commit, Contributor, GitHubMembership, PullRequest, Review
from apps.teams.models import Team
from apps.teams.visibility import repositories_of


def contributors_of(teams: QuerySet[Team]) -> QuerySet[Contributor]:
    """Members of the teams and of their accounts' organisations, and whoever worked in their repositories."""
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
