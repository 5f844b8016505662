"""A fake smee.io: channels that send what is posted to them as server-sent events, as its server writes them."""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Queue
from typing import Any, Self

PAGE = b"<!doctype html><title>smee.io</title>"


@dataclass(slots=True)
class FakeSmee:
    """Use it as a context; `channel` is the address that GitHub posts to and a forwarder follows."""

    sends_raw_body: bool = False
    """Whether the event has GitHub's own bytes too, as newer servers send."""
    is_chunked: bool = True
    drop_after: int | None = None
    """Close the connection after so many deliveries, once."""
    status: int = 200
    location: str = ""
    seen: list[dict[str, str]] = field(default_factory=list)
    """The headers of each connection of a forwarder."""
    events: list[str] = field(default_factory=list)
    queue: "Queue[str]" = field(default_factory=Queue)
    is_over: bool = False
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"smee": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    @property
    def channel(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}/a-channel"

    def emit(self, data: str, *, event: str = "") -> None:
        """Send an event of any content to the forwarder."""
        self.queue.put(f"{f'event: {event}' if event else ''}\ndata: {data}\n\n".lstrip("\n"))

    def relay(self, headers: dict[str, str], body: bytes) -> None:
        """Send a delivery: the headers, the body parsed and written again, query and time, as the server does."""
        shown: dict[str, Any] = {**headers, "body": json.loads(body), "query": {}, "timestamp": int(time.time() * 1000)}
        if self.sends_raw_body:
            shown["rawbody"] = body.decode()
        self.emit(json.dumps(shown, ensure_ascii=False, separators=(",", ":")))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    smee: FakeSmee

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.smee.relay({name.lower(): value for name, value in self.headers.items()}, body)
        self.send_response_only(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.smee.seen.append({name.lower(): value for name, value in self.headers.items()})
        if self.headers.get("Accept") != "text/event-stream" or self.smee.status != 200 or self.smee.location:
            self._page()
            return
        self.send_response_only(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("cache-control", "no-cache")
        self.send_header("connection", "keep-alive" if self.smee.is_chunked else "close")
        if self.smee.is_chunked:
            self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        self._stream()

    def _stream(self) -> None:
        number = sent = 0
        try:
            self._write(f"id: {number}\nevent: ready\ndata: {{}}\n\n")
            while not self.smee.is_over:
                try:
                    event = self.smee.queue.get(timeout=0.2)
                except Empty:
                    number += 1
                    self._write(f"id: {number}\nevent: ping\ndata: {{}}\n\n")
                    continue
                number, sent = number + 1, sent + 1
                self._write(f"id: {number}\n{event}")
                if self.smee.drop_after == sent:
                    self.smee.drop_after = None
                    return
        except OSError:
            return

    def _write(self, text: str) -> None:
        encoded = text.encode()
        halves = (encoded[: len(encoded) // 2], encoded[len(encoded) // 2 :])  # an event may come in pieces
        for part in filter(None, halves):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if self.smee.is_chunked else part)
            self.wfile.flush()

    def _page(self) -> None:
        self.send_response_only(302 if self.smee.location else self.smee.status)
        if self.smee.location:
            self.send_header("location", self.smee.location)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server's name
        """Nobody reads it."""
