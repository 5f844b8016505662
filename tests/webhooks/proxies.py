"""A TCP proxy whose connections can freeze: they stay open, accept everything and answer nothing."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class FreezingProxy:
    """Forwards to a host and port, or to a Unix socket, until it freezes."""

    def __init__(self, target: tuple[str, int] | Path) -> None:
        self._target = target
        self._flowing = threading.Event()
        self._flowing.set()
        self._answering = threading.Event()
        self._answering.set()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> None:
        self._flowing.clear()

    def swallow_answers(self) -> None:
        """What is sent arrives; what comes back does not."""
        self._answering.clear()

    def thaw(self) -> None:
        self._flowing.set()
        self._answering.set()

    def close(self) -> None:
        self.thaw()
        for one in [self._listener, *self._sockets]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = self._connect()
                self._sockets += [client, server]
                for way in ((client, server, self._flowing), (server, client, self._answering)):
                    threading.Thread(target=self._pump, args=way, daemon=True).start()

    def _connect(self) -> socket.socket:
        if isinstance(self._target, Path):
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._target))
            return server
        return socket.create_connection(self._target)

    def _pump(self, source: socket.socket, sink: socket.socket, may_pass: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                may_pass.wait()
                sink.sendall(data)


@contextmanager
def silent_server() -> Iterator[int]:
    """The port of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield listener.getsockname()[1]


def refused_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
