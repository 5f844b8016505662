"""API of goals."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import generics, serializers
from rest_framework.serializers import BaseSerializer

from apps.common.api import OnlyKnownFields
from apps.metrics.api.serializers import PointSerializer
from apps.metrics.figures import FIGURES
from apps.metrics.goals import MOST_GOALS, Progress, read_progress
from apps.metrics.models import LARGEST_TARGET, Goal
from apps.teams.api.views import EDITED_BY_LEADS, OfTeam


class GoalWeekSerializer(PointSerializer):
    """The figure in a week, and whether the goal was met."""

    is_suppressed = None  # type: ignore[assignment]  # a goal is of a whole team, of which everything is shown
    is_met = serializers.BooleanField(
        allow_null=True, help_text="Null if the week has no value, or if some of its data is missing."
    )


class GoalSerializer(OnlyKnownFields, serializers.ModelSerializer[Goal]):
    """A goal, and whether it is met."""

    figure = serializers.ChoiceField(choices=list(FIGURES), help_text="The key of the figure.")
    target = serializers.FloatField(
        min_value=0,
        max_value=LARGEST_TARGET,
        help_text="In the figure's unit: seconds, or a share from 0 to 1, or a number in a week.",
    )
    unit = serializers.SerializerMethodField()
    value = serializers.SerializerMethodField(method_name="get_last_value")
    is_met = serializers.SerializerMethodField()
    weeks = serializers.SerializerMethodField()

    class Meta:
        model = Goal
        fields = ("id", "figure", "direction", "target", "unit", "from_day", "until_day", "value", "is_met", "weeks")
        extra_kwargs = {  # noqa: RUF012  DRF's own shape
            "from_day": {"help_text": "The first day, in the team's time zone; weeks that begin earlier do not count."},
            "until_day": {"help_text": "The day after the last one; null: it has no end."},
        }

    def validate_target(self, target: float) -> float:
        """Reject what is no number, which no comparison rejects."""
        if target != target:  # noqa: PLR0124  only NaN
            raise serializers.ValidationError("The target must be a number.")
        return target

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        from_day = attributes.get("from_day", getattr(self.instance, "from_day", None))
        until_day = attributes.get("until_day", getattr(self.instance, "until_day", None))
        if from_day and until_day and from_day >= until_day:
            raise serializers.ValidationError({"until_day": ["until_day must be after from_day."]})
        if self.instance is None and self.context["team"].goals.count() >= MOST_GOALS:
            raise serializers.ValidationError(f"A team has at most {MOST_GOALS} goals. Delete one first.")
        return attributes

    def get_unit(self, goal: Goal) -> str:
        """The figure's unit."""
        return FIGURES[goal.figure].unit if goal.figure in FIGURES else ""

    @extend_schema_field(serializers.FloatField(allow_null=True))
    def get_last_value(self, goal: Goal) -> float | None:
        """The figure in the last week of the goal that has ended; null if there is none."""
        return self.progress_of(goal).value

    @extend_schema_field(serializers.BooleanField(allow_null=True))
    def get_is_met(self, goal: Goal) -> bool | None:
        """The goal was met in that week; null if that is not known."""
        return self.progress_of(goal).is_met

    @extend_schema_field(GoalWeekSerializer(many=True))
    def get_weeks(self, goal: Goal) -> Any:
        """The weeks in its period, up to 53, the current one last."""
        weeks: Any = self.progress_of(goal).weeks
        return GoalWeekSerializer(weeks, many=True).data

    def progress_of(self, goal: Goal) -> Progress:
        """Return the progress of the goal; that of all goals of a list is read together."""
        if not hasattr(self, "_progress"):
            goals: Any = self.parent.instance if self.parent else [goal]
            self._progress = read_progress(self.context["team"], goals)
        return self._progress[goal.pk]


LEAD_TIME = {"figure": "lead_time", "direction": "at_most", "target": 172800.0, "from_day": "2026-03-02"}
GOAL_SENT = OpenApiExample("Lead time of at most two days", value=LEAD_TIME, request_only=True)
GOAL_SHOWN = OpenApiExample(
    "Lead time of at most two days",
    value={
        **LEAD_TIME,
        "id": 12,
        "unit": "seconds",
        "until_day": None,
        "value": 117000.0,
        "is_met": True,
        "weeks": [
            {
                "start": "2026-03-02",
                "end": "2026-03-09",
                "n": 4,
                "value": 117000.0,
                "partial": False,
                "complete": True,
                "is_met": True,
            }
        ],
    },
    response_only=True,
)


class OfGoals(OfTeam):
    """The goals of the team."""

    serializer_class = GoalSerializer
    queryset = Goal.objects.none()
    permission_classes = EDITED_BY_LEADS

    def get_queryset(self) -> QuerySet[Goal]:
        return Goal.objects.filter(team=self.team).order_by("from_day", "pk")


@extend_schema_view(
    get=extend_schema(tags=["figures"], summary="Goals of a team", examples=[GOAL_SHOWN]),
    post=extend_schema(tags=["figures"], summary="Add a goal", examples=[GOAL_SENT, GOAL_SHOWN]),
)
class GoalsView(OfGoals, generics.ListCreateAPIView[Goal]):
    """What the team wants its figures to be, and whether each week met it. Leads and admins of the team change them."""

    def perform_create(self, serializer: BaseSerializer[Goal]) -> None:
        serializer.save(team=self.team)


@extend_schema_view(
    get=extend_schema(tags=["figures"], summary="A goal", examples=[GOAL_SHOWN]),
    patch=extend_schema(tags=["figures"], summary="Change a goal", examples=[GOAL_SENT, GOAL_SHOWN]),
    delete=extend_schema(tags=["figures"], summary="Delete a goal"),
)
class GoalView(OfGoals, generics.RetrieveUpdateDestroyAPIView[Goal]):
    """One goal. Set `until_day` when it no longer applies; deleting it also removes its weeks."""

    http_method_names = ["get", "patch", "delete", "head", "options"]  # noqa: RUF012
