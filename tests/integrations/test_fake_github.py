"""The fake GitHub is as strict, and its answers have the shapes, that GitHub's are."""

import http.client
import json
import time
from typing import Any

import jwt
import pytest
from githubkit_schemas.latest import models
from pydantic import TypeAdapter

from apps.github.auth import GitHubAccess
from apps.github.graphql_documents import document
from apps.github.responses import ResponseKind
from apps.integrations.backfill.github_item_counts import totals_query
from tests.fake_github import faults
from tests.fake_github.delivery_log import DeliveryLog
from tests.fake_github.faults import Fault
from tests.fake_github.generated import Generated, Size, script
from tests.fake_github.identities import APP_ID, app_pem, strange_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API, LIVE, WEB, Clock
from tests.github.published import models_of

ROOT = "/repos/acme/api"
PULL = f"{ROOT}/pulls/1"
MODELS: list[tuple[str, dict[str, Any], Any]] = [
    (ROOT, {}, models.FullRepository),
    ("/installation/repositories", {}, models.InstallationRepositoriesGetResponse200),
    (f"{ROOT}/pulls", {"state": "all"}, list[models.PullRequestSimple]),
    (PULL, {}, models.PullRequest),
    (f"{PULL}/reviews", {}, list[models.PullRequestReview]),
    (f"{PULL}/commits", {}, list[models.Commit]),
    (f"{ROOT}/pulls/7/comments", {}, list[models.PullRequestReviewComment]),
    (f"{ROOT}/issues", {"state": "all"}, list[models.Issue]),
    (f"{ROOT}/issues/1000000", {}, models.Issue),
    (f"{ROOT}/issues/1000000/comments", {}, list[models.IssueComment]),
    (f"{ROOT}/issues/comments", {}, list[models.IssueComment]),
    (f"{ROOT}/pulls/comments", {}, list[models.PullRequestReviewComment]),
    (f"{ROOT}/commits", {}, list[models.Commit]),
    (f"{ROOT}/releases", {}, list[models.Release]),
    (f"{ROOT}/deployments", {}, list[models.Deployment]),
    (f"{ROOT}/actions/runs", {}, models.ReposOwnerRepoActionsRunsGetResponse200),
]
AS_APP: list[tuple[str, Any]] = [
    ("/app", models.Integration),
    ("/app/installations", list[models.Installation]),
    (f"/app/installations/{ACME}", models.Installation),
]


def read(worker: GitHubAccess, path: str, **parameters: Any) -> Any:
    answer = worker.get(path, installation_id=ACME, purpose=LIVE, parameters=parameters)
    assert answer.kind is ResponseKind.OK, answer
    return answer.data


def call(fake: FakeGitHub, path: str, *, bearer: str | None = None, method: str = "GET") -> tuple[int, Any]:
    """A request of nobody's client."""
    connection = http.client.HTTPConnection(fake.url.removeprefix("http://"))
    connection.request(method, path, headers={"Authorization": f"Bearer {bearer}"} if bearer else {})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body


def signed(key: str | None = None, *, algorithm: str = "RS256", **claims: Any) -> str:
    now = int(time.time())
    payload = {"iat": now - 60, "exp": now + 300, "iss": str(APP_ID), **claims}
    return jwt.encode(
        {name: value for name, value in payload.items() if value is not None}, key or app_pem(), algorithm=algorithm
    )


@pytest.mark.parametrize(
    ("path", "parameters", "model"), MODELS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_an_answer_fits_githubs_published_model(
    worker: GitHubAccess, path: str, parameters: dict[str, Any], model: Any
) -> None:
    shown = read(worker, path, **parameters)
    assert shown
    TypeAdapter(model).validate_python(shown)


def test_every_pull_request_and_its_reviews_fit_githubs_published_models(worker: GitHubAccess) -> None:
    for number in range(1, 31):
        TypeAdapter(models.PullRequest).validate_python(read(worker, f"{ROOT}/pulls/{number}"))
        reviews = read(worker, f"{ROOT}/pulls/{number}/reviews")
        TypeAdapter(list[models.PullRequestReview]).validate_python(reviews)


EVENTS: dict[str, Any] = {
    "committed": models.TimelineCommittedEvent,
    "reviewed": models.TimelineReviewedEvent,
    "labeled": models.LabeledIssueEvent,
    "review_requested": models.ReviewRequestedIssueEvent,
    "review_request_removed": models.ReviewRequestRemovedIssueEvent,
    "review_dismissed": models.ReviewDismissedIssueEvent,
    **dict.fromkeys(
        (
            *("ready_for_review", "convert_to_draft", "head_ref_force_pushed", "reopened", "closed", "merged"),
            *("added_to_merge_queue", "removed_from_merge_queue", "auto_merge_enabled", "auto_merge_disabled"),
            "base_ref_changed",
        ),
        models.StateChangeIssueEvent,
    ),
}


def test_every_item_of_a_timeline_fits_githubs_published_model(worker: GitHubAccess) -> None:
    shown = [item for number in range(1, 31) for item in read(worker, f"{ROOT}/issues/{number}/timeline", per_page=100)]
    assert {item["event"] for item in shown} == set(EVENTS)
    for item in shown:
        TypeAdapter(EVENTS[item["event"]]).validate_python(item)


def test_the_statuses_of_a_deployment_fit_githubs_published_model(worker: GitHubAccess) -> None:
    identity = read(worker, f"{ROOT}/deployments")[0]["id"]
    shown = read(worker, f"{ROOT}/deployments/{identity}/statuses")
    assert [status["state"] for status in shown] == ["success", "in_progress"]
    TypeAdapter(list[models.DeploymentStatus]).validate_python(shown)


def test_a_release_and_a_commit_by_themselves_fit_githubs_published_models(worker: GitHubAccess) -> None:
    identity, sha = read(worker, f"{ROOT}/releases")[0]["id"], read(worker, f"{ROOT}/commits")[0]["sha"]
    release, commit = read(worker, f"{ROOT}/releases/{identity}"), read(worker, f"{ROOT}/commits/{sha}")
    assert (release["id"], commit["sha"]) == (identity, sha)
    TypeAdapter(models.Release).validate_python(release)
    TypeAdapter(models.Commit).validate_python(commit)


def test_a_deployment_by_itself_fits_githubs_published_model(worker: GitHubAccess) -> None:
    listed = read(worker, f"{ROOT}/deployments")
    shown = read(worker, f"{ROOT}/deployments/{listed[0]['id']}")
    assert shown == listed[0]
    TypeAdapter(models.Deployment).validate_python(shown)


def test_deployments_are_listed_by_environment_and_looked_up_by_the_ids_that_they_show(worker: GitHubAccess) -> None:
    page = {"owner": "acme", "name": "api", "first": 1, "environments": ["staging"]}
    listed = worker.graphql(document("deployment_page"), page, installation_id=ACME, purpose=LIVE).data["repository"]
    assert listed["deployments"]["totalCount"] == 2
    (node,) = listed["deployments"]["nodes"]
    assert (node["environment"], node["databaseId"]) == ("staging", read(worker, f"{ROOT}/deployments")[1]["id"])
    found = worker.graphql(document("deployment_statuses"), {"ids": [node["id"]]}, installation_id=ACME, purpose=LIVE)
    assert found.data["nodes"] == [{"id": node["id"], "statuses": node["statuses"]}]


def test_runs_of_a_window_are_counted_whole_and_listed_up_to_a_cap(fake: FakeGitHub, worker: GitHubAccess) -> None:
    runs = fake.world.repositories[API].runs
    model = dict(next(iter(runs.values())))
    runs.update({number: {**model, "id": number} for number in range(1_200)})
    window = {"created": f"{model['created_at']}..{model['created_at']}", "per_page": 100}
    shown = read(worker, f"{ROOT}/actions/runs", **window, page=10)
    TypeAdapter(models.ReposOwnerRepoActionsRunsGetResponse200).validate_python(shown)
    assert (shown["total_count"], len(shown["workflow_runs"])) == (1_201, 100)
    beyond = {**window, "page": 11}
    answer = worker.get(f"{ROOT}/actions/runs", installation_id=ACME, purpose=LIVE, parameters=beyond)
    assert answer.kind is ResponseKind.REJECTED


@pytest.mark.parametrize(("path", "model"), AS_APP)
def test_what_the_app_reads_fits_githubs_published_model(fake: FakeGitHub, path: str, model: Any) -> None:
    status, shown = call(fake, path, bearer=signed())
    assert status == 200
    TypeAdapter(model).validate_python(shown)


def test_a_token_fits_githubs_published_model(fake: FakeGitHub) -> None:
    status, shown = call(fake, f"/app/installations/{ACME}/access_tokens", bearer=signed(), method="POST")
    assert status == 201
    TypeAdapter(models.InstallationToken).validate_python(shown)


@pytest.mark.proof
def test_a_webhook_of_every_kind_in_the_history_fits_githubs_published_model(fake: FakeGitHub) -> None:
    deliveries = list(fake.world.deliveries())
    assert {sent.event for sent in deliveries} >= {
        "pull_request",
        "pull_request_review",
        "push",
        "deployment",
        "workflow_run",
    }
    for sent in deliveries:
        models_of(sent.event)[sent.payload.get("action")].validate_python(sent.payload)


@pytest.mark.parametrize(
    ("name", "path", "count"),
    [
        ("issue_page", ("issues",), 12),
        ("release_page", ("releases",), 3),
        ("deployment_page", ("deployments",), 4),
        ("commit_page", ("object", "history"), 1),
    ],
)
def test_the_document_of_every_stream_is_answered(
    worker: GitHubAccess, name: str, path: tuple[str, ...], count: int
) -> None:
    variables = {"owner": "acme", "name": "api", "expression": "HEAD", "first": 100}
    answer = worker.graphql(document(name), variables, installation_id=ACME, purpose=LIVE)
    assert answer.kind is ResponseKind.OK, answer
    found = answer.data["repository"]
    for member in path:
        found = found[member]
    assert len(found["nodes"]) == found["totalCount"] == count


@pytest.mark.proof
def test_a_forecast_is_answered(worker: GitHubAccess) -> None:
    text, variables = totals_query(["acme/api"], since=None)
    answer = worker.graphql(text, variables, installation_id=ACME, purpose=LIVE)
    found = answer.data["repository0"]
    counts = {name: found[name]["totalCount"] for name in ("pullRequests", "issues", "releases", "deployments")}
    assert counts == {"pullRequests": 30, "issues": 12, "releases": 3, "deployments": 4}


def test_a_poisonous_pull_request_spoils_every_page_it_is_on_but_not_rest(
    fake: FakeGitHub, worker: GitHubAccess
) -> None:
    fake.spoil(Fault(faults.poison(2), faults.graphql, times=None, is_instead=False))
    page = {"owner": "acme", "name": "api", "field": "CREATED_AT", "direction": "ASC"}
    kinds = [
        worker.graphql(document("pull_request_page"), {**page, "first": first}, installation_id=ACME, purpose=LIVE).kind
        for first in (25, 2, 1)
    ]
    assert kinds == [ResponseKind.SHRINK, ResponseKind.SHRINK, ResponseKind.OK]
    assert read(worker, f"{ROOT}/pulls/2")["number"] == 2


def test_the_log_of_deliveries_is_newest_first_and_sends_again_when_asked(
    fake: FakeGitHub, worker: GitHubAccess
) -> None:
    arrived: list[str] = []
    log = DeliveryLog(post=lambda sent: arrived.append(sent.guid) or 202, address=lambda: fake.url)
    fake.app.extensions.append(log.answer)
    deliveries = fake.world.sent[:7]
    log.deliver(deliveries, post=lambda sent: 0 if sent is deliveries[3] else 202)
    found, path, parameters = [], "/app/hook/deliveries", {"per_page": 3}
    while path:
        answer = worker.get_as_app(path, purpose=LIVE, parameters=parameters)
        TypeAdapter(list[models.HookDeliveryItem]).validate_python(answer.data)
        found += answer.data
        path, parameters = answer.next_path or "", {}
    assert [one["guid"] for one in found] == [sent.guid for sent in reversed(deliveries)]
    (failed,) = [one for one in found if not one["status_code"]]
    whole = worker.get_as_app(f"/app/hook/deliveries/{failed['id']}", purpose=LIVE)
    TypeAdapter(models.HookDelivery).validate_python(whole.data)
    assert whole.data["request"]["payload"] == deliveries[3].payload
    again = worker.post_as_app(f"/app/hook/deliveries/{failed['id']}/attempts", purpose=LIVE)
    assert (again.kind, arrived) == (ResponseKind.OK, [deliveries[3].guid])
    assert [attempt.is_redelivery for attempt in log.attempts].count(True) == 1


@pytest.mark.parametrize(
    ("bearer", "status"),
    [
        (signed, 200),
        (lambda: signed(strange_pem()), 401),
        (lambda: signed("a secret of thirty-two bytes, long", algorithm="HS256"), 401),
        (lambda: signed(exp=int(time.time()) + 700), 401),
        (lambda: signed(exp=int(time.time()) - 70), 401),
        (lambda: signed(iat=int(time.time()) + 120), 401),
        (lambda: signed(iat=None), 401),
        (lambda: signed(iss="1"), 404),
        (lambda: "nonsense", 401),
        (lambda: None, 401),
    ],
)
def test_the_app_is_believed_only_with_its_own_key_for_ten_minutes(fake: FakeGitHub, bearer: Any, status: int) -> None:
    assert call(fake, "/app", bearer=bearer())[0] == status


def test_a_token_opens_its_own_installation_for_an_hour(fake: FakeGitHub, clock: Clock) -> None:
    fake.world.install(8)
    _, mine = call(fake, f"/app/installations/{ACME}/access_tokens", bearer=signed(), method="POST")
    _, other = call(fake, "/app/installations/8/access_tokens", bearer=signed(), method="POST")
    assert call(fake, ROOT, bearer=mine["token"])[0] == 200
    assert call(fake, ROOT, bearer=other["token"])[0] == 404
    assert call(fake, ROOT)[0] == 401
    clock.wind(3601)
    assert call(fake, ROOT, bearer=mine["token"]) == (401, {**call(fake, ROOT)[1], "message": "Bad credentials"})


def test_a_limit_is_spent_by_points_and_shown_in_headers(fake: FakeGitHub, worker: GitHubAccess) -> None:
    fake.limits.leave(ACME, "graphql", remaining=3)
    query = """query($n: Int!) { rateLimit { cost remaining nodeCount } repository(owner: "acme", name: "api") {
        pullRequests(first: $n) { nodes { reviews(first: 1) { totalCount } labels(first: 1) { totalCount } } } } }"""
    answer = worker.graphql(query, {"n": 75}, installation_id=ACME, purpose=LIVE)
    assert answer.data["rateLimit"] == {"cost": 2, "remaining": 1, "nodeCount": 225}
    assert answer.limit is not None
    assert answer.limit.remaining == 1
    assert worker.graphql(query, {"n": 75}, installation_id=ACME, purpose=LIVE).kind is ResponseKind.PRIMARY


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ("pullRequests { nodes { id } }", "MISSING_PAGINATION_BOUNDARIES"),
        ("pullRequests(first: 101) { nodes { id } }", "EXCESSIVE_PAGINATION"),
        ('pullRequests(first: 1, after: "x") { nodes { id } }', "INVALID_CURSOR_ARGUMENTS"),
    ],
)
def test_pages_have_githubs_bounds(worker: GitHubAccess, asked: str, kind: str) -> None:
    query = f'{{ repository(owner: "acme", name: "api") {{ id {asked} }} }}'
    answer = worker.graphql(query, {}, installation_id=ACME, purpose=LIVE)
    assert [error.type for error in answer.errors] == [kind]


@pytest.mark.parametrize(
    ("field", "direction"), [("CREATED_AT", "ASC"), ("CREATED_AT", "DESC"), ("UPDATED_AT", "DESC")]
)
def test_pages_follow_one_another_in_every_order(worker: GitHubAccess, field: str, direction: str) -> None:
    query = """query($o: IssueOrder!, $after: String) { repository(owner: "acme", name: "api") {
        pullRequests(first: 7, after: $after, orderBy: $o) { nodes { number createdAt updatedAt }
        pageInfo { hasNextPage endCursor } } } }"""
    found, after, is_more = [], None, True
    while is_more:
        variables = {"o": {"field": field, "direction": direction}, "after": after}
        page = worker.graphql(query, variables, installation_id=ACME, purpose=LIVE).data["repository"]["pullRequests"]
        found += page["nodes"]
        is_more, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]
    name = "createdAt" if field == "CREATED_AT" else "updatedAt"
    keys = [(node[name], node["number"]) for node in found]
    assert len(keys) == 30
    assert keys == sorted(keys, reverse=direction == "DESC")


def test_the_same_seed_makes_the_same_world_and_another_one_does_not(fake: FakeGitHub) -> None:
    mine = fake.world.repositories[API].pull_requests
    again = fake.world.add("web", installation_id=ACME, repository_id=API, size=Size(pull_requests=30)).pull_requests
    other = fake.world.add("far", installation_id=ACME, repository_id=WEB, size=Size(), seed=2).pull_requests
    assert mine.ordered("updated_at") == again.ordered("updated_at") != other.ordered("updated_at")


@pytest.mark.proof
def test_fifty_thousand_pull_requests_are_made_as_they_are_read(fake: FakeGitHub, worker: GitHubAccess) -> None:
    truth = fake.world.add("web", installation_id=ACME, repository_id=WEB, size=Size(pull_requests=50_000))
    variables = {"owner": "acme", "name": "web", "first": 3, "after": None, "field": "CREATED_AT", "direction": "DESC"}
    answer = worker.graphql(document("pull_request_page"), variables, installation_id=ACME, purpose=LIVE)
    page = answer.data["repository"]["pullRequests"]
    assert page["totalCount"] == 50_000
    assert [node["number"] for node in page["nodes"]] == [50_000, 49_999, 49_998]
    assert isinstance(truth.pull_requests, Generated)
    assert truth.pull_requests.generated == 3


def test_a_life_ends_when_its_last_step_happens(fake: FakeGitHub) -> None:
    """What is updated last is known of each pull request without generating its life."""
    pulls = fake.world.repositories[API].pull_requests
    for number in range(1, 31):
        truth = pulls.get(number)
        assert truth is not None
        assert truth.json["updated_at"] == script(1, number).at.strftime("%Y-%m-%dT%H:%M:%SZ")
