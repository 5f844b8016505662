"""Teams, access to them and invitations, and rules."""

from apps.teams.models.rules import (
    AccountRule,
    DeploymentRule,
    DeploymentSource,
    HotfixRule,
    IncidentRule,
    ServiceRule,
    validate_expression,
)
from apps.teams.models.teams import (
    SLUG_LENGTH,
    Invitation,
    MarksChange,
    Team,
    TeamAccess,
    TeamMember,
    TeamQuerySet,
    TeamRepository,
    WorkingCalendar,
    mark,
    time_zones,
    validate_time_zone,
    weekdays,
)

__all__ = [
    "SLUG_LENGTH",
    "AccountRule",
    "DeploymentRule",
    "DeploymentSource",
    "HotfixRule",
    "IncidentRule",
    "Invitation",
    "MarksChange",
    "ServiceRule",
    "Team",
    "TeamAccess",
    "TeamMember",
    "TeamQuerySet",
    "TeamRepository",
    "WorkingCalendar",
    "mark",
    "time_zones",
    "validate_expression",
    "validate_time_zone",
    "weekdays",
]
