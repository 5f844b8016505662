"""Rules of the events that one payload alone cannot show: order, conflicts, limits, and what is refused.

What each event becomes is in `tests/payloads`.
"""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.activity import facts
from apps.activity.facts import Fact, Source, evidence
from apps.activity.models import Deployment, Installation, PullRequest, WorkflowRun
from apps.activity.record import record
from apps.demo.shapes import Json
from apps.github.payload import EPOCH
from apps.webhooks.parsing import UnusablePayloadError
from apps.webhooks.registry import routes
from tests.github.translation import ARRIVAL, of, only, payload_of, translate

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
"""When the samples' objects were updated."""


def changed(event: str, action: str | None, part: str, **members: Any) -> Json:
    payload = payload_of(event, action)
    return {**payload, part: {**payload[part], **members}}


def pushed(**members: Any) -> list[Fact]:
    return translate("push", {**payload_of("push"), **members})


def pushed_with_commit(**members: Any) -> list[Fact]:
    return pushed(commits=[{**payload_of("push")["commits"][0], **members}])


def record_each(*deliveries: list[Fact]) -> None:
    for number, told in enumerate(deliveries):
        record([evidence(Source(kind="delivery", key=str(number)), told)])


@pytest.mark.parametrize("spelling", ["2026-03-02T06:00:00.000-04:00", "2026-03-02T10:00:00+00:00", 1_772_445_600])
def test_an_epoch_and_an_offset_are_the_same_instant_as_rfc_3339(spelling: str | int) -> None:
    told = translate("installation", changed("installation", "created", "installation", updated_at=spelling))
    assert only(facts.InstallationState, told).stamp.source_updated_at == NOW


@pytest.mark.django_db
def test_a_suspension_delivered_again_after_its_end_is_unverified_and_asks_for_a_listing() -> None:
    record_each(
        *(
            translate(
                "installation", payload_of("installation", action), received_at=ARRIVAL + timedelta(minutes=minute)
            )
            for minute, action in enumerate(("suspend", "unsuspend", "suspend"))
        )
    )
    installation = Installation.objects.get()
    assert installation.suspended_at == NOW
    assert installation.is_suspension_verified is False
    assert installation.needs_listing_at == ARRIVAL + timedelta(minutes=2)


def test_an_event_under_the_name_installation_without_an_account_is_refused() -> None:
    """The installation of an ordinary payload has nothing but its id: the end of a repository ends no installation."""
    with pytest.raises(UnusablePayloadError, match="account is missing"):
        translate("installation", payload_of("repository", "deleted"))


def test_the_full_and_the_short_form_of_a_pull_request_give_one_core() -> None:
    full, short = payload_of("pull_request", "edited"), payload_of("pull_request_review", "submitted")
    assert set(short["pull_request"]) < set(full["pull_request"])
    assert only(facts.PullRequestCore, translate("pull_request", full)) == only(
        facts.PullRequestCore, translate("pull_request_review", short)
    )


def test_a_long_description_is_cut() -> None:
    told = translate("pull_request", changed("pull_request", "edited", "pull_request", body="x" * 100_000))
    assert len(only(facts.PullRequestText, told).body) == 65_536


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_stack_is_a_field_group_of_its_own_in_any_order(order: tuple[int, ...]) -> None:
    stack = payload_of("pull_request", "stacked")["pull_request"]["stack"]
    members: list[Json] = [
        {"stack": stack, "updated_at": "2026-03-02T10:00:00Z"},
        {"stack": {**stack, "position": 1}, "updated_at": "2026-03-02T11:00:00Z"},
        {"title": "without a stack", "updated_at": "2026-03-02T12:00:00Z"},
    ]
    record_each(
        *(translate("pull_request", changed("pull_request", "edited", "pull_request", **members[n])) for n in order)
    )
    row = PullRequest.objects.get()
    assert (row.title, row.stack_id, row.stack_position, row.stack_size) == ("without a stack", 91, 1, 3)


@pytest.mark.parametrize("name", ["before", "after"])
def test_a_push_without_valid_shas_is_unusable(name: str) -> None:
    with pytest.raises(UnusablePayloadError, match=f"{name} is not a SHA"):
        pushed(**{name: "\U00010001" * 500})


def test_a_commit_of_a_push_has_a_sha() -> None:
    with pytest.raises(UnusablePayloadError, match="id is not a SHA"):
        pushed_with_commit(id="\U00010001" * 500)


@pytest.mark.parametrize(
    ("date", "kept"),
    [
        ("2099-01-01T00:00:00Z", NOW + timedelta(days=1)),
        ("1901-01-01T00:00:00Z", EPOCH),
        ("99999-01-01T00:00:00Z", None),
        ("yesterday", None),
    ],
)
def test_an_absurd_commit_date_is_clamped_and_flagged_and_never_refused(date: str, kept: datetime | None) -> None:
    content = only(facts.CommitContent, pushed_with_commit(author={"name": "Ana", "email": None, "date": date}))
    assert (content.authored_at, content.is_date_clamped) == (kept, True)


def test_a_push_of_2048_commits_is_incomplete() -> None:
    commit = payload_of("push")["commits"][0]
    capped = [{**commit, "id": f"{number:040x}"} for number in range(2048)]
    assert only(facts.PushMade, pushed(commits=capped)).is_incomplete == 1
    assert only(facts.PushMade, pushed(commits=capped[1:])).is_incomplete == 0


def trailers(message: str) -> list[tuple[str, str]]:
    return [(trailer.token, trailer.value) for trailer in of(facts.CommitTrailer, pushed_with_commit(message=message))]


def test_a_squash_keeps_the_trailers_of_its_commits_each_once() -> None:
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
def test_a_message_without_trailers_has_none(message: str) -> None:
    assert trailers(message) == []


def test_the_trailers_of_a_message_are_bounded() -> None:
    many = trailers("Sort\n" + "\n".join(f"Seen-by: {number:05} {'x' * 400}" for number in range(150)))
    assert len(many) == 100
    assert {len(value) for _, value in many} == {300}


def status_with_links(link: str) -> list[Fact]:
    links = {"log_url": link, "target_url": link}
    return translate("deployment_status", changed("deployment_status", "created", "deployment_status", **links))


@pytest.mark.parametrize(
    "link",
    [
        "",
        "https://github.com/acme/api/runs/145988746?check_suite_focus=true",
        "https://ci.example.com/jobs/5",
        "https://github.com/acme/api/actions/runs/99999999999999999999",
        "file:///acme/api/x/actions/runs/5",
        "https://github.com/acme/api/actions/runs/9223372036854775808",
    ],
)
def test_a_link_that_names_no_run_gives_no_run(link: str) -> None:
    assert not of(facts.DeploymentRun, status_with_links(link))


@pytest.mark.django_db
def test_the_run_that_github_names_outweighs_the_run_in_a_link() -> None:
    by_link = status_with_links("https://github.com/acme/api/actions/runs/77/job/78")
    record_each(by_link, translate("deployment", payload_of("deployment", "created")), by_link)
    assert Deployment.objects.get().run_id == 8_900


@pytest.mark.django_db
def test_a_run_ends_completed_in_any_order_and_its_attempts_stay_apart() -> None:
    again = {"run_attempt": 2, "updated_at": "2026-03-02T11:00:00Z"}
    payloads = [payload_of("workflow_run", action) for action in ("completed", "in_progress", "requested")]
    payloads.append(changed("workflow_run", "requested", "workflow_run", **again))
    record_each(*(translate("workflow_run", payload) for payload in payloads))
    assert list(WorkflowRun.objects.order_by("attempt").values_list("attempt", "status", "concluded_at")) == [
        (1, "completed", NOW),
        (2, "queued", None),
    ]


ROUTES = sorted(routes(), key=str)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(2**63), max_value=2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40),
    st.sampled_from(["2026-03-02T09:00:00Z", "99999-01-01T00:00:00Z", "x" * 70_000, 2**31, 2**63 - 1]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every member, links left out."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [path] if path else []
    for name, member in members:
        if not str(name).endswith("url") and name != "_links":
            found += places(member, (*path, name))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The value with one member replaced, or left out where `new` is Ellipsis."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    if new is ... and len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = replaced(copy[path[0]], path[1:], new)
    return copy


@pytest.mark.django_db
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_payload_with_any_member_changed_is_recorded_or_refused(data):
    event, action = data.draw(st.sampled_from(ROUTES))
    payload = payload_of(event, action)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([path for path in places(payload) if path != ("action",)]))
        payload = replaced(payload, path, data.draw(st.just(...) | VALUES))
    try:
        facts = translate(event, payload)
    except (UnusablePayloadError, KeyError, TypeError, ValueError, AttributeError):
        return
    with transaction.atomic():
        record([evidence(Source(kind="delivery", key="mutated"), facts)])
