"""The number inside a node id: in every form that GitHub's examples show, and in no other."""

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from apps.github.payload import DEPLOYMENT, DEPLOYMENT_STATUS, NodeKind, number_in
from tests.fake_github.deployment_nodes import global_id
from tests.github.published import EXAMPLES

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
