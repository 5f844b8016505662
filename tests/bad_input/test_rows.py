"""Rows of the catalogue of bad input that no test elsewhere shows: in at the door, and as far as they come."""

import ast
import json
import pickle
import re
import socket
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from kombu.exceptions import ContentDisallowed
from kombu.serialization import loads, prepare_accept_content

from apps.activity.models import Contributor, Issue, PullRequest, Repository
from apps.teams.models import Team, TeamAccess
from apps.users.models import CustomUser
from apps.webhooks.models import Delivery
from tests.bad_input.catalogue import ROWS
from tests.github.test_event_rules import replaced
from tests.github.translation import payload_of
from tests.webhooks.conftest import GitHub, drain, only
from tformance.celery import app
from tformance.local.state import CHECKOUT

pytestmark = pytest.mark.django_db
RIGHT_TO_LEFT, ZERO_WIDTH = "\u202e", "\u200b"


def deliver(payload: dict[str, Any], *, event: str = "pull_request") -> tuple[str, str]:
    """State and reason of a delivery that is authentic, when a worker is through with it."""
    assert GitHub().deliver(payload, event=event).status_code == 202
    drain()
    latest = Delivery.objects.latest("id")
    return latest.state, latest.reason


def opened(*path: str, value: Any) -> dict[str, Any]:
    """An opened pull request of real shape, with one member replaced."""
    changed: dict[str, Any] = replaced(payload_of("pull_request", "opened"), path, value)
    return changed


def test_row_09_the_secret_of_another_app_signs_nothing_whomever_the_body_names() -> None:
    """One instance serves one App: there is no second tenant's secret that could be pooled with ours."""
    another = GitHub(secret="the secret of somebody else's App")
    assert another.deliver(payload_of("installation", "created"), event="installation").status_code == 401
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("event", ["pull_request", "issues", "deployment", "pull_request_review", "release"])
def test_row_12_a_body_under_another_events_name_is_quarantined(event: str) -> None:
    named = payload_of("workflow_run", "requested") | {"action": payload_action(event)}
    assert deliver(named, event=event) == ("quarantined", "shape_mismatch")
    assert event in only().error


def payload_action(event: str) -> str:
    return {"pull_request_review": "submitted", "deployment": "created", "release": "published"}.get(event, "opened")


def test_row_18_the_signature_counts_and_not_the_address() -> None:
    assert GitHub().deliver(environ={"REMOTE_ADDR": "203.0.113.7"}).status_code == 202


def test_rows_41_and_42_no_column_of_the_inbox_reads_the_body() -> None:
    """As jsonb, 1e4301 cannot be read again and 200 of 1e131000 become 26 MB."""
    GitHub().post(b'{"a":1e4301,"b":[' + b",".join([b"1e131000"] * 200) + b"]}")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE data_type IN ('json', 'jsonb')"
            " AND table_name LIKE 'webhooks\\_%' AND table_name !~ '^webhooks_deliverybody_'"  # its partitions
        )
        assert set(cursor.fetchall()) == {
            (f"webhooks_{table}", "headers") for table in ("deliverybody", "otherbody", "refusal")
        }


@pytest.mark.proof
@pytest.mark.parametrize(
    ("member", "verdict"),
    [
        ({str(number): number for number in range(200_000)}, ("processed", "")),
        ({"text": "x" * 20_000_000}, ("processed", "")),
        ({"k" * 1_000_000: 1}, ("processed", "")),
        ({"list": [0] * 2_000_001}, ("quarantined", "too_many_nodes")),
    ],
    ids=["200,000 keys", "a text of 20 MB", "a key of 1 MB", "two million members"],
)
def test_row_50_many_keys_and_long_texts_have_their_verdict(member: dict[str, Any], verdict: tuple[str, str]) -> None:
    assert deliver({**payload_of("pull_request", "opened"), "more": member}) == verdict


@pytest.mark.parametrize("value", [2**63, 2**64, -1, 1.0, "1", True, None, [], {}])
@pytest.mark.parametrize("path", [("pull_request", "id"), ("repository", "id"), ("pull_request", "number")])
def test_row_51_an_id_that_is_none_is_quarantined(path: tuple[str, ...], value: Any) -> None:
    state, reason = deliver(opened(*path, value=value))
    assert (state, reason in ("shape_mismatch", "number_out_of_range")) == ("quarantined", True)
    assert not PullRequest.objects.exists()


@pytest.mark.parametrize(
    "value", ["0000-00-00T00:00:00Z", "99999-01-01T00:00:00Z", "infinity", "2026-03-02T09:00:00", "300000-01-01", ""]
)
def test_row_52_a_time_that_is_none_is_quarantined_and_an_old_one_kept(value: str) -> None:
    assert deliver(opened("pull_request", "created_at", value=value)) == ("quarantined", "shape_mismatch")
    imported = replaced(payload_of("issues", "opened"), ("issue", "created_at"), "1999-05-01T12:00:00Z")
    assert deliver(imported, event="issues") == ("processed", "")
    assert Issue.objects.get().created_at == datetime(1999, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "path",
    [
        ("pull_request", "title"),
        ("pull_request", "body"),
        ("pull_request", "head", "ref"),
        ("pull_request", "user", "login"),
        ("pull_request", "labels", 0, "name"),
        ("pull_request", "state"),
        ("repository", "full_name"),
        ("sender", "login"),
        ("action",),
    ],
    ids=lambda path: ".".join(map(str, path)),
)
def test_row_53_long_texts_are_cut_or_refused_and_never_an_error(path: tuple[Any, ...]) -> None:
    for length in (600, 9_000, 300_000):
        assert deliver(opened(*path, value="x" * length))[0] in ("processed", "quarantined", "ignored")


def test_row_54_what_strangers_write_is_text_and_nothing_else() -> None:
    title = f"<script>alert(1)</script>{RIGHT_TO_LEFT}{ZERO_WIDTH}\"'>"
    payload = opened("pull_request", "title", value=title)
    assert deliver(payload) == ("processed", "")
    assert PullRequest.objects.get().title == title
    team = Team.objects.create(name=title, slug="acme", account=Contributor.objects.get(login="acme"))
    user = CustomUser.objects.create_superuser("operator")
    TeamAccess.objects.create(team=team, user=user)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    for address in ("/", "/teams/acme/figures/prs_opened/", "/admin/activity/pullrequest/", "/admin/teams/team/"):
        page = client.get(address).content.decode()
        assert "<script>alert" not in page, address
    assert "&lt;script&gt;alert" in client.get("/").content.decode()
    assert client.get("/api/v1/pull-requests/")["Content-Type"] == "application/json"


ELSEWHERE = ["http://169.254.169.254/latest/", "file:///etc/passwd", "git@evil.example:a/b", "https://evil.example/x"]


@pytest.mark.parametrize("event", ["pull_request", "push", "installation", "deployment_status", "workflow_run"])
def test_row_55_no_address_in_a_payload_is_ever_asked(monkeypatch: pytest.MonkeyPatch, event: str) -> None:
    actions = {"pull_request": "opened", "push": None, "workflow_run": "completed"}
    asked: list[Any] = []

    def connect(self: socket.socket, address: Any) -> None:
        asked.append(address)
        raise ConnectionRefusedError(address)

    payload = with_addresses(payload_of(event, actions.get(event, "created")), iter(ELSEWHERE * 1000))
    assert GitHub().deliver(payload, event=event).status_code == 202
    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        patch.setattr(socket, "getaddrinfo", lambda *args, **_: asked.append(args) or [])
        drain()
    assert only().state == "processed"
    assert [address for address in asked if any(host in str(address) for host in ("169.254", "evil"))] == []


def with_addresses(value: Any, addresses: Any) -> Any:
    """The value, with something else in every member that is a link."""
    if isinstance(value, dict):
        return {
            name: next(addresses)
            if name.endswith("url") and isinstance(member, str)
            else with_addresses(member, addresses)
            for name, member in value.items()
        }
    return [with_addresses(member, addresses) for member in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "installation", [{"id": 424_242, "node_id": "x"}, None, ...], ids=["unknown", "null", "missing"]
)
def test_row_56_a_delivery_of_an_unknown_installation_is_kept_and_seen_by_operators_alone(installation: Any) -> None:
    assert deliver(opened("installation", value=installation)) == ("processed", "")
    assert PullRequest.objects.count() == 1
    stranger = CustomUser.objects.create_user("stranger")
    umbrella = Contributor.objects.create(github_id=800, login="umbrella", kind="organization")
    TeamAccess.objects.create(user=stranger, team=Team.objects.create(name="U", slug="umbrella", account=umbrella))
    assert not Delivery.objects.visible_to(stranger).exists()
    assert Delivery.objects.visible_to(CustomUser.objects.create_superuser("operator")).count() == 1


def test_row_61_what_happened_days_ago_counts_and_what_has_not_come_is_quarantined() -> None:
    now = datetime.now(UTC)
    for ago, expected in ((timedelta(days=5), "processed"), (timedelta(days=-2), "quarantined")):
        at = (now - ago).isoformat(timespec="seconds").replace("+00:00", "Z")
        payload = opened("pull_request", "updated_at", value=at)
        payload["pull_request"]["created_at"] = at
        assert deliver(payload)[0] == expected
    assert PullRequest.objects.get().updated_at < now


def test_row_62_a_flood_writes_no_line_for_each_post(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(200):
        assert GitHub().deliver(headers={"X-Hub-Signature-256": None}).status_code == 401
    assert [entry for entry in caplog.records if entry.levelname in ("WARNING", "ERROR")] == []
    assert not Delivery.objects.exists()


class Malicious:
    """What becomes of it tells whether it was unpacked."""

    was_unpacked = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (setattr, (Malicious, "was_unpacked", True))


def test_row_63_a_message_that_is_not_json_is_never_unpacked() -> None:
    accepted = prepare_accept_content(app.conf.accept_content)
    for content_type in ("application/x-python-serialize", "application/x-yaml", "application/x-msgpack"):
        with pytest.raises(ContentDisallowed):
            loads(pickle.dumps(Malicious()), content_type, "binary", accept=accepted)
    assert not Malicious.was_unpacked
    assert loads(json.dumps([1]), "application/json", "utf-8", accept=accepted) == [1]


def test_row_64_a_tampered_cookie_is_nobody() -> None:
    user = CustomUser.objects.create_superuser("operator")
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/").status_code == 200
    session = client.cookies["sessionid"].value
    for tampered in (session[:-1] + ("a" if session[-1] != "a" else "b"), session.upper(), "", "x" * 5000, "\x7f"):
        client.cookies["sessionid"] = tampered
        assert client.get("/")["Location"].startswith("/accounts/login/")
        assert client.get("/api/v1/teams/").status_code == 401
    assert Repository.objects.count() == 0


LAST_ROW = 64
HERE = CHECKOUT / "tests" / "bad_input"
NUMBERED = re.compile(r"test_rows?_(\d\d)(?:_and_(\d\d))?_")


@cache
def names_in(path: str) -> frozenset[str]:
    """The tests of a file, classes looked into."""
    tree = ast.parse((CHECKOUT / path).read_text())
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def test_no_row_is_left_out() -> None:
    assert sorted(ROWS) == list(range(1, LAST_ROW + 1))


@pytest.mark.parametrize("row", range(1, LAST_ROW + 1))
def test_a_row_has_tests_that_exist(row: int) -> None:
    assert ROWS[row]
    assert [one for one in ROWS[row] if not exists(one)] == []


def exists(test: str) -> bool:
    path, is_function, name = test.partition("::")
    return name in names_in(path) if is_function else (CHECKOUT / path).is_file()


def test_a_test_that_bears_a_rows_number_stands_under_it() -> None:
    for path in HERE.glob("test_*.py"):
        for name in names_in(str(path.relative_to(CHECKOUT))):
            for number in filter(None, ((found := NUMBERED.match(name)) and found.groups()) or ()):
                assert any(one.endswith(f"::{name}") for one in ROWS[int(number)]), name
