"""Which commits are merges is known from pushes where they show it, and of all others once the history was read."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from apps.activity.facts import CommitParents, CommitParentsPresumed, Source, evidence
from apps.activity.models import Commit
from apps.activity.record import record
from apps.demo.pull_request_life import PullRequestLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import Scenario, Sent
from apps.demo.shapes.git import NO_COMMIT
from apps.demo.shapes.git import Commit as Made
from apps.github.auth import GitHubAccess
from apps.integrations.streams.commits import COMMITS
from apps.metrics.models import DerivedCommit
from apps.metrics.recalculation import drain
from tests.activity.tables import clear
from tests.fake_github.generated import PEOPLE, acme
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, WEB
from tests.github.translation import of, translate
from tests.integrations.streams.stream_read import StreamRead
from tests.integrations.test_webhooks_and_graphql import by_webhook

pytestmark = pytest.mark.django_db
ANA, BEN = PEOPLE[:2]
BEGINNING = datetime(2026, 3, 2, 9, tzinfo=UTC)


def at(minute: float) -> datetime:
    return BEGINNING + timedelta(minutes=minute)


def story_deliveries() -> list[Sent]:
    """A commit of its own, three that are pushed at once, and two pull requests that are merged by GitHub's button."""
    scenario = Scenario("merges", owner=acme(), installation_id=ACME, first_id=WEB * 100_000_000)
    place = RepositoryLife(scenario, identity=WEB, name="web", created_at=at(-9))
    place.create(at(0), by=BEN)
    for number, (start, commits) in enumerate(((10, 1), (20, 3)), start=1):
        life = PullRequestLife(place, number=number, author=ANA, title=f"Change {number}", branch=f"change-{number}")
        for place_in_branch in range(commits):
            life.push(at(start + place_in_branch))
        life.open(at(start + 5))
        life.merge(at(start + 8), by=BEN)
    scenario.plan(
        at(30), lambda: place.push_to_main(at(30), commits=(Made("a" * 40, BEN, "One", at(29), at(29)),), by=BEN)
    )
    several = tuple(Made(sha * 40, BEN, "Several", at(39), at(39)) for sha in "bcd")
    scenario.plan(at(40), lambda: place.push_to_main(at(40), commits=several, by=BEN))
    return scenario.deliveries()


def merges() -> dict[str, bool | None]:
    """Of each commit of the default branch, whether it is one; None where nobody knows."""
    assert drain(seconds=60)
    return dict(DerivedCommit.objects.values_list("sha", "is_merge"))


def headlines(shas: Iterable[str]) -> set[str]:
    return set(Commit.objects.filter(sha__in=list(shas)).values_list("headline", flat=True))


def test_pushes_tell_most_and_the_history_all(fake: FakeGitHub, worker: GitHubAccess) -> None:
    deliveries = story_deliveries()
    truth = fake.world.fold(deliveries, installation_id=ACME)
    record(by_webhook(deliveries))
    before = merges()
    assert headlines(sha for sha, known in before.items() if known) == {
        "Merge pull request #1",
        "Merge pull request #2",
    }
    assert headlines(sha for sha, known in before.items() if known is None) >= {"Several"}
    assert before["a" * 40] is False
    StreamRead.of_web(COMMITS, worker, size=25).to_end()
    after = merges()
    assert after == {sha: len(truth.parents[sha]) > 1 for sha in after}
    assert {sha: after[sha] for sha, known in before.items() if known is not None}.items() <= before.items()


@pytest.mark.parametrize(
    "changes", [{"forced": True}, {"before": NO_COMMIT}, {"ref": "refs/tags/v1"}, {"after": "e" * 40}]
)
def test_a_push_that_may_leave_something_out_tells_no_parents(changes: dict[str, object]) -> None:
    sent = next(sent for sent in story_deliveries() if sent.event == "push" and sent.payload["after"] == "a" * 40)
    assert of(CommitParentsPresumed, translate("push", sent.payload))
    assert not of(CommitParentsPresumed, translate("push", {**sent.payload, **changes}))


def test_a_local_merge_that_is_pushed_is_not_guessed_at() -> None:
    sent = next(sent for sent in story_deliveries() if sent.event == "push" and len(sent.payload["commits"]) > 3)
    assert [fact.presumed_parent_count for fact in of(CommitParentsPresumed, translate("push", sent.payload))] == [2]
    commits = [{**commit, "committer": commit["author"]} for commit in sent.payload["commits"]]
    assert not of(CommitParentsPresumed, translate("push", {**sent.payload, "commits": commits}))


@pytest.mark.parametrize(("presumed", "proven"), [(2, 1), (1, 2)])
def test_proven_parents_replace_presumed_ones_in_any_order_of_arrival(presumed: int, proven: int) -> None:
    """As where an App moves a branch forward to several commits of its own, which looks like a merge by GitHub."""
    payload = next(
        sent.payload for sent in story_deliveries() if sent.event == "push" and len(sent.payload["commits"]) > 3
    )
    if presumed == 1:
        payload = {**payload, "commits": payload["commits"][-1:]}
    pushed, sha = translate("push", payload), payload["after"]
    assert [fact.presumed_parent_count for fact in of(CommitParentsPresumed, pushed)] == [presumed]
    shown = [CommitParents(repository_id=WEB, sha=sha, parent_count=proven, author_id=None)]
    for order in permutations((pushed, shown, pushed)):
        clear()
        DerivedCommit.objects.all().delete()
        for number, facts in enumerate(order):
            record([evidence(Source(kind="delivery", key=str(number)), facts)])
            merges()
        assert merges()[sha] is (proven == 2)
