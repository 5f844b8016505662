"""Which installation reads a repository. Nothing of a stranger's account is ever fetched: it is decided here."""

from collections.abc import Collection

from django.db.models import Case, F, IntegerField, QuerySet, Value, When

from apps.activity.models import Installation, RepositoryAccess
from apps.teams.accounts import accepted_accounts


def readable_installations() -> QuerySet[Installation]:
    """The installations that may be asked: neither removed nor suspended, on an account that was accepted."""
    return Installation.objects.filter(
        deleted_at__isnull=True, suspended_at__isnull=True, account__in=accepted_accounts().values("pk")
    )


def installation_reaching(repository_ids: Collection[int]) -> dict[int, int]:
    """The installation that reads each of the repositories, by their ids; those that none reaches are left out.

    Where several claim to, the owner's comes first, then what a listing verified, then what was said last.
    """
    is_owners = Case(
        When(repository__owner=F("installation__account"), then=Value(1)), default=Value(0), output_field=IntegerField()
    )
    accesses = (
        RepositoryAccess.objects.filter(
            repository__in=repository_ids, has_access=True, installation__in=readable_installations().values("pk")
        )
        .annotate(is_owners=is_owners)
        .order_by("repository", "-is_owners", "-is_verified", "-stamp", "-installation")
        .distinct("repository")
    )
    return dict(accesses.values_list("repository_id", "installation_id"))
