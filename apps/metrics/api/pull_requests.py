"""API of pull requests: their state, the source of each of their times, and why these are what they are."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.activity.api.serializers import PullRequestSerializer
from apps.activity.models import PullRequest
from apps.common.api import OnlyKnownParameters
from apps.metrics.api.examples import EXPLANATION
from apps.metrics.api.openapi_parameters import QUERY, PullRequestFilter, names
from apps.metrics.api.serializers import AIEvidenceSerializer, PullRequestDetailSerializer
from apps.metrics.explanation.pull_request import as_document, explain
from apps.metrics.figures import Bots, Hours
from apps.metrics.query_parameters import one_of
from apps.teams.api.views import OfTeam
from apps.teams.models import Team
from apps.teams.visibility import repositories_of, repositories_visible_to


class OfPullRequests(OnlyKnownParameters, generics.GenericAPIView[PullRequest]):
    """Pull requests in repositories that the user may see."""

    queryset = PullRequest.objects.none()
    serializer_class = PullRequestSerializer

    def get_queryset(self) -> QuerySet[PullRequest]:
        repositories = repositories_visible_to(self.request.user).order_by().values("pk")
        rows = PullRequest.objects.filter(repository__in=repositories).select_related("repository", "author")
        return rows.order_by("-updated_at", "-pk")


@extend_schema_view(get=extend_schema(tags=["activity"], summary="Pull requests, newest change first"))
class PullRequestsView(OfPullRequests, generics.ListAPIView[PullRequest]):
    """Pull requests of the repositories that your teams track."""

    filterset_class = PullRequestFilter


@extend_schema_view(get=extend_schema(tags=["activity"], summary="A pull request, with sources"))
class PullRequestView(OfPullRequests, generics.RetrieveAPIView[PullRequest]):
    """One pull request: its state, history and reviews, the derived values, and their sources."""

    serializer_class = PullRequestDetailSerializer

    def get_object(self) -> PullRequest:
        keys = {name: self.kwargs[name] for name in ("repository_id", "number")}
        return get_object_or_404(self.get_queryset(), **keys)


CHOSEN = [one for one in QUERY if one.name in ("bots", "hours")]
SECONDS = serializers.IntegerField(allow_null=True)
Json = dict[str, Any]


class SourceSerializer(serializers.Serializer[Json]):
    """A delivery or a read that reported what the instant was taken from."""

    entity = serializers.CharField(help_text="What it reported: the pull request, a review, a commit, …")
    source = serializers.CharField(  # type: ignore[assignment]  # the name clashes with the field's own
        help_text="`delivery`, `api` or `report`."
    )
    source_key = serializers.CharField(help_text="The id of the delivery here, or the name of the read.")
    guid = serializers.UUIDField(allow_null=True, help_text="`X-GitHub-Delivery`.")
    event = serializers.CharField()
    received_at = serializers.DateTimeField(allow_null=True)
    url = serializers.SerializerMethodField()

    def get_url(self, source: Json) -> str | None:
        """The delivery in this API; null for a read of GitHub's API."""
        return reverse("delivery-detail", args=[source["source_key"]]) if source["guid"] else None


class CandidateSerializer(serializers.Serializer[Json]):
    """What an instant was taken from, or could have been."""

    kind = serializers.CharField(help_text="commit, opening, ready_for_review, review, merge or deployment.")
    name = serializers.CharField(help_text="A SHA, a number, GitHub's id, or the name of a deployment.")
    at = serializers.DateTimeField(allow_null=True)
    account = serializers.CharField(help_text="Login; empty if unknown.")
    verdict = serializers.CharField(help_text="Of a review.")
    is_chosen = serializers.BooleanField()
    reason = serializers.CharField(help_text="Why it was rejected, as one word; empty for the chosen one.")
    explanation = serializers.CharField(help_text="The same in a sentence.")


class BoundarySerializer(serializers.Serializer[Json]):
    """An instant, and why it is this one."""

    boundary = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)
    rule = serializers.CharField(help_text="The rule that chose it, in a sentence.")
    sources = SourceSerializer(many=True, help_text="The first 20.")
    candidates = CandidateSerializer(many=True, help_text="Up to 100, those around the chosen one.")
    rejected = serializers.DictField(
        child=serializers.IntegerField(), help_text="How many candidates were rejected, by reason."
    )


class StagesSerializer(serializers.Serializer[Json]):
    """Seconds of each stage up to the merge; null if it is not merged."""

    coding = SECONDS
    pickup = SECONDS
    review = SECONDS
    merge = SECONDS


class ShippedStagesSerializer(StagesSerializer):
    """Seconds of each stage, which sum to the lead time; null if that is not known."""

    deploy = SECONDS


class ShippingSerializer(BoundarySerializer):
    """The first deployment of a service to an environment that had the pull request, if any did."""

    service = serializers.CharField(help_text="Empty for the repository itself.")
    environment = serializers.CharField()
    is_production = serializers.BooleanField(
        help_text="By GitHub's flag or the name; a team may have rules of its own."
    )
    is_order_unknown = serializers.BooleanField(help_text="An earlier deployment may have had it.")
    stages = ShippedStagesSerializer(allow_null=True)
    lead_seconds = serializers.IntegerField(allow_null=True)


class MomentSerializer(serializers.Serializer[Json]):
    """Something that happened to the pull request."""

    kind = serializers.CharField(
        help_text="first_commit, opened, opened_as_draft, approved, merged, deployed_to_production, …, or the kind of "
        "an event of its history."
    )
    at = serializers.DateTimeField()
    account = serializers.CharField(help_text="Login of who did it; empty if unknown.")
    detail = serializers.CharField(help_text="The SHA, the environment, the branch or the reviewer; empty for others.")


class ReviewRequestSerializer(serializers.Serializer[Json]):
    """A review that was requested, and how the request ended: answered, withdrawn, or not yet."""

    reviewer = serializers.CharField(help_text="Login, or the name of a team of GitHub.")
    is_team = serializers.BooleanField()
    requested_at = serializers.DateTimeField()
    answered_at = serializers.DateTimeField(allow_null=True)
    withdrawn_at = serializers.DateTimeField(allow_null=True)
    answer_seconds = SECONDS


class RunSerializer(serializers.Serializer[Json]):
    """An attempt of a workflow run on one of its commits."""

    run_id = serializers.IntegerField()
    attempt = serializers.IntegerField()
    workflow = serializers.CharField()
    sha = serializers.CharField()
    conclusion = serializers.CharField(help_text="Empty until it has ended.")
    started_at = serializers.DateTimeField(allow_null=True)
    concluded_at = serializers.DateTimeField(allow_null=True)


class CountedSerializer(serializers.Serializer[Json]):
    """Whether it counts in a figure of the team."""

    figure = serializers.CharField(help_text="Its key.")
    title = serializers.CharField()
    unit = serializers.CharField()
    counts = serializers.BooleanField()
    at = serializers.DateTimeField(allow_null=True, help_text="The time by which it is in a window.")
    value = serializers.FloatField(allow_null=True, help_text="Null if it is only counted.")
    reason = serializers.CharField(help_text="Why it does not count, as in `excluded` of the figure.")
    explanation = serializers.CharField(help_text="The same in a sentence.")


class ExplanationSerializer(serializers.Serializer[Json]):
    """The life of a pull request, with the rule and the sources of each instant."""

    team = serializers.CharField(help_text="The team's slug.")
    repository = serializers.CharField(help_text="Its full name.")
    repository_id = serializers.IntegerField()
    number = serializers.IntegerField()
    title = serializers.CharField()
    account = serializers.CharField(help_text="Login of the author; empty if the account was deleted.")
    account_class = serializers.CharField(help_text="human, agent or bot.")
    flags = serializers.ListField(child=serializers.CharField())
    evidence = AIEvidenceSerializer(many=True, help_text="Of AI tools. None does not mean that none was used.")
    is_recalculating = serializers.BooleanField(help_text="Changes wait; figures may not show all of this yet.")
    boundaries = BoundarySerializer(many=True)
    stages = StagesSerializer()
    deployments = ShippingSerializer(many=True, help_text="By service and environment.")
    history = MomentSerializer(many=True, help_text="What happened to it, the earliest first.")
    review_requests = ReviewRequestSerializer(many=True)
    runs = RunSerializer(many=True, help_text="Of workflows, on any head that it had.")
    figures = CountedSerializer(many=True, help_text="Every figure over pull requests.")


class ExplanationView(OfTeam):
    """Why the instants of a pull request are what they are."""

    declared_parameters = names(*CHOSEN)
    serializer_class = ExplanationSerializer
    filter_backends = ()
    pagination_class = None

    @extend_schema(
        tags=["figures"],
        summary="Explanation of a pull request",
        parameters=CHOSEN,
        responses={200: ExplanationSerializer},
        examples=[EXPLANATION],
    )
    def get(self, request: Request, slug: str, repository_id: int, number: int) -> Response:
        """Each boundary of its life with the rule, the sources and what was rejected, and the figures it counts in."""
        tracked = repositories_of(Team.objects.filter(pk=self.team.pk)).order_by().values("pk")
        known = PullRequest.objects.filter(repository__in=tracked).select_related("repository")
        explanation = explain(
            get_object_or_404(known, repository_id=repository_id, number=number),
            team=self.team,
            bots=one_of(Bots, "bots", request.query_params),
            hours=one_of(Hours, "hours", request.query_params),
        )
        if explanation is None:
            raise Http404("Nothing but its number is known of this pull request yet.")
        return Response(self.get_serializer(as_document(explanation)).data)
