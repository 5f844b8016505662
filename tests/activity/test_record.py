"""Facts merge in any order, any number of times, from any mixture of sources, by statements planned once."""

import random
import threading
from dataclasses import fields
from itertools import permutations

import psycopg
import pytest
from django.db import connection, transaction

from apps.activity import facts, models
from apps.activity.models import Change
from apps.common import db
from tests.activity.statements import (
    PULL_REQUEST,
    REPOSITORY_ID,
    at,
    comment,
    comment_deleted,
    core,
    dismissed,
    happened,
    in_history,
    labels,
    landed,
    parents,
    presumed_parents,
    profile,
    push,
    record_facts,
    record_one_by_one,
    repository,
    run,
    sizes,
    stamp,
    submitted,
    trailer,
    verdict,
)
from tests.activity.tables import clear, contents
from tests.webhooks.conftest import eventually

STORY = (
    profile(),
    profile(stamp=stamp(3600), login="ana-renamed"),
    repository(),
    repository(stamp=stamp(50), full_name="acme/door", is_archived=True),
    facts.RepositoryName(stamp=stamp(-(10**6)), github_id=REPOSITORY_ID, full_name="acme/old", is_private=None),
    core(is_draft=True),
    core(stamp=stamp(30), title="Add a better door", updated_at=at(30)),
    core(stamp=stamp(30), title="Add the best door", updated_at=at(30)),
    core(stamp=stamp(90, is_merged=True), state="closed", closed_at=at(90), merged_at=at(90), updated_at=at(90)),
    core(stamp=stamp(90), state="closed", closed_at=at(90), updated_at=at(90)),
    core(stamp=stamp(30, observed=40), title="Add a settled door", updated_at=at(30)),
    sizes(),
    sizes(stamp=stamp(30), additions=20),
    labels(stamp=stamp(30), labels=("bug",)),
    labels(stamp=stamp(30), labels=("bug", "door")),
    labels(stamp=stamp(30, observed=33), labels=("bug", "door")),
    happened(),
    happened(subject="13"),
    happened(source="api", at=at(2)),
    happened(kind="ready_for_review", subject="", at=at(20)),
    submitted(),
    verdict(),
    verdict(stamp=stamp(60, version=2), verdict="changes_requested"),
    dismissed(),
    dismissed(dismissed_at=at(118)),
    comment(),
    comment_deleted(),
    comment(stamp=stamp(300), author_id=None),
    landed(),
    landed(landed_at=at(5)),
    in_history(),
    in_history(presumed_landed_at=at(6)),
    parents(),
    presumed_parents(),
    presumed_parents(presumed_parent_count=1),
    trailer(),
    trailer(value="Cy <cy@example.com>"),
    push(),
    push(pushed_at=at(-3)),
    run(),
    facts.RepositoryDeleted(github_id=REPOSITORY_ID, deleted_at=at(500)),
)


@pytest.mark.parametrize("kind", facts.FACTS, ids=lambda kind: kind.__name__)
def test_the_fields_of_a_fact_are_columns_of_its_table(kind):
    columns = {field.column for field in kind.merge.model._meta.concrete_fields}
    assert set(kind.merge.names) <= columns
    assert set(kind.merge.attributes) == {field.name for field in fields(kind)} - {"stamp"}
    assert kind.merge.key


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.proof) for seed in range(1, 8))])
def test_any_order_any_repetition_and_any_grouping_ends_in_the_same_tables(seed):
    record_one_by_one(STORY)
    expected = contents()
    chance = random.Random(seed)  # noqa: S311  a repeatable shuffle
    for _ in range(12):
        clear()
        given = [fact for fact in STORY for _ in range(chance.choice((1, 1, 2)))]
        chance.shuffle(given)
        while given:
            size = chance.choice((1, 2, 5, 40))
            record_facts(*given[:size])
            del given[:size]
        assert contents() == expected


@pytest.mark.django_db(transaction=True)
def test_two_labelings_of_one_second_converge_and_a_settled_api_read_then_wins():
    first, second = labels(stamp=stamp(30), labels=("a",)), labels(stamp=stamp(30), labels=("a", "b"))
    settled = labels(stamp=stamp(30, observed=33), labels=("b",))
    ends = []
    for order in permutations((first, second)):
        clear()
        record_one_by_one(order)
        ends.append(models.PullRequest.objects.get().labels)
    assert ends[0] == ends[1]
    record_facts(settled)
    assert models.PullRequest.objects.get().labels == ["b"]
    record_one_by_one((first, second))
    assert models.PullRequest.objects.get().labels == ["b"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_an_author_stays_when_the_account_is_deleted_in_any_order(order):
    story = (core(), core(stamp=stamp(60), author_id=None, title="Newer"), core(stamp=stamp(30), author_id=None))
    record_one_by_one([story[position] for position in order])
    row = models.PullRequest.objects.get()
    assert (row.title, row.author_id) == ("Newer", 11)
    record_one_by_one(story)
    assert models.PullRequest.objects.get().author_id == 11


@pytest.mark.django_db(transaction=True)
def test_an_author_learned_late_is_a_change():
    record_facts(core(stamp=stamp(60), author_id=None))
    models.Change.objects.all().delete()
    record_facts(core())
    assert models.Change.objects.filter(kind="pull_request").exists()


@pytest.mark.django_db(transaction=True)
def test_a_newer_partial_payload_and_an_older_full_one_keep_state_and_sizes_in_both_orders():
    older_full = (core(), sizes(additions=99))
    newer_partial = (core(stamp=stamp(60), title="Newer", updated_at=at(60)),)
    for order in permutations((older_full, newer_partial)):
        clear()
        for given in order:
            record_facts(*given)
        row = models.PullRequest.objects.get()
        assert (row.title, row.additions) == ("Newer", 99)


@pytest.mark.django_db
def test_two_reviewers_requested_in_one_second_are_two_events():
    record_facts(happened(subject="12"), happened(subject="13"))
    record_facts(happened(subject="13"))
    assert set(models.PullRequestEvent.objects.values_list("subject", flat=True)) == {"12", "13"}


@pytest.mark.django_db(transaction=True)
def test_a_dismissal_is_kept_with_the_approval_in_both_orders():
    approval = (submitted(), verdict())
    for order in permutations((approval, (submitted(), dismissed()))):
        clear()
        for given in order:
            record_facts(*given)
        review = models.Review.objects.get()
        assert (review.verdict, review.submitted_at, review.dismissed_at) == ("approved", at(60), at(120))


@pytest.mark.django_db
def test_a_comment_belongs_where_its_newest_snapshot_says_whichever_arrives_first():
    given = (comment(), comment(stamp=stamp(300), number=8))
    for order in permutations(given):
        clear()
        record_one_by_one(order)
        assert models.IssueComment.objects.get().number == 8


@pytest.mark.django_db
def test_a_deletion_is_final_even_when_a_later_snapshot_arrives():
    record_facts(comment_deleted())
    record_facts(comment(stamp=stamp(999)))
    assert models.IssueComment.objects.get().deleted_at == at(30)


@pytest.mark.django_db
def test_a_replay_by_a_fixed_translator_takes_effect_and_by_the_old_one_does_not():
    record_facts(core(title="Mistranslated"))
    record_facts(core(stamp=stamp(0, version=2), title="Mended"))
    record_facts(core(title="Mistranslated"))
    assert models.PullRequest.objects.get().title == "Mended"


@pytest.mark.django_db
def test_a_child_brings_a_stub_of_its_parents():
    record_facts(submitted())
    assert models.PullRequest.objects.get().title == ""
    assert models.Contributor.objects.get(pk=12).login == ""
    record_facts(core())
    assert models.PullRequest.objects.get().title == "Add a door"


@pytest.mark.django_db
def test_only_what_really_changed_is_marked():
    record_facts(core(), profile(), repository())
    Change.objects.all().delete()
    record_facts(core(), profile(), repository())
    record_facts(profile(stamp=stamp(7200)))
    assert not Change.objects.exists()
    record_facts(core(stamp=stamp(60), title="Other"))
    assert list(Change.objects.values_list("kind", "key")) == [
        ("pull_request", f"{REPOSITORY_ID}:{PULL_REQUEST['number']}")
    ]


@pytest.mark.django_db
def test_a_number_answers_where_it_came_from():
    source = facts.Source(kind="delivery", key="d-1")
    from apps.activity.record import record  # noqa: PLC0415

    record([facts.Evidence(source=source, facts=(core(), submitted()))])
    rows = models.Provenance.objects.filter(source_key="d-1").values_list("entity", "key")
    assert set(rows) == {("pull_request", f"{REPOSITORY_ID}:7"), ("review", "501")}


def in_another_connection(work, *, lock_timeout="20s"):
    """Start the work in a thread of its own, which has a connection of its own."""
    failures = []

    def run_it():
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [lock_timeout])
                work()
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run_it)
    thread.start()
    return thread, failures


@pytest.mark.django_db(transaction=True)
def test_two_transactions_recording_the_same_unchanged_repository_do_not_wait_for_each_other():
    record_facts(repository(), profile())
    with transaction.atomic():
        record_facts(repository(), profile(), core())
        thread, failures = in_another_connection(lambda: record_facts(repository(), profile(), core(number=8)))
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert failures == []
    assert models.PullRequest.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_writers_that_meet_on_the_same_rows_in_different_orders_all_finish_and_converge():
    record_one_by_one(STORY)
    expected = contents()
    clear()
    failures: list[Exception] = []

    def write(seed):
        chance = random.Random(seed)  # noqa: S311  a repeatable shuffle
        given = list(STORY)
        chance.shuffle(given)
        try:
            for start in range(0, len(given), 7):
                record_facts(*given[start : start + 7])
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert contents() == expected


ONES = "SELECT %s::int + 1 FROM activity_repository"


@pytest.mark.django_db
def test_the_server_plans_a_statement_once_for_a_connection() -> None:
    for number in range(3):
        db.run(ONES, [number])
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT generic_plans + custom_plans FROM pg_prepared_statements WHERE statement LIKE '%%+ 1 FROM%%'"
        )
        assert [row[0] for row in cursor.fetchall()] == [3]


def waiting_sessions():
    """Return how many sessions wait for a lock; asked outside a transaction, in which the answer stays the same."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return cursor.fetchone()[0]


@pytest.mark.django_db(transaction=True)
def test_writers_that_insert_a_row_the_other_only_names_do_not_wait_for_each_other():
    """Each describes one contributor of two, and a third that is being inserted when both begin."""
    described = [(3, 5), (5, 3)]
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as other:
        other.execute("INSERT INTO activity_contributor (github_id) VALUES (1)")
        writers = [
            in_another_connection(
                lambda own=own, named=named: record_facts(
                    profile(github_id=1), profile(github_id=own), repository(owner_id=named)
                ),
                lock_timeout="60s",
            )
            for own, named in described
        ]
        eventually(lambda: waiting_sessions() == 2)
        other.rollback()
    for thread, _ in writers:
        thread.join(timeout=60)
    assert [failures for _, failures in writers] == [[], []]
    logins = models.Contributor.objects.order_by("pk").values_list("pk", "login")
    assert list(logins) == [(1, profile().login), (3, profile().login), (5, profile().login)]
