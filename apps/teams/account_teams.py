"""Teams of accounts, created when an account installs the App, so that the first figures need no setup."""

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Lower
from django.utils.text import slugify

from apps.activity.models import Contributor, Installation
from apps.teams.models import SLUG_LENGTH, Team


def ensure_account_team(installation_id: int) -> Team | None:
    """Create the team that tracks every repository of the installation's account, unless it exists.

    Returns None if the account is not known yet. Accounts that are not in ALLOWED_ACCOUNTS wait for approval. The team
    of a deleted installation is kept, with its figures.
    """
    installation = Installation.objects.select_related("account").filter(pk=installation_id).first()
    if installation is None or installation.account is None or not installation.account.login:
        return None
    account = installation.account
    with transaction.atomic():
        team, _ = Team.objects.get_or_create(
            account=account,
            defaults={
                "name": account.login,
                "slug": free_slug(account.login, account.github_id),
                "is_approved": is_allowed(account.login),
            },
        )
    return team


def is_allowed(login: str) -> bool:
    """Return whether ALLOWED_ACCOUNTS has the account; an empty list allows every account."""
    allowed = {name.lower() for name in settings.ALLOWED_ACCOUNTS}
    return not allowed or login.lower() in allowed


def accepted_accounts() -> QuerySet[Contributor]:
    """Return the accounts whose repositories may be read: those with an approved team.

    An account without a team is accepted by ALLOWED_ACCOUNTS; one without a known login waits.
    """
    teams = Team.objects.filter(account=OuterRef("pk"))
    allowed = [name.lower() for name in settings.ALLOWED_ACCOUNTS]
    is_named = Q(lower_login__in=allowed) if allowed else ~Q(login="")
    return Contributor.objects.alias(lower_login=Lower("login")).filter(
        Exists(teams.filter(is_approved=True)) | (~Exists(teams) & is_named)
    )


def free_slug(login: str, account_id: int) -> str:
    slug = slugify(login)[:SLUG_LENGTH] or str(account_id)
    return f"{slug[: SLUG_LENGTH - 21]}-{account_id}" if Team.objects.filter(slug=slug).exists() else slug
