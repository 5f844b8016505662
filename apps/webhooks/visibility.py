"""Which deliveries a person may see: those of what their teams track."""

from typing import Any

from django.db.models import Q, QuerySet

from apps.activity.models import Installation
from apps.teams.models import Team
from apps.teams.visibility import repositories_visible_to
from apps.webhooks.models import Delivery


def deliveries_visible_to(user: Any) -> QuerySet[Delivery]:
    """Every delivery for an operator; for anybody else those of repositories they see, and of their accounts' own."""
    if not user.is_authenticated or not user.is_active:
        return Delivery.objects.none()
    if user.is_superuser:
        return Delivery.objects.all()
    accounts = Team.objects.visible_to(user).filter(account__isnull=False).order_by().values("account")
    installations = Installation.objects.filter(account__in=accounts).values("pk")
    repositories = repositories_visible_to(user).order_by().values("pk")
    return Delivery.objects.filter(
        Q(repository_id__in=repositories) | Q(repository_id=None, installation_id__in=installations)
    )
