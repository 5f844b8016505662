"""Where the API has nothing, it says so as JSON."""

import pytest


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/api/v1/", "/api/v1/nonsense/", "/api/v1/teams/x/nonsense/"])
def test_an_unknown_address_is_a_json_404(client, address):
    answer = client.get(address)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
