"""Teams, whose work counts in them, what they track and who may look."""

from apps.teams.models.teams import BotRule, Team, TeamAccess, TeamMember, TeamRepository

__all__ = ["BotRule", "Team", "TeamAccess", "TeamMember", "TeamRepository"]
