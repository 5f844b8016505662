"""One repository in a run: whatever is to be done about it next."""

from apps.github.auth import GitHubAccess
from apps.integrations.models import RepositorySync
from apps.integrations.reaching import installation_reaching
from apps.integrations.reconciliation.repositories.counting import count
from apps.integrations.reconciliation.repositories.probing import probe

State = RepositorySync.State


def advance(repository_id: int, *, sync_id: str, access: GitHubAccess) -> None:
    """Probe it, or count it once its walks are over; does nothing where it is not due, or somebody else's."""
    row = RepositorySync.objects.filter(repository=repository_id, sync__sync_id=sync_id).first()
    if row is None or row.finished_at is not None:
        return
    if row.probed_at is not None:
        count(row.pk, access=access)
        return
    installation_id = row.installation_id or installation_reaching([repository_id]).get(repository_id)
    if installation_id is not None:
        RepositorySync.objects.filter(pk=row.pk, installation=None).update(installation=installation_id)
        probe(installation_id, access=access, first=row.pk)
