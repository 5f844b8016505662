"""One pull request by its webhooks and by GraphQL comes to the same rows and the same story."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.activity.facts import Evidence, Fact, PullRequestCommitList, PullRequestLabels, Source, evidence
from apps.activity.models import Contributor, PullRequest, PullRequestCommit, PullRequestEvent, Review
from apps.activity.record import record
from apps.demo.scenario import Sent
from apps.github.auth import GitHubAccess
from apps.github.graphql_documents import document
from apps.github.objects.graphql_as_rest import extended, pull_request_node_facts, unfinished
from apps.github.responses import ResponseKind
from apps.metrics.rebuild import rebuild
from apps.webhooks.parsing import UnusablePayloadError
from tests.activity.tables import clear
from tests.fake_github.generated import MANY, Generated, Size
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API, BACKFILL, WEB
from tests.github.translation import translate
from tests.metrics.comparing import derived_tables

pytestmark = pytest.mark.django_db
READ_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
LAG = timedelta(seconds=3)
FIRST_PAGE = {"field": "CREATED_AT", "direction": "ASC"}
SWITCHES = {"withLabels": "labels", "withReviews": "reviews", "withCommits": "commits", "withTimeline": "timelineItems"}
CURSORS = {
    "labelsAfter": "labels",
    "reviewsAfter": "reviews",
    "commitsAfter": "commits",
    "timelineAfter": "timelineItems",
}
EVENTS = ("pull_request", "pull_request_review", "pull_request_review_comment", "issue_comment", "push", "repository")
STAMPS = {name for name in (field.name for field in PullRequest._meta.concrete_fields) if name.endswith("_stamp")}
BY_API_ALONE = {"id", "listed_head_sha", "listed_commit_count"} | STAMPS


def nodes(worker: GitHubAccess, *, name: str = "api", first: int = 25) -> Iterator[dict[str, Any]]:
    """Every pull request, each of its lists finished."""
    after: str | None = None
    while True:
        variables = {"owner": "acme", "name": name, "first": first, "after": after, **FIRST_PAGE}
        page = ask(worker, "pull_request_page", variables)["repository"]["pullRequests"]
        for node in page["nodes"]:
            yield finished(worker, node)
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return


def finished(worker: GitHubAccess, node: dict[str, Any]) -> dict[str, Any]:
    while missing := unfinished(node):
        switches = {switch: name in missing for switch, name in SWITCHES.items()}
        cursors = {cursor: missing.get(name) for cursor, name in CURSORS.items()}
        page = ask(worker, "overflow", {"id": node["id"], **switches, **cursors})["node"]
        node = extended(node, by=page)
    return node


def ask(worker: GitHubAccess, name: str, variables: dict[str, Any]) -> Any:
    answer = worker.graphql(document(name), variables, installation_id=ACME, purpose=BACKFILL)
    assert answer.kind is ResponseKind.OK, answer
    return answer.data


def facts_of(node: dict[str, Any], *, repository_id: int = API) -> list[Fact]:
    return list(pull_request_node_facts(node, repository_id=repository_id, observed_at=READ_AT))


def by_api(found: Iterator[dict[str, Any]] | list[dict[str, Any]], *, repository_id: int = API) -> list[Evidence]:
    return [
        evidence(Source(kind="api", key="pull_request_page"), facts_of(node, repository_id=repository_id))
        for node in found
    ]


def by_webhook(deliveries: Iterator[Sent] | list[Sent]) -> list[Evidence]:
    return [
        evidence(Source(kind="delivery", key=sent.guid), translate(sent.event, sent.payload, received_at=READ_AT))
        for sent in deliveries
        if sent.event in EVENTS
    ]


def truth_of(fake: FakeGitHub, *, repository_id: int = API) -> Generated:
    truth = fake.world.repositories[repository_id].pull_requests
    assert isinstance(truth, Generated)
    return truth


def state() -> dict[str, Any]:
    """What is true now, of everything that webhooks and GraphQL show."""
    names = [field.attname for field in PullRequest._meta.concrete_fields if field.name not in BY_API_ALONE]
    reviews = ("github_id", "number", "author_id", "submitted_at", "commit_sha", "verdict")
    return {
        "pull requests": list(PullRequest.objects.order_by("number").values(*names)),
        "reviews": list(Review.objects.order_by("github_id").values(*reviews)),
        "people": {
            one["github_id"]: (one["login"], one["kind"])
            for one in Contributor.objects.exclude(login="").values("github_id", "login", "kind")
        },
    }


def history(*kinds: str) -> list[tuple[int, str, str, datetime]]:
    rows = PullRequestEvent.objects.filter(kind__in=kinds).order_by("number", "kind", "subject", "at")
    return list(rows.values_list("number", "kind", "subject", "at"))


BOTH_TELL = (
    "ready_for_review",
    "converted_to_draft",
    "closed",
    "merged",
    "reopened",
    "review_requested",
    "review_request_removed",
    "enqueued",
    "dequeued",
    "auto_merge_enabled",
    "auto_merge_disabled",
    "base_changed",
)


def record_by(pieces: list[Evidence]) -> tuple[dict[str, Any], list[Any], list[Any]]:
    """What is there after recording nothing but this."""
    clear()
    record(pieces)
    dismissals = (
        Review.objects.exclude(dismissed_at=None).order_by("github_id").values_list("github_id", "dismissed_at")
    )
    return state(), history(*BOTH_TELL), list(dismissals)


def test_webhooks_and_graphql_lead_to_the_same_state_and_the_same_history(
    fake: FakeGitHub, worker: GitHubAccess
) -> None:
    api_state, api_history, api_dismissals = record_by(by_api(nodes(worker)))
    hook_state, hook_history, hook_dismissals = record_by(by_webhook(truth_of(fake).deliveries()))
    assert len(api_state["pull requests"]) == 30
    assert set(differences(api_state["pull requests"], hook_state["pull requests"])) == {
        (number, "updated_at")
        for number in range(1, 31)
        if truth_of(fake).deliveries_of(number)[-1].event == "issue_comment"
    }, "the webhook of a comment shows an issue, so only the API shows that it touched the pull request"
    assert api_state["reviews"] == hook_state["reviews"]
    assert {review["verdict"] for review in api_state["reviews"]} == {"approved", "changes_requested", "commented"}
    people = {identity: hook_state["people"].get(identity) for identity in api_state["people"]}
    assert api_state["people"] == people
    assert ("dependabot[bot]", "bot") in people.values()
    assert api_dismissals
    assert {kind for _, kind, _, _ in api_history} == set(BOTH_TELL)
    assert_alike(api_dismissals, hook_dismissals)
    assert_alike(api_history, hook_history)


def differences(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return [
        (own["number"], name)
        for own, other in zip(ours, theirs, strict=True)
        for name in own
        if own[name] != other[name]
    ]


def assert_alike(ours: list[Any], theirs: list[Any]) -> None:
    """The same, but for times that a webhook knows up to three seconds too late."""
    assert [row[:-1] for row in ours] == [row[:-1] for row in theirs]
    assert all(timedelta(0) <= late[-1] - own[-1] <= LAG for own, late in zip(ours, theirs, strict=True))


@pytest.mark.proof
def test_half_of_it_by_webhook_first_changes_nothing(fake: FakeGitHub, worker: GitHubAccess) -> None:
    hooks, pages = by_webhook(truth_of(fake).deliveries()), by_api(nodes(worker))
    outcomes = []
    for pieces in ([*hooks[::2], *pages], [*pages, *hooks[::2]], [*hooks[::2], *pages, *hooks[1::2]], pages):
        found, _, dismissals = record_by(pieces)
        rebuild([API], progress=lambda *_: None)
        outcomes.append((found["pull requests"], found["reviews"], dismissals, timelines()))
    assert all(outcome == outcomes[0] for outcome in outcomes)


def timelines() -> list[Any]:
    """The derived rows, without what only a push shows: when the work began, and each push."""
    return [row[:2] for row in derived_tables()["closings"]]


def test_the_commits_of_the_head_are_listed_with_their_dates(fake: FakeGitHub, worker: GitHubAccess) -> None:
    record(by_api(nodes(worker)))
    for pull in PullRequest.objects.all():
        truth = truth_of(fake).get(pull.number)
        assert truth is not None
        listed = PullRequestCommit.objects.filter(number=pull.number, head_sha=pull.head_sha)
        assert set(listed.values_list("sha", flat=True)) == {commit["id"] for commit in truth.commits}
        assert (pull.listed_head_sha, pull.listed_commit_count) == (pull.head_sha, len(truth.commits))
        first = min(commit["author"]["date"] for commit in truth.commits)
        earliest = min(commit.authored_at for commit in listed if commit.authored_at)
        assert earliest == datetime.fromisoformat(first)


def test_a_force_push_is_in_the_history_with_the_head_it_led_to(fake: FakeGitHub, worker: GitHubAccess) -> None:
    record(by_api(nodes(worker)))
    found = {(number, subject) for number, _, subject, _ in history("force_pushed")}
    happened = {
        (number, item.more["after"])
        for number in range(1, 31)
        for item in (truth_of(fake).get(number) or pytest.fail("it is there")).timeline
        if item.kind == "HeadRefForcePushedEvent"
    }
    assert found == happened
    assert found


def test_lists_longer_than_a_page_are_finished(fake: FakeGitHub, worker: GitHubAccess) -> None:
    fake.world.add("web", installation_id=ACME, repository_id=WEB, size=Size(pull_requests=12))
    found = list(nodes(worker, name="web", first=4))
    assert len(found[6]["commits"]["nodes"]) >= MANY
    assert len(found[10]["reviews"]["nodes"]) >= MANY
    record(by_api(found, repository_id=WEB))
    assert PullRequest.objects.get(number=7).listed_commit_count == len(found[6]["commits"]["nodes"])
    assert Review.objects.filter(number=11).count() == len(found[10]["reviews"]["nodes"])


def test_a_list_that_goes_on_is_never_called_complete(worker: GitHubAccess) -> None:
    node = next(nodes(worker))
    for name, kind in (("labels", PullRequestLabels), ("commits", PullRequestCommitList)):
        open_ended = {**node, name: {**node[name], "pageInfo": {"hasNextPage": True, "endCursor": "x"}}}
        assert kind in {type(fact) for fact in facts_of(node)}
        assert kind not in {type(fact) for fact in facts_of(open_ended)}
        assert unfinished(open_ended) == {name: "x"}


def test_ghosts_and_lost_forks_are_nobody_and_nowhere(worker: GitHubAccess) -> None:
    node = next(nodes(worker))
    reviews = [{**one, "author": None, "commit": None} for one in node["reviews"]["nodes"]]
    ghostly = {
        **node,
        "author": None,
        "mergedBy": None,
        "isCrossRepository": True,
        "labels": None,
        "reviews": {**node["reviews"], "nodes": reviews},
        "timelineItems": {
            **node["timelineItems"],
            "nodes": [
                {"__typename": "ReviewRequestedEvent", "id": "1", "createdAt": node["updatedAt"], "actor": None,
                 "requestedReviewer": None},
                {"__typename": "ReviewDismissedEvent", "id": "2", "createdAt": node["updatedAt"], "actor": None,
                 "previousReviewState": "APPROVED", "review": None},
                {"__typename": "ClosedEvent", "id": "3", "createdAt": node["updatedAt"],
                 "actor": {"__typename": "EnterpriseUserAccount", "login": "somebody"}},
            ],
        },
    }  # fmt: skip
    clear()
    record(by_api([ghostly]))
    pull = PullRequest.objects.get()
    assert (pull.author_id, pull.merged_by_id, pull.is_cross_repository, pull.labels) == (None, None, True, [])
    assert [row[1] for row in history(*BOTH_TELL) if row[1] != "merged"] == ["closed"]


@pytest.mark.parametrize(
    "change",
    [{"fullDatabaseId": "x"}, {"updatedAt": None}, {"headRefOid": "no sha"}, {"number": "7"}, {"additions": -1}],
)
def test_a_node_that_is_not_a_pull_request_is_refused_with_its_place(
    worker: GitHubAccess, change: dict[str, Any]
) -> None:
    with pytest.raises(UnusablePayloadError, match="pullRequest"):
        facts_of({**next(nodes(worker)), **change})


def test_a_thousand_pull_requests_cost_forty_points_and_some_for_what_is_long(
    fake: FakeGitHub, worker: GitHubAccess
) -> None:
    """A page of 25 is a point, so 30 pull requests are two; a list beyond its page is one more."""
    assert len(list(nodes(worker))) == 30
    calls = fake.calls("graphql")
    assert [call.cost for call in calls] == [1] * len(calls)
    assert len(calls) <= 2 + 3
    assert fake.calls("core", payer=ACME) == []
