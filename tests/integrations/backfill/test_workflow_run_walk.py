"""Workflow runs, read through the API in windows that GitHub lists whole."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

import pytest

from apps.activity.models import WorkflowRun
from apps.activity.record import record
from apps.integrations.backfill.walking import Unanswered
from apps.integrations.backfill.walks.run_windows import RunPlace, RunWindow
from apps.integrations.backfill.walks.workflow_runs import WorkflowRuns
from apps.integrations.github.access import GitHubAccess
from apps.integrations.github.verdicts import Kind
from apps.integrations.story.repository_life import RepositoryLife
from apps.integrations.story.shapes import moment
from apps.integrations.story.telling import Sent, Story
from tests.activity.tables import clear
from tests.fake_github import faults
from tests.fake_github.answering import Answered, Asked
from tests.fake_github.faults import Fault
from tests.fake_github.generated import BEGINNING, acme
from tests.fake_github.server import FakeGitHub
from tests.fake_github.truth import RepositoryTruth
from tests.fake_github.using import ACME, WEB
from tests.github.fixture_a import ANA, BEN
from tests.integrations.backfill.walker import Walker, keep
from tests.integrations.translating import told as evidence_of

pytestmark = pytest.mark.django_db
BUILD = 7_200
FIRST = BEGINNING + timedelta(hours=1)
SECOND = FIRST + timedelta(hours=9)
RUNS = f"/repositories/{BUILD}/actions/runs"
Go = Callable[..., Walker]


@pytest.fixture
def walker(worker: GitHubAccess) -> Go:
    def walker(**asked: Any) -> Walker:
        return Walker(worker=worker, walk=WorkflowRuns(), repository_id=BUILD, full_name="acme/build", **asked)

    return walker


def some_weeks(fake: FakeGitHub, *, count: int = 60) -> tuple[RepositoryTruth, list[Sent]]:
    """Runs of all kinds: failed, of one second, run again."""
    story = Story("build", owner=acme(), installation_id=ACME)
    life = RepositoryLife(story, identity=BUILD, name="build", created_at=BEGINNING)
    life.create(BEGINNING, by=ANA)
    for number in range(count):
        at = FIRST + timedelta(hours=9 * (number - number % 4 // 3))
        about = {"run_id": 6_000_000 + number, "by": BEN}
        life.run(
            at, finished_at=at + timedelta(minutes=4), conclusion="failure" if number % 5 == 0 else "success", **about
        )
        if number % 5 == 0:
            again = at + timedelta(minutes=30)
            life.run(again, finished_at=again + timedelta(minutes=4), attempt=2, **about)
    told = story.tell()
    return fake.world.fold(told, installation_id=ACME), [sent for sent in told if sent.event == "workflow_run"]


def crowd(truth: RepositoryTruth, moments: list[datetime], *, first: int = 7_000_000) -> int:
    """Runs as many as there are moments, each created at its own; how many there are then."""
    (model, *_) = truth.runs.values()
    for number, at in enumerate(moments, start=first):
        times = dict.fromkeys(("created_at", "updated_at", "run_started_at"), moment(at))
        truth.runs[number] = {**model, "id": number, "run_attempt": 1, **times}
    return len(truth.runs)


def rows() -> list[dict[str, Any]]:
    names = [field.attname for field in WorkflowRun._meta.concrete_fields if field.name not in {"id", "stamp"}]
    return list(WorkflowRun.objects.order_by("run_id", "attempt").values(*names))


def as_true(truth: RepositoryTruth) -> list[dict[str, Any]]:
    """The rows that the runs on GitHub come to: of each its last attempt."""
    return [
        {
            "run_id": run["id"],
            "attempt": run["run_attempt"],
            "repository_id": BUILD,
            **{name: run[name] for name in ("workflow_id", "name", "event", "status", "conclusion", "head_branch")},
            "head_sha": run["head_sha"],
            "actor_id": run["actor"]["id"],
            "created_at": datetime.fromisoformat(run["created_at"]),
            "started_at": datetime.fromisoformat(run["run_started_at"]),
            "concluded_at": datetime.fromisoformat(run["updated_at"]) if run["status"] == "completed" else None,
        }
        for _, run in sorted(truth.runs.items())
    ]


def asked(fake: FakeGitHub) -> int:
    return len([call for call in fake.log if call.path == RUNS])


def test_every_row_is_as_it_is_on_github_field_by_field(fake: FakeGitHub, walker: Go) -> None:
    truth, _ = some_weeks(fake)
    walked = walker().go()
    assert rows() == as_true(truth)
    assert {row["attempt"] for row in rows()} == {1, 2}
    assert (walked.items, walked.pages[0].total, walked.calls, walked.points) == (60, 60, 1, 1)


def test_webhooks_backfill_and_any_mixture_of_them_end_in_the_same_rows(fake: FakeGitHub, walker: Go) -> None:
    truth, told = some_weeks(fake)
    hooks = evidence_of(told)
    record(hooks)
    expected = rows()
    clear()
    pages = walker().go().pages
    last = {(run["id"], run["run_attempt"]) for run in truth.runs.values()}
    assert rows() == [row for row in expected if (row["run_id"], row["attempt"]) in last], "an earlier attempt is gone"
    for seed in range(3):
        chance = random.Random(seed)  # noqa: S311  an order
        pieces: list[Callable[[], None]] = [lambda page=page: keep(page) for page in pages]
        pieces += [lambda hook=hook: record([hook]) for hook in hooks]
        chance.shuffle(pieces)
        clear()
        for piece in pieces:
            piece()
        assert rows() == expected, seed


def test_two_and_a_half_thousand_runs_of_one_hour_are_all_found(fake: FakeGitHub, walker: Go) -> None:
    truth, _ = some_weeks(fake)
    busy = BEGINNING + timedelta(days=200)
    count = crowd(truth, [busy + timedelta(seconds=1.44 * number) for number in range(2_500)])
    walked = walker().go()
    assert not walked.skipped
    assert walked.items == WorkflowRun.objects.count() == count == 2_560
    assert walked.pages[0].total == walked.pages[-1].total == count
    assert walked.calls == asked(fake) <= 30


@pytest.mark.parametrize("seed", range(3))
def test_however_unevenly_they_came_they_are_all_found_for_some_calls_more(
    fake: FakeGitHub, walker: Go, seed: int
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
    walked = walker().go()
    assert WorkflowRun.objects.count() == walked.items == count
    assert walked.calls <= count / 100 * 1.5


def test_more_runs_of_one_second_than_github_lists_are_named(fake: FakeGitHub, walker: Go) -> None:
    truth, _ = some_weeks(fake)
    second = BEGINNING + timedelta(days=100)
    crowd(truth, [second] * 1_234 + [second - timedelta(seconds=1)] * 40 + [second + timedelta(seconds=1)] * 40)
    walked = walker().go()
    (skipped,) = walked.skipped
    assert skipped.what == f"workflow runs created in {moment(second)}..{moment(second)} beyond the first 1,000"
    assert skipped.why == "GitHub counts 1,234 of them and lists no more"
    assert WorkflowRun.objects.count() == 60 + 1_000 + 80


def test_a_cap_that_comes_early_is_named_and_fails_nothing(fake: FakeGitHub, walker: Go) -> None:
    truth, _ = some_weeks(fake)
    crowd(truth, [BEGINNING + timedelta(days=100, minutes=number) for number in range(900)])
    refusal = faults.status(422, {"message": "pagination is limited"})
    fake.spoil(Fault(refusal, lambda asked: asked.query.get("page") in {"4", "5", "6"}, times=None))
    walked = walker().go()
    (skipped,) = walked.skipped
    assert skipped.what.endswith("beyond the first 300")
    assert skipped.why == "pagination is limited"
    assert walked.items == 300


def test_runs_that_are_created_meanwhile_hide_none(fake: FakeGitHub, walker: Go) -> None:
    truth, _ = some_weeks(fake)
    crowd(truth, [BEGINNING + timedelta(days=100, minutes=number) for number in range(400)])
    old, began = set(truth.runs), BEGINNING + timedelta(days=300)
    for step, _ in enumerate(walker(started_at=began).steps(), start=8):
        crowd(truth, [began + timedelta(minutes=step, seconds=number) for number in range(60)], first=step * 1_000_000)
    assert len(truth.runs) > len(old) + 4 * 60
    assert old <= set(WorkflowRun.objects.values_list("run_id", flat=True))


@pytest.mark.parametrize("crowded", [False, True])
def test_a_walk_that_goes_on_from_any_of_its_cursors_ends_in_the_same_rows(
    fake: FakeGitHub, walker: Go, crowded: bool
) -> None:
    truth, _ = some_weeks(fake)
    crowd(truth, [BEGINNING + timedelta(days=50, seconds=7 * number) for number in range(1_050 if crowded else 450)])
    whole = walker().go()
    assert len(whole.cursors) > 4
    expected = rows()
    for place in range(1, len(whole.cursors)):
        clear()
        for page in whole.pages[:place]:
            keep(page)
        walker(started_at=datetime.now(UTC) + timedelta(hours=1)).go(whole.cursors[place])
        assert rows() == expected, whole.cursors[place]


@pytest.mark.parametrize(
    ("since", "until"),
    [(None, BEGINNING + timedelta(hours=90)), (BEGINNING + timedelta(hours=90), None), (SECOND, SECOND)],
)
def test_since_and_until_bound_when_a_run_was_created(
    fake: FakeGitHub, walker: Go, since: datetime | None, until: datetime | None
) -> None:
    truth, _ = some_weeks(fake)
    walker(since=since, until=until).go()
    created = {run["id"]: datetime.fromisoformat(run["created_at"]) for run in truth.runs.values()}
    wanted = {number for number, at in created.items() if (not since or at >= since) and (not until or at <= until)}
    assert wanted
    assert set(WorkflowRun.objects.values_list("run_id", flat=True)) == wanted


def test_a_window_ends_when_the_walk_began(fake: FakeGitHub, walker: Go) -> None:
    truth, _ = some_weeks(fake)
    crowd(truth, [BEGINNING + timedelta(days=300, seconds=1)])
    walker(started_at=BEGINNING + timedelta(days=300)).go()
    assert WorkflowRun.objects.count() == len(truth.runs) - 1


def test_nothing_is_asked_of_a_time_that_ends_before_it_begins(fake: FakeGitHub, walker: Go) -> None:
    walked = walker(since=BEGINNING, until=BEGINNING - timedelta(seconds=1)).go()
    assert (walked.calls, walked.pages[0].cursor) == (0, None)


def test_a_run_that_cannot_be_used_is_named_and_its_neighbours_are_kept(fake: FakeGitHub, walker: Go) -> None:
    truth, _ = some_weeks(fake)
    broken = sorted(truth.runs)[7]
    truth.runs[broken] = {**truth.runs[broken], "workflow_id": None}
    (skipped,) = walker().go().skipped
    assert skipped.what == f"workflow run {broken}"
    assert "workflow_id" in skipped.why
    assert rows() == [row for row in as_true(truth) if row["run_id"] != broken]


@pytest.mark.parametrize(
    ("code", "message"), [(404, "Not Found"), (403, "Actions has been disabled for this repository.")]
)
def test_a_repository_without_actions_has_no_runs_and_that_is_named(
    fake: FakeGitHub, walker: Go, code: int, message: str
) -> None:
    some_weeks(fake)
    fake.spoil(Fault(faults.status(code, {"message": message}), faults.below(RUNS), times=None))
    walked = walker().go()
    assert walked.pages[-1].cursor is None
    assert [(one.what, one.why) for one in walked.skipped] == [
        ("workflow runs", f"GitHub Actions shows none: {message}")
    ]


def test_a_permission_that_is_missing_is_for_somebody_to_look_at(fake: FakeGitHub, walker: Go) -> None:
    some_weeks(fake)
    refusal = faults.status(403, {"message": "Resource not accessible by integration"})
    fake.spoil(Fault(refusal, faults.below(RUNS), times=None))
    with pytest.raises(Unanswered) as raised:
        walker().go()
    assert raised.value.answer.kind is Kind.FORBIDDEN


def test_a_repository_that_is_gone_is_not_one_without_actions(fake: FakeGitHub, walker: Go) -> None:
    truth, _ = some_weeks(fake)
    fake.world.delete(truth)
    with pytest.raises(Unanswered) as raised:
        walker().go()
    assert raised.value.answer.kind is Kind.GONE


def test_a_name_that_belongs_to_another_repository_by_now_tells_nothing(fake: FakeGitHub, walker: Go) -> None:
    truth, _ = some_weeks(fake)
    fake.world.rename(fake.world.add("far", installation_id=ACME, repository_id=WEB), "acme/build")
    for run in truth.runs.values():
        stranger = {**run, "repository": {**run["repository"], "id": WEB}}
        fake.world.repositories[WEB].runs[run["id"]] = stranger
    with pytest.raises(Unanswered, match="another repository"):
        walker().go()
    assert not WorkflowRun.objects.exists()


def holding(number: int) -> Fault:
    """Whatever holds this run never comes."""

    def change(asked: Asked, answer: Answered) -> Answered:
        is_there = any(run["id"] == number for run in (answer.body or {}).get("workflow_runs") or ())
        return Answered(502, faults.HTML) if is_there else answer

    return Fault(change, faults.below(RUNS), times=None, is_instead=False)


def go_by_halves(walker: Walker) -> list[str]:
    """To the end as a worker goes for whom a page never comes: less at once, then around one; what was skipped."""
    cursor: str | None = ""
    size, skipped = 100, list[str]()
    while cursor is not None:
        errand = replace(walker.errand(cursor), page_size=max(size, 1))
        try:
            page = (walker.walk.read if size else walker.walk.step_over)(errand, walker.reader())
        except Unanswered as unanswered:
            if unanswered.answer.kind is not Kind.TRANSIENT or not size:
                raise
            size //= 2
            continue
        keep(page)
        skipped += [one.what for one in page.skipped]
        cursor, size = page.cursor, min(100, max(size, 1) + 5)
    return skipped


@pytest.mark.parametrize("place", [0, 7, 150, -1])
def test_a_run_that_never_comes_is_named_and_everything_around_it_is_found(
    fake: FakeGitHub, walker: Go, place: int
) -> None:
    truth, _ = some_weeks(fake)
    count = crowd(truth, [BEGINNING + timedelta(days=100, minutes=number) for number in range(240)])
    newest_first = sorted(truth.runs, key=lambda number: (truth.runs[number]["created_at"], number), reverse=True)
    fake.spoil(holding(newest_first[place]))
    (skipped,) = go_by_halves(walker())
    assert skipped.startswith(f"workflow run {newest_first.index(newest_first[place]) + 1} of those created in ")
    assert WorkflowRun.objects.count() == count - 1


def test_the_first_run_of_too_many_hides_no_window(fake: FakeGitHub, walker: Go) -> None:
    truth, _ = some_weeks(fake)
    count = crowd(truth, [BEGINNING + timedelta(days=100, minutes=number) for number in range(1_100)])
    fake.spoil(holding(7_000_000 + 1_099))
    assert go_by_halves(walker())
    assert WorkflowRun.objects.count() == count - 1


@pytest.mark.parametrize("sizes", [(100, 7, 30), (1, 100, 3), (12, 50, 25)])
def test_a_size_that_changes_on_the_way_loses_no_run(fake: FakeGitHub, walker: Go, sizes: tuple[int, ...]) -> None:
    truth, _ = some_weeks(fake)
    mine, items = walker(), 0
    cursor: str | None = ""
    for size in cycle(sizes):
        page = mine.walk.read(replace(mine.errand(cursor), page_size=size), mine.reader())
        keep(page)
        cursor, items = page.cursor, items + page.items
        if cursor is None:
            break
    assert rows() == as_true(truth)
    assert items == 60


def test_a_limit_is_never_stepped_over(fake: FakeGitHub, walker: Go) -> None:
    some_weeks(fake)
    fake.spoil(Fault(faults.secondary(retry_after_s=60), faults.below(RUNS), times=None))
    mine = walker()
    with pytest.raises(Unanswered) as raised:
        mine.walk.step_over(mine.errand(), mine.reader())
    assert raised.value.answer.kind is Kind.SECONDARY


def test_a_thousand_runs_cost_some_twelve_calls(fake: FakeGitHub, walker: Go) -> None:
    truth, _ = some_weeks(fake)
    count = crowd(truth, [BEGINNING + timedelta(days=100, minutes=3 * number) for number in range(4_940)])
    walked = walker().go()
    assert walked.items == count == 5_000
    assert walked.calls == walked.points
    assert 50 < walked.calls <= 60


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
    place = RunPlace(windows=(*window.cut([]), window), seen=400, total=2_000)
    assert RunPlace.from_text(place.as_text()) == place
