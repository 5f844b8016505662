"""Workflow runs, read in windows that GitHub lists whole, and those that it shows badly or not at all."""

import random
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

import pytest

from apps.activity.models import WorkflowRun
from apps.activity.record import record
from apps.demo.shapes import moment
from apps.github.auth import GitHubAccess
from apps.github.responses import ResponseKind
from apps.integrations.reader import RequestFailedError
from apps.integrations.streams.workflow_runs import WORKFLOW_RUNS, RunCursor, RunWindow
from apps.metrics.models import DerivedWorkflowRun
from apps.metrics.recalculation import drain
from tests.activity.tables import clear
from tests.fake_github import faults
from tests.fake_github.faults import Answered, Asked, Fault
from tests.fake_github.generated import BEGINNING
from tests.fake_github.server import FakeGitHub
from tests.fake_github.truth import RepositoryTruth
from tests.fake_github.using import ACME, WEB
from tests.github.translation import evidence_of
from tests.integrations.streams.run_samples import BUILD, SECOND, crowd, some_weeks
from tests.integrations.streams.stream_read import StreamRead, record_page, rows
from tests.integrations.true_rows import true_rows

pytestmark = pytest.mark.django_db
RUNS = f"/repositories/{BUILD}/actions/runs"
Reading = Callable[..., StreamRead]


@pytest.fixture
def reading(worker: GitHubAccess) -> Reading:
    def reading(**asked: Any) -> StreamRead:
        return StreamRead(worker=worker, stream=WORKFLOW_RUNS, repository_id=BUILD, full_name="acme/build", **asked)

    return reading


def asked(fake: FakeGitHub) -> int:
    return len([call for call in fake.log if call.path == RUNS])


def runs_stored() -> int:
    """Return how many runs are stored, of whatever attempts."""
    return WorkflowRun.objects.values("run_id").distinct().count()


def attempts_asked(fake: FakeGitHub) -> list[tuple[int, int]]:
    """Return the earlier attempts that were asked for, in order."""
    found = (re.fullmatch(rf"{RUNS}/(\d+)/attempts/(\d+)", call.path) for call in fake.log)
    return [(int(match[1]), int(match[2])) for match in found if match]


def run_again(truth: RepositoryTruth, *, run_id: int, attempts: int) -> None:
    """Have a run so many attempts."""
    for number in range(2, attempts + 1):
        truth.runs[run_id] = truth.attempts[run_id, number] = {**truth.attempts[run_id, 1], "run_attempt": number}


def test_every_row_is_as_on_github_field_by_field(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = some_weeks(fake)
    history = reading().to_end()
    assert rows(WorkflowRun) == true_rows(WorkflowRun, truth)
    assert {row["attempt"] for row in rows(WorkflowRun)} == {1, 2}
    assert (history.items, history.pages[0].total) == (60, 60)
    again = sum(run["run_attempt"] - 1 for run in truth.runs.values())
    assert history.calls == history.points == 1 + again == 13, "a call for each earlier attempt"


@pytest.mark.proof
def test_webhooks_backfill_and_any_mixture_of_them_end_in_the_same_rows(fake: FakeGitHub, reading: Reading) -> None:
    _, sent = some_weeks(fake)
    hooks = evidence_of(sent)
    record(hooks)
    expected = rows(WorkflowRun)
    clear()
    pages = reading().to_end().pages
    assert rows(WorkflowRun) == expected
    for seed in range(3):
        chance = random.Random(seed)  # noqa: S311  an order
        pieces: list[Callable[[], None]] = [lambda page=page: record_page(page) for page in pages]
        pieces += [lambda hook=hook: record([hook]) for hook in hooks]
        chance.shuffle(pieces)
        clear()
        for piece in pieces:
            piece()
        assert rows(WorkflowRun) == expected, seed


def test_only_earlier_attempts_that_are_not_stored_are_asked_for(fake: FakeGitHub, reading: Reading) -> None:
    truth, sent = some_weeks(fake)
    record(evidence_of(sent[: len(sent) // 2]))
    stored = set(WorkflowRun.objects.exclude(concluded_at=None).values_list("run_id", "attempt"))
    missing = sorted(
        (truth.attempts.keys() - stored) - {(run["id"], run["run_attempt"]) for run in truth.runs.values()}
    )
    assert 0 < len(missing) < 12
    reading().to_end()
    assert sorted(attempts_asked(fake)) == missing
    assert rows(WorkflowRun) == true_rows(WorkflowRun, truth)
    reading().to_end()
    assert len(attempts_asked(fake)) == len(missing), "they are stored now"


def test_of_a_run_with_many_attempts_the_latest_are_read(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = some_weeks(fake)
    run_again(truth, run_id=6_000_010, attempts=9)
    reading().to_end()
    asked_for = [number for run_id, number in attempts_asked(fake) if run_id == 6_000_010]
    assert asked_for == [8, 7, 6, 5, 4]


def test_an_attempt_that_github_no_longer_has_is_named(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = some_weeks(fake)
    del truth.attempts[6_000_010, 1]
    history = reading().to_end()
    assert [one.what for one in history.skipped] == ["attempt 1 of workflow run 6000010"]
    assert rows(WorkflowRun) == true_rows(WorkflowRun, truth)


def test_only_attempts_of_the_runs_that_are_read_are_asked_for(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = some_weeks(fake)
    reading(since=BEGINNING + timedelta(hours=300)).to_end()
    late = {run["id"] for run in truth.runs.values() if run["created_at"] >= moment(BEGINNING + timedelta(hours=300))}
    assert {run_id for run_id, _ in attempts_asked(fake)} <= late
    assert 0 < len(attempts_asked(fake)) < 12


def test_a_flaky_run_of_loaded_history_is_known_to_be_flaky(fake: FakeGitHub, reading: Reading) -> None:
    some_weeks(fake)
    reading().to_end()
    assert drain(seconds=60)
    again = DerivedWorkflowRun.objects.filter(attempt=2)
    assert (again.count(), again.filter(is_flaky=True).count()) == (12, 12)


@pytest.mark.proof
def test_two_and_a_half_thousand_runs_of_one_hour_are_all_found(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = some_weeks(fake)
    busy = BEGINNING + timedelta(days=200)
    count = crowd(truth, [busy + timedelta(seconds=1.44 * number) for number in range(2_500)])
    history = reading().to_end()
    assert not history.skipped
    assert history.items == runs_stored() == count == 2_560
    assert history.pages[0].total == history.pages[-1].total == count
    assert asked(fake) <= 30


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(3))
def test_however_unevenly_they_came_they_are_all_found_for_some_calls_more(
    fake: FakeGitHub, reading: Reading, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311  the same every time
    truth, _ = some_weeks(fake)
    at, moments = BEGINNING, list[datetime]()
    for _ in range(4_000):
        at += timedelta(
            seconds=int(chance.choice((0, 1, 40, 900)) * chance.random() * (60 if chance.random() < 0.01 else 1))
        )
        moments.append(at)
    count = crowd(truth, moments)
    history = reading().to_end()
    assert runs_stored() == history.items == count
    assert asked(fake) <= count / 100 * 1.5


def test_runs_that_are_created_meanwhile_hide_none(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = some_weeks(fake)
    crowd(truth, [BEGINNING + timedelta(days=100, minutes=number) for number in range(400)])
    old, began = set(truth.runs), BEGINNING + timedelta(days=300)
    for step, _ in enumerate(reading(started_at=began).steps(), start=8):
        crowd(truth, [began + timedelta(minutes=step, seconds=number) for number in range(60)], first=step * 1_000_000)
    assert len(truth.runs) > len(old) + 4 * 60
    assert old <= set(WorkflowRun.objects.values_list("run_id", flat=True))


@pytest.mark.proof
@pytest.mark.parametrize("crowded", [False, True])
def test_reading_that_goes_on_from_any_of_its_cursors_ends_in_the_same_rows(
    fake: FakeGitHub, reading: Reading, crowded: bool
) -> None:
    truth, _ = some_weeks(fake)
    crowd(truth, [BEGINNING + timedelta(days=50, seconds=7 * number) for number in range(1_050 if crowded else 450)])
    whole = reading().to_end()
    assert len(whole.cursors) > 4
    expected = rows(WorkflowRun)
    for place in range(1, len(whole.cursors)):
        clear()
        for page in whole.pages[:place]:
            record_page(page)
        reading(started_at=datetime.now(UTC) + timedelta(hours=1)).to_end(whole.cursors[place])
        assert rows(WorkflowRun) == expected, whole.cursors[place]


@pytest.mark.parametrize(
    ("since", "until"),
    [(None, BEGINNING + timedelta(hours=90)), (BEGINNING + timedelta(hours=90), None), (SECOND, SECOND)],
)
def test_since_and_until_bound_when_a_run_was_created(
    fake: FakeGitHub, reading: Reading, since: datetime | None, until: datetime | None
) -> None:
    truth, _ = some_weeks(fake)
    reading(since=since, until=until).to_end()
    created = {run["id"]: datetime.fromisoformat(run["created_at"]) for run in truth.runs.values()}
    wanted = {number for number, at in created.items() if (not since or at >= since) and (not until or at <= until)}
    assert wanted
    assert set(WorkflowRun.objects.values_list("run_id", flat=True)) == wanted


def test_a_window_ends_when_reading_began(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = some_weeks(fake)
    crowd(truth, [BEGINNING + timedelta(days=300, seconds=1)])
    reading(started_at=BEGINNING + timedelta(days=300)).to_end()
    assert runs_stored() == len(truth.runs) - 1


def test_nothing_is_asked_of_a_time_that_ends_before_it_begins(fake: FakeGitHub, reading: Reading) -> None:
    history = reading(since=BEGINNING, until=BEGINNING - timedelta(seconds=1)).to_end()
    assert (history.calls, history.pages[0].cursor) == (0, None)


@pytest.mark.parametrize("sizes", [(100, 7, 30), (1, 100, 3), (12, 50, 25)])
def test_a_size_that_changes_meanwhile_loses_no_run(fake: FakeGitHub, reading: Reading, sizes: tuple[int, ...]) -> None:
    truth, _ = some_weeks(fake)
    mine, items = reading(), 0
    cursor: str | None = ""
    for size in cycle(sizes):
        page = mine.stream.read(replace(mine.request(cursor), page_size=size), mine.reader())
        record_page(page)
        cursor, items = page.cursor, items + page.items
        if cursor is None:
            break
    assert rows(WorkflowRun) == true_rows(WorkflowRun, truth)
    assert items == 60


@pytest.mark.proof
def test_a_thousand_runs_cost_some_twelve_calls(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = some_weeks(fake)
    count = crowd(truth, [BEGINNING + timedelta(days=100, minutes=3 * number) for number in range(4_940)])
    history = reading().to_end()
    assert history.items == count == 5_000
    assert history.calls == history.points
    assert 50 < asked(fake) <= 60


@pytest.mark.parametrize("seconds", [1, 2, 3, 59, 3_600, 10**7])
@pytest.mark.parametrize("oldest_s", [0, 1, 2, 500, None])
def test_the_parts_of_a_window_are_the_window(seconds: int, oldest_s: int | None) -> None:
    window = RunWindow(start=BEGINNING, end=BEGINNING + timedelta(seconds=seconds))
    page = [] if oldest_s is None else [window.end, max(window.start, window.end - timedelta(seconds=oldest_s))]
    later, earlier = window.cut(page)
    assert earlier.start == window.start <= earlier.end
    assert earlier.end + timedelta(seconds=1) == later.start <= later.end == window.end
    assert later.end - later.start <= (seconds + 1) * timedelta(seconds=0.5)


def test_a_place_is_text_and_back() -> None:
    window = RunWindow(start=BEGINNING, end=BEGINNING + timedelta(days=3))
    cursor = RunCursor(windows=(*window.cut([]), window), seen=400, total=2_000)
    assert RunCursor.from_text(cursor.as_text()) == cursor


@pytest.mark.proof
def test_more_runs_of_one_second_than_github_lists_are_named(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = some_weeks(fake)
    second = BEGINNING + timedelta(days=100)
    crowd(truth, [second] * 1_234 + [second - timedelta(seconds=1)] * 40 + [second + timedelta(seconds=1)] * 40)
    history = reading().to_end()
    (skipped,) = history.skipped
    assert skipped.what == f"workflow runs created in {moment(second)}..{moment(second)} beyond the first 1,000"
    assert skipped.why == "GitHub counts 1,234 of them and lists no more"
    assert runs_stored() == 60 + 1_000 + 80


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
    assert rows(WorkflowRun) == [row for row in true_rows(WorkflowRun, truth) if row["run_id"] != broken]


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
    assert runs_stored() == count - 1


@pytest.mark.proof
def test_the_first_run_of_too_many_hides_no_window(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = some_weeks(fake)
    count = crowd(truth, [BEGINNING + timedelta(days=100, minutes=number) for number in range(1_100)])
    fake.spoil(holding(7_000_000 + 1_099))
    assert reading().patiently().skipped
    assert runs_stored() == count - 1


def test_a_limit_skips_nothing(fake: FakeGitHub, reading: Reading) -> None:
    some_weeks(fake)
    fake.spoil(Fault(faults.secondary(retry_after_s=60), faults.below(RUNS), times=None))
    mine = reading()
    with pytest.raises(RequestFailedError) as raised:
        mine.stream.skip_item(mine.request(), mine.reader())
    assert raised.value.answer.kind is ResponseKind.SECONDARY
