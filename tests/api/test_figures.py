"""Figures and the pull requests that they count, over the API."""

import csv
import io
import json
from dataclasses import replace
from datetime import date, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.activity.coverage import cover
from apps.activity.models import Change, Deployment, Provenance, PullRequest
from apps.metrics.figures import AI, FIGURES, Bots, FigureQuery, Window, read_figure
from apps.metrics.figures.compiled_rows import compile_usual_rows, compiled_rows
from apps.metrics.freshness import tag_of
from apps.metrics.rebuild import rebuild
from apps.metrics.recalculation import drain
from apps.teams.models import Team
from tests.api.conftest import API, Cast, make_members, record_at_once
from tests.metrics import fixture_a
from tests.metrics.steps import PullRequestSteps, deployed, instant, record_facts

pytestmark = pytest.mark.django_db

WEEK = "from=2026-03-02&to=2026-03-09"
FIGURES_PATH = "/api/v1/teams/acme/figures/"
EUROPE = "Production \N{EN DASH} web/eu"


def asked(cast: Cast, address: str, *, status: int = 200) -> Any:
    answer = cast.client(cast.viewer).get(address)
    assert answer.status_code == status, answer.content
    return answer.json()


def week_of(cast: Cast, **filters: Any) -> FigureQuery:
    window = Window(start=date(2026, 3, 2), end=date(2026, 3, 9), time_zone="UTC")
    return FigureQuery(team=cast.teams["acme"], window=window, **filters)


def test_every_figure_is_the_registrys(week: Cast) -> None:
    data = {figure["figure"]: figure for figure in asked(week, f"{FIGURES_PATH}?{WEEK}")["figures"]}
    assert list(data) == list(FIGURES)
    for key in FIGURES:
        expected = read_figure(key, week_of(week)).as_dict()
        assert {name: data[key][name] for name in expected} == expected, key
        assert data[key]["definition"] == FIGURES[key].definition
    assert (data["prs_merged"]["value"], data["cycle_time"]["median"]) == (5, 7.0 * 3600)


@pytest.mark.parametrize("patterns", [[], ["prod*"]], ids=["by-name", "by-pattern"])
@pytest.mark.parametrize("logins", [(), ("ben",)], ids=["everybody", "members"])
def test_a_new_process_compiles_what_people_ask_for_first_by_itself(
    week: Cast, patterns: list[str], logins: tuple[str, ...]
) -> None:
    team = week.teams["acme"]
    team.members.all().delete()
    make_members(team, *logins)
    Team.objects.filter(pk=team.pk).update(production_environments=patterns)
    compiled_rows.cache_clear()
    with CaptureQueriesContext(connection) as statements:
        compile_usual_rows()
    compiled = compiled_rows.cache_info().misses
    asked(week, f"{FIGURES_PATH}?window=84d&granularity=week&compare=previous")
    asked(week, f"{FIGURES_PATH}?{WEEK}&detail=true&figure=cycle_time")
    assert (len(statements), compiled_rows.cache_info().misses) == (0, compiled)


def test_bots_repositories_and_the_instant_of_seeing_narrow_a_figure(week: Cast) -> None:
    merged = {bots: asked(week, f"{FIGURES_PATH}prs_merged/?{WEEK}&bots={bots}")["figure"]["value"] for bots in Bots}
    assert merged == {"exclude": 5, "include": 6, "only": 1}
    for repository in (API, "acme/api", "ACME/API"):
        data = asked(week, f"{FIGURES_PATH}prs_merged/?{WEEK}&repository={repository}")
        assert (data["repositories"], data["figure"]["value"]) == ([API], 5)
    seen = asked(week, f"{FIGURES_PATH}closed_unmerged/?{WEEK}&as_of=2026-03-04T23:00:00Z")
    assert (seen["figure"]["value"], seen["as_of"]) == (1, "2026-03-04T23:00:00Z")


def test_evidence_of_tools_narrows_and_groups_figures(week: Cast) -> None:
    address = f"{FIGURES_PATH}cycle_time/?{WEEK}"
    found = {ai: asked(week, f"{address}&ai={ai}")["figure"] for ai in AI}
    assert {ai: figure["n"] for ai, figure in found.items()} == {
        "authored": 0,
        "assisted": 1,
        "reviewed": 1,
        "any": 2,
        "none": 3,
    }
    assert [found[ai]["value"] for ai in (AI.ASSISTED, AI.REVIEWED)] == [7 * 3600, 20 * 3600]
    groups = asked(week, f"{address}&group_by=ai")["figure"]["groups"]
    assert {group["key"]: group["n"] for group in groups} == {"assisted": 1, "reviewed": 1, "": 3}
    document = asked(week, f"{FIGURES_PATH}?{WEEK}&ai=assisted&agents=include")
    assert (document["ai"], document["agents"], document["bots"]) == ("assisted", "include", "exclude")
    assert "deployments" not in {figure["figure"] for figure in document["figures"]}


def test_the_evidence_about_a_pull_request_is_shown(week: Cast) -> None:
    [piece] = asked(week, f"/api/v1/pull-requests/{API}/5/")["ai_evidence"]
    assert (piece["kind"], piece["source"], piece["sha"]) == ("assisted", "trailer", "e1")
    assert (piece["value"], piece["tool"]) == ("co-authored-by: Claude <noreply@anthropic.com>", "Claude")


def test_the_command_prints_the_document_that_the_api_answers(week: Cast) -> None:
    printed = StringIO()
    call_command("figures", "acme", "--from", "2026-03-02", "--to", "2026-03-09", "--json", stdout=printed)
    document = json.loads(printed.getvalue())
    answer = asked(week, f"{FIGURES_PATH}?{WEEK}&as_of={document['as_of']}")
    for figure in answer["figures"]:
        del figure["entities_url"]
    assert answer == document


def test_the_period_before_is_read_when_asked_for(week: Cast) -> None:
    address = f"{FIGURES_PATH}prs_merged/?from=2026-03-09&to=2026-03-16"
    assert asked(week, address)["figure"]["previous"] is None
    assert asked(week, f"{address}&previous=true")["figure"]["previous"] == {
        "value": 5,
        "n": 5,
        "start_at": "2026-03-02T00:00:00Z",
        "end_at": "2026-03-09T00:00:00Z",
        "complete": None,
        "is_suppressed": False,
    }


def test_a_day_just_begun_is_compared_with_as_much_of_a_day(cast: Cast) -> None:
    """Fixture G16: a deployment a day at half past midnight, and the last day of the window is an hour old."""
    for day in range(2, 16):
        record_at_once(deployed(day, statuses={"success": f"03-{day:02} 00:30"}))
    window = "from=2026-03-09&to=2026-03-16&as_of=2026-03-15T01:00:00Z&previous=true"
    for key, value in (("deployments", 7), ("deployment_frequency", 1)):
        figure = asked(cast, f"{FIGURES_PATH}{key}/?{window}")["figure"]
        assert (figure["value"], figure["previous"]["value"]) == (value, value)
        assert figure["previous"]["end_at"] == "2026-03-08T01:00:00Z"


def test_a_period_that_was_not_read_has_no_value_to_compare(reached: Cast) -> None:
    record_at_once(fixture_a.steps())
    address = f"{FIGURES_PATH}prs_merged/?from=2026-03-09&to=2026-03-16&previous=true"
    cover("pull_requests", repository_id=API, from_at=instant("03-04 00:00"), to_at=instant("04-01 00:00"))
    earlier = asked(reached, address)["figure"]["previous"]
    assert (earlier["value"], earlier["n"], earlier["complete"]) == (None, 5, False)
    cover("pull_requests", repository_id=API, from_at=instant("01-01 00:00"), to_at=instant("04-01 00:00"))
    earlier = asked(reached, address)["figure"]["previous"]
    assert (earlier["value"], earlier["complete"]) == (5, True)


def test_days_are_those_of_the_teams_time_zone(week: Cast) -> None:
    week.teams["acme"].time_zone = "America/New_York"
    week.teams["acme"].save()
    data = asked(week, f"{FIGURES_PATH}commits/?from=2026-03-03&to=2026-03-04&bots=include")
    assert data["window"] == {"start": "2026-03-03", "end": "2026-03-04", "time_zone": "America/New_York", "days": 1}
    assert data["figure"]["value"] == 3  # also 4, merged at 02:00 UTC: still the 3rd in New York


@pytest.mark.parametrize(
    ("parameters", "field", "accepted"),
    [
        ("window=fortnight", "window", "7d or 90d"),
        ("window=0d", "window", "7d or 90d"),
        ("window=7d&from=2026-03-02&to=2026-03-09", "window", "not both"),
        ("from=2026-03-02", "to", "must be used together"),
        ("from=02.03.2026&to=2026-03-09", "from", "format 2026-03-02"),
        ("from=2026-03-09&to=2026-03-02", "to", "after 'from' (2026-03-09)"),
        ("from=0001-01-01&to=2026-03-02", "from", "out of range"),
        ("from=1990-01-01&to=2026-03-02", "from", "at most"),
        ("from=1969-12-31&to=1970-02-01", "from", "1970-01-01"),
        ("bots=some", "bots", "exclude, include, only"),
        ("repository=acme/unknown", "repository", "does not track the repository 'acme/unknown'"),
        ("repository=801", "repository", "does not track the repository '801'"),
        ("as_of=yesterday", "as_of", "2026-03-04T23:00:00Z"),
        ("as_of=2026-03-04T23:00:00", "as_of", "with a time zone"),
        ("as_of=2999-01-01T00:00:00Z", "as_of", "future"),
        ("as_of=0001-01-01T00:00:00%2B14:00", "as_of", "1970-01-01"),
        ("as_of=0001-01-02T00:00:00Z", "as_of", "1970-01-01"),
        ("as_of=9999-12-31T23:59:59-14:00", "as_of", "future"),
        ("repository=%00", "repository", "does not track"),
        ("figure=velocity", "figure", "cycle_time"),
    ],
)
def test_a_bad_parameter_is_400_and_says_what_is_accepted(
    cast: Cast, parameters: str, field: str, accepted: str
) -> None:
    data = asked(cast, f"{FIGURES_PATH}?{parameters}", status=400)
    assert data["code"] == "invalid"
    assert accepted in data["fields"][field][0]
    assert data["detail"] == f"{field}: {data['fields'][field][0]}"


def test_an_unknown_figure_is_404_and_names_those_there_are(cast: Cast) -> None:
    assert "cycle_time" in asked(cast, f"{FIGURES_PATH}velocity/", status=404)["detail"]


def test_the_list_of_a_figure_is_what_it_counts(week: Cast) -> None:
    for figure in asked(week, f"{FIGURES_PATH}?{WEEK}")["figures"]:
        listed = asked(week, f"{figure['entities_url']}&limit=500")
        assert listed["count"] == len(listed["results"]) == figure["n"], figure["figure"]


def test_a_list_comes_in_pages(week: Cast) -> None:
    first = asked(week, f"{FIGURES_PATH}prs_merged/entities/?{WEEK}&limit=2")
    second = asked(week, first["next"].removeprefix("http://testserver"))
    numbers = [row["number"] for page in (first, second) for row in page["results"]]
    assert (first["count"], numbers) == (5, [6, 5, 3, 2])
    assert second["results"][0]["url"] == f"/api/v1/pull-requests/{API}/3/"
    assert second["results"][0]["github_url"].endswith("/acme/api/pull/3")


def test_a_deployment_links_to_its_workflow_run_or_else_to_its_environment(week: Cast) -> None:
    Deployment.objects.filter(run_id=None).update(environment=EUROPE)
    rebuild([API], progress=lambda *_: None)
    team = Team.objects.get(slug="acme")
    team.production_environments = ["production", EUROPE]
    team.save()
    listed = asked(week, f"{FIGURES_PATH}deployments/entities/?{WEEK}")["results"]
    pages = {row["github_url"].partition("/acme/api/")[2] for row in listed}
    assert pages == {
        "actions/runs/9001",
        "deployments/activity_log?environments_filter=Production%20%E2%80%93%20web%2Feu",
    }
    assert {row["title"] for row in listed} == {"production", EUROPE}


@pytest.mark.parametrize("way", ["?format=csv&", "?"])
def test_csv_holds_the_same_list_and_no_formula(week: Cast, way: str) -> None:
    PullRequest.objects.filter(number=5).update(title='=HYPERLINK("http://evil","x")')
    PullRequest.objects.filter(number=6).update(title="  @SUM(A1)")
    accept = {} if "format" in way else {"HTTP_ACCEPT": "text/csv"}
    answer = week.client(week.viewer).get(f"{FIGURES_PATH}cycle_time/entities/{way}{WEEK}", **accept)
    assert answer["Content-Type"].startswith("text/csv")
    assert answer["Content-Disposition"] == 'attachment; filename="acme-cycle_time-2026-03-02-2026-03-09.csv"'
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [row["number"] for row in rows] == ["6", "5", "3", "2", "1"]
    assert [row["title"] for row in rows[:2]] == ["'  @SUM(A1)", '\'=HYPERLINK("http://evil","x")']
    assert (rows[0]["value"], rows[0]["unit"]) == ("900.0", "seconds")


def test_errors_of_a_csv_are_words(cast: Cast) -> None:
    answer = cast.client(cast.viewer).get(f"{FIGURES_PATH}commits/entities/?format=csv&window=x")
    assert (answer.status_code, b"7d or 90d" in answer.content) == (400, True)


def test_waiting_changes_are_reported(week: Cast) -> None:
    assert asked(week, f"{FIGURES_PATH}?figure=commits")["is_recalculating"] is False
    Change.objects.create(kind="team", key="1")
    assert asked(week, f"{FIGURES_PATH}?figure=commits")["is_recalculating"] is True


def test_a_list_costs_the_same_queries_however_long(week: Cast) -> None:
    counts = []
    for limit in (1, 5):
        client = week.client(week.viewer)
        with CaptureQueriesContext(connection) as queries:
            client.get(f"{FIGURES_PATH}prs_merged/entities/?{WEEK}&limit={limit}")
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 10


@pytest.mark.parametrize("parameters", ["", "&as_of=2026-03-10T00:00:00Z", "&previous=true"])
def test_unchanged_figures_are_not_sent_again_nor_computed(week: Cast, parameters: str) -> None:
    client = week.client(week.viewer)
    address = f"{FIGURES_PATH}?{WEEK}{parameters}"
    tag = client.get(address)["ETag"]
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(address, HTTP_IF_NONE_MATCH=tag)
    assert (answer.status_code, answer.content) == (304, b"")
    assert not [one for one in queries if "metrics_derived" in str(one["sql"])]


def test_every_change_of_figures_changes_their_tag(week: Cast) -> None:
    client, address = week.client(week.viewer), f"{FIGURES_PATH}?{WEEK}"
    tags = [client.get(address)["ETag"]]

    def settle() -> None:
        assert drain(seconds=60)
        assert client.get(address, HTTP_IF_NONE_MATCH=tags[-1]).status_code == 200
        tags.append(client.get(address)["ETag"])

    record_facts(*PullRequestSteps(7, "ben").opened("03-03 10:00").steps[0])
    settle()
    make_members(week.teams["acme"], "ben")
    settle()
    week.teams["acme"].production_environments = ["live"]
    week.teams["acme"].save()
    settle()
    cover("commits", repository_id=API, from_at=instant("03-04 00:00"), to_at=instant("04-01 00:00"))
    settle()
    assert len(set(tags)) == len(tags)
    assert client.get(f"{address}&bots=only", HTTP_IF_NONE_MATCH=tags[-1]).status_code == 200


def test_a_rebuild_changes_the_tag(week: Cast) -> None:
    client, address = week.client(week.viewer), f"{FIGURES_PATH}?{WEEK}"
    tag = client.get(address)["ETag"]
    rebuild([API], progress=lambda *_: None)
    assert client.get(address, HTTP_IF_NONE_MATCH=tag).status_code == 200


def test_an_hour_later_figures_are_computed_again(week: Cast) -> None:
    """An age grows without any change."""
    query = week_of(week)
    later = replace(query, as_of=query.as_of + timedelta(hours=1))
    assert tag_of(query, is_as_of_now=True) != tag_of(later, is_as_of_now=True)
    assert tag_of(query, is_as_of_now=True).startswith('W/"')


LIST = "/api/v1/pull-requests/"


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ("", {1, 2, 3, 4, 5, 6}),
        ("author=ANA", {1}),
        ("state=merged", {1, 2, 3, 4, 5, 6}),
        ("state=open", set()),
        ("state=closed", set()),
        ("repository=acme/api&number=3", {3}),
        (f"repository={API}&number=3", {3}),
        ("repository=acme/none", set()),
        ("team=acme", {1, 2, 3, 4, 5, 6}),
        ("team=none", set()),
        ("search=CHANGE 4", {4}),
        ("merged_after=2026-03-05T00:00:00Z&merged_before=2026-03-05T16:00:00Z", {3}),
        ("created_after=2026-03-05T00:00:00Z", {5, 6}),
        ("label=bug", set()),
        ("is_draft=true", set()),
    ],
)
def test_filters(week: Cast, filters: str, numbers: set[int]) -> None:
    rows = week.client(week.viewer).get(f"{LIST}?{filters}").json()["results"]
    assert {row["number"] for row in rows} == numbers


def test_order_comes_from_a_list(week: Cast) -> None:
    client = week.client(week.viewer)
    rows = client.get(f"{LIST}?ordering=-number").json()["results"]
    assert [row["number"] for row in rows] == [6, 5, 4, 3, 2, 1]
    refused = client.get(f"{LIST}?ordering=author__password")
    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["ordering"])


def test_a_pull_request_has_the_sources_of_its_numbers(week: Cast) -> None:
    data = week.client(week.viewer).get(f"{LIST}{API}/3/").json()
    assert [event["kind"] for event in data["history"]] == ["head_moved", "closed", "reopened", "closed", "merged"]
    assert [(review["author"]["login"], review["verdict"]) for review in data["reviews"]] == [("ana", "approved")]
    assert (data["derived"]["cycle_seconds"], data["derived"]["is_reopened"]) == (26 * 3600, True)
    sources = Provenance.objects.filter(entity="pull_request", key=f"{API}:3").values_list("source_key", flat=True)
    assert {source["url"] for source in data["provenance"]} == {f"/api/v1/deliveries/{key}/" for key in sources}


def test_lists_and_details_cost_the_same_queries_however_long(week: Cast) -> None:
    counts = []
    for address in (f"{LIST}?limit=1", f"{LIST}?limit=6"):
        client = week.client(week.viewer)
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 6
    client = week.client(week.viewer)
    with CaptureQueriesContext(connection) as queries:
        client.get(f"{LIST}{API}/1/")
    assert len(queries) <= 9
