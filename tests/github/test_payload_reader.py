"""What a member of a payload and a node id must be, or the payload is unusable."""

import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from apps.github.payload import DEPLOYMENT, DEPLOYMENT_STATUS, EPOCH, NodeKind, PayloadReader, number_in
from apps.webhooks.parsing import UnusablePayloadError
from tests.fake_github.nodes import global_id
from tests.github.published import EXAMPLES
from tests.github.translation import ARRIVAL, at, payload_of, translate


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


needs_examples = pytest.mark.skipif(not EXAMPLES.exists(), reason="the reference folder is not beside the repository")


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a document."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    for member in value if isinstance(value, list) else ():
        yield from objects(member)


def examples_of_deployments() -> Iterator[tuple[NodeKind, str, int, int]]:
    """Every deployment and every status in GitHub's example payloads, each with its repository's number."""
    for file in sorted(EXAMPLES.rglob("*.json")):
        payload = json.loads(file.read_bytes())
        for found in objects(payload):
            path = str(found.get("url", "")).partition("/deployments/")[2]
            if path and "node_id" in found:
                kind = DEPLOYMENT_STATUS if "/statuses/" in path else DEPLOYMENT
                yield kind, found["node_id"], found["id"], payload["repository"]["id"]


@needs_examples
def test_every_deployment_and_status_of_githubs_examples_has_its_number_in_its_node_id() -> None:
    found = list(examples_of_deployments())
    assert {kind for kind, *_ in found} == {DEPLOYMENT, DEPLOYMENT_STATUS}
    assert {node_id.startswith("DE_") for _, node_id, _, _ in found} == {True, False}
    for kind, node_id, number, repository_id in found:
        assert number_in(node_id, kind=kind, repository_id=repository_id) == number, node_id


@pytest.mark.parametrize("number", [0, 127, 128, 255, 65_535, 65_536, 2**31, 2**32 - 1, 2**32, 2**63 - 1])
def test_a_number_of_any_size_is_read_from_both_forms(number: int) -> None:
    newer = global_id("DES", repository_id=7_001, number=number)
    older = b64encode(f"016:DeploymentStatus{number}".encode()).decode()
    for node_id in (newer, older):
        assert number_in(node_id, kind=DEPLOYMENT_STATUS, repository_id=7_001) == number


@pytest.mark.parametrize(
    "packed",
    [b"\x93\x00\x05\x07", b"\x93\x00\xcc\x05\xcc\x07", b"\x93\x00\xcd\x00\x05\xcd\x00\x07"],
    ids=["fix", "8 bits", "16 bits"],
)
def test_small_numbers_may_be_packed_small(packed: bytes) -> None:
    node_id = "DE_" + b64encode(packed, altchars=b"-_").decode().rstrip("=")
    assert number_in(node_id, kind=DEPLOYMENT, repository_id=5) == 7


@pytest.mark.parametrize(
    "node_id",
    [
        None,
        7,
        "",
        "DES_",
        "DES_kwDOAAAbWc",
        "DES_kwDO!!!!",
        "DES_kwDO0000000123",
        global_id("DES", repository_id=7_002, number=1),
        global_id("DE", repository_id=7_001, number=1),
        global_id("DES", repository_id=7_001, number=1) + "AA",
        "DES_" + b64encode(b"\x92\x00\x05").decode(),
        "DES_" + b64encode(b"\x93\xce\x00\x05\x05\x05\xa1x").decode(),
        b64encode(b"015:DeploymentStatus7").decode(),
        b64encode(b"016:DeploymentStatus").decode(),
        b64encode(b"010:Deployment7").decode(),
        b64encode(b"016:DeploymentStatus7x").decode(),
        b64encode("016:DeploymentStatüs7".encode()).decode(),
        "MDE2OkRlcGxveW1lbnRTdGF0dXM3 ",
        "é",
    ],
)
def test_an_id_of_another_form_kind_or_repository_has_none(node_id: object) -> None:
    assert number_in(node_id, kind=DEPLOYMENT_STATUS, repository_id=7_001) is None
