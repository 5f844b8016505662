"""What the payloads of pull requests and reviews say."""

from itertools import permutations

import pytest

from apps.activity import facts
from apps.activity.facts import Source, evidence
from apps.activity.models import PullRequest
from apps.activity.record import record
from apps.demo.organisation import Story
from apps.demo.pull_request_life import PullRequestLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.shapes.pull_requests import pull_request, short_pull_request
from tests.github.every_route import PULL_REQUEST, payload_of
from tests.github.fixture_a import ACME, ANA, BEN, CODERABBIT
from tests.github.times import at
from tests.integrations.translating import of, only, translate


def a_pull_request(**more):
    story = Story("one", owner=ACME)
    api = RepositoryLife(story, identity=7_200, name="api", created_at=at("03-01", "09:00"))
    api.create(at("03-01", "09:00"), by=ANA)
    life = PullRequestLife(api, number=1, author=ANA, title="Sort", branch="sort", **more)
    life.push(at("03-02", "09:00"))
    life.open(at("03-02", "10:00"))
    return story, life


def facts_of(story, event, action):
    (sent,) = [sent for sent in story.tell() if (sent.event, sent.payload.get("action")) == (event, action)]
    return sent.payload, translate(event, sent.payload)


def changed(event, action, **members):
    """The sample payload of a route, its pull request changed."""
    payload = payload_of(event, action)
    return {**payload, "pull_request": {**payload["pull_request"], **members}}


def test_an_opened_pull_request_brings_its_first_head_into_the_history():
    payload, told = facts_of(a_pull_request()[0], "pull_request", "opened")
    head = only(facts.PullRequestHappened, told)
    assert (head.kind, head.subject, head.at, head.source, head.actor_id) == (
        "head_moved",
        payload["pull_request"]["head"]["sha"],
        at("03-02", "10:00"),
        "webhook",
        ANA.id,
    )


def test_a_merge_brings_the_merge_sha_and_both_members_of_the_history():
    story, life = a_pull_request()
    life.merge(at("03-02", "12:00"), by=BEN)
    payload, told = facts_of(story, "pull_request", "closed")
    core = only(facts.PullRequestCore, told)
    assert (core.state, core.merged_at, core.merge_sha) == (
        "closed",
        at("03-02", "12:00"),
        payload["pull_request"]["merge_commit_sha"],
    )
    assert core.stamp.is_merged
    assert only(facts.PullRequestSizes, told).merged_by_id == BEN.id
    assert {fact.kind for fact in of(facts.PullRequestHappened, told)} == {"closed", "merged"}


def test_the_trial_merge_of_an_open_pull_request_is_no_merge_sha():
    told = translate("pull_request", changed("pull_request", "edited", merge_commit_sha="f" * 40))
    assert only(facts.PullRequestCore, told).merge_sha is None


def test_a_closed_and_unmerged_pull_request_is_closed_only():
    story, life = a_pull_request()
    life.close(at("03-02", "12:00"))
    told = facts_of(story, "pull_request", "closed")[1]
    assert [(fact.kind, fact.at) for fact in of(facts.PullRequestHappened, told)] == [("closed", at("03-02", "12:00"))]


def test_a_synchronize_brings_the_new_head():
    story, life = a_pull_request()
    life.push(at("03-02", "11:00"))
    payload, told = facts_of(story, "pull_request", "synchronize")
    assert only(facts.PullRequestHappened, told).subject == payload["after"]
    assert only(facts.PullRequestCore, told).head_sha == payload["after"]


def test_a_requested_person_and_a_requested_team_are_told_apart():
    asked = translate("pull_request", payload_of("pull_request", "review_requested"))
    withdrawn = translate("pull_request", payload_of("pull_request", "review_request_removed"))
    assert only(facts.PullRequestHappened, asked).subject == str(BEN.id)
    assert only(facts.PullRequestHappened, withdrawn).subject == "team:9001"
    assert BEN.id in {fact.github_id for fact in of(facts.ContributorProfile, asked)}


def test_a_label_is_the_subject_of_its_history_and_all_labels_are_one_group():
    told = translate("pull_request", payload_of("pull_request", "labeled"))
    assert only(facts.PullRequestHappened, told).subject == "bug"
    assert only(facts.PullRequestLabels, told).labels == ("bug",)


def test_the_shorter_pull_request_beside_a_review_has_no_sizes():
    told = translate("pull_request_review", payload_of("pull_request_review", "submitted"))
    assert not of(facts.PullRequestSizes, told)
    assert only(facts.PullRequestCore, told).title == PULL_REQUEST.title


def test_both_representations_of_one_pull_request_give_one_core():
    full, short = payload_of("pull_request", "edited"), payload_of("pull_request_review", "submitted")
    assert full["pull_request"] == pull_request(PULL_REQUEST)
    assert short["pull_request"] == short_pull_request(PULL_REQUEST)
    assert only(facts.PullRequestCore, translate("pull_request", full)) == only(
        facts.PullRequestCore, translate("pull_request_review", short)
    )


def test_a_ghost_s_pull_request_from_a_deleted_fork_is_ordinary():
    head = {"label": None, "ref": "sort", "sha": "a" * 40, "user": None, "repo": None}
    told = translate("pull_request", changed("pull_request", "edited", user=None, head=head) | {"sender": None})
    core = only(facts.PullRequestCore, told)
    assert (core.author_id, core.is_cross_repository, core.head_ref) == (None, True, "sort")


def test_a_head_in_a_fork_is_cross_repository_and_one_in_the_repository_is_not():
    payload = payload_of("pull_request", "edited")
    fork = {**payload["pull_request"]["head"], "repo": {**payload["repository"], "id": 1}}
    assert only(facts.PullRequestCore, translate("pull_request", payload)).is_cross_repository is False
    forked = translate("pull_request", changed("pull_request", "edited", head=fork))
    assert only(facts.PullRequestCore, forked).is_cross_repository is True


def test_a_long_description_is_cut_and_a_null_one_is_empty():
    told = translate("pull_request", changed("pull_request", "edited", body="x" * 100_000))
    assert len(only(facts.PullRequestText, told).body) == 65_536
    assert (
        only(facts.PullRequestText, translate("pull_request", changed("pull_request", "edited", body=None))).body == ""
    )


STACK = {"id": 91, "number": 4, "size": 3, "position": 2, "base": {"ref": "main", "sha": "b" * 40}}


def test_a_stacked_pull_request_tells_its_place_null_tells_of_none_and_a_missing_stack_tells_nothing():
    told = only(facts.PullRequestStack, translate("pull_request", changed("pull_request", "stacked", stack=STACK)))
    assert (told.stack_id, told.stack_number, told.stack_size, told.stack_position) == (91, 4, 3, 2)
    assert (told.stack_base_ref, told.stack_base_sha) == ("main", "b" * 40)
    none = only(facts.PullRequestStack, translate("pull_request", changed("pull_request", "edited", stack=None)))
    assert (none.stack_id, none.stack_position, none.stack_base_ref) == (None, None, None)
    missing = translate("pull_request", payload_of("pull_request", "edited"))
    assert not [fact for fact in missing if isinstance(fact, facts.PullRequestStack)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_stack_is_a_field_group_of_its_own_in_any_order(order: tuple[int, ...]) -> None:
    payloads = [
        changed("pull_request", "stacked", stack=STACK, updated_at="2026-03-02T10:00:00Z"),
        changed("pull_request", "stacked", stack={**STACK, "position": 1}, updated_at="2026-03-02T11:00:00Z"),
        changed("pull_request", "edited", title="without a stack", updated_at="2026-03-02T12:00:00Z"),
    ]
    for place in order:
        record([evidence(Source(kind="delivery", key=str(place)), translate("pull_request", payloads[place]))])
    row = PullRequest.objects.get()
    assert (row.title, row.stack_id, row.stack_position, row.stack_size) == ("without a stack", 91, 1, 3)


def test_a_review_brings_its_verdict_its_author_and_its_pull_request():
    story, life = a_pull_request()
    life.review(at("03-02", "11:00"), by=CODERABBIT, state="changes_requested")
    told = facts_of(story, "pull_request_review", "submitted")[1]
    submitted = only(facts.ReviewSubmitted, told)
    assert (submitted.author_id, submitted.submitted_at) == (CODERABBIT.id, at("03-02", "11:00"))
    assert only(facts.ReviewVerdict, told).verdict == "changes_requested"
    profile = next(fact for fact in of(facts.ContributorProfile, told) if fact.github_id == CODERABBIT.id)
    assert (profile.login, profile.kind) == ("coderabbitai[bot]", "bot")


def test_a_verdict_in_capitals_as_the_api_spells_it_is_the_same():
    payload = payload_of("pull_request_review", "submitted")
    shouted = {**payload, "review": {**payload["review"], "state": "APPROVED"}}
    assert translate("pull_request_review", shouted) == translate("pull_request_review", payload)


def test_a_dismissal_tells_no_verdict_and_when_it_was():
    story, life = a_pull_request()
    life.review(at("03-02", "11:00"), by=BEN, state="approved")
    life.dismiss_review(at("03-02", "12:00"), of=BEN, by=ANA)
    told = facts_of(story, "pull_request_review", "dismissed")[1]
    assert not of(facts.ReviewVerdict, told)
    assert only(facts.ReviewSubmitted, told).submitted_at == at("03-02", "11:00")
    assert only(facts.ReviewDismissed, told).dismissed_at == at("03-02", "12:00")


def test_a_pending_review_is_nobody_s_business():
    payload = payload_of("pull_request_review", "edited")
    pending = {**payload, "review": {**payload["review"], "state": "pending", "submitted_at": None}}
    told = translate("pull_request_review", pending)
    assert not of(facts.ReviewSubmitted, told)
    assert of(facts.PullRequestCore, told)


def test_a_deleted_review_comment_is_known_and_gone():
    told = translate("pull_request_review_comment", payload_of("pull_request_review_comment", "deleted"))
    assert only(facts.ReviewCommentState, told).author_id == BEN.id
    assert only(facts.ReviewCommentDeleted, told).deleted_at == PULL_REQUEST.updated_at


def test_a_resolved_thread_is_history_and_brings_its_comments():
    payload = payload_of("pull_request_review_thread", "resolved")
    told = translate("pull_request_review_thread", payload)
    happened = only(facts.PullRequestHappened, told)
    assert (happened.kind, happened.subject) == ("thread_resolved", payload["thread"]["node_id"])
    assert only(facts.ReviewCommentState, told).review_id == 8_500
