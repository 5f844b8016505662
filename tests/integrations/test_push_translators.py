"""What pushes, branches and tags say."""

from datetime import timedelta

import pytest

from apps.activity import facts
from apps.demo.shapes.git import NO_COMMIT
from apps.github.payload import EPOCH
from apps.webhooks.parsing import UnusablePayloadError
from tests.github.every_route import COMMIT, INSTALLATION_ID, NOW, payload_of
from tests.integrations.translating import ARRIVAL, of, only, translate


def pushed(**members):
    return {**payload_of("push", None), **members}


def with_commit(**members):
    payload = payload_of("push", None)
    return {**payload, "commits": [{**payload["commits"][0], **members}]}


def test_a_push_to_the_default_branch_lands_its_commits():
    told = translate("push", pushed())
    made, landed = only(facts.PushMade, told), only(facts.CommitLanded, told)
    assert (made.pushed_at, made.commit_shas, made.is_default_branch) == (NOW, (COMMIT.sha,), 1)
    assert (landed.sha, landed.landed_at) == (COMMIT.sha, NOW)


@pytest.mark.parametrize("name", ["before", "after"])
def test_a_push_between_no_commits_is_unusable(name):
    with pytest.raises(UnusablePayloadError, match=f"{name} is not a SHA"):
        translate("push", pushed(**{name: "\U00010001" * 500}))


def test_a_commit_of_a_push_has_a_sha():
    with pytest.raises(UnusablePayloadError, match="id is not a SHA"):
        translate("push", with_commit(id="\U00010001" * 500))


def test_a_push_to_another_branch_lands_nothing():
    told = translate("push", pushed(ref="refs/heads/sort"))
    assert only(facts.PushMade, told).is_default_branch == 0
    assert not of(facts.CommitLanded, told)
    assert of(facts.CommitContent, told)


def test_a_commit_says_who_wrote_it_and_when_by_its_author_date():
    content = only(facts.CommitContent, translate("push", pushed()))
    assert (content.headline, content.authored_at, content.author_login) == ("Sort by name", COMMIT.authored_at, "ana")
    assert content.is_date_clamped is False


def test_a_commit_without_an_author_date_has_its_timestamp():
    people = {"name": "Ana", "email": None}
    told = translate("push", with_commit(author=people, committer=people, timestamp="2026-03-01T09:00:00-05:00"))
    content = only(facts.CommitContent, told)
    assert content.authored_at.isoformat() == "2026-03-01T14:00:00+00:00"
    assert (content.author_login, content.author_email) == ("", "")


def test_an_absurd_commit_date_is_clamped_and_flagged_and_never_refused():
    for date, kept in (
        ("2099-01-01T00:00:00Z", NOW + timedelta(days=1)),
        ("1901-01-01T00:00:00Z", EPOCH),
        ("99999-01-01T00:00:00Z", None),
        ("yesterday", None),
    ):
        author = {"name": "Ana", "email": None, "date": date}
        content = only(facts.CommitContent, translate("push", with_commit(author=author)))
        assert (content.authored_at, content.is_date_clamped) == (kept, True)


def test_a_deleted_branch_has_no_commits():
    told = translate("push", pushed(after=NO_COMMIT, deleted=True, head_commit=None, commits=[]))
    assert only(facts.PushMade, told).after_sha == NO_COMMIT
    assert not of(facts.CommitContent, told)


def test_a_capped_push_is_incomplete():
    commit = payload_of("push", None)["commits"][0]
    capped = [{**commit, "id": f"{number:040x}"} for number in range(2048)]
    assert only(facts.PushMade, translate("push", pushed(commits=capped))).is_incomplete == 1
    assert only(facts.PushMade, translate("push", pushed(commits=capped[1:]))).is_incomplete == 0


def test_a_force_push_is_known_as_one():
    assert only(facts.PushMade, translate("push", pushed(forced=True))).is_forced == 1


def test_commits_that_were_pushed_before_are_listed_and_not_distinct():
    made = only(facts.PushMade, translate("push", with_commit(distinct=False)))
    assert (made.commit_shas, made.distinct_shas) == ((COMMIT.sha,), ())


def test_a_new_tag_shows_the_commit_it_stands_on():
    told = translate("push", pushed(ref="refs/tags/v1", before=NO_COMMIT, commits=[]))
    assert only(facts.CommitContent, told).sha == COMMIT.sha
    assert only(facts.PushMade, told).commit_shas == ()


def test_the_repository_of_a_push_is_the_repository_of_every_payload():
    assert only(facts.RepositoryState, translate("push", pushed())) == only(
        facts.RepositoryState, translate("delete", payload_of("delete", None))
    )


def test_a_branch_that_comes_or_goes_is_an_unverified_signal():
    for event, is_deleted in (("create", False), ("delete", True)):
        told = translate(event, payload_of(event, None))
        state = only(facts.GitReferenceState, told)
        assert (state.name, state.kind, state.is_deleted, state.is_verified) == ("v1", "tag", is_deleted, False)
        assert state.stamp.source_updated_at == ARRIVAL
        assert only(facts.ListingNeeded, told).github_id == INSTALLATION_ID


def trailers(message):
    told = of(facts.CommitTrailer, translate("push", with_commit(message=message)))
    assert {trailer.sha for trailer in told} <= {COMMIT.sha}
    return [(trailer.token, trailer.value) for trailer in told]


def test_a_commit_names_who_and_what_took_part_in_it():
    message = (
        "Sort by name\n\nAs asked for.\n\n\N{ROBOT FACE} Generated with [A Tool](https://tool.example.com)\n\n"
        "Co-Authored-By: Ben <ben@example.com>\nSigned-off-by: Ana <ana@example.com>\n"
    )
    assert trailers(message) == [
        ("generated-with", "[A Tool](https://tool.example.com)"),
        ("co-authored-by", "Ben <ben@example.com>"),
        ("signed-off-by", "Ana <ana@example.com>"),
    ]


def test_a_squash_keeps_those_of_its_commits_each_once():
    ben = "Co-authored-by: Ben <b@example.com>"
    message = "\r\n\r\n".join(["Sort (#7)", "* One", ben, "* Two", ben])
    assert trailers(message) == [("co-authored-by", "Ben <b@example.com>")]


@pytest.mark.parametrize(
    "message",
    [
        "Co-authored-by: a headline is no trailer",
        "Sort\n\nSee: the list of files generated with care",
        "Sort\n\nCo-authored-by:",
        "Sort\n\nStand-by",
        "",
    ],
)
def test_what_is_no_trailer_names_nobody(message):
    assert trailers(message) == []


def test_a_message_of_nothing_but_trailers_is_bounded():
    many = trailers("Sort\n" + "\n".join(f"Seen-by: {number:05} {'x' * 400}" for number in range(150)))
    assert len(many) == 100
    assert {len(value) for _, value in many} == {300}
