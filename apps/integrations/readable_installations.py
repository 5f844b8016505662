"""The installation that reads a repository. Nothing of an account that was not accepted is ever fetched."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Case, F, IntegerField, QuerySet, Value, When

from apps.activity.models import Contributor, Installation, RepositoryAccess
from apps.github.permissions import Lack, lack_of
from apps.teams.account_teams import accepted_accounts


def readable_installations() -> QuerySet[Installation]:
    """Return the installations that may be asked: neither removed nor suspended, on an account that was accepted."""
    return Installation.objects.filter(
        deleted_at__isnull=True, suspended_at__isnull=True, account__in=accepted_accounts().values("pk")
    )


def installation_reaching(repository_ids: Collection[int]) -> dict[int, int]:
    """Return the installation that reads each of the repositories, by their ids; those that none reaches are left out.

    If there are several, the owner's comes first, then what a listing verified, then the latest.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """An installation that lacks something, and where its owner can give it."""

    installation_id: int
    login: str
    lack: Lack
    address: str


def lacking_installations() -> list[Lacking]:
    """Return installations of accepted accounts that lack something, by login; unknown permissions are left out."""
    return sorted(_lacking(readable_installations().select_related("account")), key=lambda one: one.login.lower())


def _lacking(installations: QuerySet[Installation]) -> Iterator[Lacking]:
    for installation in installations.filter(permissions__isnull=False):
        account = installation.account
        if account is None:  # readable ones have one
            continue
        is_person = account.kind == Contributor.Kind.USER
        lack = lack_of(installation.permissions or {}, installation.events or (), is_person=is_person)
        if lack:
            yield Lacking(
                installation_id=installation.pk,
                login=account.login,
                lack=lack,
                address=settings_page(account.login, installation_id=installation.pk, is_person=is_person),
            )


def settings_page(login: str, *, installation_id: int, is_person: bool) -> str:
    """Return where the owner of an account says what the App may do on it."""
    below = "settings" if is_person else f"organizations/{login}/settings"
    return f"{settings.GITHUB_URL}/{below}/installations/{installation_id}"


def describe(lacking: Iterable[Lacking], *, most: int = 3) -> str:
    """Say what is missing on which account, and where it is given."""
    found = list(lacking)
    words = [f"On {one.login} the App lacks {one.lack}: {one.address}" for one in found[:most]]
    return ". ".join([*words, *([f"{len(found) - most} more accounts lack something"] if len(found) > most else [])])
