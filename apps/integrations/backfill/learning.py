"""Repositories that somebody names and we never heard of: the installations on their owners are listed first."""

from collections.abc import Callable, Sequence

from django.db.models import QuerySet
from django.db.models.functions import Lower
from django.utils import timezone

from apps.activity.models import Installation, Repository
from apps.integrations.github.access import GitHubAccess
from apps.integrations.listing import list_installation
from apps.integrations.reaching import readable_installations


def unknown_names(full_names: Sequence[str]) -> list[str]:
    """Those of which no repository is known, deleted ones aside."""
    known = Repository.objects.filter(deleted_at__isnull=True).annotate(name=Lower("full_name"))
    found = set(known.filter(name__in=[name.lower() for name in full_names]).values_list("name", flat=True))
    return [name for name in full_names if name.lower() not in found]


def list_owners_of(full_names: Sequence[str], *, access: GitHubAccess, say: Callable[[str], None]) -> None:
    """List every readable installation on the owners of these repositories; `say` is told what becomes of it.

    NoCredentials where GitHub cannot be asked.
    """
    owners = {name.partition("/")[0].lower() for name in full_names}
    for installation in _on(owners).select_related("account"):
        say(f"Listing what installation {installation.pk} on {installation.account} reaches …")
        say(_list_now(installation.pk, access=access))


def _on(owners: set[str]) -> QuerySet[Installation]:
    return readable_installations().alias(owner=Lower("account__login")).filter(owner__in=owners).order_by("pk")


def _list_now(installation_id: int, *, access: GitHubAccess) -> str:
    """List it, task after task; what came of it."""
    row = list_installation(installation_id, access=access)
    while row is not None and row.cursor and row.not_before <= timezone.now():
        row = list_installation(installation_id, access=access)
    if row is None:
        return "It is being listed already, or waits for a limit; try again in a minute."
    if row.error or row.cursor:
        return f"It could not be listed: {row.error or 'a limit is spent'}. It is tried again by itself."
    return "Listed."
