"""What becomes of deployments that GitHub shows badly or not at all: by REST, or a note that names them."""

from base64 import b64encode
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from apps.activity.models import Deployment, DeploymentStatus
from apps.github.auth import GitHubAccess
from apps.github.payload import DEPLOYMENT_STATUS, number_in
from apps.github.responses import ResponseKind
from apps.integrations.reader import RequestFailedError
from apps.integrations.streams.deployments import DEPLOYMENTS
from tests.fake_github import faults
from tests.fake_github.faults import Answered, Asked, Fault
from tests.fake_github.nodes import global_id
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, WEB
from tests.integrations.streams.deployment_samples import SHIP, a_busy_month, only_ours_of, statuses_of
from tests.integrations.streams.stream_read import StreamRead

pytestmark = pytest.mark.django_db
Reading = Callable[..., StreamRead]
Node = dict[str, Any]


@pytest.fixture
def reading(worker: GitHubAccess) -> Reading:
    def reading(**asked: Any) -> StreamRead:
        return StreamRead(worker=worker, stream=DEPLOYMENTS, repository_id=SHIP, full_name="acme/ship", **asked)

    return reading


def spoil(fake: FakeGitHub, change: Callable[[Node], None]) -> None:
    """Let GraphQL show every deployment changed."""

    def changed(asked: Asked, answer: Answered) -> Answered:
        for node in nodes_of(answer):
            change(node)
        return answer

    fake.spoil(Fault(changed, faults.graphql, times=None, is_instead=False))


def nodes_of(answer: Answered) -> list[Node]:
    data = (answer.body or {}).get("data") or {}
    listed = ((data.get("repository") or {}).get("deployments") or {}).get("nodes") or data.get("nodes") or ()
    return [node for node in listed if node]


def statuses_in(node: Node) -> list[Node]:
    return list((node.get("statuses") or {}).get("nodes") or ())


def older(node: Node) -> None:
    """The ids in GitHub's older form."""
    node["id"] = b64encode(f"010:Deployment{node['databaseId']}".encode()).decode()
    for status in statuses_in(node):
        number = number_in(status["id"], kind=DEPLOYMENT_STATUS, repository_id=SHIP)
        status["id"] = b64encode(f"016:DeploymentStatus{number}".encode()).decode()


def opaque(node: Node) -> None:
    """The ids of statuses in a form that nobody knows."""
    for status in statuses_in(node):
        status["id"] = f"DES_next_{status['id'][-4:]}"


def unproven(node: Node) -> None:
    """The deployment's own id in a form that nobody knows, so nothing proves the form of the others."""
    if node.get("databaseId") and node["databaseId"] % 2:
        node["id"] = f"D2_{node['id']}"


def test_ids_of_the_older_form_are_read_as_well(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = a_busy_month(8).happens_on(fake)
    spoil(fake, older)
    history = reading().to_end()
    assert (history.calls, history.skipped) == (2, [])
    assert only_ours_of(truth, truth.deployments)


@pytest.mark.parametrize("change", [opaque, unproven])
def test_statuses_whose_numbers_graphql_does_not_show_are_read_by_rest(
    fake: FakeGitHub, reading: Reading, change: Callable[[Node], None]
) -> None:
    truth, _ = a_busy_month(30).happens_on(fake)
    for deployment in list(truth.deployments.values())[:2]:
        statuses_of(deployment, count=120)
    spoil(fake, change)
    history = reading().to_end()
    assert not history.skipped
    assert only_ours_of(truth, truth.deployments)


def test_statuses_whose_form_nothing_proves_are_read_by_rest(fake: FakeGitHub, reading: Reading) -> None:
    """The ids have the form that we know and yet hold other numbers: the deployment's own gives them away."""
    truth, _ = a_busy_month(4).happens_on(fake)

    def change(node: Node) -> None:
        node["id"] = global_id("DE", repository_id=SHIP, number=node["databaseId"] + 1)
        for place, status in enumerate(statuses_in(node)):
            status["id"] = global_id("DES", repository_id=SHIP, number=place + 1)

    spoil(fake, change)
    assert reading().to_end().calls == 1 + 4 + 1
    assert only_ours_of(truth, truth.deployments)


def test_no_page_reads_more_than_a_few_deployments_one_by_one(fake: FakeGitHub, reading: Reading) -> None:
    a_busy_month(45).happens_on(fake)
    spoil(fake, opaque)
    steps = [reader.calls for _, _, reader in reading().steps()]
    assert steps == [1 + 1 + 20, 1 + 20, 1 + 5, 1, 0]
    assert Deployment.objects.count() == 45


def test_a_deployment_beyond_what_an_int_holds_is_known_by_its_node_id(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = a_busy_month(1).happens_on(fake)
    ((number, deployment),) = truth.deployments.items()
    bigger = 2**31 + number
    del truth.deployments[number]
    truth.deployments[bigger] = deployment
    deployment.json = {**deployment.json, "id": bigger}
    assert not reading().to_end().skipped
    assert Deployment.objects.get().github_id == bigger
    assert DeploymentStatus.objects.filter(deployment_id=bigger).count() == 2


@pytest.mark.parametrize(
    "broken",
    [{"commitOid": None}, {"task": 7}, {"environment": None}, {"createdAt": "soon"}, {"id": "x", "databaseId": None}],
    ids=lambda broken: next(iter(broken)),
)
def test_a_deployment_that_cannot_be_used_is_named_and_its_neighbours_are_kept(
    fake: FakeGitHub, reading: Reading, broken: Node
) -> None:
    truth, _ = a_busy_month(5).happens_on(fake)
    spoilt = sorted(truth.deployments)[2]
    spoil(fake, lambda node: node.update(broken) if node.get("databaseId") == spoilt else None)
    (skipped,) = reading(size=3).to_end().skipped
    assert skipped.what == f"deployment {broken.get('id', spoilt)}"
    assert skipped.why
    assert only_ours_of(truth, set(truth.deployments) - {spoilt})


def test_a_status_that_cannot_be_used_is_named_and_the_others_are_kept(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = a_busy_month(3).happens_on(fake)
    spoilt = sorted(truth.deployments)[1]

    def change(node: Node) -> None:
        if node.get("databaseId") == spoilt:
            statuses_in(node)[0]["updatedAt"] = "9999-01-01T00:00:00Z"

    spoil(fake, change)
    (skipped,) = reading().to_end().skipped
    assert skipped.what == f"a status of deployment {spoilt}"
    assert DeploymentStatus.objects.count() == 5


def test_a_hole_that_github_explains_is_named(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = a_busy_month(5).happens_on(fake)

    def change(asked: Asked, answer: Answered) -> Answered:
        answer.body["data"]["repository"]["deployments"]["nodes"][1] = None
        path = ["repository", "deployments", "nodes", 1]
        answer.body["errors"] = [{"type": "FORBIDDEN", "path": path, "message": "Not for you."}]
        return answer

    fake.spoil(Fault(change, faults.graphql, times=1, is_instead=False))
    (skipped,) = reading().to_end().skipped
    assert (skipped.what, skipped.why) == ("deployment 2 of a page of 5", "Not for you.")
    assert only_ours_of(truth, set(truth.deployments) - {sorted(truth.deployments)[3]})


def poison(fake: FakeGitHub, number: int) -> None:
    """No page with the statuses of this deployment ever comes."""

    def change(asked: Asked, answer: Answered) -> Answered:
        is_there = any(node.get("databaseId") == number and "statuses" in node for node in nodes_of(answer))
        return Answered(502, faults.HTML) if is_there else answer

    fake.spoil(Fault(change, faults.graphql, times=None, is_instead=False))


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_deployment_that_graphql_never_shows_is_read_by_rest(fake: FakeGitHub, reading: Reading, place: int) -> None:
    truth, _ = a_busy_month(5).happens_on(fake)
    poison(fake, sorted(truth.deployments)[place])
    assert reading(size=1).patiently().skipped == []
    assert only_ours_of(truth, truth.deployments)


def test_a_baseline_that_graphql_never_shows_is_found_by_rest(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = a_busy_month(9).happens_on(fake)
    last = max(truth.deployments)
    to, since = truth.deployments[last].json["environment"], truth.deployments[last].json["created_at"]
    *_, baseline, _ = sorted(number for number, one in truth.deployments.items() if one.json["environment"] == to)
    poison(fake, baseline)
    assert reading(size=1, since=datetime.fromisoformat(since)).patiently().skipped == []
    assert Deployment.objects.get(environment=to, created_at__lt=since).github_id == baseline


def test_one_that_rest_does_not_show_either_is_named(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = a_busy_month(5).happens_on(fake)
    number = sorted(truth.deployments)[2]
    poison(fake, number)
    fake.spoil(Fault(faults.status(502), faults.below(f"/repositories/{SHIP}/deployments/{number}"), times=None))
    assert [one.what for one in reading(size=1).patiently().skipped] == [f"deployment {number}"]
    assert only_ours_of(truth, set(truth.deployments) - {number})


def test_nothing_is_read_of_a_name_that_another_repository_has_by_now(
    fake: FakeGitHub, reading: Reading, worker: GitHubAccess
) -> None:
    fake.world.add("ship", installation_id=ACME, repository_id=WEB)
    with pytest.raises(RequestFailedError, match="another repository") as raised:
        reading().to_end()
    assert raised.value.answer.kind is ResponseKind.GONE


def test_a_listing_that_ends_before_its_time_is_named_and_ends_nothing(fake: FakeGitHub, reading: Reading) -> None:
    a_busy_month(5).happens_on(fake)
    beyond = faults.status(422, {"message": "pagination is limited"})
    fake.spoil(Fault(beyond, lambda asked: asked.path == f"/repositories/{SHIP}/deployments", times=None))
    (skipped,) = reading().to_end().skipped
    assert (skipped.what, skipped.why) == ("the refs and flags of older deployments", "pagination is limited")
    assert Deployment.objects.filter(ref="", is_production=None).count() == 5


def test_one_whose_ref_never_comes_is_named_and_the_others_have_theirs(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = a_busy_month(5).happens_on(fake)
    number = sorted(truth.deployments)[2]

    def change(asked: Asked, answer: Answered) -> Answered:
        is_there = isinstance(answer.body, list) and any(one["id"] == number for one in answer.body)
        return Answered(502, faults.HTML) if is_there else answer

    fake.spoil(Fault(change, faults.below(f"/repositories/{SHIP}/deployments"), times=None, is_instead=False))
    assert [one.what for one in reading(size=1).patiently().skipped] == [
        "the ref and flags of deployment 3 of the latest"
    ]
    assert set(Deployment.objects.filter(ref="").values_list("github_id", flat=True)) == {number}
    assert Deployment.objects.filter(ref="main", is_transient=False).count() == 4


def test_a_limit_is_waited_for_and_nothing_is_skipped(fake: FakeGitHub, reading: Reading) -> None:
    a_busy_month(5).happens_on(fake)
    mine = reading(size=1)
    fake.spoil(Fault(faults.secondary(retry_after_s=60), faults.below(f"/repositories/{SHIP}/deployments"), times=None))
    with pytest.raises(RequestFailedError) as raised:
        mine.stream.skip_item(mine.request(), mine.reader())
    assert raised.value.answer.kind is ResponseKind.SECONDARY


def test_a_deployment_deleted_while_its_statuses_were_read_is_named(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = a_busy_month(3).happens_on(fake)
    gone = sorted(truth.deployments)[1]
    spoil(fake, opaque)
    fake.spoil(
        Fault(faults.status(404, {"message": "Not Found"}), faults.below(f"/repositories/{SHIP}/deployments/{gone}"))
    )
    (skipped,) = reading().to_end().skipped
    assert (skipped.what, skipped.why) == (f"deployment {gone}", "Not Found")
    assert Deployment.objects.count() == 2
