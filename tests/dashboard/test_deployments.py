"""The page of a deployment: what it shipped, its state, and what it repaired or broke."""

import pytest
from django.test import Client

from apps.activity.models import PullRequest
from apps.metrics.explanation.deployment import Outcome, explain_deployment
from apps.metrics.models import DerivedDeployment
from tests.api.conftest import API, Cast
from tests.dashboard.test_pages import read, signed_in
from tests.metrics.steps import instant

pytestmark = pytest.mark.django_db


def deployment_at(at: str) -> DerivedDeployment:
    return DerivedDeployment.objects.get(succeeded_at=instant(at))


def failed_deployment() -> DerivedDeployment:
    return DerivedDeployment.objects.get(succeeded_at=None)


def test_it_lists_what_went_out_with_it(week: Cast) -> None:
    found = deployment_at("03-05 17:00")
    assert {each.number for each in explain_deployment(found).changes} == {3, 4, 5}
    page = read(signed_in(week.viewer), f"/deployments/{found.pk}/")
    assert "Deployment to production" in page
    assert "Thursday 5 Mar 2026 17:00" in page
    assert 'What it shipped <span class="quiet">3</span>' in page
    for number in (3, 4, 5):
        pull_request = PullRequest.objects.get(repository_id=API, number=number)
        assert f'<a href="/pull-requests/{pull_request.pk}/">Change {number}</a>' in page
    assert "104 h" in page or "4 d 08 h" in page


def test_it_says_what_repaired_it_and_what_it_repaired(week: Cast) -> None:
    failing, repair = deployment_at("03-05 17:00"), deployment_at("03-05 19:00")
    client = signed_in(week.viewer)
    page = read(client, f"/deployments/{failing.pk}/")
    assert "Succeeded, needed repair" in page
    assert "repaired after <strong>2 h 00 m</strong>" in page
    assert "Was repaired by a revert" in page
    assert f'href="/deployments/{repair.pk}/"' in page
    page = read(client, f"/deployments/{repair.pk}/")
    assert "Repaired an earlier deployment by a revert" in page
    assert "the deployment of 5 Mar 17:00" in page
    assert "reverts #5" in page


def test_its_outcome_is_what_became_of_it(week: Cast) -> None:
    outcomes = {
        "03-03 12:00": Outcome.SUCCEEDED,
        "03-05 17:00": Outcome.REPAIRED,
        "03-06 10:00": Outcome.SUCCEEDED,
    }
    assert {at: explain_deployment(deployment_at(at)).outcome for at in outcomes} == outcomes
    failed = failed_deployment()
    assert explain_deployment(failed).outcome is Outcome.FAILED
    assert "Nothing: the deployment did not succeed." in read(signed_in(week.viewer), f"/deployments/{failed.pk}/")


def test_without_a_change_it_says_why(week: Cast) -> None:
    client = signed_in(week.viewer)
    again, baseline = deployment_at("03-06 10:00"), deployment_at("02-27 12:00")
    assert "It may have redeployed a commit" in read(client, f"/deployments/{again.pk}/")
    assert "This is the first known deployment" in read(client, f"/deployments/{baseline.pk}/")


def test_a_deployment_of_others_is_not_found(week: Cast) -> None:
    address = f"/deployments/{deployment_at('03-03 12:00').pk}/"
    read(signed_in(week.stranger), address, status=404)
    read(signed_in(week.viewer), "/deployments/999999/", status=404)
    assert Client().get(address).status_code == 302
