"""What operators see of a scan: two pages of the admin, and problems."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from apps.integrations.delivery_log.entries import read_entries
from apps.integrations.delivery_log.scan_job import open_scan
from apps.integrations.health import MANY_GIVEN_UP, scan_problems
from apps.integrations.models import DeliveryLogScan, MissedDelivery
from apps.users.models import CustomUser
from apps.webhooks.parsing import UnusablePayloadError

pytestmark = pytest.mark.django_db
PAGE = "/admin/integrations/misseddelivery/"
NOW = timezone.now()


@pytest.fixture
def operator() -> Client:
    client = Client()
    user = CustomUser.objects.create_superuser("operator")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def miss(**about: Any) -> MissedDelivery:
    usual = {"log_id": 1, "delivered_at": NOW, "status_code": 503, "event": "push", "has_effect": True}
    return MissedDelivery.objects.create(**{"hook_id": 5, "guid": uuid4(), **usual, **about})


def test_missed_deliveries_are_found_by_guid_key_repository_and_event(operator: Client) -> None:
    first, second = miss(repository_id=11), miss(event="issues", repository_id=12)
    for term in (str(first.guid), f"5:{first.guid}", "11", "push"):
        page = operator.get(PAGE, {"q": term}).content.decode()
        assert str(first.guid) in page, term
        assert str(second.guid) not in page, term
    for term in ("no such thing", "5:nonsense", "9" * 40):
        assert operator.get(PAGE, {"q": term}).status_code == 200
    assert operator.get(f"{PAGE}{first.pk}/change/").status_code == 200
    assert operator.get(f"{PAGE}add/").status_code == 403


def test_the_admin_page_of_a_scan_says_what_it_waits_for(operator: Client) -> None:
    open_scan(7).update(reason="spent")
    page = operator.get("/admin/integrations/deliverylogscan/").content.decode()
    assert "the hour&#x27;s limit is spent" in page
    assert operator.get(f"/admin/integrations/deliverylogscan/{open_scan(7).get().pk}/change/").status_code == 200


def test_many_deliveries_given_up_are_a_problem_and_ignored_events_are_not() -> None:
    for number in range(MANY_GIVEN_UP + 1):
        miss(state="given_up", log_id=number, has_effect=number > 0)
    assert scan_problems() == {}
    miss(state="given_up")
    assert "11 deliveries" in scan_problems()["missed_deliveries_given_up"]


def test_a_log_that_was_never_read_whole_is_a_problem_after_two_hours() -> None:
    open_scan(7).update(created_at=NOW - timedelta(hours=1))
    assert scan_problems() == {}
    DeliveryLogScan.objects.update(created_at=NOW - timedelta(hours=3))
    assert scan_problems()["delivery_log_scan_is_late"].endswith("was never read whole: do beat and a worker run?")


ENTRY: Mapping[str, Any] = {
    "id": 12345678,
    "guid": "0b989ba4-242f-11e5-81e1-c7b6966d2516",
    "delivered_at": "2019-06-03T00:57:16Z",
    "redelivery": False,
    "duration": 0.27,
    "status": "OK",
    "status_code": 200,
    "event": "issues",
    "action": "opened",
    "installation_id": 123,
    "repository_id": 456,
    "throttled_at": "2019-06-03T00:57:16Z",
}


def test_an_entry_is_read_as_github_documents_it() -> None:
    [entry] = read_entries([ENTRY], as_of=NOW)
    assert (entry.log_id, str(entry.guid), entry.status_code) == (12345678, ENTRY["guid"], 200)
    assert (entry.event, entry.action, entry.installation_id, entry.repository_id) == ("issues", "opened", 123, 456)
    bare = {**ENTRY, "action": None, "installation_id": None, "repository_id": None, "status_code": 0}
    [entry] = read_entries([bare], as_of=NOW)
    assert (entry.action, entry.installation_id, entry.status_code) == ("", None, 0)


@pytest.mark.parametrize("change", [{"id": None}, {"guid": "none"}, {"delivered_at": "never"}, {"event": 5}])
def test_an_entry_that_cannot_be_read_fails_the_page(change: dict[str, Any]) -> None:
    with pytest.raises(UnusablePayloadError):
        read_entries([{**ENTRY, **change}], as_of=NOW)
