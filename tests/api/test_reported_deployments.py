"""Deployments made elsewhere: reported in any order and again, they come to the figures of GitHub's own."""

import random
from collections.abc import Iterator
from dataclasses import fields, replace
from hashlib import sha1
from typing import Any

import pytest

from apps.activity.facts import Fact
from apps.activity.models import Provenance, ReportedDeployment
from apps.metrics.figures import FigureQuery, FigureReading, Window, read_figure
from apps.metrics.models import DerivedDeployment
from apps.metrics.recalculation import drain
from apps.teams.models import DeploymentSource, ServiceRule
from tests.api.conftest import Cast
from tests.metrics import fixture_a
from tests.metrics.comparing import assert_equals_rebuild
from tests.metrics.fixture_a_expectations import HUMANS, WEEK, WRONG_VALUES
from tests.metrics.steps import Step, instant, record_facts

pytestmark = pytest.mark.django_db

DEPLOYMENTS = "/api/v1/deployments/"
OF_DEPLOYMENTS = (
    *("deployments", "deployment_frequency", "failed_deployments", "deployment_days_per_week", "lead_time"),
    *("deploy_time", "change_failure_rate", "failed_deployment_recovery_time", "deployment_rework_rate"),
)
Body = dict[str, Any]


def sha_of(name: str) -> str:
    return sha1(name.encode(), usedforsecurity=False).hexdigest()


def with_real_shas(fact: Fact) -> Fact:
    """The fact with each SHA as long as a real one."""
    changes: dict[str, Any] = {}
    for column in fields(fact):  # type: ignore[arg-type]  # @fact has made it a dataclass
        value = getattr(fact, column.name)
        if column.name.endswith("sha") and value:
            changes[column.name] = sha_of(value)
        elif column.name.endswith("shas"):
            changes[column.name] = tuple(map(sha_of, value))
        elif column.name == "subject" and value:
            changes[column.name] = sha_of(value)
    return replace(fact, **changes)  # type: ignore[type-var]


def report(number: str, at: str, sha: str, *, state: str = "success", **given: str) -> Body:
    return {
        "id": number,
        "repository": "acme/api",
        "environment": "production",
        "sha": sha_of(sha),
        "state": state,
        "finished_at": instant(at).isoformat(),
        **given,
    }


FIXTURE_A: tuple[Body, ...] = (
    report("d0", "02-27 12:00", "before"),
    report("s1", "03-03 11:30", "merge-2", environment="staging"),
    report("d1", "03-03 12:00", "merge-2"),
    report("d2", "03-05 16:30", "merge-5", state="failure"),
    report("d2", "03-05 17:00", "merge-5"),
    report("d3", "03-05 19:00", "merge-6"),
    report("d4", "03-06 10:00", "merge-6"),
    report("d5", "03-06 15:00", "merge-6", state="failure"),
)


def send(cast: Cast, body: Body, *, by: str = "admin") -> Any:
    return cast.client(getattr(cast, by)).post(DEPLOYMENTS, body, format="json")


def in_random_order(seed: int) -> Iterator[Step | Body]:
    """The steps and reports of fixture A, some of them twice."""
    chance = random.Random(seed)  # noqa: S311
    sent: list[Step | Body] = [*fixture_a.pull_requests(), *fixture_a.pushes(), *FIXTURE_A]
    sent += chance.sample(sent, 12)
    chance.shuffle(sent)
    yield from sent


def read(cast: Cast, key: str, *, window: Window = WEEK, as_of: str | None = None) -> FigureReading:
    known = {} if as_of is None else {"as_of": instant(as_of)}
    return read_figure(key, FigureQuery(team=cast.teams["acme"], window=window, **known))


def send_all(cast: Cast, *bodies: Body) -> None:
    for body in bodies:
        assert send(cast, body).status_code in (200, 201)
    assert drain(seconds=60)


@pytest.mark.parametrize("seed", range(3))
def test_reports_in_any_order_come_to_the_figures_of_the_worked_example(cast: Cast, seed: int) -> None:
    client = cast.client(cast.admin)
    for number, one in enumerate(in_random_order(seed)):
        if isinstance(one, dict):
            assert client.post(DEPLOYMENTS, one, format="json").status_code in (200, 201)
        else:
            record_facts(*map(with_real_shas, one))
        if number % 7 == seed:
            assert drain(seconds=60)
    assert drain(seconds=60)
    for key in OF_DEPLOYMENTS:
        found = read(cast, key).as_dict()
        assert {name: found[name] for name in HUMANS[key]} == HUMANS[key], key
        assert all(found[name] != pytest.approx(wrong) for name, wrong in WRONG_VALUES.get(key, ())), key
    assert_equals_rebuild()


def test_a_report_again_changes_nothing(cast: Cast) -> None:
    body = report("d1", "03-03 12:00", "c1")
    first, second = send(cast, body), send(cast, body, by="operator")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert first.json()["repository"]["full_name"] == "acme/api"
    assert ReportedDeployment.objects.count() == 1
    assert Provenance.objects.get(entity="reported_deployment").source_key == "admin"


def test_another_content_at_the_same_instant_is_a_conflict(cast: Cast) -> None:
    send_all(cast, report("d1", "03-03 12:00", "c1"))
    answer = send(cast, report("d1", "03-03 12:00", "c2", state="failure"))
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "another sha and state" in answer.json()["detail"]


@pytest.mark.parametrize("is_reversed", [False, True])
def test_the_latest_report_says_what_was_deployed_where(cast: Cast, is_reversed: bool) -> None:
    sent = [
        report("d1", "03-03 12:00", "c1", service="old"),
        report("d1", "03-04 12:00", "c2", service="api", state="failure", environment="live"),
    ]
    send_all(cast, *(sent[::-1] if is_reversed else sent))
    rows = DerivedDeployment.objects.order_by("name").values_list("name", "service", "environment", "sha")
    content = "api", "live", sha_of("c2")
    assert list(rows) == [("report d1#1", *content), ("report d1#2", *content)]
    assert [read(cast, key).value for key in ("deployments", "failed_deployments")] == [1, 1]
    assert [read(cast, key, as_of="03-04 00:00").value for key in ("deployments", "failed_deployments")] == [1, 0]
    listed = cast.client(cast.viewer).get(f"/api/v1/teams/acme/figures/deployments/entities/?{PERIOD}").json()
    [entity] = listed["results"]
    assert (entity["name"], entity["github_url"].rpartition("/")[2]) == ("d1", sha_of("c2"))
    assert_equals_rebuild()


PERIOD = "from=2026-03-02&to=2026-03-09"


def test_each_service_has_its_figures_and_their_lists(cast: Cast) -> None:
    shop, search = ({"service": name} for name in ("shop", "search"))
    send_all(cast, report("d1", "03-03 12:00", "c1", **shop), report("d2", "03-04 12:00", "c2", **shop))
    send_all(cast, report("d3", "03-05 12:00", "c3", **search))
    client, path = cast.client(cast.admin), "/api/v1/teams/acme/figures/deployments/"
    groups = client.get(f"{path}?{PERIOD}&group_by=service").json()["figure"]["groups"]
    assert {one["name"]: one["n"] for one in groups} == {"shop": 2, "search": 1}
    assert client.get(f"{path}?{PERIOD}&service=shop").json()["figure"]["n"] == 2
    listed = client.get(f"{path}entities/?{PERIOD}&service=search").json()["results"]
    assert [one["name"] for one in listed] == ["d3"]


def test_a_chosen_source_leaves_reports_out_unless_they_are_chosen_too(cast: Cast) -> None:
    send_all(cast, report("d1", "03-03 12:00", "c1"), report("d2", "03-03 13:00", "c1", environment="blue"))
    assert read(cast, "deployments").value == 1
    DeploymentSource.objects.create(kind="releases")
    assert drain(seconds=60)
    assert read(cast, "deployments").value == 0
    DeploymentSource.objects.create(kind="reports", pattern="^blue$")
    cast.teams["acme"].production_environments = ["blue"]
    cast.teams["acme"].save()
    ServiceRule.objects.create(field="environment", pattern="^(b)lue$", service=r"\1")
    assert drain(seconds=60)
    assert read(cast, "deployments").value == 1
    assert DerivedDeployment.objects.get().service == "b"
    assert_equals_rebuild()
    cast.teams["acme"].production_environments = ["prod*"]
    cast.teams["acme"].save()
    assert read(cast, "deployments").value == 0


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"sha": "abc"}, "sha"),
        ({"finished_at": "2999-01-01T00:00:00Z"}, "finished_at"),
        ({"finished_at": "1969-01-01T00:00:00Z"}, "finished_at"),
        ({"finished_at": "yesterday"}, "finished_at"),
        ({"state": "inactive"}, "state"),
        ({"id": ""}, "id"),
        ({"id": "d\0"}, "id"),
        ({"environment": " "}, "environment"),
        ({"enviroment": "production"}, "enviroment"),
    ],
)
def test_what_cannot_be_meant_is_refused(cast: Cast, given: Body, field: str) -> None:
    answer = send(cast, report("d1", "03-03 12:00", "c1") | given)
    assert (answer.status_code, answer.json()["code"], list(answer.json()["fields"])) == (400, "invalid", [field])


def test_only_admins_of_a_team_and_operators_report(cast: Cast) -> None:
    body = report("d1", "03-03 12:00", "c1")
    statuses = {by: send(cast, body, by=by).status_code for by in ("viewer", "stranger", "admin")}
    assert statuses == {"viewer": 403, "stranger": 404, "admin": 201}


def test_reports_are_throttled(cast: Cast) -> None:
    client = cast.client(cast.admin)
    body = report("d1", "03-03 12:00", "c1")
    statuses = [client.post(DEPLOYMENTS, body, format="json").status_code for _ in range(121)]
    assert (statuses[0], statuses[119], statuses[120]) == (201, 200, 429)


def test_reports_are_listed_by_repository_id_and_time(cast: Cast) -> None:
    send_all(cast, report("d1", "03-03 12:00", "c1"), report("d2", "03-04 12:00", "c1"))
    client = cast.client(cast.viewer)

    def ids(parameters: str) -> list[str]:
        return [row["id"] for row in client.get(f"{DEPLOYMENTS}?{parameters}").json()["results"]]

    assert ids("") == ["d2", "d1"]
    assert ids("repository=acme/api&finished_after=2026-03-04T00:00:00Z") == ["d2"]
    assert (ids("id=d1"), ids("repository=102")) == (["d1"], [])
