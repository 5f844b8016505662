"""A channel of smee.io brings deliveries to a laptop, byte for byte as GitHub signed them."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from django.core.management import CommandError, call_command

from apps.common.encryption import encrypt
from apps.demo.deliveries import signed_headers
from apps.github.models import AppRegistration
from apps.webhooks.channel import ChannelError, Forwarder, Relayed, check_address, read_event, written_member
from apps.webhooks.signature import find_signing_secret, fingerprint_of
from tests.engines import WEBHOOK_SECRET
from tests.fake_smee import FakeSmee
from tests.webhooks.conftest import eventually

pytestmark = pytest.mark.django_db
SECRETS = [fingerprint_of(WEBHOOK_SECRET)]
GUID = "0b989ba4-242f-11e5-81e1-c7b6966d2516"


@dataclass
class Receiver:
    """Takes what is forwarded."""

    status: int = 202
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def is_signed(self) -> list[bool]:
        return [
            find_signing_secret(body, header=headers["x-hub-signature-256"], secrets=SECRETS) is not None
            for headers, body in self.got
        ]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(made.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}/webhooks/github/"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def smee() -> Iterator[FakeSmee]:
    with FakeSmee() as fake:
        yield fake


class Following:
    """A forwarder on a thread of its own; its words are kept."""

    def __init__(self, smee: FakeSmee, receiver: Receiver) -> None:
        self.said: list[str] = []
        self.pauses: list[float] = []
        self.is_over = False
        self.forwarder = Forwarder(
            channel=smee.channel,
            receiver=receiver.url,
            say=self.said.append,
            sleep=self.sleep,
            secrets=lambda: SECRETS,
        )
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if self.is_over:
            raise KeyboardInterrupt

    def run(self) -> None:
        try:
            self.forwarder.follow()
        except (KeyboardInterrupt, ChannelError) as error:
            self.said.append(f"ended: {error}")


@pytest.fixture
def follow(smee: FakeSmee, receiver: Receiver) -> Iterator[Callable[[], Following]]:
    made: list[Following] = []

    def start() -> Following:
        made.append(Following(smee, receiver))
        return made[-1]

    yield start
    smee.is_over = True
    for one in made:
        one.is_over = True
        one.thread.join(60)


def deliver(smee: FakeSmee, body: bytes, *, guid: str = GUID) -> None:
    """Post to the channel as GitHub does."""
    headers = signed_headers(body, secret=WEBHOOK_SECRET, event="pull_request", guid=guid)
    answer = requests.post(smee.channel, data=body, headers={**headers, "Content-Type": "application/json"}, timeout=60)
    assert answer.status_code == 200


BODIES = {
    "compact": b'{"action":"opened","number":1}',
    "umlauts": '{"title":"Grüße \N{ROCKET}","url":"https://x/y"}'.encode(),
    "escapes": b'{"title":"a \\"quoted\\" \\\\ line\\nand more","empty":"","null":null}',
    "markup escaped": b'{"title":"\\u003cb\\u003e \\u0026 more"}',
    "markup": b'{"title":"<b> & more"}',
    "ascii": b'{"title":"Gr\\u00fc\\u00dfe"}',
    "numbers": b'{"size":12345678901,"share":0.5,"list":[1,2,{"a":[]}]}',
}


@pytest.mark.parametrize("name", BODIES)
def test_a_delivery_arrives_with_its_signature(
    smee: FakeSmee, receiver: Receiver, follow: Callable[[], Following], name: str
) -> None:
    follow()
    deliver(smee, BODIES[name])
    eventually(lambda: receiver.got)
    assert receiver.got[0][1] == BODIES[name]
    assert receiver.is_signed() == [True]


def test_only_what_github_sends_is_forwarded(
    smee: FakeSmee, receiver: Receiver, follow: Callable[[], Following]
) -> None:
    following = follow()
    deliver(smee, BODIES["compact"])
    eventually(lambda: receiver.got)
    headers = receiver.got[0][0]
    assert headers["x-github-delivery"] == GUID
    assert headers["user-agent"].startswith("GitHub-Hookshot/")
    assert headers["content-type"] == "application/json"
    assert headers["host"] in receiver.url
    assert not {"query", "timestamp"} & headers.keys()
    eventually(lambda: f"pull_request {GUID}: 202 Accepted" in following.said)


@pytest.mark.parametrize("is_chunked", [True, False])
def test_events_arrive_at_once_however_the_channel_sends_them(
    smee: FakeSmee, receiver: Receiver, follow: Callable[[], Following], is_chunked: bool
) -> None:
    smee.is_chunked = is_chunked
    follow()
    for number in range(3):
        deliver(smee, b'{"number":%d}' % number)
        eventually(lambda wanted=number + 1: len(receiver.got) == wanted)
    assert receiver.is_signed() == [True] * 3


def test_githubs_own_bytes_are_used_where_the_channel_has_them(
    smee: FakeSmee, receiver: Receiver, follow: Callable[[], Following]
) -> None:
    smee.sends_raw_body = True
    follow()
    body = b'{ "spaced" : 1.0,\n "big": 123456789012345678901234567890 }'
    deliver(smee, body)
    eventually(lambda: receiver.got)
    assert (receiver.got[0][1], receiver.is_signed()) == (body, [True])


def test_a_dropped_connection_is_made_again_from_the_last_event(
    smee: FakeSmee, receiver: Receiver, follow: Callable[[], Following]
) -> None:
    smee.drop_after = 1
    following = follow()
    deliver(smee, BODIES["compact"])
    eventually(lambda: len(smee.seen) == 2)
    deliver(smee, BODIES["umlauts"])
    eventually(lambda: len(receiver.got) == 2)
    assert "last-event-id" not in smee.seen[0]
    assert int(smee.seen[1]["last-event-id"]) >= 1
    assert following.pauses[0] == 1.0
    assert "Connecting again in 1 s." in following.said


def test_a_channel_that_is_away_is_tried_again_later_each_time(
    smee: FakeSmee, receiver: Receiver, follow: Callable[[], Following]
) -> None:
    smee.status = 503
    following = follow()
    eventually(lambda: len(following.pauses) >= 7)
    assert following.pauses[:7] == [1, 2, 4, 8, 16, 30, 30]
    smee.status = 200
    deliver(smee, BODIES["compact"])
    eventually(lambda: receiver.got)


def test_a_receiver_that_is_away_for_a_moment_loses_nothing(
    smee: FakeSmee, receiver: Receiver, follow: Callable[[], Following]
) -> None:
    following = follow()
    following.forwarder.receiver = "http://127.0.0.1:1/webhooks/github/"

    def sleep(seconds: float) -> None:
        following.forwarder.receiver = receiver.url
        following.sleep(seconds)

    following.forwarder.sleep = sleep
    deliver(smee, BODIES["compact"])
    eventually(lambda: receiver.is_signed() == [True])


def test_a_receiver_that_stays_away_is_said(
    smee: FakeSmee, receiver: Receiver, follow: Callable[[], Following]
) -> None:
    following = follow()
    following.forwarder.receiver = "http://127.0.0.1:1/webhooks/github/"
    deliver(smee, BODIES["compact"])
    eventually(lambda: any("nothing answers" in words for words in following.said))


def test_a_body_that_cannot_be_restored_is_forwarded_and_said(
    smee: FakeSmee, receiver: Receiver, follow: Callable[[], Following]
) -> None:
    receiver.status = 401
    following = follow()
    deliver(smee, b'{"spaced" :  1}')
    eventually(lambda: any("401 Unauthorized" in words for words in following.said))
    assert any("no secret known here signed it" in words for words in following.said)


@pytest.mark.parametrize("data", ["no json", "[]", "{}", '{"query":{}}', "1"])
def test_what_is_no_delivery_is_skipped(
    smee: FakeSmee, receiver: Receiver, follow: Callable[[], Following], data: str
) -> None:
    following = follow()
    smee.emit(data)
    deliver(smee, BODIES["compact"])
    eventually(lambda: receiver.got)
    assert any(words.startswith("Skipped an event") for words in following.said)
    assert len(receiver.got) == 1


DEEP = '{"x-github-event":"push","body":' + "[" * 100_000 + "]" * 100_000 + "}"
BAD_EVENTS = {
    "nested too deeply": DEEP,
    "a number of thousands of digits": f'{{"body":{"1" * 5000}}}',
    "half a surrogate pair": '{"body":"\\ud800"}',
    "a header with a line feed": '{"x-github-event":"a\\nb","body":"x"}',
    "a header that is not Latin": '{"x-github-event":"\\u0416\\u001b[31m","body":"x"}',
}


@pytest.mark.parametrize("name", BAD_EVENTS)
def test_a_bad_event_ends_nothing_and_does_not_control_the_terminal(
    smee: FakeSmee, receiver: Receiver, follow: Callable[[], Following], name: str
) -> None:
    following = follow()
    smee.emit(BAD_EVENTS[name])
    deliver(smee, BODIES["compact"])
    eventually(lambda: receiver.got)
    assert any(words.startswith("Skipped an event") for words in following.said)
    assert all(words.isprintable() for words in following.said)
    assert (len(receiver.got), following.pauses) == (1, [])


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((200, "https://smee.io/elsewhere"), "use https://smee.io/elsewhere"),
        ((403, ""), "blocked"),
        ((404, ""), "closed"),
    ],
)
def test_an_address_that_is_no_channel_ends_it(
    smee: FakeSmee, receiver: Receiver, follow: Callable[[], Following], answer: tuple[int, str], message: str
) -> None:
    smee.status, smee.location = answer
    following = follow()
    eventually(lambda: following.said)
    assert message in following.said[-1]


def test_a_page_is_no_channel(receiver: Receiver, smee: FakeSmee) -> None:
    forwarder = Forwarder(channel=smee.channel, receiver=receiver.url, say=lambda words: None)
    forwarder._to_channel.get = lambda url, **options: requests.get(url, timeout=60)  # type: ignore[method-assign]
    with pytest.raises(ChannelError, match="answers with a page"):
        list(forwarder.connection())


@pytest.mark.parametrize("address", ["", "smee.io/x", "ftp://smee.io/x", "https://smee.io", "https://smee.io/"])
def test_a_wrong_address_is_said(address: str) -> None:
    with pytest.raises(ChannelError, match="no address of a channel"):
        check_address(address)


def test_the_channel_is_that_of_the_app(settings: Any) -> None:
    with pytest.raises(CommandError, match="Which channel"):
        call_command("forward_webhooks")
    AppRegistration.objects.create(
        app_id=7, slug="s", name="n", html_url="h", owner="o", client_id="c", webhook_url="nowhere",
        encrypted_client_secret=encrypt("s"),
    )  # fmt: skip
    with pytest.raises(CommandError, match="'nowhere' is no address"):
        call_command("forward_webhooks")


def test_a_form_is_written_again_as_a_form() -> None:
    body = b"payload=%7B%22a%22%3A%22x+y%22%7D"
    headers = signed_headers(body, secret=WEBHOOK_SECRET, event="ping", guid=GUID)
    kind = {"content-type": "application/x-www-form-urlencoded"}
    shown = {**{name.lower(): value for name, value in headers.items()}, **kind, "body": {"payload": '{"a":"x y"}'}}
    relayed = read_event(json.dumps(shown), secrets=SECRETS)
    assert (relayed.body, relayed.is_signed) == (body, True)


def test_a_member_is_taken_as_it_is_written() -> None:
    text = '{"a": "\\"body\\": 1", "nested": {"body": 2}, "body" :  {"n": 1.50, "b": 1, "a": [ ]} , "c": 1}'
    assert written_member(text, "body") == '{"n": 1.50, "b": 1, "a": [ ]}'


def test_no_repr_shows_a_body() -> None:
    assert "secret" not in repr(Relayed(headers={}, body=b"secret", is_signed=True))
