"""Goals of teams."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from apps.teams.models import Team

LARGEST_TARGET = 1e15


class Goal(models.Model):
    """What a team wants of one of its own figures, week by week. No figure depends on it, and it is of no person."""

    class Direction(models.TextChoices):
        AT_MOST = "at_most"
        AT_LEAST = "at_least"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="goals")
    figure = models.TextField(help_text="the key of the figure")
    direction = models.CharField(max_length=10, choices=Direction.choices)
    target = models.FloatField(help_text="in the unit of the figure, as its value in a week")
    from_day = models.DateField(help_text="the first day")
    until_day = models.DateField(null=True, blank=True, help_text="the day after the last one; empty for no end")

    class Meta:
        ordering = ("team", "from_day", "id")
        constraints = (
            models.CheckConstraint(
                condition=Q(until_day__isnull=True) | Q(from_day__lt=F("until_day")),
                name="a_goal_ends_after_it_began",
                violation_error_message=_("A goal must end after it began."),
            ),
            models.CheckConstraint(
                condition=Q(target__gte=0, target__lte=LARGEST_TARGET),
                name="the_target_of_a_goal_is_a_number",
                violation_error_message=_("The target must be a number, 0 or more."),
            ),
        )

    def __str__(self) -> str:
        return f"{self.figure} {self.direction.replace('_', ' ')} {self.target:g}"
