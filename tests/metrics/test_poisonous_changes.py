"""A change that cannot be worked off, or that makes a great deal stale, holds nobody up."""

import pytest
from django.db import Error, connection, transaction
from django.utils import timezone

from apps.activity.models import Change, PullRequest
from apps.metrics.changes import ALONE
from apps.metrics.models import DerivedPullRequest
from apps.metrics.recalculation import BATCH, drain, recalculate_batch
from tests.metrics.comparing import assert_equals_rebuild
from tests.metrics.steps import API, PullRequestSteps, record_facts

pytestmark = pytest.mark.django_db
POISONOUS, HARMLESS = 1, 2
MANY = 2 * BATCH + 100


def open_pull_requests() -> None:
    for number in (POISONOUS, HARMLESS):
        record_facts(*PullRequestSteps(number, "ana").opened("03-02 10:00").steps[0])


def refuse_the_poisonous_one(*, code: str) -> None:
    """Have the database refuse one derived row, as it would if it took too much memory, space or time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE 'refused' USING ERRCODE = '{code}'; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON metrics_derivedpullrequest FOR EACH ROW "
            f"WHEN (NEW.number = {POISONOUS}) EXECUTE FUNCTION refuse()"
        )


def derived_numbers() -> list[int]:
    return sorted(DerivedPullRequest.objects.values_list("number", flat=True))


@pytest.mark.parametrize("code", ["53200", "54000", "57014", "22003", "XX000"])
def test_a_change_whose_derivation_fails_is_set_aside_and_others_continue(code: str) -> None:
    open_pull_requests()
    refuse_the_poisonous_one(code=code)
    assert drain(seconds=60)
    assert derived_numbers() == [HARMLESS]
    assert {change.key for change in Change.objects.all()} == {f"{API}:{POISONOUS}"}


@pytest.mark.parametrize("code", ["08006", "53100", "53300", "57P01", "58030", "25006", "40001", "40P01", "55P03"])
def test_a_failure_that_will_pass_blames_no_change(code: str) -> None:
    open_pull_requests()
    before = set(Change.objects.values_list("pk", "recorded_at"))
    refuse_the_poisonous_one(code=code)
    with pytest.raises(Error, match="refused"), transaction.atomic():
        drain(seconds=60)
    assert set(Change.objects.values_list("pk", "recorded_at")) == before
    assert derived_numbers() == []


def test_a_change_that_failed_alone_is_left_alone_for_a_while_and_then_tried_again() -> None:
    open_pull_requests()
    refuse_the_poisonous_one(code="54000")
    assert drain(seconds=60)
    assert not recalculate_batch(skipped=set())  # as the next drain would begin
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER refuse ON metrics_derivedpullrequest")
    Change.objects.update(recorded_at=timezone.now())
    assert drain(seconds=60)
    assert derived_numbers() == [POISONOUS, HARMLESS]
    assert not Change.objects.exists()


def test_a_drain_stops_at_its_time_limit_while_it_tries_changes_one_by_one() -> None:
    open_pull_requests()
    refuse_the_poisonous_one(code="57014")
    Change.objects.filter(kind=Change.Kind.CONTRIBUTOR).delete()
    assert not drain(seconds=0)
    assert Change.objects.filter(recorded_at__gt=timezone.now()).get().key == f"{API}:{POISONOUS}"
    assert derived_numbers() == []  # the other one is left for the next drain


def tell_of_many_on_one_branch() -> None:
    first = PullRequestSteps(1, "ana", branch="release").opened("03-02 10:00").merged("03-02 12:00")
    for step in first.steps:
        record_facts(*step)
    assert drain(seconds=60)
    one = PullRequest.objects.get()
    PullRequest.objects.bulk_create(
        PullRequest(
            repository_id=API,
            number=number,
            head_ref="release",
            is_cross_repository=False,
            created_at=one.created_at,
            updated_at=one.updated_at,
            merged_at=one.merged_at,
            closed_at=one.merged_at,
            is_draft=False,
        )
        for number in range(2, MANY + 1)
    )


def advisory_locks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
        return int(cursor.fetchone()[0])


@pytest.mark.proof
@pytest.mark.parametrize(("kind", "key"), [("branch", f"{API}:refs/heads/release"), ("pull_request", f"{API}:1")])
def test_what_makes_many_pull_requests_stale_is_worked_off_in_batches(kind: str, key: str) -> None:
    tell_of_many_on_one_branch()
    DerivedPullRequest.objects.filter(number=1).delete()
    Change.objects.create(kind=kind, key=key)
    before = advisory_locks()
    assert recalculate_batch(skipped=set())
    handed_on = list(Change.objects.values_list("key", flat=True))
    assert len(handed_on) >= MANY - 1
    assert all(each.endswith(f":{ALONE}") for each in handed_on)
    assert advisory_locks() - before <= 2 * BATCH
    assert drain(seconds=60)
    assert derived_numbers() == list(range(1, MANY + 1))
    assert not Change.objects.exists()
    assert_equals_rebuild()
