"""An explanation says what the rows say, and of everything seen why it was chosen or rejected."""

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.activity.models import PullRequest, Review
from apps.metrics.explanation.boundaries import WORDS
from apps.metrics.explanation.pull_request import Explanation, as_document, explain, query_for
from apps.metrics.figures import FIGURES, Bots, FigureQuery, Hours, list_entities
from apps.metrics.figures.entities import Listing
from apps.metrics.models import DerivedDeployment, DerivedPullRequest, DerivedShipment
from apps.teams.models import Team
from tests.calculator.histories import SHORT_AND_LONG, history, record_history
from tests.metrics import fixture_a
from tests.metrics.steps import API, PullRequestSteps, instant, record_steps

pytestmark = pytest.mark.django_db
INSTANTS = {
    "first_commit": "first_commit_at",
    "opened": "opened_at",
    "ready": "ready_at",
    "first_review": "first_review_at",
    "first_approval": "first_approval_at",
    "merged": "merged_at",
    "landed": "landed_at",
}
LEFT_OUT_OF_THE_FIRST_REVIEW = {
    1: {"coderabbitai[bot] 03-02 10:02": "by_bot", "ana 03-02 14:30": "by_author", "ben 03-03 09:00": "later"},
    4: {"github-actions[bot] 03-04 01:30": "by_bot"},
}


def explained(number: int, *, repository_id: int = API, team: Team | None = None) -> Explanation:
    found = explain(PullRequest.objects.get(repository_id=repository_id, number=number), team=team)
    assert found is not None
    return found


def every_explanation(team: Team) -> Iterator[Explanation]:
    for each in PullRequest.objects.filter(created_at__isnull=False).order_by("pk"):
        found = explain(each, team=team)
        assert found is not None
        yield found


def assert_equals_rows(explanation: Explanation) -> None:
    """The instants and stages are those of the stored rows."""
    one = {"repository_id": explanation.row["repository_id"], "number": explanation.row["number"]}
    stored = DerivedPullRequest.objects.get(**one)
    assert {each.name: each.at for each in explanation.boundaries} == {
        name: getattr(stored, column) for name, column in INSTANTS.items()
    }
    shipments = {(row.service, row.environment): row for row in DerivedShipment.objects.filter(**one)}
    shipped = {(each.service, each.environment): each for each in explanation.deployments if each.at}
    assert shipped.keys() == shipments.keys()
    for target, row in shipments.items():
        found = shipped[target]
        assert found.chosen
        assert (found.chosen.name, found.at, found.lead_seconds) == (row.deployment, row.deployed_at, row.lead_seconds)
        if found.lead_seconds is not None:
            assert sum(seconds or 0 for seconds in found.stages.values()) == found.lead_seconds


def assert_nothing_is_missing(explanation: Explanation) -> None:
    """Every review and deployment was chosen, or rejected for a reason; what was chosen has the instant."""
    one = {"repository_id": explanation.row["repository_id"], "number": explanation.row["number"]}
    reviews = set(Review.objects.filter(**one).values_list("pk", flat=True))
    for boundary in explanation.boundaries:
        if boundary.name in ("first_review", "first_approval"):
            assert {int(each.name) for each in boundary.candidates} == reviews
            assert (boundary.chosen.at if boundary.chosen else None) == boundary.at
    deployments = DerivedDeployment.objects.filter(repository_id=one["repository_id"]).values_list("name", flat=True)
    seen = [each.name for shipping in explanation.deployments for each in shipping.candidates]
    assert sorted(seen) == sorted(deployments)
    for each in (*explanation.boundaries, *explanation.deployments):
        assert bool(each.chosen) == (each.at is not None), each.name
        assert sum(not candidate.reason for candidate in each.candidates) <= 1, each.name
        assert each.rejected.keys() <= WORDS.keys()


def assert_counts_as_listed(explanation: Explanation, query: FigureQuery) -> None:
    """It counts where the lists of the figures have it, and is left out for the reason of their lists."""
    scope = explanation.row["repository_id"], explanation.row["number"]
    for counted in explanation.figures:
        key, reason = counted.figure.key, counted.reason
        if not reason or reason in FIGURES[key].reasons:
            listed = list_entities(key, query, listing=Listing(excluded=reason))
            assert scope in {(each.repository_id, each.number) for each in listed}, (key, reason)
        if reason:
            assert scope not in {(each.repository_id, each.number) for each in list_entities(key, query)}, (key, reason)


def test_it_equals_the_rows_of_the_worked_example(worked_example: dict[str, Team]) -> None:
    for explanation in every_explanation(worked_example["acme"]):
        assert_equals_rows(explanation)
        assert_nothing_is_missing(explanation)


@pytest.mark.parametrize(("seed", "size"), SHORT_AND_LONG)
def test_it_equals_the_rows_of_a_random_history(teams: dict[str, Team], seed: int, size: int) -> None:
    record_history(history(seed=seed, size=size))
    for explanation in every_explanation(teams["alpha"]):
        assert_equals_rows(explanation)
        assert_nothing_is_missing(explanation)


def test_a_pull_request_counts_where_the_lists_have_it(worked_example: dict[str, Team]) -> None:
    for team in (worked_example["acme"], worked_example["alpha"]):
        for explanation in every_explanation(team):
            assert_counts_as_listed(explanation, query_of_life(explanation, team))


def query_of_life(explanation: Explanation, team: Team) -> FigureQuery:
    return query_for(team, opened_at=explanation.row["opened_at"], bots=Bots.EXCLUDE, hours=Hours.WALL)


@pytest.mark.parametrize("number", LEFT_OUT_OF_THE_FIRST_REVIEW)
def test_reviews_that_do_not_count_say_why(worked_example: dict[str, Team], number: int) -> None:
    explanation = explained(number)
    [boundary] = [each for each in explanation.boundaries if each.name == "first_review"]
    rejected = {
        f"{explanation.logins[each.account_id or 0]} {each.at:%m-%d %H:%M}": each.reason
        for each in boundary.candidates
        if each.reason
    }
    assert rejected == LEFT_OUT_OF_THE_FIRST_REVIEW[number]


def test_deployments_that_did_not_ship_it_say_why(worked_example: dict[str, Team]) -> None:
    [production] = [each for each in explained(1).deployments if each.environment == "production"]
    assert production.at == instant("03-03 12:00")
    assert production.rejected == {"baseline": 1, "later": 3, "not_succeeded": 1}
    assert {stage: (seconds or 0) / 3600 for stage, seconds in production.stages.items()} == {
        "coding": 5,
        "pickup": 2,
        "review": 17,
        "merge": 1,
        "deploy": 2,
    }
    [production] = [each for each in explained(6).deployments if each.environment == "production"]
    assert production.rejected == {"baseline": 1, "before_merge": 2, "later": 1, "not_succeeded": 1}


def test_without_an_earlier_deployment_it_says_that_the_baseline_is_unknown(teams: dict[str, Team]) -> None:
    record_steps(fixture_a.steps(has_baseline=False))
    explanation = explained(2, team=teams["acme"])
    [production] = [each for each in explanation.deployments if each.environment == "production"]
    assert (production.at, production.rejected["baseline_unknown"]) == (None, 3)
    reasons = {each.figure.key: each.reason for each in explanation.figures}
    assert reasons["lead_time"] == "baseline_unknown"
    assert reasons["time_to_first_review"] == "merged_without_review"
    assert reasons["cycle_time"] == ""


def test_a_team_does_not_count_what_others_did_nor_bots(worked_example: dict[str, Team]) -> None:
    by_team = {
        (slug, number): {each.figure.key: each.reason for each in explained(number, team=worked_example[slug]).figures}
        for slug, number in (("alpha", 3), ("beta", 3), ("acme", 4))
    }
    assert by_team["alpha", 3]["prs_merged"] == "not_a_member"
    assert by_team["beta", 3]["prs_merged"] == ""
    assert by_team["acme", 4]["prs_merged"] == "bot"
    assert by_team["beta", 3]["closed_unmerged"] == "not_applicable"


def test_an_instant_names_what_reported_it(worked_example: dict[str, Team]) -> None:
    document = as_document(explained(1))
    sources = {each["boundary"]: each["sources"] for each in document["boundaries"]}
    assert {name for name, own in sources.items() if not own} == set()
    assert {each["entity"] for each in sources["first_review"]} == {"review"}
    assert sources["first_commit"][0]["entity"] == "push"
    assert {each["entity"] for each in sources["landed"]} == {"commit"}
    [deployed] = [each for each in document["deployments"] if each["environment"] == "production"]
    assert {each["entity"] for each in deployed["sources"]} == {"deployment", "deployment_status"}


def test_evidence_of_ai_tools_is_part_of_it(worked_example: dict[str, Team]) -> None:
    evidence = as_document(explained(5))["evidence"]
    assert [(each["kind"], each["source"]) for each in evidence] == [("assisted", "trailer")]
    assert "claude" in run("acme/api#5").lower()


def test_history_requests_and_runs_are_part_of_it(teams: dict[str, Team]) -> None:
    record_steps(
        [*fixture_a.steps(), *PullRequestSteps(7, "ana").opened("03-06 10:00").requested("03-06 11:00", "ben").steps]
    )
    document = as_document(explained(1))
    assert [each["kind"] for each in document["history"]] == [
        *("first_commit", "opened_as_draft", "head_moved", "commented", "ready_for_review", "commented"),
        *("changes_requested", "head_moved", "approved", "merged", "deployed_to_production"),
    ]
    assert "flags" in document
    assert as_document(explained(5))["flags"] == ["force_pushed", "ai_assisted", "reverted"]
    [request] = as_document(explained(7))["review_requests"]
    assert (request["reviewer"], request["answered_at"]) == ("ben", None)
    assert "review requested of ben at 2026-03-06T11:00:00Z: no answer" in run("acme/api#7")


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("explain", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_prints_a_table_and_the_document(worked_example: dict[str, Team]) -> None:
    table = run("acme/api#1", "--team", "alpha")
    for words in ("first review: 2026-03-02T16:00:00Z", "It is by a bot.", "lead time 27 h 00 m", "figures of alpha:"):
        assert words in table, table
    document: dict[str, Any] = json.loads(run("acme/api#1", "--json"))
    assert document == json.loads(json.dumps(as_document(explained(1))))
    assert document["figures"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("acme/api",), "is no pull request"),
        (("acme/api#99",), "There is no pull request acme/api#99."),
        (("acme/api#1", "--team", "nobody"), "There is no team 'nobody'"),
        (("acme/api#1", "--team", "other"), "in the repositories of other"),
    ],
)
def test_the_command_says_what_it_cannot_find(teams: dict[str, Team], arguments: tuple[str, ...], words: str) -> None:
    Team.objects.create(name="Other", slug="other")
    record_steps(fixture_a.steps())
    with pytest.raises(CommandError, match=words) as caught:
        run(*arguments)
    assert caught.value.returncode == 2
