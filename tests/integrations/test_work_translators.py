"""What issues, deployments, workflow runs and releases say."""

from datetime import timedelta

import pytest

from apps.activity import facts
from apps.activity.facts import Source, evidence
from apps.activity.models import Deployment, WorkflowRun
from apps.activity.record import record
from tests.github.every_route import ISSUE, NOW, payload_of
from tests.github.fixture_a import ANA, BEN
from tests.integrations.translating import ARRIVAL, of, only, translate


def changed(event, action, part, **members):
    payload = payload_of(event, action)
    return {**payload, part: {**payload[part], **members}}


def status_with(**members):
    return translate("deployment_status", changed("deployment_status", "created", "deployment_status", **members))


def test_an_issue_brings_its_labels_sorted_and_its_author():
    state = only(facts.IssueState, translate("issues", payload_of("issues", "opened")))
    assert (state.number, state.labels, state.author_id, state.state) == (13, ("bug", "incident"), BEN.id, "open")


def test_a_deleted_and_a_transferred_issue_are_gone_here():
    for action in ("deleted", "transferred"):
        gone = only(facts.IssueDeleted, translate("issues", payload_of("issues", action)))
        assert (gone.number, gone.deleted_at) == (ISSUE.number, NOW)


def test_an_issue_that_does_not_say_its_state_is_open_until_it_was_closed():
    payload = payload_of("issues", "pinned")
    stateless = {name: member for name, member in payload["issue"].items() if name != "state"}
    assert only(facts.IssueState, translate("issues", {**payload, "issue": stateless})).state == "open"


def test_a_comment_on_a_pull_request_is_on_no_issue():
    link = {"pull_request": {"url": "https://api.github.com/repos/acme/api/pulls/13", "merged_at": None}}
    told = translate("issue_comment", changed("issue_comment", "created", "issue", **link))
    comment = only(facts.IssueCommentState, told)
    assert (comment.is_on_pull_request, comment.number, comment.author_id) == (True, 13, ANA.id)
    assert not of(facts.IssueState, told)


def test_a_comment_on_an_issue_brings_the_issue_and_a_deleted_one_is_gone():
    told = translate("issue_comment", payload_of("issue_comment", "deleted"))
    assert only(facts.IssueCommentState, told).is_on_pull_request is False
    assert only(facts.IssueState, told).number == 13
    assert only(facts.IssueCommentDeleted, told).deleted_at == NOW


def test_a_deployment_made_by_a_run_names_it():
    told = translate("deployment", payload_of("deployment", "created"))
    state = only(facts.DeploymentState, told)
    assert (state.environment, state.creator_id) == ("production", BEN.id)
    assert only(facts.DeploymentFlags, told).is_production is True
    assert only(facts.DeploymentRef, told).ref == "main"
    assert only(facts.DeploymentRun, told).run_id == 8_900


def test_a_run_is_read_from_a_status_s_link():
    told = translate("deployment_status", payload_of("deployment_status", "created"))
    assert only(facts.DeploymentRun, told).run_id == 8_900
    assert only(facts.DeploymentStatusState, told).state == "success"


@pytest.mark.parametrize(
    "link",
    [
        "",
        "https://github.com/acme/api/runs/145988746?check_suite_focus=true",
        "https://ci.example.com/jobs/5",
        "https://github.com/acme/api/actions/runs/99999999999999999999",
        "file:///acme/api/x/actions/runs/5",
        "https://github.com/acme/api/actions/runs/9223372036854775808",
    ],
)
def test_a_link_that_names_no_run_names_none(link):
    assert not of(facts.DeploymentRun, status_with(log_url=link, target_url=link))


@pytest.mark.django_db
def test_the_run_that_github_names_outweighs_the_one_in_a_link():
    by_link = status_with(log_url="https://github.com/acme/api/actions/runs/77/job/78", target_url="")
    by_payload = translate("deployment", payload_of("deployment", "created"))
    for number, told in enumerate((by_link, by_payload, by_link)):
        record([evidence(Source(kind="delivery", key=str(number)), told)])
    assert Deployment.objects.get().run_id == 8_900


def test_a_deployment_by_hand_has_no_run():
    payload = {**payload_of("deployment", "created"), "workflow_run": None, "workflow": None}
    assert not of(facts.DeploymentRun, translate("deployment", payload))


@pytest.mark.django_db
def test_a_run_s_deliveries_end_completed_whatever_their_order_and_attempts_stay_apart():
    again = changed(
        "workflow_run",
        "requested",
        "workflow_run",
        run_attempt=2,
        updated_at=(NOW + timedelta(hours=1)).isoformat(),
    )
    payloads = [payload_of("workflow_run", action) for action in ("completed", "in_progress", "requested")]
    for number, payload in enumerate([*payloads, again]):
        record([evidence(Source(kind="delivery", key=str(number)), translate("workflow_run", payload))])
    assert list(WorkflowRun.objects.order_by("attempt").values_list("attempt", "status", "concluded_at")) == [
        (1, "completed", NOW),
        (2, "queued", None),
    ]


def test_a_release_without_updated_at_is_dated_by_its_latest_time_and_an_edit_by_its_arrival():
    def stamped(action, **members):
        payload = changed("release", action, "release", **members)
        payload["release"] = {name: value for name, value in payload["release"].items() if name != "updated_at"}
        return only(facts.ReleaseState, translate("release", payload)).stamp.source_updated_at

    assert stamped("published") == NOW
    assert stamped("edited") == ARRIVAL
    assert stamped("unpublished") == ARRIVAL


def test_a_draft_is_not_published_and_a_deleted_release_is_gone():
    draft = only(facts.ReleaseState, translate("release", payload_of("release", "created")))
    assert (draft.is_draft, draft.published_at) == (True, None)
    deleted = only(facts.ReleaseDeleted, translate("release", payload_of("release", "deleted")))
    assert deleted.deleted_at == ARRIVAL
