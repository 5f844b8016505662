"""API of previews: what a rule would do before it is saved, or its removal."""

from typing import Any

from django.core.exceptions import ValidationError
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import exceptions, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api import OnlyKnownFields, RepositoryField
from apps.metrics.figures import FIGURES
from apps.metrics.preview_parameters import FIELDS, fields_of, in_words_of_the_request, make_preview
from apps.metrics.rule_previews import Preview, PreviewRefusedError
from apps.teams.api.views import EDITED_BY_ADMINS, OfTeam
from apps.teams.models import AccountRule, DeploymentSource

LONGEST_S = 10.0


class TooMuchToPreview(exceptions.APIException):
    """The rule concerns too much, or the preview took too long."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "too_much_to_preview"


class PreviewRequestSerializer(OnlyKnownFields, serializers.Serializer[Any]):
    """A rule, which is not saved."""

    kind = serializers.ChoiceField(choices=list(FIELDS), help_text="It decides which of the other fields there are.")
    environments = serializers.ListField(
        child=serializers.CharField(max_length=500),
        required=False,
        max_length=100,
        help_text="Of `production`: the patterns that the team would have.",
    )
    repository = RepositoryField(required=False, help_text="Only this repository; absent: all of the team.")
    field = serializers.CharField(
        required=False,
        max_length=20,
        help_text="What the pattern is of, such as `environment`, `branch`, `label` or `title`.",
    )
    pattern = serializers.CharField(
        required=False, allow_blank=True, max_length=500, trim_whitespace=False, help_text="A regular expression."
    )
    service = serializers.CharField(required=False, max_length=200)
    source = serializers.ChoiceField(  # type: ignore[assignment]  # a serializer has an argument of that name
        required=False, choices=DeploymentSource.Kind.choices
    )
    login = serializers.CharField(required=False, max_length=200)
    account_class = serializers.ChoiceField(required=False, choices=AccountRule.AccountClass.choices)
    most_hours = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=100_000)
    replaces = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=2**63 - 1,
        help_text="The id of the rule that the new one would replace. Without any field of a new one: what removing "
        "it would do. Of `production`, no `environments` is that.",
    )
    window = serializers.CharField(required=False, default="30d", max_length=10, help_text="Of the figures.")

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """Reject fields that a rule of this kind does not have."""
        known = {"kind", "window", *fields_of(attributes["kind"])}
        if unknown := sorted(attributes.keys() - known):
            words = f"A rule of this kind has none. Fields: {', '.join(sorted(known))}."
            raise serializers.ValidationError(dict.fromkeys(unknown, words))
        return attributes


class MatchSerializer(serializers.Serializer[Any]):
    """A name in which the pattern is found."""

    name = serializers.CharField()
    n = serializers.IntegerField()


class SeenValueSerializer(serializers.Serializer[Any]):
    """A figure with the rules as they are, or as they would be."""

    value = serializers.FloatField(allow_null=True)
    n = serializers.IntegerField()


class ComparedFigureSerializer(serializers.Serializer[Any]):
    """A figure before and after."""

    figure = serializers.ChoiceField(choices=list(FIGURES))
    unit = serializers.CharField()
    before = SeenValueSerializer()
    after = SeenValueSerializer()
    is_changed = serializers.BooleanField()


class PreviewSerializer(serializers.Serializer[Preview]):
    """What the rule would do."""

    matching = serializers.IntegerField(help_text="How many match.")
    matches = MatchSerializer(many=True, help_text="By name, the 50 most frequent.")
    moved = serializers.DictField(
        child=serializers.IntegerField(), help_text="How many derived rows would differ, by their kind."
    )
    figures = ComparedFigureSerializer(many=True)


SENT = OpenApiExample(
    "Runs named deploy are deployments",
    value={"kind": "deployment_source", "source": "workflow_runs", "pattern": "^deploy$", "window": "90d"},
    request_only=True,
)
REMOVED = OpenApiExample("Without the hotfix rule 3", value={"kind": "hotfix", "replaces": 3}, request_only=True)
SHOWN = OpenApiExample(
    "A preview",
    value={
        "matching": 41,
        "matches": [{"name": "deploy", "n": 41}],
        "moved": {"derived deployment": 41, "derived shipment": 120},
        "figures": [
            {
                "figure": "deployments",
                "unit": "deployments",
                "before": {"value": None, "n": 0},
                "after": {"value": 38.0, "n": 38},
                "is_changed": True,
            }
        ],
    },
    response_only=True,
)


class PreviewsView(OfTeam):
    """Previews of rules for one team."""

    serializer_class = PreviewSerializer
    permission_classes = EDITED_BY_ADMINS
    throttle_scope = "preview"
    filter_backends = ()
    pagination_class = None

    @extend_schema(
        tags=["teams"],
        summary="Preview a rule",
        request=PreviewRequestSerializer,
        responses={
            200: PreviewSerializer,
            409: OpenApiResponse(description="Too much for a preview; `detail` says what to do."),
        },
        operation_id="teams_previews_create",
        examples=[SENT, REMOVED, SHOWN],
    )
    def post(self, request: Request, slug: str) -> Response:
        """Return what matches, how many rows would differ, and each figure before and after. Nothing is saved."""
        asked = PreviewRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            preview = make_preview(self.team, dict(asked.validated_data), seconds=LONGEST_S)
        except ValidationError as error:
            raise serializers.ValidationError(in_words_of_the_request(error)) from error
        except PreviewRefusedError as error:
            raise TooMuchToPreview(str(error)) from error
        return Response(preview.as_dict())
