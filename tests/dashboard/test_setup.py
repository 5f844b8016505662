"""The page Setup: its checklist, creating the App, and who may."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.activity.models import Installation
from apps.dashboard.setup import app_registration
from apps.github import secret_rotation
from apps.github.auth import GitHubAccess
from apps.github.credentials import store_private_key
from apps.github.models import AppRegistration
from apps.github.secret_rotation import latest_signatures
from apps.monitoring import setup_checklist
from apps.monitoring.doctor import github as doctor
from apps.monitoring.setup_checklist import State, Step, checklist
from apps.users.models import CustomUser
from apps.webhooks.models import Refusal, WebhookSecret
from apps.webhooks.signature import store_secret
from tests.api.conftest import Cast, make_delivery
from tests.fake_github import faults
from tests.fake_github.faults import Fault, below
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import access_to
from tests.integrations.conftest import clock, fake

__all__ = ["clock", "fake"]

pytestmark = pytest.mark.django_db
PUBLIC = "https://tf.example.com"
APP = {
    "owner": "organization",
    "organization": "acme",
    "name": "acme figures",
    "webhook_url": f"{PUBLIC}/webhooks/github/",
}


@pytest.fixture(autouse=True)
def nothing_is_set(settings: Any) -> None:
    settings.PUBLIC_URL, settings.GITHUB_WEBHOOK_SECRETS = PUBLIC, []
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = None, ""
    setup_checklist.at_github.forget()


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(CustomUser.objects.create_superuser("olga"), backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def access(fake: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> GitHubAccess:
    """The pages read the fake in GitHub's place."""
    worker = access_to(fake)
    monkeypatch.setattr(app_registration, "github", lambda: worker)
    monkeypatch.setattr(doctor, "impatient_access", lambda: worker)
    return worker


def text(answer: Any) -> str:
    page: str = answer.content.decode()
    return page


def begin(client: Client) -> str:
    """Describe an App and return the state that goes to GitHub."""
    page = text(client.post("/setup/app/", APP))
    return page.partition("/settings/apps/new?state=")[2].partition('"')[0]


def come_back(client: Client, *, code: str, state: str) -> Any:
    return client.get("/setup/registered/", {"code": code, "state": state})


def code_of(fake: FakeGitHub) -> str:
    return fake.manifests.create(
        {"name": "acme figures", "url": PUBLIC, "hook_attributes": {"url": PUBLIC}}, organization="acme"
    )


def steps() -> dict[str, Step]:
    return {step.name: step for step in checklist(latest_signatures(), asks_github=True).steps}


class TestAccess:
    """Who is no operator does not learn that the page exists."""

    @pytest.mark.parametrize("url", ["/setup/", "/setup/registered/?code=1&state=2", "/setup/production/"])
    def test_pages_are_of_operators_alone(self, cast: Cast, url: str) -> None:
        for user in (cast.viewer, cast.admin, cast.stranger):
            client = Client()
            client.force_login(user)
            assert client.get(url).status_code == 404
        assert Client().get(url)["Location"].startswith("/accounts/login/")

    @pytest.mark.parametrize("url", ["/setup/app/", "/setup/secret/"])
    def test_forms_are_of_operators_alone(self, cast: Cast, url: str) -> None:
        client = Client()
        client.force_login(cast.admin)
        assert client.post(url, {**APP, "step": "begin"}).status_code == 404
        assert client.get(url).status_code == 405

    @pytest.mark.parametrize("url", ["/setup/app/", "/setup/secret/"])
    def test_forms_need_their_token(self, operator: Client, url: str) -> None:
        operator.handler.enforce_csrf_checks = True
        assert operator.post(url, {**APP, "step": "begin"}).status_code == 403

    def test_only_operators_see_the_link(self, cast: Cast, operator: Client) -> None:
        client = Client()
        client.force_login(cast.viewer)
        assert "/setup/" in text(operator.get("/"))
        assert "/setup/" not in text(client.get("/"))


class TestApp:
    """The way to GitHub and back."""

    def test_the_form_leads_to_github_with_the_manifest(self, operator: Client) -> None:
        page = text(operator.post("/setup/app/", APP))
        assert 'action="https://github.com/organizations/acme/settings/apps/new?state=' in page
        assert "&quot;redirect_url&quot;: &quot;https://tf.example.com/setup/registered/&quot;" in page
        assert "csrfmiddlewaretoken" not in page.partition('name="manifest"')[0].rpartition("<form")[2]

    def test_only_these_pages_let_forms_go_to_github(self, operator: Client) -> None:
        assert "https://github.com" in operator.get("/setup/")["Content-Security-Policy"].partition("form-action")[2]
        assert "https://github.com" not in operator.get("/jobs/")["Content-Security-Policy"].partition("form-action")[2]

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"organization": ""}, "Give the organisation"),
            ({"organization": "a/b"}, "Give the organisation"),
            ({"organization": "acme?x=1"}, "Give the organisation"),
            ({"name": ""}, "required"),
            ({"name": "x" * 35}, "at most 34"),
            ({"webhook_url": "http://127.0.0.1:8000/webhooks/github/"}, "GitHub cannot reach this machine"),
            ({"webhook_url": "javascript:alert(1)"}, "not an address"),
            ({"owner": "somebody"}, ""),
        ],
    )
    def test_what_github_would_not_take_is_said_before(
        self, operator: Client, changed: dict[str, str], message: str
    ) -> None:
        answer = operator.post("/setup/app/", {**APP, **changed})
        assert answer.status_code == 400
        assert message in text(answer)

    def test_the_code_brings_the_app(self, operator: Client, fake: FakeGitHub, access: GitHubAccess) -> None:
        answer = come_back(operator, code=code_of(fake), state=begin(operator))
        assert answer["Location"] == "/setup/"
        page = text(operator.get("/setup/"))
        assert "https://github.com/apps/acme-figures/installations/new" in page
        assert not any(secret in page for secret in ("PRIVATE", fake.manifests.apps[0].client_secret))
        assert AppRegistration.objects.get().webhook_url == APP["webhook_url"]

    def test_the_state_is_of_this_browser(self, operator: Client, fake: FakeGitHub, access: GitHubAccess) -> None:
        other = Client()
        other.force_login(CustomUser.objects.create_superuser("otto"))
        answer = come_back(other, code=code_of(fake), state=begin(operator))
        assert (answer.status_code, AppRegistration.objects.count()) == (400, 0)

    def test_the_way_back_works_once(self, operator: Client, fake: FakeGitHub, access: GitHubAccess) -> None:
        state, code = begin(operator), code_of(fake)
        assert come_back(operator, code=code, state=state).status_code == 302
        assert come_back(operator, code=code, state=state).status_code == 400

    def test_without_a_code_it_says_so(self, operator: Client) -> None:
        answer = come_back(operator, code="", state=begin(operator))
        assert (answer.status_code, "sent no code" in text(answer)) == (400, True)

    def test_after_a_passing_failure_a_reload_is_enough(
        self, operator: Client, fake: FakeGitHub, access: GitHubAccess
    ) -> None:
        state, code = begin(operator), code_of(fake)
        fake.spoil(Fault(faults.status(502), below("/app-manifests/")))
        failed = come_back(operator, code=code, state=state)
        assert (failed.status_code, "Reload this page" in text(failed)) == (502, True)
        assert come_back(operator, code=code, state=state).status_code == 302

    def test_a_laptop_gets_a_channel_suggested(self, operator: Client, settings: Any) -> None:
        settings.PUBLIC_URL = "http://127.0.0.1:8000"
        page = text(operator.get("/setup/"))
        assert 'value="https://smee.io/' in page
        assert "make forward" in page

    def test_an_app_of_the_settings_is_named_and_none_is_offered(
        self, operator: Client, settings: Any, access: GitHubAccess
    ) -> None:
        settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
        page = text(operator.get("/setup/"))
        assert "from the environment" in page
        assert reverse("new-app") not in page


class TestChecklist:
    """Each step says how it stands and what to do."""

    def test_of_an_empty_instance_the_first_step_is_the_app(self, operator: Client) -> None:
        found = steps()
        assert found["app"].state is State.TODO
        assert {step.state for step in found.values()} <= {State.TODO, State.WAITING}
        assert "0 of 9 done" in text(operator.get("/setup/"))

    def test_only_htmx_waits_for_github(
        self, operator: Client, fake: FakeGitHub, access: GitHubAccess, settings: Any
    ) -> None:
        settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
        operator.get("/setup/")
        assert not fake.log
        for _ in range(3):
            page = text(operator.get("/setup/", headers={"HX-Target": "steps"}))
        assert "Accepted by GitHub: App tformance" in page
        assert len([one for one in fake.log if one.path == "/app"]) == 1

    def test_a_key_that_github_refuses_says_what_to_do(
        self, fake: FakeGitHub, access: GitHubAccess, settings: Any
    ) -> None:
        settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
        fake.spoil(Fault(faults.status(401, {"message": "Bad credentials"}), below("/app"), times=None))
        assert (steps()["key"].state, "new private key" in steps()["key"].advice) == (State.PROBLEM, True)

    def test_what_arrived_ticks_what_it_shows(self, cast: Cast) -> None:
        store_private_key(app_pem(), app_id=APP_ID)
        Installation.objects.create(github_id=7, account=cast.teams["acme"].account)
        make_delivery(1, source=0)
        found = steps()
        assert {name for name, step in found.items() if step.state is State.DONE} >= {
            *("app", "installed", "reachable", "delivery", "teams", "people"),
        }

    def test_the_page_takes_few_queries(self, week: Cast, operator: Client, django_assert_max_num_queries: Any) -> None:
        Installation.objects.create(github_id=7, account=week.teams["acme"].account)
        with django_assert_max_num_queries(12):
            assert operator.get("/setup/").status_code == 200

    def test_a_secret_that_github_was_asked_to_use_is_not_cancelled_by_one_click(self, operator: Client) -> None:
        new = secret_rotation.begin().row
        assert 'value="cancel"' in text(operator.get("/setup/"))
        WebhookSecret.objects.filter(pk=new.pk).update(handed_over_at=timezone.now())
        page = text(operator.get("/setup/"))
        assert ('value="cancel"' in page, "first set the old one back" in page) == (False, True)
        assert "set the old one back at GitHub first" in text(
            operator.post("/setup/secret/", {"step": "cancel"}, follow=True)
        )
        said = text(operator.post("/setup/secret/", {"step": "cancel-set-back"}, follow=True))
        assert "accepted for five more minutes" in said
        assert secret_rotation.rotation().new is None

    def test_what_stays_accepted_is_named_with_the_reason(self, operator: Client) -> None:
        old, new = store_secret("the-secret-of-another-hook", label="App other"), secret_rotation.begin().row
        make_delivery(1, signed_by=old.slot)
        WebhookSecret.objects.filter(pk=new.pk).update(proven_at=timezone.now())
        assert f"<code>{old.slot}</code> will stay" in text(operator.get("/setup/"))
        said = text(operator.post("/setup/secret/", {"step": "retire"}, follow=True))
        assert f"{old.slot} (App other) stays accepted: the hook 7 signs with it" in said
        assert "being rotated" not in said

    def test_what_htmx_asks_again_is_a_part_of_the_page(self, operator: Client) -> None:
        for part in ("steps", "webhook-secret"):
            page = text(operator.get("/setup/", headers={"HX-Target": part}))
            assert f'id="{part}"' in page
            assert "<html" not in page

    def test_a_ping_that_was_refused_before_the_app_was_known_is_no_problem(
        self, operator: Client, fake: FakeGitHub, access: GitHubAccess
    ) -> None:
        Refusal.objects.create(status=401, reason="bad_signature", count=1, headers={})
        come_back(operator, code=code_of(fake), state=begin(operator))
        assert steps()["delivery"].state is State.WAITING
        Refusal.objects.create(
            status=401, reason="bad_signature", count=2, headers={}, refused_at=timezone.now() + timedelta(minutes=1)
        )
        assert (steps()["delivery"].state, "2 deliveries were refused" in steps()["delivery"].found) == (
            State.PROBLEM,
            True,
        )


@pytest.mark.parametrize("state", ["", "another", "é"])
def test_a_foreign_state_stores_nothing_and_spends_no_code(
    operator: Client, fake: FakeGitHub, access: GitHubAccess, state: str
) -> None:
    ours = begin(operator)
    answer = come_back(operator, code=code_of(fake), state=state)
    assert (answer.status_code, AppRegistration.objects.count(), len(fake.log)) == (400, 0, 0)
    assert "does not belong" in text(answer)
    assert come_back(operator, code=code_of(fake), state=ours).status_code == 302
