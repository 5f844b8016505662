"""Posting a story over HTTP as GitHub does: signed, several at once, in no particular order."""

import http.client
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from apps.integrations.story.posting import body_of, signed_headers
from apps.integrations.story.telling import Sent

CONNECTIONS = 8
TIMEOUT_S = 10.0
PATH = "/webhooks/github/"
NO_ANSWER = 0


class Sender:
    """GitHub, with several connections to one address. An answer of 0 is none at all."""

    def __init__(self, url: str, *, secret: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is no http:// or https:// address.")
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port = parts.hostname, parts.port
        self._path = parts.path.rstrip("/") + PATH
        self._secret = secret
        self._own = threading.local()

    def send_all(self, story: Sequence[Sent], *, progress: Callable[[int], None]) -> Counter[int]:
        """Post every delivery once; how often each status was the answer."""
        answers: Counter[int] = Counter()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for done, status in enumerate(pool.map(self.send, story), start=1):
                answers[status] += 1
                progress(done)
        return answers

    def send(self, sent: Sent) -> int:
        """Post one delivery on this thread's connection; the status of the answer."""
        body = body_of(sent.payload)
        headers = {
            **signed_headers(body, secret=self._secret, event=sent.event, guid=sent.guid),
            "Content-Type": "application/json",
        }
        connection = self._connection()
        try:
            connection.request("POST", self._path, body, headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return NO_ANSWER
        return answer.status

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._own, "connection"):
            self._own.connection = self._kind(self._host, self._port, timeout=TIMEOUT_S)
        connection: http.client.HTTPConnection = self._own.connection
        return connection
