"""Who is not reached hears nothing: the log proves nothing of that time, and what is lost for good holds nobody."""

from typing import Any

import pytest

from apps.activity.facts import Stamp
from apps.activity.models import Installation, RepositoryAccess
from tests.metrics.completeness.known import API, APP, WEB, completeness, gaps, hour, log_scanned, reached, read, until

pytestmark = pytest.mark.django_db
LOST_AT = 50


@pytest.fixture(autouse=True)
def complete_repository() -> None:
    """Read once at the beginning; since then the log tells everything."""
    reached()
    read(0, 10)
    log_scanned(0, 100)
    assert (until(completeness()), gaps(completeness(start_h=0))) == (100, [])


def lose(kind: str) -> None:
    """The repository is lost at hour 50, in one of the ways there are."""
    access: dict[str, Any] = {
        "taken away": {"has_access": False, "lost_at": hour(LOST_AT)},
        "taken away, as an old stamp says": {
            "has_access": False,
            "stamp": Stamp(source_updated_at=hour(LOST_AT), translator_version=1).as_text("digest"),
        },
    }
    app: dict[str, Any] = {
        "uninstalled": {"deleted_at": hour(LOST_AT)},
        "suspended": {"suspended_at": hour(LOST_AT), "last_suspended_at": hour(LOST_AT)},
    }
    if kind in access:
        RepositoryAccess.objects.update(**access[kind])
    else:
        Installation.objects.update(**app[kind])


WAYS = ("taken away", "taken away, as an old stamp says", "uninstalled", "suspended")


def regain() -> None:
    RepositoryAccess.objects.update(has_access=True)
    Installation.objects.update(suspended_at=None)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_complete_from_an_hour_before_a_loss(way: str) -> None:
    lose(way)
    assert until(completeness()) == 49


@pytest.mark.parametrize("way", ["taken away", "suspended"])
def test_a_regained_repository_has_a_gap_until_a_backfill_covers_the_loss(way: str) -> None:
    lose(way)
    regain()
    assert until(completeness()) == 49
    read(70, 75)
    assert (until(completeness()), gaps(completeness(start_h=0))) == (100, [("unread", 49, 70)])
    read(49, 75)
    assert (until(completeness()), gaps(completeness(start_h=0))) == (100, [])


def test_the_log_counts_again_from_the_first_pass_that_began_after_the_loss() -> None:
    lose("taken away")
    regain()
    read(40, 49.5)  # it began before anybody knew of the loss
    assert until(completeness()) == 49.5
    read(49, 60)
    assert until(completeness()) == 100


def test_an_installation_that_is_gone_and_another_that_came() -> None:
    lose("uninstalled")
    reached(installation_id=8)
    assert until(completeness()) == 49
    read(49, 80)
    assert (until(completeness()), gaps(completeness(start_h=0))) == (100, [])


@pytest.mark.parametrize("way", WAYS)
def test_a_repository_lost_for_good_does_not_hold_others_back(way: str) -> None:
    lose(way)
    reached(WEB, installation_id=8)
    read(0, 10, WEB)
    found = completeness(API, WEB, start_h=0, end_h=90)
    assert (until(found), gaps(found)) == (100, [("out_of_reach", 49, 90)])
    assert found.gaps[0].repository_ids == (API,)


def test_a_window_after_the_loss_is_read_without_it_and_says_no_more_of_it() -> None:
    lose("taken away")
    reached(WEB)
    read(0, 10, WEB)
    assert gaps(completeness(API, WEB, start_h=49.5)) == []
    assert gaps(completeness(API, WEB, start_h=0, end_h=49)) == []


def test_what_was_not_read_before_it_was_lost_is_a_gap_that_holds_nobody_back() -> None:
    lose("taken away")
    reached(WEB)
    read(0, 100, WEB)
    read(60, 61)  # of no use: it is out of reach then
    RepositoryAccess.objects.filter(repository=API).update(lost_at=hour(20))
    found = completeness(API, WEB, start_h=0, end_h=30)
    assert (until(found), gaps(found)) == (100, [("out_of_reach", 19, 30)])
    RepositoryAccess.objects.filter(repository=API).update(lost_at=hour(150))
    log_scanned(120, 130)
    read(0, 140, WEB)
    found = completeness(API, WEB, start_h=0, end_h=130)
    assert (until(found), gaps(found)) == (140, [("unread", 100, 120)])


def test_a_repository_lost_before_it_was_read_has_a_gap_from_its_start() -> None:
    reached(WEB, installation_id=8)
    RepositoryAccess.objects.filter(repository=WEB).update(has_access=False, lost_at=hour(30))
    found = completeness(API, WEB, start_h=0, end_h=60)
    assert (until(found), gaps(found)) == (100, [("history", 0, 29), ("out_of_reach", 29, 60)])


def test_where_nothing_is_reached_any_more_it_is_complete_up_to_then() -> None:
    reached(WEB)
    read(0, 10, WEB)
    RepositoryAccess.objects.filter(repository=API).update(has_access=False, lost_at=hour(30))
    assert until(completeness(API, WEB)) == 100
    Installation.objects.update(deleted_at=hour(80))
    found = completeness(API, WEB, start_h=0, end_h=200)
    assert until(found) == 79
    assert gaps(found) == [("out_of_reach", 29, 200)]
    assert found.gaps[0].repository_ids == (API, WEB)
    assert Installation.objects.get(pk=APP).suspended_at is None
