"""What a member of a payload must be, or the payload is unusable."""

from datetime import UTC, datetime

import pytest

from apps.github.payload import EPOCH, PayloadReader
from apps.webhooks.parsing import UnusablePayloadError
from tests.github.payloads import payload_of
from tests.github.times import at
from tests.github.translation import ARRIVAL, translate


def reading(**members):
    return PayloadReader(members, path="thing", arrived_at=ARRIVAL)


@pytest.mark.parametrize("value", [True, -1, 2**63, 1.0, "1", None, [1], {}])
def test_an_id_is_an_integer_that_fits_its_column(value):
    with pytest.raises(UnusablePayloadError, match=r"thing\.id"):
        reading(id=value).id()


@pytest.mark.parametrize("value", [2**31, -1, False, "3", None])
def test_a_count_is_an_integer_that_fits_its_column(value):
    with pytest.raises(UnusablePayloadError, match=r"thing\.additions"):
        reading(additions=value).count("additions")


@pytest.mark.parametrize(
    "value",
    [
        "0000-00-00T00:00:00Z",
        "99999-01-01T00:00:00Z",
        "2026-03-02",
        "2026-03-02T09:00:00",
        "2026-03-02 09:00:00Z",
        "infinity",
        "2026-03-22T12:00:00Z",
        10**18,
        True,
        1.5,
        None,
    ],
)
def test_a_time_is_an_instant_and_at_most_a_day_after_the_arrival(value):
    with pytest.raises(UnusablePayloadError, match=r"thing\.updated_at"):
        reading(updated_at=value).time("updated_at")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("1999-05-01T12:00:00Z", datetime(1999, 5, 1, 12, tzinfo=UTC)),
        ("1970-01-01T00:00:01Z", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ("1969-12-31T23:59:59Z", EPOCH),
        ("0001-01-01T00:00:00Z", EPOCH),
        (-1, EPOCH),
    ],
)
def test_a_time_from_an_older_tracker_is_kept_from_1970_on(value, kept):
    assert reading(created_at=value).time("created_at") == kept


@pytest.mark.parametrize(
    "value", ["2026-03-02T09:00:00Z", "2026-03-02T04:00:00-05:00", "2026-03-02T09:00:00.000Z", 1_772_442_000]
)
def test_a_time_is_read_in_every_spelling_that_github_uses(value):
    assert reading(at=value).time("at") == at("03-02", "09:00")


@pytest.mark.parametrize(
    "value", ["a" * 39, "a" * 65, "A" * 40, "g" * 40, "a" * 40 + "\n", "\U00010000" * 40, "", 1, None]
)
def test_a_sha_is_40_to_64_lower_case_hexadecimal_digits(value):
    with pytest.raises(UnusablePayloadError, match=r"thing\.after"):
        reading(after=value).sha("after")
    assert reading(after="0" * 40).sha("after") == "0" * 40
    assert reading(after="a1" * 32).sha("after") == "a1" * 32


def test_a_missing_member_a_null_one_and_a_value_differ():
    empty = reading(gone=None)
    assert "gone" in empty
    assert "lost" not in empty
    for name, problem in (("gone", "is null"), ("lost", "is missing")):
        with pytest.raises(UnusablePayloadError, match=problem):
            empty.text(name)


def test_a_name_that_is_too_long_is_refused_and_prose_is_cut():
    assert reading(title="x" * 900).prose("title", limit=500) == "x" * 500
    with pytest.raises(UnusablePayloadError, match="501 characters"):
        reading(ref="x" * 501).text("ref")


@pytest.mark.parametrize("value", [[], "text", 1, True])
def test_a_member_that_is_no_object_is_refused(value):
    with pytest.raises(UnusablePayloadError, match=r"thing\.user"):
        reading(user=value).child("user")


def test_an_api_read_two_seconds_after_the_change_is_stamped_with_its_time_and_an_earlier_one_is_not():
    for second, expected in ((1, None), (2, at("03-02", "09:00").replace(second=2))):
        observed_at = at("03-02", "09:00").replace(second=second)
        read = PayloadReader({}, path="thing", arrived_at=ARRIVAL, observed_at=observed_at)
        assert read.stamp(at("03-02", "09:00")).observed_at == expected


def test_a_message_names_the_place_in_the_payload():
    payload = payload_of("pull_request", "opened")
    payload["pull_request"]["head"]["sha"] = 5
    with pytest.raises(UnusablePayloadError, match=r"pull_request\.pull_request\.head\.sha is int, not text") as caught:
        translate("pull_request", payload)
    assert caught.value.reason == "shape_mismatch"
