"""What somebody names at the command line and we never heard of: GitHub is asked before it is called unknown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from apps.activity.models import Installation, Repository, RepositoryAccess
from apps.github.auth import GitHubAccess
from apps.integrations.backfill.starting import CannotBeReadError
from apps.integrations.backfill.walking import Unanswered
from apps.integrations.discovery import find_installations
from apps.integrations.listing import list_installation
from apps.integrations.reaching import readable_installations
from apps.webhooks.errors import UnusablePayload


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """Asks GitHub about what is named; `say` is told what comes of it.

    NothingToStart where GitHub refuses to say, NoCredentials where it cannot be asked.
    """

    access: GitHubAccess
    say: Callable[[str], None]

    def about(self, *, full_names: Sequence[str], installation_id: int | None, everything: bool) -> None:
        """Find the installations that are meant, and list those whose repositories are not known yet."""
        owners = _owners(_unknown(full_names))
        is_meant = Q(owner__in=owners) | Q(pk=installation_id, listed_at=None)
        if everything:
            is_meant |= Q(listed_at=None)
        is_known = not owners and (installation_id is None or Installation.objects.filter(pk=installation_id).exists())
        if not is_known or (everything and not Installation.objects.exists()):
            self._find()
        for installation in _readable().filter(is_meant).select_related("account").order_by("pk"):
            self._list(installation)

    def _find(self) -> None:
        try:
            found = find_installations(access=self.access)
        except (Unanswered, UnusablePayload) as error:
            raise CannotBeReadError(f"GitHub does not tell where the App is installed: {error}.") from error
        self.say(f"GitHub names {found} {'installation' if found == 1 else 'installations'} of the App.")

    def _list(self, installation: Installation) -> None:
        """List it, task after task."""
        self.say(f"Listing what installation {installation.pk} on {installation.account} reaches …")
        row = list_installation(installation.pk, access=self.access)
        while row is not None and row.goes_on:
            row = list_installation(installation.pk, access=self.access)
        if row is None:
            self.say("It is being listed already, or waits for a limit: try again in a minute.")
        elif row.error or row.cursor:
            self.say(f"It could not be listed: {row.error or 'a limit is spent'}. It is tried again by itself.")
        else:
            reached = RepositoryAccess.objects.filter(installation=installation, has_access=True).count()
            days = settings.BACKFILL_DAYS
            self.say(f"It reaches {reached:,}; of those that are new, the last {days} days are read by themselves.")


def _readable() -> QuerySet[Installation]:
    return readable_installations().alias(owner=Lower("account__login"))


def _unknown(full_names: Sequence[str]) -> list[str]:
    """Those of which no repository is known, deleted ones aside."""
    known = Repository.objects.filter(deleted_at__isnull=True).annotate(name=Lower("full_name"))
    found = set(known.filter(name__in=[name.lower() for name in full_names]).values_list("name", flat=True))
    return [name for name in full_names if name.lower() not in found]


def _owners(full_names: Sequence[str]) -> set[str]:
    return {name.partition("/")[0].lower() for name in full_names}
