"""The inbox on its pages: what arrived, what failed and why, what it changed, and its replay, for operators alone."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.activity.models import Provenance, PullRequest
from apps.dashboard.operations import inbox
from apps.github.models import AppRegistration
from apps.webhooks.models import Delivery, DeliveryBody
from tests.api.conftest import API, Cast, make_delivery
from tests.dashboard.test_pages import read, signed_in
from tests.github.translation import Door
from tests.github.translation import read as payload_of
from tests.plans import explaining
from tests.webhooks.conftest import drain

pytestmark = pytest.mark.django_db
PAGE, REPLAY = "/operations/deliveries/", "/operations/deliveries/replay/"
MOST_QUERIES, LARGEST = 12, 150_000


def failed(number: int, **columns: Any) -> Delivery:
    values = {"state": "dead", "reason": "translator_failed", "error": "KeyError: 'id'", "finished_at": timezone.now()}
    return make_delivery(number, **{**values, **columns})


def done(number: int, **columns: Any) -> Delivery:
    return make_delivery(number, **{"state": "processed", "finished_at": timezone.now(), **columns})


def listed(client: Client, query: str = "") -> list[int]:
    answer = client.get(f"{PAGE}?{query}")
    assert answer.status_code == 200, answer.content.decode()
    return [int(row.guid) for row, *_ in answer.context["deliveries"]]


@pytest.mark.parametrize("address", [PAGE, REPLAY, f"{PAGE}1/", f"{PAGE}1/body/"])
def test_for_anyone_but_operators_there_is_no_inbox(cast: Cast, address: str) -> None:
    make_delivery(1)
    assert Client().get(address)["Location"] == f"/accounts/login/?next={address}"
    for user in (cast.viewer, cast.admin, cast.stranger):
        assert signed_in(user).get(address).status_code == 404
    assert "/operations/deliveries/" not in read(signed_in(cast.admin), "/operations/jobs/")
    assert '<a href="/operations/">Operations</a>' in read(signed_in(cast.operator), "/notes/")
    assert signed_in(cast.operator).get("/operations/")["Location"] == PAGE


def test_an_empty_inbox_says_what_comes(cast: Cast) -> None:
    assert "No delivery yet" in read(signed_in(cast.operator), PAGE)


def test_deliveries_come_newest_first_with_their_state_repository_and_time(cast: Cast) -> None:
    done(1, received_at=timezone.now() - timedelta(seconds=90))
    failed(2)
    page = read(signed_in(cast.operator), PAGE)
    assert page.index(str(UUID(int=2))) < page.index(str(UUID(int=1)))
    for shown in ("pull_request.opened", "acme/api", "1 m 30 s", "1 dead", "0 quarantined"):
        assert shown in page, shown


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [5, 4, 3, 2, 1]),
        ("state=dead", [2]),
        ("event=push", [3]),
        ("action=closed", [4]),
        ("reason=translator_failed", [2]),
        ("repository=acme/api", [5, 4, 3, 2]),
        (f"repository={API}", [5, 4, 3, 2]),
        ("installation=9", [1]),
        (f"guid={UUID(int=4)}", [4]),
        ("since=2026-03-02T00:00&until=2026-03-03T00:00", [4]),
        ("state=processed&event=push", [3]),
        (f"q={UUID(int=4)}", [4]),
        (f"q=7:{UUID(int=4)}", [4]),
        ("q=Push", [3]),
        ("q=closed", [4]),
        ("q=translator_failed", [2]),
        ("q=acme/api", [5, 4, 3, 2]),
        ("q=nothing", []),
        ("state=dead&error=KeyError: 'id'", [2]),
        ("state=dead&error=Other", []),
    ],
)
def test_each_filter_narrows_the_list(cast: Cast, query: str, numbers: list[int]) -> None:
    done(1, repository_id=None, installation_id=9)
    failed(2)
    done(3, event="push", action="")
    done(4, action="closed", received_at=datetime(2026, 3, 2, 12, tzinfo=UTC))
    make_delivery(5)
    assert listed(signed_in(cast.operator), query) == numbers


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("state=lost", "State: Select a valid choice."),
        ("repository=acme/nothing", "There is no repository &#x27;acme/nothing&#x27;."),
        ("guid=12", "is not a GUID"),
        ("since=soon", "Since: Enter a valid date/time."),
        ("installation=x", "Installation: Enter a whole number."),
        ("error=KeyError", "only together with a reason"),
    ],
)
def test_an_invalid_filter_says_what_is_wrong(cast: Cast, query: str, words: str) -> None:
    make_delivery(1)
    page = read(signed_in(cast.operator), f"{PAGE}?{query}", status=400)
    assert words in page
    assert 'role="alert"' in page


@pytest.mark.parametrize("narrowing", ["", "&since=2026-01-01T00:00"])
def test_pages_go_on_where_the_last_one_ended(cast: Cast, narrowing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "PER_PAGE", 2)
    for number in range(1, 6):
        make_delivery(number, received_at=datetime(2026, 3, 1, tzinfo=UTC))
    client = signed_in(cast.operator)
    found, query = list[int](), narrowing
    while query is not None:
        answer = client.get(f"{PAGE}?{query}")
        found += [int(row.guid) for row, *_ in answer.context["deliveries"]]
        query = answer.context["older"] or None
    assert found == [5, 4, 3, 2, 1]


def test_only_the_first_page_is_live_and_can_be_paused(cast: Cast) -> None:
    make_delivery(1)
    client = signed_in(cast.operator)
    assert 'hx-trigger="every 3s"' in read(client, f"{PAGE}?event=pull_request")
    assert "hx-trigger" not in read(client, f"{PAGE}?live=off")
    assert "hx-trigger" not in read(client, f"{PAGE}?before=9")


def test_failures_are_grouped_by_error_and_each_group_leads_to_its_deliveries(cast: Cast) -> None:
    failed(1)
    failed(2)
    failed(3, state="quarantined", reason="not_json", error="line 1")
    client = signed_in(cast.operator)
    groups = client.get(PAGE).context["groups"]
    assert [(each["group"].reason, each["group"].count) for each in groups] == [
        ("translator_failed", 2),
        ("not_json", 1),
    ]
    assert listed(client, groups[0]["url"].removeprefix("?")) == [2, 1]


def test_all_that_match_are_replayed_once_their_count_is_confirmed(cast: Cast) -> None:
    failed(1)
    failed(2)
    done(3)
    client, query = signed_in(cast.operator), "state=dead&event=pull_request"
    page = read(client, f"{REPLAY}?{query}")
    assert "Replay 2 deliveries?" in page
    assert "manage.py replay --event pull_request --state dead" in page
    assert set(Delivery.objects.filter(state="dead").values_list("attempts", flat=True)) == {0}
    answer = client.post(f"{REPLAY}?{query}", follow=True)
    assert answer.redirect_chain == [(f"{PAGE}?{query}", 302)]
    assert "2 deliveries will be processed again" in answer.content.decode()
    assert Delivery.objects.filter(state="received", source=Delivery.Source.REPLAY).count() == 2
    assert "Nothing to replay" in read(client, f"{REPLAY}?{query}")


def test_the_whole_inbox_and_too_many_deliveries_are_replayed_by_the_command_only(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MOST_REPLAYED", 1)
    failed(1)
    failed(2)
    client = signed_in(cast.operator)
    page = client.post(REPLAY, follow=True).content.decode()
    assert "Choose a filter first" in page
    page = client.post(f"{REPLAY}?state=dead").content.decode()
    assert "Too many to replay here" in page
    assert "manage.py replay --state dead" in page
    assert Delivery.objects.filter(state="dead").count() == 2


def test_one_delivery_shows_what_arrived_and_what_became_of_it(cast: Cast) -> None:
    row = failed(1, attempts=5, received_at=datetime(2026, 3, 2, 9, tzinfo=UTC))
    body = '{"zen": "<script>alert(1)</script> ü"}'
    DeliveryBody.objects.filter(delivery=row).update(content=body.encode())
    page = read(signed_in(cast.operator), f"{PAGE}{row.pk}/")
    for shown in (
        *("pull_request.opened", str(row.guid), "acme/api", "All attempts failed.", "translator failed"),
        *("KeyError: &#x27;id&#x27;", "2026-03-02 09:00:00", "x-github-event", "hook 7", "/settings/apps"),
        '"zen": "&lt;script&gt;alert(1)&lt;/script&gt; ü"',
    ):
        assert shown in page, shown
    assert "<script>alert" not in page


def test_a_delivery_leads_to_the_log_of_its_app_also_that_of_an_organisation(cast: Cast) -> None:
    address, operator = f"{PAGE}{failed(1).pk}/", signed_in(cast.operator)
    app = {"app_id": 1, "slug": "team-figures", "name": "Figures", "html_url": "", "client_id": "", "owner": "ACME"}
    registered = AppRegistration.objects.create(encrypted_client_secret=b"", **app)
    assert "/organizations/ACME/settings/apps/team-figures/advanced" in read(operator, address)
    registered.owner = "ana"
    registered.save()
    assert 'github.com/settings/apps/team-figures/advanced"' in read(operator, address)


def test_a_delivery_lists_what_it_recorded(cast: Cast) -> None:
    event, payload = payload_of("pull_request.opened")
    assert Door().post(event, payload).status_code == 202
    drain()
    row = Delivery.objects.get()
    number = payload["pull_request"]["number"]
    page = read(signed_in(cast.operator), f"{PAGE}{row.pk}/")
    pull_request = PullRequest.objects.get(number=number)
    assert f'<a href="/pull-requests/{pull_request.pk}/">Pull request #{number}</a>' in page
    assert "pull request core" in page
    assert '<td data-label="Recorded">yes</td>' in page
    Provenance.objects.all().delete()
    assert '<td data-label="Recorded">no</td>' in read(signed_in(cast.operator), f"{PAGE}{row.pk}/")


def test_a_delivery_of_which_no_source_is_kept_says_so(cast: Cast) -> None:
    row = done(1, event="repository", action="created")
    words = "It only updated accounts and repositories, for which no source is kept."
    assert words in read(signed_in(cast.operator), f"{PAGE}{row.pk}/")


def test_the_whole_body_is_plain_text_as_github_signed_it(cast: Cast) -> None:
    row = make_delivery(1)
    client = signed_in(cast.operator)
    answer = client.get(f"{PAGE}{row.pk}/body/")
    assert (answer.content, answer["Content-Type"]) == (b'{"zen": "\xc3\xbc"}', "text/plain; charset=utf-8")
    assert answer["X-Content-Type-Options"] == "nosniff"
    DeliveryBody.objects.all().delete()
    assert client.get(f"{PAGE}{row.pk}/body/").status_code == 404
    page = read(client, f"{PAGE}{row.pk}/")
    assert "The body has expired" in page
    assert "<button>Replay</button>" not in page


def test_a_large_body_is_cut_on_the_page(cast: Cast) -> None:
    row = make_delivery(1)
    DeliveryBody.objects.filter(delivery=row).update(content=b'{"text": "' + b'<"' * 300_000 + b'"}')
    assert len(signed_in(cast.operator).get(f"{PAGE}{row.pk}/").content) < LARGEST


def test_an_operator_replays_a_delivery(cast: Cast) -> None:
    row = failed(1, attempts=5)
    client, address = signed_in(cast.operator), f"{PAGE}{row.pk}/replay/"
    answer = client.post(address, follow=True)
    assert "will be processed again" in answer.content.decode()
    row.refresh_from_db()
    assert (row.state, row.attempts, row.source) == ("received", 0, Delivery.Source.REPLAY)
    DeliveryBody.objects.all().delete()
    assert "cannot be replayed" in client.post(address, follow=True).content.decode()
    assert client.get(address).status_code == 405
    assert client.post(f"{PAGE}{row.pk + 1}/replay/").status_code == 404
    for user in (cast.admin, cast.viewer):
        assert signed_in(user).post(address).status_code == 404
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(cast.operator, backend="django.contrib.auth.backends.ModelBackend")
    assert strict.post(address).status_code == 403


@pytest.mark.parametrize("address", [PAGE, f"{PAGE}?repository=acme/api&state=dead", f"{REPLAY}?state=dead", "one"])
def test_each_page_is_bounded(cast: Cast, address: str) -> None:
    rows = [failed(number, reason=f"r{number % 30}", error="e" * 500) for number in range(60)]
    client = signed_in(cast.operator)
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(f"{PAGE}{rows[0].pk}/" if address == "one" else address)
    assert answer.status_code == 200
    assert len(queries) <= MOST_QUERIES, [query["sql"] for query in queries]
    assert len(answer.content) <= LARGEST


ROWS = """
INSERT INTO webhooks_delivery (hook_id, guid, event, action, installation_id, repository_id, body_sha256, size, source,
    state, reason, error, received_at, finished_at)
SELECT 7, md5(i::text)::uuid, CASE WHEN i % 500 = 1 THEN 'release' ELSE 'push' END,
       CASE WHEN i % 500 = 1 THEN 'published' ELSE 'created' END, i % 300, i % 900, decode(md5(i::text), 'hex'), 0, 0,
       CASE WHEN i % 500 = 1 THEN 'dead' ELSE 'processed' END, CASE WHEN i % 500 = 1 THEN 'crashed' ELSE '' END,
       CASE WHEN i % 500 = 1 THEN 'boom' ELSE '' END, timestamptz '2026-01-01' + i * interval '1 min', now()
FROM generate_series(1, 30000) AS i
"""


@pytest.mark.proof
@pytest.mark.parametrize(
    "query",
    [
        *(
            "",
            "event=release",
            "event=push",
            "action=published",
            "state=dead",
            "state=dead&error=boom",
            "reason=crashed",
        ),
        *("installation=7", "repository=7", "guid=c4ca4238-a0b9-2382-0dcc-509a6f75849b", "q=release", "q=nothing"),
        *(
            "since=2026-01-03T00:00&until=2026-01-03T01:00",
            "until=2026-01-12T00:00",
            "since=2026-01-12T00:00&before=9000",
        ),
        "event=push&state=processed&before=20000",
    ],
)
def test_no_list_reads_the_whole_inbox(cast: Cast, query: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(ROWS)
    client, plans = signed_in(cast.operator), list[str]()
    with connection.execute_wrapper(explaining(plans)):
        assert client.get(f"{PAGE}?{query}").status_code == 200
    of_inbox = [plan for plan in plans if "webhooks_delivery" in plan or "delivery_" in plan]
    assert of_inbox
    assert [plan for plan in of_inbox if "Seq Scan on webhooks_delivery" in plan] == []
