"""Series, groups, filters, comparisons and exclusions of figures: whatever is asked, the lists have the same rows."""

import csv
import io
from collections.abc import Iterator
from statistics import mean, median
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.activity.coverage import cover
from apps.activity.models import PullRequest
from apps.metrics.figures import FIGURES
from apps.metrics.figures.figure import Measure
from apps.metrics.models import DerivedPullRequest
from tests.api.conftest import API, Cast, make_members, record_at_once
from tests.api.test_figures import FIGURES_PATH, WEEK, asked
from tests.metrics import fixture_a
from tests.metrics.steps import PullRequestSteps, instant, person, record_steps
from tests.shared_rows import shared_rows

pytestmark = pytest.mark.django_db

HOUR = 3600
LEVELS = ("wip", "age")
FILTERS = (
    "",
    "bots=include",
    "bots=only",
    "repository=acme/api",
    "author=ben",
    "label=bug",
    "label=bug&author=ben",
    "hours=working",
    "attribution=current",
    "service=acme/api&bots=include",
)


@pytest.fixture
@shared_rows
def labelled(week: Cast) -> Cast:
    """The week of fixture A, with labels: 1 and 5 are bugs, 5 is urgent too."""
    PullRequest.objects.filter(number__in=(1, 5)).update(labels=["bug"])
    PullRequest.objects.filter(number=5).update(labels=["bug", "urgent"])
    return week


def asked_by_admin(cast: Cast, address: str) -> Any:
    answer = cast.client(cast.admin).get(address)
    assert answer.status_code == 200, answer.content
    return answer.json()


def every_figure(cast: Cast, parameters: str, *, team: str = "acme") -> dict[str, dict[str, Any]]:
    client = cast.client(cast.operator)
    answer = client.get(f"/api/v1/teams/{team}/figures/?{parameters}").json()
    return {figure["figure"]: figure for figure in answer["figures"]}


def listed(cast: Cast, url: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = cast.client(cast.operator).get(f"{url}&limit=500").json()["results"]
    return rows


@pytest.mark.parametrize("parameters", FILTERS)
def test_with_any_filter_a_list_has_the_rows_of_its_figure(labelled: Cast, parameters: str) -> None:
    figures = every_figure(labelled, f"{WEEK}&{parameters}")
    assert ("deployments" if "service" in parameters else "prs_merged") in figures
    for key, figure in figures.items():
        rows = listed(labelled, figure["entities_url"])
        assert len(rows) == figure["n"], key
        if figure["measure"] == "distribution":
            values = [row["value"] for row in rows]
            assert figure["median"] == (pytest.approx(median(values)) if values else None), key
            assert figure["mean"] == (pytest.approx(mean(values)) if values else None), key


@pytest.mark.parametrize("dimension", ["repository", "service", "author", "class", "label"])
def test_a_group_is_the_figure_of_what_its_filter_leaves(labelled: Cast, dimension: str) -> None:
    figures = every_figure(labelled, f"{WEEK}&bots=include&group_by={dimension}")
    assert set(figures) == {key for key, figure in FIGURES.items() if dimension in figure.dimensions}
    for key, figure in figures.items():
        if dimension != "label":  # of which a pull request may have several
            assert sum(group["n"] for group in figure["groups"]) == figure["n"], key
    figure = "deployments" if dimension == "service" else "cycle_time"
    for group in figures[figure]["groups"]:
        if not group["key"]:
            continue
        chosen = f"bots={'only' if group['name'] == 'bot' else 'exclude'}" if dimension == "class" else ""
        chosen = chosen or f"bots=include&{dimension}={group['name']}"
        narrowed = every_figure(labelled, f"{WEEK}&{chosen}&figure={figure}")[figure]
        assert (group["value"], group["n"]) == (narrowed["value"], narrowed["n"]), group


def test_groups_have_names(labelled: Cast) -> None:
    by_author = every_figure(labelled, f"{WEEK}&group_by=author&figure=prs_merged")["prs_merged"]["groups"]
    assert [(group["name"], group["n"]) for group in by_author] == [("ben", 2), ("ana", 1), ("cy", 1), ("talbot", 1)]
    by_label = every_figure(labelled, f"{WEEK}&group_by=label&figure=prs_merged")["prs_merged"]["groups"]
    assert [(group["name"], group["n"]) for group in by_label] == [("", 3), ("bug", 2), ("urgent", 1)]
    [by_repository] = every_figure(labelled, f"{WEEK}&group_by=repository&figure=deployments")["deployments"]["groups"]
    assert (by_repository["key"], by_repository["name"], by_repository["n"]) == (str(API), "acme/api", 4)
    [by_service] = every_figure(labelled, f"{WEEK}&group_by=service&figure=deployments")["deployments"]["groups"]
    assert (by_service["name"], by_service["n"]) == ("acme/api", 4)


@pytest.mark.parametrize("granularity", ["day", "week", "month"])
def test_the_counts_of_a_series_add_up_to_the_whole(labelled: Cast, granularity: str) -> None:
    figures = every_figure(labelled, f"from=2026-02-20&to=2026-03-20&bots=include&granularity={granularity}")
    for key, figure in figures.items():
        if key not in LEVELS:
            assert sum(point["n"] for point in figure["series"]) == figure["n"], key
        starts, ends = ([point[name] for point in figure["series"]] for name in ("start", "end"))
        assert [starts[0], *ends] == [*starts, "2026-03-20"] == ["2026-02-20", *ends], key


@pytest.mark.parametrize("granularity", ["day", "week", "month"])
def test_a_bucket_is_the_figure_of_its_own_window(labelled: Cast, granularity: str) -> None:
    figures = every_figure(labelled, f"from=2026-02-28&to=2026-03-08&granularity={granularity}")
    for place, point in enumerate(figures["prs_merged"]["series"]):
        alone = every_figure(labelled, f"from={point['start']}&to={point['end']}")
        for key, figure in figures.items():
            found = figure["series"][place]
            assert (found["value"], found["n"]) == (alone[key]["value"], alone[key]["n"]), (key, point)


def test_a_median_of_a_month_is_not_the_mean_of_its_weeks(cast: Cast) -> None:
    """Fixture D: weeks of 1, 1, 1 and of 10."""
    for number, merged in {1: "03-02 10:00:01", 2: "03-03 10:00:01", 3: "03-04 10:00:01", 4: "03-09 10:00:10"}.items():
        record_steps(PullRequestSteps(number, "ben").opened(f"{merged[:-2]}00").merged(merged).steps)
    month = asked(cast, f"{FIGURES_PATH}cycle_time/?from=2026-03-02&to=2026-03-16&granularity=week")["figure"]
    assert [point["value"] for point in month["series"]] == [1, 10]
    assert month["value"] == 1


@pytest.mark.parametrize(
    ("merged", "zone", "counts"),
    [
        ("03-09 03:30", "America/New_York", [1, 0]),  # Sunday, 23:30
        ("03-09 03:30", "UTC", [0, 1]),
        ("03-09 04:00", "America/New_York", [0, 1]),  # midnight belongs to the next week only
        ("03-02 05:00", "America/New_York", [1, 0]),  # before the clocks went forward, midnight was an hour later
    ],
)
def test_buckets_are_of_local_days_when_the_clocks_change(
    cast: Cast, merged: str, zone: str, counts: list[int]
) -> None:
    """Fixture B: the week of March 2 has 167 hours in New York."""
    cast.teams["acme"].time_zone = zone
    cast.teams["acme"].save()
    record_steps(PullRequestSteps(1, "ben").opened("03-01 10:00").merged(merged).steps)
    for granularity in ("week", "day"):
        address = f"{FIGURES_PATH}prs_merged/?from=2026-03-02&to=2026-03-16&granularity={granularity}"
        points = asked(cast, address)["figure"]["series"]
        weeks = [sum(point["n"] for point in points if start <= point["start"] < end) for start, end in WEEKS]
        assert weeks == counts


WEEKS = (("2026-03-02", "2026-03-09"), ("2026-03-09", "2026-03-16"))


def test_a_bucket_that_is_cut_or_has_not_ended_is_partial(week: Cast) -> None:
    address = f"{FIGURES_PATH}throughput/?from=2026-03-04&to=2026-03-29&granularity=week&as_of=2026-03-17T12:00:00Z"
    points = asked(week, address)["figure"]["series"]
    assert [point["partial"] for point in points] == [True, False, True, True]
    assert [point["value"] for point in points] == [pytest.approx(3 * 7 / 5), 0, 0, None]  # the last has not begun


def test_a_bucket_says_whether_it_is_complete(reached: Cast) -> None:
    record_at_once(fixture_a.steps())
    address = f"{FIGURES_PATH}prs_merged/?from=2026-03-02&to=2026-03-30&granularity=week"
    assert {point["complete"] for point in asked(reached, address)["figure"]["series"]} == {None}
    for start, end in (("02-20", "03-04"), ("03-06", "03-20")):
        cover("pull_requests", repository_id=API, from_at=instant(f"{start} 00:00"), to_at=instant(f"{end} 00:00"))
    points = asked(reached, address)["figure"]["series"]
    assert [point["complete"] for point in points] == [False, True, False, False]


def test_work_in_progress_is_what_was_open_at_the_end_of_each_bucket(cast: Cast) -> None:
    record_steps(PullRequestSteps(1, "ana").opened("03-02 10:00").merged("03-04 18:00").steps)
    record_steps(PullRequestSteps(2, "ben").opened("03-03 11:00").closed("03-04 12:00").reopened("03-05 14:00").steps)
    record_steps(PullRequestSteps(3, "cy").opened("03-02 09:00", draft=True).ready("03-03 09:00").steps)
    window = "from=2026-03-02&to=2026-03-07&as_of=2026-03-06T12:00:00Z&granularity=day"
    figures = {key: asked(cast, f"{FIGURES_PATH}{key}/?{window}")["figure"] for key in LEVELS}
    assert [point["value"] for point in figures["wip"]["series"]] == [1, 3, 1, 2, 2]
    assert figures["age"]["series"][0]["value"] == 14 * HOUR
    assert figures["wip"]["value"] == 2
    assert figures["age"]["value"] == figures["age"]["series"][-1]["value"]


def every_excluded(cast: Cast, team: str, bots: str) -> Iterator[tuple[str, dict[str, Any]]]:
    figures = every_figure(cast, f"{WEEK}&bots={bots}&detail=true", team=team)
    yield from figures.items()


@pytest.mark.parametrize(
    ("team", "bots"),
    [("alpha", "exclude"), ("alpha", "include"), ("alpha", "only"), ("acme", "exclude"), ("platform", "include")],
)
def test_what_counts_and_what_is_left_out_is_all_there_is(week: Cast, team: str, bots: str) -> None:
    """All there is: of the account's team, which has no members, with the bots."""
    everything = every_figure(week, f"{WEEK}&bots=include&detail=true")
    for key, figure in every_excluded(week, team, bots):
        own = {one["reason"]: one["n"] for one in figure["excluded"]}
        whole = everything[key]["n"] + sum(one["n"] for one in everything[key]["excluded"])
        assert set(own) <= set(FIGURES[key].reasons)
        others = set(FIGURES[key].also_excluded)  # these are rows of another kind
        of_others = sum(one["n"] for one in everything[key]["excluded"] if one["reason"] in others)
        assert figure["n"] + sum(n for reason, n in own.items() if reason not in others) == whole - of_others, key
        for one in figure["excluded"]:
            assert len(listed(week, one["url"])) == one["n"], (key, one)


def test_what_is_left_out_is_named(week: Cast) -> None:
    figures = every_figure(week, f"{WEEK}&detail=true", team="alpha")
    assert {one["reason"]: one["n"] for one in figures["prs_merged"]["excluded"]} == {"bot": 1, "not_a_member": 1}
    [bot] = listed(week, next(one["url"] for one in figures["prs_merged"]["excluded"] if one["reason"] == "bot"))
    assert (bot["account"], bot["number"], bot["flags"]) == ("dependabot[bot]", 4, ["bot"])
    first_review = {one["reason"]: one["n"] for one in figures["time_to_first_review"]["excluded"]}
    assert first_review["merged_without_review"] == 1  # 2


def test_rows_without_a_value_are_left_out_with_a_reason(week: Cast) -> None:
    DerivedPullRequest.objects.filter(number=3).update(size=None, review_rounds=None)
    figures = every_figure(week, f"{WEEK}&detail=true")
    for key, reason in (("pr_size", "size_unknown"), ("review_rounds", "rounds_unknown")):
        assert figures[key]["n"] == 4
        [found] = [one for one in figures[key]["excluded"] if one["reason"] == reason]
        [row] = listed(week, found["url"])
        assert (found["n"], row["number"]) == (1, 3)


def test_a_distribution_has_a_histogram_and_any_quantile(week: Cast) -> None:
    figure = asked(week, f"{FIGURES_PATH}cycle_time/?{WEEK}&quantiles=0,0.25,1,.9")["figure"]
    assert figure["quantiles"] == {
        "0": 0.25 * HOUR,
        "0.25": 2 * HOUR,
        "1": 26 * HOUR,
        "0.9": pytest.approx(23.6 * HOUR),
    }
    bins = {one["start"]: one["n"] for one in figure["histogram"] if one["n"]}
    assert bins == {900: 1, 2 * HOUR: 1, 4 * HOUR: 1, 8 * HOUR: 1, 24 * HOUR: 1}
    assert asked(week, f"{FIGURES_PATH}prs_merged/?{WEEK}&quantiles=0.5")["figure"]["histogram"] is None
    empty = asked(week, f"{FIGURES_PATH}cycle_time/?from=2026-01-05&to=2026-01-12&quantiles=0.5")["figure"]
    assert (empty["quantiles"], {one["n"] for one in empty["histogram"]}) == ({"0.5": None}, {0})


def test_githubs_own_definition_is_a_variant(week: Cast) -> None:
    figure = asked(week, f"{FIGURES_PATH}cycle_time/?{WEEK}&variant=gh_compatible")["figure"]
    assert figure["mean"] == pytest.approx(11.85 * HOUR)  # from created to merged
    assert figure["definition"].startswith("Time from created to merged")
    assert list(every_figure(week, f"{WEEK}&variant=gh_compatible")) == ["cycle_time"]
    [first, *_] = listed(week, f"{figure['entities_url']}&ordering=-value")
    assert (first["number"], first["value"]) == (3, 26 * HOUR)


def test_any_period_can_be_compared_with(week: Cast) -> None:
    address = f"{FIGURES_PATH}prs_merged/?from=2026-03-16&to=2026-03-23"
    other = asked(week, f"{address}&compare=2026-03-02..2026-03-09")["figure"]["previous"]
    assert (other["value"], other["start_at"], other["end_at"]) == (5, "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z")
    previous = asked(week, f"{address}&previous=true")["figure"]["previous"]
    assert asked(week, f"{address}&compare=previous")["figure"]["previous"] == previous


def test_a_list_can_be_sorted_and_taken_as_csv(week: Cast) -> None:
    address = f"{FIGURES_PATH}cycle_time/entities/?{WEEK}"
    orders = {order: [row["number"] for row in listed(week, f"{address}&ordering={order}")] for order in ORDERS}
    assert orders == {
        "-at": [6, 5, 3, 2, 1],
        "at": [1, 2, 3, 5, 6],
        "-value": [3, 1, 5, 2, 6],
        "value": [6, 2, 5, 1, 3],
    }
    assert [row["number"] for row in listed(week, f"{address}&ordering=-repository")] == [6, 5, 3, 2, 1]
    accounts = [row["account"] for row in listed(week, f"{address}&ordering=account")]
    assert accounts == sorted(accounts)
    assert [row["number"] for row in listed(week, f"{address}&least=7200&below=86400&ordering=value")] == [2, 5, 1]
    assert [row["number"] for row in listed(week, f"{address}&search=%235")] == [5]
    answer = week.client(week.viewer).get(f"{address}&excluded=bot&format=csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [(row["number"], row["account"]) for row in rows] == [("4", "dependabot[bot]")]
    assert 'filename="acme-cycle_time-bot-2026-03-02-2026-03-09.csv"' in answer["Content-Disposition"]


ORDERS = ("-at", "at", "-value", "value")


@pytest.mark.parametrize(
    ("path", "parameters", "field", "accepted"),
    [
        ("", "granularity=hour", "granularity", "day, week, month"),
        ("", "granularity=day&window=500d", "granularity", "at most 400"),
        ("", "group_by=mood", "group_by", "repository, service, author, class, label"),
        ("", "group_by=label&figure=deployments", "group_by", "Its dimensions: repository"),
        ("deployments/", "author=ben", "author", "Its dimensions: repository"),
        ("deployments/entities/", "label=bug", "label", "Its dimensions: repository"),
        ("", "quantiles=half", "quantiles", "from 0 to 1"),
        ("", "quantiles=1.5", "quantiles", "from 0 to 1"),
        ("", "quantiles=nan", "quantiles", "from 0 to 1"),
        ("", "compare=last", "compare", "2026-01-05..2026-01-12"),
        ("", "compare=2026-01-12..2026-01-05", "compare", "2026-01-05..2026-01-12"),
        ("", "compare=0001-01-01..2026-01-05", "compare", "2026-01-05..2026-01-12"),
        ("", "compare=2026-01-05..2026-01-12&previous=true", "compare", "not both"),
        ("", "previous=maybe", "previous", "not true or false"),
        ("", "detail=maybe", "detail", "not true or false"),
        ("", "author=nobody", "author", "/api/v1/teams/acme/contributors/"),
        ("", "author=%00", "author", "/api/v1/teams/acme/contributors/"),
        ("", "label=%00", "label", "NUL"),
        ("", "variant=best", "variant", "gh_compatible"),
        ("prs_merged/", "variant=gh_compatible", "variant", "Figures that have it: cycle_time"),
        ("cycle_time/entities/", "ordering=title", "ordering", "-at, at, -value, value"),
        ("cycle_time/entities/", "search=%00", "search", "a part of the title"),
        ("cycle_time/entities/", "least=much", "least", "is not a number"),
        ("cycle_time/entities/", "below=inf", "below", "is not a number"),
        ("cycle_time/entities/", "excluded=dull", "excluded", "bot, agent, human, not_a_member, never_ready"),
        ("deployments/entities/", "excluded=bot", "excluded", "Reasons: none"),
    ],
)
def test_a_value_that_is_not_known_is_400_and_says_what_is_accepted(
    week: Cast, path: str, parameters: str, field: str, accepted: str
) -> None:
    answer = week.client(week.admin).get(f"{FIGURES_PATH}{path}?{parameters}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert accepted in answer.json()["fields"][field][0]


@pytest.mark.parametrize("parameters", ["author=ben", "group_by=author"])
@pytest.mark.parametrize("path", ["", "prs_merged/"])
def test_figures_of_one_person_are_for_admins_of_the_team(week: Cast, path: str, parameters: str) -> None:
    address = f"{FIGURES_PATH}{path}?{WEEK}&{parameters}"
    assert "leads and admins of the team" in asked(week, address, status=403)["detail"]
    assert asked_by_admin(week, address)


def test_a_viewer_sees_figures_of_their_own_work_and_of_no_other(week: Cast) -> None:
    SocialAccount.objects.create(user=week.viewer, provider="github", uid=str(person("ben")))
    assert asked(week, f"{FIGURES_PATH}prs_merged/?{WEEK}&author=BEN")["figure"]["value"] == 2
    assert asked(week, f"{FIGURES_PATH}prs_merged/entities/?{WEEK}&author=ben")["count"] == 2
    asked(week, f"{FIGURES_PATH}prs_merged/?{WEEK}&author=ana", status=403)


def test_a_whole_dashboard_is_one_statement_of_figures(week: Cast) -> None:
    make_members(week.teams["acme"], "ana", "ben")
    client = week.client(week.viewer)
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(
            f"{FIGURES_PATH}?window=84d&granularity=week&compare=previous&detail=true&group_by=repository"
        )
    assert len(answer.json()["figures"]) == len(FIGURES)
    assert len([one for one in queries if str(one["sql"]).startswith("WITH rows_")]) == 1
    assert len(queries) <= 16, [one["sql"] for one in queries]


def test_each_kind_of_measure_is_used() -> None:
    assert {figure.measure for figure in FIGURES.values()} == set(Measure)
