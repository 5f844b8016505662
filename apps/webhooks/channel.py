"""Forwarding of deliveries from a channel of smee.io to the receiver, for laptops that GitHub cannot reach.

The channel posts nothing by itself: it sends what arrives there as server-sent events, with the body parsed and written
again. The receiver checks the signature of GitHub's own bytes, so these are restored.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPException
from json.decoder import JSONDecoder, scanstring  # type: ignore[attr-defined]  # public in the documentation of json
from typing import Any
from urllib.parse import quote_plus, urlsplit

import requests
from sseclient import SSEClient
from urllib3.exceptions import HTTPError

from apps.webhooks.signature import SigningSecret, active_secrets, find_signing_secret

CONNECT_S, POST_S = 10.0, 10.0
SILENT_S = 90.0
"""The channel sends a ping every 30 s: without any, the connection is dead."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
POST_ATTEMPTS = 5
READ_AT_ONCE = 64 * 1024
FORWARDED = ("content-type", "user-agent")
FORWARDED_PREFIXES = ("x-github-", "x-hub-")
SIGNATURE = "x-hub-signature-256"
RAW_BODY = ("rawbody", "rawBody", "raw_body")
"""Newer channels send GitHub's bytes too, under a name of these."""
BLANK = " \t\r\n"


class ChannelError(Exception):
    """The channel cannot be followed; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relayed:
    """A delivery as the channel sent it."""

    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    is_signed: bool

    @property
    def title(self) -> str:
        """Return the delivery's event and GUID, as they can be shown on a terminal."""
        named = f"{self.headers.get('x-github-event', 'unknown')} {self.headers.get('x-github-delivery', '')}"
        return printable(named.strip())


def printable(text: str) -> str:
    """Return the text without what controls a terminal: anybody can post to a channel."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def is_header(text: str) -> bool:
    """Return whether the text can be sent as a header."""
    return bool(text) and text.isascii() and text.isprintable()


def direct_session() -> requests.Session:
    """Return a session that uses no proxy of the environment: the receiver is on this machine."""
    session = requests.Session()
    session.trust_env = False
    return session


def chunks_of(response: requests.Response) -> Iterator[bytes]:
    """Yield what has arrived, at once, however the response is framed."""
    while chunk := response.raw.read1(READ_AT_ONCE):
        yield chunk


@dataclass(slots=True, kw_only=True)
class Forwarder:
    """Follows a channel, over any number of connections, and posts each delivery to the receiver."""

    channel: str
    receiver: str
    say: Callable[[str], object]
    sleep: Callable[[float], object] = time.sleep
    secrets: Callable[[], Sequence[SigningSecret]] = active_secrets
    last_id: str = ""
    _to_channel: requests.Session = field(default_factory=requests.Session)
    _to_receiver: requests.Session = field(default_factory=direct_session)

    def follow(self) -> None:
        """Forward forever; ChannelError if there is no such channel."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                for _ in self.connection():
                    pause_s = FIRST_PAUSE_S
                self.say("The channel closed the connection.")
            except requests.RequestException as error:
                self.say(f"The connection to {self.channel} failed ({type(error).__name__}).")
            self.say(f"Connecting again in {pause_s:g} s.")
            self.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def connection(self) -> Iterator[Any]:
        """Follow the channel until the connection ends; yield each event after it was forwarded."""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
        if self.last_id:
            headers["Last-Event-ID"] = self.last_id
        with self._to_channel.get(
            self.channel, headers=headers, stream=True, timeout=(CONNECT_S, SILENT_S), allow_redirects=False
        ) as response:
            check_channel(response)
            self.say(f"Connected. {self.channel} → {self.receiver}")
            try:
                for event in SSEClient(chunks_of(response)).events():
                    if event.event == "message":
                        self.take(event.data)
                    self.last_id = (is_header(event.id or "") and event.id) or self.last_id
                    yield event
            except (OSError, HTTPException, HTTPError, UnicodeDecodeError) as error:  # of the stream, below requests
                raise requests.ConnectionError(error) from error

    def take(self, data: str) -> None:
        """Post what the channel sent, and say what became of it."""
        secrets = self.secrets()
        try:
            relayed = read_event(data, secrets=secrets)
            self._forward(relayed)
        except (ValueError, RecursionError) as error:  # nested too deeply, or a header that HTTP does not have
            self.say(f"Skipped an event that is no delivery: {printable(str(error))}.")

    def _forward(self, relayed: Relayed) -> None:
        if not relayed.is_signed:
            self.say(
                f"{relayed.title}: no secret known here signed it. Either the App has another secret, or the channel "
                "changed the body; then the delivery log scan fetches it from GitHub."
            )
        self.say(f"{relayed.title}: {self.post(relayed)}")

    def post(self, relayed: Relayed) -> str:
        """Post a delivery to the receiver; return its answer in words."""
        for attempt in range(1, POST_ATTEMPTS + 1):
            try:
                answer = self._to_receiver.post(
                    self.receiver,
                    data=relayed.body,
                    headers=dict(relayed.headers),
                    timeout=POST_S,
                    allow_redirects=False,
                )
            except requests.exceptions.InvalidHeader:
                raise  # and no later attempt is better
            except requests.RequestException:
                if attempt < POST_ATTEMPTS:
                    self.sleep(FIRST_PAUSE_S)
                continue
            return f"{answer.status_code} {HTTPStatus(answer.status_code).phrase}"
        return f"not delivered, because nothing answers at {self.receiver}: is `make run` running?"


def check_channel(response: requests.Response) -> None:
    """ChannelError unless the answer is a stream of events; RequestException where a later attempt may help."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.status_code == HTTPStatus.OK and kind == "text/event-stream":
        return
    if response.is_redirect:
        raise ChannelError(f"The channel is elsewhere: use {printable(response.headers['location'])}")
    if response.status_code == HTTPStatus.OK:
        raise ChannelError("This address is no channel: it answers with a page. A channel is https://smee.io/NAME.")
    if response.status_code in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        raise ChannelError(f"The channel is closed or blocked ({response.status_code}): use another one.")
    raise requests.HTTPError(f"HTTP {response.status_code}", response=response)


def check_address(channel: str) -> str:
    """Return the address of a channel; ChannelError if it is none."""
    parts = urlsplit(channel)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not parts.path.strip("/"):
        raise ChannelError(f"{channel!r} is no address of a channel, such as https://smee.io/NAME.")
    return channel


def read_event(data: str, *, secrets: Sequence[SigningSecret]) -> Relayed:
    """Return the delivery in an event's data; ValueError if there is none."""
    document = json.loads(data)
    if not isinstance(document, dict) or "body" not in document:
        raise ValueError("it has no body")
    headers = {
        name.lower(): value
        for name, value in document.items()
        if isinstance(value, str) and (name.lower() in FORWARDED or name.lower().startswith(FORWARDED_PREFIXES))
    }
    bodies = list(dict.fromkeys(possible_bodies(data, document, content_type=headers.get("content-type", ""))))
    header = headers.get(SIGNATURE, "")
    signed = next((body for body in bodies if find_signing_secret(body, header=header, secrets=secrets)), None)
    return Relayed(headers=headers, body=bodies[0] if signed is None else signed, is_signed=signed is not None)


def possible_bodies(data: str, document: Mapping[str, Any], *, content_type: str) -> Iterator[bytes]:
    """Yield what GitHub may have posted, the likeliest first."""
    for name in RAW_BODY:
        if isinstance(document.get(name), str):
            yield document[name].encode()
    body = document["body"]
    if isinstance(body, str):
        yield body.encode()
        return
    if content_type.startswith("application/x-www-form-urlencoded") and isinstance(body, Mapping):
        yield "&".join(f"{name}={quote_plus(str(value))}" for name, value in body.items()).encode()
    written = written_member(data, "body")
    yield written.encode()
    yield written.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").encode()
    yield json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    yield json.dumps(body, separators=(",", ":")).encode()


def written_member(text: str, name: str) -> str:
    """Return a member of a JSON object exactly as it is written: its numbers and the order of its own members too."""
    decoder, at = JSONDecoder(), text.index("{") + 1
    while True:
        key, at = scanstring(text, text.index('"', at) + 1, True)
        at = _after_blanks(text, text.index(":", at) + 1)
        _, end = decoder.raw_decode(text, at)
        if key == name:
            return text[at:end]
        at = end


def _after_blanks(text: str, at: int) -> int:
    while text[at] in BLANK:
        at += 1
    return at
