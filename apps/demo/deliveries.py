"""Deliveries as GitHub posts them: body, headers, signature."""

import hashlib
import hmac
import http.client
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Self
from urllib.parse import urlsplit

from apps.demo.scenario import Sent
from apps.demo.shapes import Json
from apps.demo.shapes.accounts import APP_ID

HOOK_ID = 482_911_003


def body_of(payload: Json) -> bytes:
    """Return the payload as GitHub writes it: compact, UTF-8."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def sign(body: bytes, *, secret: str) -> str:
    """Return the signature of a body, as in the header."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def signed_headers(
    body: bytes, *, secret: str, event: str, guid: str, hook_id: int = HOOK_ID, app_id: int = APP_ID
) -> Mapping[str, str]:
    """Return the headers of a delivery of a GitHub App, signed over the body's bytes."""
    return {
        "Accept": "*/*",
        "User-Agent": "GitHub-Hookshot/0a1b2c3",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": guid,
        "X-GitHub-Hook-ID": str(hook_id),
        "X-GitHub-Hook-Installation-Target-ID": str(app_id),
        "X-GitHub-Hook-Installation-Target-Type": "integration",
        "X-Hub-Signature-256": sign(body, secret=secret),
    }


CONNECTIONS = 8
TIMEOUT_S = 10.0
PATH = "/webhooks/github/"
NO_ANSWER = 0


class Sender:
    """Sender of deliveries over several connections to one address, which the context closes. Status 0 is no answer."""

    def __init__(self, url: str, *, secret: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is not an http:// or https:// address.")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._path = parts.path.rstrip("/") + PATH
        self._secret = secret
        self._idle: SimpleQueue[http.client.HTTPConnection] = SimpleQueue()
        for _ in range(CONNECTIONS):
            self._idle.put(kind(parts.hostname, parts.port, timeout=TIMEOUT_S))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while not self._idle.empty():
            self._idle.get().close()

    def send_all(self, deliveries: Sequence[Sent], *, progress: Callable[[int], None]) -> Counter[int]:
        """Post every delivery once; return the number of answers by status."""
        answers: Counter[int] = Counter()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for done, status in enumerate(pool.map(self.send, deliveries), start=1):
                answers[status] += 1
                progress(done)
        return answers

    def send(self, sent: Sent) -> int:
        """Post one delivery and return the status of the answer; a connection that was closed meanwhile is reopened."""
        body = body_of(sent.payload)
        headers = {
            **signed_headers(body, secret=self._secret, event=sent.event, guid=sent.guid),
            "Content-Type": "application/json",
        }
        connection = self._idle.get()
        try:
            return self._post(connection, body, headers) or self._post(connection, body, headers)
        finally:
            self._idle.put(connection)

    def _post(self, connection: http.client.HTTPConnection, body: bytes, headers: Mapping[str, str]) -> int:
        try:
            connection.request("POST", self._path, body, dict(headers))
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return NO_ANSWER
        return answer.status
