"""A figure has the holes of what it is read from, and no others."""

from datetime import UTC, datetime
from typing import Any

import pytest

from apps.integrations.streams import STREAM_NAMES
from apps.metrics.completeness import OF_FIGURES, providers
from apps.metrics.completeness.descriptions import explain_completeness
from apps.metrics.figures import FIGURES, FigureQuery, Window
from apps.metrics.figures.values import completeness_by_figure, completeness_of
from apps.teams.models import Team
from tests.metrics.completeness.known import (
    API,
    WEB,
    completeness,
    gaps,
    hour,
    log_scanned,
    reached,
    read,
    team_of,
    until,
)

pytestmark = pytest.mark.django_db
DEPLOYED = ("deployments", "deployment_frequency")
NOT_DEPLOYMENTS = tuple(stream for stream in STREAM_NAMES if stream != "deployments")
NOW = datetime(2026, 3, 10, tzinfo=UTC)


@pytest.fixture
def team() -> Team:
    reached()
    reached(WEB)
    return team_of(API, WEB)


def asked(team: Team, **about: Any) -> FigureQuery:
    window = Window(start=hour(0).date(), end=hour(24 * 7).date(), time_zone="UTC")
    return FigureQuery(team=team, window=window, **about)


def test_the_streams_of_figures_are_those_declared() -> None:
    assert {stream for figure in FIGURES.values() for stream in figure.streams} == set(OF_FIGURES)


def test_streams_without_figures_do_not_make_figures_incomplete(team: Team) -> None:
    for repository_id in (API, WEB):
        read(0, 100, repository_id, streams=OF_FIGURES)
    assert until(completeness_of(asked(team))) == 100
    assert until(completeness(API, WEB)) is None


def test_a_gap_in_deployments_is_not_one_of_pull_requests(team: Team) -> None:
    read(0, 100)
    read(0, 100, WEB, streams=NOT_DEPLOYMENTS)
    read(0, 40, WEB, streams=("deployments",))
    read(60, 90, WEB, streams=("deployments",))
    found = completeness_by_figure(asked(team))
    for key, complete in found.items():
        expected = ([("unread", 40, 60)], 90) if key in DEPLOYED else ([], 100)
        assert (gaps(complete), until(complete)) == expected, key
    everything = completeness_of(asked(team))
    assert (gaps(everything), until(everything)) == ([("unread", 40, 60)], 90)
    assert (everything.gaps[0].streams, everything.gaps[0].repository_ids) == (("deployments",), (WEB,))
    assert gaps(completeness_of(asked(team), keys=["reviews"])) == []


def test_work_in_progress_has_a_gap_before_its_window(team: Team) -> None:
    for repository_id in (API, WEB):
        read(-100, -50, repository_id)
        read(-20, 100, repository_id)
    found = completeness_by_figure(asked(team))
    assert {key for key, complete in found.items() if complete.gaps} == {"wip", "age"}


def test_a_figure_of_some_repositories_has_only_their_gaps(team: Team) -> None:
    read(0, 100)
    read(0, 10, WEB)
    assert until(completeness_of(asked(team))) == 10
    assert until(completeness_of(asked(team, repository_ids=(API,)))) == 100


def test_a_figure_as_of_an_earlier_instant_has_no_later_gaps(team: Team) -> None:
    for repository_id in (API, WEB):
        read(0, 10, repository_id)
        read(20, 100, repository_id)
    assert gaps(completeness_of(asked(team))) == [("unread", 10, 20)]
    assert gaps(completeness_of(asked(team, as_of=hour(9)))) == []


def words(query: FigureQuery, *, now: datetime = NOW) -> str:
    return explain_completeness(completeness_of(query), report=query.report, now=now)


def test_fresh_and_outdated_completeness_read_differently(team: Team) -> None:
    read(0, 100)
    read(0, 100, WEB)
    assert words(asked(team), now=hour(110)) == "Complete until 6 Mar 2026, 04:00 UTC."
    assert words(asked(team)).startswith("Complete only until 6 Mar 2026, 04:00 UTC: later data has not been verified")


def test_without_the_apps_key_the_sentence_says_what_to_configure(team: Team) -> None:
    assert words(asked(team)).startswith("Live from webhooks only. Connect the App's private key (GITHUB_APP_ID")
    with providers.scoped_registration():
        providers.register_credentials_check(lambda: True)
        assert words(asked(team)).startswith("Not verified yet: the history of acme/102, acme/api is not fully loaded")
    assert words(asked(team_of(slug="empty"))).startswith("No repositories yet")


def test_an_overlap_of_backfills_and_log_is_no_gap(team: Team) -> None:
    for repository_id in (API, WEB):
        read(0, 50, repository_id)
    log_scanned(40, 120)
    assert (until(completeness_of(asked(team))), gaps(completeness_of(asked(team)))) == (120, [])
