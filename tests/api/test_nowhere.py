"""Where the API has nothing, it says so as JSON."""

import pytest
from rest_framework.test import APIClient

from tests.api.conftest import Cast


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/api/v1/nonsense/", "/api/v1/teams/x/nonsense/"])
def test_an_unknown_address_is_a_json_404(client, address):
    answer = client.get(address)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.proof
def test_the_root_of_the_api_links_its_lists_for_signed_in_users(cast: Cast) -> None:
    assert APIClient().get("/api/v1/").status_code == 401
    client = cast.client(cast.operator)
    found = client.get("/api/v1/").json()
    assert {"teams", "repositories", "pull_requests", "deliveries", "backfills", "syncs", "schema"} <= set(found)
    assert found["teams"] == "http://testserver/api/v1/teams/"
    assert {client.get(address).status_code for name, address in found.items() if name != "description"} == {200}
    assert client.post("/api/v1/", {}).status_code == 405
