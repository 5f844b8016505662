"""Changes that no webhook reported are found, stream by stream, and our tables equal GitHub's truth afterwards."""

from datetime import timedelta
from typing import Any

import pytest

from apps.activity.models import (
    Commit,
    Deployment,
    DeploymentStatus,
    Issue,
    IssueComment,
    PullRequest,
    Release,
    ReviewComment,
    WorkflowRun,
)
from apps.demo.issue_life import IssueLife
from apps.demo.shapes.git import Commit as Made
from apps.demo.shapes.git import fake_sha
from apps.integrations.models import Backfill, StreamMark
from apps.integrations.streams import STREAM_NAMES
from tests.fake_github.generated import PEOPLE
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import API
from tests.github.translation import Door
from tests.integrations.reconciliation.repositories.night_runs import Nights, backfills_of_runs
from tests.integrations.refresh.live_repository import DAY, HOUR, MINUTE, LiveRepository, now, work_off
from tests.integrations.true_rows import differences

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.proof]


@pytest.fixture(autouse=True)
def marks(api: LiveRepository, nights: Nights) -> None:
    """A night without changes has passed."""
    nights.run()
    nights.pass_time(DAY)
    StreamMark.objects.update(reread_at=now())  # whatever day it is, this repository is not due


def assert_equal(fake: FakeGitHub) -> None:
    truth = fake.world.repositories[API]
    numbers = [number for _, number in truth.pull_requests.ordered("created_at")]
    assert differences(truth, numbers=numbers) == []
    issues = {(row["number"], row["state"], row["title"]) for row in Issue.objects.filter(deleted_at=None).values()}
    assert issues == {(one["number"], one["state"], one["title"]) for one in truth.issues.values()}
    pulls = [truth.pull_requests.get(number) for number in numbers]
    said = [one["id"] for pull in pulls if pull for one in pull.comments]
    said += [one["id"] for comments in truth.issue_comments.values() for one in comments]
    assert ids(IssueComment) == sorted(said)
    assert ids(ReviewComment) == sorted(one["id"] for pull in pulls if pull for one in pull.review_comments)
    assert ids(Release) == sorted(truth.releases)
    assert ids(Deployment) == sorted(truth.deployments)
    assert ids(DeploymentStatus) == sorted(
        status["id"] for one in truth.deployments.values() for status in one.statuses
    )
    runs = {(row.run_id, row.attempt, row.conclusion) for row in WorkflowRun.objects.all()}
    assert {(one["id"], one["run_attempt"], one["conclusion"]) for one in truth.runs.values()} <= runs
    assert {one["id"] for one in truth.commits} <= set(Commit.objects.values_list("sha", flat=True))


def ids(model: Any) -> list[int]:
    return sorted(model.objects.values_list("github_id", flat=True))


def test_a_lost_update_under_a_newer_one_that_arrived_is_found(
    fake: FakeGitHub, api: LiveRepository, nights: Nights
) -> None:
    api.lives[1].convert_to_draft(now() - 3 * HOUR)
    api.happen()
    api.lives[2].label(now() - MINUTE, "bug")
    api.deliver()
    newest = PullRequest.objects.order_by("-updated_at").first()
    assert newest is not None
    assert newest.number == 2, "our newest is GitHub's newest"
    assert not PullRequest.objects.get(number=1).is_draft
    [row] = nights.run()
    assert (row.state, row.error) == ("done", "")
    assert PullRequest.objects.get(number=1).is_draft
    assert_equal(fake)


def test_each_stream_that_lost_something_is_read_and_equals_the_truth(
    fake: FakeGitHub, api: LiveRepository, nights: Nights
) -> None:
    happen = now() - HOUR
    api.open(3, ago=HOUR)
    api.lives[1].force_push(happen)
    api.lives[2].remark(happen, by=PEOPLE[3])
    issue = IssueLife(api.place, number=52, author=PEOPLE[2], title="Worse", body="")
    issue.open(happen)
    issue.comment(happen, by=PEOPLE[4])
    api.place.release(happen, tag="v2", by=PEOPLE[0])
    api.place.deploy(happen, to="production", by=PEOPLE[0], finished_at=happen + MINUTE)
    api.place.run(happen, run_id=900, by=PEOPLE[1], finished_at=happen + MINUTE)
    made = Made(fake_sha("landed", 1), PEOPLE[0], "Land it", happen - 3 * DAY, happen - 3 * DAY)
    api.place.scenario.plan(happen, lambda: api.place.push_to_main(happen, commits=(made,), by=PEOPLE[0]))
    api.happen()
    assert not Issue.objects.filter(number=52).exists()
    [row] = nights.run()
    assert (row.state, row.error) == ("done", "")
    assert backfills_of_runs() == dict.fromkeys(STREAM_NAMES, "done")
    assert_equal(fake)
    nights.pass_time(DAY)
    Backfill.objects.all().delete()
    [row] = nights.run()
    assert row.state == "done"
    assert set(backfills_of_runs()) <= {"workflow_runs"}, (
        "a repository with runs is asked for those that were made since"
    )


def test_marks_of_what_was_read_are_those_of_the_probe(fake: FakeGitHub, api: LiveRepository, nights: Nights) -> None:
    api.open(3, ago=HOUR)
    api.happen()
    [row] = nights.run()
    mark = StreamMark.objects.get(repository=API, stream="pull_requests")
    assert mark.passed_at == row.probed_at
    assert mark.mark == {**row.marks["pull_requests"], "ours": 3}
    assert mark.mark["count"] == 3


def test_an_issue_that_we_lost_ourselves_is_missed_by_its_count_and_read_again(
    fake: FakeGitHub, api: LiveRepository, nights: Nights
) -> None:
    Issue.objects.all().delete()
    [row] = nights.run()
    assert row.state == "done"
    bounds = list(Backfill.objects.filter(sync=row, stream="issues").order_by("pk").values_list("since", flat=True))
    assert bounds[0] is not None
    assert bounds[1:] == [None], "since the last pass nothing changed, so all of it is read"
    assert_equal(fake)


def test_a_deployment_that_is_not_over_is_read_again_however_unchanged_it_is(
    fake: FakeGitHub, api: LiveRepository, nights: Nights
) -> None:
    api.place.deploy(now() - 2 * DAY, to="staging", by=PEOPLE[0], finished_at=now() - MINUTE)
    deliveries = api.happen()
    Door().deliver(sent for sent in deliveries if sent.payload.get("deployment_status", {}).get("state") != "success")
    work_off()
    nights.run()
    nights.pass_time(DAY)
    assert_equal(fake)


def test_a_run_whose_end_was_lost_is_read_again(fake: FakeGitHub, api: LiveRepository, nights: Nights) -> None:
    api.place.run(now() - 2 * DAY, run_id=901, by=PEOPLE[1], finished_at=now() - 2 * DAY + timedelta(minutes=9))
    deliveries = api.happen()
    Door().deliver(sent for sent in deliveries if sent.payload["action"] != "completed")
    work_off()
    assert WorkflowRun.objects.get(run_id=901).conclusion is None
    nights.run()
    assert WorkflowRun.objects.get(run_id=901).conclusion == "success"
    assert_equal(fake)


def test_a_comment_that_is_off_by_its_count_is_read_again_within_the_week(
    fake: FakeGitHub, api: LiveRepository, nights: Nights
) -> None:
    IssueComment.objects.all().delete()
    StreamMark.objects.update(reread_at=now() - 9 * DAY)
    [row] = nights.run()
    assert row.state == "done"
    assert "issue_comments" in backfills_of_runs()


def test_runs_that_no_push_began_are_found_within_a_week_though_we_know_of_none(
    fake: FakeGitHub, api: LiveRepository, nights: Nights
) -> None:
    """Nothing that a probe shows moves with them."""
    truth = fake.world.repositories[API]
    pushed_at = truth.json["pushed_at"]
    api.place.run(now() - DAY, run_id=900, by=PEOPLE[1], finished_at=now() - DAY + MINUTE)
    api.happen()
    assert fake.world.repositories[API].json["pushed_at"] == pushed_at
    assert not WorkflowRun.objects.exists()
    nights.run()
    assert not WorkflowRun.objects.exists(), "it is not due"
    nights.pass_time(9 * DAY)
    nights.run()
    assert WorkflowRun.objects.get().run_id == 900
