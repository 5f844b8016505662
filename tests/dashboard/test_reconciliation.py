"""Reconciliation on its pages: runs, what they found, what is complete by repository, and starts, for operators."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.integrations.models import Drift, SyncLog
from tests.api.conftest import API, Cast, make_drift, make_sync, reached
from tests.dashboard.test_pages import read, signed_in

__all__ = ["reached"]

pytestmark = pytest.mark.django_db
PAGE, START = "/operations/reconciliation/", "/operations/reconciliation/start/"
REPOSITORIES = f"{PAGE}repositories/"


@pytest.mark.parametrize("address", [PAGE, REPOSITORIES, f"{PAGE}1/"])
def test_for_anyone_but_operators_there_is_no_reconciliation(cast: Cast, address: str) -> None:
    make_sync("nightly:2026-03-02", API)
    for user in (cast.viewer, cast.admin):
        assert signed_in(user).get(address).status_code == 404
        assert signed_in(user).post(START, {"everything": "1"}).status_code == 404


def test_a_run_says_what_it_found_and_repaired(reached: Cast) -> None:
    run = make_sync("nightly:2026-03-02", API, status="failed", finished_at=timezone.now() + timedelta(minutes=3))
    row = run.repositories.get()
    run.repositories.update(state="failed", error="Bad <gateway>", finished_at=timezone.now(), differs=["issues"])
    Drift.objects.create(repository_sync=row, stream="issues", checked=40, missing=2, stale=1, repaired=3)
    client = signed_in(reached.operator)
    page = read(client, PAGE)
    for shown in ("Nightly, 2026-03-02", "1 failed", "1 of 1", '"Drift">3<', '"Repaired">3<', "02:00 UTC", "3 m 0"):
        assert shown in page, shown
    assert "hx-trigger" not in page
    page = read(client, f"{PAGE}{run.pk}/")
    for shown in ("Bad &lt;gateway&gt;", "issues: 2 missing 1 stale", "2 missing, 1 stale, 0 deleted on GitHub"):
        assert shown in page, shown


def test_a_run_that_goes_on_is_live(reached: Cast) -> None:
    run = make_sync("manual:1", API, cause="manual", scope="everything")
    client = signed_in(reached.operator)
    for address in (PAGE, f"{PAGE}{run.pk}/"):
        page = read(client, address)
        assert 'hx-trigger="every 3s"' in page
        assert "Manual: everything" in page


def test_without_runs_the_page_says_when_the_first_begins(reached: Cast, settings: Any) -> None:
    client = signed_in(reached.operator)
    assert "The first one begins at 02:00 UTC, or start one above." in read(client, PAGE)
    settings.GITHUB_APP_ID = None
    assert "Reconciliation is off: it needs the App&#x27;s key" in read(client, PAGE).replace("'", "&#x27;")


def test_a_repository_or_all_are_compared_now(reached: Cast) -> None:
    client = signed_in(reached.operator)
    answer = client.post(START, {"repository": "acme/api"}, follow=True)
    run = SyncLog.objects.get()
    assert answer.redirect_chain == [(f"{PAGE}{run.pk}/", 302)]
    assert (run.scope, run.is_thorough, run.cause) == (f"repositories:{API}", True, "manual")
    assert "Comparing acme/api with GitHub." in answer.content.decode()
    assert "is already being compared" in client.post(START, {"repository": "acme/api"}, follow=True).content.decode()
    client.post(START, {"everything": "1"})
    assert set(SyncLog.objects.values_list("scope", flat=True)) == {f"repositories:{API}", "everything"}


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({}, "Name a repository, or start for all of them."),
        ({"repository": "acme/nothing"}, "Nothing is known of acme/nothing"),
        ({"repository": "umbrella/secrets"}, "No installation of the App reaches umbrella/secrets"),
    ],
)
def test_a_start_that_cannot_be_says_why(reached: Cast, sent: dict[str, str], words: str) -> None:
    page = signed_in(reached.operator).post(START, sent, follow=True).content.decode()
    assert words in page
    assert not SyncLog.objects.exists()


def test_without_credentials_nothing_is_compared(reached: Cast, settings: Any) -> None:
    settings.GITHUB_APP_ID = None
    page = signed_in(reached.operator).post(START, {"everything": "1"}, follow=True).content.decode()
    assert "GitHub cannot be asked" in page
    assert not SyncLog.objects.exists()


def test_each_repository_says_up_to_when_it_is_complete(reached: Cast) -> None:
    page = read(signed_in(reached.operator), REPOSITORIES)
    assert "acme/api" in page
    assert "unverified" in page
    assert "Not verified yet: the history of acme/api is not fully loaded" in page
    assert 'aria-label="Compare acme/api now"' in page
    assert "umbrella" not in read(signed_in(reached.operator), f"{REPOSITORIES}?q=ACME")
    assert "No repository like" in read(signed_in(reached.operator), f"{REPOSITORIES}?q=nothing")


@pytest.mark.parametrize("address", [PAGE, REPOSITORIES, "run"])
def test_each_page_is_bounded(reached: Cast, address: str) -> None:
    for _ in range(25):
        make_drift()
    client = signed_in(reached.operator)
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(f"{PAGE}{SyncLog.objects.earliest('pk').pk}/" if address == "run" else address)
    assert answer.status_code == 200
    assert len(queries) <= 12, [query["sql"] for query in queries]
    assert len(answer.content) <= 150_000
