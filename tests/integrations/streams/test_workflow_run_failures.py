"""What becomes of workflow runs that GitHub shows badly or not at all."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from apps.activity.models import WorkflowRun
from apps.demo.shapes import moment
from apps.github.auth import GitHubAccess
from apps.github.responses import ResponseKind
from apps.integrations.reader import RequestFailedError
from apps.integrations.streams.workflow_runs import WORKFLOW_RUNS
from tests.fake_github import faults
from tests.fake_github.answering import Answered, Asked
from tests.fake_github.faults import Fault
from tests.fake_github.generated import BEGINNING
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, WEB
from tests.integrations.streams.run_samples import BUILD, as_true, crowd, rows, some_weeks
from tests.integrations.streams.stream_read import StreamRead

pytestmark = pytest.mark.django_db
RUNS = f"/repositories/{BUILD}/actions/runs"
Reading = Callable[..., StreamRead]


@pytest.fixture
def reading(worker: GitHubAccess) -> Reading:
    def reading(**asked: Any) -> StreamRead:
        return StreamRead(worker=worker, stream=WORKFLOW_RUNS, repository_id=BUILD, full_name="acme/build", **asked)

    return reading


@pytest.mark.proof
def test_more_runs_of_one_second_than_github_lists_are_named(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = some_weeks(fake)
    second = BEGINNING + timedelta(days=100)
    crowd(truth, [second] * 1_234 + [second - timedelta(seconds=1)] * 40 + [second + timedelta(seconds=1)] * 40)
    history = reading().to_end()
    (skipped,) = history.skipped
    assert skipped.what == f"workflow runs created in {moment(second)}..{moment(second)} beyond the first 1,000"
    assert skipped.why == "GitHub counts 1,234 of them and lists no more"
    assert WorkflowRun.objects.count() == 60 + 1_000 + 80


def test_a_cap_that_comes_early_is_named_and_fails_nothing(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = some_weeks(fake)
    crowd(truth, [BEGINNING + timedelta(days=100, minutes=number) for number in range(900)])
    refusal = faults.status(422, {"message": "pagination is limited"})
    fake.spoil(Fault(refusal, lambda asked: asked.query.get("page") in {"4", "5", "6"}, times=None))
    history = reading().to_end()
    (skipped,) = history.skipped
    assert skipped.what.endswith("beyond the first 300")
    assert skipped.why == "pagination is limited"
    assert history.items == 300


def test_a_run_that_cannot_be_used_is_named_and_its_neighbours_are_kept(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = some_weeks(fake)
    broken = sorted(truth.runs)[7]
    truth.runs[broken] = {**truth.runs[broken], "workflow_id": None}
    (skipped,) = reading().to_end().skipped
    assert skipped.what == f"workflow run {broken}"
    assert "workflow_id" in skipped.why
    assert rows() == [row for row in as_true(truth) if row["run_id"] != broken]


@pytest.mark.parametrize(
    ("code", "message"), [(404, "Not Found"), (403, "Actions has been disabled for this repository.")]
)
def test_a_repository_without_actions_has_no_runs_and_that_is_named(
    fake: FakeGitHub, reading: Reading, code: int, message: str
) -> None:
    some_weeks(fake)
    fake.spoil(Fault(faults.status(code, {"message": message}), faults.below(RUNS), times=None))
    history = reading().to_end()
    assert history.pages[-1].cursor is None
    assert [(one.what, one.why) for one in history.skipped] == [
        ("workflow runs", f"GitHub Actions shows none: {message}")
    ]


def test_a_missing_permission_fails(fake: FakeGitHub, reading: Reading) -> None:
    some_weeks(fake)
    refusal = faults.status(403, {"message": "Resource not accessible by integration"})
    fake.spoil(Fault(refusal, faults.below(RUNS), times=None))
    with pytest.raises(RequestFailedError) as raised:
        reading().to_end()
    assert raised.value.answer.kind is ResponseKind.FORBIDDEN


def test_a_repository_that_is_gone_is_not_one_without_actions(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = some_weeks(fake)
    fake.world.delete(truth)
    with pytest.raises(RequestFailedError) as raised:
        reading().to_end()
    assert raised.value.answer.kind is ResponseKind.GONE


def test_a_name_that_belongs_to_another_repository_by_now_is_not_asked_for(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = some_weeks(fake)
    fake.world.rename(fake.world.add("far", installation_id=ACME, repository_id=WEB), "acme/build")
    for run in truth.runs.values():
        stranger = {**run, "repository": {**run["repository"], "id": WEB}}
        fake.world.repositories[WEB].runs[run["id"]] = stranger
    reading().to_end()
    assert set(WorkflowRun.objects.values_list("repository_id", "run_id")) == {(BUILD, run_id) for run_id in truth.runs}


def holding(number: int) -> Fault:
    """Whatever holds this run never comes."""

    def change(asked: Asked, answer: Answered) -> Answered:
        is_there = any(run["id"] == number for run in (answer.body or {}).get("workflow_runs") or ())
        return Answered(502, faults.HTML) if is_there else answer

    return Fault(change, faults.below(RUNS), times=None, is_instead=False)


@pytest.mark.parametrize("place", [0, 7, 150, -1])
def test_a_run_that_never_comes_is_named_and_everything_around_it_is_found(
    fake: FakeGitHub, reading: Reading, place: int
) -> None:
    truth, _ = some_weeks(fake)
    count = crowd(truth, [BEGINNING + timedelta(days=100, minutes=number) for number in range(240)])
    newest_first = sorted(truth.runs, key=lambda number: (truth.runs[number]["created_at"], number), reverse=True)
    fake.spoil(holding(newest_first[place]))
    (missed,) = reading().patiently().skipped
    assert missed.what.startswith(f"workflow run {newest_first.index(newest_first[place]) + 1} of those created in ")
    assert WorkflowRun.objects.count() == count - 1


@pytest.mark.proof
def test_the_first_run_of_too_many_hides_no_window(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = some_weeks(fake)
    count = crowd(truth, [BEGINNING + timedelta(days=100, minutes=number) for number in range(1_100)])
    fake.spoil(holding(7_000_000 + 1_099))
    assert reading().patiently().skipped
    assert WorkflowRun.objects.count() == count - 1


def test_a_limit_skips_nothing(fake: FakeGitHub, reading: Reading) -> None:
    some_weeks(fake)
    fake.spoil(Fault(faults.secondary(retry_after_s=60), faults.below(RUNS), times=None))
    mine = reading()
    with pytest.raises(RequestFailedError) as raised:
        mine.stream.skip_item(mine.request(), mine.reader())
    assert raised.value.answer.kind is ResponseKind.SECONDARY
