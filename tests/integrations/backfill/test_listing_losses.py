"""Who loses access: nobody by one reading of a list alone, as lists shift while they are read."""

from collections.abc import Callable

import pytest

from apps.github.auth import GitHubAccess
from apps.integrations.listed_installations import list_installation
from apps.jobs.models import Job
from tests.fake_github import faults
from tests.fake_github.faults import Answered, Asked, Fault
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME
from tests.integrations.backfill.installed import LIST, accesses, installed, make_due, many

pytestmark = pytest.mark.django_db
TAKEN, LAST = 103, 249


def meanwhile(fake: FakeGitHub, change: Callable[[], object]) -> None:
    """After the first page was read, something changes."""

    def changed(asked: Asked, answer: Answered) -> Answered:
        change()
        return answer

    fake.spoil(Fault(changed, faults.below(LIST), is_instead=False))


def take(fake: FakeGitHub, *repository_ids: int) -> None:
    for repository_id in repository_ids:
        del fake.world.reached[repository_id]


def lost() -> list[int]:
    return sorted(repository_id for repository_id, (has_access, _) in accesses().items() if not has_access)


def asked_one_by_one(fake: FakeGitHub) -> int:
    return sum(call.path.startswith("/repositories/") for call in fake.calls("core", payer=ACME))


def pages_read(fake: FakeGitHub) -> int:
    return sum(call.path == LIST for call in fake.calls("core", payer=ACME))


@pytest.mark.proof
def test_a_list_whose_total_changes_while_it_is_read_is_read_again(fake: FakeGitHub, worker: GitHubAccess) -> None:
    many(fake, 150)
    installed(fake)
    meanwhile(fake, lambda: take(fake, TAKEN))
    row = list_installation(ACME, access=worker)
    assert row is not None
    assert row.error == "GitHub listed 151 repositories, then 150: the list changed meanwhile."
    assert (lost(), row.total) == ([], None)
    make_due()
    list_installation(ACME, access=worker)
    assert lost() == [TAKEN]


def test_a_repository_that_slipped_between_two_pages_keeps_its_access(fake: FakeGitHub, worker: GitHubAccess) -> None:
    many(fake, 150)
    installed(fake)
    truth = fake.world.repositories[LAST]

    def swap() -> None:
        """One is taken and one is added at once: the total shows nothing."""
        take(fake, TAKEN)
        fake.world.repositories[900] = type(truth)(json={**truth.json, "id": 900, "full_name": "acme/new"})
        fake.world.reached[900] = ACME

    meanwhile(fake, swap)
    list_installation(ACME, access=worker)
    assert lost() == [TAKEN]
    assert pages_read(fake) == 4
    assert set(accesses().values()) == {(True, True), (False, True)}


def test_a_public_repository_is_lost_though_github_shows_it_to_everybody(
    fake: FakeGitHub, worker: GitHubAccess
) -> None:
    many(fake, 3)
    installed(fake)
    shown = fake.world.repositories[101].json
    take(fake, 101)
    fake.spoil(Fault(faults.status(200, shown), faults.below("/repositories/101"), times=None))
    list_installation(ACME, access=worker)
    assert (lost(), pages_read(fake), asked_one_by_one(fake)) == ([101], 2, 1)
    assert Job.objects.get(kind="list_installation").cursor == ""


def test_many_that_are_missing_are_confirmed_by_a_second_reading(fake: FakeGitHub, worker: GitHubAccess) -> None:
    many(fake, 30)
    installed(fake)
    take(fake, *range(100, 121))
    list_installation(ACME, access=worker)
    assert lost() == list(range(100, 121))
    assert (pages_read(fake), asked_one_by_one(fake)) == (2, 0)


def test_few_that_are_missing_are_asked_for_one_by_one(fake: FakeGitHub, worker: GitHubAccess) -> None:
    many(fake, 30)
    installed(fake)
    take(fake, *range(100, 120))
    list_installation(ACME, access=worker)
    assert lost() == list(range(100, 120))
    assert (pages_read(fake), asked_one_by_one(fake)) == (1, 20)


@pytest.mark.parametrize("trouble", [faults.status(502), faults.secondary(retry_after_s=90)])
def test_without_an_answer_nobody_loses_access_yet(
    fake: FakeGitHub, worker: GitHubAccess, trouble: faults.Change
) -> None:
    many(fake, 3)
    installed(fake)
    take(fake, 101)
    fake.spoil(Fault(trouble, faults.below("/repositories/101")))
    list_installation(ACME, access=worker)
    assert lost() == []
    fake.clock.wind(100)  # type: ignore[attr-defined]
    make_due()
    list_installation(ACME, access=worker)
    assert lost() == [101]


def test_a_second_reading_goes_on_in_the_next_task(fake: FakeGitHub, worker: GitHubAccess) -> None:
    many(fake, 130)
    installed(fake)
    take(fake, 101)
    pages = 0
    while not lost():
        list_installation(ACME, access=worker, seconds=0.0)
        pages += 1
    assert (lost(), pages, asked_one_by_one(fake)) == ([101], 4, 0)
