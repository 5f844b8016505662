"""Setup in a real browser: from an empty database to live figures, and a secret that changes while deliveries flow."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from apps.dashboard.setup import webhook_secret
from apps.demo.deliveries import Sender
from apps.demo.scenario import Scenario, Sent
from apps.demo.shapes.repositories import RepositoryIdentity
from apps.github.credentials import store_private_key
from apps.github.secret_rotation import rotation
from apps.monitoring.doctor import github as doctor
from apps.webhooks.models import Delivery
from apps.webhooks.signature import forget_secrets, store_secret
from benchmarks.stack import Stack, stack
from tests.api.conftest import Cast
from tests.browser.conftest import sign_in
from tests.fake_github.generated import BEGINNING, Size, acme
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.manifests import Made
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, access_to
from tests.integrations.conftest import clock, fake
from tformance.local import programs
from tformance.local.state import free_port, read_private_json

__all__ = ["clock", "fake"]

REPOSITORIES = {"api": 30, "web": 20}
SECONDS = 1000
PATIENCE = 120 * SECONDS
OLD = "the-secret-before-the-rotation"


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    """GitHub before anybody knows it: an organisation with two repositories, and no App."""
    with FakeGitHub() as server:
        server.manifests.reachable = lambda url: True
        yield server
        assert not server.bugs, server.bugs[0]


@pytest.fixture
def instance(github: FakeGitHub) -> Iterator[tuple[Stack, str]]:
    """An empty instance with all its processes, and its address."""
    with stack(apply_migrations=False) as running:
        port = free_port()
        running.environment.update(GITHUB_API_URL=github.url, PORT=str(port), BACKFILL_DAYS="3650")
        running.manage("prepare", "--verbosity", "0")
        with running.web(port=port), running.running(*programs.workers(), programs.beat()):
            yield running, f"http://127.0.0.1:{port}"


def come_to(github: FakeGitHub, *, address: str, made: Made) -> int:
    """What happens on GitHub when somebody presses Install: the App reaches the repositories, and GitHub says so."""
    github.world.install(ACME)
    first = 11
    identities = []
    for place, (name, count) in enumerate(REPOSITORIES.items()):
        size = Size(pull_requests=count, issues=5, releases=2, deployments=6, runs=8)
        github.world.add(name, installation_id=ACME, repository_id=first + place, size=size, seed=place + 1)
        identities.append(
            RepositoryIdentity(
                first + place, name, acme(), created_at=BEGINNING, updated_at=BEGINNING, pushed_at=BEGINNING
            )
        )
    scenario = Scenario("set-up", owner=acme(), installation_id=ACME)
    scenario.install(datetime.now(UTC).replace(microsecond=0), *identities)
    with Sender(address, secret=made.webhook_secret) as sender:
        assert {sender.send(sent) for sent in scenario.deliveries()} == {202}
    return ACME


class Acts:
    """What a user does with mouse and keyboard; looking is free."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.count = 0

    def press(self, name: str, **filled: str) -> None:
        """Fill in fields by their labels and press a button or a link."""
        for label, value in filled.items():
            self.page.get_by_label(label.replace("_", " "), exact=False).first.fill(value)
        self.page.get_by_role("button", name=name).or_(self.page.get_by_role("link", name=name)).first.click()
        self.count += 1


def test_from_an_empty_database_to_live_figures_in_six_acts(
    chromium: Browser, github: FakeGitHub, instance: tuple[Stack, str]
) -> None:
    running, address = instance
    github.manifests.on_install = lambda made: come_to(github, address=address, made=made)
    admin = read_private_json(running.var / "admin.json")
    context = chromium.new_context(base_url=address, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    acts = Acts(page)

    page.goto("/setup/")
    acts.press("Sign in", Username=admin["username"], Password=admin["password"])
    expect(page.get_by_text("0 of 9 done")).to_be_visible()
    acts.press("Continue", Name_of_the_organisation="acme", Name_of_the_App="acme figures")
    acts.press("Create it on GitHub")
    acts.press("Create GitHub App for acme")
    expect(page.get_by_text("acme figures was created")).to_be_visible()
    page.wait_for_timeout(5 * SECONDS)  # as long as anybody takes; each process reads the secrets every four seconds
    acts.press("Install it on GitHub")
    acts.press("Install")
    for title in ("Installed", "Reachable from GitHub", "First delivery", "History loaded", "Production found"):
        expect(page.locator(".step.done", has_text=title)).to_be_visible()
    assert acts.count <= 6

    page.get_by_role("link", name="See the figures").click()
    expect(page.get_by_role("heading", name="acme").first).to_be_visible()
    expect(page.locator(".card .value").first).to_contain_text("")
    assert github.manifests.apps[0].client_secret not in page.content()
    stranger = chromium.new_context(base_url=address).new_page()
    stranger.goto("/accounts/login/")
    expect(stranger.get_by_role("button", name="Sign in with GitHub")).to_be_visible()
    assert problems == []
    context.close()


class Flow:
    """Deliveries that never stop, signed with the secret that GitHub has at the time."""

    def __init__(self, address: str, github: FakeGitHub) -> None:
        self.address, self.github = address, github
        self.answers: Counter[int] = Counter()
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        while not self.is_over.is_set():
            sent = Sent("ping", {"zen": "Keep it simple.", "hook_id": 1}, datetime.now(UTC), str(uuid4()))
            with Sender(self.address, secret=self.github.app.webhook_secret) as sender:
                self.answers[sender.send(sent)] += 1
            time.sleep(0.05)

    def end(self) -> None:
        self.is_over.set()
        self.thread.join(20)


@pytest.fixture
def flow(
    live_server: LiveServer, fake: FakeGitHub, settings: Any, monkeypatch: pytest.MonkeyPatch, cast: Cast
) -> Iterator[Flow]:
    """An App whose deliveries flow; the pages read the fake in GitHub's place."""
    settings.GITHUB_WEBHOOK_SECRETS = []
    worker = access_to(fake)
    monkeypatch.setattr(webhook_secret, "github", lambda: worker)
    monkeypatch.setattr(doctor, "impatient_access", lambda: worker)
    store_private_key(app_pem(), app_id=APP_ID)
    store_secret(OLD, label="App acme")
    fake.app.webhook_secret = OLD
    forget_secrets()
    flow = Flow(live_server.url, fake)
    flow.thread.start()
    yield flow
    flow.end()
    forget_secrets()


def test_a_secret_is_rotated_while_deliveries_flow_and_none_is_refused(
    context: BrowserContext, page: Page, cast: Cast, fake: FakeGitHub, flow: Flow
) -> None:
    sign_in(context, cast.operator)
    page.goto("/setup/")
    page.get_by_role("button", name="Make a new secret").click()
    shown = page.locator(".new-secret").inner_text()
    page.get_by_role("button", name="Set it at GitHub").click()
    expect(page.get_by_role("button", name="Retire the old secret")).to_be_visible(timeout=60 * SECONDS)
    assert fake.app.webhook_secret == shown
    assert shown not in page.content()
    expect(page.get_by_text("No delivery was refused")).to_be_visible()
    page.get_by_role("button", name="Retire the old secret").click()
    expect(page.get_by_text("accepted for five more minutes")).to_be_visible()
    page.wait_for_timeout(SECONDS)
    flow.end()
    assert set(flow.answers) == {202}
    assert flow.answers[202] > 20
    assert rotation().new is None
    assert len(set(Delivery.objects.values_list("signed_by", flat=True))) == 2
