"""The choice of what counts as a deployment to production for a team, by the page Setup and the command."""

from collections.abc import Sequence

from django.core.exceptions import ValidationError

from apps.teams.models import DeploymentSource, Team


def set_production(team: Team, environments: Sequence[str]) -> None:
    """Let these names or patterns of environments count as production; none is GitHub's flag and their name."""
    team.production_environments = list(dict.fromkeys(environments))
    team.save(update_fields=["production_environments"])


def set_source(team: Team, *, kind: str, pattern: str) -> DeploymentSource:
    """Let runs, releases or merges of this name count as deployments of the team's account.

    ValidationError if the pattern is none, or the team tracks no account.
    """
    if team.account_id is None:
        raise ValidationError(f"{team} tracks no account: add a rule for its repositories in the admin.")
    rule = DeploymentSource(account_id=team.account_id, kind=kind, pattern=pattern)
    rule.full_clean()
    known = DeploymentSource.objects.filter(account_id=team.account_id, kind=kind, pattern=pattern, repository=None)
    existing: DeploymentSource | None = known.first()
    if existing is not None:
        return existing
    rule.save()
    return rule
