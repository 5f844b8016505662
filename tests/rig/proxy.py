"""A TCP proxy that makes a network behave badly.

What a frozen connection was sent is kept and acknowledged, as a stalled network's buffers do; so neither
tcp_user_timeout nor keepalives see anything wrong.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from tformance.local.state import free_port

CHUNK = 64 * 1024
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _Loop:
    """One event loop in a thread of its own, for all proxies of this process."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="proxies", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=10)


@dataclass(eq=False)
class _Connection:
    """A client, the server behind, and whether anything flows between them."""

    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    bytes_left: int | None = None  # until the server's half is cut

    def reset(self) -> None:
        """Close both halves with an RST, whatever is still on its way."""
        for writer in self.writers:
            with contextlib.suppress(OSError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            writer.transport.abort()
        self.flowing.set()


class Proxy:
    """Forwards to a server on loopback, until one of its faults is switched on; `heal` ends all of them."""

    _shared: _Loop | None = None
    _starting = threading.Lock()

    def __init__(self, target: Callable[[], int]) -> None:
        with Proxy._starting:
            Proxy._shared = Proxy._shared or _Loop()
        self._runner = Proxy._shared
        self._target = target
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._latency_s = 0.0
        self._bytes_per_s = 0.0
        self._is_silent = False
        self.port = free_port()
        self._runner.run(self._listen())

    def freeze(self) -> None:
        """Existing connections stay open and carry nothing; new ones work. The half-open connection."""
        self._do(self._freeze)

    def blackhole(self) -> None:
        """Every connection, old or new, is accepted and carries nothing."""
        self._is_silent = True
        self._do(self._freeze)

    def reset(self) -> None:
        """Existing connections end with an RST."""
        self._do(self._reset)

    def cut(self, *, after_bytes: int) -> None:
        """Existing connections end with an RST once the server has sent so many more bytes: in mid-answer."""
        self._do(lambda: self._cut(after_bytes))

    def refuse(self) -> None:
        """Nobody listens, and existing connections end."""
        self._runner.run(self._stop_listening())

    def delay(self, *, seconds: float) -> None:
        """Every piece of data takes so much longer, in each direction."""
        self._latency_s = seconds

    def throttle(self, *, bytes_per_s: float) -> None:
        """Each direction of each connection carries so little."""
        self._bytes_per_s = bytes_per_s

    def heal(self) -> None:
        """Be a good network again; what was frozen flows on."""
        self._latency_s = self._bytes_per_s = 0.0
        self._is_silent = False
        self._runner.run(self._recover())

    def close(self) -> None:
        """End everything for good."""
        self._runner.run(self._stop_listening())

    def _do(self, act: Callable[[], None]) -> None:
        async def once() -> None:
            act()

        self._runner.run(once())

    def _freeze(self) -> None:
        for connection in self._connections:
            connection.flowing.clear()

    def _reset(self) -> None:
        for connection in list(self._connections):
            connection.reset()

    def _cut(self, after_bytes: int) -> None:
        for connection in self._connections:
            connection.bytes_left = after_bytes

    async def _recover(self) -> None:
        for connection in self._connections:
            connection.flowing.set()
            connection.bytes_left = None
        if self._server is None:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, backlog=512)

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(writers=[writer])
        if not self._is_silent:
            connection.flowing.set()
        self._connections.add(connection)
        try:
            await connection.flowing.wait()
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target())
            connection.writers.append(server_writer)
            await asyncio.gather(
                self._carry(reader, server_writer, connection),
                self._carry(server_reader, writer, connection, is_answer=True),
            )
        except OSError:
            pass  # one side is gone, and so is the other below
        finally:
            self._connections.discard(connection)
            connection.reset()

    async def _carry(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        connection: _Connection,
        *,
        is_answer: bool = False,
    ) -> None:
        while data := await source.read(CHUNK):
            if self._latency_s:
                await asyncio.sleep(self._latency_s)
            if self._bytes_per_s:
                await asyncio.sleep(len(data) / self._bytes_per_s)
            await connection.flowing.wait()
            if is_answer and connection.bytes_left is not None:
                sink.write(data[: connection.bytes_left])
                connection.bytes_left -= len(data)
                if connection.bytes_left <= 0:
                    await sink.drain()
                    connection.reset()
                    return
            else:
                sink.write(data)
            await sink.drain()
        await connection.flowing.wait()
        if sink.can_write_eof():
            sink.write_eof()
